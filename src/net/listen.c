/* listen.c - accepts connections, also when the process is short of descriptors.
 *
 * Callers get at most half of the descriptors: the other half is for connections to providers,
 * logs and files. When a new caller comes and that half is taken, idle connections are closed
 * for it; when none is idle here, accepting pauses until the other workers have closed some of
 * theirs; after that, new connections are closed at once. The kernel's own limit can still be hit
 * (ENFILE, or a limit lowered from outside): then a spare descriptor is given up for a moment to
 * accept and close. If even that fails, accepting pauses, because the kernel would report the
 * waiting connection over and over.
 *
 * We poll the descriptor and accept by ourselves, because libuv hides how it sheds.
 *
 * Closing a listening socket resets all connections that wait in its queue, also those whose
 * request has been sent already. So the end has two steps: first nothing new gets into the queue
 * while handshakes under way complete; a moment later what is in it is accepted, and the socket is
 * closed empty.
 */
#include <errno.h>
#include <fcntl.h>
#ifdef __linux__
#include <linux/filter.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/listen_priv.h"
#include "net/timer.h"

enum {
    ACCEPTS_PER_TURN = 64,    /* then the loop serves existing connections */
    REST_MS = 100,
    CROWD_REST_MS = 1200,    /* in which all workers look whether they can make room */
    LAST_CALL_MS = 40,    /* for handshakes under way: longer than a round trip to a load balancer */
};

struct listener {
    struct loop *loop;
    uv_poll_t poll;
    int fd;
    int spare;
    bool is_tcp;
    bool paused;
    bool crowded;      /* accepting has paused once and there is still no room */
    bool finishing;    /* no new connections; the socket is closed when `timer` fires */
    bool shut;         /* the socket is closed */
    bool unpolled;     /* libuv has closed the handle */
    bool closed;       /* listen_close() was called */
    struct timer timer;
    struct bound *bound;
    struct tls_context *tls;
    listen_accept_fn *accept;
    bool (*make_room)(void *owner);    /* may be NULL */
    void *owner;
    char *address;
};

/* --- accepting --- */

static int
open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_readable(uv_poll_t *poll, int status, int events);

/* Polls, unless accepting is paused or the socket is closed. */
static void
update_polling(struct listener *li)
{
    if (li->shut)
        return;
    if (li->paused)
        uv_poll_stop(&li->poll);
    else
        uv_poll_start(&li->poll, UV_READABLE, on_readable);
}

static void
pause_accepting(struct listener *li, uint64_t ms)
{
    li->paused = true;
    update_polling(li);
    timer_set(&li->timer, ms);
}

/* Closes idle connections, if there are any. */
static bool
make_room(struct listener *li)
{
    return li->make_room != NULL && li->make_room(li->owner);
}

/* Accepts one connection with the spare descriptor and closes it, so that its peer need not wait.
 * False when even that fails. */
static bool
shed_one(struct listener *li)
{
    if (li->spare < 0)
        return false;
    close(li->spare);

    int fd = accept4(li->fd, NULL, NULL, SOCK_CLOEXEC);
    int error = errno;
    if (fd >= 0) {
        room_note_shed();
        close(fd);
    }
    li->spare = open_spare();
    return li->spare >= 0 && (fd >= 0 || error == EAGAIN);
}

/* There is no descriptor for the connection that waits. False: accepting pauses, because the socket
 * stays readable and the loop would spin. */
static bool
shed_or_pause(struct listener *li)
{
    if (shed_one(li))
        return true;
    pause_accepting(li, REST_MS);
    return false;
}

/* Too many callers, and none of ours is idle. False: accepting pauses. */
static bool
shed_of_crowd(struct listener *li)
{
    int fd;

    if (!li->crowded) {
        li->crowded = true;
        room_forget();    /* the limit may have been raised */
        room_note_crowd();
        pause_accepting(li, CROWD_REST_MS);
        return false;
    }
    fd = accept4(li->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return shed_or_pause(li);    /* what is left of the limit is in use, too */
    if (fd < 0)
        return false;
    room_note_shed();
    close(fd);
    return true;
}

static void
pass_on(struct listener *li, int fd, const struct sockaddr_storage *from)
{
    struct address peer;
    bool known = li->is_tcp && address_from((const struct sockaddr *)from, &peer);
    struct sock *s = sock_create_accepted(li->loop, fd, known ? &peer : NULL);

    if (s == NULL)
        return;
    if (li->tls != NULL)
        sock_tls_start(s, li->tls, (struct str){ NULL, 0 }, (struct str){ NULL, 0 }, NULL, NULL);
    li->accept(li->owner, s);
}

/* Accepts one waiting connection. False when there is none, or accepting is paused. */
static bool
accept_one(struct listener *li)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);

    if (!li->finishing && !room_is_left() &&
        !make_room(li))    /* at the end, all that wait are accepted */
        return shed_of_crowd(li);
    li->crowded = false;
    int fd = accept4(li->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        pass_on(li, fd, &from);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        room_forget();    /* the limit may have been lowered */
        return make_room(li) || shed_or_pause(li);
    case ENOBUFS:
    case ENOMEM:
        pause_accepting(li, REST_MS);
        return false;
    default:
        return true;    /* that connection was closed before it was accepted */
    }
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *li = CONTAINER_OF(poll, struct listener, poll);

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (!accept_one(li) || li->shut)
            return;
    }
}

/* --- the end --- */

static void
listener_free(struct listener *li)
{
    free(li->address);
    free(li);
}

static void
on_unpolled(uv_handle_t *handle)
{
    struct listener *li = CONTAINER_OF(handle, struct listener, poll);

    li->unpolled = true;
    if (li->closed)
        listener_free(li);
}

/* Closes the socket; the struct listener stays until listen_close(). */
static void
shut_socket(struct listener *li)
{
    if (li->shut)
        return;
    li->shut = true;
    uv_close((uv_handle_t *)&li->poll, on_unpolled);
    if (li->bound->fd < 0)
        close(li->fd);
    bound_release(li->bound);
    if (li->spare >= 0)
        close(li->spare);
}

/* Makes the kernel drop SYNs. A client sends another one after a second, and is refused then, or
 * reaches our successor: better than a connection that is established and then reset. Without
 * socket filters, a few more connections are accepted until the socket is closed. */
static void
drop_new_handshakes(int fd UNUSED)
{
#ifdef __linux__
    enum { FLAGS_OFFSET = 13, SYN = 0x02 };
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
#endif
}

/* The pause is over, or the time of listen_finish(). */
static void
on_timer(void *arg)
{
    struct listener *li = arg;

    if (li->finishing) {
        for (int i = 0; i < LISTEN_BACKLOG && !li->shut && accept_one(li); i++)
            continue;
        shut_socket(li);
        return;
    }
    li->paused = false;
    if (li->spare < 0)
        li->spare = open_spare();
    update_polling(li);
}

void
listen_finish(struct listener *li)
{
    if (li->shut || li->finishing)
        return;
    if (li->bound
            ->inherited) {    /* its owner keeps the socket and the connections that wait in its queue */
        shut_socket(li);
        return;
    }
    li->finishing = true;
    if (li->is_tcp)
        drop_new_handshakes(li->fd);
    bound_forget(li->bound);
    timer_set(&li->timer, LAST_CALL_MS);
}

bool
listen_finished(const struct listener *li)
{
    return li->shut;
}

void
listen_close(struct listener *li)
{
    if (li == NULL)
        return;
    shut_socket(li);
    timer_stop(&li->timer);
    tls_context_unref(li->tls);
    li->closed = true;
    if (li->unpolled)
        listener_free(li);
}

/* --- the public interface --- */

struct listener *
listen_open_with(struct loop *l, struct str address, const struct listen_options *options,
    struct tls_context *tls, listen_accept_fn *accept, void *owner, struct why why)
{
    struct bound *bound = NULL;

    int fd = bound_open(address, options, &bound, why);
    if (fd < 0)
        return NULL;

    CHECK(bound != NULL);
    struct listener *li = check_alloc(calloc(1, sizeof(*li)));
    if (uv_poll_init(&l->uv, &li->poll, fd) != 0) {
        why_say(why, "cannot listen twice on " STR_FMT, STR_ARG(address));
        if (bound->fd < 0)
            close(fd);
        bound_release(bound);
        free(li);
        return NULL;
    }
    li->loop = l;
    li->fd = fd;
    li->bound = bound;
    li->accept = accept;
    li->owner = owner;
    li->tls = tls != NULL ? tls_context_ref(tls) : NULL;
    li->spare = open_spare();
    timer_init(&li->timer, l, on_timer, li);
    li->address = bound_address(fd, address, &li->is_tcp);
    update_polling(li);
    return li;
}

struct listener *
listen_open(struct loop *l, struct str address, struct tls_context *tls, listen_accept_fn *accept,
    void *owner, struct why why)
{
    static const struct listen_options usual = { .v6_only = false };

    return listen_open_with(l, address, &usual, tls, accept, owner, why);
}

void
listen_set_tls(struct listener *li, struct tls_context *tls)
{
    struct tls_context *before = li->tls;

    li->tls = tls != NULL ? tls_context_ref(tls) : NULL;
    tls_context_unref(before);
}

struct str
listen_address(const struct listener *li)
{
    return str_c(li->address);
}

void
listen_on_crowd(struct listener *li, bool (*make_room_fn)(void *owner))
{
    li->make_room = make_room_fn;
}
