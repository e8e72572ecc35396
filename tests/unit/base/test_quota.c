/* test_quota.c - room that is asked for before and given back after. */
#include "base/quota.c"

#include <pthread.h>

#include "tests/test.h"

TEST(new_work_is_admitted_up_to_the_limit_exactly)
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

TEST(work_in_progress_may_use_twice_the_limit)
{
    struct quota q = { .limit = 100 };

    EXPECT(quota_take(&q, 100) && quota_stretch(&q, 100));
    EXPECT(!quota_stretch(&q, 1));
    quota_give(&q, 150);
    EXPECT(quota_take(&q, 50) && !quota_take(&q, 1));
    quota_set_limit(&q, UINT64_MAX);
    EXPECT(quota_stretch(&q, 1) && quota_take(&q, 1));
}

TEST(lowering_the_limit_does_not_release_anything)
{
    struct quota q = { .limit = 100 };

    EXPECT(quota_take(&q, 80));
    quota_set_limit(&q, 50);
    EXPECT(!quota_take(&q, 1));
    quota_give(&q, 80);
    EXPECT(quota_take(&q, 50));
}

TEST(a_share_takes_whole_grains_but_only_what_it_needs_near_the_limit)
{
    struct quota q = { .limit = 3 * QUOTA_GRAIN_BYTES };
    struct quota_share s = { .quota = &q };

    EXPECT(quota_share_add(&s, 100, false));
    EXPECT_INT(quota_held(&q), QUOTA_GRAIN_BYTES);
    EXPECT(quota_share_add(&s, QUOTA_GRAIN_BYTES, false));
    EXPECT_INT(quota_held(&q), 2 * QUOTA_GRAIN_BYTES);
    EXPECT(quota_share_add(&s, 2 * QUOTA_GRAIN_BYTES - 100, false));
    EXPECT_INT(s.held, 3 * QUOTA_GRAIN_BYTES);
    EXPECT_INT(quota_held(&q), 3 * QUOTA_GRAIN_BYTES);
    EXPECT(!quota_share_add(&s, 1, false) && quota_share_add(&s, 1, true));
    EXPECT_INT(quota_held(&q), 3 * QUOTA_GRAIN_BYTES + 1);
    EXPECT_INT(quota_refused(&q), 1);
    quota_share_give(&s, s.held);
    EXPECT_INT(quota_held(&q), QUOTA_GRAIN_BYTES);
    quota_share_trim(&s);
    EXPECT_INT(quota_held(&q), 0);
}

TEST(a_refused_change_keeps_the_previous_amount)
{
    struct quota q = { .limit = 1000 };
    struct quota_share s = { .quota = &q };
    uint64_t held = 0;

    EXPECT(quota_share_set(&s, &held, 900, false));
    EXPECT(!quota_share_set(&s, &held, 1100, false));
    EXPECT_INT(held, 900);
    EXPECT(quota_share_set(&s, &held, 2000, true));
    EXPECT(!quota_share_set(&s, &held, 2001, true));
    EXPECT(quota_share_set(&s, &held, 0, false));
    EXPECT_INT(s.held, 0);
}

TEST(a_share_without_a_quota_refuses_nothing)
{
    struct quota_share s = { .quota = NULL };

    EXPECT(quota_share_add(&s, UINT64_MAX, false) && quota_share_add(&s, UINT64_MAX, false));
    quota_share_give(&s, UINT64_MAX);
    quota_share_trim(&s);
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

TEST(concurrent_threads_cannot_exceed_the_limit)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, come_and_go, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    EXPECT(!passed);
    EXPECT_INT(quota_held(&shared), 0);
}
