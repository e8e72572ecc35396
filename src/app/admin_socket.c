/* admin_socket.c - opens the socket of the admin API, now or later. */
#include "app/admin_socket.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* Does a gateway answer there that is draining, so that it will let go of the socket? Waits for it, at
 * most a second. */
static bool
is_draining(struct str path)
{
    static const char ask[] = "GET /admin/v1/status HTTP/1.1\r\nHost: gateway\r\nConnection: "
                              "close\r\n\r\n";
    const struct timeval second = { .tv_sec = 1 };
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char answer[4096];    /* the state is among its first members */
    size_t n = 0;
    ssize_t more = 0;

    if (path.n >= sizeof(at.sun_path))
        return false;
    str_copy_c(at.sun_path, sizeof(at.sun_path), path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second)) == 0 &&
        connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
        send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(ask) - 1) {
        do {
            more = recv(fd, answer + n, sizeof(answer) - n, 0);
            n += (size_t)MAX(more, 0);
        } while (more > 0 && n < sizeof(answer));
    }
    (void)close(fd);
    struct str said = str_make(answer, n);
    return str_find(said, S("\"state\":\"draining\"")) != said.n;
}

static bool
take(struct admin_socket *s, struct why why)
{
    if (!worker_hold_local(s->path, &s->held, why))
        return false;
    for (unsigned i = 0; i < s->count; i++)
        worker_open_local(s->workers[i], s->path);
    return true;
}

bool
admin_socket_open(struct admin_socket *s, struct str setting, struct str path)
{
    char why[512];

    s->path = path;
    if (path.n == 0 || take(s, WHY(why)))
        return true;
    if (is_draining(path)) {
        log_info(NULL,
            "the admin socket " STR_FMT
            " is that of a gateway that drains: it is taken over when that ends",
            STR_ARG(path));
        return true;
    }
    if (str_eq(setting, S("auto"))) {
        log_warn(NULL,
            "the admin socket of `openclaw status` cannot be opened: %s; it is tried again every "
            "second; to set its path, or to do without it, write server.admin_socket",
            why);
        return true;
    }
    (void)fprintf(stderr, "openclaw: server.admin_socket: %s\n", why);
    return false;
}

void
admin_socket_retry(struct admin_socket *s)
{
    char why[512];

    if (s->path.n != 0 && s->held == NULL && take(s, WHY(why)))
        log_info(NULL, "the admin socket is open now: " STR_FMT, STR_ARG(s->path));
}

void
admin_socket_close(struct admin_socket *s)
{
    listen_hold_drop(s->held);
    s->held = NULL;
}
