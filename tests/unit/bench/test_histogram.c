/* test_histogram.c - durations are kept to better than one percent. */
#include "bench/histogram.c"
#include "tests/test.h"

TEST(small_values_are_exact)
{
    struct histogram h = { 0 };

    for (uint64_t v = 1; v <= 100; v++)
        histogram_add(&h, v);
    EXPECT_INT(histogram_quantile(&h, 0.5), 50);
    EXPECT_INT(histogram_quantile(&h, 0.99), 99);
    EXPECT_INT(histogram_quantile(&h, 1.0), 100);
    EXPECT_INT(h.sum_us, 5050);
}

TEST(every_value_falls_in_a_bucket_that_is_near)
{
    for (uint64_t v = 1; v < 1ull << 42; v = v * 21 / 20 + 1) {
        uint64_t last = bucket_last(bucket_of(v));
        EXPECT(last >= v);
        EXPECT(last - v <= v / 100);
    }
}

TEST(buckets_follow_each_other_without_gaps)
{
    for (size_t b = 0; b + 1 < HISTOGRAM_BUCKETS; b++)
        EXPECT_INT(bucket_of(bucket_last(b) + 1), b + 1);
}

TEST(values_beyond_the_scale_count_at_its_end)
{
    struct histogram h = { 0 };

    histogram_add(&h, UINT64_MAX);
    EXPECT_INT(h.count, 1);
    EXPECT(histogram_quantile(&h, 0.5) > 1ull << 42);
}

TEST(two_halves_make_the_whole)
{
    struct histogram a = { 0 };
    struct histogram b = { 0 };

    for (uint64_t v = 0; v < 1000; v++)
        histogram_add(v % 2 == 0 ? &a : &b, v);
    histogram_merge(&a, &b);
    EXPECT_INT(a.count, 1000);
    EXPECT_INT(a.max_us, 999);
    uint64_t p50 = histogram_quantile(&a, 0.5);
    EXPECT(p50 >= 495 && p50 <= 505);
}

TEST(an_empty_histogram_reports_zero)
{
    struct histogram h = { 0 };

    EXPECT_INT(histogram_quantile(&h, 0.99), 0);
}
