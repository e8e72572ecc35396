/* fixture.h - real sockets on loopback for the tests of net/: a loop, a listener, both ends. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/dial.h"
#include "net/listen.h"
#include "net/loop_priv.h"
#include "net/sock_priv.h"
#include "net/timer.h"

#include "tests/test.h"

enum { PATIENCE_MS = 60000 };    /* with a machine that is busy with other things */

/* One end of a connection, and everything its owner was told. */
struct end {
    struct sock *sock;
    struct buf in;
    bool eof;
    unsigned drained;
    enum err failed;
    char detail[256];
    unsigned datas;         /* calls of `data` */
    unsigned stop_after;    /* stops reading after as many; 0: never */
};

static UNUSED void
tick_noop(void *arg)
{
    (void)arg;
}

/* Turns the loop until `condition` holds or patience ends; then the test fails at its
 * expectation. The first turn does not wait: what was deferred to its end may be all that is needed. */
#define RUN_UNTIL(loop, condition)                                                                 \
    do {                                                                                           \
        struct timer tick;                                                                         \
        timer_init(&tick, (loop), tick_noop, NULL);                                                \
        uint64_t give_up_ms = clock_now_ms() + PATIENCE_MS;                                        \
        if (!(condition))                                                                          \
            uv_run(&(loop)->uv, UV_RUN_NOWAIT);                                                    \
        while (!(condition) && clock_now_ms() < give_up_ms) {                                      \
            timer_set(&tick, 20);                                                                  \
            uv_run(&(loop)->uv, UV_RUN_ONCE);                                                      \
        }                                                                                          \
        timer_stop(&tick);                                                                         \
        EXPECT(condition);                                                                         \
    } while (0)

/* Turns the loop for a while, for what must not happen. */
#define RUN_FOR_MS(loop, ms)                                                                       \
    do {                                                                                           \
        uint64_t end_ms = clock_now_ms() + (ms);                                                   \
        RUN_UNTIL((loop), clock_now_ms() >= end_ms);                                               \
    } while (0)

static void
end_data(void *owner, struct str bytes)
{
    struct end *e = owner;

    buf_add(&e->in, bytes);
    e->datas++;
    if (e->stop_after != 0 && e->datas >= e->stop_after)
        sock_read_stop(e->sock);
}

static void
end_eof(void *owner)
{
    ((struct end *)owner)->eof = true;
}

static void
end_drained(void *owner)
{
    ((struct end *)owner)->drained++;
}

static void
end_failed(void *owner, enum err why, const char *detail)
{
    struct end *e = owner;

    EXPECT(e->failed == OK);    /* once only */
    e->failed = why;
    str_copy_c(e->detail, sizeof(e->detail), str_c(detail));
}

static UNUSED const struct sock_events end_events = {
    .data = end_data,
    .eof = end_eof,
    .drained = end_drained,
    .failed = end_failed,
};

static UNUSED void
end_take(struct end *e, struct sock *s)
{
    e->sock = s;
    buf_init(&e->in, SIZE_MAX);
    sock_own(s, &end_events, e);
}

/* A listener whose first connection becomes an end, and a dialled end. */
struct pair {
    struct loop *loop;
    struct listener *listener;
    struct origin *origin;
    struct end server, client;
    void (*greet)(struct end *server);    /* what the server does at once; may be NULL */
    enum err why;
    char detail[256];
};

static UNUSED void
pair_accept(void *owner, struct sock *s)
{
    struct pair *p = owner;

    if (p->server.sock != NULL) {
        sock_close(s);
        return;
    }
    end_take(&p->server, s);
    if (p->greet != NULL)
        p->greet(&p->server);
    sock_read_start(s);
}

static UNUSED void
pair_dialled(void *arg, struct sock *s)
{
    struct pair *p = arg;

    end_take(&p->client, s);
    sock_read_start(s);
}

static UNUSED void
pair_not_dialled(void *arg, enum err why, const char *detail)
{
    struct pair *p = arg;

    p->why = why;
    str_copy_c(p->detail, sizeof(p->detail), str_c(detail));
}

static UNUSED struct origin *
test_origin(const char *scheme, const char *address, struct tls_context *tls)
{
    char url[256], why[256] = "";
    struct str path;

    snprintf(url, sizeof(url), "%s://%s", scheme, address);
    struct origin *o = origin_create(str_c(url), tls, &path, WHY(why));
    EXPECT_STR(str_c(why), "");
    EXPECT(o != NULL);
    return o;
}

/* Listens and dials `host` (the listener's address when NULL); does not wait. */
static UNUSED void
pair_start(struct pair *p, struct tls_context *server_tls, struct tls_context *client_tls,
    const char *host)
{
    char why[256] = "", address[128];

    memset(p, 0, sizeof(*p));
    p->loop = loop_create();
    p->listener = listen_open(p->loop, S("127.0.0.1:0"), server_tls, pair_accept, p, WHY(why));
    EXPECT_STR(str_c(why), "");
    EXPECT(p->listener != NULL);
    struct str bound = listen_address(p->listener);
    str_copy_c(address, sizeof(address), bound);
    if (host != NULL)
        snprintf(address, sizeof(address), "%s%s", host, strchr(bound.p, ':'));
    p->origin = test_origin(client_tls != NULL ? "https" : "http", address, client_tls);
    dial_start(p->loop, p->origin, 0, 5000, pair_dialled, pair_not_dialled, p);
}

/* Two plain ends, connected and reading. */
static UNUSED void
pair_open(struct pair *p)
{
    pair_start(p, NULL, NULL, NULL);
    RUN_UNTIL(p->loop, p->server.sock != NULL && p->client.sock != NULL);
}

static UNUSED void
pair_close(struct pair *p)
{
    sock_close(p->server.sock);
    sock_close(p->client.sock);
    listen_close(p->listener);
    loop_destroy(p->loop);
    origin_destroy(p->origin);
    buf_fini(&p->server.in);
    buf_fini(&p->client.in);
}
