/* past.h - asks for what is known of a request that has ended, whichever worker had it.
 *
 * Each worker keeps its own (recent.h). The exchange's worker is asked at once, and the others by
 * messages if it does not know.
 */
#pragma once

#include "gateway/collect.h"

/* Runs on the worker that is asked (`owner`): appends to ret->rows if it knows the request. */
typedef collect_fn past_fn;

/* False: the workers are being asked; call it again when the exchange is woken. Then *ret_found is
 * what the one that knows appended, or empty, and lives as long as the exchange. */
bool past_ask(
    struct exchange *x, past_fn *ask, struct str question, struct str *ret_found) MUST_CHECK;

/* The request by its id or that of its answer, as a JSON object: {"request":its line of the access
 * log,"feedback":what was said of it, or null}. Only one that this key asked, unless `any_key`. As
 * past_ask(). */
bool past_find(struct exchange *x, struct str id, bool any_key, struct str *ret_found) MUST_CHECK;

/* What recent_find() takes to find the exchange's caller's own: the hash of its key. */
struct str past_key(const struct exchange *x);
