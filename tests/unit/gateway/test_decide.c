/* test_decide.c - a decision that was recorded is made again exactly, whatever the strategies; arms of
 * experiments are routed as what they use. */
#include "gateway/decide.c"

#include "base/clock.h"
#include "gateway/choice.h"
#include "tests/test.h"

#define DECISIONS 2000

static const char *const strategies[] = {
#define STRATEGY(id, name, looks, docs) name,
#include "route/strategies.def"
#undef STRATEGY
};

static struct arena *a;

static struct snapshot *
load(struct str settings)
{
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    struct conf *c = conf_parse(
        arena_printf(a,
            "server: {listen: \"127.0.0.1:0\"}\n"
            "providers: {openai: {api_key: k}, anthropic: {api_key: k}, groq: {api_key: k}}\n" STR_FMT,
            STR_ARG(settings)),
        S("test.yaml"), &problems);
    struct snapshot *s = snapshot_build(c, S(""), &problems);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        print_error("%u:%u: " STR_FMT "\n", p->mark.line, p->mark.column, STR_ARG(p->text));
    EXPECT_INT(problems.count, 0);
    return s;
}

static uint64_t rolls;

static unsigned
roll(unsigned n)
{
    rolls = rolls * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(rolls >> 33) % n;
}

/* A request for an alias, with a text, a limit, tags and an end user by chance. */
static struct ask *
ask_at_random(struct str model)
{
    struct llm_request *r = arena_new(a, struct llm_request);
    struct http_fields *fields = arena_new(a, struct http_fields);
    static struct principal who = { .name = S_INIT("k") };
    char *text = arena_alloc(a, 4000, 1);
    struct wire_fault fault;

    memset(text, 'x', 4000);
    fields->list = arena_array(a, struct http_field, 2);
    if (roll(2) != 0)
        fields->list[fields->count++] =
            (struct http_field){ S("x-openclaw-tags"), arena_printf(a, "team=t%u, beta", roll(4)) };
    if (roll(2) != 0)
        fields->list[fields->count++] =
            (struct http_field){ S("x-openclaw-session"), arena_printf(a, "s%u", roll(9)) };
    r->arena = a;
    r->wire = wire_named(S("openai-chat"));
    r->body = arena_printf(a,
        "{\"model\":\"" STR_FMT "\",\"messages\":[{\"role\":\"user\",\"content\":\"" STR_FMT
        "\"}]%s}",
        STR_ARG(model), STR_ARG(str_make(text, roll(3000))),
        roll(2) != 0 ? ",\"max_tokens\":900,\"tools\":[]" : "");
    r->doc = json_parse(a, r->body, NULL, NULL);
    EXPECT(r->doc != NULL && llm_request_read(r, &fault) == OK);
    struct ask *ask = choice_ask(a, r, fields, &who);
    ask->user = roll(2) != 0 ? arena_printf(a, "user%u", roll(20)) : S("");
    ask->client_ip = S("10.0.0.1");
    return ask;
}

static enum err
decide_for(
    const struct snapshot *s, struct ask *ask, struct plan *plan, struct explain_decision *ret)
{
    struct rules_runner *rules = rules_runner_create(s->rules);
    struct str why;
    enum err e = decide(s, rules, ask, false, plan, ret, &why);

    rules_runner_destroy(rules);
    return e;
}

static struct str
written(const struct explain_decision *d)
{
    struct buf b;
    struct json_out o = json_out(&b);

    buf_init(&b, 1024 * 1024);
    explain_write(&o, d, false);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* Decides, records, decides again from the record: the same targets in the same order, the same
 * exclusions, scores and arm, and nothing was missing. */
static void
expect_same_again(const struct snapshot *s, struct str model)
{
    struct ask *ask = ask_at_random(model);
    struct explain_decision first, second;
    struct plan plan, again;
    struct explain_record r;
    enum err e = decide_for(s, ask, &plan, &first);

    ask->request = NULL;
    struct str text = written(&first);
    EXPECT(explain_read(json_parse(a, text, NULL, NULL), a, &r) && !r.partial);
    r.ask.model = model;
    r.ask.key = S("k");
    r.ask.client_ip = S("10.0.0.1");
    EXPECT(decide_for(s, &r.ask, &again, &second) == e);
    if (r.ask.missing != NULL)
        print_error("%s is missing in %.*s\n", r.ask.missing, STR_ARG(text));
    EXPECT(r.ask.missing == NULL);
    EXPECT(second.arm == first.arm && again.alias == plan.alias && again.count == plan.count);
    EXPECT_INT(again.count, r.count + r.excluded);
    for (size_t i = 0; i < plan.count; i++) {
        const struct candidate *c = &plan.list[i], *d = &again.list[i];

        EXPECT(str_eq(c->target->wire.model, d->target->wire.model));
        EXPECT(c->target->provider == d->target->provider);
        EXPECT(c->excluded == d->excluded && c->late == d->late && c->score == d->score);
    }
    EXPECT_STR(written(&second), text.p);
}

/* An alias for each strategy, of large and small models, nested ones and ones that are not known. */
static struct str
aliases_of_all_strategies(void)
{
    struct str text = S("models:\n");

    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        text = arena_printf(a,
            STR_FMT "  a%zu:\n    strategy: %s\n    targets:\n"
                    "      - {model: openai/gpt-4o, weight: 3}\n"
                    "      - openai/gpt-3.5-turbo\n"
                    "      - {model: groq/llama-3.3-70b-versatile, weight: 2}\n"
                    "      - anthropic/claude-of-next-year\n"
                    "      - inner\n",
            STR_ARG(text), i, strategies[i]);
    return arena_printf(a,
        STR_FMT
        "  inner: {strategy: round_robin, targets: [openai/gpt-4o-mini, groq/gemma2-9b-it]}\n"
        "  \"any-*\": {strategy: weighted, targets: [\"openai/*\", inner]}\n",
        STR_ARG(text));
}

TEST(a_recorded_decision_is_made_again_exactly)
{
    a = arena_create(256 * 1024 * 1024);
    rolls = 1;
    clock_seed_for_tests(1);
    struct snapshot *s = load(arena_printf(a,
        STR_FMT
        "experiments:\n"
        "  - {name: x, alias: a0, by: caller, arms: [{name: a, use: a0}, {name: b, use: a1}]}\n"
        "  - {name: y, alias: a1, by: conversation, share: 50,\n"
        "     arms: [{name: a, use: a1}, {name: b, use: openai/gpt-4o}]}\n"
        "  - {name: z, alias: inner, by: \"tag:team\", arms: [{name: a, use: inner}, {name: b, use: a0}]}\n"
        "  - {name: w, alias: \"any-*\", by: request, arms: [{name: a, use: a0}, {name: b, use: a1}]}\n",
        STR_ARG(aliases_of_all_strategies())));

    for (unsigned i = 0; i < DECISIONS; i++) {
        struct arena_mark mark = arena_mark(a);
        unsigned which = roll(ARRAY_LEN(strategies) + 2);

        expect_same_again(s, which < ARRAY_LEN(strategies)    ? arena_printf(a, "a%u", which)
                             : which == ARRAY_LEN(strategies) ? S("inner")
                                                              : S("any-gpt-4o"));
        arena_rewind(a, mark);
    }
    snapshot_unref(s);
    arena_destroy(a);
}

/* Rules read what is recorded because they read it, and add tags that later ones see. */
TEST(a_decision_of_rules_is_made_again_exactly)
{
    a = arena_create(256 * 1024 * 1024);
    rolls = 2;
    clock_seed_for_tests(2);
    struct snapshot *s = load(arena_printf(a,
        STR_FMT
        "rules:\n"
        "  - {name: tag, when: 'tags.saving == nil and tokens > 400', tag: [saving], continue: true}\n"
        "  - {name: team, when: 'headers[\"x-openclaw-tags\"] ~= nil and tags.team == \"t1\"', use: a1}\n"
        "  - {name: code, when: 'task == \"code\" or complexity > 0.9', use: a1}\n"
        "  - {name: nobody, when: 'headers[\"x-none\"] ~= nil', use: a0}\n"
        "  - {name: saving, when: 'tags.saving and max_tokens == 900', strategy: cost, continue: true}\n"
        "  - {name: own, when: 'tokens < 100', targets: [openai/gpt-4o-mini, groq/gemma2-9b-it]}\n"
        "  - {name: stop, when: 'tags.team == \"t2\"', reject: No.}\n"
        "  - {name: try, when: 'tags.team == \"t3\"', experiment: x}\n"
        "experiments:\n"
        "  - {name: x, alias: inner, arms: [{name: a, use: a0}, {name: b, use: a1}]}\n",
        STR_ARG(aliases_of_all_strategies())));

    for (unsigned i = 0; i < DECISIONS; i++) {
        struct arena_mark mark = arena_mark(a);

        expect_same_again(s, i % 4 == 0 ? S("openai/gpt-4o") : arena_printf(a, "a%u", i % 4 - 1));
        arena_rewind(a, mark);
    }
    snapshot_unref(s);
    arena_destroy(a);
}

TEST(an_arm_is_routed_as_what_it_uses)
{
    a = arena_create(16 * 1024 * 1024);
    struct snapshot *s =
        load(S("models: {fast: {targets: [openai/a]}, slow: {targets: [openai/b]}}\n"
               "experiments:\n"
               "  - {name: x, alias: fast, by: request, arms: [{name: now, use: fast},\n"
               "     {name: other, use: slow}, {name: direct, use: groq/c}]}\n"));
    unsigned seen[3] = { 0 };

    for (unsigned i = 0; i < 100; i++) {
        struct ask *ask = ask_at_random(S("fast"));
        struct explain_decision d;
        struct plan plan;

        EXPECT(decide_for(s, ask, &plan, &d) == OK);
        size_t arm = (size_t)(d.arm - d.experiment->arms);
        seen[arm]++;
        EXPECT_STR(plan.list[0].target->wire.model, arm == 0 ? "a" : arm == 1 ? "b" : "c");
        EXPECT((plan.alias == NULL) == (arm == 2));
    }
    EXPECT(seen[0] > 10 && seen[1] > 10 && seen[2] > 10);
    snapshot_unref(s);
    arena_destroy(a);
}

TEST(callers_without_a_key_are_told_apart_by_their_addresses)
{
    struct experiment e = { .by = EXPERIMENT_BY_CALLER };
    struct ask ask = { .key = S("anonymous"), .client_ip = S("10.0.0.1") };

    ask.arena = a = arena_create(64 * 1024);
    EXPECT_STR(subject_of(&e, &ask), "10.0.0.1\n0000000000000000");
    ask.key = S("k");
    EXPECT_STR(subject_of(&e, &ask), "k\n0000000000000000");
    ask.user = S("alice");
    EXPECT(str_eq(subject_of(&e, &ask),
        arena_printf(a, "k\n%016llx", (unsigned long long)ask_hash(S("alice")))));
    e = (struct experiment){ .by = EXPERIMENT_BY_TAG, .tag = S("team") };
    EXPECT_STR(subject_of(&e, &ask), "");
    e.by = EXPERIMENT_BY_REQUEST;
    ask.seed = 255;
    EXPECT_STR(subject_of(&e, &ask), "00000000000000ff");
    e.by = EXPERIMENT_BY_CONVERSATION;
    ask.known = ASK_NEEDS;
    EXPECT_STR(subject_of(&e, &ask), "00000000000000ff");
    ask.needs.conversation = 16;
    EXPECT_STR(subject_of(&e, &ask), "0000000000000010");
    arena_destroy(a);
}

TEST(an_arm_that_uses_nothing_there_is_a_problem)
{
    struct conf_problems problems;

    a = arena_create(4 * 1024 * 1024);
    conf_problems_init(&problems, a);
    struct conf *c = conf_parse(
        S("providers: {openai: {api_key: k}}\n"
          "models: {fast: {targets: [openai/a]}}\n"
          "experiments: [{name: x, alias: fast, arms: [{name: now, use: fast}, {name: b, use: opnai/c}]}]\n"),
        S("test.yaml"), &problems);
    struct snapshot *s = snapshot_build(c, S(""), &problems);
    EXPECT_INT(problems.count, 1);
    EXPECT(str_find(problems.first->text,
               S("arm 'b': there is no model 'opnai/c'; did you mean")) == 15);
    snapshot_unref(s);
    arena_destroy(a);
}
