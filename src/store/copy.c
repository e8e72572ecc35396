/* copy.c - reads a table row by row and writes it in batches. */
#include "store/copy.h"

#include <stdlib.h>

#include "base/buf.h"
#include "store/schema.h"
#include "store/store_priv.h"

#define BATCH_ROWS 500u
#define BATCH_BYTES (4u * 1024 * 1024)
#define SQL_BYTES_MOST (16u * 1024)

/* Rows on their way. */
struct copy_run {
    struct store *to;
    const char *insert;
    struct store_value *values;    /* of BATCH_ROWS rows; texts are offsets into `bytes` */
    size_t columns, rows;
    struct buf bytes;
    uint64_t count;
    enum store_result result;
};

static void
flush(struct copy_run *c)
{
    struct str bytes = buf_str(&c->bytes);

    for (size_t i = 0; i < c->rows * c->columns; i++)
        if (c->values[i].type == STORE_TEXT || c->values[i].type == STORE_BYTES)
            c->values[i].s.p = bytes.p + c->values[i].i;
    if (c->result == STORE_OK)
        c->result = store_batch(c->to, c->insert, c->values, c->rows, c->columns);
    c->count += c->rows;
    c->rows = 0;
    buf_reset(&c->bytes, BATCH_BYTES);
}

static void
keep_row(void *ctx, const struct store_value *row, size_t n)
{
    struct copy_run *c = ctx;
    struct store_value *to = c->values + c->rows * c->columns;

    CHECK(n == c->columns);
    for (size_t i = 0; i < n; i++) {
        to[i] = row[i];
        if (row[i].type != STORE_TEXT && row[i].type != STORE_BYTES)
            continue;
        to[i].i = (int64_t)buf_len(&c->bytes);
        buf_add(&c->bytes, row[i].s);
    }
    c->rows++;
    if (c->rows == BATCH_ROWS || buf_len(&c->bytes) > BATCH_BYTES)
        flush(c);
}

/* "SELECT a, b FROM t", and "INSERT INTO t (a, b) VALUES (?1, ?2)". */
static void
write_statements(struct arena *a, struct str table, const struct schema_columns *columns,
    const char **ret_select, const char **ret_insert)
{
    struct buf names, marks, text;

    buf_init(&names, SQL_BYTES_MOST);
    buf_init(&marks, SQL_BYTES_MOST);
    buf_init(&text, SQL_BYTES_MOST);
    for (size_t i = 0; i < columns->count; i++) {
        const char *sep = i != 0 ? ", " : "";

        buf_printf(&names, "%s\"" STR_FMT "\"", sep, STR_ARG(columns->names[i]));
        buf_printf(&marks, "%s?%zu", sep, i + 1);
    }
    buf_printf(&text, "SELECT " STR_FMT " FROM " STR_FMT, STR_ARG(buf_str(&names)), STR_ARG(table));
    *ret_select = arena_str(a, buf_str(&text)).p;
    buf_truncate(&text, 0);
    buf_printf(&text, "INSERT INTO " STR_FMT " (" STR_FMT ") VALUES (" STR_FMT ")", STR_ARG(table),
        STR_ARG(buf_str(&names)), STR_ARG(buf_str(&marks)));
    *ret_insert = arena_str(a, buf_str(&text)).p;
    CHECK(*ret_select != NULL && *ret_insert != NULL);
    buf_fini(&names);
    buf_fini(&marks);
    buf_fini(&text);
}

/* What went wrong with `from`, said by `to`. */
static enum store_result
blame(struct store *to, const struct store *from, enum store_result r)
{
    return r == STORE_OK ? r : store_fail(to, r, "%s", store_why(from));
}

static enum store_result
copy_table(
    struct store *from, struct store *to, struct arena *a, struct str table, uint64_t *ret_rows)
{
    struct copy_run c = { .to = to, .result = STORE_OK };
    struct schema_columns columns;
    const char *select;
    enum store_result r = blame(to, from, schema_columns(from, a, table, &columns));

    *ret_rows = 0;
    if (r != STORE_OK || columns.count == 0)
        return r;
    write_statements(a, table, &columns, &select, &c.insert);
    c.columns = columns.count;
    c.values = check_alloc(calloc(BATCH_ROWS * c.columns, sizeof(*c.values)));
    buf_init(&c.bytes, SIZE_MAX / 2);
    r = blame(to, from, store_run(from, select, NULL, 0, keep_row, &c));
    flush(&c);
    if (r == STORE_OK)
        r = c.result;
    free(c.values);
    buf_fini(&c.bytes);
    *ret_rows = c.count;
    return r;
}

/* Makes the tables; what migrations put into them goes, as `from` has it, too. */
static enum store_result
prepare(struct store *from, struct store *to, bool replace)
{
    struct schema_state state;
    enum store_result r = schema_look(to, &state);

    if (r == STORE_OK && state.applied != 0 && !replace)
        return store_fail(to, STORE_CONFLICT,
            "%s is not empty; to replace all that it holds, add --replace", to->name);
    if (r == STORE_OK)
        r = schema_drop(to);
    return r == STORE_OK ? schema_apply_like(to, from) : r;
}

static enum store_result
copy_all(struct store *from, struct store *to, struct arena *a, store_copied_fn *copied, void *ctx)
{
    struct str tables[SCHEMA_TABLES_MOST];
    size_t n = schema_tables(a, tables);
    enum store_result r = STORE_OK;
    uint64_t rows;

    for (size_t i = 0; i < n && r == STORE_OK; i++) {
        struct schema_columns columns;

        r = schema_columns(to, a, tables[i], &columns);
        if (r != STORE_OK || columns.count == 0)    /* of a later migration than `from` has */
            continue;
        r = store_script(to, arena_printf(a, "DELETE FROM " STR_FMT, STR_ARG(tables[i])).p);
        if (r == STORE_OK)
            r = copy_table(from, to, a, tables[i], &rows);
        if (r == STORE_OK)
            copied(ctx, tables[i], rows);
    }
    return r;
}

enum store_result
store_copy(struct store *from, struct store *to, bool replace, struct arena *a,
    store_copied_fn *copied, void *ctx)
{
    enum store_result r = blame(to, from, store_begin_reading(from));

    if (r == STORE_OK)
        r = store_begin(to);
    if (r == STORE_OK)
        r = prepare(from, to, replace);
    if (r == STORE_OK)
        r = copy_all(from, to, a, copied, ctx);
    if (r == STORE_OK)
        r = store_commit(to);
    store_rollback(to);
    store_rollback(from);
    return r;
}
