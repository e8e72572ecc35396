/* test_ceiling.c - what is refused as memory runs out. */
#include "policy/ceiling.c"

#include "tests/test.h"

TEST(nothing_is_refused_below_four_fifths)
{
    EXPECT_INT(ceiling_judge(CEILING_FREE, 799, 1000), CEILING_FREE);
    for (int p = 0; p < PRIORITIES; p++)
        EXPECT(!ceiling_sheds(CEILING_FREE, (enum priority)p));
}

TEST(without_a_ceiling_nothing_is_refused)
{
    EXPECT_INT(ceiling_judge(CEILING_ALL, UINT64_MAX, 0), CEILING_FREE);
}

TEST(low_priority_is_refused_first_and_high_priority_last)
{
    EXPECT_INT(ceiling_judge(CEILING_FREE, 800, 1000), CEILING_LOW);
    EXPECT_INT(ceiling_judge(CEILING_FREE, 900, 1000), CEILING_NORMAL);
    EXPECT_INT(ceiling_judge(CEILING_FREE, 970, 1000), CEILING_ALL);
    EXPECT_INT(ceiling_judge(CEILING_FREE, 5000, 1000), CEILING_ALL);
    for (int level = 0; level < CEILING_LEVELS; level++)
        for (int p = 0; p < PRIORITIES; p++)
            EXPECT_INT(ceiling_sheds((enum ceiling_level)level, (enum priority)p),
                level + p >= CEILING_ALL);
}

TEST(a_level_is_kept_until_memory_has_fallen_clearly)
{
    enum ceiling_level level = ceiling_judge(CEILING_FREE, 905, 1000);

    EXPECT_INT(level, CEILING_NORMAL);
    level = ceiling_judge(level, 851, 1000);
    EXPECT_INT(level, CEILING_NORMAL);
    level = ceiling_judge(level, 849, 1000);
    EXPECT_INT(level, CEILING_LOW);
    level = ceiling_judge(level, 751, 1000);
    EXPECT_INT(level, CEILING_LOW);
    level = ceiling_judge(level, 749, 1000);
    EXPECT_INT(level, CEILING_FREE);
    EXPECT_INT(ceiling_judge(CEILING_ALL, 0, 1000), CEILING_FREE);
}

TEST(callers_are_not_told_to_come_back_all_at_once)
{
    EXPECT_INT(ceiling_retry_after_ms(CEILING_LOW, 0), 1000);
    EXPECT_INT(ceiling_retry_after_ms(CEILING_ALL, 1999), 4999);
    EXPECT_INT(ceiling_retry_after_ms(CEILING_ALL, 2000), 3000);
}

TEST(a_request_can_only_lower_its_priority)
{
    EXPECT_INT(priority_lowered(PRIORITY_NORMAL, S("low")), PRIORITY_LOW);
    EXPECT_INT(priority_lowered(PRIORITY_NORMAL, S("high")), PRIORITY_NORMAL);
    EXPECT_INT(priority_lowered(PRIORITY_HIGH, S("")), PRIORITY_HIGH);
    EXPECT_INT(priority_lowered(PRIORITY_HIGH, S("normal")), PRIORITY_NORMAL);
    EXPECT_INT(priority_lowered(PRIORITY_LOW, S("high")), PRIORITY_LOW);
    EXPECT_INT(priority_lowered(PRIORITY_LOW, S("")), PRIORITY_LOW);
}
