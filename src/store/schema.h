/* schema.h - what migrations.def says about the tables, for what works on all of them.
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

/* The tables and views that migrations make, in their order, as many as `most`; returns how many. Names live as
 * long as the arena. */
#define SCHEMA_TABLES_MOST 128
size_t schema_tables(struct arena *a, struct str list[SCHEMA_TABLES_MOST]);
size_t schema_views(struct arena *a, struct str list[SCHEMA_TABLES_MOST]);

/* Columns of a table; `count` is 0 if it is not there. */
struct schema_columns {
    struct arena *arena;
    struct str names[STORE_COLUMNS_MOST];
    size_t count;
};
enum store_result schema_columns(
    struct store *s, struct arena *a, struct str table, struct schema_columns *ret);

/* How the schema of a store differs from that of this program. */
struct schema_state {
    unsigned applied;     /* migrations */
    unsigned pending;     /* those that store_migrate() would apply */
    char unknown[256];    /* those of a newer program: "12 (name), 13 (other)"; empty: none */
};
enum store_result schema_look(struct store *s, struct schema_state *ret);

/* As store_migrate(), but applies those alone that `like` has; in the transaction that is open. */
enum store_result schema_apply_like(struct store *s, struct store *like);

/* Drops the tables that are there; in the transaction that is open. */
enum store_result schema_drop(struct store *s);
