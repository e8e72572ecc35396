/* resource_sql.c - the statements' texts are made once, and are the same for the life of the process:
 * the store finds a prepared statement by the address of its text. */
#include "control/resource_sql.h"

#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "control/resource_read.h"

#define COMMON_COLUMNS 6    /* id, revision, serial, created_ms, updated_ms, deleted_ms */
#define TEXT_BYTES_MOST (64u * 1024)

static struct statements {
    char *insert, *update, *delete, *get, *all, *since;
    char *list[RESOURCE_FIELDS_MOST + 1];    /* narrowed by that field first; at the end by none */
    char *find[RESOURCE_FIELDS_MOST];
} statements[RESOURCE_KINDS];

static pthread_once_t made = PTHREAD_ONCE_INIT;

/* --- texts --- */

static bool
is_column(const struct resource_field_row *f)
{
    return (f->flags & RESOURCE_SECRET) == 0;
}

static const struct resource_field_row *
field_at(enum resource_kind kind, unsigned i)
{
    return resource_field((enum resource_field)(resource_kind(kind)->first + i));
}

static char *
take(struct buf *b)
{
    CHECK(!b->overflow);
    char *text = str_dup_c(buf_str(b));

    buf_reset(b, SIZE_MAX);
    return text;
}

/* Appends the names of all columns of a row. */
static void
add_columns(struct buf *b, enum resource_kind kind)
{
    buf_add(b, S("id, revision, serial, created_ms, updated_ms, deleted_ms"));
    for (unsigned i = 0; i < resource_field_count(kind); i++)
        if (is_column(field_at(kind, i)))
            buf_printf(b, ", \"" STR_FMT "\"", STR_ARG(field_at(kind, i)->name));
}

static void
add_select(struct buf *b, enum resource_kind kind, const char *where)
{
    buf_add(b, S("SELECT "));
    add_columns(b, kind);
    buf_printf(b, " FROM " STR_FMT " WHERE %s", STR_ARG(resource_kind(kind)->table), where);
}

/* Parameters: 1 after, 2 limit, 3 id, then one of each filter, NULL for any value. The first filter that
 * has a value is compared as it is, so that its index is used. */
static char *
list_text(struct buf *b, enum resource_kind kind, unsigned first)
{
    unsigned n = 4;

    add_select(b, kind, "deleted_ms = 0 AND serial > ?1 AND (CAST(?3 AS TEXT) IS NULL OR id = ?3)");
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = field_at(kind, i);

        if ((f->flags & RESOURCE_FILTER) == 0)
            continue;
        if (i == first)
            buf_printf(b, " AND \"" STR_FMT "\" = ?%u", STR_ARG(f->name), n);
        else
            buf_printf(b, " AND (CAST(?%u AS TEXT) IS NULL OR \"" STR_FMT "\" = ?%u)", n,
                STR_ARG(f->name), n);
        n++;
    }
    buf_add(b, S(" ORDER BY serial LIMIT ?2"));
    return take(b);
}

static void
make_changes(struct buf *b, enum resource_kind kind, struct statements *s)
{
    struct str table = resource_kind(kind)->table;
    unsigned n = COMMON_COLUMNS;

    buf_printf(b, "INSERT INTO " STR_FMT " (", STR_ARG(table));
    add_columns(b, kind);
    buf_add(b, S(") VALUES (?1, ?2, ?3, ?4, ?5, ?6"));
    for (unsigned i = 0; i < resource_field_count(kind); i++)
        if (is_column(field_at(kind, i)))
            buf_printf(b, ", ?%u", ++n);
    buf_add(b, S(")"));
    s->insert = take(b);

    n = 3;
    buf_printf(b, "UPDATE " STR_FMT " SET revision = ?2, updated_ms = ?3", STR_ARG(table));
    for (unsigned i = 0; i < resource_field_count(kind); i++)
        if (is_column(field_at(kind, i)))
            buf_printf(b, ", \"" STR_FMT "\" = ?%u", STR_ARG(field_at(kind, i)->name), ++n);
    buf_add(b, S(" WHERE id = ?1 AND deleted_ms = 0"));
    s->update = take(b);

    buf_printf(b,
        "UPDATE " STR_FMT " SET revision = ?2, updated_ms = ?3, deleted_ms = ?3 WHERE id = ?1 AND "
        "deleted_ms = 0",
        STR_ARG(table));
    s->delete = take(b);
}

static void
make_kind(struct buf *b, enum resource_kind kind)
{
    struct statements *s = &statements[kind];
    char where[128];

    make_changes(b, kind, s);
    add_select(b, kind, "id = ?1 AND deleted_ms = 0");
    s->get = take(b);
    add_select(b, kind, "deleted_ms = 0");
    s->all = take(b);
    add_select(b, kind, "revision > ?1 AND revision <= ?2 ORDER BY revision");
    s->since = take(b);
    s->list[RESOURCE_FIELDS_MOST] = list_text(b, kind, RESOURCE_FIELDS_MOST);
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = field_at(kind, i);

        if ((f->flags & RESOURCE_FILTER) != 0)
            s->list[i] = list_text(b, kind, i);
        if ((f->flags & (RESOURCE_FILTER | RESOURCE_UNIQUE)) == 0)
            continue;
        (void)snprintf(where, sizeof(where),
            "\"" STR_FMT "\" = ?1 AND deleted_ms = 0 ORDER BY serial LIMIT ?2", STR_ARG(f->name));
        add_select(b, kind, where);
        s->find[i] = take(b);
    }
}

static void
make(void)
{
    struct buf b;

    buf_init(&b, TEXT_BYTES_MOST);
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        make_kind(&b, (enum resource_kind)k);
    buf_fini(&b);
}

static const struct statements *
statements_of(enum resource_kind kind)
{
    CHECK(pthread_once(&made, make) == 0);
    return &statements[kind];
}

/* --- values --- */

static bool
is_number(const struct resource_field_row *f)
{
    return f->type == RESOURCE_BOOL || f->type == RESOURCE_COUNT || f->type == RESOURCE_MONEY ||
           f->type == RESOURCE_TIME;
}

static size_t
add_values(struct store_value *args, size_t n, const struct resource_row *row)
{
    for (unsigned i = 0; i < resource_field_count(row->kind); i++) {
        const struct resource_field_row *f = field_at(row->kind, i);
        const struct resource_value *v = &row->values[i];

        if (is_column(f))
            args[n++] = !v->set        ? store_null()
                        : is_number(f) ? store_i64(v->number)
                                       : store_text(v->text);
    }
    return n;
}

/* Whose rows are read. */
struct row_reading {
    enum resource_kind kind;
    resource_row_fn *fn;
    void *ctx;
};

static void
on_row(void *ctx, const struct store_value *cells, size_t n)
{
    const struct row_reading *r = ctx;
    struct resource_value values[RESOURCE_FIELDS_MOST] = { 0 };
    struct resource_row row = { .kind = r->kind,
        .id = cells[0].s,
        .revision = cells[1].i,
        .serial = cells[2].i,
        .created_ms = cells[3].i,
        .updated_ms = cells[4].i,
        .deleted = cells[5].i != 0,
        .values = values };
    const struct resource_field_row *f = field_at(r->kind, 0);
    size_t at = COMMON_COLUMNS;

    for (unsigned i = 0; i < resource_field_count(r->kind); i++) {
        if (!is_column(&f[i]))
            continue;
        CHECK(at < n);
        values[i] = (struct resource_value){
            .set = cells[at].type != STORE_NULL, .number = cells[at].i, .text = cells[at].s
        };
        at++;
    }
    r->fn(r->ctx, &row);
}

/* --- changing --- */

static void
on_number(void *ctx, const struct store_value *cells, size_t n UNUSED)
{
    int64_t *ret = ctx;

    *ret = cells[0].i;
}

enum store_result
resource_begin(struct store *s, int64_t *ret_revision)
{
    enum store_result r = store_begin(s);

    *ret_revision = 0;
    if (r != STORE_OK)
        return r;
    r = store_run(s, "UPDATE resource_revision SET value = value + 1 WHERE one = 1 RETURNING value",
        NULL, 0, on_number, ret_revision);
    if (r == STORE_OK && *ret_revision == 0)
        r = STORE_BAD;
    if (r != STORE_OK)
        store_rollback(s);
    return r;
}

enum store_result
resource_newest(struct store *s, int64_t *ret)
{
    *ret = 0;
    return store_run(
        s, "SELECT value FROM resource_revision WHERE one = 1", NULL, 0, on_number, ret);
}

enum store_result
resource_insert(struct store *s, const struct resource_row *row)
{
    struct store_value args[COMMON_COLUMNS + RESOURCE_FIELDS_MOST] = {
        store_text(row->id),
        store_i64(row->revision),
        store_i64(row->serial),
        store_i64(row->created_ms),
        store_i64(row->updated_ms),
        store_i64(0),
    };
    size_t n = add_values(args, COMMON_COLUMNS, row);

    return store_run(s, statements_of(row->kind)->insert, args, n, NULL, NULL);
}

enum store_result
resource_update(struct store *s, const struct resource_row *row)
{
    struct store_value args[COMMON_COLUMNS + RESOURCE_FIELDS_MOST] = {
        store_text(row->id),
        store_i64(row->revision),
        store_i64(row->updated_ms),
    };
    size_t n = add_values(args, 3, row);

    return store_run(s, statements_of(row->kind)->update, args, n, NULL, NULL);
}

enum store_result
resource_delete(struct store *s, const struct resource_row *row)
{
    const struct store_value args[] = { store_text(row->id), store_i64(row->revision),
        store_i64(row->updated_ms) };

    return store_run(s, statements_of(row->kind)->delete, args, ARRAY_LEN(args), NULL, NULL);
}

/* --- reading --- */

enum store_result
resource_get(
    struct store *s, enum resource_kind kind, struct str id, resource_row_fn *fn, void *ctx)
{
    struct row_reading r = { kind, fn, ctx };
    const struct store_value args[] = { store_text(id) };

    return store_run(s, statements_of(kind)->get, args, ARRAY_LEN(args), on_row, &r);
}

enum store_result
resource_find(struct store *s, enum resource_field field, struct str value, unsigned most,
    resource_row_fn *fn, void *ctx)
{
    enum resource_kind kind = resource_field(field)->kind;
    const char *text = statements_of(kind)->find[field - resource_kind(kind)->first];
    struct row_reading r = { kind, fn, ctx };
    const struct store_value args[] = { store_text(value), store_i64(most) };

    CHECK(text != NULL);
    return store_run(s, text, args, ARRAY_LEN(args), on_row, &r);
}

enum store_result
resource_list(struct store *s, const struct resource_query *q, resource_row_fn *fn, void *ctx)
{
    struct store_value args[3 + RESOURCE_FIELDS_MOST] = {
        store_i64(q->after),
        store_i64(q->limit),
        store_text_or_null(q->id),
    };
    struct row_reading r = { q->kind, fn, ctx };
    unsigned first = RESOURCE_FIELDS_MOST;
    size_t n = 3;

    for (unsigned i = 0; i < resource_field_count(q->kind); i++) {
        if ((field_at(q->kind, i)->flags & RESOURCE_FILTER) == 0)
            continue;
        args[n++] = q->values[i].set ? store_text(q->values[i].text) : store_null();
        if (q->values[i].set && first == RESOURCE_FIELDS_MOST)
            first = i;
    }
    return store_run(s, statements_of(q->kind)->list[first], args, n, on_row, &r);
}

enum store_result
resource_all(struct store *s, enum resource_kind kind, resource_row_fn *fn, void *ctx)
{
    struct row_reading r = { kind, fn, ctx };

    return store_run(s, statements_of(kind)->all, NULL, 0, on_row, &r);
}

enum store_result
resource_since(struct store *s, enum resource_kind kind, int64_t after, int64_t until,
    resource_row_fn *fn, void *ctx)
{
    struct row_reading r = { kind, fn, ctx };
    const struct store_value args[] = { store_i64(after), store_i64(until) };

    return store_run(s, statements_of(kind)->since, args, ARRAY_LEN(args), on_row, &r);
}
