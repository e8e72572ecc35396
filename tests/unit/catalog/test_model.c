/* test_model.c - the table of models can be searched, and its rows hold together. */
#include "catalog/model.c"

#include "tests/test.h"

TEST(every_row_is_found_by_its_id_because_the_table_is_sorted)
{
    for (size_t i = 0; i < model_table_count; i++) {
        const struct model_row *row = model_row_at(i);

        if (model_row(row->id) != row)
            print_error("%.*s\n", STR_ARG(row->id));
        EXPECT(model_row(row->id) == row);
        EXPECT(i == 0 || str_cmp(model_table[i - 1].id, row->id) < 0);
    }
    EXPECT(model_row(S("")) == NULL);
    EXPECT(model_row(S("gpt-4o")) == NULL);
    EXPECT(model_row(S("zzz/last")) == NULL);
    EXPECT(model_row_at(model_table_count) == NULL);
}

TEST(a_row_is_found_by_each_of_its_other_names)
{
    for (size_t i = 0; i < model_alias_count; i++) {
        EXPECT(i == 0 || str_cmp(model_aliases[i - 1].id, model_aliases[i].id) < 0);
        EXPECT(model_row(model_aliases[i].id) == model_aliases[i].row);
    }
    EXPECT(model_row(S("openai/gpt-4o-2024-08-06")) == model_row(S("openai/gpt-4o")));
    EXPECT(model_row(S("openai/gpt-4o")) != NULL);
}

TEST(rows_are_within_the_bounds_that_readers_rely_on)
{
    for (size_t i = 0; i < model_table_count; i++) {
        const struct model_row *r = &model_table[i];

        EXPECT(str_chr(r->id, '/') > 0 && str_chr(r->id, '/') < r->id.n && r->id.n < MODEL_BYTES);
        EXPECT(r->context_tokens >= 0 && r->input_tokens >= 0 && r->output_tokens >= 0);
        EXPECT(r->mode > MODE_UNSAID && r->mode < MODES);
        EXPECT(r->status > STATUS_UNSAID && r->status < STATUSES);
        EXPECT((r->can & r->cannot) == 0 && r->traits != NULL && r->takes != 0 && r->makes != 0);
        EXPECT(r->ends == 0 || r->status == STATUS_DEPRECATED);
    }
    for (size_t i = 0; i < model_base_count; i++) {
        const struct model_base *b = &model_bases[i];

        EXPECT(i == 0 || str_cmp(model_bases[i - 1].id, b->id) < 0);
        EXPECT(b->quality_permille >= 0 && b->quality_permille <= 1000);
        EXPECT(b->tokens_per_s >= 0 && b->first_token_ms >= 0);
    }
}

TEST(the_table_covers_what_was_asked_for)
{
    EXPECT(model_table_count >= 250);
    EXPECT(ABILITIES <= 32 && PRICES <= 32);
}

TEST(what_is_not_known_is_neither_yes_nor_no)
{
    const struct model_row *row = model_row(S("anthropic/claude-opus-5-5"));

    EXPECT(model_can(NULL, CAN_tools) == UNSAID);
    EXPECT(model_can(row, CAN_tools) == YES && model_can(row, CAN_temperature) == NO);
    EXPECT(model_can(row, CAN_audio) == UNSAID);
    EXPECT_INT(model_quality_permille(NULL), 0);
    EXPECT(model_quality_permille(row) > 0 && row->base->quality_assumed);
}

TEST(traits_follow_from_abilities)
{
    EXPECT(model_row(S("openai/gpt-5"))->traits->reasoning == YES);
    EXPECT(model_row(S("openai/gpt-5"))->traits->sampling_fixed == YES);
    EXPECT(model_row(S("openai/gpt-4o"))->traits->reasoning == UNSAID);
    EXPECT(model_row(S("deepseek/deepseek-v4-pro"))->traits->reasoning == YES);
    EXPECT(model_row(S("deepseek/deepseek-v4-pro"))->traits->sampling_fixed == NO);
    EXPECT(model_row(S("openai/text-embedding-3-small"))->traits->embedding == YES);
    EXPECT(model_row(S("anthropic/claude-opus-5-5"))->traits->thinking == THINKS_ADAPTIVE);
}

TEST(a_model_without_a_row_has_no_cost)
{
    struct llm_usage u = { 0 };
    struct price_when when = { 0 };
    struct price_guess guess = { .input = 1000 };

    usage_set(&u, COUNT_INPUT, 1000);
    EXPECT_INT(model_cost_nanousd(NULL, &u, &when), COST_UNKNOWN);
    EXPECT_INT(model_expect_nanousd(NULL, &guess), COST_UNKNOWN);
    /* $2.50 a million */
    EXPECT_INT(model_cost_nanousd(model_row(S("openai/gpt-4o")), &u, &when), 2500000);
    EXPECT_INT(model_expect_nanousd(model_row(S("openai/gpt-4o")), &guess), 2500000);
}

TEST(a_model_has_the_tokenizer_that_its_row_or_its_names_say)
{
    static const struct {
        const char *id;
        enum tokens_family family;
    } some[] = {
        { "openai/gpt-4o", TOKENS_o200k },
        { "openai/text-embedding-3-small", TOKENS_cl100k },
        { "groq/llama-3.3-70b-versatile", TOKENS_llama },
    };
    struct model_row row = { .id = S_INIT("azure/mine"), .tokenizer = 1 + TOKENS_cl100k };

    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        EXPECT(model_row(str_c(some[i].id)) != NULL);
        EXPECT_INT(model_tokenizer(model_row(str_c(some[i].id)), S("x")), some[i].family);
    }
    EXPECT_INT(model_tokenizer(&row, S("gpt-4o")), TOKENS_cl100k);
    EXPECT_INT(model_tokenizer(NULL, S("gpt-4o-mini-2024-07-18")), TOKENS_o200k);
    EXPECT_INT(model_tokenizer(NULL, S("mine")), TOKENS_other);
}
