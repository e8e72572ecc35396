/* test_server.c - what is taken and what is refused over real connections, and how many of them. */
#include "http/server.c"

#include "tests/unit/http/raw_requests.h"
#include "tests/unit/http/server_world.h"

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
                break;    /* refused already */
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

TEST(bytes_after_a_refused_request_are_not_parsed)
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
    for (int tries = 0; tries < 100; tries++) {    /* there is room again, in a moment */
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

TEST(the_default_limit_per_address_exempts_loopback)
{
    struct server_limits limits = test_limits;
    struct buf b;

    limits.connections_per_address = 1;
    limits.spares_local = true;
    struct world *w = new_world(&limits);
    int first = call(w, S(GET_KEEP("/sized"))), second = call(w, S(GET_KEEP("/sized")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(first, &b, "three"));
    buf_reset(&b, 0);
    EXPECT(peer_await(second, &b, "three"));
    close(first);
    close(second);
    buf_fini(&b);
    end_world(w);
}

static void
drain_here(void *arg)
{
    struct world *w = arg;

    server_drain(w->server);
}

TEST(draining_closes_idle_connections_and_completes_responses)
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

static void
leave_here(void *arg)
{
    struct world *w = arg;

    server_leave(w->server);
}

/* The loop does not read while it waits here; then the drain comes first. */
static void
wait_and_drain_here(void *arg)
{
    struct world *w = arg;

    atomic_fetch_add(&w->looks, 1);
    EXPECT(becomes(&w->go, 1));
    pause_ms(2 * SERVER_DRAIN_IDLE_MS);    /* by this loop's clock the time is over at once */
    server_drain(w->server);
}

TEST(leaving_closes_each_connection_after_its_response)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/sized")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "three"));
    EXPECT(!contains(&b, "Connection: close"));
    loop_post(w->lb.loop, leave_here, w);
    EXPECT_INT(peer_recv(fd, &b, 100), PEER_SILENT);
    EXPECT(peer_send(fd, S(GET_KEEP("/sized"))));
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT(contains(&b, "Connection: close\r\n"));
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_request_in_the_receive_buffer_when_draining_begins_is_answered)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = call(w, S(GET_KEEP("/sized")));

    buf_init(&b, 1 << 20);
    EXPECT(peer_await(fd, &b, "three"));
    loop_post(w->lb.loop, wait_and_drain_here, w);
    EXPECT(becomes(&w->looks, 1));
    EXPECT(peer_send(fd, S(GET_KEEP("/sized"))));
    atomic_store(&w->go, 1);
    buf_reset(&b, 0);
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(status_of(buf_str(&b)), 200);
    EXPECT(contains(&b, "Connection: close\r\n"));
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(a_client_connected_when_draining_begins_may_send_one_request)
{
    struct world *w = new_world(&test_limits);
    struct buf b;
    int fd = peer_connect(w->lb.port);

    buf_init(&b, 1 << 20);
    loop_post(w->lb.loop, drain_here, w);
    EXPECT_INT(peer_recv(fd, &b, 3 * SERVER_DRAIN_IDLE_MS), PEER_SILENT);
    EXPECT(peer_send(fd, S(GET_KEEP("/sized"))));
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    EXPECT_INT(status_of(buf_str(&b)), 200);
    EXPECT(contains(&b, "Connection: close\r\n"));
    close(fd);

    fd = peer_connect(w->lb.port);    /* and who says nothing is not waited for long */
    EXPECT_INT(peer_recv_all(fd, &b), PEER_CLOSED);
    close(fd);
    buf_fini(&b);
    end_world(w);
}

TEST(destroying_the_server_calls_gone_for_open_requests)
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
