/* inspect.h - is a store sound, and what does it hold?
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

/* Gets what is found. */
struct inspector {
    void (*table)(void *ctx, struct str name, uint64_t rows);
    void (*fault)(void *ctx, struct str sentence);
    void *ctx;
};

/* Reads everything: the file as SQLite checks it, every table, and what invariants.def asks. STORE_OK
 * also when faults were found; else it could not be read to the end, and store_why() says why. */
enum store_result store_inspect(struct store *s, const struct inspector *to);
