/* test_failure.c - what follows when an attempt fails. */
#include "route/failure.c"

#include "tests/test.h"

TEST(whatever_a_provider_can_do_wrong_has_a_row)
{
    for (unsigned e = OK + 1; e < ERR_COUNT; e++)
        if (err_row((enum err)e)->fault == FAULT_PROVIDER)
            EXPECT(failure_row((enum err)e)->why != NULL);
}

TEST(what_is_returned_at_once_is_held_against_nobody)
{
    for (unsigned e = OK; e < ERR_COUNT; e++)
        if (failure_row((enum err)e)->next == NEXT_RETURN)
            EXPECT(failure_row((enum err)e)->blame == BLAME_NOBODY);
}

TEST(what_the_caller_or_the_gateway_did_is_held_against_nobody)
{
    for (unsigned e = OK; e < ERR_COUNT; e++)
        if (err_row((enum err)e)->fault != FAULT_PROVIDER)
            EXPECT(failure_row((enum err)e)->blame == BLAME_NOBODY);
}

TEST(every_word_has_a_name)
{
    for (unsigned n = NEXT_RETURN; n <= NEXT_LARGER; n++)
        EXPECT(failure_next_name((enum failure_next)n)[0] != '\0');
    for (unsigned b = BLAME_PROVIDER; b <= BLAME_ACCOUNT; b++)
        EXPECT(failure_blame_name((enum failure_blame)b)[0] != '\0');
    EXPECT_STR(str_c(failure_blame_name(BLAME_NOBODY)), "");
}

TEST(an_alias_may_say_what_follows_an_error)
{
    struct arena *a = arena_create(64 * 1024);
    struct failure_rules rules = { .next = { 0 } };

    EXPECT(failure_rule_set(&rules, S("content_filter"), S("move"), a) == NULL);
    EXPECT(failure_rule_set(&rules, S("upstream_error"), S("return"), a) == NULL);
    EXPECT_INT(failure_next_of(&rules, ERR_CONTENT_FILTER), NEXT_MOVE);
    EXPECT_INT(failure_next_of(&rules, ERR_UPSTREAM_ERROR), NEXT_RETURN);
    EXPECT_INT(failure_next_of(&rules, ERR_UPSTREAM_OVERLOADED), NEXT_SAME);
    EXPECT_INT(failure_next_of(NULL, ERR_CONTENT_FILTER), NEXT_RETURN);
    /* the code is also that of a limit of ours, with which an attempt ends before it is sent */
    EXPECT(failure_rule_set(&rules, S("rate_limit_exceeded"), S("return"), a) == NULL);
    EXPECT_INT(failure_next_of(&rules, ERR_UPSTREAM_RATE_LIMIT), NEXT_RETURN);
    EXPECT_INT(failure_next_of(&rules, ERR_RATE_LIMIT), NEXT_RETURN);
    arena_destroy(a);
}

TEST(a_rule_that_makes_no_sense_is_told)
{
    struct arena *a = arena_create(64 * 1024);
    struct failure_rules rules = { .next = { 0 } };

    EXPECT_STR(str_c(failure_rule_set(&rules, S("no_route"), S("move"), a)),
        "'no_route' is not an error that an attempt ends with; docs/errors.md lists them");
    EXPECT_STR(str_c(failure_rule_set(&rules, S("content_filter"), S("elsewhere"), a)),
        "'elsewhere' is none of return, again, same, other, move, key, larger");
    EXPECT_STR(str_c(failure_rule_set(&rules, S("content_filter"), S(""), a)),
        "'' is none of return, again, same, other, move, key, larger");
    EXPECT_INT(failure_next_of(&rules, ERR_CONTENT_FILTER), NEXT_RETURN);
    arena_destroy(a);
}
