/* test_effort.c - words and budgets. */
#include "llm/effort.c"
#include "tests/test.h"

TEST(every_word_has_a_budget_and_no_other_word_has)
{
    EXPECT_INT(effort_budget(S("none")), 0);
    EXPECT_INT(effort_budget(S("minimal")), 1024);
    EXPECT_INT(effort_budget(S("medium")), 8192);
    EXPECT_INT(effort_budget(S("max")), 32768);
    EXPECT_INT(effort_budget(S("extreme")), -1);
    EXPECT_INT(effort_budget(S("")), -1);
}

TEST(every_budget_has_a_word)
{
    EXPECT_STR(effort_word(-5), "none");
    EXPECT_STR(effort_word(0), "none");
    EXPECT_STR(effort_word(1), "low");
    EXPECT_STR(effort_word(1024), "low");
    EXPECT_STR(effort_word(2048), "medium");
    EXPECT_STR(effort_word(12288), "high");
    EXPECT_STR(effort_word(24576), "xhigh");
    EXPECT_STR(effort_word(INT64_MAX), "xhigh");
}

TEST(a_word_survives_the_way_there_and_back_from_low_on)
{
    EXPECT_STR(effort_word(effort_budget(S("low"))), "low");
    EXPECT_STR(effort_word(effort_budget(S("medium"))), "medium");
    EXPECT_STR(effort_word(effort_budget(S("high"))), "high");
    EXPECT_STR(effort_word(effort_budget(S("xhigh"))), "xhigh");
}
