/* sock.c - byte streams, with as few system calls as a request can have.
 *
 * libuv says when a descriptor is ready; we read and write by ourselves, which takes less time and
 * memory than its streams. Writes go straight to the kernel; only what it refuses is copied.
 * Stopping to read costs nothing until bytes really arrive: the descriptor goes on being watched,
 * and the first event that finds the owner unwilling ends that. So the usual stop and start around
 * a request never reach epoll_ctl().
 *
 * A failed write is not reported at once while the owner still reads: the kernel
 * may hold the peer's last bytes, which explain why it closed. The read side
 * reaches the end by itself and reports it then.
 */
#include "net/dns_priv.h"
#include "net/sock_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READS_PER_EVENT = 32,        /* of a peer that fills the room each time */
    SEND_PIECES = 16,            /* handed to the kernel in one system call */
    SEND_TOGETHER = 4 * 1024,    /* bytes up to which the pieces are put together first */
};

/* Long silences are normal here (a model thinks); keep the way through NATs open. */
enum { KEEPALIVE_S = 60 };

static atomic_uint_fast64_t open_count, accepted_count;

static void on_event(uv_poll_t *poll, int status, int events);

/* --- life --- */

static void
sock_release(struct sock *s)
{
    sock_tls_destroy(s->tls);
    free(s);
}

/* Runs at the end of the turn: reports what must not be reported from inside a call. */
static void
sock_later(void *arg)
{
    struct sock *s = arg;

    if (s->closed) {
        if (s->released)
            sock_release(s);
        return;
    }
    if (s->dead || s->events == NULL)
        return;
    if (s->write_error != 0) {
        bool reader_will_tell = s->wants_read && s->polling && !s->at_end &&
                                (s->write_error == UV_EPIPE || s->write_error == UV_ECONNRESET);

        if (!reader_will_tell) {
            sock_fail(s, ERR_UPSTREAM_RESET, uv_strerror(s->write_error));
            return;
        }
    }
    if (s->tls != NULL)
        sock_tls_resume(s);
}

/* Takes over the descriptor, which does not block. NULL, and it is closed, when libuv cannot watch
 * it. */
static struct sock *
sock_create(struct loop *l, int fd, bool is_unix)
{
    struct sock *s = check_alloc(calloc(1, sizeof(*s)));
    int on = 1, keepalive_s = KEEPALIVE_S;

    s->loop = l;
    s->fd = fd;
    s->later = (struct deferred){ .fn = sock_later, .arg = s };
    if (uv_poll_init(&l->uv, &s->poll, fd) != 0) {
        close(fd);
        free(s);
        return NULL;
    }
    if (is_unix) {
        s->peer_n = 4;
        memcpy(s->peer, "unix", 4);
    } else {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof(keepalive_s));
    }
    atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
    return s;
}

struct sock *
sock_create_accepted(struct loop *l, int fd, const struct address *peer)
{
    struct sock *s = sock_create(l, fd, peer == NULL);

    if (s == NULL)
        return NULL;
    if (peer != NULL)
        sock_set_peer(s, peer);
    s->accepted = true;
    atomic_fetch_add_explicit(&accepted_count, 1, memory_order_relaxed);
    return s;
}

/* Has the descriptor watched for what is awaited now. */
static void
watch(struct sock *s)
{
    bool writable = s->queue != NULL || s->connected != NULL;
    uint8_t wanted = (uint8_t)((s->polling ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0));

    if (wanted == s->watched)
        return;
    s->watched = wanted;
    CHECK((wanted != 0 ? uv_poll_start(&s->poll, wanted, on_event) : uv_poll_stop(&s->poll)) == 0);
}

/* --- connecting --- */

static socklen_t
unix_address(struct str path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (path.n >= sizeof(ret->sun_path))
        return 0;
    memcpy(ret->sun_path, path.p, path.n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
}

struct sock *
sock_connect(struct loop *l, const struct address *to, struct str path,
    void (*done)(void *arg, int status), void *arg, int *ret_status)
{
    struct sockaddr_un at;
    const struct sockaddr *a = to != NULL ? &to->any : (const struct sockaddr *)&at;
    socklen_t n = to != NULL ? address_len(to) : unix_address(path, &at);

    *ret_status = UV_ENAMETOOLONG;
    if (n == 0)
        return NULL;
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_status = fd < 0 ? uv_translate_sys_error(errno) : UV_ENOMEM;
    struct sock *s = fd >= 0 ? sock_create(l, fd, to == NULL) : NULL;
    if (s == NULL)
        return NULL;
    int status;
    do
        status = connect(fd, a, n);
    while (status != 0 && errno == EINTR);
    if (status != 0 && errno != EINPROGRESS) {
        *ret_status = uv_translate_sys_error(errno);
        sock_close(s);
        return NULL;
    }
    s->owner = arg;
    s->connected = done;
    watch(s);
    *ret_status = 0;
    return s;
}

static void
on_connected(struct sock *s)
{
    void (*done)(void *arg, int status) = s->connected;
    void *arg = s->owner;
    int error = 0;
    socklen_t n = sizeof(error);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
        error = errno;
    if (error == EINPROGRESS)
        return;
    s->connected = NULL;
    s->owner = NULL;
    watch(s);
    done(arg, error != 0 ? uv_translate_sys_error(error) : 0);
}

/* --- what is known of it --- */

void
sock_set_peer(struct sock *s, const struct address *peer)
{
    char room[ADDRESS_TEXT_ROOM];
    struct str text = address_text(peer, room);

    s->peer_n = (uint8_t)MIN(text.n, sizeof(s->peer));
    memcpy(s->peer, text.p, s->peer_n);
}

void
sock_set_name(struct sock *s, struct str host)
{
    CHECK(s->name == NULL);
    s->name = dns_name_hold(s->loop, host);
    if (s->name != NULL)
        s->name_version = dns_name_version(s->name) - 1;    /* checked at first use */
}

/* The name's addresses have changed since the last check: is ours still one of them? */
static COLD bool
is_elsewhere(struct sock *s)
{
    struct sockaddr_storage to;
    struct address peer;
    socklen_t len = sizeof(to);

    if (getpeername(s->fd, (struct sockaddr *)&to, &len) != 0 ||
        !address_from((const struct sockaddr *)&to, &peer) || !dns_name_has(s->name, &peer))
        return true;
    s->name_version = dns_name_version(s->name);
    return false;
}

bool
sock_is_outdated(struct sock *s)
{
    return s->name != NULL && s->name_version != dns_name_version(s->name) && is_elsewhere(s);
}

/* --- the end --- */

static void
drop_queue(struct sock *s)
{
    if (s->queue == NULL)
        return;
    buf_fini(s->queue);
    free(s->queue);
    s->queue = NULL;
}

static void
on_closed(uv_handle_t *handle)
{
    struct sock *s = CONTAINER_OF((uv_poll_t *)handle, struct sock, poll);

    s->released = true;
    if (!s->later.queued)    /* else sock_later() does it */
        sock_release(s);
}

static void
sock_close_handle(struct sock *s)
{
    CHECK(!s->closed);
    s->closed = true;
    s->wants_read = false;
    s->polling = false;
    dns_name_drop(s->name);
    s->name = NULL;
    atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
    if (s->accepted)
        atomic_fetch_sub_explicit(&accepted_count, 1, memory_order_relaxed);
    drop_queue(s);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    close(s->fd);
    s->fd = -1;
}

void
sock_close(struct sock *s)
{
    if (s == NULL)
        return;
    if (s->tls != NULL && !s->dead && s->write_error == 0)
        sock_tls_bye(s);
    sock_close_handle(s);
}

void
sock_close_reset(struct sock *s)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (s == NULL)
        return;
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    sock_close_handle(s);
}

void
sock_own(struct sock *s, const struct sock_events *events, void *owner)
{
    CHECK(!s->closed);
    s->events = events;
    s->owner = owner;
    if (s->write_error != 0)
        loop_defer(s->loop, &s->later);    /* the previous owner was not notified */
}

void
sock_fail(struct sock *s, enum err why, const char *detail)
{
    if (s->dead || s->closed)
        return;
    s->dead = true;
    s->polling = false;
    s->at_end = true;
    watch(s);
    s->events->failed(s->owner, why, detail);
}

/* --- reading --- */

static void
stop_polling(struct sock *s)
{
    s->polling = false;
    watch(s);
    if (s->write_error != 0)
        loop_defer(s->loop, &s->later);    /* there is no reader that could find out */
}

static void
on_end(struct sock *s, int status)
{
    stop_polling(s);
    s->at_end = true;
    if (s->write_error != 0)
        status = s->write_error;
    if (status != UV_EOF)
        sock_fail(s, ERR_UPSTREAM_RESET, uv_strerror(status));
    else if (s->tls != NULL)
        sock_tls_end(s);
    else if (s->events->eof != NULL)
        s->events->eof(s->owner);
}

/* Where the next bytes go; NULL: the owner does not want any. */
static char *
room_to_read(struct sock *s, size_t *ret_size)
{
    if (s->wants_read && s->tls == NULL && s->events->room != NULL) {
        *ret_size = 0;
        char *room = s->events->room(s->owner, ret_size);

        if (room != NULL && *ret_size != 0)
            return room;
    }
    *ret_size = LOOP_READ_BYTES;
    return s->wants_read ? s->loop->read_buffer : NULL;
}

/* Reads what is there, unless it comes faster than it is read: others want their turn. */
static void
read_ready(struct sock *s)
{
    size_t size;

    for (int i = 0; i < READS_PER_EVENT && s->polling; i++) {
        char *room = room_to_read(s, &size);

        if (room == NULL) {
            stop_polling(s);
            return;
        }
        ssize_t n = recv(s->fd, room, size, 0);
        if (UNLIKELY(n <= 0)) {
            if (n == 0)
                on_end(s, UV_EOF);
            else if (errno != EAGAIN && errno != EINTR)
                on_end(s, uv_translate_sys_error(errno));
            return;
        }
        struct str bytes = str_make(room, (size_t)n);
        if (s->tls != NULL)
            sock_tls_input(s, bytes);
        else
            s->events->data(s->owner, bytes);
        if ((size_t)n < size)
            return;
    }
}

void
sock_read_start(struct sock *s)
{
    CHECK(!s->closed && s->events != NULL);
    s->wants_read = true;
    if (s->dead)
        return;
    if (!s->polling && !s->at_end) {
        s->polling = true;
        watch(s);
    }
    if (s->tls != NULL && sock_tls_has_input(s))
        loop_defer(s->loop, &s->later);
}

void
sock_read_stop(struct sock *s)
{
    s->wants_read = false;
    if (s->write_error != 0)
        loop_defer(s->loop, &s->later);
}

/* --- writing --- */

/* The pieces that still have to be sent, and how much of the first is done. */
struct pieces {
    const struct str *list;
    size_t count;
    size_t done;
};

static void
pieces_advance(struct pieces *p, size_t n)
{
    while (p->count != 0 && n >= p->list->n - p->done) {
        n -= p->list->n - p->done;
        p->list++;
        p->count--;
        p->done = 0;
    }
    p->done += n;
}

/* As many buffers as fit into one call; *ret_bytes is their total size. */
static unsigned
pieces_gather(const struct pieces *p, struct iovec bufs[SEND_PIECES], size_t *ret_bytes)
{
    unsigned n = 0;
    size_t done = p->done;

    *ret_bytes = 0;
    for (size_t i = 0; i < p->count && n < SEND_PIECES; i++) {
        size_t left = p->list[i].n - done;

        if (left != 0) {
            bufs[n].iov_base = (char *)p->list[i].p + done;
            bufs[n++].iov_len = left;
        }
        *ret_bytes += left;
        done = 0;
    }
    return n;
}

void
sock_note_write_error(struct sock *s, int status)
{
    if (s->write_error == 0)
        s->write_error = status;
    loop_defer(s->loop, &s->later);
}

/* Bytes that the kernel accepted, or a libuv error. A head and a small body are put
 * together: copying a kilobyte costs less than describing it in pieces. */
static ssize_t
send_pieces(struct sock *s, struct iovec *bufs, unsigned n, size_t bytes)
{
    UNINITIALIZED char together[SEND_TOGETHER];
    struct iovec one = { together, bytes };
    ssize_t sent;

    if (n > 1 && bytes <= SEND_TOGETHER) {
        char *end = together;

        for (unsigned i = 0; i < n; i++) {
            memcpy(end, bufs[i].iov_base, bufs[i].iov_len);
            end += bufs[i].iov_len;
        }
        bufs = &one;
        n = 1;
    }
    do {
        struct msghdr m = { .msg_iov = bufs, .msg_iovlen = n };

        sent = n == 1 ? send(s->fd, bufs->iov_base, bufs->iov_len, MSG_NOSIGNAL)
                      : sendmsg(s->fd, &m, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : uv_translate_sys_error(errno);
}

/* Writes as much as the kernel accepts. */
static void
send_now(struct sock *s, struct pieces *p)
{
    struct iovec bufs[SEND_PIECES];
    size_t bytes;

    for (;;) {
        unsigned n = pieces_gather(p, bufs, &bytes);

        if (n == 0) {
            p->count = 0;
            return;
        }
        ssize_t sent = send_pieces(s, bufs, n, bytes);
        if (sent < 0) {
            if (sent != UV_EAGAIN)
                sock_note_write_error(s, (int)sent);
            return;
        }
        pieces_advance(p, (size_t)sent);
        s->sent_bytes += (uint64_t)sent;
        if ((size_t)sent < bytes)
            return;
    }
}

static void
send_later(struct sock *s, struct pieces *p)
{
    if (s->queue == NULL) {
        s->queue = check_alloc(malloc(sizeof(*s->queue)));
        buf_init(s->queue, SIZE_MAX);
    }
    for (; p->count != 0; p->count--, p->list++, p->done = 0)
        buf_add(s->queue, str_skip(*p->list, p->done));
    if (s->queue->overflow)
        sock_note_write_error(s, UV_ENOMEM);
    watch(s);
}

/* The kernel has room again: for all that is queued, or for some of it. */
static void
send_queued(struct sock *s)
{
    struct str bytes = buf_str(s->queue);
    struct pieces p = { .list = &bytes, .count = 1 };

    if (s->write_error == 0)
        send_now(s, &p);
    if (s->write_error == 0 && p.count != 0) {
        buf_consume(s->queue, p.done);
        return;
    }
    drop_queue(s);
    watch(s);
    if (s->write_error != 0)
        return;
    if (s->fin_wanted)
        sock_send_fin(s);
    if (s->events != NULL && s->events->drained != NULL && !s->dead)
        s->events->drained(s->owner);
}

void
sock_send(struct sock *s, const struct str *pieces, size_t count)
{
    struct pieces p = { .list = pieces, .count = count };

    if (s->dead || s->write_error != 0)
        return;
    if (LIKELY(s->queue == NULL))
        send_now(s, &p);
    if (UNLIKELY(p.count != 0) && s->write_error == 0)
        send_later(s, &p);
}

void
sock_write(struct sock *s, const struct str *pieces, size_t count)
{
    CHECK(!s->closed);
    if (s->ending)
        return;
    if (s->tls != NULL)
        sock_tls_write(s, pieces, count);
    else
        sock_send(s, pieces, count);
}

size_t
sock_queued_bytes(const struct sock *s)
{
    size_t n = s->queue != NULL ? buf_len(s->queue) : 0;

    if (s->tls != NULL)
        n += sock_tls_unsent_bytes(s);
    return n;
}

uint64_t
sock_sent_bytes(const struct sock *s)
{
    return s->sent_bytes;
}

void
sock_send_fin(struct sock *s)
{
    s->fin_wanted = true;
    if (s->queue == NULL && s->write_error == 0)
        shutdown(s->fd, SHUT_WR);
}

void
sock_shutdown(struct sock *s)
{
    CHECK(!s->closed);
    if (s->ending || s->dead)
        return;
    s->ending = true;
    if (s->tls != NULL)
        sock_tls_shutdown(s);
    else
        sock_send_fin(s);
}

/* --- events --- */

/* The descriptor is ready. libuv reports an error once, and stops watching: reading and writing tell
 * which. */
static void
on_event(uv_poll_t *poll, int status, int events)
{
    struct sock *s = CONTAINER_OF(poll, struct sock, poll);

    if (UNLIKELY(status < 0)) {
        s->watched = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (UNLIKELY(s->connected != NULL)) {
        on_connected(s);
    } else {
        if ((events & UV_READABLE) != 0 && s->polling)
            read_ready(s);
        if ((events & UV_WRITABLE) != 0 && s->queue != NULL)
            send_queued(s);
    }
    if (!s->closed)
        watch(s);
}

/* --- what it is --- */

struct loop *
sock_loop(const struct sock *s)
{
    return s->loop;
}

struct str
sock_peer(const struct sock *s)
{
    return str_make(s->peer, s->peer_n);
}

struct str
sock_alpn(const struct sock *s)
{
    return s->tls != NULL ? sock_tls_alpn(s) : (struct str){ NULL, 0 };
}

bool
sock_is_tls(const struct sock *s)
{
    return s->tls != NULL;
}

uint64_t
sock_open_count(void)
{
    return atomic_load_explicit(&open_count, memory_order_relaxed);
}

uint64_t
sock_accepted_count(void)
{
    return atomic_load_explicit(&accepted_count, memory_order_relaxed);
}

bool
sock_is_local(const struct sock *s)
{
    struct str peer = sock_peer(s);

    return str_starts(peer, S("127.")) || str_eq(peer, S("::1")) || str_eq(peer, S("unix"));
}
