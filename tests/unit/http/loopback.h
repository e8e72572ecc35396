/* loopback.h - for tests: a server on a loop of its own, and plain blocking sockets to talk to
 * it. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/listen.h"
#include "tests/test.h"

enum { PATIENCE_MS = 60000 };    /* with a machine that is busy with other things */

/* --- sockets --- */

static inline int
peer_connect(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT(fd >= 0);
    EXPECT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

/* A listening socket, and the port of any. */
static inline int
peer_listen(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0);
    return fd;
}

static inline uint16_t
peer_port(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);

    EXPECT(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    return ntohs(a.sin_port);
}

/* The next connection to it; -1 when none comes. */
static inline int
peer_next(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, PATIENCE_MS) == 1 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1;
}

/* False when the other side does not take it all. */
static inline bool
peer_send(int fd, struct str s)
{
    while (s.n != 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        s = str_skip(s, (size_t)n);
    }
    return true;
}

/* What peer_recv() came to. */
enum peer_end { PEER_MORE, PEER_CLOSED, PEER_RESET, PEER_SILENT };

/* Appends what comes next; waits for at most `patience_ms`. */
static inline enum peer_end
peer_recv(int fd, struct buf *b, int patience_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    if (poll(&p, 1, patience_ms) == 0)
        return PEER_SILENT;
    char *room = buf_reserve(b, 16384);
    EXPECT(room != NULL);
    ssize_t n = recv(fd, room, 16384, 0);
    if (n > 0)
        buf_commit(b, (size_t)n);
    if (n < 0)
        return PEER_RESET;
    return n == 0 ? PEER_CLOSED : PEER_MORE;
}

/* Reads until the connection ends. */
static inline enum peer_end
peer_recv_all(int fd, struct buf *b)
{
    enum peer_end end = PEER_MORE;

    while (end == PEER_MORE)
        end = peer_recv(fd, b, PATIENCE_MS);
    return end;
}

/* Reads until `what` has come. */
static inline bool
peer_await(int fd, struct buf *b, const char *what)
{
    size_t searched = 0;    /* what cannot be part of it is not searched again */

    for (;;) {
        struct str rest = str_skip(buf_str(b), searched);

        if (str_find(rest, str_c(what)) != rest.n)
            return true;
        searched = buf_len(b) - MIN(buf_len(b), strlen(what));
        if (peer_recv(fd, b, PATIENCE_MS) != PEER_MORE)
            return false;
    }
}

static inline void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Waits until the counter that another thread moves has the value. */
static inline bool
becomes(atomic_uint *counter, unsigned value)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(counter) != value; i++)
        pause_ms(1);
    return atomic_load(counter) == value;
}

/* --- a loop on its own thread --- */

struct loopback {
    struct thread *thread;
    struct loop *loop;
    atomic_uint ready;
    void (*open)(struct loopback *lb);    /* on the loop's thread */
    void (*close)(struct loopback *lb);
    uint16_t port;
    void *user;
};

static inline void
loopback_main(void *arg)
{
    struct loopback *lb = arg;

    lb->loop = loop_create();
    lb->open(lb);
    atomic_store(&lb->ready, 1);
    loop_run(lb->loop);
    lb->close(lb);
    loop_destroy(lb->loop);
}

static inline void
loopback_stop_here(void *arg)
{
    struct loopback *lb = arg;

    loop_stop(lb->loop);
}

static inline void
loopback_start(struct loopback *lb)
{
    lb->thread = thread_start("loopback", loopback_main, lb);
    EXPECT(becomes(&lb->ready, 1));
}

static inline void
loopback_stop(struct loopback *lb)
{
    loop_post(lb->loop, loopback_stop_here, lb);
    thread_join(lb->thread);
}

/* The port of "127.0.0.1:1234". */
static inline uint16_t
port_of(struct str address)
{
    struct str host;
    struct str port;
    uint64_t n = 0;

    EXPECT(str_cut(address, ':', &host, &port));
    EXPECT(str_u64(port, &n));
    return (uint16_t)n;
}
