/* test_experiment.c - who gets which arm, and what is said of its results. */
#include "route/experiment.c"

#include "tests/test.h"

static struct arena *a;
static struct conf *c;
static struct conf_problems problems;

static struct experiments *
load(const char *settings)
{
    a = arena_create(4 * 1024 * 1024);
    conf_problems_init(&problems, a);
    c = conf_parse(arena_printf(a,
                       "providers: {openai: {api_key: k}}\n"
                       "models: {fast: {targets: [openai/a]}, slow: {targets: [openai/b]}}\n%s",
                       settings),
        S("test.yaml"), &problems);
    EXPECT_INT(problems.count, 0);
    return experiments_create(c, &problems);
}

static void
unload(struct experiments *e)
{
    experiments_destroy(e);
    conf_destroy(c);
    arena_destroy(a);
}

static const char *const halves = "experiments:\n"
                                  "  - name: x\n"
                                  "    alias: fast\n"
                                  "    arms: [{name: a, use: fast}, {name: b, use: openai/b}]\n";

TEST(a_caller_keeps_its_arm_over_restarts)
{
    struct experiments *e = load(halves);
    const struct experiment *x = experiments_of(e, S("fast"));
    const struct experiment_arm *arm = experiment_assign(x, S("alice"));
    struct str name = arena_str(a, arm->name);

    EXPECT(experiments_of(e, S("slow")) == NULL);
    for (int i = 0; i < 10; i++)
        EXPECT(experiment_assign(x, S("alice")) == arm);
    struct conf *before = c;
    struct arena *of_before = a;
    struct experiments *again = load(halves);
    EXPECT(str_eq(experiment_assign(experiments_of(again, S("fast")), S("alice"))->name, name));
    unload(again);
    c = before;
    a = of_before;
    unload(e);
}

/* 10,000 subjects: a share of p is met within four standard deviations, sqrt(p (1 - p) / n). */
static void
expect_share(size_t hits, size_t n, double p)
{
    EXPECT(fabs((double)hits / (double)n - p) < 4 * sqrt(p * (1 - p) / (double)n));
}

TEST(arms_get_subjects_by_their_weights_and_a_larger_share_moves_nobody)
{
    struct experiments *part =
        load("experiments:\n"
             "  - {name: x, alias: fast, share: 20, by: \"tag:team\",\n"
             "     arms: [{name: a, use: fast, weight: 3}, {name: b, use: slow}]}\n"
             "  - {name: y, alias: slow,\n"
             "     arms: [{name: a, use: fast, weight: 3}, {name: b, use: slow}]}\n");
    const struct experiment *x = experiments_at(part, 0);
    struct experiment wider = *x;
    size_t in = 0, second = 0, same = 0;

    EXPECT(x->by == EXPERIMENT_BY_TAG && str_eq(x->tag, S("team")));
    EXPECT(experiments_at(part, 2) == NULL);
    wider.share_percent = 60;
    for (unsigned i = 0; i < 10000; i++) {
        struct arena_mark mark = arena_mark(a);
        struct str who = arena_printf(a, "user-%u", i);
        const struct experiment_arm *arm = experiment_assign(x, who);
        const struct experiment_arm *other = experiment_assign(experiments_at(part, 1), who);

        if (arm != NULL) {
            in++;
            second += str_eq(arm->name, S("b"));
            same += str_eq(arm->name, other->name);
            EXPECT(experiment_assign(&wider, who) == arm);
        }
        arena_rewind(a, mark);
    }
    expect_share(in, 10000, 0.2);
    expect_share(second, in, 0.25);
    expect_share(same, in, 0.75 * 0.75 + 0.25 * 0.25);    /* experiments are independent */
    unload(part);
}

TEST(what_cannot_be_meant_is_reported)
{
    static const struct {
        const char *settings, *says;
    } rows[] = {
        { "[{name: x, alias: fast, arms: [{name: a, use: fast}]}]", "2 to 16" },
        { "[{name: x, alias: none, arms: [{name: a, use: fast}, {name: b, use: slow}]}]",
            "there is no alias 'none'" },
        { "[{name: x, alias: fast, arms: [{name: a, use: fast}, {name: a, use: slow}]}]",
            "two arms are called 'a'" },
        { "[{name: x, alias: fast, by: \"tag:\", arms: [{name: a, use: fast}, {name: b, use: slow}]}]",
            "tag:NAME" },
        { "[{name: x, alias: fast, arms: [{name: a, use: fast}, {name: b, use: slow}]},"
          " {name: y, alias: fast, arms: [{name: a, use: fast}, {name: b, use: slow}]}]",
            "another experiment" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char settings[512];

        (void)snprintf(settings, sizeof(settings), "experiments: %s\n", rows[i].settings);
        struct experiments *e = load(settings);
        EXPECT_INT(problems.count, 1);
        EXPECT(str_find(problems.first->text, str_c(rows[i].says)) != problems.first->text.n);
        unload(e);
    }
}

static void
note(const struct experiment_arm *arm, bool failed, int64_t cost, int64_t first_ms, int64_t all_ms)
{
    experiment_note(arm, &(struct experiment_outcome){ .failed = failed,
                             .cost_nanousd = cost,
                             .first_token_us = first_ms < 0 ? -1 : first_ms * 1000,
                             .duration_us = all_ms * 1000 });
}

static const struct json *
show(const struct experiment *x)
{
    static struct buf b;
    struct json_out o = json_out(&b);

    buf_init(&b, 1024 * 1024);
    experiment_write(&o, x);
    const struct json *doc = json_parse(a, arena_str(a, buf_str(&b)), NULL, NULL);
    buf_fini(&b);
    EXPECT(doc != NULL);
    return doc;
}

static double
number(const struct json *doc, size_t arm, const char *path)
{
    struct json_iter it = json_iter(json_get(doc, S("arms")));

    for (size_t i = 0; i <= arm; i++)
        EXPECT(json_next(&it));
    const struct json *j = json_at(it.value, path);
    EXPECT(json_is(j, JSON_NUMBER));
    return json_f64(j, 0);
}

static bool
near(double got, double expected)
{
    if (fabs(got - expected) <= 1e-6 * fmax(1, fabs(expected)))
        return true;
    print_error("%.12g is not %.12g\n", got, expected);
    return false;
}

TEST(results_and_their_differences_are_those_worked_out_by_hand)
{
    struct experiments *e = load(halves);
    const struct experiment *x = experiments_at(e, 0);
    const struct experiment_arm *first = &x->arms[0], *second = &x->arms[1];
    double before = 1;

    note(first, false, 1000000000, 100, 1000);
    note(first, false, 2000000000, 200, 2000);
    note(first, false, 3000000000, 300, 3000);
    note(first, true, -1, -1, 50);
    note(second, false, 3000000000, 300, 3000);
    note(second, false, 5000000000, 500, 5000);
    note(second, false, 7000000000, 700, 7000);
    note(second, false, 9000000000, -1, 9000);
    experiment_say(second, 1, NULL);
    experiment_say(second, 0, NULL);
    experiment_say(second, -0.5, &before);
    const struct json *doc = show(x);

    EXPECT(near(number(doc, 0, "requests"), 4) && near(number(doc, 0, "errors"), 1));
    EXPECT(near(number(doc, 0, "cost_usd.mean.value"), 2));
    /* a failure is not fast: only answers are timed */
    EXPECT(near(number(doc, 0, "duration_ms.count"), 3));
    EXPECT(near(number(doc, 1, "duration_ms.mean.value"), 6000));
    EXPECT(near(number(doc, 1, "first_token_ms.count"), 3));
    /* as in base/test_stats.c: means 2 and 6, variances 1 and 20/3, 216/53 degrees of freedom */
    EXPECT(near(number(doc, 1, "against_first.cost_usd.value"), 4));
    EXPECT(near(number(doc, 1, "against_first.cost_usd.low"),
        4 - sqrt(2.0) * stats_student_975(216.0 / 53)));
    struct stats_interval share = stats_share_difference(1, 4, 0, 4);
    EXPECT(near(number(doc, 1, "against_first.error_share.value"), -0.25));
    EXPECT(near(number(doc, 1, "against_first.error_share.low"), share.low));
    EXPECT(near(number(doc, 1, "against_first.error_share.high"), share.high));
    EXPECT(
        near(number(doc, 1, "score.count"), 2) && near(number(doc, 1, "score.mean.value"), -0.25));
    /* buckets end at powers of the square root of 2 */
    EXPECT(near(number(doc, 0, "first_token_ms.p50"), 256));
    EXPECT(near(number(doc, 1, "duration_ms.p95"), 11585.2));
    unload(e);
}

TEST(results_go_on_over_a_reload_and_end_with_the_arm)
{
    struct experiments *e = load(halves);
    struct conf *before = c;
    struct arena *of_before = a;

    note(&experiments_at(e, 0)->arms[0], false, 1, 1, 1);
    struct experiments *next = load(halves);
    EXPECT_INT(count_of(&experiments_arm(next, S("x"), S("a"))->results->requests), 1);
    EXPECT(experiments_arm(next, S("x"), S("c")) == NULL);
    unload(next);
    c = before;
    a = of_before;
    unload(e);
    e = load(halves);
    EXPECT_INT(count_of(&experiments_at(e, 0)->arms[0].results->requests), 0);
    unload(e);
}

TEST(metrics_have_the_names_of_both_as_labels)
{
    struct experiments *e = load(halves);
    struct buf b;

    buf_init(&b, 64 * 1024);
    note(&experiments_at(e, 0)->arms[1], true, 7, 1, 1);
    experiments_write_metrics(e, &b);
    EXPECT(
        str_find(buf_str(&b),
            S("openclaw_experiment_errors_total{experiment=\"x\",arm=\"b\"} 1\n")) != buf_len(&b));
    EXPECT(str_find(buf_str(&b),
               S("openclaw_experiment_cost_nanousd_total{experiment=\"x\",arm=\"b\"} 7\n")) !=
           buf_len(&b));
    buf_fini(&b);
    unload(e);
}
