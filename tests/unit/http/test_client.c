/* test_client.c - requests as they are sent, connections used again or replaced, calls
 * cancelled. */
#include "http/client.c"

#include "net/sock_priv.h"
#include "tests/unit/http/client_world.h"

/* --- requests --- */

TEST(a_request_is_sent_as_composed)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    char expected[300];

    prepare(w, &r, S("hel"));
    r.pieces[1] = S("");
    r.pieces[2] = S("lo");
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

static atomic_uint looked;
static unsigned spares_n, spares_counted;

static void
look_at_spares(void *arg)
{
    const struct client *c = ((struct world *)arg)->client;

    spares_n = c->spares_n;
    spares_counted = 0;
    for (const struct client_call *call = c->spare; call != NULL; call = call->next)
        spares_counted++;
    atomic_fetch_add(&looked, 1);
}

TEST(the_memory_of_a_few_calls_that_ended_is_used_again)
{
    enum { CALLS = 5 };
    struct world *w = new_world();
    static struct record r[CALLS];

    for (unsigned round = 0; round < 2; round++) {
        unsigned n = round == 0 ? CALLS : 2;

        for (unsigned i = 0; i < n; i++) {
            prepare(w, &r[i], S("x"));
            begin(w, &r[i]);
        }
        for (unsigned i = 0; i < n; i++) {
            int fd = accept_one(w);

            EXPECT(peer_send(fd, S("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")));
            (void)close(fd);
        }
        for (unsigned i = 0; i < n; i++) {
            EXPECT(becomes(&r[i].over, 1));
            finish(&r[i]);
        }
        loop_post(w->lb.loop, look_at_spares, w);
        EXPECT(becomes(&looked, round + 1));
        EXPECT_INT(spares_n, CALLS);
        EXPECT_INT(spares_counted, CALLS);
    }
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
    struct origin *o = origin_create(S("http://llm.example:81"), NULL, &path, WHY(why));
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
    r.pieces[1] = S("the end");
    r.request.body_count = 2;
    begin(w, &r);
    int fd = accept_one(w);
    pause_ms(50);    /* longer than the kernel's buffers last */
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

/* --- connections --- */

TEST(an_idle_connection_is_reused)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int fd = begin_and_accept(w, &r);

    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    finish(&r);
    for (int i = 0; i < 20; i++) {
        ask(w, &r, S("again"));
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

static const struct {
    struct str answer;
    const char *body;
} unfit[] = {
    { S_INIT("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), "ok" },
    { S_INIT("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), "ok" },
    { S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
             "2\r\n\r\nok"),
        "ok" },
    { S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n"), "ok" },
    { S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n0\r\n"),
        "ok" },
    { S_INIT("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"), "" },
    { S_INIT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), "" },
    { S_INIT("HTTP/1.1 204 No Content\r\n\r\nok"), "" },
    { S_INIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok"), "" },
};

TEST(a_connection_that_cannot_be_trusted_is_closed)
{
    struct world *w = new_world();

    for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
        struct record r;
        struct buf b;
        int fd = begin_and_accept(w, &r);

        EXPECT(peer_send(fd, unfit[i].answer));
        EXPECT(becomes(&r.over, 1));
        EXPECT(r.ended);
        EXPECT_STR(buf_str(&r.body), unfit[i].body);
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

TEST(what_comes_after_the_answer_is_not_the_answer_to_the_next_request)
{
    struct world *w = new_world();
    struct record r, next;
    struct buf b;

    prepare(w, &r, S("hello"));
    prepare(w, &next, S("next"));
    r.pause_at_data = true;
    r.then = &next;
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "hello");
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.datas, 1));
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nplanted")));
    pause_ms(30);    /* the loop has noticed that there is more, and that nobody wants it */
    loop_post(w->lb.loop, resume_here, &r);
    EXPECT(becomes(&r.over, 1));
    int other = accept_one(w);
    buf_fini(&b);
    read_request(other, &b, "next");
    EXPECT(peer_send(other, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&next.over, 1));
    EXPECT(next.ended && !next.reused);
    EXPECT_STR(buf_str(&next.body), "ok");
    close(fd);
    close(other);
    buf_fini(&b);
    finish(&r);
    finish(&next);
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

static bool
nobody_connects(struct world *w)
{
    struct pollfd p = { .fd = w->listening, .events = POLLIN };

    return poll(&p, 1, 50) == 0;
}

TEST(a_request_that_was_lost_with_a_reused_connection_is_not_sent_again_unasked)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    ask(w, &r, S("second"));
    read_request(old, &b, "second");    /* who knows what the server does with it */
    buf_fini(&b);
    close(old);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_STALE);
    EXPECT(r.reused);
    EXPECT_INT(r.resent, 0);
    EXPECT(nobody_connects(w));
    finish(&r);
    end_world(w);
}

TEST(a_repeatable_request_is_resent_once)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    r.request.resend_stale = true;
    begin(w, &r);
    read_request(old, &b, "second");
    buf_fini(&b);
    close(old);
    int fd = accept_one(w);
    read_request(fd, &b, "second");
    buf_fini(&b);
    close(fd);    /* a fresh connection that closes is no stale one */
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_RESET);
    EXPECT_INT(r.resent, 1);
    EXPECT_INT(r.connected, 1);
    EXPECT(nobody_connects(w));
    finish(&r);
    end_world(w);
}

/* The connection of the pool breaks, and nobody has noticed when the next request is written. */
static void
begin_on_a_broken_one(void *arg)
{
    struct record *r = arg;
    struct pool_lease lease;
    struct pool *pool = r->world->client->pool;
    struct sock *s = pool_take(pool, r->world->origin, &lease);

    EXPECT(s != NULL);
    int fd = s->fd;
    pool_put(pool, r->world->origin, s, lease.born_ms, POOL_NOT_SAID);
    shutdown(fd, SHUT_WR);    /* the kernel takes no byte any more */
    start_here(r);
    atomic_fetch_add(&r->world->marks, 1);
}

TEST(a_request_of_which_no_byte_was_sent_is_sent_again)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    loop_post(w->lb.loop, begin_on_a_broken_one, &r);
    EXPECT(becomes(&w->marks, 1));
    close(old);
    int fd = accept_one(w);
    read_request(fd, &b, "second");
    buf_fini(&b);
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && !r.reused);
    EXPECT_INT(r.connected, 1);
    EXPECT_INT(r.resent, 1);
    close(fd);
    finish(&r);
    end_world(w);
}

TEST(a_fresh_call_leaves_the_pool_alone)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    prepare(w, &r, S("second"));
    r.request.fresh = true;
    begin(w, &r);
    int fd = accept_one(w);
    read_request(fd, &b, "second");
    buf_fini(&b);
    close(fd);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_RESET);
    EXPECT(!r.reused);
    close(old);
    finish(&r);
    end_world(w);
}

TEST(nothing_is_sent_again_once_a_byte_of_the_answer_came)
{
    struct world *w = new_world();
    struct record r;
    struct buf b;
    int old = leave_one_idle(w);

    ask(w, &r, S("second"));
    read_request(old, &b, "second");
    buf_fini(&b);
    EXPECT(peer_send(old, S("H")));
    close(old);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TRUNCATED);
    EXPECT(nobody_connects(w));
    finish(&r);
    end_world(w);
}

TEST(a_refused_connection_is_an_error)
{
    struct world *w = new_world();
    struct record r;

    close(w->listening);
    w->listening = -1;
    ask(w, &r, S("hello"));
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

TEST(cancelling_while_dialling_calls_nothing_back)
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

TEST(destroying_the_client_ends_its_calls_without_callbacks)
{
    struct world *w = new_world();
    struct record r;
    int fd = begin_and_accept(w, &r);

    end_world(w);
    EXPECT_INT(r.over, 0);
    close(fd);
    finish(&r);
}
