/* test_client.c - the client on a loop of its own; the test plays the server, byte by byte if need be. */
#include "http/client.c"

#include "tests/unit/http/loopback.h"

/* What one call came to. Written on the loop; read when `over` says so. */
struct record {
    struct world *world;
    struct client_call *call;
    struct client_request request;
    bool cancel_at_head;
    bool pause_at_head;
    bool pause_at_data;
    atomic_uint connected;
    atomic_uint heads;
    atomic_uint datas;
    atomic_uint over; /* ended or failed */
    bool reused;
    bool ended;
    enum err why;
    int status;
    struct buf body;
};

struct world {
    struct loopback lb;
    struct client *client;
    struct origin *origin;
    struct client_limits limits;
    int listening;
    uint16_t port;
    atomic_uint marks; /* cancels done */
    atomic_uint counted;
    unsigned calls_open;
    unsigned idle;
};

static void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct record *r = owner;

    (void)connect_us;
    r->reused = reused;
    atomic_fetch_add(&r->connected, 1);
}

static void
on_answer_head(void *owner, const struct http_head *head)
{
    struct record *r = owner;

    r->status = head->status;
    atomic_fetch_add(&r->heads, 1);
    if (r->cancel_at_head)
        client_cancel(r->call);
    else if (r->pause_at_head)
        client_pause(r->call);
}

static void
on_answer_data(void *owner, struct str bytes)
{
    struct record *r = owner;

    buf_add(&r->body, bytes);
    atomic_fetch_add(&r->datas, 1);
    if (r->pause_at_data)
        client_pause(r->call);
}

static void
on_end(void *owner)
{
    struct record *r = owner;

    r->ended = true;
    atomic_fetch_add(&r->over, 1);
}

static void
on_call_failed(void *owner, enum err why, const char *detail)
{
    struct record *r = owner;

    r->why = why;
    EXPECT(detail != NULL && detail[0] != '\0');
    atomic_fetch_add(&r->over, 1);
}

static const struct client_events events = {
    .connected = on_connected,
    .head = on_answer_head,
    .data = on_answer_data,
    .end = on_end,
    .failed = on_call_failed,
};

/* --- the world --- */

static void
open_world(struct loopback *lb)
{
    struct world *w = lb->user;

    w->client = client_create(lb->loop, &w->limits);
}

static void
close_world(struct loopback *lb)
{
    struct world *w = lb->user;

    client_destroy(w->client);
}

static struct world *
new_world(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t size = sizeof(a);
    char why[200];
    char url[64];
    struct str path;

    EXPECT(w != NULL);
    w->limits = (struct client_limits){
        .head_bytes = 4096,
        .fields = 30,
        .pool = { .idle_per_origin = 4, .idle_total = 8, .idle_ms = 10000, .age_ms = 60000 },
    };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(w->listening, (struct sockaddr *)&a, sizeof(a)) == 0);
    EXPECT(listen(w->listening, 16) == 0);
    EXPECT(getsockname(w->listening, (struct sockaddr *)&a, &size) == 0);
    w->port = ntohs(a.sin_port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", w->port);
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    w->origin = origin_create(str_c(url), NULL, &path, why, sizeof(why));
    EXPECT(w->origin != NULL);
    w->lb = (struct loopback){ .open = open_world, .close = close_world, .user = w };
    loopback_start(&w->lb);
    return w;
}

static void
end_world(struct world *w)
{
    loopback_stop(&w->lb);
    close(w->listening);
    origin_destroy(w->origin);
    free(w);
}

static void
start_here(void *arg)
{
    struct record *r = arg;

    r->call = client_start(r->world->client, &r->request, &events, r);
}

static void
cancel_here(void *arg)
{
    struct record *r = arg;

    client_cancel(r->call);
    atomic_fetch_add(&r->world->marks, 1);
}

static void
resume_here(void *arg)
{
    struct record *r = arg;

    client_resume(r->call);
}

static void
count_here(void *arg)
{
    struct world *w = arg;

    w->calls_open = client_calls_open(w->client);
    w->idle = client_idle(w->client);
    atomic_fetch_add(&w->counted, 1);
}

/* Asks the loop how many calls are open and how many connections idle. */
static void
count(struct world *w)
{
    unsigned before = atomic_load(&w->counted);

    loop_post(w->lb.loop, count_here, w);
    EXPECT(becomes(&w->counted, before + 1));
}

static void
prepare(struct world *w, struct record *r, struct str body)
{
    memset(r, 0, sizeof(*r));
    r->world = w;
    buf_init(&r->body, 64 << 20);
    r->request = (struct client_request){
        .origin = w->origin,
        .method = S("POST"),
        .path = S("/v1/x?y=z"),
        .fields = S("X-One: 1\r\n"),
        .body = { body },
        .body_count = 1,
        .connect_ms = 5000,
        .first_byte_ms = 5000,
    };
}

static void
begin(struct world *w, struct record *r)
{
    loop_post(w->lb.loop, start_here, r);
}

static int
accept_one(struct world *w)
{
    struct pollfd p = { .fd = w->listening, .events = POLLIN };

    EXPECT(poll(&p, 1, PATIENCE_MS) == 1);
    int fd = accept(w->listening, NULL, NULL);
    EXPECT(fd >= 0);
    return fd;
}

/* The request, up to and including a body that ends with `last`. */
static void
read_request(int fd, struct buf *b, const char *last)
{
    buf_init(b, 64 << 20);
    EXPECT(peer_await(fd, b, last));
}

/* Starts a call, accepts its connection, reads the request. */
static int
begin_and_accept(struct world *w, struct record *r)
{
    struct buf b;

    prepare(w, r, S("hello"));
    begin(w, r);
    int fd = accept_one(w);
    read_request(fd, &b, "\r\n\r\nhello");
    buf_fini(&b);
    return fd;
}

static void
finish(struct record *r)
{
    buf_fini(&r->body);
}

/* --- requests --- */

TEST(a_request_is_sent_as_composed)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    char expected[300];

    prepare(w, &r, S("hel"));
    r.request.body[1] = S("");
    r.request.body[2] = S("lo");
    r.request.body_count = 3;
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "hello");
    snprintf(expected, sizeof(expected),
        "POST /v1/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-One: 1\r\n"
        "Accept-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        w->port);
    EXPECT_STR(buf_str(&b), expected);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && !r.reused);
    EXPECT_INT(r.status, 200);
    EXPECT_INT(r.connected, 1);
    EXPECT_STR(buf_str(&r.body), "ok");
    close(fd);
    buf_fini(&b);
    finish(&r);
    end_world(w);
}

TEST(a_get_without_a_body_has_no_length)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;

    prepare(w, &r, S(""));
    r.request.method = S("GET");
    r.request.body_count = 0;
    r.request.fields = S("accept-encoding: br\r\n");
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "\r\n\r\n");
    EXPECT(str_find(buf_str(&b), S("Content-Length")) == buf_len(&b));
    EXPECT(str_find(buf_str(&b), S("identity")) == buf_len(&b));
    EXPECT(peer_send(fd, S("HTTP/1.1 204 No Content\r\n\r\n")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    close(fd);
    buf_fini(&b);
    finish(&r);
    end_world(w);
}

TEST(an_http_proxy_gets_the_whole_url_and_its_credentials)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    char proxy[100];
    char why[200];
    struct str path;

    snprintf(proxy, sizeof(proxy), "http://user:pass@127.0.0.1:%u", w->port);
    setenv("http_proxy", proxy, 1);
    struct origin *o = origin_create(S("http://llm.example:81"), NULL, &path, why, sizeof(why));
    unsetenv("http_proxy");
    EXPECT(o != NULL);
    prepare(w, &r, S("hello"));
    r.request.origin = o;
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "hello");
    EXPECT(str_starts(
        buf_str(&b), S("POST http://llm.example:81/v1/x?y=z HTTP/1.1\r\n"
                       "Host: llm.example:81\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n")));
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    close(fd);
    buf_fini(&b);
    finish(&r);
    loopback_stop(&w->lb);
    origin_destroy(o);
    origin_destroy(w->origin);
    close(w->listening);
    free(w);
}

TEST(a_large_body_is_sent_whole)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    struct buf body;

    buf_init(&body, 16 << 20);
    for (int i = 0; i < 1000000; i++)
        buf_add(&body, S("0123456"));
    prepare(w, &r, buf_str(&body));
    r.request.body[1] = S("the end");
    r.request.body_count = 2;
    begin(w, &r);
    int fd = accept_one(w);
    pause_ms(50); /* longer than the kernel's buffers last */
    read_request(fd, &b, "the end");
    struct str came = str_skip(buf_str(&b), str_find(buf_str(&b), S("\r\n\r\n")) + 4);
    EXPECT(str_eq(str_make(came.p, body.tail), buf_str(&body)));
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    count(w);
    EXPECT_INT(w->idle, 1);
    close(fd);
    buf_fini(&b);
    buf_fini(&body);
    finish(&r);
    end_world(w);
}

/* --- answers --- */

static const struct {
    const char *name;
    struct str bytes; /* sent, then the connection is closed */
    int status;       /* 0: failed */
    enum err why;
    const char *body;
} answers[] = {
    { "sized", S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 200, OK, "hello" },
    { "chunked",
        S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
               "chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: 1\r\n\r\n"),
        200, OK, "hello" },
    { "until close", S_INIT("HTTP/1.1 200 OK\r\n\r\nhello"), 200, OK, "hello" },
    { "http/1.0", S_INIT("HTTP/1.0 200 OK\r\n\r\nhello"), 200, OK, "hello" },
    { "no content", S_INIT("HTTP/1.1 204 No Content\r\n\r\n"), 204, OK, "" },
    { "not modified", S_INIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), 304, OK,
        "" },
    { "empty", S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200, OK, "" },
    { "an error", S_INIT("HTTP/1.1 429 Slow Down\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno"),
        429, OK, "no" },
    { "continue first",
        S_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 "
               "200 OK\r\nContent-Length: 2\r\n\r\nok"),
        200, OK, "ok" },
    { "nothing", S_INIT(""), 0, ERR_UPSTREAM_RESET, "" },
    { "half a head", S_INIT("HTTP/1.1 200 OK\r\nContent-Le"), 0, ERR_UPSTREAM_TRUNCATED, "" },
    { "half a sized body", S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), 0,
        ERR_UPSTREAM_TRUNCATED, "hel" },
    { "half a chunked body",
        S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), 0,
        ERR_UPSTREAM_TRUNCATED, "hel" },
    { "no last chunk",
        S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), 0,
        ERR_UPSTREAM_TRUNCATED, "hello" },
    { "last chunk cut",
        S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"), 0,
        ERR_UPSTREAM_TRUNCATED, "hello" },
    { "both framings",
        S_INIT(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        0, ERR_UPSTREAM_PROTOCOL, "" },
    { "two lengths",
        S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 0,
        ERR_UPSTREAM_PROTOCOL, "" },
    { "bad chunk",
        S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n"), 0,
        ERR_UPSTREAM_PROTOCOL, "hello" },
    { "switching protocols",
        S_INIT("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 0,
        ERR_UPSTREAM_PROTOCOL, "" },
    { "not http", S_INIT("SSH-2.0-OpenSSH\r\n"), 0, ERR_UPSTREAM_PROTOCOL, "" },
    { "bare line feeds", S_INIT("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), 0, ERR_UPSTREAM_PROTOCOL,
        "" },
};

static void
check_answer(struct world *w, size_t i, bool byte_by_byte)
{
    struct record r;
    int fd = begin_and_accept(w, &r);

    if (byte_by_byte) {
        int one = 1;

        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
        for (size_t n = 0; n < answers[i].bytes.n; n++)
            (void)peer_send(fd, str_make(answers[i].bytes.p + n, 1));
    } else {
        EXPECT(peer_send(fd, answers[i].bytes));
    }
    shutdown(fd, SHUT_WR);
    EXPECT(becomes(&r.over, 1));
    if (r.why != answers[i].why)
        print_error("%s: %s\n", answers[i].name, err_row(r.why)->name);
    EXPECT_INT(r.why, answers[i].why);
    EXPECT_INT(r.ended, answers[i].status != 0);
    if (r.ended)
        EXPECT_INT(r.status, answers[i].status);
    EXPECT_STR(buf_str(&r.body), answers[i].body);
    close(fd);
    finish(&r);
}

TEST(every_answer_comes_to_its_end)
{
    struct world *w = new_world();

    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        check_answer(w, i, false);
    count(w);
    EXPECT_INT(w->calls_open, 0);
    end_world(w);
}

TEST(every_answer_comes_to_its_end_byte_by_byte)
{
    struct world *w = new_world();

    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        check_answer(w, i, true);
    end_world(w);
}

TEST(an_answer_to_head_ends_with_its_head)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;

    prepare(w, &r, S(""));
    r.request.method = S("HEAD");
    r.request.body_count = 0;
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "\r\n\r\n");
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    close(fd);
    buf_fini(&b);
    finish(&r);
    end_world(w);
}

TEST(endless_interim_answers_are_refused)
{
    struct world *w = new_world();
    struct record r;
    int fd = begin_and_accept(w, &r);

    for (int i = 0; i < 100; i++)
        (void)peer_send(fd, S("HTTP/1.1 102 Processing\r\n\r\n"));
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_PROTOCOL);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_head_beyond_the_limit_is_refused)
{
    struct world *w = new_world();
    struct record r;
    int fd = begin_and_accept(w, &r);

    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\n")));
    for (int i = 0; i < 1000; i++)
        (void)peer_send(fd, S("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"));
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_PROTOCOL);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_reset_in_the_middle_is_a_truncation)
{
    struct world *w = new_world();
    struct record r;
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    int fd = begin_and_accept(w, &r);

    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\n\r\nsome")));
    EXPECT(becomes(&r.datas, 1));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TRUNCATED);
    finish(&r);
    end_world(w);
}

/* --- connections --- */

TEST(a_connection_at_rest_is_used_again)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int fd = begin_and_accept(w, &r);

    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    finish(&r);
    for (int i = 0; i < 20; i++) {
        prepare(w, &r, S("again"));
        begin(w, &r);
        read_request(fd, &b, "again");
        EXPECT(peer_send(
            fd, S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")));
        EXPECT(becomes(&r.over, 1));
        EXPECT(r.ended && r.reused);
        EXPECT_INT(r.connected, 1);
        buf_fini(&b);
        finish(&r);
    }
    count(w);
    EXPECT_INT(w->idle, 1);
    EXPECT_INT(w->calls_open, 0);
    close(fd);
    end_world(w);
}

static const struct str unfit[] = {
    S_INIT("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    S_INIT("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
           "2\r\n\r\nok"),
};

TEST(a_connection_that_cannot_be_trusted_is_closed)
{
    struct world *w = new_world();

    for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
        struct record r;
        struct buf b;
        int fd = begin_and_accept(w, &r);

        EXPECT(peer_send(fd, unfit[i]));
        EXPECT(becomes(&r.over, 1));
        EXPECT(r.ended);
        EXPECT_STR(buf_str(&r.body), "ok");
        buf_init(&b, 1 << 20);
        EXPECT(peer_recv_all(fd, &b) != PEER_SILENT);
        close(fd);
        buf_fini(&b);
        finish(&r);
    }
    count(w);
    EXPECT_INT(w->idle, 0);
    end_world(w);
}

/* Brings the pool into a state where its connection will not survive the next request. */
static int
leave_one_idle(struct world *w)
{
    struct record r;
    int fd = begin_and_accept(w, &r);

    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    finish(&r);
    return fd;
}

TEST(a_stale_connection_is_replaced_once_in_silence)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    begin(w, &r);
    read_request(old, &b, "second"); /* it was read, or in flight: no byte of an answer came */
    buf_fini(&b);
    close(old);
    int fd = accept_one(w);
    read_request(fd, &b, "second");
    buf_fini(&b);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && !r.reused);
    EXPECT_INT(r.connected, 1);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_fresh_connection_that_closes_is_not_tried_again)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    begin(w, &r);
    read_request(old, &b, "second");
    buf_fini(&b);
    close(old);
    int fd = accept_one(w);
    read_request(fd, &b, "second");
    buf_fini(&b);
    close(fd);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_RESET);
    struct pollfd p = { .fd = w->listening, .events = POLLIN };
    EXPECT_INT(poll(&p, 1, 50), 0);
    finish(&r);
    end_world(w);
}

TEST(nothing_is_sent_again_once_a_byte_of_the_answer_came)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    begin(w, &r);
    read_request(old, &b, "second");
    buf_fini(&b);
    EXPECT(peer_send(old, S("H")));
    close(old);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TRUNCATED);
    struct pollfd p = { .fd = w->listening, .events = POLLIN };
    EXPECT_INT(poll(&p, 1, 50), 0);
    finish(&r);
    end_world(w);
}

TEST(a_refused_connection_is_an_error)
{
    struct world *w = new_world();
    struct record r;

    close(w->listening);
    w->listening = -1;
    prepare(w, &r, S("hello"));
    begin(w, &r);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_CONNECT);
    EXPECT_INT(r.connected, 0);
    finish(&r);
    end_world(w);
}

TEST(a_silent_server_is_a_timeout)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    r.request.first_byte_ms = 40;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(r.connected, 1);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_head_that_trickles_is_a_timeout)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    r.request.first_byte_ms = 60;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 ")));
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TIMEOUT);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_pause_between_pieces_of_the_body_is_not)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    r.request.first_byte_ms = 40;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")));
    pause_ms(100);
    EXPECT(peer_send(fd, S("k")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    close(fd);
    finish(&r);
    end_world(w);
}

/* --- cancelling --- */

static void
start_and_cancel_here(void *arg)
{
    start_here(arg);
    cancel_here(arg);
}

TEST(cancelling_while_dialling_is_silent)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    loop_post(w->lb.loop, start_and_cancel_here, &r);
    EXPECT(becomes(&w->marks, 1));
    count(w);
    EXPECT_INT(w->calls_open, 0);
    pause_ms(20);
    EXPECT_INT(r.over, 0);
    EXPECT_INT(r.connected, 0);
    finish(&r);
    end_world(w);
}

TEST(cancelling_closes_the_connection)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int fd = begin_and_accept(w, &r);

    buf_init(&b, 1 << 20);
    loop_post(w->lb.loop, cancel_here, &r);
    EXPECT(peer_recv_all(fd, &b) != PEER_SILENT);
    EXPECT_INT(r.over, 0);
    close(fd);
    fd = begin_and_accept(w, &r);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")));
    EXPECT(becomes(&r.datas, 1));
    loop_post(w->lb.loop, cancel_here, &r);
    EXPECT(peer_recv_all(fd, &b) != PEER_SILENT);
    EXPECT_INT(r.over, 0);
    count(w);
    EXPECT_INT(w->idle, 0);
    EXPECT_INT(w->calls_open, 0);
    close(fd);
    buf_fini(&b);
    finish(&r);
    end_world(w);
}

TEST(cancelling_inside_a_callback_is_the_end)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;

    prepare(w, &r, S("hello"));
    r.cancel_at_head = true;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")));
    buf_init(&b, 1 << 20);
    EXPECT(peer_recv_all(fd, &b) != PEER_SILENT);
    EXPECT_INT(r.heads, 1);
    EXPECT_INT(r.datas, 0);
    EXPECT_INT(r.over, 0);
    close(fd);
    buf_fini(&b);
    finish(&r);
    end_world(w);
}

TEST(destroying_the_client_ends_its_calls_in_silence)
{
    struct world *w = new_world();
    struct record r;
    int fd = begin_and_accept(w, &r);

    end_world(w);
    EXPECT_INT(r.over, 0);
    close(fd);
    finish(&r);
}

/* --- backpressure --- */

TEST(a_paused_call_hears_nothing_until_it_is_resumed)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    r.pause_at_head = true;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")));
    EXPECT(becomes(&r.heads, 1));
    pause_ms(30);
    EXPECT_INT(r.datas, 0);
    EXPECT_INT(r.over, 0);
    loop_post(w->lb.loop, resume_here, &r);
    EXPECT(becomes(&r.over, 1));
    EXPECT_STR(buf_str(&r.body), "hello");
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(each_piece_can_pause_and_nothing_is_lost)
{
    struct world *w = new_world();
    struct record r;

    prepare(w, &r, S("hello"));
    r.pause_at_data = true;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")));
    shutdown(fd, SHUT_WR);
    for (unsigned i = 1; i <= 3; i++) {
        EXPECT(becomes(&r.datas, i));
        EXPECT_INT(r.over, 0);
        loop_post(w->lb.loop, resume_here, &r);
    }
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    EXPECT_STR(buf_str(&r.body), "abc");
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_paused_call_stops_the_sender)
{
    struct world *w = new_world();
    struct record r;
    static char block[65536];
    size_t sent = 0;

    prepare(w, &r, S("hello"));
    r.pause_at_head = true;
    begin(w, &r);
    int fd = accept_one(w);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")));
    EXPECT(becomes(&r.heads, 1));
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        if (poll(&p, 1, 100) == 0)
            break;
        ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        EXPECT(sent < 60000000);
    }
    loop_post(w->lb.loop, cancel_here, &r);
    EXPECT(becomes(&w->marks, 1));
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(an_early_refusal_ends_the_call_and_its_connection)
{
    struct world *w = new_world();
    struct record r;
    struct buf body;
    struct buf b;

    buf_init(&body, 64 << 20);
    memset(buf_reserve(&body, 32000000), 'x', 32000000);
    buf_commit(&body, 32000000);
    prepare(w, &r, buf_str(&body));
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "xxxx");
    EXPECT(peer_send(fd, S("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended);
    EXPECT_INT(r.status, 413);
    count(w);
    EXPECT_INT(w->idle, 0);
    close(fd);
    buf_fini(&b);
    buf_fini(&body);
    finish(&r);
    end_world(w);
}
