/* test_server_in.c - bodies small, large, late and slow; heads that do not end. */
#include "http/server_in.c"

#include "tests/unit/http/server_world.h"

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

TEST(a_body_above_the_limit_is_413_and_the_client_receives_it)
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

TEST(the_client_receives_413_however_large_the_body_is)
{
    struct server_limits limits = test_limits;
    struct world *w = NULL;

    limits.body_bytes = 1000;
    w = new_world(&limits);
    for (int chunked = 0; chunked < 2; chunked++) {
        for (size_t n = 20000; n < 10000000; n *= 20) {
            struct buf sent;
            struct buf came;
            struct str answer = exchange(w, large_request(&sent, n, chunked), &came);

            EXPECT_INT(status_of(answer), 413);
            buf_fini(&sent);
            buf_fini(&came);
        }
    }
    EXPECT_INT(atomic_load(&w->failures), 6);
    end_world(w);
}

TEST(a_body_may_be_asked_for_later)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    struct str small = S("POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                         "POST /late HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n0\r\n\r\n");
    struct str large = S("POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
    char block[1000];
    int fd = call(w, small);

    memset(block, 'z', sizeof(block));
    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "\r\n\r\nabc"));
    EXPECT(contains(&b, "\r\n\r\nhello"));
    buf_reset(&b, 0);
    EXPECT(peer_send(fd, large));
    for (int i = 0; i < 300; i++)
        EXPECT(peer_send(fd, str_make(block, sizeof(block))));
    while (body_of(buf_str(&b)).n < 300000)
        EXPECT_INT(peer_recv(fd, &b, PATIENCE_MS), PEER_MORE);
    EXPECT_INT(atomic_load(&w->requests), 3);
    EXPECT_INT(atomic_load(&w->bodies), 1);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_declared_length_alone_reserves_nothing)
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

/* The head of a request with a large body, and the beginning of the body. */
static int
begin_large(struct world *w, size_t length, size_t sent)
{
    char head[200];
    int n = snprintf(
        head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", length);
    int fd = call(w, str_make(head, (size_t)n));
    char *bytes = calloc(1, sent + 1);

    EXPECT(bytes != NULL && peer_send(fd, str_make(bytes, sent)));
    free(bytes);
    return fd;
}

static bool
holds(struct quota *q, uint64_t least, uint64_t most)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (quota_held(q) >= least && quota_held(q) <= most)
            return true;
        pause_ms(1);
    }
    return false;
}

TEST(declaring_large_bodies_does_not_block_other_clients)
{
    struct quota quota = { .limit = 3000000 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;
    int fds[16];

    limits.held = &held;
    struct world *w = new_world(&limits);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = begin_large(w, 8000000, 1000);
    EXPECT(becomes(&w->requests, 16));
    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf sent;
        struct buf came;

        EXPECT_INT(body_of(exchange(w, large_request(&sent, 2000000, chunked), &came)).n, 2000000);
        buf_fini(&sent);
        buf_fini(&came);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    EXPECT(becomes(&w->gone, 16));
    end_world(w);
    EXPECT_INT(held.held, 0);
}

TEST(large_bodies_share_the_memory_limit_and_release_it)
{
    struct quota quota = { .limit = 3000000 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;

    limits.held = &held;
    struct world *w = new_world(&limits);
    int fd = begin_large(w, 8000000, 3000000);

    EXPECT(holds(&quota, 3000000, 3100000));
    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf sent;
        struct buf came;
        struct str answer = exchange(w, large_request(&sent, 1000000, chunked), &came);

        EXPECT_STR(str_make(answer.p, 12), "HTTP/1.1 503");
        EXPECT_STR(body_of(answer), "overloaded");
        EXPECT(holds(&quota, 3000000, 3200000));
        buf_fini(&sent);
        buf_fini(&came);

        /* a small one is served nevertheless */
        answer = exchange(w, large_request(&sent, 50000, chunked), &came);
        EXPECT_INT(body_of(answer).n, 50000);
        buf_fini(&sent);
        buf_fini(&came);
    }
    EXPECT_INT(quota_refused(&quota), 2);
    close(fd);
    EXPECT(becomes(&w->gone, 1));
    for (int chunked = 0; chunked < 2; chunked++) {
        struct buf sent;
        struct buf came;

        EXPECT_INT(body_of(exchange(w, large_request(&sent, 1000000, chunked), &came)).n, 1000000);
        buf_fini(&sent);
        buf_fini(&came);
    }
    end_world(w);
    EXPECT_INT(held.held, 0);
}

TEST(a_body_in_progress_may_use_twice_the_limit_and_is_then_refused)
{
    struct quota quota = { .limit = 1000000 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;
    struct buf sent;
    struct buf came;

    limits.held = &held;
    struct world *w = new_world(&limits);
    for (int chunked = 0; chunked < 2; chunked++) {
        EXPECT_INT(body_of(exchange(w, large_request(&sent, 1800000, chunked), &came)).n, 1800000);
        buf_fini(&sent);
        buf_fini(&came);
        struct str answer = exchange(w, large_request(&sent, 2200000, chunked), &came);
        EXPECT_STR(body_of(answer), "overloaded");
        EXPECT(holds(&quota, 0, 3 * QUOTA_GRAIN_BYTES));
        buf_fini(&sent);
        buf_fini(&came);
    }
    end_world(w);
    EXPECT_INT(held.held, 0);
}

TEST(heads_and_pipelined_bytes_count_towards_the_memory_limit)
{
    struct quota quota = { .limit = 1000000000 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;
    enum { CALLERS = 20, FIELD = 6000, BEHIND = 30000 };
    char *request = malloc(FIELD + BEHIND + 200);
    int fds[CALLERS];

    limits.held = &held;
    struct world *w = new_world(&limits);
    int n = sprintf(request, "GET /hold HTTP/1.1\r\nHost: h\r\nX: ");
    memset(request + n, 'x', FIELD);
    n += FIELD;
    n += sprintf(request + n, "\r\n\r\n");
    memset(request + n, 'G', BEHIND);
    for (int i = 0; i < CALLERS; i++)
        fds[i] = call(w, str_make(request, (size_t)n + BEHIND));
    EXPECT(holds(&quota, (uint64_t)CALLERS * (FIELD + BEHIND), UINT64_MAX));
    for (int i = 0; i < CALLERS; i++)
        close(fds[i]);
    free(request);
    end_world(w);
    EXPECT_INT(held.held, 0);
}

static void
forget_and_finish(void *arg)
{
    struct world *w = arg;

    server_forget_head(w->held);
    EXPECT(w->held->head_room.fields == NULL);
    EXPECT(w->server->limits.held->held < 6000);
    server_write(w->held, S(" and forgotten"));
    server_end(w->held, S(""));
}

TEST(a_head_that_is_forgotten_takes_no_memory_and_the_next_request_has_its_own)
{
    struct quota quota = { .limit = 1000000000 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;
    char request[6200];
    struct buf came;

    limits.held = &held;
    struct world *w = new_world(&limits);
    int n = sprintf(request, "GET /hold HTTP/1.1\r\nHost: h\r\nX: %06000d\r\n\r\n", 0);
    int fd = call(w, str_make(request, (size_t)n));

    buf_init(&came, 1 << 20);
    EXPECT(peer_await(fd, &came, "held"));
    EXPECT(holds(&quota, 6000, UINT64_MAX));
    loop_post(w->lb.loop, forget_and_finish, w);
    EXPECT(peer_await(fd, &came, " and forgotten"));
    EXPECT(peer_send(fd, S(GET_CLOSE("/sized"))));
    EXPECT_INT(peer_recv_all(fd, &came), PEER_CLOSED);
    EXPECT(contains(&came, "one two three"));
    close(fd);
    buf_fini(&came);
    end_world(w);
}

TEST(at_the_memory_limit_a_head_is_refused_with_a_message)
{
    struct quota quota = { .limit = 0 };
    struct quota_share held = { .quota = &quota };
    struct server_limits limits = test_limits;
    struct buf came;

    limits.held = &held;
    struct world *w = new_world(&limits);
    int fd = call(w, S("GET /sized HTTP/1.1\r\nHo"));

    buf_init(&came, 1 << 20);
    EXPECT(peer_await(fd, &came, "memory limit"));
    EXPECT_INT(status_of(buf_str(&came)), 503);
    EXPECT(contains(&came, "Retry-After"));
    close(fd);
    buf_fini(&came);
    end_world(w);
}

TEST(unread_responses_count_towards_the_memory_limit_until_they_are_read)
{
    /* twice as much for answers: one of BLOCK_BYTES fits, not three */
    struct quota held = { .limit = 10000000 };
    struct quota_share share = { .quota = &held };
    struct server_limits limits = test_limits;

    limits.held = &share;
    struct world *w = new_world(&limits);
    struct buf b;
    int first = call(w, S(GET_KEEP("/block")));

    buf_init(&b, 64 << 20);
    EXPECT(holds(&held, 1000000, BLOCK_BYTES));
    int others[] = { call(w, S(GET_KEEP("/block"))), call(w, S(GET_KEEP("/block"))) };

    EXPECT(becomes(&w->requests, 3));
    for (int i = 0; i < PATIENCE_MS && quota_refused(&held) == 0; i++)
        pause_ms(1);
    EXPECT(quota_refused(&held) != 0);
    close(others[0]);
    close(others[1]);
    while (buf_len(&b) < BLOCK_BYTES)
        EXPECT(peer_recv(first, &b, PATIENCE_MS) == PEER_MORE);
    EXPECT(holds(&held, 0, 3 * QUOTA_GRAIN_BYTES));
    close(first);
    buf_fini(&b);
    end_world(w);
    EXPECT_INT(share.held, 0);
}

TEST(an_early_response_reaches_a_client_that_is_still_sending)
{
    struct world *w = new_world(&test_limits);
    struct buf sent;
    struct buf came;

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

TEST(continue_is_sent_when_the_body_is_requested)
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

TEST(continue_is_not_sent_when_the_body_is_not_asked_for)
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

TEST(an_idle_connection_is_closed_without_a_response)
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
    for (int i = 0; i < 5; i++) {    /* bytes that trickle in do not move the deadline */
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

TEST(a_body_that_arrives_steadily_is_accepted)
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

TEST(a_body_that_exceeds_its_deadline_is_408_even_if_it_arrives_steadily)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.body_ms = 200;
    limits.body_grace_ms = 60;
    limits.body_rate_bytes_per_s = 100;
    struct world *w = new_world(&limits);
    static const char *const heads[] = {
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        int fd = call(w, str_c(heads[i]));

        for (int sent = 0; sent < PATIENCE_MS && atomic_load(&w->failures) == i; sent += 10) {
            (void)peer_send(fd, i == 1 ? S("5\r\nxxxxx\r\n") : S("xxxxxxxxxx"));
            pause_ms(10);
        }
        buf_init(&b, 1 << 20);
        EXPECT(peer_await(fd, &b, "request_timeout"));
        EXPECT_INT(status_of(last_answer(buf_str(&b))), 408);
        close(fd);
        buf_fini(&b);
    }
    EXPECT_INT(atomic_load(&w->failures), 3);
    end_world(w);
}

TEST(a_client_that_stops_reading_is_disconnected)
{
    struct server_limits limits = test_limits;

    limits.write_stall_ms = 100;
    struct world *w = new_world(&limits);
    int fd = call(w, S(GET_KEEP("/pour")));

    EXPECT(becomes(&w->gone, 1));
    close(fd);
    end_world(w);
}

TEST(after_a_refusal_input_is_drained_until_it_pauses_but_not_forever)
{
    struct server_conn q = { .finished_ms = 1000, .since_ms = 1000 };

    EXPECT(!has_lingered(&q, 1000 + SERVER_LINGER_MS - 1));
    EXPECT(has_lingered(&q, 1000 + SERVER_LINGER_MS));
    q.since_ms = 1000 + SERVER_LINGER_MOST_MS - 1;    /* bytes came a moment ago */
    EXPECT(!has_lingered(&q, 1000 + SERVER_LINGER_MOST_MS - 1));
    EXPECT(has_lingered(&q, 1000 + SERVER_LINGER_MOST_MS));
}
