/* test_pool.c - what is kept, what is dropped, and in which order it comes back. */
#include "net/pool.c"

#include "tests/unit/net/fixture.h"

/* A server that accepts everything, and a pool of connections to it. */
struct place {
    struct loop *loop;
    struct listener *listener;
    struct origin *origin, *other;
    struct pool *pool;
    struct sock *servers[16];
    unsigned servers_n;
    struct sock *dialled;
};

static void
ignore_data(void *owner, struct str bytes)
{
    (void)owner;
    (void)bytes;
}

static void
ignore_failed(void *owner, enum err why, const char *detail)
{
    (void)owner;
    (void)why;
    (void)detail;
}

static const struct sock_events quiet = { .data = ignore_data, .failed = ignore_failed };

static void
accept_quietly(void *owner, struct sock *s)
{
    struct place *p = owner;

    sock_own(s, &quiet, NULL);
    EXPECT(p->servers_n < 16);
    p->servers[p->servers_n++] = s;
}

static void
dialled(void *arg, struct sock *s)
{
    ((struct place *)arg)->dialled = s;
}

static void
place_open(struct place *p, struct pool_limits limits)
{
    char why[256];

    memset(p, 0, sizeof(*p));
    p->loop = loop_create();
    p->listener = listen_open(p->loop, S("127.0.0.1:0"), NULL, accept_quietly, p, WHY(why));
    p->origin = test_origin("http", listen_address(p->listener).p, NULL);
    p->other = test_origin("http", "other.test", NULL);
    p->pool = pool_create(p->loop, limits);
}

static struct sock *
dial_one(struct place *p)
{
    unsigned before = p->servers_n;

    p->dialled = NULL;
    dial_start(p->loop, p->origin, 0, 5000, dialled, NULL, p);
    RUN_UNTIL(p->loop, p->dialled != NULL && p->servers_n > before);
    return p->dialled;
}

static void
place_close(struct place *p)
{
    pool_destroy(p->pool);
    for (unsigned i = 0; i < p->servers_n; i++)
        sock_close(p->servers[i]);
    listen_close(p->listener);
    loop_destroy(p->loop);
    origin_destroy(p->origin);
    origin_destroy(p->other);
}

static const struct pool_limits roomy = { 10, 100, 60000, 600000 };

TEST(the_newest_connection_comes_back_first)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, roomy);
    EXPECT(pool_take(p.pool, p.origin, &lease) == NULL);
    struct sock *a = dial_one(&p), *b = dial_one(&p);
    pool_put(p.pool, p.origin, a, loop_now_ms(p.loop), POOL_NOT_SAID);
    pool_put(p.pool, p.origin, b, loop_now_ms(p.loop), POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 2);
    EXPECT(pool_take(p.pool, p.other, &lease) == NULL);
    EXPECT(pool_take(p.pool, p.origin, &lease) == b);
    EXPECT(!b->wants_read);
    pool_put(p.pool, p.origin, b, lease.born_ms, POOL_NOT_SAID);
    EXPECT(pool_take(p.pool, p.origin, &lease) == b);
    sock_close(b);
    place_close(&p);
}

TEST(a_born_time_travels_with_the_connection)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, roomy);
    uint64_t now_ms = loop_now_ms(p.loop);
    pool_put(p.pool, p.origin, dial_one(&p), now_ms, POOL_NOT_SAID);
    struct sock *s = pool_take(p.pool, p.origin, &lease);
    EXPECT(s != NULL);
    EXPECT_INT(lease.born_ms, now_ms);
    sock_close(s);
    place_close(&p);
}

TEST(a_connection_that_the_peer_closes_or_writes_to_is_dropped)
{
    struct place p;
    struct pool_lease lease;
    struct str surprise = S("HTTP/1.1 408 Request Timeout\r\n\r\n");

    place_open(&p, roomy);
    for (int i = 0; i < 3; i++) {
        pool_put(p.pool, p.origin, dial_one(&p), loop_now_ms(p.loop), POOL_NOT_SAID);
        if (i == 0)
            sock_close(p.servers[0]);
        else if (i == 1)
            sock_close_reset(p.servers[1]);
        else
            sock_write(p.servers[2], &surprise, 1);
        RUN_UNTIL(p.loop, pool_idle_count(p.pool) == 0);
        EXPECT(pool_take(p.pool, p.origin, &lease) == NULL);
    }
    p.servers[0] = p.servers[1] = NULL;
    place_close(&p);
}

TEST(beyond_the_limit_of_an_origin_its_oldest_goes)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, (struct pool_limits){ 2, 100, 60000, 600000 });
    struct sock *s[3] = { dial_one(&p), dial_one(&p), dial_one(&p) };
    for (int i = 0; i < 3; i++)
        pool_put(p.pool, p.origin, s[i], loop_now_ms(p.loop), POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 2);
    EXPECT(pool_take(p.pool, p.origin, &lease) == s[2]);
    EXPECT(pool_take(p.pool, p.origin, &lease) == s[1]);
    EXPECT(pool_take(p.pool, p.origin, &lease) == NULL);
    sock_close(s[1]);
    sock_close(s[2]);
    place_close(&p);
}

TEST(beyond_the_limit_of_the_pool_the_oldest_of_all_goes)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, (struct pool_limits){ 10, 2, 60000, 600000 });
    struct sock *s[3] = { dial_one(&p), dial_one(&p), dial_one(&p) };
    pool_put(p.pool, p.other, s[0], loop_now_ms(p.loop), POOL_NOT_SAID);
    pool_put(p.pool, p.origin, s[1], loop_now_ms(p.loop), POOL_NOT_SAID);
    pool_put(p.pool, p.origin, s[2], loop_now_ms(p.loop), POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 2);
    EXPECT(pool_take(p.pool, p.other, &lease) == NULL);
    place_close(&p);
}

TEST(connections_idle_or_open_for_too_long_are_not_used)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, (struct pool_limits){ 10, 10, 60000, 30 });
    uint64_t now_ms = loop_now_ms(p.loop);
    pool_put(p.pool, p.origin, dial_one(&p), now_ms, POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 1);
    RUN_FOR_MS(p.loop, 40);
    EXPECT(pool_take(p.pool, p.origin, &lease) == NULL);    /* too old */
    pool_put(p.pool, p.origin, dial_one(&p), now_ms, POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 0);    /* not even kept */
    place_close(&p);

    place_open(&p, (struct pool_limits){ 10, 10, 30, 0 });
    pool_put(p.pool, p.origin, dial_one(&p), loop_now_ms(p.loop), POOL_NOT_SAID);
    RUN_UNTIL(p.loop, pool_idle_count(p.pool) == 0);    /* reaped */
    EXPECT_INT(map_count(p.pool->homes), 0);
    place_close(&p);
}

TEST(the_reaper_goes_on_to_the_next)
{
    struct place p;

    place_open(&p, (struct pool_limits){ 10, 10, 60, 0 });
    struct sock *a = dial_one(&p), *b = dial_one(&p);
    pool_put(p.pool, p.origin, a, loop_now_ms(p.loop), POOL_NOT_SAID);
    RUN_FOR_MS(p.loop, 30);
    pool_put(p.pool, p.origin, b, loop_now_ms(p.loop), POOL_NOT_SAID);
    RUN_UNTIL(p.loop, pool_idle_count(p.pool) == 1);
    RUN_UNTIL(p.loop, pool_idle_count(p.pool) == 0);
    place_close(&p);
}

/* --- the server's idle timeout --- */

/* Puts a connection, waits, and says whether it is given out. */
static bool
is_given_after(struct place *p, long ms, uint64_t announced_ms)
{
    struct pool_lease lease;

    pool_put(p->pool, p->origin, dial_one(p), loop_now_ms(p->loop), announced_ms);
    RUN_FOR_MS(p->loop, ms);
    struct sock *s = pool_take(p->pool, p->origin, &lease);
    sock_close(s);
    return s != NULL;
}

TEST(a_connection_is_not_used_near_the_idle_timeout_that_the_server_announced)
{
    struct place p;

    place_open(&p, roomy);
    EXPECT(is_given_after(&p, 20, 1000));
    EXPECT(!is_given_after(&p, 550, 1000));    /* half a second is the margin of a second */
    EXPECT(is_given_after(&p, 20, 1000));
    EXPECT(!is_given_after(&p, 0, 0));
    place_close(&p);
}

/* Waits until the server has closed the newest connection after this rest. */
static void
let_it_be_closed(struct place *p, long rest_ms)
{
    pool_put(p->pool, p->origin, dial_one(p), loop_now_ms(p->loop), POOL_NOT_SAID);
    RUN_FOR_MS(p->loop, rest_ms);
    sock_close(p->servers[--p->servers_n]);
    RUN_UNTIL(p->loop, pool_idle_count(p->pool) == 0);
}

TEST(a_connection_is_not_used_near_the_idle_time_after_which_the_server_closed_one)
{
    struct place p;

    place_open(&p, roomy);
    EXPECT_INT(pool_idle_ms(p.pool, p.origin->pool_key), 60000);
    let_it_be_closed(&p, 10);    /* no timeout is so short */
    EXPECT_INT(pool_idle_ms(p.pool, p.origin->pool_key), 60000);
    let_it_be_closed(&p, 500);
    uint64_t learned = pool_idle_ms(p.pool, p.origin->pool_key);
    EXPECT(learned >= 250 && learned < 60000);
    EXPECT_INT(pool_idle_ms(p.pool, p.other->pool_key), 60000);
    EXPECT(is_given_after(&p, 20, POOL_NOT_SAID));
    EXPECT(!is_given_after(&p, (long)learned + 30, POOL_NOT_SAID));
    place_close(&p);
}

TEST(of_connections_that_a_restart_closes_the_longest_idle_time_counts)
{
    struct place p;

    place_open(&p, roomy);
    pool_learn_idle(p.pool, p.origin->pool_key, 50000);
    pool_learn_idle(p.pool, p.origin->pool_key, 300);
    pool_learn_idle(p.pool, p.origin->pool_key, 4000);
    EXPECT_INT(pool_idle_ms(p.pool, p.origin->pool_key), 49000);
    RUN_FOR_MS(p.loop, AT_ONCE_MS + 20);
    pool_learn_idle(p.pool, p.origin->pool_key, 5000);    /* and later the last */
    EXPECT_INT(pool_idle_ms(p.pool, p.origin->pool_key), 4000);
    struct home *h = map_get(p.pool->homes, p.origin->pool_key);
    h->seen_at_ms -= LEARNED_MS;    /* it is forgotten in the end */
    EXPECT_INT(pool_idle_ms(p.pool, p.origin->pool_key), 60000);
    forget_homes(p.pool, false);
    EXPECT_INT(map_count(p.pool->homes), 0);
    place_close(&p);
}

TEST(a_connection_whose_end_is_still_in_the_kernel_is_not_used)
{
    struct place p;
    struct pool_lease lease;

    place_open(&p, roomy);
    pool_put(p.pool, p.origin, dial_one(&p), loop_now_ms(p.loop), POOL_NOT_SAID);
    RUN_FOR_MS(p.loop, PEEK_MS + 20);
    EXPECT(shutdown(p.servers[0]->fd, SHUT_WR) == 0);    /* and the loop does not turn */
    EXPECT(pool_take(p.pool, p.origin, &lease) == NULL);
    EXPECT_INT(pool_idle_count(p.pool), 0);
    place_close(&p);
}

TEST(a_pool_of_size_zero_keeps_nothing)
{
    struct place p;

    place_open(&p, (struct pool_limits){ 0, 10, 60000, 0 });
    pool_put(p.pool, p.origin, dial_one(&p), 0, POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 0);
    place_close(&p);
}

TEST(a_connection_that_is_ending_or_busy_is_not_kept)
{
    struct place p;

    place_open(&p, roomy);
    struct sock *s = dial_one(&p);
    sock_own(s, &quiet, NULL);
    sock_shutdown(s);
    pool_put(p.pool, p.origin, s, loop_now_ms(p.loop), POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 0);

    s = dial_one(&p);
    sock_own(s, &quiet, NULL);
    sock_read_start(s);
    sock_close(p.servers[1]);
    p.servers[1] = NULL;
    RUN_UNTIL(p.loop, s->at_end);
    pool_put(p.pool, p.origin, s, loop_now_ms(p.loop), POOL_NOT_SAID);
    EXPECT_INT(pool_idle_count(p.pool), 0);
    place_close(&p);
    pool_destroy(NULL);
}
