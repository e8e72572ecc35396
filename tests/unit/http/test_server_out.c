/* test_server_out.c - answers: their framing, their order, their end, and readers that are slow. */
#include "http/server_out.c"

#include "tests/unit/http/server_world.h"

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

TEST(http_1_0_gets_no_chunked_body)
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

TEST(an_abort_before_or_during_a_response_is_a_reset)
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

TEST(a_response_shorter_than_its_length_is_a_reset)
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

TEST(a_client_that_disconnects_is_noticed)
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

TEST(a_client_that_reads_slowly_pauses_the_handler)
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

static void
look_at_backlog(void *arg)
{
    struct world *w = arg;

    w->backlog = w->server->first != NULL ? sock_queued_bytes(w->server->first->sock) : 0;
    atomic_fetch_add(&w->looks, 1);
}

TEST(a_client_that_pipelines_without_reading_is_paused)
{
    struct server_limits limits = test_limits;
    struct str question = S(GET_KEEP("/sized"));
    struct buf b;
    unsigned asked = 0;
    size_t at = 0;

    limits.head_ms = 2000;    /* waiting is not the same as being slow */
    limits.idle_ms = 2000;
    struct world *w = new_world(&limits);
    int fd = peer_connect(w->lb.port);
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    buf_init(&b, 1 << 30);
    for (unsigned looks = 1; w->backlog <= SERVER_HIGH_WATERMARK_BYTES; looks++) {
        while (poll(&p, 1, 200) == 1) {
            ssize_t n = send(fd, question.p + at, question.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);

            EXPECT(n > 0);
            at = (at + (size_t)n) % question.n;
            asked += at == 0;
            EXPECT(asked < 3000000);
        }
        loop_post(w->lb.loop, look_at_backlog, w);
        EXPECT(becomes(&w->looks, looks));
        EXPECT(looks < 300);
    }
    pause_ms(3000);    /* longer than the limits */
    EXPECT(w->backlog < 2 * SERVER_HIGH_WATERMARK_BYTES);

    EXPECT(atomic_load(&w->requests) < asked);
    while (atomic_load(&w->requests) < asked)    /* it reads: then all is answered */
        EXPECT_INT(peer_recv(fd, &b, PATIENCE_MS), PEER_MORE);
    close(fd);
    buf_fini(&b);
    end_world(w);
}
