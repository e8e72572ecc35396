/* test_server.c - requests over real connections: what is answered, what is refused, and who waits. */
#include "http/server.c"

#include "tests/unit/http/loopback.h"
#include "tests/unit/http/raw_requests.h"

/* --- a handler with a path for every case --- */

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
    struct server_request *held; /* of /hold */
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

static const struct str text_type = S_INIT("Content-Type: text/plain\r\n");

static void
answer_echo(struct server_request *q)
{
    server_answer(q, 200, text_type, server_body(q));
}

static void
stream(struct server_request *q, int64_t length)
{
    struct str pieces[] = { S("one "), S("two "), S("three") };

    server_respond(q, 200, text_type, length);
    server_write_pieces(q, pieces, 2);
    server_flush(q);
    server_write(q, pieces[2]);
    server_end(q);
}

/* Writes until the caller must wait, and goes on when it may. */
static void
pour(struct server_request *q, size_t *left)
{
    static char block[10000];

    while (*left != 0 && server_backlog(q) <= SERVER_HIGH_WATERMARK_BYTES) {
        size_t n = MIN(sizeof(block), *left);

        server_write(q, str_make(block, n));
        *left -= n;
    }
    if (*left == 0) {
        free(left);
        server_end(q);
    }
}

static void
start_pouring(struct server_request *q)
{
    size_t *left = malloc(sizeof(*left));

    EXPECT(left != NULL);
    *left = 20 * 1024 * 1024;
    server_set_user(q, left);
    server_respond(q, 200, text_type, (int64_t)*left);
    pour(q, left);
}

static void
on_request(void *owner, struct server_request *q)
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
        server_end(q);
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
    } else if (server_receive(q)) {
        answer_echo(q);
    }
}

static void
on_body(void *owner, struct server_request *q)
{
    struct world *w = owner;

    atomic_fetch_add(&w->bodies, 1);
    answer_echo(q);
}

static void
on_body_failed(void *owner, struct server_request *q, enum err why)
{
    struct world *w = owner;

    atomic_fetch_add(&w->failures, 1);
    server_answer(q, err_row(why)->status, text_type, str_c(err_row(why)->code));
}

static void
on_writable(void *owner, struct server_request *q)
{
    struct world *w = owner;

    atomic_fetch_add(&w->writable, 1);
    pour(q, server_user(q));
}

static void
on_gone(void *owner, struct server_request *q)
{
    struct world *w = owner;

    if (str_eq(server_head(q)->path, S("/pour")))
        free(server_user(q));
    atomic_fetch_add(&w->gone, 1);
}

static const char *
on_malformed(void *owner, enum err why, const char *detail, struct buf *body)
{
    (void)owner;
    buf_printf(body, "%s: %s", err_row(why)->code, detail);
    return "text/plain";
}

static const struct server_handler handler = {
    .request = on_request,
    .body = on_body,
    .body_failed = on_body_failed,
    .writable = on_writable,
    .gone = on_gone,
    .malformed = on_malformed,
};

static void
open_world(struct loopback *lb)
{
    struct world *w = lb->user;
    char why[200];

    w->server = server_create(lb->loop, &handler, w);
    server_set_limits(w->server, &w->limits);
    w->listener =
        listen_open(lb->loop, S("127.0.0.1:0"), NULL, server_accept, w->server, why, sizeof(why));
    if (w->listener == NULL)
        print_error("%s\n", why);
    lb->port = w->listener != NULL ? port_of(listen_address(w->listener)) : 0;
}

static void
close_world(struct loopback *lb)
{
    struct world *w = lb->user;

    listen_close(w->listener);
    server_destroy(w->server);
}

static struct world *
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

static void
end_world(struct world *w)
{
    loopback_stop(&w->lb);
    free(w);
}

static int
call(struct world *w, struct str bytes)
{
    int fd = peer_connect(w->lb.port);

    EXPECT(peer_send(fd, bytes));
    return fd;
}

static int
status_of(struct str answer)
{
    uint64_t status = 0;

    if (!str_starts(answer, S("HTTP/1.1 ")) || answer.n < 12)
        return 0;
    (void)str_u64(str_make(answer.p + 9, 3), &status);
    return (int)status;
}

/* The last answer of several: behind a 100 Continue. */
static struct str
last_answer(struct str s)
{
    while (str_starts(s, S("HTTP/1.1 100 ")))
        s = str_skip(s, str_find(s, S("\r\n\r\n")) + 4);
    return s;
}

static struct str
body_of(struct str answer)
{
    return str_skip(answer, str_find(answer, S("\r\n\r\n")) + 4);
}

static bool
contains(const struct buf *b, const char *what)
{
    return str_find(buf_str(b), str_c(what)) != buf_len(b);
}

#define GET_CLOSE(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define GET_KEEP(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* Sends, reads to the end, and gives the whole of what came. */
static struct str
exchange(struct world *w, struct str bytes, struct buf *b)
{
    int fd = call(w, bytes);

    buf_init(b, 64 << 20);
    EXPECT_INT(peer_recv_all(fd, b), PEER_CLOSED);
    close(fd);
    return buf_str(b);
}

/* --- strictness --- */

/* One raw request on its own connection. A taken one is answered and the connection stays usable; a
 * refused one is answered and the connection is closed. */
static void
check_raw(struct world *w, const struct raw_request *r, bool byte_by_byte)
{
    struct buf b;
    int fd = peer_connect(w->lb.port);

    buf_init(&b, 1 << 20);
    if (byte_by_byte) {
        int one = 1;

        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
        for (size_t i = 0; i < r->bytes.n; i++) {
            if (!peer_send(fd, str_make(r->bytes.p + i, 1)))
                break; /* refused already */
        }
    } else {
        EXPECT(peer_send(fd, r->bytes));
    }
    while (last_answer(buf_str(&b)).n == 0 && peer_recv(fd, &b, PATIENCE_MS) == PEER_MORE)
        continue;
    if (status_of(last_answer(buf_str(&b))) != r->status)
        print_error("%s: " STR_FMT "\n", r->name, STR_ARG(buf_str(&b)));
    EXPECT_INT(status_of(last_answer(buf_str(&b))), r->status);
    if (r->status != 200) {
        EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
        EXPECT(contains(&b, "Connection: close\r\n"));
    }
    close(fd);
    buf_fini(&b);
}

TEST(every_raw_request_gets_its_status_over_a_connection)
{
    struct world *w = new_world(&test_limits);

    for (size_t i = 0; i < ARRAY_LEN(raw_requests); i++)
        check_raw(w, &raw_requests[i], false);
    end_world(w);
}

TEST(every_raw_request_gets_its_status_over_a_connection_byte_by_byte)
{
    struct world *w = new_world(&test_limits);

    for (size_t i = 0; i < ARRAY_LEN(raw_requests); i++)
        check_raw(w, &raw_requests[i], true);
    end_world(w);
}

TEST(bytes_behind_a_refused_request_are_never_a_request)
{
    struct world *w = new_world(&test_limits);
    struct buf b;

    exchange(w,
        S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
          "0\r\n\r\n" GET_CLOSE("/x")),
        &b);
    EXPECT_INT(status_of(buf_str(&b)), 400);
    EXPECT_INT(atomic_load(&w->requests), 0);
    buf_fini(&b);
    end_world(w);
}

/* --- answers --- */

TEST(a_short_answer_has_its_length_and_a_date)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer = exchange(w,
        S("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"), &b);

    EXPECT(str_starts(answer, S("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: ")));
    EXPECT(contains(&b, " GMT\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"));
    EXPECT_STR(body_of(answer), "hello");
    buf_fini(&b);
    end_world(w);
}

TEST(an_answer_of_unknown_length_is_chunked)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer = exchange(w, S(GET_CLOSE("/stream")), &b);

    EXPECT(contains(&b, "Transfer-Encoding: chunked\r\n"));
    EXPECT_STR(body_of(answer), "8\r\none two \r\n5\r\nthree\r\n0\r\n\r\n");
    buf_fini(&b);
    end_world(w);
}

TEST(an_answer_of_known_length_is_not)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer = exchange(w, S(GET_CLOSE("/sized")), &b);

    EXPECT(contains(&b, "Content-Length: 13\r\n"));
    EXPECT_STR(body_of(answer), "one two three");
    buf_fini(&b);
    end_world(w);
}

TEST(http_1_0_gets_no_chunks)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer =
        exchange(w, S("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &b);

    EXPECT(!contains(&b, "chunked"));
    EXPECT(contains(&b, "Connection: close\r\n"));
    EXPECT_STR(body_of(answer), "one two three");
    buf_fini(&b);
    end_world(w);
}

TEST(http_1_0_may_be_kept_alive)
{
    struct world *w = new_world(&test_limits);
    struct buf b;

    exchange(w,
        S("GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /sized HTTP/1.0\r\n\r\n"), &b);
    EXPECT(contains(&b, "Connection: keep-alive\r\n"));
    EXPECT_INT(atomic_load(&w->requests), 2);
    buf_fini(&b);
    end_world(w);
}

TEST(an_answer_to_head_has_no_body)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer =
        exchange(w, S("HEAD /sized HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &b);

    EXPECT(contains(&b, "Content-Length: 13\r\n"));
    EXPECT_STR(body_of(answer), "");
    buf_fini(&b);
    answer = exchange(w, S("HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &b);
    EXPECT_STR(body_of(answer), "");
    buf_fini(&b);
    end_world(w);
}

TEST(no_content_has_no_framing)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str answer = exchange(w, S(GET_KEEP("/empty") GET_CLOSE("/empty")), &b);

    EXPECT(!contains(&b, "Content-Length") && !contains(&b, "chunked"));
    EXPECT(str_starts(body_of(answer), S("HTTP/1.1 204 ")));
    buf_fini(&b);
    end_world(w);
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct world *w = new_world(&test_limits);
    struct buf b;

    exchange(w,
        S(GET_KEEP("/stream") "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" GET_KEEP(
            "/sized") GET_CLOSE("/refuse")),
        &b);
    EXPECT_INT(atomic_load(&w->requests), 4);
    size_t first = str_find(buf_str(&b), S("three\r\n0"));
    size_t second = str_find(buf_str(&b), S("\r\n\r\nabc"));
    size_t third = str_find(buf_str(&b), S("one two three"));
    size_t fourth = str_find(buf_str(&b), S("401 Unauthorized"));
    EXPECT(first < second && second < third && third < fourth && fourth < buf_len(&b));
    buf_fini(&b);
    end_world(w);
}

static void
finish_held(void *arg)
{
    struct world *w = arg;

    server_write(w->held, S(" and let go"));
    server_end(w->held);
}

TEST(a_pipelined_request_waits_for_the_answer_before_it)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/hold") GET_CLOSE("/sized")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "held"));
    EXPECT_INT(peer_recv(fd, &b, 50), PEER_SILENT);
    EXPECT_INT(atomic_load(&w->requests), 1);
    loop_post(w->lb.loop, finish_held, w);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(atomic_load(&w->requests), 2);
    EXPECT(contains(&b, "one two three"));
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_connection_is_used_for_many_requests)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = peer_connect(w->lb.port);

    buf_init(&b, 1 << 20);
    for (unsigned i = 1; i <= 100; i++) {
        buf_reset(&b, 1 << 20);
        EXPECT(peer_send(fd, S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")));
        EXPECT(peer_await(fd, &b, "\r\n\r\nabc"));
        EXPECT_INT(atomic_load(&w->requests), i);
    }
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(an_abort_before_or_in_an_answer_is_a_reset)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/abort")));

    buf_init(&b, 1 << 20);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_RESET);
    close(fd);
    fd = call(w, S(GET_KEEP("/cut")));
    EXPECT_INT(peer_recv_all(fd, &b), PEER_RESET);
    EXPECT(!contains(&b, "0\r\n\r\n"));
    close(fd);
    EXPECT_INT(atomic_load(&w->gone), 0);
    buf_fini(&b);
    end_world(w);
}

TEST(an_answer_shorter_than_promised_is_a_reset)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/short")));

    buf_init(&b, 1 << 20);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_RESET);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_caller_who_leaves_is_noticed)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/hold")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "held"));
    close(fd);
    EXPECT(becomes(&w->gone, 1));
    buf_fini(&b);
    end_world(w);
}

TEST(a_slow_reader_makes_the_handler_wait)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_CLOSE("/pour")));

    buf_init(&b, 64 << 20);
    pause_ms(100);
    EXPECT_INT(atomic_load(&w->writable), 0);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(body_of(buf_str(&b)).n, 20 * 1024 * 1024);
    EXPECT(atomic_load(&w->writable) > 0);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

/* --- bodies --- */

static struct str
large_request(struct buf *b, size_t n, bool chunked)
{
    buf_init(b, n * 2 + 1000);
    if (chunked)
        buf_printf(b, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n");
    else
        buf_printf(
            b, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i += 1000) {
        char *room = buf_reserve(b, 1010);

        EXPECT(room != NULL);
        if (chunked)
            buf_add(b, S("3e8\r\n"));
        room = buf_reserve(b, 1000);
        memset(room, 'a' + (int)(i / 1000 % 26), 1000);
        buf_commit(b, 1000);
        if (chunked)
            buf_add(b, S("\r\n"));
    }
    if (chunked)
        buf_add(b, S("0\r\n\r\n"));
    return buf_str(b);
}

TEST(a_large_body_arrives_whole)
{
    struct world *w = new_world(&test_limits);

    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf sent;
        struct buf came;
        struct str request = large_request(&sent, 5000000, chunked);
        struct str body = body_of(exchange(w, request, &came));

        EXPECT_INT(body.n, 5000000);
        for (size_t i = 0; i < body.n; i += 1000)
            EXPECT(body.p[i] == 'a' + (int)(i / 1000 % 26) && body.p[i + 999] == body.p[i]);
        buf_fini(&sent);
        buf_fini(&came);
    }
    EXPECT_INT(atomic_load(&w->bodies), 2);
    end_world(w);
}

TEST(a_body_beyond_the_limit_is_413_and_the_sender_hears_it)
{
    struct server_limits limits = test_limits;
    struct world *w = NULL;

    limits.body_bytes = 1000000;
    w = new_world(&limits);
    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf sent;
        struct buf came;
        struct str answer = exchange(w, large_request(&sent, 1500000, chunked), &came);

        EXPECT_INT(status_of(answer), 413);
        EXPECT(contains(&came, "Connection: close\r\n"));
        buf_fini(&sent);
        buf_fini(&came);
    }
    EXPECT_INT(atomic_load(&w->failures), 2);
    end_world(w);
}

TEST(a_length_alone_reserves_nothing)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\nx"));

    buf_init(&b, 1000);
    EXPECT(becomes(&w->requests, 1));
    EXPECT_INT(peer_recv(fd, &b, 20), PEER_SILENT);
    EXPECT(w->server->first->body.cap <= 64 * 1024);
    close(fd);
    EXPECT(becomes(&w->gone, 1));
    buf_fini(&b);
    end_world(w);
}

TEST(an_answer_before_the_body_reaches_a_caller_who_still_sends)
{
    struct world *w = new_world(&test_limits);
    struct buf sent;
    struct buf came;

    large_request(&sent, 3000000, false);
    memcpy(sent.p + sent.head, "POST /refuse ", 13); /* the rest of the line is now malformed */
    buf_fini(&sent);
    buf_init(&sent, 4000000);
    buf_add(&sent, S("POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"));
    for (int i = 0; i < 3000; i++) {
        memset(buf_reserve(&sent, 1000), 'x', 1000);
        buf_commit(&sent, 1000);
    }
    exchange(w, buf_str(&sent), &came);
    EXPECT_INT(status_of(buf_str(&came)), 401);
    EXPECT(contains(&came, "Connection: close\r\n"));
    EXPECT_INT(atomic_load(&w->requests), 1);
    buf_fini(&sent);
    buf_fini(&came);
    end_world(w);
}

TEST(continue_is_sent_when_the_body_is_asked_for)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(
        w, S("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "HTTP/1.1 100 Continue\r\n\r\n"));
    EXPECT_INT(buf_len(&b), 25);
    EXPECT(peer_send(fd, S("hello")));
    EXPECT(peer_await(fd, &b, "\r\n\r\nhello"));
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(continue_is_not_sent_when_nobody_asks)
{
    struct world *w = new_world(&test_limits);
    struct buf b;

    exchange(w,
        S("POST /refuse HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        &b);
    EXPECT_INT(status_of(buf_str(&b)), 401);
    buf_fini(&b);
    end_world(w);
}

/* --- deadlines --- */

TEST(an_idle_connection_is_closed_in_silence)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.idle_ms = 30;
    struct world *w = new_world(&limits);
    int fd = peer_connect(w->lb.port);

    buf_init(&b, 1 << 20);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(buf_len(&b), 0);
    close(fd);
    fd = call(w, S(GET_KEEP("/sized")));
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(status_of(buf_str(&b)), 200);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_head_that_does_not_end_is_408)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.head_ms = 50;
    struct world *w = new_world(&limits);
    int fd = call(w, S("GET / HTTP/1.1\r\nHost: h\r\n"));

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 5; i++) { /* bytes that trickle in do not move the deadline */
        pause_ms(15);
        (void)peer_send(fd, S("X: y\r\n"));
    }
    EXPECT(peer_await(fd, &b, "\r\n\r\n"));
    EXPECT_INT(status_of(buf_str(&b)), 408);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_body_that_trickles_is_408)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.body_grace_ms = 60;
    limits.body_rate_bytes_per_s = 1000;
    struct world *w = new_world(&limits);
    int fd = call(w, S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n"));

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 15; i++) {
        pause_ms(10);
        (void)peer_send(fd, S("x"));
    }
    EXPECT(peer_await(fd, &b, "\r\n\r\n"));
    EXPECT_INT(status_of(buf_str(&b)), 408);
    EXPECT_INT(atomic_load(&w->failures), 1);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_body_that_comes_steadily_is_not)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.body_grace_ms = 60;
    limits.body_rate_bytes_per_s = 1000;
    struct world *w = new_world(&limits);
    int fd = call(w, S("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n"));
    char block[100];

    memset(block, 'x', sizeof(block));
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 20; i++) {
        pause_ms(10);
        EXPECT(peer_send(fd, str_make(block, sizeof(block))));
    }
    EXPECT(peer_await(fd, &b, "\r\n\r\nx"));
    EXPECT_INT(status_of(buf_str(&b)), 200);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_reader_that_stalls_is_dropped)
{
    struct server_limits limits = test_limits;

    limits.write_stall_ms = 100;
    struct world *w = new_world(&limits);
    int fd = call(w, S(GET_KEEP("/pour")));

    EXPECT(becomes(&w->gone, 1));
    close(fd);
    end_world(w);
}

/* --- many connections --- */

TEST(connections_beyond_the_limit_get_503)
{
    struct server_limits limits = test_limits;
    struct buf b;
    int fds[3];

    limits.connections = 3;
    struct world *w = new_world(&limits);

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 3; i++) {
        fds[i] = call(w, S(GET_KEEP("/sized")));
        buf_reset(&b, 0);
        EXPECT(peer_await(fds[i], &b, "three"));
    }
    int fd = call(w, S(GET_KEEP("/sized")));
    buf_reset(&b, 0);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(status_of(buf_str(&b)), 503);
    EXPECT(contains(&b, "Retry-After: 1\r\n"));
    close(fd);
    close(fds[0]);
    for (int tries = 0; tries < 100; tries++) { /* there is room again, in a moment */
        fd = call(w, S(GET_CLOSE("/sized")));
        buf_reset(&b, 0);
        peer_recv_all(fd, &b);
        close(fd);
        if (status_of(buf_str(&b)) == 200)
            break;
        pause_ms(10);
    }
    EXPECT_INT(status_of(buf_str(&b)), 200);
    close(fds[1]);
    close(fds[2]);
    buf_fini(&b);
    end_world(w);
}

TEST(one_address_cannot_take_all_connections)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.connections_per_address = 1;
    struct world *w = new_world(&limits);
    int first = call(w, S(GET_KEEP("/sized")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(first, &b, "three"));
    int fd = call(w, S(GET_KEEP("/sized")));
    buf_reset(&b, 0);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(status_of(buf_str(&b)), 503);
    EXPECT(contains(&b, "this address"));
    close(fd);
    close(first);
    buf_fini(&b);
    end_world(w);
}

static void
drain_here(void *arg)
{
    struct world *w = arg;

    server_drain(w->server);
}

TEST(draining_closes_idle_connections_and_lets_answers_end)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int idle = call(w, S(GET_KEEP("/sized")));
    int busy = -1;

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(idle, &b, "three"));
    busy = call(w, S(GET_KEEP("/hold")));
    EXPECT(becomes(&w->requests, 2));
    loop_post(w->lb.loop, drain_here, w);
    EXPECT_INT(peer_recv_all(idle, &b), PEER_CLOSED);
    buf_reset(&b, 0);
    EXPECT(peer_await(busy, &b, "held"));
    loop_post(w->lb.loop, finish_held, w);
    EXPECT_INT(peer_recv_all(busy, &b), PEER_CLOSED);
    EXPECT(contains(&b, " and let go\r\n0\r\n\r\n"));
    EXPECT_INT(atomic_load(&w->gone), 0);
    close(idle);
    close(busy);
    buf_fini(&b);
    end_world(w);
}

TEST(destroying_the_server_tells_who_holds_a_request)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/hold")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "held"));
    loopback_stop(&w->lb);
    EXPECT_INT(atomic_load(&w->gone), 1);
    EXPECT(peer_recv_all(fd, &b) != PEER_SILENT);
    close(fd);
    buf_fini(&b);
    free(w);
}
