/* test_tally.c - what is counted while the events go by. */
#include "gateway/tally.c"

#include "tests/test.h"

static void
say(struct tally *t, enum llm_event_kind kind, const char *text)
{
    struct llm_event ev = { .kind = kind, .text = str_c(text), .usage = USAGE_NONE };

    (void)tally_event(t, &ev);
}

TEST(only_content_counts_as_tokens)
{
    struct tally t;
    struct llm_event start = { .kind = EVENT_START, .usage = USAGE_NONE };
    struct llm_event text = { .kind = EVENT_TEXT, .text = S("hi"), .usage = USAGE_NONE };

    tally_reset(&t);
    clock_set_for_tests(100, 0);
    EXPECT(!tally_event(&t, &start));
    EXPECT_INT(t.first_token_us, 0);
    EXPECT(tally_event(&t, &text));
    clock_set_for_tests(250, 0);
    EXPECT(tally_event(&t, &text));
    EXPECT(!tally_event(&t, &(struct llm_event){ .kind = EVENT_END, .usage = USAGE_NONE }));
    EXPECT_INT(t.first_token_us, 100);
    EXPECT_INT(t.last_token_us, 250);
    EXPECT_INT(t.text_bytes, 4);
    clock_set_for_tests(0, 0);
}

TEST(the_last_reported_usage_counts)
{
    struct tally t;
    struct llm_event ev = { .kind = EVENT_START, .usage = USAGE_NONE };

    tally_reset(&t);
    ev.usage.input = 7;
    ev.usage.output = 1;
    (void)tally_event(&t, &ev);
    ev = (struct llm_event){ .kind = EVENT_USAGE, .usage = USAGE_NONE };
    ev.usage.output = 30;
    (void)tally_event(&t, &ev);
    EXPECT_INT(t.usage.input, 7);
    EXPECT_INT(t.usage.output, 30);
    EXPECT(!tally_estimate(&t, 99, false));
    EXPECT_INT(t.usage.input, 7);
}

TEST(missing_usage_is_estimated_from_the_text)
{
    struct tally t;

    tally_reset(&t);
    say(&t, EVENT_TEXT, "nine bytes");
    say(&t, EVENT_REASONING, "and more");
    EXPECT(tally_estimate(&t, 12, false));
    EXPECT_INT(t.usage.input, 12);
    EXPECT_INT(t.usage.output, 5);
}

TEST(usage_reported_before_a_cut_is_a_lower_bound)
{
    struct tally t;

    tally_reset(&t);
    t.usage.input = 3;
    t.usage.output = 1;
    say(&t, EVENT_TEXT, "sixteen bytes it");
    EXPECT(tally_estimate(&t, 99, true));
    EXPECT_INT(t.usage.input, 3);
    EXPECT_INT(t.usage.output, 4);
    t.usage.output = 50;
    EXPECT(tally_estimate(&t, 99, true));
    EXPECT_INT(t.usage.output, 50);
}
