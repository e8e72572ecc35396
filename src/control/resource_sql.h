/* resource_sql.h - the store's statements on resources, made from the rows of resources.def.
 *
 * Each kind has a table: id, revision, serial, created_ms, updated_ms, deleted_ms (0: it is there), and a column
 * for each field but those that are only written (SECRET). All calls run on the thread that has the
 * store. A change begins with resource_begin(), which takes the counter of revisions: from then to the
 * commit no other process changes any resource, on this machine or another.
 */
#pragma once

#include "control/resource.h"
#include "store/store.h"

/* Begins a transaction; *ret_revision is for the rows that it changes. */
enum store_result resource_begin(struct store *s, int64_t *ret_revision) MUST_CHECK;

/* The newest revision that is committed. */
enum store_result resource_newest(struct store *s, int64_t *ret) MUST_CHECK;

enum store_result resource_insert(struct store *s, const struct resource_row *row) MUST_CHECK;

/* Writes revision, updated_ms and all fields of the row with that id. */
enum store_result resource_update(struct store *s, const struct resource_row *row) MUST_CHECK;

/* Leaves a row that says it is gone, since row->updated_ms. */
enum store_result resource_delete(struct store *s, const struct resource_row *row) MUST_CHECK;

typedef void resource_row_fn(void *ctx, const struct resource_row *row);

/* The row with that id, unless it is deleted; fn is not called if there is none. */
enum store_result resource_get(struct store *s, enum resource_kind kind, struct str id,
    resource_row_fn *fn, void *ctx) MUST_CHECK;

/* Those whose field has that value (a text), at most `most` of them; `field` has the FILTER flag, or UNIQUE. */
enum store_result resource_find(struct store *s, enum resource_field field, struct str value,
    unsigned most, resource_row_fn *fn, void *ctx) MUST_CHECK;

/* Those that are not deleted, in the order in which they were made: `limit` of them whose serial is
 * greater than `after`, and whose id (empty: any) and fields with the FILTER flag have the values that
 * are set. */
struct resource_query {
    enum resource_kind kind;
    int64_t after, limit;
    struct str id;
    const struct resource_value *values;    /* as in a row */
};
enum store_result resource_list(
    struct store *s, const struct resource_query *q, resource_row_fn *fn, void *ctx) MUST_CHECK;

/* All that are not deleted, in any order; and those with a revision in (after, until], deleted or not, in
 * the revisions' order. */
enum store_result resource_all(
    struct store *s, enum resource_kind kind, resource_row_fn *fn, void *ctx) MUST_CHECK;
enum store_result resource_since(struct store *s, enum resource_kind kind, int64_t after,
    int64_t until, resource_row_fn *fn, void *ctx) MUST_CHECK;
