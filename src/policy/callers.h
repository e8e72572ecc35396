/* callers.h - the principals of one worker, made of what the directory knows.
 *
 * A key's principal is made when its worker first sees the key, kept for its next request, and freed after
 * the last exchange that uses it has ended: all within one thread, so nothing is counted with
 * atomics. After a change in the directory the worker asks it again before it trusts what it
 * remembers.
 *
 * A key that is not known costs the same whatever the reason: two hashes of it, a look into the worker's
 * table and one into the directory, which find nothing.
 */
#pragma once

#include "policy/auth.h"
#include "policy/directory.h"

struct callers;

/* The directory outlives it. */
struct callers *callers_create(struct directory *d) NEVER_NULL;
void callers_destroy(struct callers *c);    /* NULL is a no-op; no principal may be in use */

/* The principal of the credential, held for the caller (principal_drop() it); NULL: it is not a key of the
 * store that may be used now. */
struct principal *callers_find(
    struct callers *c, struct str credential, uint64_t wall_ms) MUST_CHECK;

/* Is the text such a key? */
bool callers_know(struct callers *c, struct str text) MUST_CHECK;

/* May a principal that was found earlier, and is still held, be used? For what takes long. True of those that are not
 * keys of the store. */
bool callers_allow(struct callers *c, const struct principal *p, uint64_t wall_ms) MUST_CHECK;

/* From time to time: forgets what is not valid any more. True: something may have changed since the last call, so that
 * callers_allow() is worth asking. */
bool callers_tick(struct callers *c, uint64_t wall_ms);

/* Reports when keys were used last: now each that was used since it was reported last, later those that are
 * forgotten meanwhile. */
typedef void callers_used_fn(void *arg, struct str key_id, uint64_t wall_ms);
void callers_report_used(struct callers *c, callers_used_fn *fn, void *arg);
