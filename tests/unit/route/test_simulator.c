/* test_simulator.c - a simulation of targets that answer at different speeds and prices, and keep prompts in
 * caches. The clock is simulated, too, and all that is random follows from a seed. The code that chooses is the
 * gateway's: route_plan(), plan_pick(), health.c, load.c and warmth.c.
 *
 * Times to first token are lognormal, with a heavy tail, around medians that public measurements give for models
 * of that kind (0.5 to 1.2 s; 60 to 280 tokens/s), and grow with the prompt. Prices are those of the catalog.
 * Its results are a table in docs/routing.md; with OPENCLAW_WRITE_DOCS=1 in the environment that table is
 * written instead of compared.
 */
#include <math.h>

#include "base/clock.h"
#include "route/route.h"
#include "route/strategy.h"
#include "route/warmth.h"
#include "tests/unit/catalog/providers_world.h"

#define PAGE "docs/routing.md"
#define TABLE_BEGIN "<!-- simulator -->\n"
#define TABLE_END "<!-- end -->"
#define SECOND UINT64_C(1000000)
#define CACHE_US (300 * SECOND)

enum { PLACES_MOST = 8, TALKS_MOST = 4000 };

/* What is simulated of a target. */
struct place {
    const char *model;
    double first_token_s;    /* median, for a short prompt */
    double tokens_per_s;
    double reading;    /* times what load.h takes a token of the prompt to need */
};

struct scenario {
    const char *name, *providers, *strategy;
    const char *models;    /* NULL: one alias of all places */
    struct place places[PLACES_MOST];
    size_t count;
    double per_s;
    uint64_t seconds, from_s;    /* nothing before that is counted */
    /* the first place is so many times slower from a time on */
    double slower;
    uint64_t slow_from_s;
    size_t talks;         /* conversations at a time; 0: every request is by itself */
    uint64_t leaves_s;    /* the last place leaves; 0: never */
    uint64_t seed;
};

/* A conversation, whose prompt grows. */
struct talk {
    uint64_t id;
    int64_t tokens;    /* of the turns so far */
    size_t place;      /* of its last turn when the last place left; PLACES_MOST: none */
};

/* A request under way. */
struct run {
    struct health_pass pass;
    struct target *target;
    size_t place;
    uint64_t begun_us, first_us, end_us;
    int64_t input, read, output;
    uint64_t conversation;
    bool answered;
};

/* The gateway and the providers. */
struct town {
    const struct scenario *s;
    struct loaded loaded[2];
    struct providers *providers[2];
    struct route_table *table, *smaller;    /* once one has left */
    struct arena *arena;
    struct arena_mark mark;
    uint64_t now_us, began_us;
    struct run **heap;    /* by what is due first */
    size_t heap_count, heap_room;
    struct talk talks[TALKS_MOST];
    /* what each place holds of each conversation, and until when */
    int64_t held[PLACES_MOST][TALKS_MOST];
    uint64_t held_until_us[PLACES_MOST][TALKS_MOST];
    uint64_t next_id;
    /* results */
    uint32_t *first_ms;
    size_t first_count, first_room;
    uint64_t asked[PLACES_MOST];
    double cost_usd, least_usd;
    int64_t repeated, reused;    /* tokens of turns but the first; of them, those in the cache */
    int64_t stayed_repeated, stayed_reused;    /* after one left, where the target had stayed */
};

/* --- random numbers --- */

static double
normal(void)
{
    return sqrt(-2 * log(1 - clock_random_unit())) * cos(2 * M_PI * clock_random_unit());
}

static double
lognormal(double median, double sigma)
{
    return median * exp(sigma * normal());
}

static uint64_t
time_to_first_token_us(const struct town *w, size_t place, int64_t tokens)
{
    const struct place *p = &w->s->places[place];
    double s = lognormal(p->first_token_s, 0.35);

    if (clock_random_unit() < 0.01)    /* a heavy tail (Pareto) */
        s *= 1 + pow(1 - clock_random_unit(), -1 / 1.5);
    if (place == 0 && w->s->slower > 1 && w->now_us >= w->began_us + w->s->slow_from_s * SECOND)
        s *= w->s->slower;
    return (uint64_t)(s * 1e6 * (1 + p->reading * (double)tokens / LOAD_READ_TOKENS));
}

/* --- what is due --- */

static uint64_t
due_us(const struct run *r)
{
    return r->answered ? r->end_us : r->first_us;
}

static void
heap_put(struct town *w, struct run *r)
{
    if (w->heap_count == w->heap_room) {
        w->heap_room = MAX(2 * w->heap_room, 64);
        w->heap = check_alloc(realloc(w->heap, w->heap_room * sizeof(struct run *)));
    }
    size_t i = w->heap_count++;
    for (; i > 0 && due_us(w->heap[(i - 1) / 2]) > due_us(r); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = r;
}

static struct run *
heap_take(struct town *w)
{
    struct run *first = w->heap[0], *last = w->heap[--w->heap_count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < w->heap_count) {
        if (child + 1 < w->heap_count && due_us(w->heap[child + 1]) < due_us(w->heap[child]))
            child++;
        if (due_us(w->heap[child]) >= due_us(last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return first;
}

/* --- a request --- */

static bool
is_counted(const struct town *w)
{
    return w->now_us >= w->began_us + w->s->from_s * SECOND;
}

static double
usd(const struct target *t, int64_t input, int64_t cached, int64_t output, const struct town *w)
{
    struct llm_usage u = { .known = 0 };
    const struct price_when when = { .wall_s = (int64_t)(w->now_us / SECOND) };

    usage_set(&u, COUNT_INPUT, input);
    usage_set(&u, COUNT_CACHED, cached);
    usage_set(&u, COUNT_OUTPUT, output);
    int64_t cost = model_cost_nanousd(t->facts, &u, &when);
    return cost != COST_UNKNOWN ? (double)cost / 1e9 : 0;
}

static size_t
place_of(const struct town *w, const struct target *t)
{
    for (size_t i = 0; i < w->s->count; i++)
        if (str_ends(str_c(w->s->places[i].model), t->wire.model))
            return i;
    CHECK_UNREACHABLE();
}

/* Tokens of an answer: lognormal, cut at the limit that the request sets; and how many are to be expected. */
#define OUTPUT_MEDIAN 250.0
#define OUTPUT_SIGMA 0.8

static int64_t
output_tokens(int64_t limit)
{
    return MIN(1 + (int64_t)lognormal(OUTPUT_MEDIAN, OUTPUT_SIGMA), limit);
}

static int64_t
expected_output_tokens(int64_t limit)
{
    double z = log((double)limit / OUTPUT_MEDIAN) / OUTPUT_SIGMA;
    double below = OUTPUT_MEDIAN * exp(OUTPUT_SIGMA * OUTPUT_SIGMA / 2) *
                   erfc((OUTPUT_SIGMA - z) * M_SQRT1_2) / 2;

    return (int64_t)(below + (double)limit * erfc(z * M_SQRT1_2) / 2);
}

/* What it costs at the cheapest target that can take it. How long its answer gets, nobody knows before: it is the
 * one that is the cheapest for the length to be expected. */
static double
least_usd(
    const struct town *w, const struct plan *plan, int64_t input, int64_t output, int64_t limit)
{
    double least = HUGE_VAL, cost = 0;

    for (size_t i = 0; i < plan->count; i++) {
        const struct target *t = plan->list[i].target;
        double expected = usd(t, input, 0, expected_output_tokens(limit), w);

        if (plan->list[i].excluded != EXCLUDED_NOT || plan->list[i].late || expected >= least)
            continue;
        least = expected;
        cost = usd(t, input, 0, output, w);
    }
    return cost;
}

static void
ask_one(struct town *w, struct talk *talk, int64_t input, int64_t output, int64_t limit)
{
    const struct route_table *table = w->smaller != NULL ? w->smaller : w->table;
    struct ask ask = { .arena = w->arena,
        .known = ASK_NEEDS,
        .needs = { .input_tokens = input,
            .output_tokens = limit,
            .conversation = talk != NULL ? talk->id : 0 },
        .op = OP_CHAT,
        .wire = &wire_openai_chat,
        .stream = true,
        .now_us = w->now_us,
        .wall_ms = w->now_us / 1000,
        .seed = clock_random_u64() };
    struct run *r = check_alloc(calloc(1, sizeof(*r)));
    struct route_found found;
    struct plan plan;
    struct pick pick;
    struct str why;

    arena_rewind(w->arena, w->mark);
    EXPECT(route_find(table, w->arena, S("m"), &found, &why) == OK);
    EXPECT(route_plan(table, &found, &ask, &plan, &why) == OK);
    EXPECT(plan_pick(&plan, false, w->now_us, &pick) == PICK_NOW);
    r->pass = pick.pass;
    r->target = pick.candidate->target;
    r->place = place_of(w, r->target);
    r->begun_us = w->now_us;
    r->input = input;
    r->output = output;
    r->conversation = ask.needs.conversation;

    size_t n = talk != NULL ? (size_t)(talk - w->talks) : 0;
    int64_t held = talk != NULL && w->held_until_us[r->place][n] > w->now_us
                       ? MIN(w->held[r->place][n], talk->tokens)
                       : 0;
    r->read = input - held;
    r->first_us = w->now_us + time_to_first_token_us(w, r->place, r->read);
    r->end_us =
        r->first_us + (uint64_t)((double)output * 1e6 / w->s->places[r->place].tokens_per_s);
    heap_put(w, r);
    if (talk != NULL) {
        w->held[r->place][n] = input + output;
        w->held_until_us[r->place][n] = w->now_us + CACHE_US;
    }
    if (!is_counted(w))
        return;
    w->asked[r->place]++;
    w->cost_usd += usd(r->target, input, held, output, w);
    w->least_usd += least_usd(w, &plan, input, output, limit);
    if (talk == NULL || talk->tokens == 0)
        return;
    w->repeated += talk->tokens;
    w->reused += held;
    if (w->smaller != NULL && talk->place < w->s->count - 1) {
        w->stayed_repeated += talk->tokens;
        w->stayed_reused += held;
        talk->place = PLACES_MOST;    /* its first turn afterwards shows it */
    }
}

static void
begin_request(struct town *w)
{
    int64_t limit = 100 + (int64_t)(clock_random_u64() % 900);
    int64_t output = output_tokens(limit);
    int64_t more = 20 + (int64_t)lognormal(600, 1.0);

    if (w->s->talks == 0) {
        ask_one(w, NULL, MIN(more * 2, 200000), output, limit);
        return;
    }
    struct talk *talk = &w->talks[clock_random_u64() % w->s->talks];
    if (talk->id == 0 || clock_random_unit() < 0.08)    /* another one begins */
        *talk = (struct talk){ .id = ++w->next_id * UINT64_C(0x9e3779b97f4a7c15),
            .place = PLACES_MOST };
    int64_t input = talk->tokens + (talk->tokens == 0 ? 2 * more : more);
    size_t n = (size_t)(talk - w->talks);
    if (talk->tokens == 0)
        for (size_t i = 0; i < w->s->count; i++)
            w->held_until_us[i][n] = 0;
    ask_one(w, talk, input, output, limit);
    talk->tokens = input + output;
}

/* The first token, or the end of an answer. */
static void
go_on(struct town *w)
{
    struct run *r = heap_take(w);
    struct load *load = health_load(r->target->health);

    w->now_us = due_us(r);
    if (!r->answered) {
        struct load_sample sample = { .us = r->first_us - r->begun_us, .input_tokens = r->read };

        r->answered = true;
        load_note_time(load, &sample, w->now_us);
        health_answered(&r->pass, w->now_us / 1000);
        warmth_note(r->target->health, r->conversation, r->input, WARMTH_MS, w->now_us);
        if (is_counted(w)) {
            if (w->first_count == w->first_room) {
                w->first_room = MAX(2 * w->first_room, 1024);
                w->first_ms = check_alloc(realloc(w->first_ms, w->first_room * sizeof(uint32_t)));
            }
            w->first_ms[w->first_count++] = (uint32_t)(sample.us / 1000);
        }
        heap_put(w, r);
        return;
    }
    load_note_output(load, r->output, w->now_us);
    load_note_speed(load, r->output, r->end_us - r->first_us, w->now_us);
    warmth_note(r->target->health, r->conversation, r->input + r->output, WARMTH_MS, w->now_us);
    health_leave(&r->pass, &(struct health_verdict){ .outcome = OK }, w->now_us / 1000);
    free(r);
}

/* --- a run of a scenario --- */

static struct route_table *
make_table(struct town *w, size_t which, size_t places)
{
    struct loaded *l = &w->loaded[which];
    const struct scenario *s = w->s;
    struct str text = arena_printf(w->arena,
        "providers:\n%smodels:\n  m:\n    strategy: %s\n    targets: [", s->providers, s->strategy);

    if (s->models != NULL)
        text = arena_printf(w->arena, "providers:\n%smodels:\n%s", s->providers, s->models);
    for (size_t i = 0; i < places && s->models == NULL; i++)
        text = arena_printf(
            w->arena, STR_FMT "%s\"%s\"", STR_ARG(text), i == 0 ? "" : ", ", s->places[i].model);
    if (s->models == NULL)
        text = arena_printf(w->arena, STR_FMT "]\n", STR_ARG(text));
    *l = load(text);
    w->providers[which] = providers_create(l->conf, S(""), &l->problems);
    struct route_table *t = table_create(l->conf, w->providers[which], &l->problems);
    EXPECT_STR(problem_lines(l), "");
    return t;
}

static void
leave(struct town *w)
{
    w->smaller = make_table(w, 1, w->s->count - 1);
    for (size_t i = 0; i < w->s->talks; i++) {
        w->talks[i].place = PLACES_MOST;
        for (size_t p = 0; p < w->s->count; p++)
            if (w->held_until_us[p][i] > w->now_us && w->held[p][i] == w->talks[i].tokens)
                w->talks[i].place = p;
    }
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static struct town *
run(const struct scenario *s)
{
    static unsigned runs;
    struct town *w = check_alloc(calloc(1, sizeof(*w)));
    double pending_s = 0;

    clock_seed_for_tests(s->seed);
    warmth_forget_for_tests();
    w->s = s;
    w->arena = arena_create(64 * 1024 * 1024);
    w->now_us = w->began_us = ++runs * 100000 * SECOND;    /* what was measured before is stale */
    w->table = make_table(w, 0, s->count);
    w->mark = arena_mark(w->arena);
    uint64_t next_us = w->now_us, end_us = w->now_us + s->seconds * SECOND;
    while (next_us < end_us) {
        if (w->heap_count != 0 && due_us(w->heap[0]) <= next_us) {
            go_on(w);
            continue;
        }
        w->now_us = next_us;
        if (s->leaves_s != 0 && w->smaller == NULL &&
            next_us >= w->began_us + s->leaves_s * SECOND) {
            leave(w);
            w->mark = arena_mark(w->arena);
        }
        begin_request(w);
        pending_s = -log(1 - clock_random_unit()) / s->per_s;
        next_us += 1 + (uint64_t)(pending_s * 1e6);
    }
    while (w->heap_count != 0)
        go_on(w);
    qsort(w->first_ms, w->first_count, sizeof(uint32_t), compare);
    return w;
}

static void
drop(struct town *w)
{
    table_destroy(w->smaller);
    table_destroy(w->table);
    for (size_t i = 0; i < ARRAY_LEN(w->loaded); i++) {
        if (w->providers[i] == NULL)
            continue;
        providers_destroy(w->providers[i]);
        unload(&w->loaded[i]);
    }
    arena_destroy(w->arena);
    free(w->heap);
    free(w->first_ms);
    free(w);
}

static uint32_t
quantile_ms(const struct town *w, unsigned permille)
{
    return w->first_ms[MIN(w->first_count * permille / 1000, w->first_count - 1)];
}

static double
share(double part, double all)
{
    return all > 0 ? part / all : 0;
}

static double
asked_share(const struct town *w, size_t place)
{
    uint64_t all = 0;

    for (size_t i = 0; i < w->s->count; i++)
        all += w->asked[i];
    return share((double)w->asked[place], (double)all);
}

/* --- the results --- */

static struct buf table;    /* limit 0: not begun */

static void
add_row(const struct town *w)
{
    const struct scenario *s = w->s;

    if (table.limit == 0) {
        buf_init(&table, 64 * 1024);
        buf_add(&table,
            S("| targets | strategy | requests | first token p50 | p99 | at the first target | "
              "cost, of the least | prompt reused |\n|---|---|--:|--:|--:|--:|--:|--:|\n"));
    }
    buf_printf(&table, "| %s | `%s` | %zu | %u ms | %u ms | %.1f %% | ", s->name, s->strategy,
        w->first_count, quantile_ms(w, 500), quantile_ms(w, 990), 100 * asked_share(w, 0));
    if (w->least_usd > 0 && s->talks == 0)
        buf_printf(&table, "%.1f %% | ", 100 * share(w->cost_usd, w->least_usd));
    else
        buf_add(&table, S("| "));
    if (s->talks != 0)
        buf_printf(&table, "%.1f %% |\n", 100 * share((double)w->reused, (double)w->repeated));
    else
        buf_add(&table, S("|\n"));
}

#define LAB "  lab: {wire: openai-chat, base_url: \"http://h/v1\"}\n"

static uint32_t
p99_of(struct scenario s, const char *strategy)
{
    s.strategy = strategy;
    struct town *w = run(&s);
    uint32_t p99 = quantile_ms(w, 990);

    add_row(w);
    drop(w);
    return p99;
}

TEST(one_slow_target_of_four_is_avoided)
{
    static const struct scenario s = { .name = "four, one of them five times slower",
        .providers = LAB,
        .places = { { "lab/a", 0.6, 95, 1 }, { "lab/b", 0.6, 95, 1 }, { "lab/c", 0.65, 95, 0.6 },
            { "lab/d", 0.55, 95, 1.5 } },
        .count = 4,
        .per_s = 20,
        .seconds = 600,
        .from_s = 30,
        .slower = 5,
        .seed = 1 };
    uint32_t turns = p99_of(s, "round_robin");

    EXPECT(p99_of(s, "latency") * 2 <= turns);
    EXPECT(p99_of(s, "least_busy") <= turns);
}

TEST(a_target_that_gets_slow_is_avoided_from_then_on_and_also_where_requests_are_rare)
{
    static const struct scenario later = { .name = "four, one gets five times slower after 300 s",
        .providers = LAB,
        .places = { { "lab/a", 0.6, 95, 1 }, { "lab/b", 0.6, 95, 1 }, { "lab/c", 0.65, 95, 0.6 },
            { "lab/d", 0.55, 95, 1.5 } },
        .count = 4,
        .per_s = 20,
        .seconds = 900,
        .from_s = 305,
        .slower = 5,
        .slow_from_s = 300,
        .seed = 2 };
    struct scenario rare = later;

    EXPECT(p99_of(later, "latency") * 2 <= p99_of(later, "round_robin"));
    rare.name = "four, one five times slower, a request in two seconds";
    rare.per_s = 0.5;
    rare.slow_from_s = 0;
    rare.seconds = 20000;
    EXPECT(p99_of(rare, "latency") * 2 <= p99_of(rare, "round_robin"));
}

TEST(nested_aliases_behave_as_their_parts)
{
    static const struct scenario s = { .name = "two aliases of two, one target five times slower",
        .providers = LAB,
        .strategy = "weighted",
        .models = "  m: {strategy: weighted, targets: [{model: g, weight: 3}, h]}\n"
                  "  g: {strategy: latency, targets: [lab/a, lab/b]}\n"
                  "  h: {strategy: round_robin, targets: [lab/c, lab/d]}\n",
        .places = { { "lab/a", 0.6, 95, 1 }, { "lab/b", 0.6, 95, 1 }, { "lab/c", 0.65, 95, 0.6 },
            { "lab/d", 0.55, 95, 1.5 } },
        .count = 4,
        .per_s = 20,
        .seconds = 900,
        .from_s = 30,
        .slower = 5,
        .seed = 5 };
    struct scenario part = s;
    struct town *w = run(&s);
    double g = asked_share(w, 0) + asked_share(w, 1), inside = asked_share(w, 0) / g;
    int64_t c = (int64_t)w->asked[2], d = (int64_t)w->asked[3];

    add_row(w);
    drop(w);
    EXPECT(g > 0.735 && g < 0.765);
    EXPECT(c - d <= 1 && d - c <= 1);
    part.models = "  m: {strategy: latency, targets: [lab/a, lab/b]}\n";
    part.per_s = s.per_s * 3 / 4;
    w = run(&part);
    EXPECT(fabs(asked_share(w, 0) - inside) < 0.02);
    EXPECT(inside < 0.08);
    drop(w);
}

TEST(weighted_and_round_robin_converge_to_the_weights)
{
    static const struct scenario s = { .name = "three with the weights 1, 2 and 5",
        .providers = LAB,
        .places = { { "lab/a", 0.6, 95, 1 }, { "lab/b", 0.6, 95, 1 }, { "lab/c", 0.65, 95, 0.6 } },
        .count = 3,
        .per_s = 100,
        .seconds = 600,
        .seed = 6 };
    static const char *const strategies[] = { "weighted", "round_robin", "least_busy" };
    static const double wanted[] = { 0.125, 0.25, 0.625 }, within[] = { 0.006, 0.0001, 0.02 };

    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        struct scenario one = s;
        char models[256];

        (void)snprintf(models, sizeof(models),
            "  m: {strategy: %s, targets: [lab/a, {model: lab/b, weight: 2}, {model: lab/c, weight: "
            "5}]}\n",
            strategies[i]);
        one.strategy = strategies[i];
        one.models = models;
        struct town *w = run(&one);

        add_row(w);
        for (size_t k = 0; k < s.count; k++)
            EXPECT(fabs(asked_share(w, k) - wanted[k]) <= within[i]);
        drop(w);
    }
}

TEST(cost_is_near_that_of_the_cheapest_target_for_each_request)
{
    static const struct scenario s = { .name = "four models at their prices",
        .providers = "  openai: {api_key: k}\n  mistral: {api_key: k}\n  deepinfra: {api_key: k}\n"
                     "  anthropic: {api_key: k}\n",
        .places = { { "openai/gpt-5-nano", 0.6, 120, 1 },
            { "deepinfra/deepseek-ai/DeepSeek-V4-Flash", 0.8, 94, 1 },
            { "mistral/mistral-small-2506", 0.5, 120, 1 },
            { "anthropic/claude-haiku-4-5", 0.63, 97, 1 } },
        .count = 4,
        .per_s = 20,
        .seconds = 300,
        .seed = 3 };
    static const char *const strategies[] = { "round_robin", "cost" };

    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        struct scenario one = s;
        one.strategy = strategies[i];
        struct town *w = run(&one);

        add_row(w);
        EXPECT(w->least_usd > 0);
        if (i == 1)
            EXPECT(w->cost_usd <= 1.02 * w->least_usd);
        else
            EXPECT(w->cost_usd > 1.5 * w->least_usd);
        drop(w);
    }
}

TEST(a_conversation_keeps_its_target_and_most_do_when_one_of_eight_leaves)
{
    static const struct scenario s = { .name = "eight, 400 conversations",
        .providers = LAB,
        .places = { { "lab/1", 0.6, 95, 1 }, { "lab/2", 0.6, 95, 1 }, { "lab/3", 0.6, 95, 1 },
            { "lab/4", 0.6, 95, 1 }, { "lab/5", 0.6, 95, 1 }, { "lab/6", 0.6, 95, 1 },
            { "lab/7", 0.6, 95, 1 }, { "lab/8", 0.6, 95, 1 } },
        .count = 8,
        .per_s = 10,
        .seconds = 900,
        .from_s = 60,
        .talks = 400,
        .leaves_s = 600,
        .seed = 4 };
    static const char *const strategies[] = { "round_robin", "latency", "sticky" };

    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        struct scenario one = s;
        one.strategy = strategies[i];
        struct town *w = run(&one);
        double reused = share((double)w->reused, (double)w->repeated);

        add_row(w);
        EXPECT(w->stayed_repeated > 0);
        if (i == 2) {
            EXPECT(reused > 0.9);
            EXPECT((double)w->stayed_reused >= 0.95 * (double)w->stayed_repeated);
        } else {
            EXPECT(reused < 0.6);
        }
        drop(w);
    }
}

/* --- whatever the strategy --- */

/* Independently of constraint.c: can the model take that? */
static bool
can_take(const struct target *t, const struct needs *needs)
{
    const struct model_row *facts = t->facts;
    bool tools = (needs->bits & NEED_BIT(TOOLS)) != 0,
         images = (needs->bits & NEED_BIT(IMAGES)) != 0;

    return !(tools && model_can(facts, CAN_tools) == NO) &&
           !(images && model_can(facts, CAN_images) == NO) &&
           !(facts->context_tokens != 0 && needs->input_tokens / 2 > facts->context_tokens);
}

/* All that the plan has, as if every attempt failed: each once, and none that cannot take the request. */
static void
attempt_all(struct plan *plan, const struct needs *needs, uint64_t now_us)
{
    size_t able = 0, attempted = 0;
    struct pick pick;

    for (size_t i = 0; i < plan->count; i++)
        able += can_take(plan->list[i].target, needs);
    while (plan_pick(plan, false, now_us, &pick) == PICK_NOW) {
        EXPECT(can_take(pick.candidate->target, needs));
        EXPECT(pick.candidate->state == CANDIDATE_FRESH);
        pick.candidate->state = CANDIDATE_CLOSED;
        health_leave(&pick.pass, &(struct health_verdict){ .outcome = OK }, now_us / 1000);
        attempted++;
    }
    EXPECT_INT(attempted, able);
}

static void
disturb(const struct target *t, uint64_t now_us)
{
    struct load *load = health_load(t->health);
    struct load_sample sample = { .us = clock_random_u64() % 5000000 };

    load_note_time(load, &sample, now_us);
    load_note_speed(load, 100, 1 + clock_random_u64() % 5000000, now_us);
    load_note_requests(load, health_key_name(t->breakers->keys[0]),
        (int64_t)(clock_random_u64() % 2), 1000, now_us);
}

TEST(no_strategy_attempts_a_target_that_cannot_take_the_request)
{
    static const char *const targets = "[openai/gpt-5-nano, mistral/mistral-small-2506, "
                                       "groq/llama-3.3-70b-versatile, openai/gpt-4o-mini, "
                                       "deepinfra/deepseek-ai/DeepSeek-V4-Flash]";
    static const char *const strategies[] = { "priority", "weighted", "round_robin", "least_busy",
        "latency", "throughput", "cost", "score", "sticky", "learned" };
    struct arena *a = arena_create(16 * 1024 * 1024);

    clock_seed_for_tests(7);
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        char text[1024];
        (void)snprintf(text, sizeof(text),
            "providers:\n  openai: {api_key: k}\n  mistral: {api_key: k}\n  groq: {api_key: k}\n"
            "  deepinfra: {api_key: k}\n"
            "models: {m: {strategy: %s, targets: %s}}\n",
            strategies[i], targets);
        struct loaded l = load(str_c(text));
        struct providers *all = providers_create(l.conf, S(""), &l.problems);
        struct route_table *t = table_create(l.conf, all, &l.problems);
        struct arena_mark mark = arena_mark(a);

        EXPECT_STR(problem_lines(&l), "");
        for (uint64_t n = 0; n < 500; n++) {
            uint64_t now_us = 1000000 * SECOND + n * 100000;
            struct ask ask = { .arena = a,
                .known = ASK_NEEDS,
                .needs = { .bits =
                               (uint32_t)clock_random_u64() & (NEED_BIT(TOOLS) | NEED_BIT(IMAGES)),
                    .input_tokens = (int64_t)lognormal(30000, 2) },
                .op = OP_CHAT,
                .wire = &wire_openai_chat,
                .now_us = now_us,
                .wall_ms = now_us / 1000,
                .seed = n };
            struct route_found found;
            struct plan plan;
            struct str why;

            arena_rewind(a, mark);
            EXPECT(route_find(t, a, S("m"), &found, &why) == OK);
            if (route_plan(t, &found, &ask, &plan, &why) != OK)
                continue;
            disturb(plan.list[clock_random_u64() % plan.count].target, now_us);
            attempt_all(&plan, &ask.needs, now_us);
        }
        table_destroy(t);
        providers_destroy(all);
        unload(&l);
    }
    arena_destroy(a);
}

/* --- the page --- */

static const char *
page_path(void)
{
    static char path[1024];
    static const char here[] = "tests/unit/route/test_simulator.c";
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
                "run OPENCLAW_WRITE_DOCS=1 route_test_simulator, which makes the table of " PAGE
                "\n");
        EXPECT(str_eq(str_make(rest.p, n), buf_str(&table)));
    }
    buf_fini(&page);
    buf_fini(&table);
}
