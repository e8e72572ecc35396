/* test_order.c - the plan for an alias: strategies, nested aliases, patterns, and what is excluded. */
#include "route/order.c"

#include "tests/unit/catalog/providers_world.h"

struct town {
    struct loaded l;
    struct providers *all;
    struct route_table *t;
    struct arena *a;
    struct needs needs;
    uint64_t seed;
};

static struct town
make(const char *models)
{
    char text[4096];
    struct town w = { .a = arena_create(16 * 1024 * 1024) };

    forget_environment();
    (void)snprintf(text, sizeof(text),
        "providers:\n"
        "  openai: {api_key: k}\n"
        "  groq: {api_key: k}\n"
        "  lab: {wire: openai-chat, base_url: \"http://h/v1\"}\n"
        "  claude: {wire: anthropic-messages, base_url: \"http://h/v1\"}\n"
        "models:\n%s",
        models);
    w.l = load(str_c(text));
    w.all = providers_create(w.l.conf, S(""), &w.l.problems);
    w.t = table_create(w.l.conf, w.all, &w.l.problems);
    return w;
}

static void
drop(struct town *w)
{
    table_destroy(w->t);
    providers_destroy(w->all);
    arena_destroy(w->a);
    unload(&w->l);
}

static enum err
decide(struct town *w, const char *model, enum llm_op op, struct plan *plan, struct str *ret_why)
{
    struct ask ask = { .arena = w->a,
        .known = ASK_NEEDS,
        .needs = w->needs,
        .op = op,
        .wire = &wire_openai_chat,
        .seed = w->seed++ };
    struct route_found found;
    enum err e = route_find(w->t, w->a, str_c(model), &found, ret_why);

    return e == OK ? route_plan(w->t, &found, &ask, plan, ret_why) : e;
}

/* The models of the plan in order, those that are excluded in brackets; or the error's sentence. */
static struct str
order_of(struct town *w, const char *model)
{
    struct plan plan;
    struct str why = S(""), all = S("");

    if (decide(w, model, OP_CHAT, &plan, &why) != OK)
        return why;
    for (size_t i = 0; i < plan.count; i++) {
        const struct candidate *c = &plan.list[i];

        all = arena_printf(w->a, STR_FMT "%s%s" STR_FMT "%s", STR_ARG(all), i != 0 ? " " : "",
            c->excluded != EXCLUDED_NOT ? "(" : "", STR_ARG(c->target->wire.model),
            c->excluded != EXCLUDED_NOT ? ")" : "");
    }
    return all;
}

TEST(an_alias_demands_regions_data_policies_and_prices_of_its_targets)
{
    struct town w = make(
        "  eu: {require: {regions: [eu, local]}, targets: [openai/gpt-4o, groq/x]}\n"
        "  quiet: {require: {training: false}, targets: [groq/a, openai/b]}\n"
        "  short: {require: {retention: 30d}, targets: [groq/a, openai/b]}\n"
        "  none: {require: {retention: none}, targets: [openai/b, groq/c]}\n"
        "  outer: {targets: [quiet, groq/c]}\n"
        "  strict: {require: {retention: 7d}, targets: [outer]}\n"
        "  cheap: {require: {max_usd: 0.001}, targets: [openai/gpt-4o, openai/gpt-4o-mini, lab/x]}\n");

    EXPECT_INT(w.l.problems.count, 0);
    w.needs = (struct needs){ .input_tokens = 1000, .output_tokens = 10 };
    EXPECT_STR(order_of(&w, "eu"),
        "no target of the model 'eu' can take this request: openai/gpt-4o: it processes requests in 'global', "
        "which is not allowed; groq/x: it is not known where it processes requests");
    EXPECT_STR(order_of(&w, "quiet"), "b (a)");
    EXPECT_STR(order_of(&w, "short"), "b (a)");
    EXPECT_STR(order_of(&w, "none"),
        "no target of the model 'none' can take this request: openai/b: it keeps what it is sent for 30 days; "
        "groq/c: it is not known how long it keeps what it is sent");
    EXPECT_STR(order_of(&w, "outer"), "b c (a)");
    EXPECT(str_starts(order_of(&w, "strict"), S("no target of the model 'strict'")));
    /* 1,000 tokens at $2.50 and $0.15 a million, and 10 at $10 and $0.60 */
    EXPECT_STR(order_of(&w, "cheap"), "gpt-4o-mini (gpt-4o) (x)");
    drop(&w);
}

TEST(targets_without_a_known_price_are_denied_where_the_catalog_says_so)
{
    struct town w = make("  m: {targets: [lab/x, openai/gpt-4o]}\n  n: {targets: [lab/x]}\n"
                         "catalog: {unknown_price: deny}\n");

    EXPECT_INT(w.l.problems.count, 0);
    EXPECT_STR(order_of(&w, "m"), "gpt-4o (x)");
    EXPECT_STR(order_of(&w, "n"),
        "no target of the model 'n' can take this request: lab/x: what it costs is not known");
    EXPECT_STR(order_of(&w, "lab/x"), "x");    /* who names it gets it */
    drop(&w);
}

TEST(a_demand_that_cannot_be_read_is_reported)
{
    static const char *const wrong[] = { "training: true", "retention: 30", "retention: 0d",
        "max_usd: 0", "max_usd: lots", "max_usd: 1x" };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char models[128];

        snprintf(models, sizeof(models), "  m: {require: {%s}, targets: [lab/x]}\n", wrong[i]);
        struct town w = make(models);
        EXPECT_INT(w.l.problems.count, 1);
        drop(&w);
    }
}

TEST(providers_that_the_key_may_not_use_are_excluded_and_a_target_of_theirs_is_forbidden)
{
    struct town w = make("  both: {targets: [openai/gpt-4o, lab/small]}\n"
                         "  other: {targets: [groq/llama-3.3-70b]}\n");
    struct conf_str only[] = { { .v = S("lab") } };
    const struct conf_strs providers = { only, 1 };
    static const struct {
        const char *model;
        enum err error;
        const char *said;
    } cases[] = {
        { "both", OK, "" },
        { "lab/any", OK, "" },
        { "other", ERR_FORBIDDEN, "this API key may not use the provider groq" },
        { "openai/gpt-4o", ERR_FORBIDDEN, "this API key may not use the provider openai" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ask ask = {
            .arena = w.a, .op = OP_CHAT, .wire = &wire_openai_chat, .providers = &providers
        };
        struct route_found found;
        struct plan plan;
        struct str why = S("");

        EXPECT(route_find(w.t, w.a, str_c(cases[i].model), &found, &why) == OK);
        enum err e = route_plan(w.t, &found, &ask, &plan, &why);
        EXPECT_INT(e, cases[i].error);
        EXPECT(str_find(why, str_c(cases[i].said)) != why.n || cases[i].error == OK);
        if (cases[i].error != OK)
            continue;
        EXPECT_STR(plan.list[0].target->provider->id, "lab");
        EXPECT(plan.list[0].excluded == EXCLUDED_NOT);
        EXPECT(plan.count == 1 || plan.list[1].excluded == EXCLUDED_KEY);
    }
    drop(&w);
}

TEST(priority_keeps_the_order_of_the_file_also_in_nested_aliases)
{
    struct town w = make("  a: {targets: [lab/1, b, lab/4]}\n"
                         "  b: {targets: [lab/2, lab/3]}\n");

    EXPECT_STR(problem_lines(&w.l), "");
    EXPECT_STR(order_of(&w, "a"), "1 2 3 4");
    EXPECT_STR(order_of(&w, "lab/9"), "9");
    drop(&w);
}

TEST(round_robin_gives_each_its_turn_in_proportion_to_its_weight)
{
    struct town w =
        make("  a: {strategy: round_robin, targets: [lab/1, lab/2, lab/3]}\n"
             "  b: {strategy: round_robin, targets: [{model: lab/x, weight: 3}, lab/y]}\n"
             "  c: {strategy: round_robin, targets: [a, lab/4]}\n");

    EXPECT_STR(order_of(&w, "a"), "1 2 3");
    EXPECT_STR(order_of(&w, "a"), "2 3 1");
    EXPECT_STR(order_of(&w, "a"), "3 1 2");
    EXPECT_STR(order_of(&w, "a"), "1 2 3");
    EXPECT_STR(order_of(&w, "b"), "x y");
    EXPECT_STR(order_of(&w, "b"), "x y");
    EXPECT_STR(order_of(&w, "b"), "y x");
    EXPECT_STR(order_of(&w, "b"), "x y");
    EXPECT_STR(order_of(&w, "c"), "2 3 1 4");    /* a's next turn, as a member of c */
    EXPECT_STR(order_of(&w, "c"), "4 3 1 2");
    drop(&w);
}

TEST(an_alias_in_another_has_its_turn_only_when_it_comes_first)
{
    struct town w = make("  a: {strategy: round_robin, targets: [b, lab/3]}\n"
                         "  b: {strategy: round_robin, targets: [lab/1, lab/2]}\n"
                         "  c: {strategy: round_robin, targets: [a, lab/4]}\n");

    EXPECT_STR(order_of(&w, "a"), "1 2 3");
    EXPECT_STR(order_of(&w, "a"), "3 2 1");
    EXPECT_STR(order_of(&w, "a"), "2 1 3");
    EXPECT_STR(order_of(&w, "a"), "3 1 2");
    EXPECT_STR(order_of(&w, "a"), "1 2 3");
    EXPECT_STR(order_of(&w, "c"), "3 2 1 4");    /* and so on, one deeper */
    EXPECT_STR(order_of(&w, "c"), "4 2 1 3");
    EXPECT_STR(order_of(&w, "c"), "2 1 3 4");
    EXPECT_STR(order_of(&w, "c"), "4 3 1 2");
    EXPECT_STR(order_of(&w, "c"), "3 1 2 4");
    drop(&w);
}

TEST(many_members_are_put_in_the_order_of_their_scores)
{
    struct standing list[PLAN_CANDIDATES];
    uint8_t by_score[PLAN_CANDIDATES];

    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct ask ask = { .seed = seed };
        size_t n = 1 + seed % PLAN_CANDIDATES;

        for (size_t i = 0; i < n; i++)    /* few different ones, so that many are equal */
            list[i].score = (double)(int)(ask_random(&ask) * 20);
        sort(list, n, by_score);
        for (size_t i = 1; i < n; i++) {
            double a = list[by_score[i - 1]].score, b = list[by_score[i]].score;

            EXPECT(a < b || (a == b && by_score[i - 1] < by_score[i]));
        }
    }
}

TEST(weighted_converges_to_the_weights_and_so_does_what_comes_second)
{
    struct town w = make("  a: {strategy: weighted, targets:\n"
                         "    [{model: lab/1, weight: 6}, {model: lab/2, weight: 3}, lab/3]}\n");
    unsigned first[3] = { 0 }, second = 0;

    for (int i = 0; i < 10000; i++) {
        struct plan plan;
        struct str why;

        EXPECT(decide(&w, "a", OP_CHAT, &plan, &why) == OK);
        first[plan.list[0].target->wire.model.p[0] - '1']++;
        if (plan.list[0].target->wire.model.p[0] == '1')
            second += plan.list[1].target->wire.model.p[0] == '2';
    }
    EXPECT(first[0] > 5850 && first[0] < 6150);
    EXPECT(first[1] > 2850 && first[1] < 3150);
    EXPECT(first[2] > 850 && first[2] < 1150);
    EXPECT(second > first[0] * 7 / 10 && second < first[0] * 8 / 10);    /* 3 to 1 */
    drop(&w);
}

TEST(cost_takes_the_cheapest_and_unknown_prices_come_last)
{
    struct town w = make("  a: {strategy: cost, targets:\n"
                         "    [lab/free, openai/gpt-4o, openai/gpt-4o-mini]}\n"
                         "  b: {strategy: cost, targets: [openai/gpt-4o, c]}\n"
                         "  c: {targets: [openai/gpt-4o-mini, lab/free]}\n");

    EXPECT_STR(order_of(&w, "a"), "gpt-4o-mini gpt-4o free");
    EXPECT_STR(order_of(&w, "b"), "gpt-4o-mini free gpt-4o");
    drop(&w);
}

TEST(a_prompt_that_does_not_fit_excludes_and_one_near_the_limit_comes_last)
{
    struct town w = make("  a: {targets: [openai/gpt-4o, openai/gpt-4.1, lab/x]}\n"
                         "  b: {targets: [openai/gpt-4o]}\n");

    w.needs.input_tokens = 100000;
    EXPECT_STR(order_of(&w, "a"), "gpt-4o gpt-4.1 x");
    w.needs.input_tokens = 200000;
    EXPECT_STR(order_of(&w, "a"), "gpt-4.1 x gpt-4o");
    EXPECT_STR(order_of(&w, "b"), "gpt-4o");
    w.needs.input_tokens = 500000;
    EXPECT_STR(order_of(&w, "a"), "gpt-4.1 x (gpt-4o)");
    EXPECT_STR(order_of(&w, "b"),
        "no target of the model 'b' can take this request: openai/gpt-4o: the prompt has about "
        "500000 tokens, and the model takes up to 128000");
    w.needs.input_tokens = 1000;
    w.needs.output_tokens = 20000;
    EXPECT_STR(order_of(&w, "a"), "gpt-4.1 x gpt-4o");
    drop(&w);
}

TEST(a_pattern_serves_any_name_that_matches_with_what_was_matched)
{
    struct town w = make("  \"claude-*\": {targets: [\"claude/big-*\", lab/x]}\n"
                         "  \"claude-haiku-*\": {targets: [\"claude/*-small\"]}\n"
                         "  \"openai/gpt-*\": {targets: [lab/y]}\n"
                         "  \"*\": {targets: [lab/any]}\n");

    EXPECT_STR(problem_lines(&w.l), "");
    EXPECT_STR(order_of(&w, "claude-4"), "big-4 x");
    EXPECT_STR(order_of(&w, "claude-haiku-4"), "4-small");
    EXPECT_STR(order_of(&w, "o3"), "any");
    EXPECT_STR(order_of(&w, "openai/gpt-4o"), "y");
    EXPECT_STR(order_of(&w, "openai/o3"), "o3");    /* its provider is active */
    EXPECT_STR(order_of(&w, "lab/gpt-4o"), "gpt-4o");
    drop(&w);
}

TEST(a_star_without_a_pattern_is_refused)
{
    struct town w = make("  a: {targets: [\"lab/*\"]}\n");

    EXPECT_STR(problem_lines(&w.l),
        "7:17: target 'lab/*' has a '*', which stands for what the '*' in the name of its alias "
        "matches; there is none in 'a'\n");
    drop(&w);
}

TEST(where_the_kind_of_request_excludes_all_the_first_says_why)
{
    struct town w = make("  a: {targets: [claude/1, claude/2]}\n");
    struct plan plan;
    struct str why;

    EXPECT(decide(&w, "a", OP_EMBED, &plan, &why) == OK);
    EXPECT_INT(plan.count, 2);
    EXPECT_STR(plan.list[0].target->wire.model, "1");
    EXPECT_INT(plan.list[0].excluded, EXCLUDED_OPERATION);
    drop(&w);
}

TEST(the_same_ask_with_the_same_turns_gives_the_same_plan)
{
    struct town w = make("  a: {strategy: weighted, targets: [b, lab/1, lab/2, lab/3]}\n"
                         "  b: {strategy: round_robin, targets: [lab/4, lab/5, lab/6]}\n");

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct ask ask = { .arena = w.a, .op = OP_CHAT, .wire = &wire_openai_chat, .seed = seed };
        struct route_found found;
        struct plan first, again;
        struct str why;

        EXPECT(route_find(w.t, w.a, S("a"), &found, &why) == OK);
        EXPECT(route_plan(w.t, &found, &ask, &first, &why) == OK);
        ask.draws = 0;
        ask.turn_used = 0;
        EXPECT(route_plan(w.t, &found, &ask, &again, &why) == OK);
        for (size_t i = 0; i < first.count; i++)
            EXPECT(first.list[i].target == again.list[i].target);
    }
    drop(&w);
}

TEST(what_the_request_uses_and_the_model_lacks_excludes_or_comes_last)
{
    struct town w = make("  a: {targets: [groq/llama-3.3-70b-versatile, openai/gpt-4o, lab/x]}\n"
                         "  e: {targets: [openai/text-embedding-3-small]}\n");

    w.needs.bits = NEED_BIT(IMAGES);
    EXPECT_STR(order_of(&w, "a"), "gpt-4o x (llama-3.3-70b-versatile)");
    w.needs.bits = NEED_BIT(REASONING);
    EXPECT_STR(order_of(&w, "a"), "x llama-3.3-70b-versatile gpt-4o");
    w.needs.bits = 0;
    EXPECT_STR(order_of(&w, "e"), "no target of the model 'e' can take this request: "
                                  "openai/text-embedding-3-small: the model does not chat");
    drop(&w);
}
