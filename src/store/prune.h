/* prune.h - deletes what is older than it is to be kept: store.keep, retention.def.
 */
#pragma once

#include "store/store.h"

/* For how long rows are kept, ms; 0: for ever. */
struct retention {
    uint64_t ledger_ms, usage_ms, deleted_ms;
};

/* Deletes rows for at most `for_ms`, in small transactions; *ret_more: there are more that are too
 * old. `done` (may be NULL) is told
 * what was deleted of a table. */
enum store_result store_prune(struct store *s, const struct retention *keep, uint64_t for_ms,
    void (*done)(void *ctx, struct str table, uint64_t rows), void *ctx, bool *ret_more);
