/* test_outages.c - a simulation: up to a thousand gateways, each with breakers of its own, use the
 * same providers, which fail as a script says. The clock is simulated, too, and all that is random
 * follows from a seed, so that every run is the same.
 *
 * It shows what no single gateway does: whether all of them come back at once. Its results are the
 * table in docs/resilience.md; with OPENCLAW_WRITE_DOCS=1 in the environment that table is written
 * instead of compared.
 */
#include <stdlib.h>

#include "route/health_pass.c"

#include "base/buf.h"
#include "tests/test.h"

#define PAGE "docs/resilience.md"
#define TABLE_BEGIN "<!-- simulator -->\n"
#define TABLE_END "<!-- end -->"

enum {
    TARGETS_MOST = 2,    /* of a gateway; the first one is preferred */
    SECONDS_MOST = 400,
    ATTEMPTS_MOST = 6,    /* of a request */
    BACKOFF_MS = 500,
    RETRY_PERCENT = 20,
    WHEEL = 8192,    /* nothing takes more milliseconds */
};

/* What a provider does with a request. */
struct answer {
    enum err outcome;
    uint64_t after_ms;
    int64_t retry_after_ms;
};

struct world;

struct scenario {
    const char *name;
    uint64_t seed;
    size_t gateways, targets;
    double per_s;                      /* requests at each gateway */
    uint64_t seconds, from_s, to_s;    /* the first target fails between them */
    struct answer (*script)(struct world *w);
    bool all_fail;    /* the others, too */
};

struct breaker {
    struct health_table *table;
    struct health *target, *key;
    bool open;
};

struct request {
    struct request *next;    /* of those that are due at the same time */
    struct health_pass pass;
    struct answer answer;
    size_t gateway, target;    /* that is asked */
    unsigned attempts;
    bool under_way;    /* the answer is due; otherwise a repetition */
    bool failed[TARGETS_MOST], repeated[TARGETS_MOST];
};

struct world {
    const struct scenario *scenario;
    uint64_t now_ms, began_ms;
    struct breaker *breakers;    /* of gateway g and target t: [g * TARGETS_MOST + t] */
    struct request *due[WHEEL], *spare;
    uint64_t requests, finished, answered, attempts, retries, openings;
    uint32_t asked[TARGETS_MOST][SECONDS_MOST], ok[TARGETS_MOST][SECONDS_MOST];
};

static uint64_t
second(const struct world *w)
{
    return (w->now_ms - w->began_ms) / 1000;
}

static bool
fails(const struct world *w, size_t target)
{
    const struct scenario *s = w->scenario;

    return (target == 0 || s->all_fail) && second(w) >= s->from_s && second(w) < s->to_s;
}

static void
plan(struct world *w, struct request *r, uint64_t after_ms, bool under_way)
{
    struct request **list = &w->due[(w->now_ms + MAX(after_ms, (uint64_t)1)) % WHEEL];

    CHECK(after_ms < WHEEL);
    r->under_way = under_way;
    r->next = *list;
    *list = r;
}

static void
finish(struct world *w, struct request *r, bool answered)
{
    w->finished++;
    w->answered += answered;
    r->next = w->spare;
    w->spare = r;
}

static struct breaker *
breaker_of(const struct world *w, const struct request *r, size_t target)
{
    return &w->breakers[r->gateway * TARGETS_MOST + target];
}

static void
ask(struct world *w, struct request *r, size_t target)
{
    r->target = target;
    r->attempts++;
    w->attempts++;
    w->asked[target][second(w)]++;
    r->answer = (struct answer){ OK, 200 + clock_random_u64() % 600, 0 };
    if (fails(w, target))
        r->answer = w->scenario->script(w);
    plan(w, r, r->answer.after_ms, true);
}

static bool
may_ask(struct world *w, struct request *r, size_t target, bool open)
{
    const struct breaker *b = breaker_of(w, r, target);
    struct health_refusal ignored;
    bool sole = true;

    for (size_t i = 0; i < w->scenario->targets; i++)
        sole = sole && (i == target || r->failed[i]);
    return open ? health_enter_open(b->table, b->target, b->key, w->now_ms, &r->pass)
                : health_enter(b->table, b->target, b->key, sole, w->now_ms, &r->pass, &ignored);
}

/* The next target that did not fail; if all are open, one at the rate that is allowed then. */
static void
ask_next(struct world *w, struct request *r)
{
    for (int open = 0; open < 2 && r->attempts < ATTEMPTS_MOST; open++) {
        for (size_t i = 0; i < w->scenario->targets; i++) {
            if (!r->failed[i] && may_ask(w, r, i, open != 0)) {
                ask(w, r, i);
                return;
            }
        }
    }
    finish(w, r, false);
}

static void
note_opening(struct world *w, struct breaker *b)
{
    bool open =
        STATE_OF(b->target->gate) == GATE_OPEN || STATE_OF(b->table->provider->gate) == GATE_OPEN;
    bool half = STATE_OF(b->target->gate) == GATE_PROBED ||
                STATE_OF(b->table->provider->gate) == GATE_PROBED;

    w->openings += open && !b->open;
    b->open = open || half;
}

static void
take_answer(struct world *w, struct request *r)
{
    struct breaker *b = breaker_of(w, r, r->target);
    const struct health_verdict v = { r->answer.outcome, r->answer.retry_after_ms, false };

    health_leave(&r->pass, &v, w->now_ms);
    note_opening(w, b);
    if (v.outcome == OK) {
        w->ok[r->target][second(w)]++;
        finish(w, r, true);
        return;
    }
    if (failure_row(v.outcome)->next == NEXT_SAME && !r->repeated[r->target] &&
        r->attempts < ATTEMPTS_MOST && health_take_retry(b->target, RETRY_PERCENT, w->now_ms)) {
        r->repeated[r->target] = true;
        w->retries++;
        plan(w, r, (uint64_t)(clock_random_unit() * BACKOFF_MS), false);
        return;
    }
    r->failed[r->target] = true;
    ask_next(w, r);
}

static void
begin_request(struct world *w, size_t gateway)
{
    struct request *r = w->spare;

    if (r != NULL)
        w->spare = r->next;
    else
        r = check_alloc(malloc(sizeof(*r)));
    *r = (struct request){ .gateway = gateway };
    w->requests++;
    ask_next(w, r);
}

/* What is due in this millisecond. */
static void
step(struct world *w)
{
    struct request *due = w->due[w->now_ms % WHEEL];

    w->due[w->now_ms % WHEEL] = NULL;
    while (due != NULL) {
        struct request *r = due;

        due = r->next;
        if (r->under_way) {
            take_answer(w, r);
        } else if (may_ask(w, r, r->target, false)) {
            ask(w, r, r->target);
        } else {
            r->failed[r->target] = true;
            ask_next(w, r);
        }
    }
}

static void
hold_breakers(struct world *w)
{
    size_t n = w->scenario->gateways * TARGETS_MOST;
    char name[64];

    w->breakers = check_alloc(calloc(n, sizeof(w->breakers[0])));
    for (size_t i = 0; i < n; i++) {
        struct breaker *b = &w->breakers[i];

        (void)snprintf(name, sizeof(name), "%llu-%zu", (unsigned long long)w->scenario->seed, i);
        b->table = health_table_hold(str_c(name));
        b->target = health_target(b->table, S("model"));
        b->key = health_key(b->table, S("key"));
    }
}

static void
drop(struct world *w)
{
    for (size_t i = 0; i < w->scenario->gateways * TARGETS_MOST; i++)
        health_table_drop(w->breakers[i].table);
    free(w->breakers);
    for (size_t i = 0; i <= WHEEL; i++) {
        for (struct request *r = i < WHEEL ? w->due[i] : w->spare, *next; r != NULL; r = next) {
            next = r->next;
            free(r);
        }
    }
    free(w);
}

static struct world *
run(const struct scenario *s)
{
    struct world *w = check_alloc(calloc(1, sizeof(*w)));
    double all_per_ms = s->per_s * (double)s->gateways / 1000, pending = 0;

    clock_seed_for_tests(s->seed);
    w->scenario = s;
    w->now_ms = w->began_ms = 1000000;
    hold_breakers(w);
    while (second(w) < s->seconds) {
        step(w);
        pending += all_per_ms * 2 * clock_random_unit();
        for (; pending >= 1; pending--)
            begin_request(w, clock_random_u64() % s->gateways);
        w->now_ms++;
    }
    return w;
}

/* Requests that the first target got in the busiest second of [from, to). */
static uint32_t
peak(const struct world *w, uint64_t from_s, uint64_t to_s)
{
    uint32_t most = 0;

    for (uint64_t i = from_s; i < to_s; i++)
        most = MAX(most, w->asked[0][i]);
    return most;
}

/* Seconds after the failure until the first target answers `share` of what it did before. */
static uint64_t
recovery_s(const struct world *w, double share)
{
    const struct scenario *s = w->scenario;
    double normal = s->per_s * (double)s->gateways;
    uint64_t i = s->to_s;

    while (i < s->seconds && w->ok[0][i] < normal * share)
        i++;
    return i - s->to_s;
}

static double
share(uint64_t n, uint64_t of)
{
    return of != 0 ? (double)n / (double)of : 0;
}

/* The scripts. */

static struct answer
refuse_connection(struct world *w)
{
    (void)w;
    return (struct answer){ ERR_UPSTREAM_CONNECT, 2, 0 };
}

static struct answer
hang(struct world *w)
{
    (void)w;
    return (struct answer){ ERR_UPSTREAM_TIMEOUT, 5000, 0 };
}

static struct answer
fail_at(double rate)
{
    if (clock_random_unit() < rate)
        return (struct answer){ ERR_UPSTREAM_ERROR, 20, 0 };
    return (struct answer){ OK, 500, 0 };
}

static struct answer
fail_one_in_ten(struct world *w)
{
    (void)w;
    return fail_at(0.1);
}

static struct answer
fail_three_in_ten(struct world *w)
{
    (void)w;
    return fail_at(0.3);
}

static struct answer
fail_seven_in_ten(struct world *w)
{
    (void)w;
    return fail_at(0.7);
}

static struct answer
be_overloaded(struct world *w)
{
    (void)w;
    return (struct answer){ ERR_UPSTREAM_OVERLOADED, 20, 20000 };
}

/* A tenth of what it is asked fits into its limit. */
static struct answer
limit(struct world *w)
{
    const struct scenario *s = w->scenario;
    double fits = s->per_s * (double)s->gateways / 10;

    if (w->ok[0][second(w)] < fits)
        return (struct answer){ OK, 20, 0 };
    return (struct answer){ ERR_UPSTREAM_RATE_LIMIT, 20, 1000 - (int64_t)(w->now_ms % 1000) };
}

/* The results. */

static struct buf table;    /* limit 0: not begun */

static void
begin_table(void)
{
    if (table.limit != 0)
        return;
    buf_init(&table, 64 * 1024);
    buf_add(&table,
        S("| the first target | gateways | requests/s | answered | attempts per request | "
          "repeated | opened, per gateway | asked while it fails, per s | first answer after | "
          "95 % after |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"));
}

/* From twenty seconds after the failure began, when all breakers know of it. */
static uint32_t
peak_while_failing(const struct world *w)
{
    return peak(w, w->scenario->from_s + 20, w->scenario->to_s);
}

static void
add_row(const struct world *w)
{
    const struct scenario *s = w->scenario;
    uint64_t first_s = recovery_s(w, 1e-9), most_s = recovery_s(w, 0.95);

    begin_table();
    buf_printf(&table, "| %s | %zu | %.0f | %.3f %% | %.2f | %.2f %% | %.1f | %u |", s->name,
        s->gateways, s->per_s * (double)s->gateways, 100 * share(w->answered, w->finished),
        share(w->attempts, w->requests), 100 * share(w->retries, w->requests),
        share(w->openings, s->gateways), peak_while_failing(w));
    if (s->to_s < s->seconds)
        buf_printf(&table, " %u s | %u s |\n", (unsigned)first_s + 1, (unsigned)most_s + 1);
    else
        buf_add(&table, S(" | |\n"));
}

TEST(a_thousand_gateways_do_not_come_back_at_once_after_an_outage)
{
    static const struct scenario s = { .name = "refuses connections for 60 s",
        .seed = 1,
        .gateways = 1000,
        .targets = 2,
        .per_s = 4,
        .seconds = 240,
        .from_s = 30,
        .to_s = 90,
        .script = refuse_connection };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(w->answered == w->finished);
    EXPECT(share(w->attempts, w->requests) < 1.1);
    EXPECT(peak_while_failing(w) <= 400);    /* a tenth of what it gets while it is healthy */
    EXPECT(recovery_s(w, 1e-9) <= 10);
    EXPECT(recovery_s(w, 0.95) <= 48 + 10);    /* the longest cooldown so far, and slow start */
    EXPECT(peak(w, s.to_s, s.seconds) <= 1.1 * peak(w, 0, s.from_s));
    for (uint64_t i = s.to_s; i < s.seconds; i++)    /* it comes gradually */
        EXPECT(w->asked[0][i] < w->asked[0][i - 1] + 800);
    drop(w);
}

TEST(a_target_that_hangs_is_left_alone_too)
{
    static const struct scenario s = { .name = "hangs for 60 s",
        .seed = 2,
        .gateways = 1000,
        .targets = 2,
        .per_s = 4,
        .seconds = 240,
        .from_s = 30,
        .to_s = 90,
        .script = hang };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(w->answered == w->finished);
    EXPECT(peak(w, s.from_s + 15, s.to_s) <= 400);
    EXPECT(recovery_s(w, 0.95) <= 48 + 10);
    drop(w);
}

TEST(a_sole_target_is_asked_at_a_bounded_rate_and_used_again_at_once)
{
    static const struct scenario s = { .name = "refuses connections for 60 s, and is the only one",
        .seed = 3,
        .gateways = 1000,
        .targets = 1,
        .per_s = 4,
        .seconds = 150,
        .from_s = 30,
        .to_s = 90,
        .script = refuse_connection };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(peak_while_failing(w) <= 1300);    /* one a second at each gateway, and probes */
    EXPECT(recovery_s(w, 0.95) <= 3);
    drop(w);
}

TEST(when_all_targets_fail_and_recover_requests_are_answered_within_seconds)
{
    static const struct scenario s = { .name = "fails for 30 s, as the other one does",
        .seed = 4,
        .gateways = 1000,
        .targets = 2,
        .per_s = 4,
        .seconds = 120,
        .from_s = 30,
        .to_s = 60,
        .script = refuse_connection,
        .all_fail = true };
    struct world *w = run(&s);
    uint32_t answered = 0;

    add_row(w);
    EXPECT(peak_while_failing(w) <= 1300);
    for (size_t i = 0; i < s.targets; i++)
        answered += w->ok[i][s.to_s + 4];
    EXPECT(answered >= 3600);
    drop(w);
}

TEST(a_retry_after_is_respected_by_all_and_does_not_bring_them_back_together)
{
    static const struct scenario s = { .name = "is overloaded for 60 s, says `Retry-After: 20`",
        .seed = 5,
        .gateways = 1000,
        .targets = 2,
        .per_s = 4,
        .seconds = 240,
        .from_s = 30,
        .to_s = 90,
        .script = be_overloaded };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(w->answered == w->finished);
    EXPECT(peak_while_failing(w) <= 600);
    EXPECT(w->openings <= 5 * s.gateways);
    EXPECT(recovery_s(w, 0.95) <= 48 + 10);
    drop(w);
}

TEST(a_limit_is_used_up_and_not_stormed)
{
    static const struct scenario s = { .name = "has a limit of a tenth of the requests",
        .seed = 6,
        .gateways = 1000,
        .targets = 2,
        .per_s = 4,
        .seconds = 120,
        .from_s = 30,
        .to_s = 90,
        .script = limit };
    struct world *w = run(&s);
    uint64_t ok = 0, asked = 0;

    add_row(w);
    EXPECT(w->answered == w->finished);
    EXPECT_INT(w->openings, 0);
    for (uint64_t i = s.from_s + 10; i < s.to_s; i++) {
        ok += w->ok[0][i];
        asked += w->asked[0][i];
    }
    EXPECT(share(ok, s.to_s - s.from_s - 10) >= 390);
    EXPECT(share(asked, s.to_s - s.from_s - 10) <= 1600);
    drop(w);
}

TEST(three_failures_in_ten_do_not_open_a_breaker)
{
    static const struct scenario few = { .name = "fails one time in ten",
        .seed = 7,
        .gateways = 10,
        .targets = 2,
        .per_s = 100,
        .seconds = 300,
        .from_s = 0,
        .to_s = 300,
        .script = fail_one_in_ten };
    static const struct scenario many = { .name = "fails three times in ten",
        .seed = 8,
        .gateways = 10,
        .targets = 2,
        .per_s = 100,
        .seconds = 300,
        .from_s = 0,
        .to_s = 300,
        .script = fail_three_in_ten };

    for (int i = 0; i < 2; i++) {
        struct world *w = run(i == 0 ? &few : &many);

        add_row(w);
        EXPECT(w->answered == w->finished);
        EXPECT_INT(w->openings, 0);
        EXPECT(share(w->attempts, w->requests) <= 1.4);
        drop(w);
    }
}

TEST(a_brown_out_is_given_up_and_looked_after_less_and_less_often)
{
    static const struct scenario s = { .name = "fails seven times in ten",
        .seed = 9,
        .gateways = 10,
        .targets = 2,
        .per_s = 100,
        .seconds = 300,
        .from_s = 0,
        .to_s = 300,
        .script = fail_seven_in_ten };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(w->answered == w->finished);
    EXPECT(w->openings <= 15 * s.gateways);
    EXPECT(share(w->attempts, w->requests) <= 1.2);
    drop(w);
}

TEST(repetitions_stay_within_their_budget)
{
    static const struct scenario s = { .name = "fails seven times in ten, and is the only one",
        .seed = 10,
        .gateways = 1,
        .targets = 1,
        .per_s = 1000,
        .seconds = 300,
        .from_s = 0,
        .to_s = 300,
        .script = fail_seven_in_ten };
    struct world *w = run(&s);

    add_row(w);
    EXPECT(w->retries <= w->requests / 5 + 10 * s.seconds + 2100);
    EXPECT(share(w->answered, w->finished) > 0.3);
    EXPECT_INT(w->openings, 0);
    drop(w);
}

TEST(of_thousands_of_targets_only_those_that_fail_are_left_out)
{
    enum { PROVIDERS = 50, MODELS = 60, BAD = 10, KEYS = 1 };
    static struct health_table *tables_of[PROVIDERS];
    static struct health *targets[PROVIDERS][MODELS];
    uint64_t bad_asked = 0, now_ms = 1000000;

    clock_seed_for_tests(11);
    for (size_t p = 0; p < PROVIDERS; p++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "p%zu", p);
        tables_of[p] = health_table_hold(str_c(name));
        for (size_t m = 0; m < MODELS; m++) {
            (void)snprintf(name, sizeof(name), "m%zu", m);
            targets[p][m] = health_target(tables_of[p], str_c(name));
        }
    }
    for (uint64_t i = 0; i < 2000000; i++, now_ms += i % 20 == 0) {    /* 100 s */
        size_t p = clock_random_u64() % PROVIDERS, m = clock_random_u64() % MODELS;
        struct health_verdict v = { .outcome = m % BAD == 0 ? ERR_UPSTREAM_ERROR : OK };
        struct health_refusal r;
        struct health_pass pass;

        if (health_enter(tables_of[p], targets[p][m], NULL, false, now_ms, &pass, &r)) {
            bad_asked += v.outcome != OK;
            health_leave(&pass, &v, now_ms);
        } else {
            EXPECT(v.outcome != OK);
        }
    }
    /* Five failures open each; then it is asked after 5, 15, 35 and 75 seconds. */
    EXPECT(bad_asked <= PROVIDERS * MODELS / BAD * (RUN_LEAST + 5));
    for (size_t p = 0; p < PROVIDERS; p++)
        health_table_drop(tables_of[p]);
}

/* The page. */

static const char *
page_path(void)
{
    static char path[1024];
    static const char here[] = "tests/unit/route/test_outages.c";
    struct str file = S(__FILE__);

    (void)snprintf(path, sizeof(path), "%.*s" PAGE, (int)(file.n - strlen(here)), file.p);
    return path;
}

TEST(the_page_has_these_results)
{
    char room[4096];
    struct buf page;
    size_t got;
    FILE *f = fopen(page_path(), "re");

    EXPECT(f != NULL);
    buf_init(&page, 1024 * 1024);
    while ((got = fread(room, 1, sizeof(room), f)) != 0)
        buf_add(&page, str_make(room, got));
    (void)fclose(f);

    struct str all = buf_str(&page);
    size_t from = str_find(all, S(TABLE_BEGIN)) + sizeof(TABLE_BEGIN) - 1;
    EXPECT(from < all.n);
    struct str rest = str_skip(all, from);
    size_t n = str_find(rest, S(TABLE_END));
    EXPECT(n < rest.n);
    if (getenv("OPENCLAW_WRITE_DOCS") != NULL) {
        f = fopen(page_path(), "we");
        EXPECT(f != NULL);
        EXPECT(fprintf(f, STR_FMT STR_FMT STR_FMT, (int)from, all.p, STR_ARG(buf_str(&table)),
                   STR_ARG(str_skip(rest, n))) > 0);
        EXPECT(fclose(f) == 0);
    } else {
        if (!str_eq(str_make(rest.p, n), buf_str(&table)))
            print_error(
                "run OPENCLAW_WRITE_DOCS=1 route_test_outages, which makes the table of " PAGE
                "\n");
        EXPECT(str_eq(str_make(rest.p, n), buf_str(&table)));
    }
    buf_fini(&page);
    buf_fini(&table);
}
