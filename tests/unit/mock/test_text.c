/* test_text.c - a text cut into tokens. */
#include "mock/text.c"
#include "tests/test.h"

#include "base/buf.h"

static void
expect_whole(const struct mock_run *run, const char *text)
{
    size_t at = run->start;
    struct buf b;

    buf_init(&b, 1024 * 1024);
    for (uint64_t i = 0; i < run->tokens; i++)
        buf_add(&b, mock_run_next(run, &at));
    EXPECT_STR(buf_str(&b), text);
    buf_fini(&b);
}

TEST(tokens_put_together_are_the_text)
{
    const char *text = "Grüße,  \n\n an 日本語テキスト and 🦀🦀!";
    struct mock_run run = mock_run_of(str_c(text));

    EXPECT(run.tokens > 5);
    expect_whole(&run, text);
}

TEST(an_endless_text_repeats_without_a_break)
{
    struct mock_run run = mock_run_endless(500);
    size_t at = run.start;

    EXPECT_STR(mock_run_next(&run, &at), "The");
    for (int i = 1; i < 500; i++)
        EXPECT(mock_run_next(&run, &at).p[0] == ' ');
}

TEST(the_head_of_a_text_has_whole_characters)
{
    EXPECT_STR(mock_text_head(S("日本"), 2), "日");
    EXPECT_STR(mock_text_head(S("abc"), 9), "abc");
}
