/* sock.c - byte streams over libuv, with as few system calls as a request can have.
 *
 * Writes go straight to the kernel; only what it refuses is copied. Stopping to
 * read costs nothing until bytes really arrive: libuv goes on polling, and the
 * first event that finds the owner unwilling turns polling off. So the usual
 * stop and start around a request never reach epoll_ctl().
 *
 * A failed write is not reported at once while the owner still reads: the kernel
 * may hold the peer's last bytes, which explain why it closed. The read side
 * reaches the end by itself and reports it then.
 */
#include "net/dns_priv.h"
#include "net/sock_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SEND_PIECES = 16,            /* handed to the kernel in one system call */
    SEND_TOGETHER = 4 * 1024,    /* bytes up to which the pieces are put together first */
};

/* Long silences are normal here (a model thinks); keep the way through NATs open. */
enum { KEEPALIVE_S = 60 };

static atomic_uint_fast64_t open_count, accepted_count;

static void on_written(uv_write_t *req, int status);

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

struct sock *
sock_create(struct loop *l, bool is_unix)
{
    struct sock *s = check_alloc(calloc(1, sizeof(*s)));

    s->loop = l;
    s->later = (struct deferred){ .fn = sock_later, .arg = s };
    if (is_unix) {
        CHECK(uv_pipe_init(&l->uv, &s->uv.pipe, 0) == 0);
        s->peer_n = 4;
        memcpy(s->peer, "unix", 4);
    } else {
        CHECK(uv_tcp_init(&l->uv, &s->uv.tcp) == 0);
        uv_tcp_nodelay(&s->uv.tcp, 1);
        uv_tcp_keepalive(&s->uv.tcp, 1, KEEPALIVE_S);
    }
    atomic_fetch_add_explicit(&open_count, 1, memory_order_relaxed);
    return s;
}

struct sock *
sock_create_accepted(struct loop *l, int fd, const struct address *peer)
{
    struct sock *s = sock_create(l, peer == NULL);
    int status = peer != NULL ? uv_tcp_open(&s->uv.tcp, fd) : uv_pipe_open(&s->uv.pipe, fd);

    if (status != 0) {
        close(fd);
        sock_close(s);
        return NULL;
    }
    if (peer != NULL)
        sock_set_peer(s, peer);
    s->accepted = true;
    atomic_fetch_add_explicit(&accepted_count, 1, memory_order_relaxed);
    return s;
}

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
    uv_os_fd_t fd;

    if (uv_fileno(&s->uv.handle, &fd) != 0 || getpeername(fd, (struct sockaddr *)&to, &len) != 0 ||
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

static void
on_closed(uv_handle_t *handle)
{
    struct sock *s = CONTAINER_OF(handle, struct sock, uv.handle);

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
    dns_name_drop(s->name);
    s->name = NULL;
    atomic_fetch_sub_explicit(&open_count, 1, memory_order_relaxed);
    if (s->accepted)
        atomic_fetch_sub_explicit(&accepted_count, 1, memory_order_relaxed);
    uv_close(&s->uv.handle, on_closed);
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
    uv_os_fd_t fd;

    if (s == NULL)
        return;
    if (uv_fileno(&s->uv.handle, &fd) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
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
    if (s->polling)
        uv_read_stop(&s->uv.stream);
    s->polling = false;
    s->at_end = true;
    s->events->failed(s->owner, why, detail);
}

/* --- reading --- */

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct sock *s = CONTAINER_OF(handle, struct sock, uv.handle);

    (void)suggested;
    *ret = (uv_buf_t){ 0 };
    if (!s->wants_read)
        return;    /* on_read() gets UV_ENOBUFS */
    if (s->tls == NULL && s->events->room != NULL) {
        size_t size = 0;
        char *room = s->events->room(s->owner, &size);

        if (room != NULL && size != 0) {
            *ret = uv_buf_init(room, (unsigned)MIN(size, (size_t)1 << 30));
            return;
        }
        if (!s->wants_read)
            return;
    }
    *ret = uv_buf_init(s->loop->read_buffer, LOOP_READ_BYTES);
}

static void
stop_polling(struct sock *s)
{
    if (s->polling)
        uv_read_stop(&s->uv.stream);
    s->polling = false;
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

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sock *s = CONTAINER_OF(stream, struct sock, uv.stream);

    if (LIKELY(n > 0)) {
        struct str bytes = str_make(buf->base, (size_t)n);

        if (s->tls != NULL)
            sock_tls_input(s, bytes);
        else
            s->events->data(s->owner, bytes);
    } else if (n == UV_ENOBUFS) {
        stop_polling(s);
    } else if (n < 0) {
        on_end(s, (int)n);
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
        int status = uv_read_start(&s->uv.stream, on_alloc, on_read);

        s->polling = status == 0;
        if (status != 0 && s->write_error == 0) {
            s->write_error = status;
            loop_defer(s->loop, &s->later);
        }
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
pieces_gather(const struct pieces *p, uv_buf_t bufs[SEND_PIECES], size_t *ret_bytes)
{
    unsigned n = 0;
    size_t done = p->done;

    *ret_bytes = 0;
    for (size_t i = 0; i < p->count && n < SEND_PIECES; i++) {
        size_t left = p->list[i].n - done;

        if (left != 0) {
            bufs[n].base = (char *)p->list[i].p + done;
            bufs[n++].len = left;
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
 * together: copying a kilobyte costs less than describing it in pieces, and send() less than
 * writev(). */
static ssize_t
send_pieces(struct sock *s, const uv_buf_t *bufs, unsigned n, size_t bytes)
{
    UNINITIALIZED char together[SEND_TOGETHER];
    const char *p = bufs[0].base;
    uv_os_fd_t fd;

    if ((n > 1 && bytes > SEND_TOGETHER) || uv_fileno(&s->uv.handle, &fd) != 0)
        return uv_try_write(&s->uv.stream, bufs, n);
    if (n > 1) {
        char *end = together;

        for (unsigned i = 0; i < n; i++) {
            memcpy(end, bufs[i].base, bufs[i].len);
            end += bufs[i].len;
        }
        p = together;
    }
    for (;;) {
        ssize_t sent = send(fd, p, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return uv_translate_sys_error(errno);
    }
}

/* Writes as much as the kernel accepts. */
static void
send_now(struct sock *s, struct pieces *p)
{
    uv_buf_t bufs[SEND_PIECES];
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

/* Passes queued bytes to libuv, which sends them as the kernel makes room. */
static void
queue_launch(struct sock *s)
{
    struct sock_queue *q = s->queue;

    q->flying = q->waiting;
    buf_init(&q->waiting, SIZE_MAX);

    struct str bytes = buf_str(&q->flying);
    s->sent_bytes += bytes.n;
    uv_buf_t buf = { .base = q->flying.p + q->flying.head, .len = bytes.n };
    int status = uv_write(&q->req, &s->uv.stream, &buf, 1, on_written);
    if (status != 0) {
        sock_note_write_error(s, status);
        buf_fini(&q->flying);
        free(q);
        s->queue = NULL;
    }
}

static void
send_later(struct sock *s, struct pieces *p)
{
    bool first = s->queue == NULL;

    if (first) {
        s->queue = check_alloc(calloc(1, sizeof(*s->queue)));
        buf_init(&s->queue->waiting, SIZE_MAX);
    }
    for (; p->count != 0; p->count--, p->list++, p->done = 0)
        buf_add(&s->queue->waiting, str_skip(*p->list, p->done));
    if (s->queue->waiting.overflow)
        sock_note_write_error(s, UV_ENOMEM);
    if (first)
        queue_launch(s);
}

/* The kernel has taken everything that was queued. */
static void
queue_done(struct sock *s)
{
    free(s->queue);
    s->queue = NULL;
    if (s->closed)
        return;
    if (s->fin_wanted)
        sock_send_fin(s);
    if (s->events != NULL && s->events->drained != NULL && !s->dead)
        s->events->drained(s->owner);
}

static void
on_written(uv_write_t *req, int status)
{
    struct sock *s = CONTAINER_OF(req->handle, struct sock, uv.stream);
    struct sock_queue *q = s->queue;

    buf_fini(&q->flying);
    if (status == 0 && s->write_error == 0 && !s->closed && buf_len(&q->waiting) != 0) {
        queue_launch(s);
        return;
    }
    buf_fini(&q->waiting);
    if (status != 0 || s->write_error != 0) {
        free(q);
        s->queue = NULL;
        if (!s->closed)
            sock_note_write_error(s, status);
        return;
    }
    queue_done(s);
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
    size_t n = 0;

    if (s->queue != NULL)
        n = uv_stream_get_write_queue_size(&s->uv.stream) + buf_len(&s->queue->waiting);
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
    uv_os_fd_t fd;

    s->fin_wanted = true;
    if (s->queue == NULL && s->write_error == 0 && uv_fileno(&s->uv.handle, &fd) == 0)
        shutdown(fd, SHUT_WR);
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
