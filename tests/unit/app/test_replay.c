/* test_replay.c - what another configuration would have done, worked out by hand for each line. */
#include "app/replay.c"

#include "tests/test.h"

static struct arena *a;
static struct snapshot *s;
static struct replay *r;

static void
begin(const char *settings)
{
    struct conf_problems problems;

    a = arena_create(16 * 1024 * 1024);
    conf_problems_init(&problems, a);
    struct conf *c = conf_parse(arena_printf(a,
                                    "server: {listen: \"127.0.0.1:0\"}\n"
                                    "providers: {openai: {api_key: k}, groq: {api_key: k}}\n%s",
                                    settings),
        S("test.yaml"), &problems);
    s = snapshot_build(c, S(""), &problems);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        print_error(STR_FMT "\n", STR_ARG(p->text));
    EXPECT_INT(problems.count, 0);
    r = replay_create(s);
}

static void
finish(void)
{
    replay_destroy(r);
    snapshot_unref(s);
    arena_destroy(a);
}

/* A line of a decision between two targets for `fast`, whose first was gpt-4o: 1000 tokens in, 100 out. */
#define ROUTED(more)                                                                               \
    "{\"key\":\"anonymous\",\"client_ip\":\"10.0.0.1\",\"endpoint\":\"chat_completions\","         \
    "\"model_requested\":\"fast\",\"provider\":\"openai\",\"model\":\"gpt-4o\","                   \
    "\"route\":{\"v\":1,\"alias\":\"fast\",\"strategy\":\"priority\",\"op\":\"chat\","             \
    "\"wire\":\"openai-chat\",\"at_ms\":1,\"seed\":\"00000000000000ff\"," more                     \
    "\"candidates\":[{\"target\":\"openai/gpt-4o\"},{\"target\":\"openai/gpt-4o-mini\"}]},"        \
    "\"tokens_input\":1000,\"tokens_output\":100,\"cost_nanousd\":3500000}"
#define NEEDS "\"needs\":{\"input\":1200},"
#define DIRECT                                                                                     \
    "{\"endpoint\":\"chat_completions\",\"model_requested\":\"openai/gpt-4o\","                    \
    "\"provider\":\"openai\",\"model\":\"gpt-4o\",\"tokens_input\":1000,\"tokens_output\":100,"    \
    "\"cost_nanousd\":3500000}"

static const struct json *
result(void)
{
    struct buf b;

    buf_init(&b, 1024 * 1024);
    replay_write(r, &b);
    const struct json *doc = json_parse(a, arena_str(a, buf_str(&b)), NULL, NULL);
    buf_fini(&b);
    EXPECT(doc != NULL);
    return doc;
}

#define EXPECT_NUMBER(doc, name, n) EXPECT_INT(json_i64(json_get(doc, S(name)), -9), n)

TEST(a_request_that_stays_costs_what_it_did)
{
    begin("models: {fast: {targets: [openai/gpt-4o, openai/gpt-4o-mini]}}\n");
    replay_line(r, S(ROUTED(NEEDS)));
    replay_line(r, S(DIRECT));
    const struct json *doc = result();
    EXPECT_NUMBER(doc, "lines", 2);
    EXPECT_NUMBER(doc, "requests", 2);
    EXPECT_NUMBER(doc, "moved", 0);
    EXPECT_NUMBER(doc, "undecidable", 0);
    EXPECT_NUMBER(doc, "cost_was_nanousd", 7000000);
    EXPECT_NUMBER(doc, "cost_is_nanousd", 7000000);
    EXPECT_INT(json_count(json_get(doc, S("moves"))), 0);
    finish();
}

TEST(a_request_that_moves_is_priced_at_its_new_target)
{
    begin("models: {fast: {strategy: cost, targets: [openai/gpt-4o, openai/gpt-4o-mini]}}\n");
    replay_line(r, S(ROUTED(NEEDS)));
    const struct json *doc = result();
    struct json_iter it = json_iter(json_get(doc, S("moves")));
    struct llm_usage usage = { 0 };

    usage_set(&usage, COUNT_INPUT, 1000);
    usage_set(&usage, COUNT_OUTPUT, 100);
    EXPECT_NUMBER(doc, "moved", 1);
    EXPECT_NUMBER(doc, "cost_was_nanousd", 3500000);
    EXPECT_NUMBER(doc, "cost_is_nanousd",
        model_cost_nanousd(
            model_row(S("openai/gpt-4o-mini")), &usage, &(struct price_when){ .wall_s = 0 }));
    EXPECT(json_next(&it));
    EXPECT_STR(json_str(a, json_get(it.value, S("from"))), "openai/gpt-4o");
    EXPECT_STR(json_str(a, json_get(it.value, S("to"))), "openai/gpt-4o-mini");
    finish();
}

TEST(what_reads_what_was_not_recorded_is_undecidable)
{
    begin("models: {fast: {strategy: cost, targets: [openai/gpt-4o, openai/gpt-4o-mini]},\n"
          "  \"openai/gpt-4o\": {targets: [openai/gpt-4o-mini, groq/gemma2-9b-it]}}\n");
    replay_line(r, S(ROUTED("")));
    replay_line(r, S(DIRECT));    /* it was named directly: nothing of it was looked at */
    replay_line(r, S(ROUTED("\"partial\":true,")));
    replay_line(r, S("{\"model_requested\":\"fast\",\"provider\":\"x\",\"route\":{\"v\":99}}"));
    const struct json *doc = result();
    struct json_iter it = json_iter(json_get(doc, S("undecidable_for_lack_of")));

    EXPECT_NUMBER(doc, "requests", 4);
    EXPECT_NUMBER(doc, "undecidable", 4);
    EXPECT_NUMBER(doc, "moved", 0);
    EXPECT_NUMBER(doc, "priced", 0);
    EXPECT(json_next(&it));
    EXPECT_STR(json_str(a, json_get(it.value, S("what"))), "what the request needs");
    EXPECT_NUMBER(it.value, "requests", 2);
    finish();
}

TEST(what_the_new_configuration_refuses_is_told)
{
    begin("models: {other: {targets: [openai/gpt-4o]}}\n"
          "auth: {mode: keys, keys: [{name: k, key: secret-of-k, models: [other]}]}\n");
    replay_line(r, S(ROUTED(NEEDS)));
    replay_line(r,
        S("{\"endpoint\":\"chat_completions\",\"key\":\"k\",\"model_requested\":\"openai/gpt-4o\","
          "\"provider\":\"openai\",\"model\":\"gpt-4o\",\"cost_nanousd\":5}"));
    const struct json *doc = result();
    struct json_iter it = json_iter(json_get(doc, S("moves")));

    EXPECT_NUMBER(doc, "moved", 2);
    EXPECT_NUMBER(doc, "priced", 0);
    EXPECT(json_next(&it));
    EXPECT_STR(json_str(a, json_get(it.value, S("to"))), "(refused)");
    finish();
}

TEST(lines_without_a_decision_are_counted_apart)
{
    static const char *const rows[] = {
        "{\"kind\":\"feedback\",\"model_requested\":\"fast\"}",
        "{\"endpoint\":\"models\",\"status\":200}",
        "{\"endpoint\":\"chat_completions\",\"model_requested\":\"x\",\"status\":401}",
        "{\"endpoint\":\"no_such\",\"model_requested\":\"x\",\"provider\":\"p\",\"model\":\"m\"}",
    };

    begin("");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        replay_line(r, str_c(rows[i]));
    replay_line(r, S("10:54:47 200 POST /v1/chat/completions"));
    replay_line(r, S("[1]"));
    const struct json *doc = result();
    EXPECT_NUMBER(doc, "lines", 6);
    EXPECT_NUMBER(doc, "without_decision", 4);
    EXPECT_NUMBER(doc, "malformed", 2);
    EXPECT_NUMBER(doc, "requests", 0);
    finish();
}

TEST(parts_of_a_log_add_up)
{
    begin("models: {fast: {strategy: cost, targets: [openai/gpt-4o, openai/gpt-4o-mini]}}\n");
    struct replay *part = replay_create(s);
    struct buf whole;

    for (int i = 0; i < 3; i++)
        replay_line(i == 0 ? r : part, S(ROUTED(NEEDS)));
    replay_merge(r, part);
    replay_destroy(part);
    const struct json *doc = result();
    EXPECT_NUMBER(doc, "moved", 3);
    EXPECT_NUMBER(doc, "cost_was_nanousd", 3 * 3500000);
    buf_init(&whole, 64 * 1024);
    replay_view(r, &whole);
    EXPECT(
        str_find(buf_str(&whole),
            S("3 (100.00%) would go elsewhere; 0 (0.00%) cannot be decided")) != buf_len(&whole));
    EXPECT(str_find(buf_str(&whole), S("$0.0105 -> ")) != buf_len(&whole));
    buf_fini(&whole);
    finish();
}

TEST(tables_of_names_from_outside_are_bounded)
{
    begin("");
    for (unsigned i = 0; i < ROWS_MOST + 500; i++) {
        struct arena_mark mark = arena_mark(a);

        replay_line(r, arena_printf(a,
                           "{\"endpoint\":\"chat_completions\",\"model_requested\":\"m%u\","
                           "\"provider\":\"p\",\"model\":\"m\"}",
                           i));
        arena_rewind(a, mark);
    }
    EXPECT(map_count(r->aliases.by_name) == ROWS_MOST + 1);
    EXPECT_INT(r->aliases.others->sums.lines, 500);
    finish();
}
