/* test_judging.c - what aliases do with whole answers, as configured; and what shadows may spend. */
#include "route/judging.c"    /* white box: the unit under test itself */
#include "tests/test.h"

static struct arena *arena;

static void
destroy_conf(void *c)
{
    conf_destroy(c);
}

/* The alias of a configuration, which goes with the arena; and the first problem that was found when it was read. */
static struct str
read_alias(const char *settings, const struct judging **ret, const struct shadow **ret_shadow)
{
    struct conf_problems problems;

    arena = arena_create(1024 * 1024);
    conf_problems_init(&problems, arena);
    struct conf *c = conf_parse(
        arena_printf(arena, "models: {m: {targets: [a/b], %s}}\n", settings), S("t"), &problems);
    arena_cleanup(arena, destroy_conf, c);
    EXPECT(problems.count == 0);
    *ret = judging_read(arena, &c->models[0], &problems);
    *ret_shadow = shadow_read(arena, &c->models[0], &problems);
    struct str first = problems.first != NULL ? arena_str(arena, problems.first->text) : S("");
    return first;
}

static const struct judging *j;
static const struct shadow *s;

TEST(other_strategies_judge_nothing)
{
    EXPECT_STR(read_alias("strategy: priority, cascade: {escalate: [empty]}", &j, &s), "");
    EXPECT(j == NULL && s == NULL);
    arena_destroy(arena);
}

TEST(a_cascade_is_read)
{
    EXPECT_STR(read_alias("strategy: cascade", &j, &s), "");
    EXPECT(!j->fuse && !j->refuse_last && j->model.n == 0);
    EXPECT_INT(j->reject, 7);
    arena_destroy(arena);
    EXPECT_STR(
        read_alias(
            "strategy: cascade, cascade: {escalate: [length, low_logprob], min_logprob: -0.25, "
            "last: refuse, judge: {model: a/c, below: 3, timeout: 2s}}",
            &j, &s),
        "");
    EXPECT_INT(j->reject, JUDGEMENT_BIT(JUDGED_length) | JUDGEMENT_BIT(JUDGED_low_logprob));
    EXPECT(j->min_logprob == -0.25 && j->refuse_last && j->below == 3 && j->timeout_us == 2000000);
    EXPECT_STR(j->model, "a/c");
    EXPECT_STR(j->prompt, judging_mark_prompt);
    arena_destroy(arena);
}

TEST(fuse_is_read)
{
    EXPECT_STR(read_alias("strategy: fuse, fuse: {ask: 5, choose: vote, wait: 1s}", &j, &s), "");
    EXPECT(j->fuse && j->ask == 5 && j->choose == FUSE_VOTE && j->wait_us == 1000000);
    arena_destroy(arena);
    struct str why = read_alias("strategy: fuse, fuse: {choose: judge}", &j, &s);
    EXPECT_STR(why,
        "models.m.fuse: choose: judge needs a model that does; write judge: {model: openai/gpt-4o-mini}");
    arena_destroy(arena);
}

TEST(names_that_are_no_judgements_are_told)
{
    EXPECT_STR(read_alias("strategy: cascade, cascade: {escalate: refusals}", &j, &s),
        "models.m.cascade.escalate: 'refusals' is not a judgement; did you mean refusal");
    arena_destroy(arena);
}

TEST(a_share_lies_between_nothing_and_all)
{
    EXPECT_STR(read_alias("shadow: {target: a/c, sample: 0.5%, usd_per_day: 2}", &j, &s), "");
    EXPECT_INT(s->share_billionths, 5000000);
    EXPECT_INT(s->day_nanousd, 2000000000);
    shadow_drop(s);
    arena_destroy(arena);
    EXPECT_STR(read_alias("shadow: {target: a/c, sample: 5}", &j, &s),
        "models.m.shadow.sample is not a share; write one from 0% to 100%, like 5%");
    shadow_drop(s);
    arena_destroy(arena);
}

TEST(spending_ends_at_the_limit_of_the_day_and_outlives_a_reload)
{
    const struct shadow *next;

    EXPECT_STR(read_alias("shadow: {target: a/c, usd_per_day: 1}", &j, &s), "");
    struct arena *first = arena;
    EXPECT(shadow_take(s, 600000000, 10));
    EXPECT(!shadow_take(s, 600000000, 10));
    shadow_spend(s, -500000000, 10);    /* it was cheaper than expected */
    EXPECT(shadow_take(s, 600000000, 10));
    EXPECT_STR(read_alias("shadow: {target: a/d, usd_per_day: 1}", &j, &next), "");
    shadow_drop(s);
    EXPECT(!shadow_take(next, 600000000, 10));
    EXPECT(shadow_take(next, 600000000, 11));
    shadow_spend(next, 1000000000, 10);    /* of yesterday */
    EXPECT(shadow_take(next, 400000000, 11));
    EXPECT(!shadow_take(next, 1, 11));
    shadow_drop(next);
    arena_destroy(first);
    arena_destroy(arena);
}

TEST(without_a_limit_nothing_is_refused)
{
    EXPECT_STR(read_alias("shadow: {target: a/c, usd_per_day: 0}", &j, &s), "");
    EXPECT(shadow_take(s, INT64_C(5000000000000), 1));
    shadow_drop(s);
    arena_destroy(arena);
}
