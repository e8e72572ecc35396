/* export.c - writes lines into a buffer that is passed on when it is large. */
#include "store/export.h"

#include "base/buf.h"
#include "base/json_out.h"
#include "store/schema.h"
#include "store/store_priv.h"

#define LINES_BYTES (64u * 1024)
#define BUFFER_BYTES_MOST (256u * 1024 * 1024)    /* a row may be large */

static const struct str hidden[] = { S_INIT("digest"), S_INIT("old_digest"), S_INIT("secret"),
    S_INIT("ciphertext") };

struct export_run {
    enum export_form form;
    const struct schema_columns *columns;
    struct buf lines;
    void (*write)(void *ctx, struct str lines);
    void *ctx;
};

bool
export_is_table(struct str name)
{
    struct arena *a = arena_create(64 * 1024);
    struct str list[SCHEMA_TABLES_MOST];
    bool found = false;

    for (int views = 0; views < 2; views++)
        for (size_t n = views ? schema_views(a, list) : schema_tables(a, list); n-- > 0;)
            found = found || str_eq(list[n], name);
    arena_destroy(a);
    return found;
}

static bool
is_hidden(struct str column)
{
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        if (str_eq(column, hidden[i]))
            return true;
    return false;
}

static void
add_csv_text(struct buf *b, struct str s)
{
    bool formula = s.n != 0 && strchr("=+-@\t\r", s.p[0]) != NULL;

    buf_add_c(b, '"');
    if (formula)
        buf_add_c(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_add_c(b, '"');
        buf_add_c(b, s.p[i]);
    }
    buf_add_c(b, '"');
}

static void
add_hex(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_printf(b, "%02x", (unsigned char)s.p[i]);
}

static void
add_csv(struct export_run *e, const struct store_value *row, size_t n)
{
    const char *sep = "";

    for (size_t i = 0; i < n; i++) {
        if (is_hidden(e->columns->names[i]))
            continue;
        buf_add(&e->lines, str_c(sep));
        sep = ",";
        if (row[i].type == STORE_I64)
            buf_add_i64(&e->lines, row[i].i);
        else if (row[i].type == STORE_TEXT)
            add_csv_text(&e->lines, row[i].s);
        else if (row[i].type == STORE_BYTES)
            add_hex(&e->lines, row[i].s);
    }
    buf_add(&e->lines, S("\r\n"));
}

static void
add_json(struct export_run *e, const struct store_value *row, size_t n)
{
    struct json_out o = json_out(&e->lines);
    struct buf hex;

    buf_init(&hex, BUFFER_BYTES_MOST);
    out_object(&o);
    for (size_t i = 0; i < n; i++) {
        if (is_hidden(e->columns->names[i]))
            continue;
        out_key_str(&o, e->columns->names[i]);
        if (row[i].type == STORE_NULL) {
            out_raw_value(&o, S("null"));
        } else if (row[i].type == STORE_I64) {
            out_i64_value(&o, row[i].i);
        } else if (row[i].type == STORE_TEXT) {
            out_text_value(&o, row[i].s);
        } else {
            buf_truncate(&hex, 0);
            add_hex(&hex, row[i].s);
            out_text_value(&o, buf_str(&hex));
        }
    }
    out_end(&o);
    buf_add_c(&e->lines, '\n');
    buf_fini(&hex);
}

static void
add_row(void *ctx, const struct store_value *row, size_t n)
{
    struct export_run *e = ctx;

    CHECK(n == e->columns->count);
    (e->form == EXPORT_CSV ? add_csv : add_json)(e, row, n);
    if (buf_len(&e->lines) < LINES_BYTES)
        return;
    e->write(e->ctx, buf_str(&e->lines));
    buf_reset(&e->lines, 2 * LINES_BYTES);
}

static void
add_header(struct export_run *e)
{
    const char *sep = "";

    for (size_t i = 0; i < e->columns->count; i++) {
        if (is_hidden(e->columns->names[i]))
            continue;
        buf_printf(&e->lines, "%s" STR_FMT, sep, STR_ARG(e->columns->names[i]));
        sep = ",";
    }
    buf_add(&e->lines, S("\r\n"));
}

enum store_result
store_export(struct store *s, struct str table, enum export_form form,
    void (*write)(void *ctx, struct str lines), void *ctx)
{
    struct arena *a = arena_create(64 * 1024);
    struct schema_columns columns;
    struct export_run e = { .form = form, .columns = &columns, .write = write, .ctx = ctx };
    enum store_result r;

    CHECK(export_is_table(table));    /* its name becomes part of a statement */
    buf_init(&e.lines, BUFFER_BYTES_MOST);
    r = store_begin_reading(s);
    if (r == STORE_OK)
        r = schema_columns(s, a, table, &columns);
    if (r == STORE_OK && columns.count == 0)
        r = store_fail(s, STORE_BAD,
            "%s has no table " STR_FMT "; `openclaw store migrate` makes it", s->name,
            STR_ARG(table));
    if (r == STORE_OK && form == EXPORT_CSV)
        add_header(&e);
    if (r == STORE_OK)
        r = store_run_once(
            s, arena_printf(a, "SELECT * FROM " STR_FMT, STR_ARG(table)).p, NULL, 0, add_row, &e);
    if (r == STORE_OK)
        write(ctx, buf_str(&e.lines));
    store_rollback(s);
    buf_fini(&e.lines);
    arena_destroy(a);
    return r;
}
