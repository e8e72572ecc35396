/* test_overlap.c - where a second answer goes on from the first. */
#include "llm/overlap.c"    /* white box: the unit under test itself */
#include "tests/test.h"

#include <stdlib.h>

static const char sent[] = "The fox is quick and brown. It jumps over the lazy";

/* Feeds the answer byte by byte, and looks as asked for. *ret_held: how much was held back. */
static struct overlap
feed_as(bool prefilled, struct str first, struct str second, size_t *ret_held)
{
    size_t again = 1;

    for (size_t n = 1; n <= second.n; n++) {
        if (n < again)
            continue;
        struct overlap o = overlap_find(first, str_make(second.p, n), prefilled, false);
        *ret_held = n;
        if (o.verdict != OVERLAP_UNSURE)
            return o;
        EXPECT(o.bytes > n);
        again = o.bytes;
    }
    *ret_held = second.n;
    return overlap_find(first, second, prefilled, true);
}

static struct overlap
feed(struct str first, struct str second, size_t *ret_held)
{
    return feed_as(false, first, second, ret_held);
}

static void
expect_goes_on(const char *first, const char *second, const char *expected)
{
    size_t held;
    struct overlap o = feed(str_c(first), str_c(second), &held);

    EXPECT_INT(o.verdict, OVERLAP_FOUND);
    EXPECT_STR(str_skip(str_c(second), o.bytes), expected);
}

TEST(an_exact_continuation_loses_nothing)
{
    expect_goes_on(sent, " dog.", " dog.");
    expect_goes_on(sent, "", "");
    expect_goes_on("", "All of it.", "All of it.");
}

TEST(a_restarted_answer_loses_all_that_was_sent)
{
    expect_goes_on(sent, "The fox is quick and brown. It jumps over the lazy dog.", " dog.");
    expect_goes_on(sent, sent, "");
    expect_goes_on("T", "The fox", "he fox");
}

TEST(repeated_last_words_are_dropped)
{
    expect_goes_on(sent, "jumps over the lazy dog.", " dog.");
    expect_goes_on(sent, " over the lazy dog.", " dog.");
    expect_goes_on(sent, "lazy dog.", " dog.");
    expect_goes_on(sent, "It jumps over the lazy", "");
}

TEST(a_few_equal_letters_are_chance)
{
    expect_goes_on("It is some", "else entirely", "else entirely");
    expect_goes_on("It is some", "me too", "me too");
    expect_goes_on("one banana", "nana split", "nana split");
}

TEST(blanks_that_a_model_was_not_given_are_not_doubled)
{
    size_t held;

    EXPECT_INT(feed_as(true, S("first\n"), S("\n\nsecond"), &held).bytes, 1);
    EXPECT_INT(feed_as(true, S("first "), S(" second"), &held).bytes, 1);
    EXPECT_INT(feed_as(true, S("first "), S("second"), &held).bytes, 0);
    EXPECT_INT(feed_as(true, S("\n"), S("\n\nsecond"), &held).bytes, 1);
    expect_goes_on("first\n", "\nsecond", "\nsecond");    /* it may go on exactly */
    expect_goes_on("the first\n\n", "first\n\nsecond", "second");
    expect_goes_on("the first\n\n", "first second", " second");
    expect_goes_on("the first\n", "the first\n\nsecond", "\nsecond");
}

TEST(a_prefilled_answer_repeats_whole_phrases_or_nothing)
{
    size_t held;

    EXPECT_INT(feed_as(true, str_c(sent), S("lazy dog"), &held).bytes, 0);
    EXPECT_INT(feed_as(true, str_c(sent), S("jumps over the lazy dog"), &held).bytes, 19);
}

TEST(an_answer_that_begins_again_in_other_words_cannot_be_joined)
{
    size_t held;
    struct overlap o =
        feed(S("The fox is quick and brown."), S("The fox is quick and red."), &held);

    EXPECT_INT(o.verdict, OVERLAP_REWRITE);
    o = feed(S("The fox is quick and brown."), S("The fox is quick."), &held);
    EXPECT_INT(o.verdict, OVERLAP_REWRITE);
    o = feed(S("The fox is quick and brown."), S("The fox is quick"), &held);
    EXPECT_INT(o.verdict, OVERLAP_REWRITE);
    o = feed(S("The fox is quick and brown."), S("The"), &held);
    EXPECT_INT(o.verdict, OVERLAP_FOUND);    /* too little to tell */
    EXPECT_INT(o.bytes, 0);
}

TEST(an_exact_continuation_is_recognised_within_a_few_bytes)
{
    size_t held;
    struct overlap o = feed(str_c(sent), S(" dog sleeps."), &held);

    EXPECT_INT(o.verdict, OVERLAP_FOUND);
    EXPECT(held <= 4);
}

TEST(a_repetition_ends_where_the_longest_does)
{
    expect_goes_on("abc abc abc abc ", "abc abc def", "def");
    expect_goes_on("----------", "----------\n", "\n");
}

/* Every place where the first may end and the second begin again, within the window. */
TEST(every_cut_of_a_text_is_joined)
{
    static const char text[] =
        "Alpha beta gamma delta, epsilon zeta; eta theta iota kappa lambda mu.";
    size_t held;

    for (size_t cut = 12; cut < sizeof(text) - 1; cut++) {
        for (size_t back = LEAST_ASKED_BYTES + 1; back < cut; back++) {
            struct str second = str_skip(str_c(text), cut - back);
            struct overlap o = feed(str_make(text, cut), second, &held);

            EXPECT_INT(o.verdict, OVERLAP_FOUND);
            EXPECT_INT(o.bytes, back);
        }
    }
}

TEST(a_long_answer_that_is_restarted_takes_linear_time)
{
    enum { BYTES = 256 * 1024 };
    char *text = malloc(BYTES);
    size_t looks = 0, again = 1, seen = 0;

    EXPECT(text != NULL);
    memset(text, 'a', BYTES);
    for (size_t n = 1; n < BYTES; n++) {
        if (n < again)
            continue;
        struct overlap o = overlap_find(str_make(text, BYTES), str_make(text, n), false, false);

        EXPECT_INT(o.verdict, OVERLAP_UNSURE);
        again = o.bytes;
        looks++;
        seen += n;
    }
    EXPECT(looks < 80);
    EXPECT(seen < 6 * BYTES);
    free(text);
}
