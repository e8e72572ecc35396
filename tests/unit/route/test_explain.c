/* test_explain.c - what is written of a decision is read back whole; header fields are what RFC 8941
 * has; anything may be in a log. */
#include "route/explain.c"

#include "tests/test.h"

static struct arena *a;

/* Two targets that can, one of them of a nested alias, and one that cannot. */
static struct provider openai = { .id = S_INIT("openai") }, lab = { .id = S_INIT("lab") };
static struct target large = { .provider = &openai, .wire.model = S_INIT("gpt-4o") };
static struct target odd = { .provider = &lab, .wire.model = S_INIT("o\"dd\\\n") };
static struct target small = { .provider = &lab, .wire.model = S_INIT("small") };
static const struct strategy latency = { "latency", LOOK_SPEED, NULL, "The fastest." };
static const struct strategy priority = { "priority", 0, NULL, "In order." };
static struct alias smart = { .name = S_INIT("smart"), .strategy = &latency };
static struct alias inner = { .name = S_INIT("inner"), .strategy = &priority };
static struct candidate list[3];
static const struct plan plan = { .list = list, .count = 3, .alias = &smart };
static struct wishes wishes;
static const struct analysis analysis = { .language = "pt",
    .task = 2,
    .tokens = 4000000000,
    .complexity_permille = 999,
    .code_permille = 1,
    .sentiment_permille = -1000,
    .sensitivity = 255 };
static struct ask ask;
static const struct experiment experiment = { .name = S_INIT("x") };
static const struct experiment_arm arm = { .name = S_INIT("b") };
static const struct rule code = { .name = S_INIT("code") }, more = { .name = S_INIT("two words") };
static const struct rule_result ruling = { .matched = { &code, &more },
    .matched_count = 2,
    .members = { { "headers.*", S_INIT("x-team"), S_INIT("search") },
        { "tags.*", S_INIT("team"), S_INIT("") }, { "headers.*", S_INIT("x-other"), S_INIT("") } },
    .member_count = 3 };
static struct explain_decision decision = { .ask = &ask,
    .plan = &plan,
    .experiment = &experiment,
    .arm = &arm,
    .ruling = &ruling,
    .strategy = &latency };

static struct llm_word *
words(const char *one, const char *two)
{
    struct llm_word *w = arena_array(a, struct llm_word, 2);

    w[0] = (struct llm_word){ str_c(one), &w[1] };
    w[1] = (struct llm_word){ str_c(two), NULL };
    return w;
}

/* Everything is said. */
static void
begin(void)
{
    static struct ask_tag tags[] = { { S_INIT("team"), S_INIT("se\"arch"), &tags[1] },
        { S_INIT("beta"), S_INIT(""), &tags[2] }, { S_INIT("team"), S_INIT("again"), NULL } };

    a = arena_create(16 * 1024 * 1024);
    list[0] = (struct candidate){ .target = &large, .alias = &smart, .score = 0.1 };
    list[0].look = (struct look){ .taken = LOOK_ALL,
        .state = HEALTH_HALF_OPEN,
        .busy = 7,
        .first_token_us = 320000,
        .tokens_per_s = 33.3F,
        .cost_nanousd = COST_UNKNOWN,
        .quality = 81.25F,
        .warm_tokens = INT64_C(5000000000),
        .exhausted = true,
        .exhausted_until_ms = 1795258487123 };
    list[1] = (struct candidate){ .target = &odd, .alias = &inner, .late = true };
    list[1].look =
        (struct look){ .taken = LOOK_COST | LOOK_QUALITY, .cost_nanousd = 42, .quality = -1 };
    list[2] = (struct candidate){ .target = &small, .alias = &smart, .excluded = EXCLUDED_CONTEXT };
    wishes = (struct wishes){ .models = words("m1", "m\"2"),
        .only = words("openai", "lab"),
        .require_parameters = YES,
        .zdr = true,
        .max_prompt_nanousd_per_1k = 0,
        .max_completion_nanousd_per_1k = -1,
        .max_request_nanousd = 77,
        .max_image_nanousd = -1,
        .max_audio_nanousd = -1,
        .allow_fallbacks = NO,
        .sort = SORT_LATENCY,
        .min_throughput = 12.5 };
    ask = (struct ask){ .arena = a,
        .known = ASK_NEEDS | ASK_ANALYSIS,
        .analysis = &analysis,
        .model = S("smart"),
        .op = OP_CHAT,
        .wire = wire_named(S("anthropic-messages")),
        .key = S("k"),
        .user = S("alice"),
        .session = S("s1"),
        .tags = tags,
        .wishes = &wishes,
        .wall_ms = 1795258487123,
        .seed = UINT64_C(0xfedcba9876543210),
        .turns = { 5, UINT64_C(1) << 40 },
        .turn_count = 2,
        .needs = { .bits = NEED_BIT(TOOLS) | NEED_BIT(SCHEMA),
            .input_tokens = 1200,
            .output_tokens = 500,
            .messages = 3,
            .tools = 2,
            .prefix = UINT64_C(0x8000000000000001),
            .conversation = 9 } };
    decision.tags = ask.tags;
}

static struct str
written(bool for_people)
{
    struct buf b;
    struct json_out o = json_out(&b);

    buf_init(&b, 1024 * 1024);
    explain_write(&o, &decision, for_people);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static struct explain_record
read_back(struct str text)
{
    struct explain_record r;
    const struct json *doc = json_parse(a, text, NULL, NULL);

    EXPECT(doc != NULL);
    EXPECT(explain_read(doc, a, &r));
    return r;
}

static bool
same_words(const struct llm_word *left, const struct llm_word *right)
{
    for (; left != NULL && right != NULL; left = left->next, right = right->next)
        if (!str_eq(left->text, right->text))
            return false;
    return left == right;
}

TEST(what_is_known_of_the_request_is_read_back)
{
    begin();
    struct explain_record r = read_back(written(false));

    EXPECT_STR(r.alias, "smart");
    EXPECT_STR(r.strategy, "latency");
    EXPECT_STR(r.experiment, "x");
    EXPECT_STR(r.arm, "b");
    EXPECT(!r.partial && r.ask.request == NULL && r.ask.known == (ASK_NEEDS | ASK_ANALYSIS));
    EXPECT(r.ask.op == OP_CHAT && r.ask.wire == ask.wire && r.ask.wall_ms == ask.wall_ms);
    EXPECT(r.ask.seed == ask.seed && r.ask.turn_count == 2 && r.ask.turns[1] == ask.turns[1]);
    EXPECT(memcmp(&r.ask.needs, &ask.needs, sizeof(ask.needs)) == 0);
    EXPECT(r.ask.user_hash == ask_hash(S("alice")) && r.ask.session_hash == ask_hash(S("s1")));
    EXPECT(ask_conversation(&r.ask) == ask_conversation(&ask));
    EXPECT_STR(str_c(r.ask.analysis->language), "pt");
    EXPECT(r.ask.analysis->task == analysis.task && r.ask.analysis->tokens == analysis.tokens);
    EXPECT(r.ask.analysis->complexity_permille == 999 && r.ask.analysis->code_permille == 1);
    EXPECT(r.ask.analysis->sentiment_permille == -1000 && r.ask.analysis->sensitivity == 255);
    /* a name that is there twice would make it unreadable: the first one counts */
    EXPECT_STR(r.ask.tags->name, "team");
    EXPECT_STR(r.ask.tags->value, "se\"arch");
    EXPECT_STR(r.ask.tags->next->name, "beta");
    EXPECT(r.ask.tags->next->next == NULL);
    /* a header field that was read and was not there is known not to be there */
    EXPECT_STR(http_field_get(r.ask.fields, S("x-team")), "search");
    EXPECT(http_field_get(r.ask.fields, S("x-other")).p != NULL);
    EXPECT(http_field_get(r.ask.fields, S("x-other")).n == 0);
    EXPECT(http_field_get(r.ask.fields, S("team")).p == NULL);
    arena_destroy(a);
}

TEST(wishes_are_read_back)
{
    begin();
    struct explain_record r = read_back(written(false));
    const struct wishes *w = r.ask.wishes;

    EXPECT(same_words(w->models, wishes.models) && same_words(w->only, wishes.only));
    EXPECT(w->ignore == NULL && w->order == NULL && w->regions == NULL && w->quantizations == NULL);
    EXPECT(w->require_parameters == YES && w->allow_fallbacks == NO);
    EXPECT(w->zdr && !w->no_collection && w->sort == SORT_LATENCY);
    EXPECT_INT(w->max_prompt_nanousd_per_1k, 0);
    EXPECT_INT(w->max_completion_nanousd_per_1k, -1);
    EXPECT_INT(w->max_request_nanousd, 77);
    EXPECT(w->min_throughput == 12.5 && w->max_latency_s == 0);
    ask.wishes = NULL;
    r = read_back(written(false));
    EXPECT(r.ask.wishes == NULL);
    arena_destroy(a);
}

TEST(looks_are_read_back_exactly)
{
    begin();
    struct explain_record r = read_back(written(false));
    struct look l;

    EXPECT_INT(r.count, 2);
    EXPECT_INT(r.excluded, 1);
    EXPECT_STR(r.targets[0], "openai/gpt-4o");
    EXPECT_STR(r.targets[1], "lab/o\"dd\\\n");
    EXPECT_STR(r.targets[2], "lab/small");
    look_take(&l, &large, &r.ask, LOOK_ALL);
    EXPECT(l.state == HEALTH_HALF_OPEN && l.busy == 7 && l.first_token_us == 320000);
    EXPECT(l.tokens_per_s == 33.3F && l.quality == 81.25F && l.cost_nanousd == COST_UNKNOWN);
    EXPECT(l.warm_tokens == INT64_C(5000000000));
    EXPECT(l.exhausted && l.exhausted_until_ms == 1795258487123);
    look_take(&l, &odd, &r.ask, LOOK_COST | LOOK_QUALITY);
    EXPECT(l.cost_nanousd == 42 && l.quality == -1 && r.ask.missing == NULL);
    arena_destroy(a);
}

TEST(what_was_not_recorded_is_missing)
{
    begin();
    struct explain_record r = read_back(written(false));
    struct look l;

    look_take(&l, &odd, &r.ask, LOOK_SPEED);
    EXPECT_STR(str_c(r.ask.missing), "how fast a target was");
    r = read_back(written(false));
    EXPECT(!ask_know(&r.ask, ASK_HEADERS));
    EXPECT_STR(str_c(r.ask.missing), "its header fields");
    ask.known = 0;
    r = read_back(written(false));
    look_take(&l, &small, &r.ask, LOOK_COST);    /* it follows from what the request needs */
    EXPECT_STR(str_c(r.ask.missing), "what the request needs");
    arena_destroy(a);
}

TEST(a_record_is_bounded_and_says_when_something_is_left_out)
{
    static char text[2000];
    struct ask_tag tag = { S("name"), { text, sizeof(text) }, NULL };
    struct llm_word word = { { text, sizeof(text) }, NULL };

    begin();
    memset(text, 'x', sizeof(text));
    decision.tags = &tag;
    EXPECT(read_back(written(false)).partial);
    arena_destroy(a);
    begin();
    wishes.models = &word;
    struct explain_record r = read_back(written(false));
    EXPECT(r.partial && r.ask.wishes == NULL && r.count == 2);
    EXPECT(written(false).n < 2000);
    arena_destroy(a);
}

TEST(decisions_of_other_versions_and_other_things_are_refused)
{
    static const char *const rows[] = { "{}", "[]", "1", "{\"v\":2}", "{\"v\":1}",
        "{\"v\":1,\"op\":\"chat\"}", "{\"v\":1,\"op\":\"none\",\"wire\":\"openai-chat\"}",
        "{\"v\":1,\"op\":\"chat\",\"wire\":\"none\"}" };
    struct explain_record r;

    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(!explain_read(json_parse(a, str_c(rows[i]), NULL, NULL), a, &r));
    EXPECT(!explain_read(NULL, a, &r));
    EXPECT(explain_read(
        json_parse(a,
            S("{\"v\":1,\"op\":\"chat\",\"wire\":\"openai-chat\",\"seed\":1,\"turns\":{},"
              "\"needs\":[],\"tags\":1,\"wishes\":\"\",\"candidates\":[1,{},null]}"),
            NULL, NULL),
        a, &r));
    EXPECT_INT(r.count, 3);
    arena_destroy(a);
}

TEST(people_are_told_all_that_can_be_seen_and_why)
{
    begin();
    list[0].look.taken = 0;    /* look_take() needs a provider that is all there */
    ask.book = arena_new(a, struct look_record);
    list[2].excluded = EXCLUDED_OPERATION;
    list[2].target = &small;
    const struct json *doc = json_parse(a, written(true), NULL, NULL);
    struct json_iter it = json_iter(json_get(doc, S("candidates")));

    EXPECT_STR(json_str(a, json_get(doc, S("strategy_is"))), "The fastest.");
    EXPECT(json_next(&it) && json_next(&it));
    EXPECT_STR(json_str(a, json_get(it.value, S("alias"))), "inner");
    EXPECT_STR(json_str(a, json_get(it.value, S("strategy"))), "priority");
    EXPECT(json_get(it.value, S("busy")) != NULL);
    EXPECT(json_next(&it));
    EXPECT_STR(json_str(a, json_get(it.value, S("why"))), "the provider lab has no such operation");
    arena_destroy(a);
}

static struct str
field(void)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    explain_field(&b, &decision, list[0].target, 2);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

TEST(the_header_field_is_an_item_with_parameters)
{
    static char name[256];
    struct target long_target = { .provider = &openai, .wire.model = { name, sizeof(name) } };

    begin();
    EXPECT_STR(field(),
        "smart; strategy=latency; target=openai/gpt-4o; attempts=2; rule=code; arm=b; excluded=1");
    ask.model = S("5 \"fast\"\\\n\xff");
    EXPECT(str_starts(field(), S("\"5 \\\"fast\\\"\\\\??\"; strategy=")));
    memset(name, '"', sizeof(name));
    ask.model = long_target.wire.model;
    list[0].target = &long_target;
    EXPECT(field().n <= EXPLAIN_FIELD_BYTES);
    arena_destroy(a);
}
