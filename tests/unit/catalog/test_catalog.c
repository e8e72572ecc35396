/* test_catalog.c - what a configuration says about models goes before its file, and that before the table. */
#include "catalog/catalog.c"

#include <stdio.h>

#include "tests/test.h"

static struct conf *conf;
static struct conf_problems problems;
static struct arena *arena;

/* Of a configuration whose catalog section is this. */
static struct catalog *
make(const char *section)
{
    struct buf text;

    arena = arena_create(8 * 1024 * 1024);
    conf_problems_init(&problems, arena);
    buf_init(&text, 65536);
    buf_printf(&text, "catalog:\n%s", section);
    conf = conf_parse(buf_str(&text), S("test"), &problems);
    buf_fini(&text);
    return catalog_create(conf, &problems);
}

static void
drop(struct catalog *k)
{
    catalog_destroy(k);
    conf_destroy(conf);
    arena_destroy(arena);
}

static const char *
write_file(const char *text)
{
    static char path[] = "/tmp/openclaw-test-catalog.json";
    FILE *f = fopen(path, "w");

    EXPECT(f != NULL && fputs(text, f) >= 0);
    fclose(f);
    return path;
}

static struct llm_usage
used(int64_t input)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, input);
    return u;
}

TEST(a_configuration_without_a_catalog_has_the_table)
{
    struct catalog *k = make("  unknown_price: alert\n");
    size_t pos = 0, n = 0;

    EXPECT_INT(problems.count, 0);
    EXPECT(catalog_model(k, S("openai/gpt-4o")) == model_row(S("openai/gpt-4o")));
    EXPECT(catalog_model(k, S("lab/x")) == NULL && catalog_model(NULL, S("lab/x")) == NULL);
    EXPECT(catalog_unknown_price(k) == PRICE_ALERT && catalog_unknown_price(NULL) == PRICE_ALERT);
    while (catalog_next(k, &pos) != NULL)
        n++;
    EXPECT_INT(n, model_table_count);
    drop(k);
}

TEST(the_configuration_goes_before_the_file_and_the_file_before_the_table)
{
    char section[1024];

    snprintf(section, sizeof(section),
        "  file: %s\n  models:\n"
        "  - {id: lab/llama, context: 128000, price: {input: 0.2, output: 0.6}, capabilities: {tools: true}, "
        "quality: 55}\n"
        "  - {id: lab/two, output: 7}\n",
        write_file("{\"models\":[{\"id\":\"lab/two\",\"context\":5,\"output\":6},"
                   "{\"id\":\"openai/gpt-4o\",\"context\":9}]}"));
    struct catalog *k = make(section);
    const struct model_row *llama = catalog_model(k, S("lab/llama"));
    size_t pos = 0, n = 0;

    EXPECT_INT(problems.count, 0);
    EXPECT(llama->context_tokens == 128000 && model_can(llama, CAN_tools) == YES);
    EXPECT_INT(model_quality_permille(llama), 550);
    EXPECT_INT(llama->price->list.nanousd_per_1k[0], 200000);
    EXPECT_INT(catalog_model(k, S("lab/two"))->context_tokens, 5);
    EXPECT_INT(catalog_model(k, S("lab/two"))->output_tokens, 7);
    EXPECT_INT(catalog_model(k, S("openai/gpt-4o"))->context_tokens, 9);
    EXPECT(catalog_model(k, S("openai/gpt-4o"))->price == model_row(S("openai/gpt-4o"))->price);
    while (catalog_next(k, &pos) != NULL)
        n++;
    EXPECT_INT(n, model_table_count + 2);    /* of three, one is in the table already */
    drop(k);
}

TEST(mistakes_are_reported_with_their_place)
{
    struct catalog *k =
        make("  models:\n  - {id: lab, context: 1}\n  - {id: lab/x, price: {inptu: 1}}\n");

    EXPECT_INT(problems.count, 2);
    EXPECT_STR(problems.first->text, "catalog.models[0].id: write provider/model");
    EXPECT_STR(problems.first->next->text,
        "catalog.models[1].price.inptu: there is no such price; docs/catalog.md lists them");
    EXPECT_INT(problems.first->next->mark.line, 4);
    drop(k);
}

TEST(a_file_that_is_not_a_catalog_is_refused)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "{", "catalog.file: it is not JSON:" },
        { "[]", "catalog.file: it has no list of models;" },
        { "{\"models\":{}}", "catalog.file: it has no list of models;" },
        { "{\"models\":[{\"id\":\"a/b\"},{\"id\":\"x\"}]}", "catalog.file: models[1].id: write" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char section[256];

        snprintf(section, sizeof(section), "  file: %s\n", write_file(rows[i].text));
        struct catalog *k = make(section);
        EXPECT_INT(problems.count, 1);
        EXPECT(str_starts(problems.first->text, str_c(rows[i].says)));
        drop(k);
    }
}

TEST(bytes_are_read_from_regular_files_only)
{
    struct buf text;
    char reason[128] = "";

    buf_init(&text, CATALOG_FILE_BYTES_MAX);
    EXPECT(!catalog_read_bytes("/tmp", &text, WHY(reason)));
    EXPECT_STR(str_c(reason), "is not a regular file");
    EXPECT(!catalog_read_bytes("/tmp/openclaw-there-is-no-such-file", &text, WHY(reason)));
    EXPECT(str_starts(str_c(reason), S("cannot be opened")));
    buf_fini(&text);
    buf_init(&text, 10);
    EXPECT(!catalog_read_bytes(write_file("more than ten bytes"), &text, WHY(reason)));
    buf_fini(&text);
}

TEST(an_estimate_is_what_the_dearest_provider_of_the_same_model_charges)
{
    const char *section = "  unknown_price: estimate\n  models:\n"
                          "  - {id: a/x, base: ours/x, price: {input: 1}}\n"
                          "  - {id: b/x, base: ours/x, price: {input: 3}}\n"
                          "  - {id: c/x, base: ours/x}\n"
                          "  - {id: d/x, base: theirs/x}\n";
    struct catalog *k = make(section);
    struct llm_usage u = used(1000);
    struct price_when when = { 0 };
    bool estimated;

    EXPECT_INT(problems.count, 0);
    EXPECT_INT(catalog_cost_nanousd(k, catalog_model(k, S("c/x")), &u, &when, &estimated), 3000000);
    EXPECT(estimated);
    EXPECT_INT(catalog_cost_nanousd(k, catalog_model(k, S("a/x")), &u, &when, &estimated), 1000000);
    EXPECT(!estimated);
    EXPECT_INT(
        catalog_cost_nanousd(k, catalog_model(k, S("d/x")), &u, &when, &estimated), COST_UNKNOWN);
    EXPECT_INT(catalog_cost_nanousd(k, NULL, &u, &when, &estimated), COST_UNKNOWN);
    EXPECT(!estimated);
    drop(k);
}

TEST(without_that_setting_nothing_is_estimated)
{
    struct catalog *k = make("  unknown_price: deny\n  models:\n"
                             "  - {id: b/x, base: ours/x, price: {input: 3}}\n"
                             "  - {id: c/x, base: ours/x}\n");
    struct llm_usage u = used(1000);
    bool estimated;

    EXPECT(catalog_unknown_price(k) == PRICE_DENY);
    EXPECT_INT(catalog_cost_nanousd(
                   k, catalog_model(k, S("c/x")), &u, &(struct price_when){ 0 }, &estimated),
        COST_UNKNOWN);
    drop(k);
}
