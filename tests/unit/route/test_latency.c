/* test_latency.c - quantiles of what was noted lately. */
#include "route/latency.c"
#include "tests/test.h"

TEST(few_samples_say_nothing)
{
    struct latency l = { .count = { 0 } };

    EXPECT_INT(latency_quantile_ms(&l, 990), 0);
    for (int i = 0; i < LATENCY_LEAST_SAMPLES - 1; i++)
        latency_note(&l, 100, false);
    EXPECT_INT(latency_quantile_ms(&l, 500), 0);
    latency_note(&l, 100, false);
    EXPECT(latency_quantile_ms(&l, 500) != 0);
}

TEST(buckets_grow_by_a_fixed_factor_from_milliseconds_to_a_quarter_of_an_hour)
{
    EXPECT_INT(ends_ms[0], 5);
    EXPECT(ends_ms[LATENCY_BUCKETS - 1] > 15 * 60 * 1000);
    for (size_t i = 1; i < LATENCY_BUCKETS; i++) {
        double exact = ends_ms[i - 1] * 1.3;
        EXPECT(ends_ms[i] >= exact - 1 && ends_ms[i] <= exact + 1);
    }
}

TEST(a_time_falls_into_the_bucket_that_ends_at_or_after_it)
{
    EXPECT_INT(bucket_of(0), 0);
    EXPECT_INT(bucket_of(UINT64_MAX), LATENCY_BUCKETS - 1);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        EXPECT_INT(bucket_of(ends_ms[i]), i);
    for (size_t i = 1; i < LATENCY_BUCKETS; i++)
        EXPECT_INT(bucket_of(ends_ms[i - 1] + 1), i);
}

TEST(a_quantile_is_at_least_the_sample_at_its_rank_and_at_most_a_third_more)
{
    struct latency l = { .count = { 0 } };

    for (uint64_t ms = 10; ms <= 1000; ms += 10)
        latency_note(&l, ms, false);
    for (unsigned permille = 10; permille <= 1000; permille += 10) {
        uint64_t exact = permille, found = latency_quantile_ms(&l, permille);
        EXPECT(found >= exact && found <= exact * 4 / 3 + 1);
    }
    EXPECT_INT(latency_quantile_ms(&l, 0), ends_ms[bucket_of(10)]);
}

TEST(an_attempt_that_was_cut_took_longer_than_it_was_given)
{
    struct latency l = { .count = { 0 } };

    for (int i = 0; i < 50; i++) {
        uint64_t p99 = latency_quantile_ms(&l, 990);
        latency_note(&l, p99 != 0 ? p99 : 100, true);
    }
    EXPECT(latency_quantile_ms(&l, 990) > 500);
    latency_note(&l, UINT64_MAX, true);
    EXPECT_INT(latency_quantile_ms(&l, 1000), ends_ms[LATENCY_BUCKETS - 1]);
}

TEST(old_samples_fade)
{
    struct latency l = { .count = { 0 } };

    for (int i = 0; i < 100000; i++)
        latency_note(&l, 10000, false);
    EXPECT(latency_quantile_ms(&l, 500) >= 10000);
    for (int i = 0; i < 3000; i++)
        latency_note(&l, 100, false);
    EXPECT(latency_quantile_ms(&l, 990) <= 130);
}
