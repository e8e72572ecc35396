/* test_tally.c - usage and first token, counted from the events. */
#include "gateway/tally.c"

#include "tests/test.h"

static unsigned passed_on;    /* events that came out of the filter */

static void
on_passed(struct event_sink *sink UNUSED, const struct llm_event *ev UNUSED)
{
    passed_on++;
}

static void
begin(struct tally *t)
{
    static struct event_sink last = { on_passed };
    struct filters chain;

    passed_on = 0;
    filters_begin(&chain, &last);
    tally_begin(t);
    filters_add(&chain, &t->filter);
    EXPECT(chain.first == &t->filter.sink && !chain.rewrite);
}

static void
say_event(struct tally *t, const struct llm_event *ev)
{
    unsigned before = passed_on;

    t->filter.sink.emit(&t->filter.sink, ev);
    EXPECT_INT(passed_on, before + 1);
}

static void
say(struct tally *t, enum llm_event_kind kind, const char *text)
{
    say_event(t, &(struct llm_event){ .kind = kind, .text = str_c(text) });
}

TEST(only_content_counts_as_tokens)
{
    struct tally t;

    EXPECT(
        tally_is_token(EVENT_TEXT) && !tally_is_token(EVENT_START) && !tally_is_token(EVENT_END));
    begin(&t);
    clock_set_for_tests(100, 0);
    say(&t, EVENT_START, "");
    say(&t, EVENT_FINISH, "");    /* which may be that of an empty answer */
    EXPECT_INT(t.first_token_us, 0);
    say(&t, EVENT_TEXT, "hi");
    clock_set_for_tests(250, 0);
    say(&t, EVENT_TEXT, "hi");
    say(&t, EVENT_END, "");
    EXPECT_INT(t.first_token_us, 100);
    EXPECT_INT(t.last_token_us, 250);
    clock_set_for_tests(300, 0);
    say(&t, EVENT_FINISH, "");
    EXPECT_INT(t.last_token_us, 300);    /* the provider is alive */
    EXPECT_INT(t.text_bytes, 4);
    clock_set_for_tests(0, 0);
}

TEST(the_last_reported_usage_counts)
{
    struct tally t;
    struct llm_event ev = { .kind = EVENT_START };

    begin(&t);
    usage_set(&ev.usage, COUNT_INPUT, 7);
    usage_set(&ev.usage, COUNT_OUTPUT, 1);
    say_event(&t, &ev);
    ev = (struct llm_event){ .kind = EVENT_USAGE };
    usage_set(&ev.usage, COUNT_OUTPUT, 30);
    say_event(&t, &ev);
    EXPECT_INT(t.usage.input, 7);
    EXPECT_INT(t.usage.output, 30);
    EXPECT(!tally_estimate(&t, 99, false));
    EXPECT_INT(t.usage.input, 7);
}

TEST(missing_usage_is_estimated_from_the_text)
{
    struct tally t;

    begin(&t);
    say(&t, EVENT_TEXT, "nine bytes");
    say(&t, EVENT_REASONING, "and more");
    EXPECT(tally_estimate(&t, 12, false));
    EXPECT_INT(t.usage.input, 12);
    EXPECT_INT(t.usage.output, 5);
    begin(&t);
    say(&t, EVENT_TEXT, "seventeen bytes !");
    EXPECT(tally_estimate(&t, 12, false));
    EXPECT_INT(t.usage.output, 5);    /* the last token is not full */
}

TEST(the_reason_to_end_is_kept)
{
    struct tally t;

    begin(&t);
    say_event(&t, &(struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_LENGTH });
    say(&t, EVENT_END, "");
    EXPECT_INT(t.finish, FINISH_LENGTH);
}

TEST(usage_reported_before_a_cut_is_a_lower_bound)
{
    struct tally t;

    begin(&t);
    usage_set(&t.usage, COUNT_INPUT, 3);
    usage_set(&t.usage, COUNT_OUTPUT, 1);
    say(&t, EVENT_TEXT, "sixteen bytes it");
    EXPECT(tally_estimate(&t, 99, true));
    EXPECT_INT(t.usage.input, 3);
    EXPECT_INT(t.usage.output, 4);
    usage_set(&t.usage, COUNT_OUTPUT, 50);
    EXPECT(tally_estimate(&t, 99, true));
    EXPECT_INT(t.usage.output, 50);
}

TEST(tokens_are_counted_where_usage_is_not_reported)
{
    struct tally t;

    begin(&t);
    tally_count_tokens(&t, TOKENS_o200k);
    say(&t, EVENT_TEXT, "hello");
    say(&t, EVENT_TEXT, " hello hello");
    EXPECT(tally_estimate(&t, 7, false));
    EXPECT_INT(t.usage.input, 7);
    EXPECT_INT(t.usage.output, 3);
}
