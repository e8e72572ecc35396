/* test_judge.c - what a judging model says, and when answers are the same; the rest is in
 * tests/scenario/test_judged.py. */
#include "gateway/judge.c"    /* white box: the unit under test itself */
#include "tests/test.h"

TEST(the_first_number_in_range_is_the_mark)
{
    EXPECT_INT(judge_read_mark(S("7"), 0, 10), 70);
    EXPECT_INT(judge_read_mark(S("7.5"), 0, 10), 75);
    EXPECT_INT(judge_read_mark(S("10"), 0, 10), 100);
    EXPECT_INT(judge_read_mark(S("10.5 or 3."), 0, 10), 30);
    EXPECT_INT(judge_read_mark(S("I'd say: 8/10!"), 0, 10), 80);
    EXPECT_INT(judge_read_mark(S("**0**"), 0, 10), 0);
    EXPECT_INT(judge_read_mark(S("-5, rather 1"), 0, 10), 10);
    EXPECT_INT(judge_read_mark(S("0, no, 2"), 1, 3), 20);
    EXPECT_INT(judge_read_mark(S("99999999999999999999999999"), 0, 10), -1);
    EXPECT_INT(judge_read_mark(S("ten"), 0, 10), -1);
    EXPECT_INT(judge_read_mark(S(""), 0, 10), -1);
}

static void
expect_normal(const char *text, const char *expected)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    add_normal(&b, str_c(text));
    EXPECT_STR(buf_str(&b), expected);
    buf_fini(&b);
}

TEST(case_blanks_and_what_stands_around_a_text_make_no_difference)
{
    expect_normal("Paris", "paris");
    expect_normal(" **Paris!**\n", "paris");
    expect_normal("The  answer\n\nis 4.", "the answer is 4");
    expect_normal("-4.", "-4");
    expect_normal("`x = {}`", "x = {}");
    expect_normal("Größe", "größe");
    expect_normal("...", "");
    expect_normal("", "");
}

TEST(text_is_clipped_between_characters)
{
    EXPECT_STR(clip(S("abc"), 2), "ab");
    EXPECT_STR(clip(S("aé"), 2), "a");
    EXPECT_STR(clip(S("aé"), 3), "aé");
    EXPECT_STR(clip(S(""), 3), "");
}
