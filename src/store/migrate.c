/* migrate.c - brings the schema up to date, once, whichever of many processes comes first.
 *
 * All of it is one transaction: what is applied and the notes of it are there together or not at
 * all. A store with a migration that this program does not know belongs to a newer one.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "store/store_priv.h"

static const struct migration {
    int64_t number;
    const char *name;
    const char *sql;
} migrations[] = {
#define MIGRATION(number, name, sql) { number, name, sql },
#include "store/migrations.def"
};

enum { NUMBERS_MOST = 1000 };

struct migrations_here {
    bool here[NUMBERS_MOST];
    struct buf unknown;    /* names of those of a newer program */
};

static void
note_known(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct migrations_here *a = ctx;

    for (size_t i = 0; i < ARRAY_LEN(migrations); i++)
        if (migrations[i].number == row[0].i) {
            a->here[i] = true;
            return;
        }
    buf_printf(&a->unknown, "%s%lld (" STR_FMT ")", buf_len(&a->unknown) != 0 ? ", " : "",
        (long long)row[0].i, STR_ARG(row[1].s));
}

static enum store_result
apply(struct store *s, const struct migration *m)
{
    const struct store_value note[] = { store_i64(m->number), store_text(str_c(m->name)),
        store_i64((int64_t)clock_wall_ms()) };
    enum store_result r = store_script(s, m->sql);

    if (r == STORE_OK)
        return store_run(s, "INSERT INTO migrations (number, name, applied_ms) VALUES (?1, ?2, ?3)",
            note, ARRAY_LEN(note), NULL, NULL);
    struct str why = str_c(s->why);
    char said[sizeof(s->why)];

    str_copy_c(said, sizeof(said), why);
    return store_fail(s, r, "migration %lld (%s): %s", (long long)m->number, m->name, said);
}

static enum store_result
apply_all(struct store *s, struct migrations_here *a)
{
    enum store_result r = STORE_OK;

    if (s->kind->lock_migrations != NULL)
        r = store_run(s, s->kind->lock_migrations, NULL, 0, NULL, NULL);
    if (r == STORE_OK)
        r = store_script(s, "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, "
                            "name TEXT NOT NULL, applied_ms BIGINT NOT NULL)");
    if (r == STORE_OK)
        r = store_run(
            s, "SELECT number, name FROM migrations ORDER BY number", NULL, 0, note_known, a);
    if (r == STORE_OK && buf_len(&a->unknown) != 0)
        r = store_fail(s, STORE_BAD,
            "the store was made by a newer openclaw: this one (" OPENCLAW_VERSION
            ") does not know its migrations " STR_FMT "; install the newer version again",
            STR_ARG(buf_str(&a->unknown)));
    for (size_t i = 0; r == STORE_OK && i < ARRAY_LEN(migrations); i++)
        if (!a->here[i])
            r = apply(s, &migrations[i]);
    return r;
}

enum store_result
store_migrate(struct store *s)
{
    _Static_assert(ARRAY_LEN(migrations) <= NUMBERS_MOST, "each has a mark");
    struct migrations_here a = { .here = { false } };
    enum store_result r = store_begin(s);

    if (r != STORE_OK)
        return r;
    buf_init(&a.unknown, 256);
    r = apply_all(s, &a);
    if (r == STORE_OK)
        r = store_commit(s);
    store_rollback(s);
    buf_fini(&a.unknown);
    return r;
}
