/* test_client_h1_in.c - answers whole, cut, wrong and slow, byte by byte if need be. */
#include "http/client_h1_in.c"

#include "tests/unit/http/client_world.h"

/* --- answers --- */

static const struct {
    const char *name;
    struct str bytes;    /* sent, then the connection is closed */
    int status;          /* 0: failed */
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

/* --- backpressure --- */

TEST(a_paused_call_gets_no_callbacks_until_it_is_resumed)
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

/* --- answers that come before the request is sent --- */

enum { LARGE_BYTES = 32000000 };

/* The head of the answer comes when the server has a small part of the request, the rest of the
 * answer when it has read all that the client wants to send. */
static const struct {
    struct str head, rest;
    int status;
    bool refuses;    /* the client sends no more after the head */
} early[] = {
    { S_INIT("HTTP/1.1 429 Slow Down\r\nContent-Length: 2\r\n\r\n"), S_INIT("no"), 429, true },
    { S_INIT("HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n"),
        S_INIT("2\r\nno\r\n0\r\n\r\n"), 413, true },
    { S_INIT("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 2\r\n\r\n"), S_INIT("no"), 307,
        true },
    { S_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Failed\r\nContent-Length: 2\r\n\r\n"),
        S_INIT("no"), 500, true },
    { S_INIT("HTTP/1.1 429 Slow Down\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"),
        S_INIT("no"), 429, true },
    { S_INIT("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), S_INIT(""), 401, true },
    { S_INIT("HTTP/1.1 304 Not Modified\r\n\r\n"), S_INIT(""), 304, true },
    { S_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), S_INIT("ok"), 200, false },
    { S_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        S_INIT("2\r\nok\r\n0\r\n\r\n"), 200, false },
    { S_INIT("HTTP/1.1 204 No Content\r\n\r\n"), S_INIT(""), 204, false },
};

/* Reads until nothing has come for a while, or the connection ended. */
static enum peer_end
read_what_comes(int fd, struct buf *b)
{
    enum peer_end end = PEER_MORE;

    while (end == PEER_MORE)
        end = peer_recv(fd, b, 200);
    return end;
}

static struct str
large_body(void)
{
    static char body[LARGE_BYTES];

    memset(body, 'x', sizeof(body));
    return str_make(body, sizeof(body));
}

/* Asks for something else, and tells whether the old connection was used for it. */
static void
ask_elsewhere(struct world *w, int old, struct buf *came)
{
    struct record r;
    struct buf b;

    ask(w, &r, S("the secrets of somebody else"));
    int fd = accept_one(w);
    read_request(fd, &b, "somebody else");
    EXPECT(peer_send(fd, S("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")));
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && !r.reused);
    EXPECT(read_what_comes(old, came) != PEER_SILENT);
    EXPECT(str_find(buf_str(came), S("secrets")) == buf_len(came));
    close(fd);
    buf_fini(&b);
    finish(&r);
}

TEST(a_connection_whose_request_was_cut_is_never_used_again)
{
    for (size_t i = 0; i < ARRAY_LEN(early); i++) {
        struct world *w = new_world();
        struct record r;
        struct buf came;

        ask(w, &r, large_body());
        int fd = accept_one(w);
        read_request(fd, &came, "xxxx");
        EXPECT(peer_send(fd, early[i].head));
        EXPECT(becomes(&r.heads, 1));
        (void)read_what_comes(fd, &came);    /* all that the client has for us is read now */
        (void)peer_send(fd, early[i].rest);
        EXPECT(becomes(&r.over, 1));
        EXPECT(r.ended);
        EXPECT_INT(r.status, early[i].status);
        count(w);
        if (early[i].refuses) {
            EXPECT_INT(w->idle, 0);
            ask_elsewhere(w, fd, &came);
            EXPECT(buf_len(&came) < LARGE_BYTES);
        } else if (early[i].rest.n != 0) {
            EXPECT_INT(w->idle, 1);    /* all was sent, and the answer came after it */
            EXPECT(buf_len(&came) > LARGE_BYTES);
        }
        close(fd);
        buf_fini(&came);
        finish(&r);
        end_world(w);
    }
}

TEST(a_connection_with_bytes_still_to_be_sent_is_never_used_again)
{
    for (size_t i = 0; i < ARRAY_LEN(early); i++) {
        struct world *w = new_world();
        struct record r;
        struct buf came;

        ask(w, &r, large_body());
        int fd = accept_one(w);
        read_request(fd, &came, "xxxx");
        EXPECT(peer_send(fd, early[i].head));
        EXPECT(peer_send(fd, early[i].rest));
        EXPECT(becomes(&r.over, 1));
        EXPECT(r.ended);
        EXPECT_INT(r.status, early[i].status);
        count(w);
        EXPECT_INT(w->idle, 0);
        ask_elsewhere(w, fd, &came);
        EXPECT(buf_len(&came) < LARGE_BYTES);
        close(fd);
        buf_fini(&came);
        finish(&r);
        end_world(w);
    }
}
