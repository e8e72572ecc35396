/* replay.c - decides each line again, and adds up the differences. */
#include "app/replay.h"

#include <stdlib.h>

#include "app/explain_view.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/map.h"
#include "cli/output.h"
#include "gateway/choice.h"
#include "gateway/decide.h"
#include "gateway/endpoints.h"

#define LINE_ARENA_BYTES (64u * 1024 * 1024)
#define ROWS_MOST 10000    /* of a table; more names are one row, "(others)" */
#define SHOWN_MOST 30      /* of a table, for people */
#define NAME_BYTES 1200

/* What is counted of all lines, of an alias, of a pair of targets, of a reason. */
struct sums {
    uint64_t lines, moved, undecidable;
    uint64_t priced;                    /* of the lines whose cost is known in both cases, */
    int64_t was_nanousd, is_nanousd;    /* what they cost, and would have cost */
};

struct replay_row {
    struct str name;
    struct sums sums;
};

/* Rows by name, in the order in which they were found. */
struct table {
    struct map *by_name;
    struct replay_row *others;
};

struct replay {
    const struct snapshot *snapshot;
    struct rules_runner *rules;
    struct arena *arena;    /* of one line */
    struct map *endpoints;
    struct sums sums;
    uint64_t total, malformed, without;    /* without: a decision to be made again */
    struct table aliases, moves, reasons;
};

/* --- tables --- */

static struct replay_row *
row_of(struct table *t, struct str name)
{
    struct replay_row *r = map_get(t->by_name, name);

    if (r != NULL)
        return r;
    if (map_count(t->by_name) >= ROWS_MOST) {
        if (t->others != NULL)
            return t->others;
        name = S("(others)");
    }
    r = check_alloc(calloc(1, sizeof(*r)));
    r->name = str_c(str_dup_c(name));
    r->name.n = name.n;
    (void)map_put(t->by_name, r->name, r);
    if (map_count(t->by_name) > ROWS_MOST)
        t->others = r;
    return r;
}

static void
rows_free(struct table *t)
{
    size_t pos = 0;
    struct str name;
    void *value;

    while (map_next(t->by_name, &pos, &name, &value)) {
        struct replay_row *r = value;

        free((void *)(uintptr_t)r->name.p);
        free(r);
    }
    map_destroy(t->by_name);
}

static void
sums_add(struct sums *to, const struct sums *more)
{
    to->lines += more->lines;
    to->moved += more->moved;
    to->undecidable += more->undecidable;
    to->priced += more->priced;
    to->was_nanousd += more->was_nanousd;
    to->is_nanousd += more->is_nanousd;
}

static void
table_merge(struct table *to, const struct table *from)
{
    size_t pos = 0;
    struct str name;
    void *value;

    while (map_next(from->by_name, &pos, &name, &value))
        sums_add(&row_of(to, name)->sums, &((const struct replay_row *)value)->sums);
}

/* --- its life --- */

struct replay *
replay_create(const struct snapshot *s)
{
    struct replay *r = check_alloc(calloc(1, sizeof(*r)));

    r->snapshot = s;
    r->rules = rules_runner_create(s->rules);
    r->arena = arena_create_sized(LINE_ARENA_BYTES, 32 * 1024);
    r->endpoints = map_create();
    for (size_t i = 0; i < ENDPOINT_none; i++)
        (void)map_put(r->endpoints, str_c(endpoints[i].id), (void *)(uintptr_t)&endpoints[i]);
    r->aliases.by_name = map_create();
    r->moves.by_name = map_create();
    r->reasons.by_name = map_create();
    return r;
}

void
replay_destroy(struct replay *r)
{
    if (r == NULL)
        return;
    rows_free(&r->aliases);
    rows_free(&r->moves);
    rows_free(&r->reasons);
    map_destroy(r->endpoints);
    rules_runner_destroy(r->rules);
    arena_destroy(r->arena);
    free(r);
}

void
replay_merge(struct replay *r, const struct replay *part)
{
    sums_add(&r->sums, &part->sums);
    r->total += part->total;
    r->malformed += part->malformed;
    r->without += part->without;
    table_merge(&r->aliases, &part->aliases);
    table_merge(&r->moves, &part->moves);
    table_merge(&r->reasons, &part->reasons);
}

/* --- one line --- */

/* The members of a line that are read. */
enum log_member {
    TS,
    KIND,
    SHADOW_OF,
    KEY,
    CLIENT_IP,
    ENDPOINT,
    MODEL_REQUESTED,
    PROVIDER,
    MODEL,
    STREAM,
    ROUTE,
    COST,
    INPUT,
    CACHED,
    CACHE_WRITE,
    OUTPUT,
    REASONING,
    MEMBERS
};
static const struct str member_names[MEMBERS] = { S_INIT("ts"), S_INIT("kind"), S_INIT("shadow_of"),
    S_INIT("key"), S_INIT("client_ip"), S_INIT("endpoint"), S_INIT("model_requested"),
    S_INIT("provider"), S_INIT("model"), S_INIT("stream"), S_INIT("route"), S_INIT("cost_nanousd"),
    S_INIT("tokens_input"), S_INIT("tokens_cached"), S_INIT("tokens_cache_write"),
    S_INIT("tokens_output"), S_INIT("tokens_reasoning") };

/* In one pass: a line has about thirty members. */
static void
find_members(const struct json *doc, const struct json *ret[MEMBERS])
{
    struct json_iter it = json_iter(json_is(doc, JSON_OBJECT) ? doc : NULL);

    for (size_t i = 0; i < MEMBERS; i++)
        ret[i] = NULL;
    while (json_next(&it)) {
        for (size_t i = 0; i < MEMBERS; i++) {
            const struct str name = member_names[i];

            if (it.key->n == name.n + 2 && it.key->p[1] == name.p[0] && json_str_is(it.key, name)) {
                ret[i] = it.value;
                break;
            }
        }
    }
}

/* What a line says was decided, and what is decided now. */
struct review {
    struct explain_record record;
    bool canonical;        /* it came by OpenRouter's API */
    struct str asked;      /* the model */
    struct str was, is;    /* the target that is tried first: "provider/model"; or why there is none */
    const struct model_row *facts;    /* of what it is */
    const char *missing;              /* why it cannot be decided; NULL: it can */
};

#define REFUSED "(refused)"

static struct str
pair(struct arena *a, struct str provider, struct str model)
{
    return arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(provider), STR_ARG(model));
}

/* The ask of a line without a record: the target was named directly, and nothing else was looked at. */
static bool
read_direct(struct replay *r, const struct json *const *m, struct review *c)
{
    static const struct look_record nothing;
    const struct endpoint *e = map_get(r->endpoints, json_str(r->arena, m[ENDPOINT]));

    if (e == NULL || m[PROVIDER] == NULL)
        return false;    /* it was refused before there was anything to decide */
    c->record.ask =
        (struct ask){ .arena = r->arena, .op = e->op, .wire = e->wire, .book = &nothing };
    int64_t ended_ms = 0;
    if (clock_timestamp(json_str(r->arena, m[TS]), &ended_ms))
        c->record.ask.wall_ms = (uint64_t)MAX(ended_ms, 0);
    c->was = pair(r->arena, json_str(r->arena, m[PROVIDER]), json_str(r->arena, m[MODEL]));
    return true;
}

/* False: there is no decision in the line. */
static bool
read_case(struct replay *r, const struct json *const *m, struct review *c)
{
    const struct endpoint *e = map_get(r->endpoints, json_str(r->arena, m[ENDPOINT]));

    c->canonical = e != NULL && e->router;
    c->asked = json_str(r->arena, m[MODEL_REQUESTED]);
    if (m[KIND] != NULL || m[SHADOW_OF] != NULL || c->asked.n == 0)
        return false;    /* feedback, a copy of a request, or not for a model */
    if (m[ROUTE] == NULL) {
        if (!read_direct(r, m, c))
            return false;
    } else if (!explain_read(m[ROUTE], r->arena, &c->record)) {
        c->missing = "a record in a form that this version can read";
    } else if (c->record.partial) {
        c->missing = "what was too large to be recorded";
    }
    if (m[ROUTE] != NULL)
        c->was = c->record.count != 0 ? c->record.targets[0] : S(REFUSED);
    struct ask *ask = &c->record.ask;

    ask->model = c->asked;
    ask->key = json_str(r->arena, m[KEY]);
    ask->client_ip = json_str(r->arena, m[CLIENT_IP]);
    ask->stream = json_bool(m[STREAM], false);
    return true;
}

/* Who would be asking; NULL: the key is not in the configuration, which wants one. */
static const struct principal *
principal_of(const struct replay *r, struct str key)
{
    const struct principal *who = auth_named(r->snapshot->auth, key);

    return who == NULL && r->snapshot->conf->auth.mode == AUTH_NONE
               ? auth_named(r->snapshot->auth, S(""))
               : who;
}

static void
decide_again(struct replay *r, struct review *c)
{
    const struct principal *who = principal_of(r, c->record.ask.key);
    struct explain_decision decision;
    struct plan plan;
    struct str why;

    c->is = S(REFUSED);
    if (who == NULL || !auth_allows_model(who, c->asked))
        return;
    choice_limit(&c->record.ask, who);
    enum err e =
        decide(r->snapshot, r->rules, &c->record.ask, c->canonical, &plan, &decision, &why);
    c->missing = c->record.ask.missing;
    if (e != OK || plan.count == 0 || plan.list[0].excluded != EXCLUDED_NOT)
        return;
    const struct target *t = plan.list[0].target;
    c->is = pair(r->arena, t->provider->id, t->wire.model);
    c->facts = t->facts;
}

static void
read_usage(const struct json *const *m, struct llm_usage *ret)
{
    static const struct {
        enum log_member member;
        enum llm_count count;
    } rows[] = { { INPUT, COUNT_INPUT }, { CACHED, COUNT_CACHED },
        { CACHE_WRITE, COUNT_CACHE_WRITE }, { OUTPUT, COUNT_OUTPUT },
        { REASONING, COUNT_REASONING } };

    *ret = (struct llm_usage){ .known = 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (m[rows[i].member] != NULL)
            usage_set(ret, rows[i].count, json_i64(m[rows[i].member], 0));
}

/* What the line adds: to all, to its alias, to the pair of targets. */
static struct sums
judge(const struct json *const *m, const struct review *c, uint64_t wall_ms)
{
    struct sums sums = { .lines = 1 };
    int64_t was = json_i64(m[COST], COST_UNKNOWN), is = was;
    struct llm_usage usage;

    if (c->missing != NULL) {
        sums.undecidable = 1;
        return sums;
    }
    sums.moved = !str_eq(c->was, c->is);
    if (sums.moved != 0) {
        read_usage(m, &usage);
        is = model_cost_nanousd(
            c->facts, &usage, &(struct price_when){ .wall_s = (int64_t)(wall_ms / 1000) });
    }
    if (was >= 0 && is >= 0) {
        sums.priced = 1;
        sums.was_nanousd = was;
        sums.is_nanousd = is;
    }
    return sums;
}

void
replay_line(struct replay *r, struct str line)
{
    struct arena_mark mark = arena_mark(r->arena);
    const struct json *doc = json_parse(r->arena, line, NULL, NULL);
    const struct json *members[MEMBERS];
    struct review c = { .missing = NULL };
    char name[NAME_BYTES];

    r->total++;
    find_members(doc, members);
    if (!json_is(doc, JSON_OBJECT)) {
        r->malformed++;
    } else if (!read_case(r, members, &c)) {
        r->without++;
    } else {
        if (c.missing == NULL)
            decide_again(r, &c);
        struct sums sums = judge(members, &c, c.record.ask.wall_ms);

        sums_add(&r->sums, &sums);
        sums_add(&row_of(&r->aliases, c.asked)->sums, &sums);
        if (c.missing != NULL)
            sums_add(&row_of(&r->reasons, str_c(c.missing))->sums, &sums);
        if (sums.moved != 0 && c.was.n + c.is.n + 1 <= sizeof(name)) {
            memcpy(name, c.was.p, c.was.n);
            name[c.was.n] = '\n';
            memcpy(name + c.was.n + 1, c.is.p, c.is.n);
            sums_add(&row_of(&r->moves, str_make(name, c.was.n + 1 + c.is.n))->sums, &sums);
        }
    }
    arena_rewind(r->arena, mark);
}

/* --- the result --- */

static int
by_lines(const void *a, const void *b)
{
    const struct replay_row *const *left = a, *const *right = b;
    uint64_t n = (*left)->sums.lines, m = (*right)->sums.lines;

    return n != m ? (n < m ? 1 : -1) : str_cmp((*left)->name, (*right)->name);
}

/* The rows, those with most lines first; to be freed. */
static const struct replay_row **
sorted(const struct table *t, size_t *ret_count)
{
    const struct replay_row **list = check_alloc(calloc(map_count(t->by_name) + 1, sizeof(*list)));
    size_t pos = 0, n = 0;
    struct str name;
    void *value;

    while (map_next(t->by_name, &pos, &name, &value))
        list[n++] = value;
    qsort((void *)list, n, sizeof(*list), by_lines);
    *ret_count = n;
    return list;
}

static void
write_sums(struct json_out *o, const struct sums *s, bool reason)
{
    out_i64(o, "requests", (int64_t)s->lines);
    if (reason)
        return;
    out_i64(o, "moved", (int64_t)s->moved);
    out_i64(o, "undecidable", (int64_t)s->undecidable);
    out_i64(o, "priced", (int64_t)s->priced);
    out_i64(o, "cost_was_nanousd", s->was_nanousd);
    out_i64(o, "cost_is_nanousd", s->is_nanousd);
}

void
replay_write(const struct replay *r, struct buf *out)
{
    struct json_out o = json_out(out);
    const struct replay_row **rows;
    struct str from, to;
    size_t n;

    out_object(&o);
    out_i64(&o, "lines", (int64_t)r->total);
    out_i64(&o, "malformed", (int64_t)r->malformed);
    out_i64(&o, "without_decision", (int64_t)r->without);
    write_sums(&o, &r->sums, false);
    out_key_array(&o, "models");
    rows = sorted(&r->aliases, &n);
    for (size_t i = 0; i < n; i++) {
        out_object(&o);
        out_text(&o, "model", rows[i]->name);
        write_sums(&o, &rows[i]->sums, false);
        out_end(&o);
    }
    free((void *)rows);
    out_end_array(&o);
    out_key_array(&o, "moves");
    rows = sorted(&r->moves, &n);
    for (size_t i = 0; i < n; i++) {
        (void)str_cut(rows[i]->name, '\n', &from, &to);
        out_object(&o);
        out_text(&o, "from", from);
        out_text(&o, "to", to);
        write_sums(&o, &rows[i]->sums, false);
        out_end(&o);
    }
    free((void *)rows);
    out_end_array(&o);
    out_key_array(&o, "undecidable_for_lack_of");
    rows = sorted(&r->reasons, &n);
    for (size_t i = 0; i < n; i++) {
        out_object(&o);
        out_text(&o, "what", rows[i]->name);
        write_sums(&o, &rows[i]->sums, true);
        out_end(&o);
    }
    free((void *)rows);
    out_end_array(&o);
    out_end(&o);
    buf_add_c(out, '\n');
}

/* --- for people --- */

static double
percent(uint64_t part, uint64_t of)
{
    return of != 0 ? 100.0 * (double)part / (double)of : 0;
}

/* "$1.20 -> $0.90 (-25.0%)" */
static void
add_cost(struct buf *out, const struct sums *s)
{
    char was[EXPLAIN_MONEY_ROOM], is[EXPLAIN_MONEY_ROOM];

    if (s->priced == 0) {
        buf_add(out, S("not known"));
        return;
    }
    buf_printf(out, "%s -> %s", explain_view_money(s->was_nanousd, was),
        explain_view_money(s->is_nanousd, is));
    if (s->was_nanousd != 0)
        buf_printf(out, " (%+.1f%%)",
            100.0 * ((double)s->is_nanousd - (double)s->was_nanousd) / (double)s->was_nanousd);
}

static void
add_models(const struct replay *r, struct buf *out)
{
    size_t n;
    const struct replay_row **rows = sorted(&r->aliases, &n);

    buf_printf(out, "\n%-32s  %10s  %10s  %11s  %s\n", "MODEL", "REQUESTS", "ELSEWHERE",
        "UNDECIDABLE", "COST");
    for (size_t i = 0; i < MIN(n, (size_t)SHOWN_MOST); i++) {
        const struct sums *s = &rows[i]->sums;

        output_cell(out, rows[i]->name, 32);
        buf_printf(out, "%10llu  %10llu  %11llu  ", (unsigned long long)s->lines,
            (unsigned long long)s->moved, (unsigned long long)s->undecidable);
        add_cost(out, s);
        buf_add_c(out, '\n');
    }
    if (n > SHOWN_MOST)
        buf_printf(out, "and %zu more: --json has all\n", n - SHOWN_MOST);
    free((void *)rows);
}

static void
add_moves(const struct replay *r, struct buf *out)
{
    size_t n;
    const struct replay_row **rows = sorted(&r->moves, &n);
    struct str from, to;

    if (n != 0)
        buf_printf(out, "\n%-32s  %-32s  %10s  %s\n", "FROM", "TO", "REQUESTS", "COST");
    for (size_t i = 0; i < MIN(n, (size_t)SHOWN_MOST); i++) {
        (void)str_cut(rows[i]->name, '\n', &from, &to);
        output_cell(out, from, 32);
        output_cell(out, to, 32);
        buf_printf(out, "%10llu  ", (unsigned long long)rows[i]->sums.lines);
        add_cost(out, &rows[i]->sums);
        buf_add_c(out, '\n');
    }
    if (n > SHOWN_MOST)
        buf_printf(out, "and %zu more: --json has all\n", n - SHOWN_MOST);
    free((void *)rows);
}

static void
add_reasons(const struct replay *r, struct buf *out)
{
    size_t n;
    const struct replay_row **rows = sorted(&r->reasons, &n);

    if (n != 0)
        buf_add(out, S("\nundecidable, because it was not recorded:\n"));
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%10llu  ", (unsigned long long)rows[i]->sums.lines);
        log_add_visible(out, rows[i]->name);
        buf_add_c(out, '\n');
    }
    free((void *)rows);
}

void
replay_view(const struct replay *r, struct buf *out)
{
    const struct sums *s = &r->sums;

    buf_printf(out, "%llu lines: %llu requests were routed", (unsigned long long)r->total,
        (unsigned long long)s->lines);
    if (r->without != 0)
        buf_printf(out, ", %llu were not", (unsigned long long)r->without);
    if (r->malformed != 0)
        buf_printf(out, ", %llu are not JSON", (unsigned long long)r->malformed);
    buf_printf(out, "\n%llu (%.2f%%) would go elsewhere; %llu (%.2f%%) cannot be decided\n",
        (unsigned long long)s->moved, percent(s->moved, s->lines),
        (unsigned long long)s->undecidable, percent(s->undecidable, s->lines));
    buf_add(out, S("cost: "));
    add_cost(out, s);
    if (s->priced != s->lines - s->undecidable)
        buf_printf(
            out, ", of the %llu whose cost is known in both cases", (unsigned long long)s->priced);
    buf_add_c(out, '\n');
    add_models(r, out);
    add_moves(r, out);
    add_reasons(r, out);
}
