/* test_entry.c - models as JSON: what is read is what was said, and what is written is read again. */
#include "catalog/entry.c"

#include "tests/test.h"

static struct arena *arena;
static char told[1024];

static void
on_told(void *arg, struct str problem)
{
    size_t n = strlen(told);

    EXPECT(arg == told);
    snprintf(told + n, sizeof(told) - n, STR_FMT "\n", STR_ARG(problem));
}

static struct model_row *
read_over(const char *text, const struct model_row *known)
{
    if (arena == NULL)
        arena = arena_create(16 * 1024 * 1024);
    told[0] = '\0';
    const struct json *j = json_parse(arena, str_c(text), NULL, NULL);
    EXPECT(j != NULL);
    return entry_read(arena, j, known, on_told, told);
}

static int64_t
cost(const struct model_row *row, int64_t input, int64_t output, int64_t wall_s)
{
    struct llm_usage u = { 0 };
    struct price_when when = { .wall_s = wall_s };

    usage_set(&u, COUNT_INPUT, input);
    usage_set(&u, COUNT_OUTPUT, output);
    return model_cost_nanousd(row, &u, &when);
}

TEST(an_entry_says_everything_about_a_model_of_its_own)
{
    struct model_row *r = read_over(
        "{\"id\":\"lab/llama\",\"base\":\"ours/llama\",\"mode\":\"embedding\",\"status\":\"preview\","
        "\"context\":128000,\"max_input\":120000,\"output\":8192,\"dimensions\":1024,\"cache_min\":512,"
        "\"takes\":[\"text\",\"image\"],\"makes\":[\"embedding\"],\"efforts\":[\"low\",\"max\"],"
        "\"capabilities\":{\"tools\":true,\"images\":false,\"temperature\":false,\"audio\":null},"
        "\"region\":\"eu\",\"released\":\"2026-08\",\"ends\":\"2026-12-01\",\"replacement\":\"llama-4\","
        "\"floating\":true,\"quality\":55.5,\"quality_coding\":40,\"tokens_per_s\":90,"
        "\"first_token_s\":0.4,\"price\":{\"input\":0.2,\"output\":0.6}}",
        NULL);

    EXPECT_STR(str_c(told), "");
    EXPECT_STR(r->id, "lab/llama");
    EXPECT_STR(r->base->id, "ours/llama");
    EXPECT(r->mode == MODE_EMBEDDING && r->status == STATUS_PREVIEW && r->floating);
    EXPECT(r->context_tokens == 128000 && r->input_tokens == 120000 && r->output_tokens == 8192);
    EXPECT(r->dimensions == 1024 && r->cache_tokens == 512);
    EXPECT(r->takes == (MEDIA_TEXT | MEDIA_IMAGE) && r->makes == MEDIA_EMBEDDING);
    EXPECT(r->efforts == (EFFORT_LOW | EFFORT_MAX));
    EXPECT(model_can(r, CAN_tools) == YES && model_can(r, CAN_images) == NO);
    EXPECT(model_can(r, CAN_audio) == UNSAID);
    EXPECT(r->traits->embedding == YES && r->traits->sampling_fixed == YES);
    EXPECT_STR(str_c(r->region), "eu");
    EXPECT(r->released == 20260800 && r->ends == 20261201);
    EXPECT_STR(str_c(r->replacement), "llama-4");
    EXPECT(r->base->quality_permille == 555 && r->base->quality_coding_permille == 400);
    EXPECT(r->base->tokens_per_s == 90 && r->base->first_token_ms == 400);
    /* 1000 x $0.20 + 100 x $0.60 a million */
    EXPECT_INT(cost(r, 1000, 100, 0), 200000 + 60000);
}

TEST(an_entry_changes_only_what_it_says_of_a_known_model)
{
    const struct model_row *known = model_row(S("openai/gpt-5"));
    struct model_row *r = read_over(
        "{\"id\":\"openai/gpt-5\",\"quality\":12,\"capabilities\":{\"audio\":true}}", known);

    EXPECT_STR(str_c(told), "");
    EXPECT(r->context_tokens == known->context_tokens && r->price == known->price);
    EXPECT(model_can(r, CAN_audio) == YES && model_can(r, CAN_tools) == YES);
    EXPECT(r->base != known->base && r->base->quality_permille == 120);
    EXPECT_INT(r->base->quality_coding_permille, known->base->quality_coding_permille);
    EXPECT(known->base->quality_permille != 120 && r->traits->reasoning == YES);
}

TEST(a_base_that_is_known_brings_its_priors)
{
    struct model_row *r = read_over(
        "{\"tokens_per_s\":7,\"id\":\"lab/x\",\"base\":\"anthropic/claude-haiku-4-5\"}", NULL);

    EXPECT_INT(r->base->quality_permille, 602);
    EXPECT_INT(r->base->tokens_per_s, 7);    /* whatever the order of the members */
    EXPECT_INT(model_base(S("anthropic/claude-haiku-4-5"))->tokens_per_s, 97);
}

TEST(tiers_and_windows_are_prices_too)
{
    struct model_row *r =
        read_over("{\"id\":\"lab/x\",\"price\":{\"input\":1,\"output\":4,"
                  "\"tiers\":[{\"above\":100,\"input\":2},{\"above\":200,\"input\":3}],"
                  "\"windows\":[{\"name\":\"night\",\"utc\":\"!mon-fri 06:00-18:00; sat "
                  "06:00-12:00\",\"input\":0.5,\"output\":2}]}}",
            NULL);
    int64_t monday = 4 * 86400;

    EXPECT_STR(str_c(told), "");
    EXPECT_INT(cost(r, 100, 1, monday + 7 * 3600), 100000 + 4000);
    EXPECT_INT(cost(r, 101, 1, monday + 7 * 3600), 202000 + 4000);
    EXPECT_INT(cost(r, 201, 0, monday + 7 * 3600), 603000);
    EXPECT_INT(cost(r, 100, 1, monday), 50000 + 2000);
    EXPECT_INT(cost(r, 100, 1, monday + 5 * 86400 + 7 * 3600), 104000);
    EXPECT_INT(cost(r, 100, 1, monday + 5 * 86400 + 12 * 3600), 52000);
}

TEST(a_price_with_a_date_leaves_the_past_alone)
{
    const struct model_row *known = model_row(S("openai/gpt-4o"));
    struct model_row *r = read_over(
        "{\"id\":\"openai/gpt-4o\",\"price\":{\"since\":\"2026-12-01\",\"input\":1,\"output\":2}}",
        known);

    EXPECT_INT(cost(r, 1000, 0, 1796083200 - 1), 2500000);    /* 2026-11-30 23:59:59 */
    EXPECT_INT(cost(r, 1000, 0, 1796083200), 1000000);
    EXPECT(r->price->older == known->price && known->price->older == NULL);
    r = read_over("{\"id\":\"openai/gpt-4o\",\"price\":{\"input\":1}}", known);
    EXPECT(r->price->older == NULL && cost(r, 1000, 0, 5) == 1000000);
}

TEST(a_history_may_be_in_any_order)
{
    struct model_row *r =
        read_over("{\"id\":\"lab/x\",\"prices\":[{\"since\":\"2026-02-01\",\"input\":2},"
                  "{\"input\":1},{\"since\":\"2026-03-01T00:00:00Z\",\"input\":3}]}",
            NULL);

    EXPECT_STR(str_c(told), "");
    EXPECT_INT(cost(r, 1000, 0, 0), 1000000);
    EXPECT_INT(cost(r, 1000, 0, 1769904000), 2000000);
    EXPECT_INT(cost(r, 1000, 0, 1772323200), 3000000);
    EXPECT_INT(cost(r, 1000, 0, 1772323199), 2000000);
}

TEST(what_is_wrong_is_named_and_left_as_it_was)
{
    static const struct {
        const char *member, *says;
    } rows[] = {
        { "\"context\":-1", "context: write a whole number" },
        { "\"context\":\"8k\"", "context: write a whole number" },
        { "\"contxt\":1", "contxt: there is no such fact" },
        { "\"mode\":\"chatty\"", "mode: 'chatty' is not one of chat, embedding" },
        { "\"mode\":\"\\u001b[1m\"", "mode: '\\x1b[1m' is not one of" },
        { "\"a\\u0007\":1", "a\\x07: there is no such fact" },
        { "\"takes\":\"text\"", "takes: write a list of words" },
        { "\"takes\":[\"smell\"]", "takes: 'smell' is not one of text, image" },
        { "\"capabilities\":{\"fly\":true}", "capabilities: 'fly' is not one of streaming" },
        { "\"capabilities\":{\"tools\":\"yes\"}", "capabilities: write true or false" },
        { "\"quality\":101", "quality: write a number from 0 to 100" },
        { "\"released\":\"May\"", "released: write a date such as" },
        { "\"base\":7", "base: write the name of a model" },
        { "\"price\":3", "price: write its prices by name" },
        { "\"price\":{\"input\":-1}", "price.input: write a number of dollars" },
        { "\"price\":{\"input\":1e9}", "price.input: write a number of dollars" },
        { "\"price\":{\"inputs\":1}", "price.inputs: there is no such price" },
        { "\"price\":{\"since\":\"soon\"}", "price.since: write a date such as" },
        { "\"price\":{\"tiers\":[{\"input\":1}]}", "price.tiers.above: each tier begins above" },
        { "\"price\":{\"tiers\":[{\"above\":2},{\"above\":2}]}", "price.tiers.above: each tier" },
        { "\"price\":{\"windows\":[{\"utc\":\"always\"}]}",
            "price.windows.utc: write days and times" },
        { "\"price\":{\"windows\":[{\"utc\":\"mon 10:00-09:00\"}]}",
            "price.windows.utc: write days" },
        { "\"price\":{\"windows\":[{\"utc\":\"fri-mon 10:00-11:00\"}]}",
            "price.windows.utc: write" },
        { "\"price\":{\"windows\":[{\"utc\":\"mon 10:00-24:01\"}]}",
            "price.windows.utc: write days" },
        { "\"prices\":{}", "prices: write a list of up to" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];

        snprintf(text, sizeof(text), "{\"id\":\"lab/x\",\"output\":5,%s}", rows[i].member);
        struct model_row *r = read_over(text, NULL);
        if (!str_starts(str_c(told), str_c(rows[i].says)))
            print_error("%s\n  told: %s", rows[i].member, told);
        EXPECT(str_starts(str_c(told), str_c(rows[i].says)));
        EXPECT(
            r != NULL && r->output_tokens == 5 && r->context_tokens == 0 && r->mode == MODE_CHAT);
    }
}

TEST(an_entry_needs_the_name_of_a_provider_and_a_model)
{
    static const char *const texts[] = { "{}", "{\"id\":\"x\"}", "{\"id\":\"/x\"}",
        "{\"id\":\"x/\"}", "[]", "{\"id\":5}" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        EXPECT(read_over(texts[i], NULL) == NULL);
        EXPECT_STR(str_c(told), "id: write provider/model\n");
    }
}

/* Every row of the table: its facts survive being written and read. */
TEST(what_is_written_is_read_again)
{
    for (size_t i = 0; i < model_table_count; i++) {
        const struct model_row *a = &model_table[i];
        struct buf text, again;

        buf_init(&text, 65536);
        buf_init(&again, 65536);
        struct json_out o = json_out(&text);
        entry_write(&o, a);
        buf_add_c(&text, '\0');
        struct model_row *b = read_over(buf_str(&text).p, NULL);
        EXPECT_STR(str_c(told), "");
        o = json_out(&again);
        entry_write(&o, b);
        buf_add_c(&again, '\0');
        EXPECT(str_eq(buf_str(&again), buf_str(&text)));
        EXPECT(b->can == a->can && b->cannot == a->cannot && b->efforts == a->efforts);
        EXPECT(b->traits->reasoning == a->traits->reasoning);
        for (unsigned p = 0; p < PRICES; p++)
            EXPECT_INT(price_of(&b->price->list, p), price_of(&a->price->list, p));
        EXPECT_INT(b->price->tier_count, a->price->tier_count);
        EXPECT_INT(b->price->window_count, a->price->window_count);
        buf_fini(&text);
        buf_fini(&again);
    }
}
