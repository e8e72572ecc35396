/* test_import.c - what catalogs of others say goes over what is known, and no price of the past is lost. */
#include "catalog/import.c"

#include "tests/test.h"

enum { NOW_S = 1795503600 };    /* 2026-11-24 07:00 UTC */

static struct arena *arena;
static struct import done;
static char reason[256];

/* The new file's text. */
static struct str
import_at(const char *before, const char *source, int64_t now_s)
{
    struct buf out;

    if (arena == NULL)
        arena = arena_create(64 * 1024 * 1024);
    reason[0] = '\0';
    buf_init(&out, 16 * 1024 * 1024);
    if (!catalog_import(arena, str_c(before), str_c(source), now_s, &out, &done, WHY(reason)))
        buf_reset(&out, 0);
    struct str text = arena_str(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static struct str
import(const char *source)
{
    return import_at("", source, NOW_S);
}

static const struct model_row *found;
static const char *wanted;

static void
find(void *arg, struct model_row *row)
{
    (void)arg;
    if (str_eq(row->id, str_c(wanted)))
        found = row;
}

static void
fail_on(void *arg, struct str problem)
{
    (void)arg;
    print_error(STR_FMT "\n", STR_ARG(problem));
    EXPECT(false);
}

/* A row of the new file; NULL: it is not in there. */
static const struct model_row *
row_of(struct str file, const char *id)
{
    found = NULL;
    wanted = id;
    EXPECT(catalog_read(arena, file, find, fail_on, NULL, WHY(reason)));
    return found;
}

static int64_t
cost(const struct model_row *row, int64_t input, int64_t wall_s)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, input);
    return model_cost_nanousd(row, &u, &(struct price_when){ .wall_s = wall_s });
}

static const char litellm[] =
    "{\"sample_spec\":{\"max_tokens\":\"how many\",\"litellm_provider\":\"one of\",\"mode\":\"one of: chat\"},"
    "\"groq/llama-9\":{\"litellm_provider\":\"groq\",\"mode\":\"chat\",\"max_input_tokens\":131072,"
    "\"max_output_tokens\":32768,\"input_cost_per_token\":2.5e-06,\"output_cost_per_token\":1e-05,"
    "\"cache_read_input_token_cost\":1.25e-07,\"input_cost_per_token_above_200k_tokens\":5e-06,"
    "\"output_cost_per_token_above_200k_tokens\":2e-05,\"input_cost_per_token_batches\":1.25e-06,"
    "\"cache_creation_input_token_cost_above_1hr\":6e-06,\"input_cost_per_token_above_128k_tokens\":3e-06,"
    "\"supports_function_calling\":true,\"supports_vision\":false,\"deprecation_date\":\"2027-01-31\"},"
    "\"gpt-9\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":0,"
    "\"output_cost_per_token\":0},"
    "\"vertex_ai/claude-9\":{\"litellm_provider\":\"vertex_ai-anthropic_models\",\"mode\":\"chat\","
    "\"input_cost_per_token\":1e-06},"
    "\"whisper-9\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_transcription\"},"
    "\"nothing\":{\"litellm_provider\":\"openai\",\"mode\":\"search\"}}";

TEST(a_catalog_of_litellm_is_read)
{
    struct str file = import(litellm);
    const struct model_row *r = row_of(file, "groq/llama-9");

    EXPECT_STR(str_c(done.format), "LiteLLM");
    EXPECT_INT(done.read, 4);
    EXPECT_INT(done.changed, 4);
    EXPECT_INT(done.refused, 0);
    EXPECT(r->context_tokens == 131072 && r->output_tokens == 32768 && r->ends == 20270131);
    EXPECT(model_can(r, CAN_tools) == YES && model_can(r, CAN_images) == NO);
    EXPECT(model_can(r, CAN_audio) == UNSAID);
    EXPECT_INT(price_of(&r->price->list, PRICE_input), 2500000);
    EXPECT_INT(price_of(&r->price->list, PRICE_cached_input), 125000);
    EXPECT_INT(price_of(&r->price->list, PRICE_output), 10000000);
    EXPECT_INT(price_of(&r->price->list, PRICE_batch_input), 1250000);
    EXPECT_INT(price_of(&r->price->list, PRICE_cache_write_1h), 6000000);
    EXPECT_INT(r->price->tier_count, 2);
    EXPECT_INT(r->price->tiers[0].above_tokens, 128000);
    EXPECT_INT(price_of(&r->price->tiers[0].list, PRICE_input), 3000000);
    EXPECT_INT(price_of(&r->price->tiers[1].list, PRICE_output), 20000000);
    EXPECT(row_of(file, "openai/gpt-9")->price->plan);    /* zero is not free */
    EXPECT(row_of(file, "vertex/claude-9") != NULL);
    EXPECT(row_of(file, "openai/whisper-9")->mode == MODE_TRANSCRIPTION);
    EXPECT(row_of(file, "openai/whisper-9")->price == NULL);
}

TEST(a_catalog_of_models_dev_is_read)
{
    struct str file = import(
        "{\"togetherai\":{\"id\":\"togetherai\",\"models\":{\"meta/llama-9\":{\"id\":\"meta/llama-9\","
        "\"tool_call\":true,\"reasoning\":false,\"temperature\":true,\"structured_output\":true,"
        "\"release_date\":\"2026-08\",\"modalities\":{\"input\":[\"text\",\"pdf\",\"smell\"],\"output\":[\"text\"]},"
        "\"limit\":{\"context\":100000,\"output\":0},\"cost\":{\"input\":0.88,\"output\":0.9,\"cache_read\":0.1,"
        "\"context_over_200k\":{\"input\":2,\"output\":3}}}}},"
        "\"odd\":{\"models\":{\"free\":{\"cost\":{\"input\":0,\"output\":0}},\"list\":[]}}}");
    const struct model_row *r = row_of(file, "together/meta/llama-9");

    EXPECT_STR(str_c(done.format), "models.dev");
    EXPECT(r->context_tokens == 100000 && r->output_tokens == 0 && r->released == 20260800);
    EXPECT(r->takes == (MEDIA_TEXT | MEDIA_FILE) && r->makes == MEDIA_TEXT);
    EXPECT(model_can(r, CAN_tools) == YES && model_can(r, CAN_reasoning) == NO);
    EXPECT(model_can(r, CAN_json_schema) == YES && model_can(r, CAN_temperature) == YES);
    EXPECT_INT(cost(r, 1000, NOW_S), 880000);
    EXPECT_INT(cost(r, 200001, NOW_S), 400002000);
    EXPECT(row_of(file, "odd/free")->price->plan);
}

TEST(a_price_that_changed_gets_a_date_and_the_old_one_stays)
{
    struct str first =
        import("{\"models\":[{\"id\":\"openai/gpt-4o\",\"price\":{\"input\":2,\"output\":8}}]}");
    const struct model_row *r = row_of(first, "openai/gpt-4o");

    EXPECT_INT(done.priced, 1);
    EXPECT_INT(cost(r, 1000, NOW_S), 2000000);
    EXPECT_INT(cost(r, 1000, NOW_S - 1), 2500000);    /* of the table */
    EXPECT_INT(r->context_tokens, model_row(S("openai/gpt-4o"))->context_tokens);

    struct str second = import_at(first.p,
        "{\"models\":[{\"id\":\"openai/gpt-4o\",\"price\":{\"input\":1,\"output\":8}}]}",
        NOW_S + 100);
    r = row_of(second, "openai/gpt-4o");
    EXPECT_INT(cost(r, 1000, NOW_S + 100), 1000000);
    EXPECT_INT(cost(r, 1000, NOW_S + 99), 2000000);
    EXPECT_INT(cost(r, 1000, NOW_S - 1), 2500000);

    struct str third = import_at(second.p,
        "{\"models\":[{\"id\":\"openai/gpt-4o\",\"price\":{\"input\":1,\"output\":8}}]}",
        NOW_S + 200);
    EXPECT_INT(done.changed, 0);
    EXPECT(str_eq(second, third));
}

TEST(prices_that_a_foreign_source_cannot_say_are_kept_where_it_agrees)
{
    const struct model_row *known = model_row(S("openai/gpt-5.6"));
    struct str file = import("{\"gpt-5.6\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\","
                             "\"input_cost_per_token\":4e-06,\"output_cost_per_token\":2e-05}}");

    EXPECT(known->price->tier_count == 1);
    EXPECT_INT(done.changed, 0);
    EXPECT(row_of(file, "openai/gpt-5.6") == NULL);    /* as the table has it: not written */
    file = import("{\"gpt-5.6\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\","
                  "\"input_cost_per_token\":3e-06,\"output_cost_per_token\":2e-05}}");
    EXPECT_INT(row_of(file, "openai/gpt-5.6")->price->tier_count, 0);
    EXPECT_INT(row_of(file, "openai/gpt-5.6")->price->older->tier_count, 1);
}

TEST(models_are_sorted_one_a_line)
{
    struct str file = import("{\"models\":[{\"id\":\"b/b\"},{\"id\":\"a/c\"},{\"id\":\"a/b\"}]}");
    size_t b = str_find(file, S("\n{\"id\":\"b/b\"")), c = str_find(file, S("\n{\"id\":\"a/c\""));
    size_t a = str_find(file, S("\n{\"id\":\"a/b\""));

    EXPECT(a < c && c < b && b < file.n);
    EXPECT(str_starts(file, S("{\"models\":[\n")) && str_ends(file, S("}\n]}\n")));
}

TEST(what_cannot_be_used_is_counted_or_refused)
{
    struct str file = import("{\"models\":[{\"id\":\"x\"},{\"id\":\"a/b\",\"context\":-1}]}");

    EXPECT_INT(done.refused, 2);
    EXPECT(row_of(file, "a/b") != NULL);
    EXPECT_INT(import("[]").n, 0);
    EXPECT_STR(str_c(reason), "the source is not a catalog of OpenClaw, models.dev or LiteLLM");
    EXPECT_INT(import("{").n, 0);
    EXPECT(str_starts(str_c(reason), S("the source is not JSON")));
    EXPECT_INT(import_at("[]", "{\"models\":[]}", NOW_S).n, 0);
    EXPECT(str_starts(str_c(reason), S("the file that would be changed has no list of models")));
    EXPECT_INT(import_at("{\"models\":[{}]}", "{\"models\":[]}", NOW_S).n, 0);
    EXPECT(str_starts(str_c(reason), S("the file that would be changed has entries that cannot")));
}

TEST(thresholds_are_cut_from_names)
{
    static const struct {
        const char *name, *rest;
        int64_t above;
    } rows[] = {
        { "input_cost_per_token_above_200k_tokens", "input_cost_per_token", 200000 },
        { "cache_creation_input_token_cost_above_1hr_above_272k_tokens",
            "cache_creation_input_token_cost_above_1hr", 272000 },
        { "cache_creation_input_token_cost_above_1hr", "cache_creation_input_token_cost_above_1hr",
            0 },
        { "input_cost_above_k_tokens", "input_cost_above_k_tokens", 0 },
        { "_above_9999999999k_tokens", "_above_9999999999k_tokens", 0 },
        { "", "", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str name = str_c(rows[i].name);

        EXPECT_INT(cut_threshold(&name), rows[i].above);
        EXPECT_STR(name, rows[i].rest);
    }
}
