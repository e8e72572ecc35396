/* ledger.c - writes what journals hold into the ledger, and into its roll-ups. */
#include "store/ledger.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/map.h"

#define BATCH_ROWS 2048u
#define RINGS_MOST 512u
#define ADOPT_MS 10000        /* how often rings of dead processes are looked for */
#define VALUES_MOST 500u      /* that callers make up, of one dimension in one hour */
#define LABELS_MOST 20000u    /* that are remembered as written */
#define OTHER S("(other)")

const struct str ledger_dims[LEDGER_DIMS] = {
#define LABEL(name, column) [LEDGER_##name] = S_INIT(#name),
    LEDGER_LABELS(LABEL)
#undef LABEL
        [LEDGER_tag] = S_INIT("tag"),
    [LEDGER_session] = S_INIT("session"),
};

/* Values of one dimension that were seen in an hour: those of callers are bounded, so that roll-ups
 * stay small. The rows of the ledger keep what was said. */
struct ledger_bound {
    uint64_t hour_ms;
    struct map *seen;
};

/* What a row says in texts. */
struct label {
    int64_t id;
    struct str texts[LEDGER_LABEL_DIMS];
    struct label *next;      /* that may not be in the store yet */
    struct label *rolled;    /* what it counts as in roll-ups */
    uint64_t rolled_hour_ms;
};

/* Sums to be added to a row of the roll-ups. */
struct cell {
    int kind;    /* of usage_values, or CUBE */
    enum ledger_span span;
    uint64_t start_ms;
    const struct label *label;    /* of the cube */
    struct str value;
    struct ledger_sums sums;
};

struct ledger {
    char *folder;
    struct journal *own[RINGS_MOST];
    size_t own_count;
    struct journal *adopted;    /* one after the other; NULL: none is known of */
    uint64_t adopt_ms;          /* when to look again; clock_now_ms() */
    unsigned foreign;           /* files that were complained of */
    bool doubt;                 /* it is not known whether the last batch was committed */
    struct arena *label_arena;
    struct map *labels;         /* by their texts: those of late */
    struct label *unwritten;    /* of them, those that may not be in the store yet */
    struct ledger_bound bounds[LEDGER_DIMS];
    _Atomic uint64_t rows, recovered, estimated, unreadable, busy_us;
};

/* --- statements --- */

enum { CUBE = -1, LABEL_ARGS = 1 + LEDGER_LABEL_DIMS, ROW_ARGS = 31, SUMS = 15 };

_Static_assert(
    SUMS == sizeof(struct ledger_sums) / sizeof(int64_t), "the statements name all sums");

#define LABEL(name, column) ", " #column
#define COUNT(name) ", " #name
#define SUM(name) ", " #name

static const char insert_label[] = "INSERT INTO usage_labels (id" LEDGER_LABELS(
    LABEL) ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";

/* A row that is there already is a conflict: then nothing of the batch may be added to the sums. */
static const char insert_row[] =
    "INSERT INTO ledger (ring, number, request_id, kind, began_ms, "
    "ended_ms, label, asked, session, tags, status, error, flags, attempts" LEDGER_COUNTS(
        COUNT) ", cost_nanousd, outrun_nanousd, judge_nanousd, reserved_nanousd, first_token_us, duration_us) "
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, "
               "?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)";

static const char select_numbers[] =
    "SELECT number FROM ledger WHERE ring = ?1 AND number >= ?2 AND number <= ?3";

static const char upsert_cube[] = "INSERT INTO usage_cube (span, start_ms, label" LEDGER_SUMS(
    SUM) ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) "
         "ON CONFLICT (span, start_ms, label) DO UPDATE SET span = excluded.span"
#define GROW(name) ", " #name " = usage_cube." #name " + excluded." #name
    LEDGER_SUMS(GROW);
#undef GROW

static const char upsert_value[] =
    "INSERT INTO usage_values (kind, span, start_ms, value" LEDGER_SUMS(
        SUM) ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) "
             "ON CONFLICT (kind, span, start_ms, value) DO UPDATE SET span = excluded.span"
#define GROW(name) ", " #name " = usage_values." #name " + excluded." #name
    LEDGER_SUMS(GROW);
#undef GROW

#undef LABEL
#undef COUNT
#undef SUM

/* --- sums --- */

void
ledger_add_sums(struct ledger_sums *sums, const struct ledger_sums *more)
{
#define SUM(name) sums->name += more->name;
    LEDGER_SUMS(SUM)
#undef SUM
}

void
ledger_sum_up(struct ledger_sums *sums, const struct ledger_entry *e)
{
    bool shadow = e->kind == JOURNAL_SHADOW, request = e->kind == JOURNAL_EXCHANGE;

    sums->requests += request;
    sums->failed += request && e->failed;
    sums->estimated += (e->flags & JOURNAL_ESTIMATED) != 0;
    sums->unpriced += (e->flags & JOURNAL_UNPRICED) != 0;
    sums->input += e->counts[LEDGER_COUNT_input];
    sums->cached += e->counts[LEDGER_COUNT_cached];
    sums->cache_write += e->counts[LEDGER_COUNT_cache_write];
    sums->output += e->counts[LEDGER_COUNT_output];
    sums->reasoning += e->counts[LEDGER_COUNT_reasoning];
    sums->audio_input += e->counts[LEDGER_COUNT_audio_input];
    sums->audio_output += e->counts[LEDGER_COUNT_audio_output];
    sums->cost_nanousd += shadow ? 0 : e->cost_nanousd;
    sums->shadow_nanousd += shadow ? e->cost_nanousd : 0;
    sums->outrun_nanousd += e->outrun_nanousd;
    sums->judge_nanousd += e->judge_nanousd;
}

bool
ledger_next_tag(struct str *tags, struct str *ret)
{
    if (tags->n == 0)
        return false;
    (void)str_cut(*tags, ',', ret, tags);
    return true;
}

/* --- labels --- */

static int64_t
label_id(const struct str *texts)
{
    struct str pieces[2 * LEDGER_LABEL_DIMS];
    uint32_t lengths[LEDGER_LABEL_DIMS];
    uint8_t hash[DIGEST_SHA256_BYTES];
    uint64_t id = 0;

    for (size_t i = 0; i < LEDGER_LABEL_DIMS; i++) {
        lengths[i] = (uint32_t)texts[i].n;
        pieces[2 * i] = str_make((const char *)&lengths[i], sizeof(lengths[i]));
        pieces[2 * i + 1] = texts[i];
    }
    digest_sha256_pieces(pieces, ARRAY_LEN(pieces), hash);
    for (size_t i = 0; i < sizeof(id); i++)
        id = id << 8 | hash[i];
    return (int64_t)(id >> 1);
}

static void
forget_labels(struct ledger *l)
{
    map_destroy(l->labels);
    l->labels = map_create();
    arena_reset(l->label_arena);
    l->unwritten = NULL;
}

/* The label of those texts; the same for all programs that write to the store. */
static struct label *
find_label(struct ledger *l, const struct str *texts)
{
    char key[LEDGER_LABEL_DIMS * 2 + JOURNAL_BEGUN_BYTES + JOURNAL_END_BYTES];
    size_t at = 0;

    for (size_t i = 0; i < LEDGER_LABEL_DIMS; i++) {
        uint16_t n = (uint16_t)texts[i].n;

        memcpy(key + at, &n, sizeof(n));
        at += sizeof(n);
        if (n != 0)
            memcpy(key + at, texts[i].p, n);
        at += n;
    }
    struct str k = str_make(key, at);
    struct label *label = map_get(l->labels, k);
    if (label != NULL)
        return label;
    label = arena_new(l->label_arena, struct label);
    label->id = label_id(texts);
    for (size_t i = 0; i < LEDGER_LABEL_DIMS; i++)
        label->texts[i] = arena_str(l->label_arena, texts[i]);
    label->next = l->unwritten;
    l->unwritten = label;
    (void)map_put(l->labels, k, label);
    return label;
}

/* --- values that callers make up --- */

static struct str
bounded(struct ledger *l, enum ledger_dim dim, uint64_t hour_ms, struct str value)
{
    struct ledger_bound *b = &l->bounds[dim];
    static char present;

    if (hour_ms > b->hour_ms) {
        map_destroy(b->seen);
        b->seen = map_create();
        b->hour_ms = hour_ms;
    }
    if (hour_ms < b->hour_ms || value.n == 0 || map_get(b->seen, value) != NULL)
        return value;
    if (map_count(b->seen) >= VALUES_MOST)
        return OTHER;
    (void)map_put(b->seen, value, &present);
    return value;
}

/* What the label counts as in roll-ups. */
static struct label *
rolled(struct ledger *l, struct label *label, uint64_t hour_ms)
{
    if (label->rolled != NULL && label->rolled_hour_ms == hour_ms)
        return label->rolled;
    struct str texts[LEDGER_LABEL_DIMS];

    memcpy(texts, label->texts, sizeof(texts));
    texts[LEDGER_model] = bounded(l, LEDGER_model, hour_ms, texts[LEDGER_model]);
    label->rolled =
        str_eq(texts[LEDGER_model], label->texts[LEDGER_model]) ? label : find_label(l, texts);
    label->rolled_hour_ms = hour_ms;
    return label->rolled;
}

/* --- a batch --- */

struct batch {
    struct ledger *ledger;
    struct arena *arena;
    struct map *cells;
    struct store_value *rows;    /* ROW_ARGS each */
    size_t row_count;
    uint64_t recovered, estimated;
    struct ledger_sums plain;    /* of rows without session and tags, of that hour */
    uint64_t plain_hour_ms;
    bool there[BATCH_ROWS];    /* in the ledger already */
};

static struct cell *
find_cell(struct batch *b, const struct cell *like)
{
    char key[32 + 256];
    int64_t head[4] = { like->kind, like->span, (int64_t)like->start_ms,
        like->label != NULL ? like->label->id : 0 };
    size_t n = MIN(like->value.n, 256);

    memcpy(key, head, sizeof(head));
    if (n != 0)
        memcpy(key + sizeof(head), like->value.p, n);
    struct cell *c = map_get(b->cells, str_make(key, sizeof(head) + n));
    if (c != NULL)
        return c;
    c = arena_new(b->arena, struct cell);
    *c = *like;
    (void)map_put(b->cells, str_make(key, sizeof(head) + n), c);
    return c;
}

static void
add_value(
    struct batch *b, int kind, uint64_t hour_ms, struct str value, const struct ledger_sums *sums)
{
    struct cell like = {
        .kind = kind, .span = LEDGER_SPAN_HOUR, .start_ms = hour_ms, .value = value
    };

    ledger_add_sums(&find_cell(b, &like)->sums, sums);
    like.span = LEDGER_SPAN_DAY;
    like.start_ms -= hour_ms % LEDGER_DAY_MS;
    ledger_add_sums(&find_cell(b, &like)->sums, sums);
}

static void
flush_plain(struct batch *b)
{
    if (b->plain_hour_ms == 0)
        return;
    add_value(b, LEDGER_session + 1, b->plain_hour_ms, S(""), &b->plain);
    add_value(b, LEDGER_tag + 1, b->plain_hour_ms, S(""), &b->plain);
    b->plain = (struct ledger_sums){ 0 };
}

/* Adds a row to the cells of the cube, and of what is in no label. */
static void
roll_up(struct batch *b, struct label *label, const struct journal_row *r)
{
    uint64_t hour_ms = r->end.wall_ms - r->end.wall_ms % LEDGER_HOUR_MS;
    struct cell like = {
        .kind = CUBE, .start_ms = hour_ms, .label = rolled(b->ledger, label, hour_ms)
    };
    struct ledger_sums sums = { 0 };
    struct str tag, tags = r->begun.tags;

    ledger_sum_up(&sums, &(struct ledger_entry){
                             .kind = r->begun.kind,
                             .flags = r->end.flags,
                             .failed = r->end.error.n != 0,
                             .counts = r->end.counts,
                             .cost_nanousd = r->end.cost_nanousd,
                             .outrun_nanousd = r->end.outrun_nanousd,
                             .judge_nanousd = r->end.judge_nanousd,
                         });
    ledger_add_sums(&find_cell(b, &like)->sums, &sums);
    if (r->begun.session.n == 0 && tags.n == 0) {    /* most have neither */
        if (hour_ms != b->plain_hour_ms)
            flush_plain(b);
        b->plain_hour_ms = hour_ms;
        ledger_add_sums(&b->plain, &sums);
        return;
    }
    add_value(b, LEDGER_session + 1, hour_ms,
        bounded(b->ledger, LEDGER_session, hour_ms, r->begun.session), &sums);
    if (tags.n == 0)
        add_value(b, LEDGER_tag + 1, hour_ms, S(""), &sums);
    while (ledger_next_tag(&tags, &tag))
        add_value(b, LEDGER_tag + 1, hour_ms, bounded(b->ledger, LEDGER_tag, hour_ms, tag), &sums);
}

/* From the cells of the cube, by hour, to those by one text of their labels, and to days. */
static void
fan_out(struct batch *b)
{
    size_t at = 0, count = 0;
    struct cell **list = arena_array(b->arena, struct cell *, map_count(b->cells));
    struct str key;
    void *value;

    while (map_next(b->cells, &at, &key, &value))
        if (((struct cell *)value)->kind == CUBE)
            list[count++] = value;
    for (size_t i = 0; i < count; i++) {
        const struct cell *c = list[i];
        struct cell day = { .kind = CUBE,
            .span = LEDGER_SPAN_DAY,
            .start_ms = c->start_ms - c->start_ms % LEDGER_DAY_MS,
            .label = c->label };

        ledger_add_sums(&find_cell(b, &day)->sums, &c->sums);
        add_value(b, LEDGER_KIND_ALL, c->start_ms, S(""), &c->sums);
        for (int dim = 0; dim < LEDGER_LABEL_DIMS; dim++)
            add_value(b, dim + 1, c->start_ms, c->label->texts[dim], &c->sums);
    }
}

/* The arguments of insert_row. */
static void
put_row(struct batch *b, const struct label *label, const struct journal_row *r)
{
    struct store_value *v = &b->rows[b->row_count++ * ROW_ARGS];
    const struct journal_end *e = &r->end;
    size_t n = 0;

    v[n++] = store_i64(r->ring);
    v[n++] = store_i64(r->number);
    v[n++] = store_text(r->begun.request_id);
    v[n++] = store_i64(r->begun.kind);
    v[n++] = store_i64((int64_t)r->begun.wall_ms);
    v[n++] = store_i64((int64_t)e->wall_ms);
    v[n++] = store_i64(label->id);
    v[n++] = store_text(r->begun.asked);
    v[n++] = store_text(r->begun.session);
    v[n++] = store_text(r->begun.tags);
    v[n++] = e->status != 0 ? store_i64(e->status) : store_null();
    v[n++] = store_text_or_null(e->error);
    v[n++] = store_i64(e->flags);
    v[n++] = store_i64(e->attempts);
    for (unsigned i = 0; i < LEDGER_COUNT_COLUMNS; i++)
        v[n++] = (e->known & 1u << i) != 0 ? store_i64(e->counts[i]) : store_null();
    v[n++] = (e->flags & JOURNAL_UNPRICED) != 0 ? store_null() : store_i64(e->cost_nanousd);
    v[n++] = store_i64(e->outrun_nanousd);
    v[n++] = store_i64(e->judge_nanousd);
    v[n++] = store_i64(r->begun.reserved_nanousd);
    v[n++] = e->first_token_us >= 0 ? store_i64(e->first_token_us) : store_null();
    v[n++] = e->duration_us >= 0 ? store_i64(e->duration_us) : store_null();
    CHECK(n == ROW_ARGS);
}

static struct label *
label_of(struct ledger *l, const struct journal_row *r)
{
    const struct str texts[LEDGER_LABEL_DIMS] = {
        [LEDGER_key] = r->begun.key,
        [LEDGER_user] = r->begun.user,
        [LEDGER_team] = r->begun.team,
        [LEDGER_project] = r->begun.project,
        [LEDGER_org] = r->begun.org,
        [LEDGER_model] = r->end.model,
        [LEDGER_provider] = r->end.provider,
        [LEDGER_endpoint] = r->begun.endpoint,
        [LEDGER_environment] = r->begun.environment,
    };

    return find_label(l, texts);
}

/* --- writing a batch --- */

/* In the order in which all programs write them, so that two never wait for each other. */
static int
by_place(const void *a, const void *b)
{
    const struct cell *x = *(struct cell *const *)a, *y = *(struct cell *const *)b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->span != y->span)
        return x->span < y->span ? -1 : 1;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    if (x->kind == CUBE)
        return (x->label->id > y->label->id) - (x->label->id < y->label->id);
    return str_cmp(x->value, y->value);
}

static size_t
put_sums(struct store_value *v, const struct ledger_sums *sums)
{
    size_t n = 0;

#define SUM(name) v[n++] = store_i64(sums->name);
    LEDGER_SUMS(SUM)
#undef SUM
    return n;
}

static enum store_result
write_cells(struct store *s, struct batch *b)
{
    size_t all = map_count(b->cells), at = 0, count = 0, cubes = 0;
    struct cell **list = arena_array(b->arena, struct cell *, all);
    struct store_value *v = arena_array(b->arena, struct store_value, all * (4 + SUMS)), *p = v;
    struct str key;
    void *value;

    while (map_next(b->cells, &at, &key, &value))
        list[count++] = value;
    qsort(list, count, sizeof(struct cell *), by_place);
    for (; cubes < count && list[cubes]->kind == CUBE; cubes++) {
        *p++ = store_i64(list[cubes]->span);
        *p++ = store_i64((int64_t)list[cubes]->start_ms);
        *p++ = store_i64(list[cubes]->label->id);
        p += put_sums(p, &list[cubes]->sums);
    }
    enum store_result r = store_batch(s, upsert_cube, v, cubes, 3 + SUMS);

    p = v;
    for (size_t i = cubes; i < count; i++) {
        *p++ = store_i64(list[i]->kind);
        *p++ = store_i64(list[i]->span);
        *p++ = store_i64((int64_t)list[i]->start_ms);
        *p++ = store_text(list[i]->value);
        p += put_sums(p, &list[i]->sums);
    }
    return r == STORE_OK ? store_batch(s, upsert_value, v, count - cubes, 4 + SUMS) : r;
}

static int
by_id(const void *a, const void *b)
{
    int64_t x = (*(struct label *const *)a)->id, y = (*(struct label *const *)b)->id;

    return (x > y) - (x < y);
}

static enum store_result
write_labels(struct store *s, struct batch *b)
{
    size_t count = 0, i = 0;

    for (const struct label *l = b->ledger->unwritten; l != NULL; l = l->next)
        count++;
    if (count == 0)
        return STORE_OK;
    struct label **list = arena_array(b->arena, struct label *, count);
    struct store_value *v = arena_array(b->arena, struct store_value, count * LABEL_ARGS), *p = v;

    for (struct label *l = b->ledger->unwritten; l != NULL; l = l->next)
        list[i++] = l;
    qsort(list, count, sizeof(struct label *), by_id);
    for (i = 0; i < count; i++) {
        *p++ = store_i64(list[i]->id);
        for (size_t k = 0; k < LEDGER_LABEL_DIMS; k++)
            *p++ = store_text(list[i]->texts[k]);
    }
    return store_batch(s, insert_label, v, count, LABEL_ARGS);
}

static enum store_result
write_batch(struct store *s, struct batch *b)
{
    enum store_result r = write_labels(s, b);

    if (r == STORE_OK)
        r = store_batch(s, insert_row, b->rows, b->row_count, ROW_ARGS);
    if (r == STORE_OK)
        r = write_cells(s, b);
    return r;
}

/* --- draining --- */

struct numbers {
    const struct journal_row *rows;
    size_t count;
    bool *there;
};

static void
note_number(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct numbers *a = ctx;

    for (size_t i = 0; i < a->count; i++)
        if (a->rows[i].number == row[0].i)
            a->there[i] = true;
}

/* Which rows are in the ledger already, from before the process died, or a connection was lost? */
static enum store_result
find_there(struct store *s, const struct journal_row *rows, size_t count, bool *there)
{
    int64_t least = INT64_MAX, most = 0;

    for (size_t i = 0; i < count; i++) {
        least = MIN(least, rows[i].number);
        most = MAX(most, rows[i].number);
    }
    struct numbers a = { rows, count, there };
    const struct store_value args[] = { store_i64(rows[0].ring), store_i64(least),
        store_i64(most) };

    return store_run(s, select_numbers, args, ARRAY_LEN(args), note_number, &a);
}

static enum store_result
write_rows(
    struct store *s, struct batch *b, const struct journal_row *rows, size_t count, bool doubt)
{
    enum store_result r = store_begin(s);

    if (r == STORE_OK && doubt && count != 0)
        r = find_there(s, rows, count, b->there);
    if (r != STORE_OK)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (b->there[i])
            continue;
        struct label *label = label_of(b->ledger, &rows[i]);

        put_row(b, label, &rows[i]);
        roll_up(b, label, &rows[i]);
        b->recovered += (rows[i].end.flags & JOURNAL_RECOVERED) != 0;
        b->estimated += (rows[i].end.flags & JOURNAL_RECOVERED) != 0 &&
                        (rows[i].end.flags & JOURNAL_ESTIMATED) != 0;
    }
    if (b->row_count == 0)
        return STORE_OK;
    flush_plain(b);
    fan_out(b);
    r = write_batch(s, b);
    return r == STORE_OK ? store_commit(s) : r;
}

/* Writes up to BATCH_ROWS of the journal's records and frees them. STORE_OK with fewer: that was all. */
static enum store_result
drain_some(struct ledger *l, struct store *s, struct journal *j, bool doubt, size_t *ret_count)
{
    uint32_t slots[BATCH_ROWS];
    size_t taken = *ret_count = journal_take(j, slots, BATCH_ROWS), count = 0;

    if (taken == 0)
        return STORE_OK;
    struct arena *a = arena_create(SIZE_MAX / 4);
    struct journal_row *rows = arena_array(a, struct journal_row, taken);
    struct batch b = { .ledger = l,
        .arena = a,
        .cells = map_create(),
        .rows = arena_array(a, struct store_value, taken * ROW_ARGS) };

    for (size_t i = 0; i < taken; i++) {
        if (journal_read(j, slots[i], &rows[count]))
            count++;
        else
            atomic_fetch_add(&l->unreadable, 1);
    }
    if (count != taken)
        log_error(NULL, "%zu records of the journal %s cannot be read, and are lost", taken - count,
            journal_path(j));
    if (map_count(l->labels) > LABELS_MOST)
        forget_labels(l);
    enum store_result r = count != 0 ? write_rows(s, &b, rows, count, doubt) : STORE_OK;
    if (r == STORE_OK) {
        l->unwritten = NULL;
        for (size_t i = 0; i < taken; i++)
            journal_free(j, slots[i]);
        atomic_fetch_add(&l->rows, b.row_count);
        atomic_fetch_add(&l->recovered, b.recovered);
        atomic_fetch_add(&l->estimated, b.estimated);
    } else {
        journal_give_back(j, slots, taken);
    }
    store_rollback(s);
    map_destroy(b.cells);
    arena_destroy(a);
    return r;
}

/* True: the journal holds nothing more that is settled. */
static bool
drain(struct ledger *l, struct store *s, struct journal *j, bool adopted)
{
    for (unsigned tries = 0;;) {
        size_t count;
        enum store_result r = drain_some(l, s, j, adopted || l->doubt, &count);

        if (r == STORE_OK && count < BATCH_ROWS)
            return true;
        if (r == STORE_OK)
            continue;
        l->doubt = true;    /* what was committed is found out before anything else is written */
        if (r != STORE_CONFLICT || ++tries > 2) {
            if (r == STORE_BAD || r == STORE_CONFLICT)
                log_error(NULL, "the ledger cannot be written: %s", store_why(s));
            return false;
        }
    }
}

/* The next ring of a process that died. */
static bool
adopt(struct ledger *l)
{
    unsigned foreign = 0;

    if (l->adopted != NULL)
        return true;
    if (clock_now_ms() < l->adopt_ms)
        return false;
    l->adopted = journal_adopt(l->folder, &foreign);
    if (l->adopted != NULL) {
        log_warn(NULL,
            "a gateway ended without settling: %u records of its journal %s go into the "
            "ledger, those of requests under way as estimates",
            journal_state(l->adopted).used, journal_path(l->adopted));
        return true;
    }
    l->adopt_ms = clock_now_ms() + ADOPT_MS;
    if (foreign > l->foreign)
        log_error(NULL,
            "%u files in %s are journals that this version cannot read; they are left alone",
            foreign, l->folder);
    l->foreign = foreign;
    return false;
}

static uint64_t
processor_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
ledger_drain(struct store *s, void *ledger)
{
    struct ledger *l = ledger;
    uint64_t began_us = processor_us();
    bool fine = true;

    while (fine && adopt(l)) {
        fine = drain(l, s, l->adopted, true);
        if (fine) {
            journal_close(l->adopted);
            l->adopted = NULL;
        }
    }
    for (size_t i = 0; fine && i < l->own_count; i++)
        fine = drain(l, s, l->own[i], false);
    if (fine)
        l->doubt = false;
    atomic_fetch_add(&l->busy_us, processor_us() - began_us);
}

/* --- its life --- */

struct ledger *
ledger_create(const char *folder)
{
    struct ledger *l = check_alloc(calloc(1, sizeof(*l)));

    l->folder = str_dup_c(str_c(folder));
    l->label_arena = arena_create(SIZE_MAX / 4);
    l->labels = map_create();
    return l;
}

void
ledger_add(struct ledger *l, struct journal *j)
{
    CHECK(l->own_count < RINGS_MOST);
    l->own[l->own_count++] = j;
}

void
ledger_destroy(struct ledger *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->own_count; i++)
        journal_close(l->own[i]);
    journal_close(l->adopted);
    for (size_t i = 0; i < LEDGER_DIMS; i++)
        map_destroy(l->bounds[i].seen);
    map_destroy(l->labels);
    arena_destroy(l->label_arena);
    free(l->folder);
    free(l);
}

struct ledger_state
ledger_state(struct ledger *l)
{
    struct ledger_state s = { .rows = atomic_load(&l->rows),
        .recovered = atomic_load(&l->recovered),
        .estimated = atomic_load(&l->estimated),
        .unreadable = atomic_load(&l->unreadable),
        .busy_us = atomic_load(&l->busy_us) };

    for (size_t i = 0; i < l->own_count; i++) {
        struct journal_state j = journal_state(l->own[i]);

        s.slots += j.slots;
        s.used += j.used;
    }
    return s;
}
