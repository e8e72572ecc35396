/* usage.c - reads the roll-ups, and the ledger's rows where those are not fine enough. */
#include "store/usage.h"

#include <stdlib.h>

#include "base/map.h"

#define KEY_BYTES 2048u

#define SUM(name) ", " #name
#define COUNT(name) ", " #name
#define LABEL(name, column) ", " #column

static const char select_labels[] = "SELECT id" LEDGER_LABELS(LABEL) " FROM usage_labels";

static const char select_cube[] = "SELECT start_ms, label" LEDGER_SUMS(
    SUM) " FROM usage_cube WHERE span = ?1 AND start_ms >= ?2 AND start_ms < ?3";

/* The same of some labels. */
#define ONLY(name, number, column) "(?" #number " = '' OR " #column " = ?" #number ")"
static const char select_some[] = "SELECT start_ms, label" LEDGER_SUMS(
    SUM) " FROM usage_cube WHERE span = ?1 AND start_ms >= ?2 AND start_ms < ?3 AND label IN "
         "(SELECT id FROM usage_labels WHERE " ONLY(key, 4, key_id) " AND " ONLY(
             user, 5, user_id) " AND " ONLY(team, 6, team_id) " AND " ONLY(project, 7,
             project_id) " AND " ONLY(org, 8, org_id) " AND " ONLY(model, 9,
             model) " AND " ONLY(provider, 10, provider) " AND " ONLY(endpoint, 11,
             endpoint) " AND " ONLY(environment, 12, environment) ")";

static const char select_values[] = "SELECT start_ms, value" LEDGER_SUMS(
    SUM) " FROM usage_values WHERE kind = ?1 AND span = ?2 AND start_ms >= ?3 AND start_ms < ?4 "
         "AND (?5 = '' OR value = ?5)";

static const char select_rows[] =
    "SELECT ended_ms, label, session, tags, kind, flags, error, cost_nanousd, outrun_nanousd, "
    "judge_nanousd" LEDGER_COUNTS(COUNT) " FROM ledger WHERE ended_ms >= ?1 AND ended_ms < ?2";

#undef SUM
#undef COUNT
#undef LABEL

/* A label, and the group's name without the time. */
struct read_label {
    struct str texts[LEDGER_LABEL_DIMS];
    struct str name;
    bool wanted;
};

struct usage_reading {
    struct store *store;
    const struct ledger_query *q;
    struct arena *arena;
    struct map *labels;    /* by their 8 bytes; only where they are needed */
    struct map *groups;
    bool many;
    bool alone;                     /* the query is about one dimension, or none */
    enum ledger_dim dim;            /* that one; LEDGER_DIMS: none */
    uint64_t since_ms, until_ms;    /* whole hours */
    uint64_t starts_ms, ends_ms;    /* of the time that was last looked for */
};

/* --- what a query is about --- */

static unsigned
used_dims(const struct ledger_query *q)
{
    unsigned dims = q->by;

    for (unsigned i = 0; i < LEDGER_DIMS; i++)
        if (q->only[i].n != 0)
            dims |= 1u << i;
    return dims;
}

const char *
ledger_query_fault(const struct ledger_query *q)
{
    unsigned dims = used_dims(q), loose = 1u << LEDGER_tag | 1u << LEDGER_session;

    if (q->since_ms >= q->until_ms)
        return "the time ends before it begins";
    if ((dims & loose) != 0 && (dims & (dims - 1)) != 0)
        return "tags and sessions are summed up by themselves: they cannot be combined with others, "
               "only with a time";
    return NULL;
}

static bool
is_utc(const struct ledger_query *q)
{
    return q->zone == NULL || q->zone == zone_find(S("UTC"));
}

/* --- times --- */

static uint64_t
floor_to(uint64_t ms, uint64_t span)
{
    return ms - ms % span;
}

static uint64_t
ceil_to(uint64_t ms, uint64_t span)
{
    return floor_to(ms + span - 1, span);
}

/* When the hour, day, ... of that moment begins. */
static uint64_t
starts_at(struct usage_reading *r, uint64_t ms)
{
    static const enum zone_period periods[] = {
        [LEDGER_DAY] = ZONE_DAY, [LEDGER_WEEK] = ZONE_WEEK, [LEDGER_MONTH] = ZONE_MONTH
    };
    int64_t begins, ends;

    if (r->q->time == LEDGER_ALL)
        return 0;
    if (r->q->time == LEDGER_HOUR)
        return floor_to(ms, LEDGER_HOUR_MS);
    if (ms < r->starts_ms || ms >= r->ends_ms) {
        const struct zone *z = r->q->zone != NULL ? r->q->zone : zone_find(S("UTC"));

        zone_period(z, periods[r->q->time], (int64_t)(ms / 1000), &begins, &ends);
        r->starts_ms = (uint64_t)MAX(begins, 0) * 1000;
        r->ends_ms = (uint64_t)ends * 1000;
    }
    return r->starts_ms;
}

/* Do two days share that hour? */
static bool
is_cut(struct usage_reading *r, uint64_t hour_ms)
{
    return starts_at(r, hour_ms) != starts_at(r, hour_ms + LEDGER_HOUR_MS - 1);
}

/* --- groups --- */

static struct ledger_group *
find_group(struct usage_reading *r, uint64_t starts_ms, struct str name)
{
    char key[KEY_BYTES];
    size_t n = MIN(name.n, sizeof(key) - sizeof(starts_ms));

    memcpy(key, &starts_ms, sizeof(starts_ms));
    if (n != 0)
        memcpy(key + sizeof(starts_ms), name.p, n);
    struct str k = str_make(key, sizeof(starts_ms) + n);
    struct ledger_group *g = map_get(r->groups, k);

    if (g != NULL)
        return g;
    r->many = r->many || map_count(r->groups) == LEDGER_GROUPS_MOST;
    if (r->many)
        return NULL;
    g = arena_new(r->arena, struct ledger_group);
    g->starts_ms = starts_ms;
    (void)map_put(r->groups, k, g);
    return g;
}

static void
add_alone(struct usage_reading *r, uint64_t at_ms, struct str value, const struct ledger_sums *sums)
{
    bool named = r->dim != LEDGER_DIMS && (r->q->by & 1u << r->dim) != 0;
    struct ledger_group *g = find_group(r, starts_at(r, at_ms), named ? value : S(""));

    if (g == NULL)
        return;
    if (named && g->values[r->dim].p == NULL)
        g->values[r->dim] = arena_str(r->arena, value);
    ledger_add_sums(&g->sums, sums);
}

static void
add_labelled(struct usage_reading *r, uint64_t at_ms, const struct read_label *l,
    const struct ledger_sums *sums)
{
    struct ledger_group *g = find_group(r, starts_at(r, at_ms), l->name);

    if (g == NULL)
        return;
    for (unsigned i = 0; i < LEDGER_LABEL_DIMS; i++)
        if ((r->q->by & 1u << i) != 0)
            g->values[i] = l->texts[i];
    ledger_add_sums(&g->sums, sums);
}

/* --- labels --- */

static void
on_label(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct usage_reading *r = ctx;
    struct read_label *l = arena_new(r->arena, struct read_label);
    struct str name = S("");

    l->wanted = true;
    for (unsigned i = 0; i < LEDGER_LABEL_DIMS; i++) {
        l->texts[i] = arena_str(r->arena, row[1 + i].s);
        if (r->q->only[i].n != 0)
            l->wanted = l->wanted && str_eq(r->q->only[i], l->texts[i]);
        if ((r->q->by & 1u << i) != 0)
            name =
                arena_printf(r->arena, STR_FMT STR_FMT "\n", STR_ARG(name), STR_ARG(l->texts[i]));
    }
    l->name = name;
    (void)map_put(r->labels, str_make((const char *)&row[0].i, sizeof(row[0].i)), l);
}

static const struct read_label *
label_named(const struct usage_reading *r, int64_t id)
{
    return map_get(r->labels, str_make((const char *)&id, sizeof(id)));
}

/* --- rows of roll-ups --- */

static void
read_sums(const struct store_value *row, struct ledger_sums *ret)
{
    size_t i = 0;

#define SUM(name) ret->name = row[i++].i;
    LEDGER_SUMS(SUM)
#undef SUM
}

static void
on_value(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct usage_reading *r = ctx;
    struct ledger_sums sums;

    if (is_cut(r, (uint64_t)row[0].i))
        return;    /* its rows are read one by one */
    read_sums(row + 2, &sums);
    add_alone(r, (uint64_t)row[0].i, row[1].s, &sums);
}

static void
on_cell(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct usage_reading *r = ctx;
    const struct read_label *l = label_named(r, row[1].i);
    struct ledger_sums sums;

    if (l == NULL || !l->wanted || is_cut(r, (uint64_t)row[0].i))
        return;
    read_sums(row + 2, &sums);
    add_labelled(r, (uint64_t)row[0].i, l, &sums);
}

static enum store_result
read_span(struct usage_reading *r, enum ledger_span span, uint64_t from_ms, uint64_t to_ms)
{
    const struct ledger_query *q = r->q;
    struct store_value v[3 + LEDGER_LABEL_DIMS];
    size_t n = 0;
    bool some = false;

    if (from_ms >= to_ms)
        return STORE_OK;
    if (r->alone)
        v[n++] = store_i64(r->dim == LEDGER_DIMS ? LEDGER_KIND_ALL : (int64_t)r->dim + 1);
    v[n++] = store_i64(span);
    v[n++] = store_i64((int64_t)from_ms);
    v[n++] = store_i64((int64_t)to_ms);
    if (r->alone) {
        v[n++] = store_text(r->dim == LEDGER_DIMS ? S("") : q->only[r->dim]);
        return store_run(r->store, select_values, v, n, on_value, r);
    }
    for (unsigned i = 0; i < LEDGER_LABEL_DIMS; i++) {
        v[n++] = store_text(q->only[i]);
        some = some || q->only[i].n != 0;
    }
    return store_run(r->store, some ? select_some : select_cube, v, some ? n : 3, on_cell, r);
}

/* --- rows of the ledger --- */

static void
add_tags(struct usage_reading *r, uint64_t at_ms, struct str tags, const struct ledger_sums *sums)
{
    struct str only = r->q->only[LEDGER_tag], tag;

    if (tags.n == 0 && only.n == 0)
        add_alone(r, at_ms, S(""), sums);
    while (ledger_next_tag(&tags, &tag))
        if (only.n == 0 || str_eq(tag, only))
            add_alone(r, at_ms, tag, sums);
}

static void
on_row(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct usage_reading *r = ctx;
    const struct read_label *l = label_named(r, row[1].i);
    uint64_t at_ms = (uint64_t)row[0].i;
    int64_t counts[JOURNAL_COUNTS] = { 0 };
    struct ledger_sums sums = { 0 };

    for (unsigned i = 0; i < LEDGER_COUNT_COLUMNS; i++)
        counts[i] = row[10 + i].type == STORE_I64 ? row[10 + i].i : 0;
    ledger_sum_up(&sums, &(struct ledger_entry){ .kind = (enum journal_kind)row[4].i,
                             .flags = (uint32_t)row[5].i,
                             .failed = row[6].type == STORE_TEXT,
                             .counts = counts,
                             .cost_nanousd = row[7].type == STORE_I64 ? row[7].i : 0,
                             .outrun_nanousd = row[8].i,
                             .judge_nanousd = row[9].i });
    if (r->dim == LEDGER_tag) {
        add_tags(r, at_ms, row[3].s, &sums);
    } else if (r->dim == LEDGER_session) {
        if (r->q->only[LEDGER_session].n == 0 || str_eq(r->q->only[LEDGER_session], row[2].s))
            add_alone(r, at_ms, row[2].s, &sums);
    } else if (l != NULL && l->wanted) {
        if (r->alone)
            add_alone(r, at_ms, r->dim == LEDGER_DIMS ? S("") : l->texts[r->dim], &sums);
        else
            add_labelled(r, at_ms, l, &sums);
    }
}

static enum store_result
read_rows(struct usage_reading *r, uint64_t from_ms, uint64_t to_ms)
{
    const struct store_value v[] = { store_i64((int64_t)from_ms), store_i64((int64_t)to_ms) };

    return from_ms < to_ms ? store_run(r->store, select_rows, v, ARRAY_LEN(v), on_row, r)
                           : STORE_OK;
}

/* --- a query --- */

/* The hours that days of the zone share. */
static enum store_result
read_cut_hours(struct usage_reading *r)
{
    enum store_result e = STORE_OK;
    bool by_day = r->q->time != LEDGER_ALL && r->q->time != LEDGER_HOUR;

    if (!by_day || is_utc(r->q))
        return STORE_OK;
    for (uint64_t at = r->since_ms; e == STORE_OK && at < r->until_ms;) {
        (void)starts_at(r, at);
        uint64_t ends_ms = r->ends_ms, hour_ms = floor_to(ends_ms, LEDGER_HOUR_MS);

        if (hour_ms != ends_ms && hour_ms >= r->since_ms && hour_ms < r->until_ms)
            e = read_rows(r, hour_ms, hour_ms + LEDGER_HOUR_MS);
        at = ends_ms;
    }
    return e;
}

/* Whole days of the roll-ups where the query does not cut them, and hours before and after. */
static enum store_result
read_whole(struct usage_reading *r)
{
    uint64_t first = ceil_to(r->since_ms, LEDGER_DAY_MS);
    uint64_t last = floor_to(r->until_ms, LEDGER_DAY_MS);
    bool days = r->q->time == LEDGER_ALL || (r->q->time != LEDGER_HOUR && is_utc(r->q));

    if (!days || first >= last)
        return read_span(r, LEDGER_SPAN_HOUR, r->since_ms, r->until_ms);
    enum store_result e = read_span(r, LEDGER_SPAN_HOUR, r->since_ms, first);
    if (e == STORE_OK)
        e = read_span(r, LEDGER_SPAN_DAY, first, last);
    if (e == STORE_OK)
        e = read_span(r, LEDGER_SPAN_HOUR, last, r->until_ms);
    return e;
}

static enum store_result
read_all(struct usage_reading *r)
{
    const struct ledger_query *q = r->q;
    enum store_result e = STORE_OK;

    r->since_ms = ceil_to(q->since_ms, LEDGER_HOUR_MS);
    r->until_ms = floor_to(q->until_ms, LEDGER_HOUR_MS);
    bool odd = r->since_ms != q->since_ms || r->until_ms != q->until_ms || !is_utc(q);
    if (!r->alone || odd)
        e = store_run(r->store, select_labels, NULL, 0, on_label, r);
    if (e != STORE_OK)
        return e;
    if (r->since_ms > r->until_ms)
        return read_rows(r, q->since_ms, q->until_ms);
    e = read_rows(r, q->since_ms, r->since_ms);
    if (e == STORE_OK)
        e = read_rows(r, r->until_ms, q->until_ms);
    if (e == STORE_OK)
        e = read_whole(r);
    if (e == STORE_OK)
        e = read_cut_hours(r);
    return e;
}

static int
by_time_and_money(const void *a, const void *b)
{
    const struct ledger_group *x = a, *y = b;
    int64_t m = ledger_spent_nanousd(&x->sums), n = ledger_spent_nanousd(&y->sums);

    if (x->starts_ms != y->starts_ms)
        return x->starts_ms < y->starts_ms ? -1 : 1;
    if (m != n)
        return m > n ? -1 : 1;
    for (unsigned i = 0; i < LEDGER_DIMS; i++)
        if (!str_eq(x->values[i], y->values[i]))
            return str_cmp(x->values[i], y->values[i]);
    return 0;
}

static void
collect_groups(const struct usage_reading *r, struct ledger_usage *ret)
{
    size_t at = 0;
    struct str key;
    void *value;

    ret->groups = arena_array(r->arena, struct ledger_group, MAX(map_count(r->groups), 1));
    while (map_next(r->groups, &at, &key, &value)) {
        ret->groups[ret->count++] = *(struct ledger_group *)value;
        ledger_add_sums(&ret->total, &((struct ledger_group *)value)->sums);
    }
    qsort(ret->groups, ret->count, sizeof(*ret->groups), by_time_and_money);
}

/* Requests with several tags are in several groups. */
static enum store_result
read_total(struct store *s, struct arena *a, const struct ledger_query *q, struct ledger_usage *ret)
{
    const struct ledger_query all = { .since_ms = q->since_ms, .until_ms = q->until_ms };
    struct ledger_usage usage;
    bool many;
    enum store_result e = ledger_usage(s, a, &all, &usage, &many);

    ret->total = usage.total;
    return e;
}

enum store_result
ledger_usage(struct store *s, struct arena *a, const struct ledger_query *q,
    struct ledger_usage *ret, bool *ret_many)
{
    unsigned dims = used_dims(q);
    struct usage_reading r = { .store = s,
        .q = q,
        .arena = a,
        .labels = map_create(),
        .groups = map_create(),
        .alone = (dims & (dims - 1)) == 0,
        .dim = dims != 0 ? (enum ledger_dim)__builtin_ctz(dims) : LEDGER_DIMS };

    CHECK(ledger_query_fault(q) == NULL);
    *ret = (struct ledger_usage){ .count = 0 };
    enum store_result e = read_all(&r);
    *ret_many = r.many;
    if (e == STORE_OK && !r.many)
        collect_groups(&r, ret);
    map_destroy(r.labels);
    map_destroy(r.groups);
    if (e != STORE_OK || r.many)
        return e == STORE_OK ? STORE_FULL : e;
    return dims == 1u << LEDGER_tag && q->only[LEDGER_tag].n == 0 ? read_total(s, a, q, ret)
                                                                  : STORE_OK;
}
