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
