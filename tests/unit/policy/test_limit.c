/* test_limit.c - counters belong to callers and survive a reload. */
#include "policy/limit.c"

#include <pthread.h>

#include "tests/test.h"

TEST(holders_of_the_same_id_share_a_counter)
{
    struct in_flight *a = in_flight_hold(S("one"));
    struct in_flight *b = in_flight_hold(S("one"));
    struct in_flight *other = in_flight_hold(str_make("one\0", 4));

    EXPECT(a == b && a != other);
    EXPECT(in_flight_begin(a, 2) && in_flight_begin(b, 2));
    EXPECT(!in_flight_begin(a, 2) && !in_flight_begin(b, 2));
    EXPECT(in_flight_begin(other, 1));
    EXPECT_INT(in_flight_count(a), 2);
    in_flight_end(a);
    EXPECT(in_flight_begin(b, 2));
    registry_drop(a);
    registry_drop(b);
    registry_drop(other);
}

TEST(a_counter_is_freed_with_its_last_holder)
{
    struct in_flight *old = in_flight_hold(S("key"));

    EXPECT(in_flight_begin(old, 1));
    struct in_flight *next = in_flight_hold(S("key"));
    registry_drop(old);    /* a reload */
    EXPECT(!in_flight_begin(next, 1));
    in_flight_end(next);
    registry_drop(next);
    EXPECT_INT(registry_count(&in_flight_kind), 0);
    next = in_flight_hold(S("key"));
    EXPECT_INT(in_flight_count(next), 0);
    registry_drop(next);
    registry_drop(NULL);
}

TEST(requests_are_counted_even_without_a_limit)
{
    struct in_flight *f = in_flight_hold(S("key"));

    for (int i = 0; i < 5; i++)
        EXPECT(in_flight_begin(f, 0));
    EXPECT(!in_flight_begin(f, 5) && in_flight_begin(f, 6));
    registry_drop(f);
}

enum { THREADS = 4, ROUNDS = 20000, LIMIT = 3 };

static _Atomic unsigned inside;
static _Atomic unsigned most;

static void *
come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct in_flight *f = in_flight_hold(S("shared"));

        if (in_flight_begin(f, LIMIT)) {
            unsigned now = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&most);

            while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
                continue;
            (void)atomic_fetch_sub(&inside, 1);
            in_flight_end(f);
        }
        registry_drop(f);
    }
    return NULL;
}

TEST(concurrent_threads_never_exceed_the_limit_and_leave_no_count_behind)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, come_and_go, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    EXPECT(most >= 1 && most <= LIMIT);
    EXPECT_INT(registry_count(&in_flight_kind), 0);
}
