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
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#ifdef __linux__
#include <linux/filter.h>
#endif
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/sock_priv.h"

enum {
    BACKLOG = 4096,           /* the kernel cuts it to net.core.somaxconn */
    ACCEPTS_PER_TURN = 64,    /* then the loop serves existing connections */
    REST_MS = 100,
    CROWD_REST_MS = 1200,    /* in which all workers look whether they can make room */
    CALLERS_LEAST = 4,
    RESERVE = 16,    /* descriptors for logs, configuration files, name servers */
    SCAN_MOST = 4096,
    LOCK_TRIES = 20,
    LOCK_PAUSE_US = 50 * 1000,
    LAST_CALL_MS = 40,    /* for handshakes under way: longer than a round trip to a load balancer */
};

/* An address that this process has open. Workers share the descriptor of a unix socket or an
 * inherited one; for TCP only the count matters. */
struct bound {
    char *name;
    int fd;    /* -1 for TCP: each worker has its own */
    bool inherited;
    dev_t device;    /* of the unix socket's file, so that we remove only our own */
    ino_t inode;
    unsigned holders;
    struct bound *next;
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
    struct timer *timer;
    struct bound *bound;
    struct tls_context *tls;
    listen_accept_fn *accept;
    bool (*make_room)(void *owner);    /* may be NULL */
    void *owner;
    char *address;
};

static uv_once_t bounds_once = UV_ONCE_INIT;
static uv_mutex_t bounds_lock;
static struct bound *bounds;
static atomic_uint_fast64_t shed_count;
static atomic_uint crowds;
static atomic_uint_fast64_t callers_most;    /* 0: not computed yet */
static atomic_uint_fast64_t limit_seen;    /* RLIMIT_NOFILE that callers_most was computed from */

struct why {
    char *room;
    size_t size;
};

static int say_why(struct why why, const char *format, ...) PRINTF_LIKE(2, 3);

static int
say_why(struct why why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why.room, why.size, format, args);
    va_end(args);
    return -1;
}

/* --- addresses that are open --- */

static void
bounds_init(void)
{
    CHECK(uv_mutex_init(&bounds_lock) == 0);
}

static struct bound *
bound_find(struct str name)
{
    for (struct bound *b = bounds; b != NULL; b = b->next) {
        if (str_eq(str_c(b->name), name))
            return b;
    }
    return NULL;
}

static struct bound *
bound_add(struct str name, int fd)
{
    struct bound *b = check_alloc(calloc(1, sizeof(*b)));

    b->name = str_dup_c(name);
    b->fd = fd;
    b->holders = 1;
    b->next = bounds;
    bounds = b;
    return b;
}

/* Removes the file of a unix socket, once, if it is still ours. Under the lock. */
static void
bound_unlink(struct bound *b)
{
    struct stat st;

    if (b->inode != 0 && stat(b->name, &st) == 0 && st.st_dev == b->device && st.st_ino == b->inode)
        unlink(b->name);
    b->inode = 0;
}

static void
bound_release(struct bound *b)
{
    uv_mutex_lock(&bounds_lock);
    if (--b->holders == 0) {
        struct bound **at = &bounds;

        while (*at != b)
            at = &(*at)->next;
        *at = b->next;
        bound_unlink(b);
        if (b->fd >= 0)
            close(b->fd);
        free(b->name);
        free(b);
    }
    uv_mutex_unlock(&bounds_lock);
}

/* --- opening --- */

static int
open_tcp_socket(const struct address *a, bool v6_only, bool share)
{
    int on = 1, only = v6_only;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (a->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    if (bind(fd, &a->any, address_len(a)) != 0 || (share && listen(fd, BACKLOG) != 0)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int
explain_bind(struct str text, struct why why)
{
    switch (errno) {
    case EADDRINUSE:
        return say_why(why,
            "cannot listen on " STR_FMT ": the address is in use; stop the other program or choose "
            "another port",
            STR_ARG(text));
    case EACCES:
        return say_why(why,
            "cannot listen on " STR_FMT ": permission denied; choose a port above 1023 or grant "
            "CAP_NET_BIND_SERVICE",
            STR_ARG(text));
    case EADDRNOTAVAIL:
        return say_why(why,
            "cannot listen on " STR_FMT ": this machine has no such address; use 0.0.0.0 or one "
            "that `ip address` shows",
            STR_ARG(text));
    default:
        return say_why(why, "cannot listen on " STR_FMT ": %s", STR_ARG(text), strerror(errno));
    }
}

static int
explain_bind_unix(struct str text, struct why why)
{
    if (errno == EADDRINUSE)
        return say_why(why,
            "cannot listen on " STR_FMT ": a program already listens there; stop it or choose "
            "another path",
            STR_ARG(text));
    if (errno == ENOTSOCK)
        return say_why(why,
            "cannot listen on " STR_FMT ": the file exists and is not a socket; remove it or "
            "choose another path",
            STR_ARG(text));
    return say_why(why, "cannot listen on " STR_FMT ": %s; check the folder and its permissions",
        STR_ARG(text), strerror(errno));
}

/* Looks a name up and waits for it: this happens at the start. IPv4 first, as that is what
 * clients of "localhost" try. */
static bool
find_host(struct str host, uint16_t port, struct address *ret)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *list;
    char room[256];
    bool found = false;

    if (address_parse(host, port, ret))
        return true;
    str_copy_c(room, sizeof(room), host);
    if (getaddrinfo(room, NULL, &hints, &list) != 0)
        return false;
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        if (found && i->ai_family != AF_INET)
            continue;
        if (address_from(i->ai_addr, ret)) {
            found = true;
            if (i->ai_family == AF_INET)
                break;
        }
    }
    freeaddrinfo(list);
    address_set_port(ret, port);
    return found;
}

/* The address as the kernel knows it: with the port that it picked. */
static char *
bound_address(int fd, struct str text, bool *ret_is_tcp)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char room[ADDRESS_TEXT_ROOM];
    struct address a;

    *ret_is_tcp = getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
                  address_from((struct sockaddr *)&ss, &a);
    return str_dup_c(*ret_is_tcp ? address_text_port(&a, room) : text);
}

/* -1 with errno set when the address cannot be opened.
 *
 * SO_REUSEPORT would let a second, unrelated process take part of our traffic unnoticed. So the first
 * listener of this process makes sure that it would get the address without it, too. */
static int
open_tcp(struct str text, const struct address *a, bool v6_only, struct bound **ret_bound)
{
    uv_mutex_lock(&bounds_lock);
    struct bound *b = address_port(a) != 0 ? bound_find(text) : NULL;
    int fd = -1;

    if (b == NULL && address_port(a) != 0) {
        fd = open_tcp_socket(a, v6_only, false);
        if (fd >= 0)
            close(fd);
    }
    if (b != NULL || address_port(a) == 0 || fd >= 0)
        fd = open_tcp_socket(a, v6_only, true);
    if (fd >= 0 && b == NULL) {
        bool is_tcp;
        char *picked = bound_address(fd, text, &is_tcp);

        b = bound_add(address_port(a) != 0 ? text : str_c(picked), -1);    /* others may join it */
        free(picked);
    } else if (fd >= 0) {
        b->holders++;
    }
    uv_mutex_unlock(&bounds_lock);

    *ret_bound = b;
    return fd;
}

static int
open_host_port(struct str text, bool v6_only, struct bound **ret_bound, struct why why)
{
    struct str host;
    uint16_t port;
    struct address a;
    int fd;

    if (!address_split(text, &host, &port))
        return say_why(why,
            "'" STR_FMT "' is not an address to listen on; write HOST:PORT, [IPV6]:PORT, :PORT or "
            "unix:/path",
            STR_ARG(text));
    if (host.n == 0) {
        CHECK(address_parse(S("::"), port, &a));
        fd = open_tcp(text, &a, false, ret_bound);
        if (fd >= 0)
            return fd;
        if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
            return explain_bind(text, why);
        host = S("0.0.0.0");    /* a machine without IPv6 */
    }
    if (!find_host(host, port, &a))
        return say_why(why, "cannot listen on " STR_FMT ": there is no host '" STR_FMT "'",
            STR_ARG(text), STR_ARG(host));
    fd = open_tcp(text, &a, v6_only, ret_bound);
    return fd >= 0 ? fd : explain_bind(text, why);
}

/* A killed process leaves its socket file behind: nobody listens on it. False (errno is ENOTSOCK)
 * when the file is something else. */
static bool
remove_stale(const struct sockaddr_un *sun)
{
    struct stat st;
    int fd;

    if (lstat(sun->sun_path, &st) != 0)
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 && errno == ECONNREFUSED)
        unlink(sun->sun_path);
    close(fd);
    return true;
}

/* User or group by name or number. False when there is no such one. */
static bool
find_id(struct str text, bool group, id_t *ret)
{
    char name[256];
    uint64_t number;

    if (str_u64(text, &number) && number < UINT32_MAX) {
        *ret = (id_t)number;
        return true;
    }
    str_copy_c(name, sizeof(name), text);
    if (group) {
        const struct group *g = getgrnam(name);

        *ret = g != NULL ? g->gr_gid : 0;
        return g != NULL;
    }
    const struct passwd *p = getpwnam(name);
    *ret = p != NULL ? p->pw_uid : 0;
    return p != NULL;
}

/* Mode and owner of a unix socket's file, before anybody can connect. */
static bool
set_access(const char *path, const struct listen_options *o, struct why why)
{
    id_t owner = (id_t)-1, group = (id_t)-1;
    mode_t mode = 0;

    for (size_t i = 0; i < o->unix_mode.n; i++)
        mode = mode * 8 + (mode_t)(o->unix_mode.p[i] - '0');
    if (o->unix_owner.n != 0 && !find_id(o->unix_owner, false, &owner)) {
        say_why(why, "cannot listen on %s: there is no user '" STR_FMT "' (server.unix_owner)",
            path, STR_ARG(o->unix_owner));
        return false;
    }
    if (o->unix_group.n != 0 && !find_id(o->unix_group, true, &group)) {
        say_why(why, "cannot listen on %s: there is no group '" STR_FMT "' (server.unix_group)",
            path, STR_ARG(o->unix_group));
        return false;
    }
    if ((owner != (id_t)-1 || group != (id_t)-1) && chown(path, owner, group) != 0) {
        say_why(why,
            "cannot give %s to the user or group of server.unix_owner and unix_group: %s; "
            "start as root, or name a group that this user is in",
            path, strerror(errno));
        return false;
    }
    if (o->unix_mode.n != 0 && chmod(path, mode) != 0) {
        say_why(why, "cannot set the permissions of %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* A lock on the folder of a unix socket: two processes that start at once must not take each
 * other's new file for a stale one. -1: none can be had, as in a folder that we may not read. */
static int
lock_folder(struct str path)
{
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    size_t n = path.n;
    int fd;

    while (n > 1 && path.p[n - 1] != '/')
        n--;
    str_copy_c(folder, sizeof(folder), str_make(path.p, n));
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && i < LOCK_TRIES; i++)
        usleep(LOCK_PAUSE_US);    /* not for ever: anybody who may read the folder can lock it */
    return fd;
}

static int
open_unix_locked(struct str text, struct sockaddr_un *sun, const struct listen_options *o,
    struct stat *ret, struct why why)
{
    int fd;

    if (!remove_stale(sun)) {
        (void)explain_bind_unix(text, why);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)sun, sizeof(*sun)) != 0) {
        (void)explain_bind_unix(text, why);
    } else if (!set_access(sun->sun_path, o, why)) {
        (void)unlink(sun->sun_path);
    } else if (listen(fd, BACKLOG) != 0 || lstat(sun->sun_path, ret) != 0) {
        (void)explain_bind_unix(text, why);
        (void)unlink(sun->sun_path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int
open_unix(struct str text, struct str path, const struct listen_options *o,
    struct bound **ret_bound, struct why why)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct stat st;

    if (path.n == 0 || path.n >= sizeof(sun.sun_path))
        return say_why(why, "cannot listen on " STR_FMT ": the path must have 1 to %zu bytes",
            STR_ARG(text), sizeof(sun.sun_path) - 1);
    str_copy_c(sun.sun_path, sizeof(sun.sun_path), path);
    int lock = lock_folder(path);
    int fd = open_unix_locked(text, &sun, o, &st, why);
    if (lock >= 0)
        close(lock);
    if (fd < 0)
        return -1;
    *ret_bound = bound_add(path, fd);
    (*ret_bound)->device = st.st_dev;
    (*ret_bound)->inode = st.st_ino;
    return fd;
}

/* A descriptor that was handed to this process, listening already. */
static int
open_inherited(struct str text, struct str number, struct bound **ret_bound, struct why why)
{
    uint64_t fd;
    int listening = 0;
    socklen_t len = sizeof(listening);

    if (!str_u64(number, &fd) || fd > INT_MAX ||
        getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
        return say_why(
            why, "cannot listen on " STR_FMT ": it is not a listening socket", STR_ARG(text));
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    *ret_bound = bound_add(number, (int)fd);
    (*ret_bound)->inherited = true;
    return (int)fd;
}

/* Opened once, shared by the workers. */
static int
open_shared(
    struct str text, const struct listen_options *o, struct bound **ret_bound, struct why why)
{
    bool is_unix = str_starts(text, S("unix:"));
    struct str name = str_skip(text, is_unix ? 5 : 3);
    int fd;

    uv_mutex_lock(&bounds_lock);
    struct bound *b = bound_find(name);
    if (b != NULL) {
        b->holders++;
        *ret_bound = b;
        fd = b->fd;
    } else {
        fd = is_unix ? open_unix(text, name, o, ret_bound, why)
                     : open_inherited(text, name, ret_bound, why);
    }
    uv_mutex_unlock(&bounds_lock);
    return fd;
}

static int
open_address(
    struct str text, const struct listen_options *o, struct bound **ret_bound, struct why why)
{
    if (str_starts(text, S("unix:")) || str_starts(text, S("fd:")))
        return open_shared(text, o, ret_bound, why);
    return open_host_port(text, o->v6_only, ret_bound, why);
}

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
    timer_set(li->timer, ms);
}

/* Half of the limit, after what is open and is not a connection, and a reserve. */
static uint64_t
find_callers_most(void)
{
    struct rlimit limit;
    uint64_t open = 0, connections = sock_open_count(), taken;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    for (int fd = 0; fd < (int)MIN(limit.rlim_cur, (rlim_t)SCAN_MOST); fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    taken = RESERVE + open - MIN(open, connections);
    return MAX((limit.rlim_cur - MIN(limit.rlim_cur, taken)) / 2, (uint64_t)CALLERS_LEAST);
}

/* It is computed again at the next connection. */
static void
forget_callers_most(void)
{
    atomic_store_explicit(&callers_most, 0, memory_order_relaxed);
}

/* Closes idle connections, if there are any. */
static bool
make_room(struct listener *li)
{
    return li->make_room != NULL && li->make_room(li->owner);
}

/* Whether callers may have one more descriptor. */
static bool
has_room(struct listener *li)
{
    uint64_t most = atomic_load_explicit(&callers_most, memory_order_relaxed);
    struct rlimit now = { 0, 0 };

    if (getrlimit(RLIMIT_NOFILE, &now) == 0 &&    /* an operator may change it, with prlimit */
        now.rlim_cur != atomic_load_explicit(&limit_seen, memory_order_relaxed))
        most = 0;
    if (UNLIKELY(most == 0)) {
        atomic_store_explicit(&limit_seen, now.rlim_cur, memory_order_relaxed);
        most = find_callers_most();
        atomic_store_explicit(&callers_most, most, memory_order_relaxed);
    }
    return LIKELY(sock_accepted_count() < most) || make_room(li);
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
        atomic_fetch_add_explicit(&shed_count, 1, memory_order_relaxed);
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
        forget_callers_most();    /* the limit may have been raised */
        atomic_fetch_add_explicit(&crowds, 1, memory_order_relaxed);
        pause_accepting(li, CROWD_REST_MS);
        return false;
    }
    fd = accept4(li->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return shed_or_pause(li);    /* what is left of the limit is in use, too */
    if (fd < 0)
        return false;
    atomic_fetch_add_explicit(&shed_count, 1, memory_order_relaxed);
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

    if (!li->finishing && !has_room(li))    /* at the end, all that wait are accepted */
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
        forget_callers_most();    /* the limit may have been lowered */
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
        for (int i = 0; i < BACKLOG && !li->shut && accept_one(li); i++)
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
    uv_mutex_lock(&bounds_lock);
    bound_unlink(li->bound);
    uv_mutex_unlock(&bounds_lock);
    timer_set(li->timer, LAST_CALL_MS);
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
    timer_destroy(li->timer);
    tls_context_unref(li->tls);
    li->closed = true;
    if (li->unpolled)
        listener_free(li);
}

/* --- the public interface --- */

struct listener *
listen_open_with(struct loop *l, struct str address, const struct listen_options *options,
    struct tls_context *tls, listen_accept_fn *accept, void *owner, char *why, size_t why_size)
{
    struct bound *bound = NULL;

    uv_once(&bounds_once, bounds_init);
    int fd = open_address(address, options, &bound, (struct why){ why, why_size });
    if (fd < 0)
        return NULL;

    CHECK(bound != NULL);
    struct listener *li = check_alloc(calloc(1, sizeof(*li)));
    if (uv_poll_init(&l->uv, &li->poll, fd) != 0) {
        say_why((struct why){ why, why_size }, "cannot listen twice on " STR_FMT, STR_ARG(address));
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
    li->timer = timer_create_on(l, on_timer, li);
    li->address = bound_address(fd, address, &li->is_tcp);
    update_polling(li);
    return li;
}

struct listener *
listen_open(struct loop *l, struct str address, struct tls_context *tls, listen_accept_fn *accept,
    void *owner, char *why, size_t why_size)
{
    static const struct listen_options usual = { .v6_only = false };

    return listen_open_with(l, address, &usual, tls, accept, owner, why, why_size);
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

unsigned
listen_crowds(void)
{
    return atomic_load_explicit(&crowds, memory_order_relaxed);
}

uint64_t
listen_shed_count(void)
{
    return atomic_load_explicit(&shed_count, memory_order_relaxed);
}
