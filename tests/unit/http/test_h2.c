/* test_h2.c - requests over HTTP/2: shared, paused, cancelled, refused, cut; and servers that
 * misbehave. */
#include "net/sock.h"

/* What h2.c writes is swallowed while `swallows` is set, as by a peer that is always faster. */
static bool swallows;
static uint64_t swallowed;
static void write_or_swallow(struct sock *s, const struct str *pieces, size_t count);
#define sock_write write_or_swallow
#include "http/h2.c"
#undef sock_write

#include "http/client_call.h"
#include "net/sock_priv.h"
#include "net/timer.h"
#include "tests/unit/http/h2_peer.h"

static const char only_h2[] = "\x02h2";

static void
write_or_swallow(struct sock *s, const struct str *pieces, size_t count)
{
    if (!swallows) {
        sock_write(s, pieces, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        swallowed += pieces[i].n;
}

static bool
is_over(struct record *r)
{
    return atomic_load(&r->over) == 1;
}

static bool
has(struct buf *b, const char *what)
{
    return str_find(buf_str(b), str_c(what)) != buf_len(b);
}

/* A world with one connection on which one call has been answered. */
static void
open_known(struct tls_world *t, struct peer *p, uint32_t streams)
{
    static struct record r;

    tls_world_open(t, only_h2);
    ask(t->w, &r, S("hello"));
    peer_accept(t, p, streams);
    UNTIL(p, p->count == 1 && p->streams[0].ended);
    peer_answer(p, &p->streams[0], 2, true);
    UNTIL(p, is_over(&r));
    EXPECT(r.ended && !r.reused);
    finish(&r);
}

static void
end(struct tls_world *t, struct peer *p, struct record *r)
{
    finish(r);
    tls_world_close(t);
    peer_close(p);
}

static bool
nobody_connects(struct tls_world *t)
{
    struct pollfd p = { .fd = t->w->listening, .events = POLLIN };

    return poll(&p, 1, 30) == 0;
}

/* --- requests --- */

TEST(a_request_is_the_same_over_h2_and_h1)
{
    struct tls_world t;
    struct peer p;
    struct record r;
    char expected[400];

    tls_world_open(&t, only_h2);
    prepare(t.w, &r, S("hel"));
    r.request.fields = S("X-One: 1\r\nAuthorization: Bearer k\r\nConnection: x\r\nTE: gzip\r\n"
                         "Transfer-Encoding: chunked\r\nHost: other\r\nContent-Length: 77\r\n");
    r.pieces[1] = S("");
    r.pieces[2] = S("lo");
    r.request.body_count = 3;
    begin(t.w, &r);
    peer_accept(&t, &p, 100);
    until_asked(&p, 1);
    snprintf(expected, sizeof(expected),
        ":method: POST\n:scheme: https\n:authority: 127.0.0.1:%u\n:path: /v1/x?y=z\nx-one: 1\n"
        "authorization: Bearer k\naccept-encoding: identity\ncontent-length: 5\n",
        t.w->port);
    EXPECT_STR(buf_str(&p.streams[0].head), expected);
    EXPECT_STR(buf_str(&p.streams[0].body), "hello");
    peer_answer(&p, &p.streams[0], 30, true);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended && !r.reused);
    EXPECT_INT(r.connected, 1);
    EXPECT_INT(r.status, 200);
    EXPECT_INT(buf_len(&r.body), 30);
    EXPECT(peer_bytes_ok(buf_str(&r.body)));
    end(&t, &p, &r);
}

TEST(a_server_that_picks_http_1_gets_it)
{
    struct tls_world t;
    struct record r;
    char room[4096];

    tls_world_open(&t, "\x08http/1.1");
    ask(t.w, &r, S("hello"));
    int fd = accept_one(t.w);
    SSL *ssl = SSL_new(t.server);
    SSL_set_fd(ssl, fd);
    EXPECT(SSL_accept(ssl) == 1);
    int n = SSL_read(ssl, room, sizeof(room));
    EXPECT(n > 0 && str_starts(str_make(room, (size_t)n), S("POST /v1/x?y=z HTTP/1.1\r\n")));
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    EXPECT(SSL_write(ssl, answer, sizeof(answer) - 1) > 0);
    EXPECT(becomes(&r.over, 1));
    EXPECT_STR(buf_str(&r.body), "ok");
    finish(&r);
    tls_world_close(&t);
    SSL_free(ssl);
    close(fd);
}

TEST(many_calls_share_one_connection)
{
    enum { CALLS = 60 };
    static struct record r[CALLS];
    struct tls_world t;
    struct peer p;
    unsigned reused = 0;

    open_known(&t, &p, 100);
    for (int i = 0; i < CALLS; i++) {
        ask(t.w, &r[i], S("hello"));
    }
    until_asked(&p, CALLS + 1);
    for (unsigned i = CALLS; i != 0; i--)    /* the last one first */
        peer_answer(&p, &p.streams[i], 1000 * i, true);
    for (int i = 0; i < CALLS; i++) {
        UNTIL(&p, is_over(&r[i]));
        EXPECT(r[i].ended && peer_bytes_ok(buf_str(&r[i].body)));
        reused += r[i].reused;
        finish(&r[i]);
    }
    EXPECT_INT(reused, CALLS);
    EXPECT(nobody_connects(&t));
    count(t.w);
    EXPECT_INT(t.w->idle, 1);
    EXPECT_INT(t.w->calls_open, 0);
    tls_world_close(&t);
    peer_close(&p);
}

TEST(calls_wait_for_a_connection_that_is_being_made)
{
    enum { CALLS = 20 };
    static struct record r[CALLS];
    struct tls_world t;
    struct peer p, q;

    open_known(&t, &p, 100);
    nghttp2_submit_goaway(p.session, 0, 1, 0, NULL, 0);
    UNTIL(&p, p.gone);
    peer_close(&p);
    for (int i = 0; i < CALLS; i++) {
        ask(t.w, &r[i], S("hello"));
    }
    peer_accept(&t, &q, 100);
    until_asked(&q, CALLS);
    EXPECT(nobody_connects(&t));
    for (unsigned i = 0; i < CALLS; i++)
        peer_answer(&q, &q.streams[i], 5, true);
    unsigned fresh = 0;
    for (int i = 0; i < CALLS; i++) {
        UNTIL(&q, is_over(&r[i]));
        EXPECT(r[i].ended);
        fresh += !r[i].reused;
        finish(&r[i]);
    }
    EXPECT_INT(fresh, 1);
    tls_world_close(&t);
    peer_close(&q);
}

TEST(calls_that_wait_for_a_dial_fail_with_it)
{
    enum { CALLS = 5 };
    static struct record r[CALLS];
    struct tls_world t;
    struct peer p;

    open_known(&t, &p, 100);
    close(t.w->listening);
    t.w->listening = -1;
    nghttp2_submit_goaway(p.session, 0, 1, 0, NULL, 0);
    UNTIL(&p, p.gone);
    for (int i = 0; i < CALLS; i++) {
        ask(t.w, &r[i], S("hello"));
    }
    for (int i = 0; i < CALLS; i++) {
        EXPECT(becomes(&r[i].over, 1));
        EXPECT_INT(r[i].why, ERR_UPSTREAM_CONNECT);
        finish(&r[i]);
    }
    tls_world_close(&t);
    peer_close(&p);
}

TEST(what_does_not_fit_gets_another_connection)
{
    enum { CALLS = 5 };
    static struct record r[CALLS];
    static struct peer p[3];
    struct tls_world t;

    open_known(&t, &p[0], 2);
    for (int i = 0; i < CALLS; i++) {
        ask(t.w, &r[i], S("hello"));
    }
    peer_accept(&t, &p[1], 2);
    UNTIL(&p[0], p[0].count == 3);
    peer_accept(&t, &p[2], 2);
    for (int i = 0; i < PATIENCE_MS && p[1].count + p[2].count != 3; i++) {
        peer_turn(&p[1], 1);
        peer_turn(&p[2], 1);
    }
    EXPECT_INT(p[1].count + p[2].count, 3);
    EXPECT(nobody_connects(&t));
    for (int i = 0; i < 3; i++) {
        for (unsigned j = i == 0; j < p[i].count; j++)
            peer_answer(&p[i], &p[i].streams[j], 7, true);
        peer_turn(&p[i], 1);
    }
    for (int i = 0; i < CALLS; i++) {
        EXPECT(becomes(&r[i].over, 1));
        EXPECT(r[i].ended);
        finish(&r[i]);
    }
    tls_world_close(&t);
    for (int i = 0; i < 3; i++)
        peer_close(&p[i]);
}

TEST(a_call_that_waits_for_a_dial_takes_the_room_of_a_stream_that_ended)
{
    static struct record r[2];
    struct tls_world t;
    struct peer p;

    open_known(&t, &p, 1);
    ask(t.w, &r[0], S("first"));
    until_asked(&p, 2);
    ask(t.w, &r[1], S("second"));
    EXPECT(!nobody_connects(&t));    /* nobody answers that dial */
    peer_answer(&p, &p.streams[1], 7, true);
    until_asked(&p, 3);
    peer_answer(&p, &p.streams[2], 7, true);
    UNTIL(&p, is_over(&r[1]));
    for (int i = 0; i < 2; i++) {
        EXPECT(r[i].ended && r[i].reused);
        finish(&r[i]);
    }
    tls_world_close(&t);
    peer_close(&p);
}

/* --- bodies and windows --- */

TEST(large_bodies_go_both_ways_whole)
{
    enum { PIECE = 700001, PIECES = 5, ANSWER = 3 << 20 };
    struct tls_world t;
    struct peer p;
    struct record r;
    struct buf body;

    open_known(&t, &p, 100);
    buf_init(&body, 16 << 20);
    for (size_t i = 0; i < (size_t)PIECE * PIECES; i++)
        buf_add_c(&body, peer_byte(i));
    prepare(t.w, &r, S(""));
    for (size_t i = 0; i < PIECES; i++)
        r.pieces[i] = str_make(buf_str(&body).p + i * PIECE, PIECE);
    r.request.body_count = PIECES;
    begin(t.w, &r);
    until_asked(&p, 2);
    EXPECT(str_eq(buf_str(&p.streams[1].body), buf_str(&body)));
    peer_answer(&p, &p.streams[1], ANSWER, true);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended);
    EXPECT_INT(buf_len(&r.body), ANSWER);
    EXPECT(peer_bytes_ok(buf_str(&r.body)));
    buf_fini(&body);
    end(&t, &p, &r);
}

TEST(a_paused_call_gets_no_more_and_blocks_no_other)
{
    enum { ANSWER = 2 << 20 };
    static struct record slow, quick;
    struct tls_world t;
    struct peer p;

    open_known(&t, &p, 100);
    prepare(t.w, &slow, S("slow"));
    slow.pause_at_data = true;
    begin(t.w, &slow);
    until_asked(&p, 2);
    peer_answer(&p, &p.streams[1], ANSWER, true);
    UNTIL(&p, atomic_load(&slow.datas) == 1);
    prepare(t.w, &quick, S("quick"));
    begin(t.w, &quick);
    until_asked(&p, 3);
    peer_answer(&p, &p.streams[2], ANSWER, true);
    UNTIL(&p, is_over(&quick));
    EXPECT(quick.ended);
    EXPECT_INT(buf_len(&quick.body), ANSWER);
    EXPECT_INT(slow.datas, 1);
    EXPECT(p.streams[1].sent <= H2_STREAM_WINDOW + 32 * 1024);

    slow.pause_at_data = false;
    loop_post(t.w->lb.loop, resume_here, &slow);
    UNTIL(&p, is_over(&slow));
    EXPECT(slow.ended);
    EXPECT_INT(buf_len(&slow.body), ANSWER);
    EXPECT(peer_bytes_ok(buf_str(&slow.body)));
    finish(&slow);
    finish(&quick);
    tls_world_close(&t);
    peer_close(&p);
}

TEST(data_before_the_connection_died_is_delivered_after_a_pause)
{
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    prepare(t.w, &r, S("x"));
    r.pause_at_head = true;
    begin(t.w, &r);
    until_asked(&p, 2);
    peer_answer(&p, &p.streams[1], 5000, false);
    UNTIL(&p, atomic_load(&r.heads) == 1 && p.streams[1].sent == 5000);
    peer_close(&p);
    pause_ms(30);
    EXPECT_INT(r.over, 0);
    loop_post(t.w->lb.loop, resume_here, &r);
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_TRUNCATED);
    EXPECT_INT(buf_len(&r.body), 5000);
    finish(&r);
    tls_world_close(&t);
}

TEST(an_early_refusal_stops_the_upload)
{
    nghttp2_nv nv[] = { NV(":status", "413") };
    struct tls_world t;
    struct peer p;
    struct record r;
    struct buf body;

    open_known(&t, &p, 100);
    nghttp2_session_set_local_window_size(p.session, 0, 0, 65535);
    buf_init(&body, 8 << 20);
    for (int i = 0; i < 400000; i++)
        buf_add(&body, S("0123456789"));
    ask(t.w, &r, buf_str(&body));
    UNTIL(&p, p.count == 2);
    EXPECT(nghttp2_submit_response(p.session, p.streams[1].id, nv, 1, NULL) == 0);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended);
    EXPECT_INT(r.status, 413);
    EXPECT(buf_len(&p.streams[1].body) < 4000000);
    finish(&r);

    /* The rest is not sent, the stream does not end as if it had been, and the connection goes on. */
    UNTIL(&p, p.streams[1].reset);
    EXPECT_INT(p.streams[1].code, NGHTTP2_CANCEL);
    EXPECT(!p.streams[1].ended);
    ask(t.w, &r, S("next"));
    until_asked(&p, 3);
    EXPECT_STR(buf_str(&p.streams[2].body), "next");
    EXPECT(!has(&p.streams[1].body, "next"));
    peer_answer(&p, &p.streams[2], 10, true);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended && r.reused);
    buf_fini(&body);
    end(&t, &p, &r);
}

TEST(cancelled_answers_do_not_fill_the_window_of_the_connection)
{
    enum { ROUNDS = 2 * H2_CONNECTION_WINDOW / H2_STREAM_WINDOW };
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        prepare(t.w, &r, S("x"));
        r.pause_at_head = true;
        begin(t.w, &r);
        until_asked(&p, i + 1);
        peer_answer(&p, &p.streams[i], (size_t)2 * H2_STREAM_WINDOW, true);
        UNTIL(&p, p.streams[i].sent == H2_STREAM_WINDOW && atomic_load(&r.heads) == 1);
        loop_post(t.w->lb.loop, cancel_here, &r);
        UNTIL(&p, p.streams[i].reset);
        finish(&r);
    }
    ask(t.w, &r, S("last"));
    until_asked(&p, ROUNDS + 2);
    peer_answer(&p, &p.streams[ROUNDS + 1], 1000000, true);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended && peer_bytes_ok(buf_str(&r.body)));
    EXPECT_INT(buf_len(&r.body), 1000000);
    end(&t, &p, &r);
}

/* --- ends --- */

TEST(cancelling_resets_the_stream_and_keeps_the_connection)
{
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    ask(t.w, &r, S("x"));
    until_asked(&p, 2);
    peer_answer(&p, &p.streams[1], 100, false);
    UNTIL(&p, atomic_load(&r.datas) == 1);
    loop_post(t.w->lb.loop, cancel_here, &r);
    UNTIL(&p, p.streams[1].reset);
    EXPECT_INT(p.streams[1].code, NGHTTP2_CANCEL);
    EXPECT_INT(r.over, 0);
    finish(&r);

    prepare(t.w, &r, S("again"));
    r.cancel_at_head = true;
    begin(t.w, &r);
    until_asked(&p, 3);
    peer_answer(&p, &p.streams[2], 100, true);
    UNTIL(&p, atomic_load(&r.heads) == 1);
    EXPECT(nobody_connects(&t));
    EXPECT_INT(r.over, 0);
    EXPECT_INT(r.datas, 0);
    count(t.w);
    EXPECT_INT(t.w->calls_open, 0);
    EXPECT_INT(t.w->idle, 1);
    end(&t, &p, &r);
}

TEST(goaway_finishes_old_streams_and_sends_new_ones_elsewhere)
{
    static struct record old, new;
    struct tls_world t;
    struct peer p, q;

    open_known(&t, &p, 100);
    prepare(t.w, &old, S("old"));
    begin(t.w, &old);
    until_asked(&p, 2);
    prepare(t.w, &new, S("new"));
    begin(t.w, &new);
    until_asked(&p, 3);
    nghttp2_submit_goaway(p.session, 0, p.streams[1].id, 0, NULL, 0);
    peer_turn(&p, 1);
    peer_accept(&t, &q, 100);
    until_asked(&q, 1);
    EXPECT_STR(buf_str(&q.streams[0].body), "new");
    peer_answer(&q, &q.streams[0], 4, true);
    UNTIL(&q, is_over(&new));
    EXPECT(new.ended);
    EXPECT_INT(new.connected, 1);
    peer_answer(&p, &p.streams[1], 4, true);
    UNTIL(&p, is_over(&old));
    EXPECT(old.ended);
    UNTIL(&p, p.gone);    /* behind its last stream it is closed */
    finish(&old);
    finish(&new);
    tls_world_close(&t);
    peer_close(&p);
    peer_close(&q);
}

TEST(a_refused_stream_is_resent_until_it_is_accepted)
{
    enum { REFUSALS = 8 };
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    ask(t.w, &r, S("x"));
    for (unsigned i = 1; i <= REFUSALS; i++) {
        until_asked(&p, i + 1);
        EXPECT_INT(r.over, 0);
        nghttp2_submit_rst_stream(p.session, 0, p.streams[i].id, NGHTTP2_REFUSED_STREAM);
    }
    until_asked(&p, REFUSALS + 2);
    peer_answer(&p, &p.streams[REFUSALS + 1], 3, true);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended);
    EXPECT_INT(r.resent, REFUSALS);
    EXPECT_INT(r.connected, 1);
    end(&t, &p, &r);
}

TEST(a_stream_that_is_always_refused_fails_when_its_time_is_over)
{
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    prepare(t.w, &r, S("x"));
    r.request.resend_ms = 100;
    begin(t.w, &r);
    for (unsigned i = 1; !is_over(&r); i++) {
        UNTIL(&p, is_over(&r) || (p.count > i && p.streams[i].ended));
        if (p.count > i)
            nghttp2_submit_rst_stream(p.session, 0, p.streams[i].id, NGHTTP2_REFUSED_STREAM);
    }
    EXPECT_INT(r.why, ERR_UPSTREAM_RESET);
    EXPECT(r.resent >= 2 && r.resent <= 6);    /* at once, then after 10 ms, 20 ms, 40 ms */
    EXPECT_INT(p.count, 2 + r.resent);
    finish(&r);

    prepare(t.w, &r, S("x"));    /* and cancelled while it pauses */
    begin(t.w, &r);
    unsigned first = p.count;
    for (unsigned i = first; i < first + 4; i++) {
        until_asked(&p, i + 1);
        nghttp2_submit_rst_stream(p.session, 0, p.streams[i].id, NGHTTP2_REFUSED_STREAM);
    }
    UNTIL(&p, atomic_load(&r.resent) == 4);
    loop_post(t.w->lb.loop, cancel_here, &r);
    EXPECT(becomes(&t.w->marks, 1));
    count(t.w);
    EXPECT_INT(t.w->calls_open, 0);
    end(&t, &p, &r);
}

TEST(many_calls_succeed_although_each_connection_accepts_few)
{
    enum { CALLS = 30, TAKEN = 4 };
    static struct record r[CALLS];
    static struct peer p[CALLS];
    struct tls_world t;
    unsigned done = 0, used = 0, resent = 0;

    open_known(&t, &p[0], 100);
    for (int i = 0; i < CALLS; i++)
        ask(t.w, &r[i], S("hello"));
    while (done < CALLS) {
        struct peer *now = &p[used++];

        EXPECT(used < CALLS);
        if (used > 1)
            peer_accept(&t, now, 100);
        unsigned first = used == 1 ? 1 : 0;
        unsigned taken = MIN((unsigned)TAKEN, CALLS - done);
        UNTIL(now, now->count >= first + taken && now->streams[first + taken - 1].ended);
        nghttp2_submit_goaway(now->session, 0, now->streams[first + taken - 1].id, 0, NULL, 0);
        for (unsigned i = first; i < first + taken; i++)
            peer_answer(now, &now->streams[i], 5, true);
        UNTIL(now, now->gone);
        done += taken;
    }
    for (int i = 0; i < CALLS; i++) {
        EXPECT(becomes(&r[i].over, 1));
        EXPECT(r[i].ended);
        resent += r[i].resent;
        finish(&r[i]);
    }
    EXPECT(resent > CALLS);    /* most of them more than once */
    tls_world_close(&t);
    for (unsigned i = 0; i < used; i++)
        peer_close(&p[i]);
}

TEST(a_request_that_was_lost_with_a_reused_connection_is_reported)
{
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    ask(t.w, &r, S("x"));
    pause_ms(20);
    peer_close(&p);    /* whatever it read, it said nothing since the last answer */
    EXPECT(becomes(&r.over, 1));
    EXPECT_INT(r.why, ERR_UPSTREAM_STALE);
    EXPECT_INT(r.resent, 0);
    EXPECT(nobody_connects(&t));
    finish(&r);
    tls_world_close(&t);
}

/* One turn of the loop: a call begins, the server's last frames are read, the connection ends. */
static void
begin_at_the_end(void *arg)
{
    struct record *r = arg;

    start_here(r);
    struct h2 *h2 = r->call->stream->h2;
    h2->heard++;
    on_eof(h2);
}

/* The same, and it does not end: it says that it takes no more requests. */
static void
begin_at_goaway(void *arg)
{
    struct record *r = arg;

    start_here(r);
    on_bytes(r->call->stream->h2, S("\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0"));
}

TEST(what_was_not_sent_when_the_connection_ended_goes_elsewhere)
{
    static void (*const begins[])(void *arg) = { begin_at_the_end, begin_at_goaway };

    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        struct tls_world t;
        struct peer p, q;
        struct record r;

        open_known(&t, &p, 100);
        prepare(t.w, &r, S("x"));
        loop_post(t.w->lb.loop, begins[i], &r);
        peer_accept(&t, &q, 100);
        until_asked(&q, 1);
        peer_answer(&q, &q.streams[0], 3, true);
        UNTIL(&q, is_over(&r));
        EXPECT(r.ended && !r.reused);
        EXPECT_INT(r.resent, 1);
        EXPECT_INT(p.count, 1);
        end(&t, &p, &r);
        peer_close(&q);
    }
}

TEST(a_reset_is_reported_by_the_progress_of_the_answer)
{
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    ask(t.w, &r, S("x"));
    until_asked(&p, 2);
    nghttp2_submit_rst_stream(p.session, 0, p.streams[1].id, NGHTTP2_INTERNAL_ERROR);
    UNTIL(&p, is_over(&r));
    EXPECT_INT(r.why, ERR_UPSTREAM_RESET);
    finish(&r);
    ask(t.w, &r, S("x"));
    until_asked(&p, 3);
    peer_answer(&p, &p.streams[2], 10, false);
    UNTIL(&p, atomic_load(&r.datas) == 1);
    nghttp2_submit_rst_stream(p.session, 0, p.streams[2].id, NGHTTP2_NO_ERROR);
    UNTIL(&p, is_over(&r));
    EXPECT_INT(r.why, ERR_UPSTREAM_TRUNCATED);
    EXPECT_INT(buf_len(&r.body), 10);
    finish(&r);
    EXPECT(nobody_connects(&t));
    tls_world_close(&t);
    peer_close(&p);
}

TEST(a_connection_that_dies_fails_each_of_its_calls_once)
{
    enum { CALLS = 12 };
    static struct record r[CALLS];
    struct tls_world t;
    struct peer p;

    open_known(&t, &p, 100);
    for (int i = 0; i < CALLS; i++) {
        ask(t.w, &r[i], S("x"));
    }
    until_asked(&p, CALLS + 1);
    for (unsigned i = 1; i <= CALLS / 2; i++)
        peer_answer(&p, &p.streams[i], 10, false);
    for (unsigned i = 0; i < CALLS / 2; i++)
        UNTIL(&p, atomic_load(&r[i].datas) == 1);
    close(p.fd);
    for (int i = 0; i < CALLS; i++) {
        EXPECT(becomes(&r[i].over, 1));
        EXPECT_INT(r[i].why, i < CALLS / 2 ? ERR_UPSTREAM_TRUNCATED : ERR_UPSTREAM_RESET);
        EXPECT_INT(r[i].connected, 1);
        finish(&r[i]);
    }
    count(t.w);
    EXPECT_INT(t.w->calls_open, 0);
    EXPECT_INT(t.w->idle, 0);
    tls_world_close(&t);
    p.fd = -1;
    peer_close(&p);
}

TEST(a_silent_stream_times_out_alone)
{
    static struct record silent, other;
    struct tls_world t;
    struct peer p;

    open_known(&t, &p, 100);
    prepare(t.w, &silent, S("x"));
    silent.request.first_byte_ms = 60;
    begin(t.w, &silent);
    prepare(t.w, &other, S("y"));
    begin(t.w, &other);
    until_asked(&p, 3);
    unsigned of_other = has(&p.streams[1].body, "y") ? 1 : 2;
    UNTIL(&p, is_over(&silent));
    EXPECT_INT(silent.why, ERR_UPSTREAM_TIMEOUT);
    UNTIL(&p, p.streams[3 - of_other].reset);
    peer_answer(&p, &p.streams[of_other], 5, true);
    UNTIL(&p, is_over(&other));
    EXPECT(other.ended);
    finish(&silent);
    finish(&other);
    tls_world_close(&t);
    peer_close(&p);
}

/* --- heads --- */

TEST(interim_answers_and_trailers_are_skipped)
{
    nghttp2_nv early[] = { NV(":status", "103"), NV("link", "</x>") };
    nghttp2_nv last[] = { NV(":status", "200"), NV("content-length", "4"), NV("x-a", " b ") };
    nghttp2_nv trailer[] = { NV("x-trailer", "1") };
    struct tls_world t;
    struct peer p;
    struct record r;

    open_known(&t, &p, 100);
    ask(t.w, &r, S("x"));
    until_asked(&p, 2);
    nghttp2_submit_headers(p.session, 0, p.streams[1].id, NULL, early, 2, NULL);
    peer_turn(&p, 1);
    p.streams[1].left = 4;
    nghttp2_data_provider body = { .source.ptr = NULL, .read_callback = peer_on_read };
    nghttp2_submit_response(p.session, p.streams[1].id, last, 3, &body);
    UNTIL(&p, buf_len(&r.body) == 4);
    EXPECT_INT(r.heads, 1);
    EXPECT_INT(r.over, 0);
    uint8_t frame[] = { 0, 0, 13, 1, 5, 0, 0, 0, (uint8_t)p.streams[1].id, 0x40, 9, 'x', '-', 't',
        'r', 'a', 'i', 'l', 'e', 'r', 1, '1' };
    (void)trailer;
    EXPECT(SSL_write(p.ssl, frame, sizeof(frame)) > 0);
    UNTIL(&p, is_over(&r));
    EXPECT(r.ended);
    EXPECT_INT(r.status, 200);
    EXPECT_INT(r.heads, 1);
    end(&t, &p, &r);
}

/* Answers whose head or framing cannot be taken; frames of stream 3, behind a settled
 * connection. */
static const struct {
    const char *name;
    struct str frames;
    enum err why;
} wrong[] = {
    { "a body shorter than its length",    /* content-length: 5, then "abc" and the end */
        S_INIT("\0\0\5\1\4\0\0\0\3\x88\x0f\x0d\1"
               "5\0\0\3\0\1\0\0\0\3"
               "abc"),
        ERR_UPSTREAM_PROTOCOL },
    { "a body longer than its length",
        S_INIT("\0\0\5\1\4\0\0\0\3\x88\x0f\x0d\1"
               "2\0\0\3\0\1\0\0\0\3"
               "abc"),
        ERR_UPSTREAM_PROTOCOL },
    { "a body before its head",
        S_INIT("\0\0\3\0\0\0\0\0\3"
               "abc"),
        ERR_UPSTREAM_PROTOCOL },
    { "a head without a status", S_INIT("\0\0\5\1\5\0\0\0\3\x40\1x\1y"), ERR_UPSTREAM_PROTOCOL },
    { "an upper-case name", S_INIT("\0\0\6\1\5\0\0\0\3\x88\x40\1X\1y"), ERR_UPSTREAM_PROTOCOL },
    { "a field of the connection",
        S_INIT("\0\0\x11\1\5\0\0\0\3\x88\x40\x0a"
               "connection\3"
               "foo"),
        ERR_UPSTREAM_PROTOCOL },
    { "a line break in a value", S_INIT("\0\0\x08\1\5\0\0\0\3\x88\x40\1x\3a\nb"),
        ERR_UPSTREAM_PROTOCOL },
    { "a status out of range",
        S_INIT("\0\0\5\1\5\0\0\0\3\x08\3"
               "999"),
        ERR_UPSTREAM_PROTOCOL },
    { "switching protocols",
        S_INIT("\0\0\5\1\4\0\0\0\3\x08\3"
               "101"),
        ERR_UPSTREAM_PROTOCOL },
    { "a frame too large", S_INIT("\0\x40\1\0\0\0\0\0\3"), ERR_UPSTREAM_PROTOCOL },
    { "a push", S_INIT("\0\0\5\5\4\0\0\0\3\0\0\0\2\x82"), ERR_UPSTREAM_PROTOCOL },
    { "compression that makes no sense", S_INIT("\0\0\1\1\5\0\0\0\3\xff"), ERR_UPSTREAM_PROTOCOL },
    { "what is not HTTP/2", S_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"), ERR_UPSTREAM_PROTOCOL },
};

TEST(an_answer_that_breaks_the_rules_is_a_protocol_error)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct tls_world t;
        struct peer p;
        struct record r;

        open_known(&t, &p, 100);
        ask(t.w, &r, S("x"));
        until_asked(&p, 2);
        EXPECT(SSL_write(p.ssl, wrong[i].frames.p, (int)wrong[i].frames.n) > 0);
        if (!becomes(&r.over, 1) || r.ended || r.why != wrong[i].why)
            print_error("%s: over %u, %d\n", wrong[i].name, r.over, r.why);
        EXPECT(r.over == 1 && !r.ended);
        EXPECT_INT(r.why, wrong[i].why);
        finish(&r);
        tls_world_close(&t);
        peer_close(&p);
    }
}

TEST(heads_have_limits)
{
    enum { FIELDS = 31 };
    static char long_value[4200];
    nghttp2_nv many[FIELDS + 1];
    nghttp2_nv large[] = { NV(":status", "200"), NV("x-long", "") };

    memset(long_value, 'x', sizeof(long_value));
    large[1].value = (uint8_t *)long_value;
    large[1].valuelen = sizeof(long_value);
    many[0] = large[0];
    for (int i = 1; i <= FIELDS; i++)
        many[i] = (nghttp2_nv)NV("x-field", "v");
    for (int i = 0; i < 2; i++) {
        struct tls_world t;
        struct peer p;
        struct record r;

        open_known(&t, &p, 100);
        ask(t.w, &r, S("x"));
        until_asked(&p, 2);
        nghttp2_submit_response(
            p.session, p.streams[1].id, i == 0 ? many : large, i == 0 ? FIELDS + 1 : 2, NULL);
        UNTIL(&p, is_over(&r));
        EXPECT_INT(r.why, ERR_UPSTREAM_PROTOCOL);
        EXPECT_INT(r.heads, 0);
        finish(&r);
        tls_world_close(&t);
        peer_close(&p);
    }
}

TEST(a_flood_of_useless_frames_ends_the_connection)
{
    static const struct str floods[] = {
        S_INIT("\0\0\x08\6\1\0\0\0\0"
               "12345678"),                        /* answers to PINGs that were never sent */
        S_INIT("\0\0\0\4\0\0\0\0\0"),              /* SETTINGS */
        S_INIT("\0\0\5\2\0\0\0\0\5\0\0\0\0\0"),    /* PRIORITY */
        S_INIT("\0\0\4\x08\0\0\0\0\0\0\0\0\1"),    /* WINDOW_UPDATE */
    };

    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        struct tls_world t;
        struct peer p;
        struct record r;
        struct buf b;

        open_known(&t, &p, 100);
        ask(t.w, &r, S("x"));
        until_asked(&p, 2);
        buf_init(&b, 1 << 20);
        for (int j = 0; j < 2100; j++)
            buf_add(&b, floods[i]);
        (void)SSL_write(p.ssl, buf_str(&b).p, (int)buf_len(&b));
        if (!becomes(&r.over, 1) || r.why != ERR_UPSTREAM_PROTOCOL)
            print_error("flood %zu\n", i);
        EXPECT_INT(r.why, ERR_UPSTREAM_PROTOCOL);
        buf_fini(&b);
        finish(&r);
        tls_world_close(&t);
        peer_close(&p);
    }
}

/* --- a connection by itself, without TLS: what happens with time --- */

struct alone {
    struct loop *loop;
    struct h2 *h2;
    int fd;
    struct client_request request;
    struct origin origin;
    unsigned leaving;
    unsigned failed;
    enum err why;
};

static void
on_room_alone(void *owner)
{
    (void)owner;
}

static void
on_leaving_alone(void *owner)
{
    struct alone *a = owner;

    a->leaving++;
}

static void
on_ended_idle_alone(void *owner, uint64_t rested_ms)
{
    (void)owner;
    (void)rested_ms;
}

static const struct h2_events alone_events = {
    .room = on_room_alone,
    .ended_idle = on_ended_idle_alone,
    .leaving = on_leaving_alone,
};

static void
on_failed_alone(void *owner, enum err why, const char *detail, enum client_fate fate)
{
    struct alone *a = owner;

    (void)detail;
    (void)fate;
    a->failed++;
    a->why = why;
}

static const struct h2_stream_events alone_stream = {
    .sent = on_room_alone,
    .end = on_room_alone,
    .failed = on_failed_alone,
};

static void
stop_alone(void *arg)
{
    loop_stop(arg);
}

static void
run_for(struct alone *a, uint64_t ms)
{
    struct timer t;

    timer_init(&t, a->loop, stop_alone, a->loop);
    timer_set(&t, ms);
    loop_run(a->loop);
    timer_stop(&t);
}

static void
alone_open(struct alone *a, const struct h2_limits *limits)
{
    int ends[2];

    memset(a, 0, sizeof(*a));
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    a->fd = ends[1];
    a->loop = loop_create();
    a->h2 = h2_create(sock_create_accepted(a->loop, ends[0], NULL), limits, &alone_events, a);
    a->origin = (struct origin){ .scheme = S("https"), .host_header = S("localhost") };
    a->request = (struct client_request){
        .origin = &a->origin, .method = S("GET"), .path = S("/"), .fields = S("")
    };
}

/* Runs until the condition holds: the clock of a busy machine jumps, so nothing is expected by a time. */
#define ALONE_UNTIL(a, condition)                                                                  \
    do {                                                                                           \
        for (int turn = 0; turn < PATIENCE_MS / 5 && !(condition); turn++)                         \
            run_for((a), 5);                                                                       \
        EXPECT(condition);                                                                         \
    } while (0)

static void
alone_close(struct alone *a)
{
    close(a->fd);
    loop_destroy(a->loop);
}

TEST(an_idle_connection_ends_after_its_timeout)
{
    struct alone a;

    alone_open(
        &a, &(struct h2_limits){ .head_bytes = 4096, .fields = 10, .streams = 100, .idle_ms = 40 });
    uint64_t from_ms = loop_now_ms(a.loop);
    ALONE_UNTIL(&a, a.leaving == 1);
    EXPECT(loop_now_ms(a.loop) - from_ms >= 40);
    alone_close(&a);
}

TEST(an_old_connection_keeps_its_streams_and_takes_no_more)
{
    struct alone a;

    alone_open(
        &a, &(struct h2_limits){ .head_bytes = 4096, .fields = 10, .streams = 100, .age_ms = 30 });
    struct h2_stream *s = h2_start(a.h2, &a.request, &alone_stream, &a);
    ALONE_UNTIL(&a, a.leaving == 1);
    EXPECT_INT(h2_room(a.h2), 0);
    EXPECT_INT(h2_streams(a.h2), 1);
    h2_cancel(s);
    run_for(&a, 10);
    EXPECT_INT(a.failed, 0);
    alone_close(&a);
}

TEST(a_server_that_answers_no_ping_is_dead)
{
    struct alone a;

    alone_open(
        &a, &(struct h2_limits){
                .head_bytes = 4096, .fields = 10, .streams = 100, .ping_ms = 30, .pong_ms = 30 });
    uint64_t from_ms = loop_now_ms(a.loop);
    (void)h2_start(a.h2, &a.request, &alone_stream, &a);
    ALONE_UNTIL(&a, a.failed == 1);
    EXPECT(loop_now_ms(a.loop) - from_ms >= 60);
    EXPECT_INT(a.why, ERR_UPSTREAM_RESET);
    EXPECT_INT(a.leaving, 1);
    alone_close(&a);
}

TEST(a_server_that_answers_a_ping_may_stay_silent)
{
    static const char pong[] = "\0\0\0\4\0\0\0\0\0"    /* its settings */
                               "\0\0\x08\6\1\0\0\0\0\0\0\0\0\0\0\0\0";
    struct alone a;

    alone_open(&a,
        &(struct h2_limits){
            .head_bytes = 4096, .fields = 10, .streams = 100, .ping_ms = 30, .pong_ms = 10000 });
    struct h2_stream *s = h2_start(a.h2, &a.request, &alone_stream, &a);
    ALONE_UNTIL(&a, a.h2->pinged_ms != 0);
    uint64_t first_ms = a.h2->pinged_ms;
    EXPECT_INT(write(a.fd, pong, sizeof(pong) - 1), sizeof(pong) - 1);
    ALONE_UNTIL(&a, a.h2->pinged_ms > first_ms);    /* silent again, it is asked again */
    EXPECT_INT(a.failed, 0);
    h2_cancel(s);
    h2_destroy(a.h2);
    alone_close(&a);
}

TEST(however_fast_the_server_reads_one_turn_sends_a_bounded_part_of_a_body)
{
    enum { BODY = 12 << 20, PART = WRITES_PER_TURN * (H2_WRITE_BYTES + 32 * 1024) };
    static const char windows[] = "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"    /* of streams */
                                  "\0\0\4\x08\0\0\0\0\0\x7f\x00\x00\x00";     /* of all */
    static char body[BODY];
    const struct str piece = str_make(body, BODY);
    struct alone a;

    alone_open(&a, &(struct h2_limits){ .head_bytes = 4096, .fields = 10, .streams = 100 });
    EXPECT_INT(write(a.fd, windows, sizeof(windows) - 1), sizeof(windows) - 1);
    run_for(&a, 10);
    a.request.method = S("POST");
    a.request.body = &piece;
    a.request.body_count = 1;
    swallowed = 0;
    swallows = true;
    struct h2_stream *s = h2_start(a.h2, &a.request, &alone_stream, &a);
    for (int i = 0; i < 100 && swallowed < BODY; i++)
        run_for(&a, 10);
    swallows = false;
    EXPECT(swallowed >= BODY);
    EXPECT(loop_longest_turn(a.loop) <= PART);
    h2_cancel(s);
    h2_destroy(a.h2);
    alone_close(&a);
}
