/* inspect.c - checks a store as one moment saw it. */
#include "store/inspect.h"

#include "store/schema.h"
#include "store/store_priv.h"

static const struct invariant {
    struct str table;
    const char *sentence;
    const char *sql;
} invariants[] = {
#define INVARIANT(table, sentence, sql) { S_INIT(#table), sentence, sql },
#include "store/invariants.def"
};

static void
take_number(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    *(int64_t *)ctx = row[0].i;
}

static void
note_integrity(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    const struct inspector *to = ctx;

    if (row[0].type == STORE_TEXT && !str_eq(row[0].s, S("ok")))
        to->fault(to->ctx, row[0].s);
}

static enum store_result
count_tables(struct store *s, struct arena *a, const struct inspector *to)
{
    struct str tables[SCHEMA_TABLES_MOST];
    size_t n = schema_tables(a, tables);
    enum store_result r = STORE_OK;

    for (size_t i = 0; i < n && r == STORE_OK; i++) {
        struct schema_columns columns;
        int64_t rows = 0;

        r = schema_columns(s, a, tables[i], &columns);
        if (r != STORE_OK || columns.count == 0)
            continue;
        r = store_run_once(s,
            arena_printf(a, "SELECT COUNT(*) FROM " STR_FMT, STR_ARG(tables[i])).p, NULL, 0,
            take_number, &rows);
        if (r == STORE_OK)
            to->table(to->ctx, tables[i], (uint64_t)rows);
    }
    return r;
}

static enum store_result
ask_invariants(struct store *s, struct arena *a, const struct inspector *to)
{
    enum store_result r = STORE_OK;

    for (size_t i = 0; i < ARRAY_LEN(invariants) && r == STORE_OK; i++) {
        const struct invariant *v = &invariants[i];
        struct schema_columns columns;
        int64_t broken = 0;

        r = schema_columns(s, a, v->table, &columns);
        if (r != STORE_OK || columns.count == 0)
            continue;
        r = store_run_once(s, v->sql, NULL, 0, take_number, &broken);
        if (r == STORE_OK && broken != 0)
            to->fault(to->ctx, arena_printf(a, "%lld: %s", (long long)broken, v->sentence));
    }
    return r;
}

enum store_result
store_inspect(struct store *s, const struct inspector *to)
{
    struct arena *a = arena_create(1024 * 1024);
    enum store_result r = store_begin_reading(s);

    if (r == STORE_OK && s->kind->integrity != NULL)
        r = store_run_once(s, s->kind->integrity, NULL, 0, note_integrity, (void *)(uintptr_t)to);
    if (r == STORE_OK)
        r = count_tables(s, a, to);
    if (r == STORE_OK)
        r = ask_invariants(s, a, to);
    store_rollback(s);
    arena_destroy(a);
    return r;
}
