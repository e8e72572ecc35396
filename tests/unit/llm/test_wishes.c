#include "llm/wishes.c"
#include "tests/test.h"

static struct arena *arena;
static struct llm_request request;
static struct wire_fault fault;

/* Reads the members after "model"; NULL: a fault, or no wishes. */
static struct wishes *
read_body(const struct wire *wire, bool router, struct str body)
{
    struct wishes *w;

    request = (struct llm_request){ .arena = arena, .op = OP_CHAT, .wire = wire, .router = router };
    request.body = body;
    request.doc = json_parse(arena, body, NULL, NULL);
    EXPECT(request.doc != NULL);
    fault = (struct wire_fault){ S(""), S("") };
    enum err e = wishes_read(&request, arena, &w, &fault);
    EXPECT((e == OK) == (fault.message.n == 0));
    return w;
}

#define READ(members) read_body(&wire_openai_chat, false, S("{\"model\":\"m\"," members "}"))
#define PROVIDER(members) READ("\"provider\":{" members "}")

TEST(each_field_of_provider_is_read)
{
    arena = arena_create(1 << 20);
    struct wishes *w =
        PROVIDER("\"order\":[\"a\",\"deepinfra/turbo\"],\"only\":[\"b\"],\"ignore\":[\"c\"],"
                 "\"allow_fallbacks\":false,\"require_parameters\":true,"
                 "\"data_collection\":\"deny\",\"zdr\":true,"
                 "\"quantizations\":[\"fp8\",\"bf16\"],\"sort\":\"throughput\","
                 "\"max_price\":{\"prompt\":1,\"completion\":\"2.5\",\"request\":0.01,"
                 "\"image\":0.002},"
                 "\"preferred_min_throughput\":50,\"preferred_max_latency\":{\"p90\":3,"
                 "\"p50\":1}");

    EXPECT(w != NULL);
    EXPECT_STR(w->order->text, "a");
    EXPECT_STR(w->order->next->text, "deepinfra/turbo");
    EXPECT_STR(w->only->text, "b");
    EXPECT_STR(w->ignore->text, "c");
    EXPECT_INT(w->allow_fallbacks, NO);
    EXPECT_INT(w->require_parameters, YES);
    EXPECT(w->no_collection && w->zdr && !w->distillable);
    EXPECT_STR(w->quantizations->next->text, "bf16");
    EXPECT_INT(w->sort, SORT_THROUGHPUT);
    EXPECT_INT(w->max_prompt_nanousd_per_1k, 1000000);
    EXPECT_INT(w->max_completion_nanousd_per_1k, 2500000);
    EXPECT_INT(w->max_request_nanousd, 10000000);
    EXPECT_INT(w->max_image_nanousd, 2000000);
    EXPECT_INT(w->max_audio_nanousd, WISH_PRICE_ANY);
    EXPECT(w->min_throughput == 50 && w->max_latency_s == 1);
    EXPECT(!w->across_models);
    w = PROVIDER("\"sort\":{\"by\":\"latency\",\"partition\":\"none\"}");
    EXPECT(w->sort == SORT_LATENCY && w->across_models);
    arena_destroy(arena);
}

TEST(without_such_members_there_are_no_wishes)
{
    arena = arena_create(1 << 20);
    EXPECT(READ("\"temperature\":1,\"reasoning\":{\"effort\":\"low\"}") == NULL);
    EXPECT(!request.wished);
    EXPECT(PROVIDER("\"order\":null") != NULL);
    EXPECT(request.wished);
    arena_destroy(arena);
}

/* What is wrong, and the place that is named. */
static const struct {
    struct str body;
    const char *param;
} wrong[] = {
    { S_INIT("{\"provider\":[]}"), "provider" },
    { S_INIT("{\"provider\":\"openai\"}"), "provider" },
    { S_INIT("{\"provider\":{\"ordre\":[]}}"), "provider" },
    { S_INIT("{\"provider\":{\"order\":\"openai\"}}"), "provider.order" },
    { S_INIT("{\"provider\":{\"order\":[7]}}"), "provider.order[0]" },
    { S_INIT("{\"provider\":{\"only\":[\"\"]}}"), "provider.only[0]" },
    { S_INIT("{\"provider\":{\"ignore\":{}}}"), "provider.ignore" },
    { S_INIT("{\"provider\":{\"allow_fallbacks\":\"no\"}}"), "provider.allow_fallbacks" },
    { S_INIT("{\"provider\":{\"require_parameters\":1}}"), "provider.require_parameters" },
    { S_INIT("{\"provider\":{\"data_collection\":\"never\"}}"), "provider.data_collection" },
    { S_INIT("{\"provider\":{\"zdr\":\"yes\"}}"), "provider.zdr" },
    { S_INIT("{\"provider\":{\"quantizations\":[\"int3\"]}}"), "provider.quantizations" },
    { S_INIT("{\"provider\":{\"sort\":\"speed\"}}"), "provider.sort" },
    { S_INIT("{\"provider\":{\"sort\":{\"by\":\"speed\"}}}"), "provider.sort.by" },
    { S_INIT("{\"provider\":{\"sort\":{\"by\":\"price\",\"partition\":\"all\"}}}"),
        "provider.sort.partition" },
    { S_INIT("{\"provider\":{\"max_price\":5}}"), "provider.max_price" },
    { S_INIT("{\"provider\":{\"max_price\":{\"prompts\":5}}}"), "provider.max_price" },
    { S_INIT("{\"provider\":{\"max_price\":{\"prompt\":-1}}}"), "provider.max_price.prompt" },
    { S_INIT("{\"provider\":{\"max_price\":{\"prompt\":\"1$\"}}}"), "provider.max_price.prompt" },
    { S_INIT("{\"provider\":{\"max_price\":{\"prompt\":\"inf\"}}}"), "provider.max_price.prompt" },
    { S_INIT("{\"provider\":{\"preferred_max_latency\":{\"p95\":1}}}"),
        "provider.preferred_max_latency" },
    { S_INIT("{\"provider\":{\"preferred_min_throughput\":{\"p50\":-1}}}"),
        "provider.preferred_min_throughput.p50" },
    { S_INIT("{\"models\":\"a\"}"), "models" },
    { S_INIT("{\"models\":[[]]}"), "models[0]" },
    { S_INIT("{\"route\":\"best\"}"), "route" },
    { S_INIT("{\"models\":[\"a\"],\"fallbacks\":[{\"model\":\"b\"}]}"), "fallbacks" },
    { S_INIT("{\"fallbacks\":[{\"model\":\"b\",\"max_tokens\":5}]}"), "fallbacks[0]" },
    { S_INIT("{\"fallbacks\":[\"b\"]}"), "fallbacks[0]" },
    { S_INIT(
          "{\"fallbacks\":[{\"model\":\"a\"},{\"model\":\"a\"},{\"model\":\"a\"},{\"model\":\"a\"}]}"),
        "fallbacks" },
};

TEST(a_fault_names_its_field)
{
    arena = arena_create(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        EXPECT(read_body(&wire_openai_chat, true, wrong[i].body) == NULL);
        EXPECT_STR(fault.param, wrong[i].param);
        EXPECT(str_starts(fault.message, str_c(wrong[i].param)));
    }
    arena_destroy(arena);
}

TEST(models_follow_the_one_that_is_asked_for)
{
    arena = arena_create(1 << 20);
    struct wishes *w = READ("\"models\":[\"a\",\"b\"],\"route\":\"fallback\"");

    EXPECT_STR(w->models->text, "a");
    EXPECT_STR(w->models->next->text, "b");
    w = read_body(&wire_openai_chat, true, S("{\"models\":[\"a\",\"b\"]}"));
    EXPECT_STR(wishes_first_model(&request), "a");
    EXPECT_STR(w->models->text, "b");
    w = read_body(&wire_anthropic, true, S("{\"model\":\"m\",\"fallbacks\":[{\"model\":\"a\"}]}"));
    EXPECT_STR(w->models->text, "a");
    EXPECT(read_body(&wire_anthropic, false,
               S("{\"model\":\"m\",\"fallbacks\":[{\"model\":\"a\"}]}")) == NULL);
    arena_destroy(arena);
}

TEST(only_known_suffixes_are_cut)
{
    struct wishes w;
    struct str name = S("openai/gpt-4o:nitro");

    wishes_init(&w);
    EXPECT(wishes_cut_suffix(&name, &w));
    EXPECT_STR(name, "openai/gpt-4o");
    EXPECT_INT(w.sort, SORT_THROUGHPUT);
    name = S("x:floor");
    EXPECT(wishes_cut_suffix(&name, &w));
    EXPECT_INT(w.sort, SORT_THROUGHPUT);    /* what "provider" says goes before it */
    static const struct str names[] = { S_INIT("llama3:8b"), S_INIT("anthropic.claude-v1:0"),
        S_INIT("x:free"), S_INIT("x:online"), S_INIT(":nitro"), S_INIT("nitro") };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        name = names[i];
        EXPECT(!wishes_cut_suffix(&name, &w));
        EXPECT(str_eq(name, names[i]));
    }
}

/* The body as a provider of the same wire gets it. */
static struct str
edited(bool router, const char *body, struct wire_drops *drops)
{
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];
    struct buf b;

    (void)read_body(&wire_openai_chat, router, str_c(body));
    wishes_edit(&request, &edits, drops);
    size_t n = wire_edits_apply(&edits, request.body, pieces);
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < n; i++)
        buf_add(&b, pieces[i]);
    struct str text = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    EXPECT(json_parse(arena, text, NULL, NULL) != NULL);
    return text;
}

TEST(the_members_are_taken_out_wherever_they_stand)
{
    arena = arena_create(1 << 20);
    struct wire_drops drops = { .arena = arena };

    EXPECT_STR(edited(false, "{\"model\":\"m\",\"models\":[\"a\"],\"x\":1}", NULL),
        "{\"model\":\"m\",\"x\":1}");
    EXPECT_STR(edited(false, "{\"models\":[\"a\"], \"model\":\"m\"}", NULL), "{\"model\":\"m\"}");
    EXPECT_STR(
        edited(false, "{\"x\":1 ,\"provider\":{} , \"route\":\"fallback\" }", NULL), "{\"x\":1 }");
    EXPECT_STR(
        edited(false, "{\"route\":null,\"x\":1,\"models\":[],\"provider\":{},\"y\":2,\"route2\":3}",
            NULL),
        "{\"x\":1,\"y\":2,\"route2\":3}");
    EXPECT_STR(edited(false, "{\"models\":[]}", NULL), "{}");
    EXPECT_STR(edited(false, "{\"usage\":{},\"plugins\":[1],\"x\":1}", NULL),
        "{\"usage\":{},\"plugins\":[1],\"x\":1}");
    EXPECT_STR(
        edited(true, "{\"usage\":{\"include\":true},\"plugins\":[1],\"x\":1,\"transforms\":null}",
            &drops),
        "{\"x\":1}");
    EXPECT_STR(drops.names->text, "plugins");
    EXPECT(drops.names->next == NULL);
    arena_destroy(arena);
}

TEST(reasoning_becomes_the_word_that_others_know)
{
    arena = arena_create(1 << 20);
    EXPECT_STR(edited(true, "{\"reasoning\":{\"effort\":\"high\"},\"x\":1}", NULL),
        "{\"reasoning_effort\":\"high\",\"x\":1}");
    EXPECT_STR(edited(true, "{\"x\":1,\"reasoning\":{\"max_tokens\":2000}}", NULL),
        "{\"x\":1,\"reasoning_effort\":\"low\"}");
    EXPECT_STR(edited(true, "{\"x\":1,\"reasoning\":{\"enabled\":false}}", NULL),
        "{\"x\":1,\"reasoning_effort\":\"none\"}");
    EXPECT_STR(edited(true, "{\"x\":1,\"reasoning\":{\"exclude\":true}}", NULL), "{\"x\":1}");
    EXPECT_STR(
        edited(true, "{\"reasoning_effort\":\"low\",\"reasoning\":{\"effort\":\"high\"}}", NULL),
        "{\"reasoning_effort\":\"low\"}");
    EXPECT_STR(edited(false, "{\"reasoning\":{\"effort\":\"high\"},\"x\":1}", NULL),
        "{\"reasoning\":{\"effort\":\"high\"},\"x\":1}");
    arena_destroy(arena);
}

TEST(all_models_that_a_body_names_are_found)
{
    arena = arena_create(1 << 20);
    struct llm_word *names;

    (void)READ("\"models\":[\"a\"],\"fallbacks\":[\"b\",{\"model\":\"c\",\"x\":1}]");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), OK);
    EXPECT_STR(names->text, "a");
    EXPECT_STR(names->next->text, "b");
    EXPECT_STR(names->next->next->text, "c");
    (void)READ("\"Models\":[\"a\"]");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), ERR_BAD_REQUEST);
    (void)READ("\"fallbacks\":{\"a\":[\"b\"]}");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), ERR_BAD_REQUEST);
    (void)READ("\"fallbacks\":[{\"other\":\"b\"}]");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), ERR_BAD_REQUEST);
    (void)READ(
        "\"models\":[\"a\"],\"plugins\":[{\"id\":\"web\",\"max\":3},\"x\","
        "{\"id\":\"auto-router\",\"allowed_models\":[\"b\",{\"c\":\"d\"}],\"model\":\"e\"}]");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), OK);
    char found[64] = "";
    for (; names != NULL; names = names->next)
        (void)snprintf(found + strlen(found), sizeof(found) - strlen(found), STR_FMT " ",
            STR_ARG(names->text));
    EXPECT_STR(str_c(found), "a b c d e ");
    (void)READ("\"Plugins\":[]");
    EXPECT_INT(wishes_named_models(&request, &names, &fault), ERR_BAD_REQUEST);
    arena_destroy(arena);
}
