/* test_details.c - what lists of models say about each. */
#include "gateway/details.c"

#include "tests/test.h"

static char text[4096];

static const char *
details_of(const struct model_row *row)
{
    struct buf out;

    buf_init(&out, sizeof(text));
    details_write(&out, row, 1795503600);
    snprintf(text, sizeof(text), "%.*s", (int)buf_len(&out), buf_str(&out).p);
    buf_fini(&out);
    return text;
}

TEST(a_model_that_is_known_has_its_limits_prices_and_abilities)
{
    EXPECT_STR(str_c(details_of(model_row(S("openai/gpt-4o")))),
        ",\"context_length\":128000,\"max_output_tokens\":16384,\"architecture\":{\"input_modalities\":[\"text\","
        "\"image\",\"file\"],\"output_modalities\":[\"text\"]},\"pricing\":{\"prompt\":\"0.0000025\","
        "\"completion\":\"0.00001\",\"input_cache_read\":\"0.00000125\"},\"supported_parameters\":[\"tools\","
        "\"tool_choice\",\"parallel_tool_calls\",\"structured_outputs\",\"response_format\",\"temperature\"],"
        "\"deprecation_date\":\"2027-01-14\"");
}

TEST(a_price_that_a_plan_pays_is_left_out_and_an_unknown_model_has_nothing)
{
    EXPECT(strstr(details_of(model_row(S("zai/glm-4.7-flash"))), "pricing") == NULL);
    EXPECT_STR(str_c(details_of(&(struct model_row){ .takes = MEDIA_TEXT, .makes = MEDIA_TEXT })),
        ",\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]},"
        "\"supported_parameters\":[]");
    snprintf(text, sizeof(text), "-");
    EXPECT_STR(str_c(details_of(NULL)), "");
}

TEST(dollars_are_written_exactly)
{
    static const struct {
        int64_t nanousd_per_1k;
        const char *usd;
    } rows[] = { { 0, "0" }, { 1, "0.000000000001" }, { 1000000000000, "1" },
        { 2500000, "0.0000025" }, { 40000000000, "0.04" }, { 12000000000001, "12.000000000001" } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        struct json_out o = json_out(&out);

        buf_init(&out, 64);
        add_usd(&o, rows[i].nanousd_per_1k);
        EXPECT(
            str_eq(str_skip(str_make(buf_str(&out).p, buf_len(&out) - 1), 1), str_c(rows[i].usd)));
        buf_fini(&out);
    }
}
