/* test_lengths.c - what nearly no answer exceeds. */
#include "route/lengths.c"

#include "tests/test.h"

TEST(a_bucket_has_what_falls_into_it)
{
    for (unsigned b = 0; b + 1 < LENGTHS_BUCKETS; b++) {
        EXPECT_INT(bucket_of((uint64_t)bucket_most(b)), b);
        EXPECT_INT(bucket_of((uint64_t)bucket_most(b) + 1), b + 1);
    }
    EXPECT_INT(bucket_of(UINT64_MAX), LENGTHS_BUCKETS - 1);
}

TEST(few_answers_say_nothing)
{
    struct lengths l = { .count = 0 };

    for (unsigned i = 0; i < LEAST; i++) {
        EXPECT_INT(lengths_quantile(&l, 990), 0);
        lengths_note(&l, 10);
    }
    EXPECT_INT(lengths_quantile(&l, 990), 11);
}

TEST(the_longest_percent_is_left_out_and_what_was_long_ago_is_forgotten)
{
    struct lengths l = { .count = 0 };

    for (int i = 0; i < 1000; i++)
        lengths_note(&l, i % 100 == 0 ? 5000 : 100);
    EXPECT_INT(lengths_quantile(&l, 990), 111);
    EXPECT(lengths_quantile(&l, 999) >= 5000);
    for (int i = 0; i < 40000; i++)
        lengths_note(&l, 1000);
    EXPECT_INT(lengths_quantile(&l, 10), 1023);
}
