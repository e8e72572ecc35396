/* sqlite.c - a store in a file: nothing to install, start or configure.
 *
 * The file is in WAL mode, so that readers in other processes (the command line) and the one writer
 * do not wait for each other, and a commit costs no wait for the disk: after a power loss the newest
 * transactions may be missing, the file is sound. SQLite's own locks are off: one thread uses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store/place.h"
#include "store/store_priv.h"

#define BUSY_MS 5000    /* another process writes */

struct sqlite {
    struct store store;
    sqlite3 *db;
    struct store_statements statements;
    sqlite3_stmt *once;    /* one that runs and is not kept */
};

static struct sqlite *
sqlite_of(struct store *s)
{
    return CONTAINER_OF(s, struct sqlite, store);
}

/* --- failures --- */

static bool
is_full(int code, int error)
{
    return code == SQLITE_FULL || code == SQLITE_READONLY ||
           (code == SQLITE_IOERR &&
               (error == ENOSPC || error == EDQUOT || error == EROFS || error == EFBIG));
}

/* Notes what is wrong with the database and decides what that means. */
static enum store_result
explain(struct sqlite *q)
{
    int extended = sqlite3_extended_errcode(q->db), code = extended & 0xff;
    int error = sqlite3_system_errno(q->db);
    const char *said = sqlite3_errmsg(q->db);
    struct store *s = &q->store;

    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
        extended == SQLITE_CONSTRAINT_ROWID)
        return store_fail(s, STORE_CONFLICT, "%s", said);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return store_fail(s, STORE_AWAY, "%s: another process has it locked", s->name);
    if (extended == SQLITE_READONLY_DBMOVED) {
        (void)store_fail(s, STORE_AWAY, "%s was moved or deleted", s->name);
        return store_lost(s);
    }
    if (is_full(code, error))
        return store_fail(s, STORE_FULL, "%s: %s%s%s", s->name, said, error != 0 ? ": " : "",
            error != 0 ? strerror(error) : "");
    if (code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_NOMEM) {
        (void)store_fail(s, STORE_AWAY, "%s: %s: %s", s->name, said,
            error != 0 ? strerror(error) : "no more is known");
        return store_lost(s);
    }
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return store_fail(s, STORE_BAD,
            "%s is damaged (%s); bring back a backup with `openclaw store restore`", s->name, said);
    return store_fail(s, STORE_BAD, "%s", said);
}

/* --- the connection --- */

static void
sqlite_disconnect(struct store *s)
{
    struct sqlite *q = sqlite_of(s);

    for (size_t i = 0; i < STORE_STATEMENTS_MOST; i++)
        if (q->statements.places[i].sql != NULL)
            (void)sqlite3_finalize(q->statements.places[i].prepared);
    memset(&q->statements, 0, sizeof(q->statements));
    (void)sqlite3_finalize(q->once);
    q->once = NULL;
    (void)sqlite3_close(q->db);
    q->db = NULL;
}

/* Makes the file if there is none: SQLite would let others read it. Its other files have the
 * permissions of the first. */
static bool
make_file(struct store *s)
{
    const char *path = s->url, *slash = strrchr(path, '/');
    char why[sizeof(s->why)];

    if (slash != NULL && slash != path) {
        char *folder = str_dup_c(str_make(path, (size_t)(slash - path)));
        bool made = place_make(folder, WHY(why));

        free(folder);
        if (!made) {
            (void)store_fail(s, STORE_FULL, "%s", why);
            return false;
        }
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        (void)store_fail(s, errno == ENOSPC || errno == EROFS ? STORE_FULL : STORE_AWAY,
            "%s cannot be opened: %s", s->name, strerror(errno));
        return false;
    }
    (void)close(fd);
    return true;
}

/* A file that is not a database, or locked, is noticed here. */
static enum store_result
prepare_connection(struct sqlite *q)
{
    /* auto_vacuum counts for a new file only */
    static const char settings[] =
        "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
        "PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; "
        "PRAGMA cache_size=-16384; PRAGMA journal_size_limit=67108864; "
        "PRAGMA trusted_schema=OFF";

    (void)sqlite3_extended_result_codes(q->db, 1);
    (void)sqlite3_busy_timeout(q->db, BUSY_MS);
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sqlite3_exec(q->db, settings, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK : explain(q);
}

static enum store_result
sqlite_connect(struct store *s)
{
    struct sqlite *q = sqlite_of(s);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

    if (strcmp(s->url, ":memory:") != 0 && !make_file(s))
        return s->trouble;
    enum store_result r = sqlite3_open_v2(s->url, &q->db, flags, NULL) == SQLITE_OK
                              ? prepare_connection(q)
                              : explain(q);
    if (r != STORE_OK && q->db != NULL)
        sqlite_disconnect(s);
    return r;
}

static void
sqlite_close(struct store *s)
{
    free(sqlite_of(s));
}

/* --- statements --- */

/* The prepared statement of a text; NULL if it is wrong. */
static sqlite3_stmt *
prepared(struct sqlite *q, const char *sql)
{
    struct store_statement *st = store_statement(&q->statements, sql);
    sqlite3_stmt *made;

    if (st->sql == sql)
        return st->prepared;
    if (sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) != SQLITE_OK)
        return NULL;
    st->sql = sql;
    st->prepared = made;
    q->statements.count++;
    return made;
}

static int
bind(sqlite3_stmt *st, const struct store_value *args, size_t n)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < n && code == SQLITE_OK; i++) {
        const struct store_value *v = &args[i];
        int at = (int)i + 1;

        switch (v->type) {
        case STORE_NULL:
            code = sqlite3_bind_null(st, at);
            break;
        case STORE_I64:
            code = sqlite3_bind_int64(st, at, v->i);
            break;
        case STORE_TEXT:    /* not NULL, which would be SQL's */
            code = sqlite3_bind_text64(
                st, at, v->s.n != 0 ? v->s.p : "", v->s.n, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case STORE_BYTES:
            code = sqlite3_bind_blob64(st, at, v->s.n != 0 ? v->s.p : "", v->s.n, SQLITE_STATIC);
            break;
        }
    }
    return code;
}

static struct store_value
column(sqlite3_stmt *st, int i)
{
    const void *p;

    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        return store_i64(sqlite3_column_int64(st, i));
    case SQLITE_NULL:
        return store_null();
    case SQLITE_BLOB:
        p = sqlite3_column_blob(st, i);
        return store_bytes(str_make(p, (size_t)sqlite3_column_bytes(st, i)));
    default:    /* text, and fractions as text */
        p = sqlite3_column_text(st, i);
        return store_text(str_make(p, (size_t)sqlite3_column_bytes(st, i)));
    }
}

/* Runs it to its end. */
static enum store_result
step_all(struct sqlite *q, sqlite3_stmt *st, store_row_fn *row_fn, void *ctx)
{
    struct store_value row[STORE_COLUMNS_MOST];
    int columns = sqlite3_column_count(st), code;

    CHECK(columns <= STORE_COLUMNS_MOST);
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        if (row_fn == NULL)
            continue;
        for (int i = 0; i < columns; i++)
            row[i] = column(st, i);
        row_fn(ctx, row, (size_t)columns);
    }
    if (code != SQLITE_DONE)
        return STORE_BAD;
    if (sqlite3_stmt_readonly(st) == 0)
        q->store.changed += (uint64_t)sqlite3_changes64(q->db);
    return STORE_OK;
}

static enum store_result
run_args(struct sqlite *q, sqlite3_stmt *st, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    enum store_result r = STORE_BAD;

    if ((size_t)sqlite3_bind_parameter_count(st) != n)
        return store_fail(&q->store, STORE_BAD, "the statement has %d parameters, not %zu: %s",
            sqlite3_bind_parameter_count(st), n, sqlite3_sql(st));
    if (bind(st, store_clean(&q->store, args, n), n) == SQLITE_OK)
        r = step_all(q, st, row_fn, ctx);
    if (r != STORE_OK) {
        r = explain(q);    /* which may have freed the statement */
        if (!q->store.connected)
            return r;
    }
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
    return r;
}

static enum store_result
sqlite_run(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    struct sqlite *q = sqlite_of(s);
    sqlite3_stmt *st = prepared(q, sql);

    return st != NULL ? run_args(q, st, args, n, row_fn, ctx) : explain(q);
}

static enum store_result
sqlite_run_once(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    struct sqlite *q = sqlite_of(s);
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return explain(q);
    q->once = st;
    enum store_result r = run_args(q, st, args, n, row_fn, ctx);
    (void)sqlite3_finalize(q->once);
    q->once = NULL;
    return r;
}

static enum store_result
sqlite_batch(
    struct store *s, const char *sql, const struct store_value *rows, size_t n_rows, size_t n_args)
{
    struct sqlite *q = sqlite_of(s);
    enum store_result r = STORE_OK;
    sqlite3_stmt *st = prepared(q, sql);

    if (st == NULL)
        return explain(q);
    for (size_t i = 0; i < n_rows && r == STORE_OK; i++)
        r = run_args(q, st, rows + i * n_args, n_args, NULL, NULL);
    return r;
}

static enum store_result
sqlite_script(struct store *s, const char *sql)
{
    struct sqlite *q = sqlite_of(s);

    if (strcmp(sql, "ROLLBACK") == 0 && sqlite3_get_autocommit(q->db))
        return STORE_OK;    /* it has done so by itself */
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK : explain(q);
}

static const struct store_kind sqlite_kind = {
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .run = sqlite_run,
    .run_once = sqlite_run_once,
    .batch = sqlite_batch,
    .script = sqlite_script,
    .close = sqlite_close,
    .begin = "BEGIN IMMEDIATE",
    .begin_reading = "BEGIN",
    .columns = "SELECT name FROM pragma_table_info(?1) ORDER BY cid",
    .shrink = "PRAGMA incremental_vacuum(2000)",    /* pages of 4 KB */
    .integrity = "PRAGMA integrity_check(20)",
};

struct store *
sqlite_open(struct str path)
{
    struct sqlite *q = check_alloc(calloc(1, sizeof(*q)));
    char name[4200];

    (void)snprintf(name, sizeof(name), "sqlite:" STR_FMT, STR_ARG(path));
    store_setup(&q->store, &sqlite_kind, path, str_c(name));
    return &q->store;
}
