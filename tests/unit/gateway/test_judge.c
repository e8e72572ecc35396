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

TEST(thoughts_before_the_reply_are_no_marks)
{
    EXPECT_INT(judge_read_mark(S("<think>\n2 parts, both wrong: 1?\n</think>\n\n8"), 0, 10), 80);
    EXPECT_INT(judge_read_mark(S(" <think>10, or 9"), 0, 10), -1);
    EXPECT_INT(judge_read_mark(S("<think></think>"), 0, 10), -1);
    EXPECT_INT(judge_read_mark(S("7 </think> 8"), 0, 10), 70);
}

static void
expect_task(unsigned messages, size_t bytes)
{
    struct arena *a = arena_create(64 * 1024 * 1024);
    struct llm_request q = { .arena = a };
    struct llm_message **tail = &q.messages;
    char *text = arena_alloc_raw(a, bytes, 1);
    struct buf b;

    memset(text, 'x', bytes);
    for (unsigned i = 0; i < messages; i++) {
        struct llm_message *m = llm_message_add(a, &tail, ROLE_USER);
        struct llm_part **parts = &m->parts;

        llm_part_add(a, &parts, PART_TEXT)->text = str_make(text, bytes);
        llm_part_add(a, &parts, PART_TEXT)->text = arena_printf(a, "the end of %u", i);
    }
    buf_init(&b, 6 * TASK_BYTES);    /* never more at a time */
    buf_add(&b, S("before"));
    add_task(&b, &q);
    EXPECT(!b.overflow && buf_len(&b) <= 6 + TASK_BYTES);
    EXPECT(str_starts(buf_str(&b), S("before")));
    EXPECT(str_ends(buf_str(&b), arena_printf(a, "the end of %u\n", messages - 1)));
    buf_fini(&b);
    arena_destroy(a);
}

TEST(of_a_long_conversation_the_end_is_shown)
{
    expect_task(1, 10);
    expect_task(1, 1000000);
    expect_task(1000, 100);
    expect_task(100, 17000);
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
