/* test_err.c - every row of err.def is complete and fit to be shown. */
#include "base/err.c"
#include "tests/test.h"

TEST(zero_is_ok)
{
    EXPECT_INT(OK, 0);
    EXPECT_INT(err_row(OK)->status, 200);
    EXPECT_INT(err_row(OK)->fault, FAULT_NONE);
}

TEST(a_row_is_found_by_its_name)
{
    const struct err_row *row = err_row(ERR_UPSTREAM_TIMEOUT);

    EXPECT_STR(str_c(row->name), "ERR_UPSTREAM_TIMEOUT");
    EXPECT_STR(str_c(row->code), "upstream_timeout");
    EXPECT_INT(row->status, 504);
    EXPECT_INT(row->fault, FAULT_PROVIDER);
}

TEST(every_failure_has_a_status_a_fault_and_a_sentence)
{
    for (unsigned e = OK + 1; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);

        EXPECT(str_starts(str_c(row->name), S("ERR_")));
        EXPECT(row->status >= 400 && row->status <= 599);
        EXPECT(row->fault != FAULT_NONE);
        EXPECT(row->code[0] != '\0' && row->sentence[0] != '\0');
    }
}

TEST(a_code_is_shared_only_by_errors_that_differ_in_whose_they_are)
{
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        for (unsigned j = 0; j < i; j++)
            EXPECT(rows[i].fault != rows[j].fault ||
                   !str_eq(str_c(rows[i].code), str_c(rows[j].code)));
    }
}

TEST(a_failure_of_the_gateway_or_a_provider_is_never_a_400)
{
    for (unsigned e = OK + 1; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);

        EXPECT(row->fault == FAULT_CALLER || row->status >= 500 || row->status == 429 ||
               row->status == 404);
    }
}

TEST(a_limit_of_ours_is_not_a_providers)
{
    const struct err_row *ours = err_row(ERR_RATE_LIMIT);
    const struct err_row *theirs = err_row(ERR_UPSTREAM_RATE_LIMIT);

    EXPECT(ours->fault == FAULT_CALLER);
    EXPECT(theirs->fault == FAULT_PROVIDER);
    EXPECT_STR(str_c(ours->code), theirs->code);
}

TEST(what_the_caller_must_change_first_is_not_to_be_repeated)
{
    for (unsigned e = OK; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);
        bool wait_helps = e == ERR_CLIENT_SLOW || e == ERR_RATE_LIMIT;

        if (row->fault == FAULT_CALLER || e == OK)
            EXPECT(row->retry == wait_helps);
        if (row->status == 503)
            EXPECT(row->retry == (e != ERR_SWITCHED_OFF));    /* an operator is not quick */
    }
    EXPECT(!err_row(ERR_AUTH)->retry);
    EXPECT(!err_row(ERR_CONFIG)->retry);
    EXPECT(!err_row(ERR_UPSTREAM_QUOTA)->retry);
    EXPECT(!err_row(ERR_UPSTREAM_AUTH)->retry);
    EXPECT(!err_row(ERR_UPSTREAM_FORBIDDEN)->retry);
    EXPECT(err_row(ERR_UPSTREAM_TIMEOUT)->retry);
}
