/* server_world.h - for tests: a server on a loop of its own, whose handler has a path for every
 * case. */
#pragma once

#include "http/server.h"
#include "tests/unit/http/loopback.h"

struct world {
    struct loopback lb;
    struct server *server;
    struct listener *listener;
    struct server_limits limits;
    atomic_uint requests;
    atomic_uint gone;
    atomic_uint writable;
    atomic_uint bodies;
    atomic_uint failures;
    atomic_uint go;       /* a test lets the loop go on */
    atomic_uint looks;    /* of what a test posted */
    size_t backlog;
    struct server_conn *held;    /* of /hold */
};

static const struct server_limits test_limits = {
    .head_bytes = 8192,
    .line_bytes = 2048,
    .fields = 50,
    .body_bytes = 8 * 1024 * 1024,
    .head_ms = 10000,
    .idle_ms = 10000,
    .body_grace_ms = 10000,
    .body_rate_bytes_per_s = 1024,
    .write_stall_ms = 10000,
    .connections = 1000,
};

enum { BLOCK_BYTES = 16 * 1024 * 1024 };    /* more than the kernel takes at once */

static const struct str text_type = S_INIT("Content-Type: text/plain\r\n");

static inline void
answer_echo(struct server_conn *q)
{
    server_answer(q, 200, text_type, server_body(q));
}

static inline void
stream(struct server_conn *q, int64_t length)
{
    struct str pieces[] = { S("one "), S("two "), S("three") };

    server_respond(q, 200, text_type, length);
    server_write_pieces(q, pieces, 2);
    server_flush(q);
    server_write(q, pieces[2]);
    server_end(q, S(""));
}

/* Writes until the caller must wait, and goes on when it may. */
static inline void
pour(struct server_conn *q, size_t *left)
{
    static char block[10000];

    while (*left != 0 && server_backlog(q) <= SERVER_HIGH_WATERMARK_BYTES) {
        size_t n = MIN(sizeof(block), *left);

        server_write(q, str_make(block, n));
        *left -= n;
    }
    if (*left == 0) {
        free(left);
        server_end(q, S(""));
    }
}

static inline void
start_pouring(struct server_conn *q)
{
    size_t *left = malloc(sizeof(*left));

    EXPECT(left != NULL);
    *left = 20 * 1024 * 1024;
    server_set_user(q, left);
    server_respond(q, 200, text_type, (int64_t)*left);
    pour(q, left);
}

static inline void
receive_here(void *request)
{
    struct server_conn *q = request;

    if (server_receive(q))
        answer_echo(q);
}

static inline void
on_request(void *owner, struct server_conn *q)
{
    struct world *w = owner;
    struct str path = server_head(q)->path;

    atomic_fetch_add(&w->requests, 1);
    if (str_eq(path, S("/stream"))) {
        stream(q, -1);
    } else if (str_eq(path, S("/sized"))) {
        stream(q, 13);
    } else if (str_eq(path, S("/short"))) {
        stream(q, 100);
    } else if (str_eq(path, S("/empty"))) {
        server_respond(q, 204, (struct str){ NULL, 0 }, -1);
        server_end(q, S(""));
    } else if (str_eq(path, S("/refuse"))) {
        server_answer(q, 401, text_type, S("no"));
    } else if (str_eq(path, S("/abort"))) {
        server_abort(q);
    } else if (str_eq(path, S("/cut"))) {
        server_respond(q, 200, text_type, -1);
        server_write(q, S("some"));
        server_flush(q);
        server_abort(q);
    } else if (str_eq(path, S("/hold"))) {
        server_respond(q, 200, text_type, -1);
        server_write(q, S("held"));
        w->held = q;
    } else if (str_eq(path, S("/pour"))) {
        start_pouring(q);
    } else if (str_eq(path, S("/block"))) {
        static char block[BLOCK_BYTES];

        server_answer(q, 200, text_type, str_make(block, sizeof(block)));
    } else if (str_eq(path, S("/late"))) {
        loop_post(w->lb.loop, receive_here, q);
    } else if (server_receive(q)) {
        answer_echo(q);
    }
}

static inline void
on_body(void *owner, struct server_conn *q)
{
    struct world *w = owner;

    atomic_fetch_add(&w->bodies, 1);
    answer_echo(q);
}

static inline void
on_body_failed(void *owner, struct server_conn *q, enum err why)
{
    struct world *w = owner;

    atomic_fetch_add(&w->failures, 1);
    server_answer(q, err_row(why)->status, text_type, str_c(err_row(why)->code));
}

static inline void
on_writable(void *owner, struct server_conn *q)
{
    struct world *w = owner;

    atomic_fetch_add(&w->writable, 1);
    pour(q, server_user(q));
}

static inline void
on_gone(void *owner, struct server_conn *q)
{
    struct world *w = owner;

    if (str_eq(server_head(q)->path, S("/pour")))
        free(server_user(q));
    atomic_fetch_add(&w->gone, 1);
}

static void
on_refused(void *owner UNUSED, const struct server_conn *q, enum err why, const char *detail,
    struct buf *fields, struct buf *body)
{
    EXPECT(server_peer(q).n != 0);
    buf_add(fields, S("Content-Type: text/plain\r\n"));
    buf_printf(body, "%s: %s", err_row(why)->code, detail);
}

static const struct server_handler handler = {
    .request = on_request,
    .body = on_body,
    .body_failed = on_body_failed,
    .writable = on_writable,
    .gone = on_gone,
    .refused = on_refused,
};

static inline void
open_world(struct loopback *lb)
{
    struct world *w = lb->user;
    char why[200];

    w->server = server_create(lb->loop, &handler, w);
    server_set_limits(w->server, &w->limits);
    w->listener = listen_open(lb->loop, S("127.0.0.1:0"), NULL, server_accept, w->server, WHY(why));
    if (w->listener == NULL)
        print_error("%s\n", why);
    lb->port = w->listener != NULL ? port_of(listen_address(w->listener)) : 0;
}

static inline void
close_world(struct loopback *lb)
{
    struct world *w = lb->user;

    listen_close(w->listener);
    server_destroy(w->server);
}

static inline struct world *
new_world(const struct server_limits *limits)
{
    struct world *w = calloc(1, sizeof(*w));

    EXPECT(w != NULL);
    w->limits = *limits;
    w->lb.user = w;
    w->lb.open = open_world;
    w->lb.close = close_world;
    loopback_start(&w->lb);
    EXPECT(w->lb.port != 0);
    return w;
}

static inline void
end_world(struct world *w)
{
    loopback_stop(&w->lb);
    free(w);
}

static inline int
call(struct world *w, struct str bytes)
{
    int fd = peer_connect(w->lb.port);

    EXPECT(peer_send(fd, bytes));
    return fd;
}

static inline int
status_of(struct str answer)
{
    uint64_t status = 0;

    if (!str_starts(answer, S("HTTP/1.1 ")) || answer.n < 12)
        return 0;
    (void)str_u64(str_make(answer.p + 9, 3), &status);
    return (int)status;
}

/* The last answer of several: behind a 100 Continue. */
static inline struct str
last_answer(struct str s)
{
    while (str_starts(s, S("HTTP/1.1 100 ")))
        s = str_skip(s, str_find(s, S("\r\n\r\n")) + 4);
    return s;
}

static inline struct str
body_of(struct str answer)
{
    return str_skip(answer, str_find(answer, S("\r\n\r\n")) + 4);
}

static inline bool
contains(const struct buf *b, const char *what)
{
    return str_find(buf_str(b), str_c(what)) != buf_len(b);
}

#define GET_CLOSE(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define GET_KEEP(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* Sends, reads to the end, and gives the whole of what came. */
static inline struct str
exchange(struct world *w, struct str bytes, struct buf *b)
{
    int fd = call(w, bytes);

    buf_init(b, 64 << 20);
    EXPECT_INT(peer_recv_all(fd, b), PEER_CLOSED);
    close(fd);
    return buf_str(b);
}

static inline void
finish_held(void *arg)
{
    struct world *w = arg;

    server_write(w->held, S(" and let go"));
    server_end(w->held, S(""));
}
