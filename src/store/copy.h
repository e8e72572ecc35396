/* copy.h - all rows of one store into another of any kind: backups, restoring them, moving.
 */
#pragma once

#include "base/arena.h"
#include "store/store.h"

/* Is told of each table that is complete. */
typedef void store_copied_fn(void *ctx, struct str table, uint64_t rows);

/* Copies `from`, as it is at one moment, into `to`, in one transaction; both are connected. A store
 * of an older program gets that program's schema, which store_migrate() then brings up to date. A
 * store that has rows is refused, or with `replace` emptied first. What fails is explained by
 * store_why(to). Statements live in `a`, which must outlive both stores. */
enum store_result store_copy(struct store *from, struct store *to, bool replace, struct arena *a,
    store_copied_fn *copied, void *ctx);
