/* prune.c - small transactions, so that what is written meanwhile waits for milliseconds. */
#include "store/prune.h"

#include "base/clock.h"
#include "store/schema.h"
#include "store/store_priv.h"

#define ROWS_AT_ONCE 500

static const struct prune_rule {
    struct str table;
    size_t keep;    /* offset in struct retention */
    const char *sql;
} rules[] = {
#define RETENTION(setting, table, sql)                                                             \
    { S_INIT(#table), offsetof(struct retention, setting##_ms), sql },
#include "store/retention.def"
};

/* Deletes from one table. */
static enum store_result
prune_table(struct store *s, const struct prune_rule *rule, int64_t before_ms, uint64_t end_ms,
    uint64_t *ret_rows, bool *ret_more)
{
    const struct store_value args[] = { store_i64(before_ms), store_i64(ROWS_AT_ONCE) };
    enum store_result r;

    *ret_rows = 0;
    do {
        r = store_run(s, rule->sql, args, ARRAY_LEN(args), NULL, NULL);
        *ret_rows += store_changed(s);
    } while (r == STORE_OK && store_changed(s) == ROWS_AT_ONCE && clock_now_ms() < end_ms);
    *ret_more = r == STORE_OK && store_changed(s) == ROWS_AT_ONCE;
    return r;
}

enum store_result
store_prune(struct store *s, const struct retention *keep, uint64_t for_ms,
    void (*done)(void *ctx, struct str table, uint64_t rows), void *ctx, bool *ret_more)
{
    uint64_t end_ms = clock_now_ms() + for_ms, now_ms = clock_wall_ms();
    struct arena *a = arena_create(64 * 1024);
    enum store_result r = STORE_OK;

    *ret_more = false;
    for (size_t i = 0; i < ARRAY_LEN(rules) && r == STORE_OK && !*ret_more; i++) {
        uint64_t keep_ms = *(const uint64_t *)(const void *)((const char *)keep + rules[i].keep);
        struct schema_columns columns;
        uint64_t rows;

        if (keep_ms == 0 || keep_ms > now_ms)
            continue;
        r = schema_columns(s, a, rules[i].table, &columns);
        if (r != STORE_OK || columns.count == 0)
            continue;
        r = prune_table(s, &rules[i], (int64_t)(now_ms - keep_ms), end_ms, &rows, ret_more);
        if (rows != 0 && done != NULL)
            done(ctx, rules[i].table, rows);
    }
    if (r == STORE_OK && s->kind->shrink != NULL)
        r = store_script(s, s->kind->shrink);
    arena_destroy(a);
    return r;
}
