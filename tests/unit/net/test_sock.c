/* test_sock.c - byte streams: order, backpressure, ends and errors, over real sockets. */
#include "net/sock.c"

#include "tests/unit/net/fixture.h"

static void
write_c(struct end *e, const char *text)
{
    struct str s = str_c(text);

    sock_write(e->sock, &s, 1);
}

static size_t
fill_until_queued(struct end *e, char letter)
{
    static char block[64 * 1024];
    struct str s = str_make(block, sizeof(block));
    size_t n = 0;

    memset(block, letter, sizeof(block));
    while (sock_queued_bytes(e->sock) == 0 && n < (size_t)1 << 28) {
        sock_write(e->sock, &s, 1);
        n += s.n;
    }
    return n;
}

TEST(a_plain_socket_is_small)
{
    EXPECT(sizeof(struct sock) <= 328);
}

TEST(pieces_arrive_in_order_however_many_there_are)
{
    struct pair p;
    struct str pieces[100];
    char digits[100][16];

    pair_open(&p);
    for (int i = 0; i < 100; i++) {
        snprintf(digits[i], sizeof(digits[i]), "%02d,", i);
        pieces[i] = i % 7 == 0 ? S("") : str_c(digits[i]);
    }
    sock_write(p.client.sock, pieces, 100);
    sock_write(p.client.sock, pieces, 0);
    RUN_UNTIL(p.loop, buf_len(&p.server.in) >= 85 * 3);
    EXPECT_INT(buf_len(&p.server.in), 85 * 3);
    EXPECT(str_starts(buf_str(&p.server.in), S("01,02,03,04,05,06,08,")));
    EXPECT(str_ends(buf_str(&p.server.in), S("96,97,99,")));
    EXPECT_INT(p.client.drained, 0);
    pair_close(&p);
}

TEST(nagle_is_off_on_both_ends)
{
    struct pair p;
    int on = 0;
    socklen_t len = sizeof(on);

    pair_open(&p);
    EXPECT(
        getsockopt(p.client.sock->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &len) == 0 && on == 1);
    on = 0;
    EXPECT(getsockopt(p.server.sock->fd, IPPROTO_TCP, 1, &on, &len) == 0 && on == 1);
    pair_close(&p);
}

TEST(both_ends_know_the_other_address)
{
    struct pair p;

    pair_open(&p);
    EXPECT_STR(sock_peer(p.client.sock), "127.0.0.1");
    EXPECT_STR(sock_peer(p.server.sock), "127.0.0.1");
    EXPECT(!sock_is_tls(p.client.sock));
    EXPECT_STR(sock_alpn(p.client.sock), "");
    EXPECT(sock_loop(p.client.sock) == p.loop);
    pair_close(&p);
}

TEST(what_the_kernel_does_not_take_is_queued_counted_and_sent_later)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.server.sock);
    size_t n = fill_until_queued(&p.client, 'a');
    EXPECT(sock_queued_bytes(p.client.sock) > 0 && sock_queued_bytes(p.client.sock) <= 64 * 1024);
    size_t queued = sock_queued_bytes(p.client.sock);
    write_c(&p.client, "the end");
    EXPECT_INT(sock_queued_bytes(p.client.sock), queued + 7);
    RUN_FOR_MS(p.loop, 50);
    EXPECT(p.client.drained == 0 && sock_queued_bytes(p.client.sock) != 0);

    sock_read_start(p.server.sock);
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == n + 7);
    EXPECT(str_ends(buf_str(&p.server.in), S("aaathe end")));
    EXPECT_INT(p.client.drained, 1);
    EXPECT_INT(sock_queued_bytes(p.client.sock), 0);
    EXPECT(p.client.sock->queue == NULL);
    pair_close(&p);
}

TEST(a_large_write_keeps_its_order_when_the_kernel_is_full)
{
    struct pair p;
    size_t n = (size_t)8 << 20;
    char *big = malloc(n);
    struct str pieces[3] = { S("<"), str_make(big, n), S(">") };

    EXPECT(big != NULL);
    for (size_t i = 0; i < n; i++)
        big[i] = (char)('a' + i % 23);
    pair_open(&p);
    sock_write(p.client.sock, pieces, 3);
    memset(big, '#', n);    /* the caller's memory is his again */
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == n + 2);
    struct str got = buf_str(&p.server.in);
    EXPECT(got.p[0] == '<' && got.p[n + 1] == '>');
    for (size_t i = 0; i < n; i++) {
        if (got.p[1 + i] != (char)('a' + i % 23))
            EXPECT_INT(i, -1);
    }
    free(big);
    pair_close(&p);
}

TEST(stopping_and_starting_to_read_in_one_turn_never_reaches_the_kernel)
{
    struct pair p;

    pair_open(&p);
    for (int i = 0; i < 3; i++) {
        sock_read_stop(p.server.sock);
        EXPECT(p.server.sock->polling);
        sock_read_start(p.server.sock);
        EXPECT(p.server.sock->polling);
    }
    write_c(&p.client, "x");
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == 1);
    pair_close(&p);
}

TEST(nothing_is_read_while_reading_is_off_and_nothing_is_lost)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.server.sock);
    write_c(&p.client, "later");
    RUN_FOR_MS(p.loop, 50);
    EXPECT_INT(p.server.datas, 0);
    EXPECT(!p.server.sock->polling);    /* the loop is not woken again and again */
    sock_read_start(p.server.sock);
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == 5);
    EXPECT_STR(buf_str(&p.server.in), "later");
    pair_close(&p);
}

TEST(a_reader_that_stops_in_its_callback_gets_no_more)
{
    struct pair p;

    pair_open(&p);
    p.server.stop_after = 1;
    sock_read_stop(p.server.sock);
    size_t n = fill_until_queued(&p.client, 'b');
    sock_read_start(p.server.sock);
    RUN_UNTIL(p.loop, p.server.datas == 1);
    RUN_FOR_MS(p.loop, 50);
    EXPECT_INT(p.server.datas, 1);
    EXPECT(buf_len(&p.server.in) <= LOOP_READ_BYTES);
    p.server.stop_after = 0;
    sock_read_start(p.server.sock);
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == n);
    pair_close(&p);
}

static char offered[1000];

static char *
offer_room(void *owner, size_t *ret_size)
{
    struct end *e = owner;

    *ret_size = sizeof(offered);
    return e->datas == 0 ? offered : NULL;
}

static bool was_offered;

static void
data_into_room(void *owner, struct str bytes)
{
    struct end *e = owner;

    if (e->datas == 0)
        was_offered = bytes.p == offered;
    end_data(owner, bytes);
}

TEST(bytes_are_read_directly_into_the_buffer_of_the_owner)
{
    static const struct sock_events events = {
        .room = offer_room, .data = data_into_room, .failed = end_failed
    };
    struct pair p;

    pair_open(&p);
    sock_own(p.server.sock, &events, &p.server);
    write_c(&p.client, "first");
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == 5);
    EXPECT(was_offered);
    write_c(&p.client, "second");    /* no room offered: the shared buffer */
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == 11);
    pair_close(&p);
}

TEST(a_shutdown_ends_the_stream_after_what_is_queued_and_reading_continues)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.server.sock);
    size_t n = fill_until_queued(&p.client, 'c');
    sock_shutdown(p.client.sock);
    write_c(&p.client, "too late");
    sock_read_start(p.server.sock);
    RUN_UNTIL(p.loop, p.server.eof);
    EXPECT_INT(buf_len(&p.server.in), n);
    write_c(&p.server, "answer");
    RUN_UNTIL(p.loop, buf_len(&p.client.in) == 6);
    EXPECT(!p.client.eof && p.client.failed == OK);
    pair_close(&p);
}

TEST(a_close_is_an_end_for_the_peer_and_a_reset_is_a_failure)
{
    struct pair p;

    pair_open(&p);
    sock_close(p.client.sock);
    p.client.sock = NULL;
    RUN_UNTIL(p.loop, p.server.eof);
    EXPECT(p.server.failed == OK);
    pair_close(&p);

    pair_open(&p);
    sock_close_reset(p.client.sock);
    p.client.sock = NULL;
    RUN_UNTIL(p.loop, p.server.failed != OK);
    EXPECT_INT(p.server.failed, ERR_UPSTREAM_RESET);
    EXPECT_STR(str_c(p.server.detail), "connection reset by peer");
    EXPECT(!p.server.eof);
    pair_close(&p);
}

TEST(a_failed_write_is_reported_from_the_loop_and_only_once)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.server.sock);
    sock_close_reset(p.client.sock);
    p.client.sock = NULL;
    RUN_FOR_MS(p.loop, 20);
    for (int i = 0; i < 3; i++)
        write_c(&p.server, "anybody there?");
    EXPECT(p.server.failed == OK);    /* not from inside the call */
    RUN_UNTIL(p.loop, p.server.failed != OK);
    EXPECT_INT(p.server.failed, ERR_UPSTREAM_RESET);
    write_c(&p.server, "still not");
    RUN_FOR_MS(p.loop, 20);
    pair_close(&p);
}

TEST(what_the_peer_sent_before_it_closed_is_read_although_writing_fails)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.client.sock);
    write_c(&p.client, "request");
    RUN_UNTIL(p.loop, buf_len(&p.server.in) == 7);
    write_c(&p.server, "413 go away");
    sock_close(p.server.sock);
    p.server.sock = NULL;
    RUN_FOR_MS(p.loop, 20);
    sock_read_start(p.client.sock);
    write_c(&p.client, "body");    /* answered with RST */
    write_c(&p.client, "body");
    RUN_UNTIL(p.loop, p.client.eof || p.client.failed != OK);
    EXPECT_STR(buf_str(&p.client.in), "413 go away");
    pair_close(&p);
}

TEST(an_error_between_two_owners_is_reported_to_the_next)
{
    struct pair p;

    pair_open(&p);
    sock_own(p.client.sock, NULL, NULL);
    sock_read_stop(p.client.sock);
    sock_close_reset(p.server.sock);
    p.server.sock = NULL;
    RUN_FOR_MS(p.loop, 20);
    write_c(&p.client, "x");
    RUN_FOR_MS(p.loop, 20);
    EXPECT(p.client.failed == OK);
    sock_own(p.client.sock, &end_events, &p.client);
    RUN_UNTIL(p.loop, p.client.failed == ERR_UPSTREAM_RESET);
    pair_close(&p);
}

static void
close_in_data(void *owner, struct str bytes)
{
    struct end *e = owner;

    (void)bytes;
    e->datas++;
    sock_close(e->sock);
    e->sock = NULL;
}

TEST(an_owner_that_closes_in_its_callback_is_not_called_again)
{
    static const struct sock_events events = { .data = close_in_data, .failed = end_failed };
    struct pair p;

    pair_open(&p);
    sock_own(p.server.sock, &events, &p.server);
    fill_until_queued(&p.client, 'd');
    RUN_UNTIL(p.loop, p.server.datas == 1);
    RUN_FOR_MS(p.loop, 20);
    EXPECT_INT(p.server.datas, 1);
    EXPECT(p.server.failed == OK);
    pair_close(&p);
}

TEST(closing_with_bytes_queued_drops_them_quietly)
{
    struct pair p;

    pair_open(&p);
    sock_read_stop(p.server.sock);
    fill_until_queued(&p.client, 'e');
    write_c(&p.client, "more");
    sock_close(p.client.sock);
    p.client.sock = NULL;
    RUN_FOR_MS(p.loop, 20);
    EXPECT(p.client.failed == OK && p.client.drained == 0);
    pair_close(&p);
}

TEST(open_connections_are_counted)
{
    struct pair p;
    uint64_t before = sock_open_count();

    pair_open(&p);
    EXPECT_INT(sock_open_count() - before, 2);
    pair_close(&p);
    EXPECT_INT(sock_open_count(), before);
}

TEST(closing_nothing_is_allowed)
{
    sock_close(NULL);
    sock_close_reset(NULL);
}
