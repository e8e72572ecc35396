/* test_model.c - the table of models can be searched, and what answers cost. */
#include "catalog/model.c"

#include "tests/test.h"

static const struct model_row priced = {
    .id = S_INIT("acme/one"),
    .input_nanousd_per_1k = 1000000,    /* $1 a million tokens */
    .cached_nanousd_per_1k = 100000,
    .cache_write_nanousd_per_1k = 1250000,
    .output_nanousd_per_1k = 4000000,
};

TEST(every_row_is_found_by_its_id_because_the_table_is_sorted)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (model_row(rows[i].id) != &rows[i])
            print_error("%.*s\n", STR_ARG(rows[i].id));
        EXPECT(model_row(rows[i].id) == &rows[i]);
        EXPECT(i == 0 || str_cmp(rows[i - 1].id, rows[i].id) < 0);
    }
    EXPECT(model_row(S("")) == NULL);
    EXPECT(model_row(S("gpt-4o")) == NULL);
    EXPECT(model_row(S("zzz/last")) == NULL);
    EXPECT(model_row_at(ARRAY_LEN(rows)) == NULL);
}

TEST(every_price_is_known_or_minus_one_and_never_something_else_below_zero)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct model_row *r = &rows[i];
        const int64_t prices[] = { r->input_nanousd_per_1k, r->cached_nanousd_per_1k,
            r->cache_write_nanousd_per_1k, r->output_nanousd_per_1k };

        for (size_t p = 0; p < ARRAY_LEN(prices); p++)
            EXPECT(prices[p] >= -1 && prices[p] < 1000000000);
        EXPECT(r->context_tokens >= 0 && r->output_tokens >= 0 && r->price_upto_tokens >= 0);
        EXPECT(str_chr(r->id, '/') < r->id.n);
    }
}

TEST(input_cache_and_output_each_have_their_price)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, 1000);
    usage_set(&u, COUNT_OUTPUT, 100);
    EXPECT_INT(model_cost_nanousd(&priced, &u), 1000000 + 400000);
    usage_set(&u, COUNT_CACHED, 600);
    EXPECT_INT(model_cost_nanousd(&priced, &u), 400000 + 60000 + 400000);
    usage_set(&u, COUNT_CACHE_WRITE, 200);
    EXPECT_INT(model_cost_nanousd(&priced, &u), 200000 + 60000 + 250000 + 400000);
    usage_set(&u, COUNT_REASONING, 50);    /* part of the output already */
    EXPECT_INT(model_cost_nanousd(&priced, &u), 200000 + 60000 + 250000 + 400000);
}

TEST(a_fraction_of_a_nano_dollar_is_rounded_to_the_nearest)
{
    struct model_row cheap = priced;
    struct llm_usage u = { 0 };

    cheap.input_nanousd_per_1k = 10;
    usage_set(&u, COUNT_INPUT, 149);
    EXPECT_INT(model_cost_nanousd(&cheap, &u), 1);
    usage_set(&u, COUNT_INPUT, 150);
    EXPECT_INT(model_cost_nanousd(&cheap, &u), 2);
}

TEST(cached_tokens_without_a_price_of_their_own_are_billed_as_input)
{
    struct model_row r = priced;
    struct llm_usage u = { 0 };

    r.cached_nanousd_per_1k = -1;
    r.cache_write_nanousd_per_1k = -1;
    usage_set(&u, COUNT_INPUT, 1000);
    usage_set(&u, COUNT_CACHED, 500);
    usage_set(&u, COUNT_CACHE_WRITE, 300);
    EXPECT_INT(model_cost_nanousd(&r, &u), 1000000);
}

TEST(more_cached_tokens_than_input_never_make_it_cheaper_than_all_cached)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, 100);
    usage_set(&u, COUNT_CACHED, 1000);
    usage_set(&u, COUNT_CACHE_WRITE, 1000);
    EXPECT_INT(model_cost_nanousd(&priced, &u), 10000);
}

TEST(what_is_not_known_is_never_taken_for_zero)
{
    struct model_row r = priced;
    struct llm_usage u = { 0 };

    EXPECT_INT(model_cost_nanousd(&priced, &u), COST_UNKNOWN);
    usage_set(&u, COUNT_INPUT, 10);
    EXPECT_INT(model_cost_nanousd(NULL, &u), COST_UNKNOWN);
    r.output_nanousd_per_1k = -1;
    EXPECT_INT(model_cost_nanousd(&r, &u), 10000);    /* no output, no need of its price */
    usage_set(&u, COUNT_OUTPUT, 1);
    EXPECT_INT(model_cost_nanousd(&r, &u), COST_UNKNOWN);
    r = priced;
    r.price_upto_tokens = 9;
    EXPECT_INT(model_cost_nanousd(&r, &u), COST_UNKNOWN);
    r.price_upto_tokens = 10;
    EXPECT(model_cost_nanousd(&r, &u) > 0);
}

TEST(absurd_counts_are_unknown_instead_of_overflowing)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, 0);
    u.input = INT64_MAX;
    EXPECT_INT(model_cost_nanousd(&priced, &u), COST_UNKNOWN);
    u.input = INT64_MAX / 1000000;
    usage_set(&u, COUNT_OUTPUT, 0);
    u.output = INT64_MAX / 4000000;
    EXPECT_INT(model_cost_nanousd(&priced, &u), COST_UNKNOWN);
    usage_set(&u, COUNT_INPUT, -5);
    usage_set(&u, COUNT_OUTPUT, 0);
    EXPECT_INT(model_cost_nanousd(&priced, &u), 0);
}
