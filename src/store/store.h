/* store.h - the database: a SQLite file, or PostgreSQL.
 *
 * Statements are written in what both understand: parameters ?1, ?2 ..., INSERT ... ON CONFLICT,
 * RETURNING; BIGINT for numbers, times (ms since 1970), money (nano-dollars) and booleans (0 or 1);
 * TEXT; BYTEA. Where PostgreSQL cannot tell the type of a parameter, write CAST(?1 AS BIGINT). A
 * statement is a string literal or lives as long as the store: it is prepared once, and found again
 * by its address.
 *
 * One thread at a time uses a store. All calls wait for the database: never on a thread that serves
 * requests; see control/steward.h.
 *
 * What is not committed may be lost, and what a lost connection was committing may be there or not:
 * so every write must be one that can be repeated, with an id that the writer made, ON CONFLICT DO
 * NOTHING.
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

struct store;

/* What became of a call. After anything but STORE_OK inside a transaction, roll it back: PostgreSQL
 * refuses to go on. */
enum store_result {
    STORE_OK,
    STORE_CONFLICT,    /* such a row is there already (a key, a unique index) */
    STORE_AWAY,        /* it cannot be reached, or is locked; try again later */
    STORE_FULL,        /* no room on its disk, or it may only be read; try again later */
    STORE_BAD,         /* a statement that is wrong, or a file that is damaged */
};
const char *store_result_name(enum store_result r) NEVER_NULL;

enum store_type { STORE_NULL, STORE_I64, STORE_TEXT, STORE_BYTES };

/* A parameter, or a column of a row. The slice is borrowed: a parameter's until the call returns, a
 * column's until the row function returns. */
struct store_value {
    enum store_type type;
    int64_t i;
    struct str s;
};
static inline struct store_value
store_i64(int64_t i)
{
    return (struct store_value){ .type = STORE_I64, .i = i };
}
static inline struct store_value
store_text(struct str s)
{
    return (struct store_value){ .type = STORE_TEXT, .s = s };
}
static inline struct store_value
store_bytes(struct str s)
{
    return (struct store_value){ .type = STORE_BYTES, .s = s };
}
static inline struct store_value
store_null(void)
{
    return (struct store_value){ .type = STORE_NULL };
}
/* NULL for an empty text: for columns that are unknown rather than empty. */
static inline struct store_value
store_text_or_null(struct str s)
{
    return s.n != 0 ? store_text(s) : store_null();
}

/* Gets a row of `n` columns; must not use the store. */
typedef void store_row_fn(void *ctx, const struct store_value *row, size_t n);

#define STORE_COLUMNS_MOST 64    /* columns of a row, and parameters of a statement */

/* "sqlite:PATH", "sqlite::memory:" (for tests), "postgres://..." or "postgresql://..." as libpq has
 * them, "off" (every call returns STORE_AWAY). Nothing is opened yet. NULL if the address is
 * not one of these, with the reason. */
struct store *store_open(struct str url, struct why why) MUST_CHECK;
void store_close(struct store *s);    /* NULL is a no-op */

/* Opens the file (and makes it, 0600, with its folder, 0700) or connects, unless that is done. Other
 * calls do not: they return STORE_AWAY while there is no connection, and drop one that is lost. */
enum store_result store_connect(struct store *s);
bool store_is_connected(const struct store *s);
void store_disconnect(struct store *s);

/* Brings the schema up to date: see migrations.def. Any number of processes may do so at once.
 * STORE_BAD: it is newer than this program. */
enum store_result store_migrate(struct store *s);

/* Runs one statement; row_fn (may be NULL) gets its rows. */
enum store_result store_run(struct store *s, const char *sql, const struct store_value *args,
    size_t n, store_row_fn *row_fn, void *ctx);

/* The same with a statement that need not live longer than the call, and is not kept prepared. */
enum store_result store_run_once(struct store *s, const char *sql, const struct store_value *args,
    size_t n, store_row_fn *row_fn, void *ctx);

/* Runs one statement n_rows times, with n_args parameters each, all or nothing: rows[i * n_args] is
 * the first of row i. One round trip on PostgreSQL. Starts a transaction if there is none. */
enum store_result store_batch(
    struct store *s, const char *sql, const struct store_value *rows, size_t n_rows, size_t n_args);

/* Runs statements without parameters, separated by semicolons. */
enum store_result store_script(struct store *s, const char *sql);

/* A transaction. One that begins holds the lock for writing on SQLite. */
enum store_result store_begin(struct store *s) MUST_CHECK;
/* One that only reads, however long it takes, and sees all tables as they were at one moment. */
enum store_result store_begin_reading(struct store *s) MUST_CHECK;
enum store_result store_commit(struct store *s) MUST_CHECK;
void store_rollback(struct store *s);    /* no transaction: a no-op */

/* Rows that the last store_run() or store_batch() inserted, changed or deleted. */
uint64_t store_changed(const struct store *s);

/* In words, why the last call did not return STORE_OK; never contains a password. */
const char *store_why(const struct store *s) NEVER_NULL;

/* What keeps it from being used, as far as calls have shown: STORE_OK, or the result of the last that
 * failed (but for STORE_CONFLICT), until something was written again. */
enum store_result store_trouble(const struct store *s);

/* Where it is, without a password: "sqlite:/var/lib/openclaw/openclaw.db", "postgres://db/openclaw". */
struct str store_name(const struct store *s);
bool store_is_off(const struct store *s);
