/* test_quota.c - room that is asked for before and given back after. */
#include "base/quota.c"

#include <pthread.h>

#include "tests/test.h"

TEST(what_is_new_gets_room_up_to_the_limit_and_not_a_byte_beyond)
{
    struct quota q = { .limit = 100 };

    EXPECT(quota_take(&q, 60) && quota_take(&q, 40));
    EXPECT(!quota_take(&q, 1));
    EXPECT_INT(quota_held(&q), 100);
    EXPECT_INT(quota_refused(&q), 1);
    quota_give(&q, 40);
    EXPECT(!quota_take(&q, 41) && quota_take(&q, 40));
    quota_give(&q, 100);
    quota_give(&q, 0);
    EXPECT(!quota_take(&q, 101) && !quota_take(&q, UINT64_MAX));
    EXPECT_INT(quota_held(&q), 0);
}

TEST(what_has_begun_may_use_as_much_again)
{
    struct quota q = { .limit = 100 };

    EXPECT(quota_take(&q, 100) && quota_stretch(&q, 100));
    EXPECT(!quota_stretch(&q, 1));
    quota_give(&q, 150);
    EXPECT(quota_take(&q, 50) && !quota_take(&q, 1));
    quota_set_limit(&q, UINT64_MAX);
    EXPECT(quota_stretch(&q, 1) && quota_take(&q, 1));
}

TEST(a_lower_limit_takes_nothing_away)
{
    struct quota q = { .limit = 100 };

    EXPECT(quota_take(&q, 80));
    quota_set_limit(&q, 50);
    EXPECT(!quota_take(&q, 1));
    quota_give(&q, 80);
    EXPECT(quota_take(&q, 50));
}

enum { THREADS = 4, ROUNDS = 50000 };

static struct quota shared = { .limit = 10 };
static _Atomic uint64_t inside;
static _Atomic bool passed;

static void *
come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (!quota_take(&shared, 4))
            continue;
        if (atomic_fetch_add(&inside, 4) + 4 > 10)
            atomic_store(&passed, true);
        (void)atomic_fetch_sub(&inside, 4);
        quota_give(&shared, 4);
    }
    return NULL;
}

TEST(threads_never_pass_the_limit_together)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, come_and_go, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    EXPECT(!passed);
    EXPECT_INT(quota_held(&shared), 0);
}
