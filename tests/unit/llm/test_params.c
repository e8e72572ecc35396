#include "llm/params.c"
#include "tests/test.h"

static struct arena *arena;
static struct llm_request r;
static struct wire_fault fault;

static void
begin(const char *json)
{
    struct read_words words = { .number = "number", .integer = "integer", .object = "object" };
    static const struct read_member none[] = { { NULL, NULL } };

    arena = arena_create(1 << 20);
    fault = (struct wire_fault){ .param = S("") };
    r = (struct llm_request){ .arena = arena, .wire = &wire_openai_chat };
    r.doc = json_parse(arena, str_c(json), NULL, NULL);

    struct reading rd = { .r = &r, .a = arena, .fault = &fault, .words = &words };

    read_members(&rd, none, PARAMS_OPENAI_CHAT);
}

static struct str
written(enum params_column column, const struct params_rules *rules, struct wire_drops *drops)
{
    static struct buf b;

    buf_fini(&b);
    buf_init(&b, 4096);

    struct json_out o = json_out(&b);

    out_object(&o);
    params_write(&o, &r, column, rules);
    out_end(&o);
    *drops = (struct wire_drops){ .arena = arena };
    params_drop(&r, PARAMS_BIT(column), rules, drops);
    return buf_str(&b);
}

TEST(parameters_are_sent_as_written_or_noted)
{
    const struct params_rules rules = { .fixed_sampling = false };
    struct wire_drops drops;

    begin("{\"temperature\":0.50,\"seed\":7,\"top_k\":3,\"logit_bias\":{},\"logprobs\":false}");
    EXPECT_STR(written(PARAMS_OPENAI_CHAT, &rules, &drops),
        "{\"temperature\":0.50,\"logit_bias\":{},\"seed\":7}");
    EXPECT_STR(drops.names->text, "top_k");
    EXPECT(drops.names->next == NULL);
    EXPECT_STR(written(PARAMS_ANTHROPIC, &rules, &drops), "{\"temperature\":0.50,\"top_k\":3}");
    EXPECT_STR(drops.names->text, "seed");    /* an empty logit_bias asks for nothing */
    EXPECT(drops.names->next == NULL);
    arena_destroy(arena);
}

TEST(values_are_brought_into_a_protocols_range)
{
    const struct params_rules rules = { .fixed_sampling = false };
    struct wire_drops drops;

    begin("{\"temperature\":1.7}");
    EXPECT_STR(written(PARAMS_ANTHROPIC, &rules, &drops), "{\"temperature\":1}");
    EXPECT_STR(written(PARAMS_OPENAI_CHAT, &rules, &drops), "{\"temperature\":1.7}");
    arena_destroy(arena);
}

TEST(what_a_target_refuses_is_left_out_and_noted)
{
    struct params_rules rules = { .fixed_sampling = true };
    struct wire_drops drops;

    begin("{\"temperature\":1,\"seed\":7}");
    EXPECT_STR(written(PARAMS_OPENAI_CHAT, &rules, &drops), "{\"seed\":7}");
    EXPECT_STR(drops.names->text, "temperature");
    rules = (struct params_rules){ .core_only = true };
    EXPECT_STR(written(PARAMS_OPENAI_CHAT, &rules, &drops), "{\"temperature\":1}");
    EXPECT_STR(drops.names->text, "seed");
    rules = (struct params_rules){ .refused = PARAM_BIT(temperature) | PARAM_BIT(seed) };
    EXPECT_STR(written(PARAMS_OPENAI_CHAT, &rules, &drops), "{}");
    arena_destroy(arena);
}

TEST(a_parameter_of_another_type_is_refused)
{
    begin("{\"seed\":\"7\"}");
    EXPECT_STR(fault.message, "seed: integer");
    arena_destroy(arena);
}

TEST(parameters_that_protocols_read_in_their_own_ways_are_named_too)
{
    struct wire_drops drops;
    struct params_rules rules = { 0 };

    begin("{}");
    r.user = S("u");
    r.parallel_tools = NO;
    r.service_tier = S("flex");
    written(PARAMS_OLLAMA, &rules, &drops);
    EXPECT_STR(drops.names->text, "user");
    EXPECT_STR(drops.names->next->text, "service_tier");
    EXPECT_STR(drops.names->next->next->text, "parallel_tool_calls");
    EXPECT(drops.names->next->next->next == NULL);
    r.service_tier = S("auto");
    r.user = S("");
    r.parallel_tools = YES;
    written(PARAMS_OLLAMA, &rules, &drops);
    EXPECT(drops.names == NULL);
    arena_destroy(arena);
}
