/* test_warmth.c - which target holds which prompt in its cache. */
#include "route/warmth.c"

#include "tests/test.h"

#define SECOND UINT64_C(1000000)

/* Only their addresses count. */
static char places[3];

static const struct health *
target(size_t i)
{
    return (const struct health *)&places[i];
}

TEST(a_prompt_is_warm_where_it_was_read_and_as_long_as_it_is_kept)
{
    warmth_forget_for_tests();
    EXPECT_INT(warmth_tokens(target(0), 77, SECOND), 0);
    warmth_note(target(0), 77, 5000, 300000, SECOND);
    EXPECT_INT(warmth_tokens(target(0), 77, SECOND), 5000 / UNIT * UNIT);
    EXPECT_INT(warmth_tokens(target(1), 77, SECOND), 0);
    EXPECT_INT(warmth_tokens(target(0), 78, SECOND), 0);
    EXPECT(warmth_tokens(target(0), 77, 290 * SECOND) != 0);
    EXPECT_INT(warmth_tokens(target(0), 77, 305 * SECOND), 0);
    warmth_note(target(0), 77, 9000, 300000, 200 * SECOND);    /* each use keeps it longer */
    EXPECT(warmth_tokens(target(0), 77, 400 * SECOND) > 8900);
}

TEST(what_has_no_hash_or_no_tokens_is_not_noted)
{
    warmth_forget_for_tests();
    warmth_note(target(0), 0, 5000, 300000, SECOND);
    EXPECT_INT(warmth_tokens(target(0), 0, SECOND), 0);
    warmth_note(target(0), 5, -1, 300000, SECOND);
    warmth_note(target(0), 5, 0, 300000, SECOND);
    EXPECT_INT(warmth_tokens(target(0), 5, SECOND), 0);
    warmth_note(target(0), 5, INT64_MAX, 300000, SECOND);
    EXPECT_INT(warmth_tokens(target(0), 5, SECOND), (int64_t)FIELD_MASK * UNIT);
}

TEST(a_common_beginning_is_as_long_as_the_shortest_prompt_that_has_it)
{
    warmth_forget_for_tests();
    warmth_note_beginning(target(2), 9, 8000, 300000, SECOND);
    warmth_note_beginning(target(2), 9, 3200, 300000, 2 * SECOND);
    warmth_note_beginning(target(2), 9, 40000, 300000, 3 * SECOND);
    EXPECT_INT(warmth_tokens(target(2), 9, 4 * SECOND), 3200);
}

TEST(a_full_table_forgets_what_was_used_longest_ago)
{
    uint64_t kept = 0, recent = 0;

    warmth_forget_for_tests();
    for (uint64_t i = 1; i <= 200000; i++)
        warmth_note(target(0), i * 0x9e3779b9u, 4096, 300000, i * 1000);
    for (uint64_t i = 1; i <= 200000; i++) {
        bool warm = warmth_tokens(target(0), i * 0x9e3779b9u, 200 * SECOND) != 0;

        kept += warm;
        recent += warm && i > 190000;
    }
    EXPECT(kept <= SETS * WAYS + 8);    /* tags have 24 bits: now and then one is another's */
    EXPECT(kept > SETS * WAYS * 9 / 10);
    EXPECT(recent > 9500);
}
