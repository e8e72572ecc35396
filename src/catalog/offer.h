/* offer.h - the list of models that a provider reports.
 *
 * Offers are entries of the registry: they survive reloads as long as a configuration names the
 * provider. The code that queries the provider calls offer_begin() first and offer_settle() with
 * the result; this module does no networking. Thread-safe.
 */
#pragma once

#include "base/base.h"

#define OFFER_FRESH_MS 600000u    /* a list is refreshed after this time */
#define OFFER_RETRY_MS 30000u     /* delay after a failure, doubled after each further one */
#define OFFER_RETRY_MOST_MS 3600000u

/* Immutable, one allocation, reference-counted. */
struct offer_list {
    _Atomic unsigned holders;
    size_t count;
    struct str names[];
};

struct offer;

/* Takes a reference to the offer of the provider with this stable name. */
struct offer *offer_hold(struct str name) NEVER_NULL;
void offer_drop(struct offer *o);    /* NULL is a no-op */

/* True when the list is due and no query is running: the caller must then query the provider and
 * call offer_settle(). */
bool offer_begin(struct offer *o, uint64_t now_ms) MUST_CHECK;

/* Ends a query. `list` is taken over; NULL: it failed, and the previous list stays. */
void offer_settle(struct offer *o, struct offer_list *list, uint64_t now_ms);

/* Is the first query still running, with neither a list nor a failure so far? */
bool offer_is_awaited(struct offer *o);

/* The current list with a reference for the caller, or NULL. */
struct offer_list *offer_list(struct offer *o);
void offer_list_drop(struct offer_list *list);    /* NULL is a no-op */

/* A list with copies of the names. */
struct offer_list *offer_list_create(const struct str *names, size_t count) NEVER_NULL;
