/* migrate.c - brings the schema up to date, once, whichever of many processes comes first.
 *
 * All of it is one transaction: what is applied and the notes of it are there together or not at
 * all. A store with a migration that this program does not know belongs to a newer one.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "store/schema.h"
#include "store/store_priv.h"

#define NOTES "migrations"

static const struct migration {
    int64_t number;
    const char *name;
    const char *sql;
} migrations[] = {
#define MIGRATION(number, name, sql) { number, name, sql },
#include "store/migrations.def"
};

struct migrations_here {
    bool here[ARRAY_LEN(migrations)];
    unsigned count;
    struct buf unknown;    /* names of those of a newer program */
};

/* --- which are there --- */

static void
note_known(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct migrations_here *a = ctx;

    a->count++;
    for (size_t i = 0; i < ARRAY_LEN(migrations); i++)
        if (migrations[i].number == row[0].i) {
            a->here[i] = true;
            return;
        }
    buf_printf(&a->unknown, "%s%lld (" STR_FMT ")", buf_len(&a->unknown) != 0 ? ", " : "",
        (long long)row[0].i, STR_ARG(row[1].s));
}

static enum store_result
read_notes(struct store *s, struct migrations_here *a)
{
    memset(a, 0, sizeof(*a));
    buf_init(&a->unknown, sizeof(((struct schema_state *)0)->unknown));
    return store_run(
        s, "SELECT number, name FROM " NOTES " ORDER BY number", NULL, 0, note_known, a);
}

enum store_result
schema_look(struct store *s, struct schema_state *ret)
{
    struct arena *a = arena_create(4096);
    struct schema_columns columns;
    struct migrations_here m = { .count = 0 };
    enum store_result r = schema_columns(s, a, S(NOTES), &columns);

    if (r == STORE_OK && columns.count != 0)
        r = read_notes(s, &m);
    *ret = (struct schema_state){ .applied = m.count };
    for (size_t i = 0; i < ARRAY_LEN(migrations); i++)
        ret->pending += !m.here[i];
    str_copy_c(ret->unknown, sizeof(ret->unknown), buf_str(&m.unknown));
    buf_fini(&m.unknown);
    arena_destroy(a);
    return r;
}

static enum store_result
refuse_newer(struct store *s, const struct migrations_here *a)
{
    return store_fail(s, STORE_BAD,
        "%s was made by a newer openclaw: this one (" OPENCLAW_VERSION
        ") does not know its migrations " STR_FMT "; install the newer version again",
        s->name, STR_ARG(buf_str(&a->unknown)));
}

/* --- applying --- */

static enum store_result
apply(struct store *s, const struct migration *m)
{
    const struct store_value note[] = { store_i64(m->number), store_text(str_c(m->name)),
        store_i64((int64_t)clock_wall_ms()) };
    char said[sizeof(s->why)];
    enum store_result r = store_script(s, m->sql);

    if (r == STORE_OK)
        return store_run(s, "INSERT INTO " NOTES " (number, name, applied_ms) VALUES (?1, ?2, ?3)",
            note, ARRAY_LEN(note), NULL, NULL);
    str_copy_c(said, sizeof(said), str_c(s->why));
    return store_fail(s, r, "migration %lld (%s): %s", (long long)m->number, m->name, said);
}

/* Applies those of `wanted` (NULL: all) that are not there. */
static enum store_result
apply_all(struct store *s, const struct migrations_here *wanted)
{
    struct migrations_here a = { .count = 0 };
    enum store_result r = STORE_OK;

    if (s->kind->lock_migrations != NULL)
        r = store_run(s, s->kind->lock_migrations, NULL, 0, NULL, NULL);
    if (r == STORE_OK)
        r = store_script(s, "CREATE TABLE IF NOT EXISTS " NOTES " (number BIGINT PRIMARY KEY, "
                            "name TEXT NOT NULL, applied_ms BIGINT NOT NULL)");
    if (r == STORE_OK)
        r = read_notes(s, &a);
    if (r == STORE_OK && buf_len(&a.unknown) != 0)
        r = refuse_newer(s, &a);
    for (size_t i = 0; r == STORE_OK && i < ARRAY_LEN(migrations); i++)
        if (!a.here[i] && (wanted == NULL || wanted->here[i]))
            r = apply(s, &migrations[i]);
    buf_fini(&a.unknown);
    return r;
}

enum store_result
store_migrate(struct store *s)
{
    struct schema_state state;
    enum store_result r = schema_look(s, &state);

    if (r != STORE_OK || (state.pending == 0 && state.unknown[0] == '\0'))
        return r;    /* without a lock: so it is at most starts */
    r = store_begin(s);
    if (r != STORE_OK)
        return r;
    s->patient = true;
    r = apply_all(s, NULL);
    if (r == STORE_OK)
        r = store_commit(s);
    store_rollback(s);
    return r;
}

enum store_result
schema_apply_like(struct store *s, struct store *like)
{
    struct migrations_here wanted;
    enum store_result r = read_notes(like, &wanted);

    if (r != STORE_OK)
        (void)store_fail(s, r, "%s", store_why(like));
    else if (buf_len(&wanted.unknown) != 0)
        r = store_fail(s, refuse_newer(like, &wanted), "%s", store_why(like));
    else
        r = apply_all(s, &wanted);
    buf_fini(&wanted.unknown);
    return r;
}

/* --- tables --- */

/* The words after each `create`. */
static size_t
names_after(struct arena *a, struct str create, struct str list[SCHEMA_TABLES_MOST])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(migrations); i++) {
        struct str rest = str_c(migrations[i].sql), name;

        for (size_t at; (at = str_find(rest, create)) != rest.n;) {
            (void)str_cut(str_skip(rest, at + create.n), ' ', &name, &rest);
            CHECK(n < SCHEMA_TABLES_MOST && str_has_only(name, "_"));
            list[n++] = arena_printf(a, STR_FMT, STR_ARG(name));
        }
    }
    return n;
}

size_t
schema_tables(struct arena *a, struct str list[SCHEMA_TABLES_MOST])
{
    return names_after(a, S("CREATE TABLE "), list);
}

size_t
schema_views(struct arena *a, struct str list[SCHEMA_TABLES_MOST])
{
    return names_after(a, S("CREATE VIEW "), list);
}

static void
note_column(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct schema_columns *c = ctx;

    CHECK(c->count < STORE_COLUMNS_MOST);
    c->names[c->count++] = arena_printf(c->arena, STR_FMT, STR_ARG(row[0].s));
}

enum store_result
schema_columns(struct store *s, struct arena *a, struct str table, struct schema_columns *ret)
{
    const struct store_value arg = store_text(table);

    *ret = (struct schema_columns){ .arena = a };
    return s->connected ? store_run(s, s->kind->columns, &arg, 1, note_column, ret)
                        : store_fail(s, STORE_AWAY, "%s is not connected", s->name);
}

enum store_result
schema_drop(struct store *s)
{
    struct arena *a = arena_create(64 * 1024);
    struct str views[SCHEMA_TABLES_MOST], tables[SCHEMA_TABLES_MOST + 1];
    size_t view_count = schema_views(a, views), count = schema_tables(a, tables);
    enum store_result r = STORE_OK;

    tables[count++] = S(NOTES);
    for (size_t i = 0; i < view_count && r == STORE_OK; i++)
        r = store_script(s, arena_printf(a, "DROP VIEW IF EXISTS " STR_FMT, STR_ARG(views[i])).p);
    for (size_t i = 0; i < count && r == STORE_OK; i++)
        r = store_script(s, arena_printf(a, "DROP TABLE IF EXISTS " STR_FMT, STR_ARG(tables[i])).p);
    arena_destroy(a);
    return r;
}
