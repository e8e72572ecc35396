/* listen_open.c - opens the sockets of listeners, and knows which addresses the process has open.
 *
 * Each worker has a TCP socket of its own for the same address (SO_REUSEPORT); they share the
 * descriptor of a Unix socket, and of one that was inherited.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listen_priv.h"

enum {
    LOCK_TRIES = 20,
    LOCK_PAUSE_US = 50 * 1000,
};

static uv_once_t bounds_once = UV_ONCE_INIT;
static uv_mutex_t bounds_lock;
static struct bound *bounds;

/* For functions that return a descriptor: -1. */
#define say_why(...) (why_say(__VA_ARGS__) ? 0 : -1)

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

void
bound_forget(struct bound *b)
{
    uv_mutex_lock(&bounds_lock);
    bound_unlink(b);
    uv_mutex_unlock(&bounds_lock);
}

void
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
    if (bind(fd, &a->any, address_len(a)) != 0 || (share && listen(fd, LISTEN_BACKLOG) != 0)) {
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
char *
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
 * SO_REUSEPORT would let a second, unrelated process take part of our traffic unnoticed. So the
 * first listener of this process makes sure that it would get the address without it, too. */
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
    } else if (listen(fd, LISTEN_BACKLOG) != 0 || lstat(sun->sun_path, ret) != 0) {
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

int
bound_open(
    struct str text, const struct listen_options *o, struct bound **ret_bound, struct why why)
{
    uv_once(&bounds_once, bounds_init);
    if (str_starts(text, S("unix:")) || str_starts(text, S("fd:")))
        return open_shared(text, o, ret_bound, why);
    return open_host_port(text, o->v6_only, ret_bound, why);
}

bool
listen_hold(
    struct str address, const struct listen_options *options, struct bound **ret, struct why why)
{
    CHECK(str_starts(address, S("unix:")));
    return bound_open(address, options, ret, why) >= 0;
}

void
listen_hold_drop(struct bound *b)
{
    if (b != NULL)
        bound_release(b);
}
