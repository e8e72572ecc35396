/* store_priv.h - what the kinds of stores have in common. */
#pragma once

#include <stdatomic.h>

#include "store/store.h"

/* One implementation. Calls but close() and connect() come while it is connected. What they return
 * they have explained with store_fail(). */
struct store_kind {
    enum store_result (*connect)(struct store *s);
    void (*disconnect)(struct store *s);    /* forgets prepared statements, too */
    enum store_result (*run)(struct store *s, const char *sql, const struct store_value *args,
        size_t n, store_row_fn *row_fn, void *ctx);
    enum store_result (*run_once)(struct store *s, const char *sql, const struct store_value *args,
        size_t n, store_row_fn *row_fn, void *ctx);
    /* inside a transaction */
    enum store_result (*batch)(struct store *s, const char *sql, const struct store_value *rows,
        size_t n_rows, size_t n_args);
    enum store_result (*script)(struct store *s, const char *sql);
    void (*close)(struct store *s);    /* disconnected; frees it */
    const char *begin, *begin_reading;
    const char *columns;      /* names of the columns of table ?1; none: there is no such table */
    const char *shrink;       /* gives room back that deleted rows had; NULL: it does so by itself */
    const char *integrity;    /* rows other than "ok" are faults; NULL: it checks by itself */
    const char *lock_migrations;    /* in a transaction: other processes wait; NULL: they do anyway */
};

struct store {
    const struct store_kind *kind;
    char *url;     /* without its scheme for SQLite; may contain a password */
    char *name;    /* for people */
    bool connected;
    bool in_transaction;
    bool patient;    /* the transaction is one whose statements may take long */
    enum store_result trouble;
    uint64_t changed;
    struct store_value clean[STORE_COLUMNS_MOST];    /* see store_clean() */
    char *clean_text;
    char why[512];
};

/* Notes why a call failed; returns `r`. */
enum store_result store_fail(struct store *s, enum store_result r, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The connection is lost: drops it. Returns STORE_AWAY. */
enum store_result store_lost(struct store *s);

/* Statements that are prepared, by the address of their text. */
#define STORE_STATEMENTS_MOST 1024u
struct store_statements {
    struct store_statement {
        const char *sql;
        union {
            void *prepared;
            unsigned number;
        };
    } places[STORE_STATEMENTS_MOST];    /* a hash table */
    unsigned count;                     /* the caller counts what it adds */
};

/* The place of a statement; its `sql` is NULL if it is not there yet. */
struct store_statement *store_statement(struct store_statements *t, const char *sql) NEVER_NULL;

/* The parameters, with a ? for every byte of a text that is not UTF-8 (PostgreSQL refuses it, and a
 * caller's words must not stop what is written with them). Valid until the next call. */
const struct store_value *store_clean(struct store *s, const struct store_value *args, size_t n);

/* Fills in a new store of that kind; the caller allocated it with zeros. */
void store_setup(struct store *s, const struct store_kind *kind, struct str url, struct str name);

struct store *sqlite_open(struct str path) NEVER_NULL;
struct store *postgres_open(struct str url);    /* NULL: libpq cannot read it */

/* A text with ?1 as $1, outside of quotes, on the heap; the caller frees it. */
char *store_dollars(const char *sql) NEVER_NULL;
