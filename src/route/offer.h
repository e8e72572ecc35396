/* offer.h - which models a provider said that it has.
 *
 * An offer belongs to the process: reloads come and go, and what a provider said stays while a
 * configuration names it. Whoever asks the provider says so first (offer_begin) and what came of it
 * afterwards (offer_settle); the network is somebody else's. Any thread may call.
 */
#pragma once

#include "base/base.h"

#define OFFER_FRESH_MS 600000u    /* a list is asked for again after so long */
#define OFFER_RETRY_MS 30000u     /* after a failure, and twice as long after each further one */
#define OFFER_RETRY_MOST_MS 3600000u

/* Immutable, in one block. */
struct offer_list {
    _Atomic unsigned holders;
    size_t count;
    struct str names[];
};

struct offer;

/* The offer of the provider with this id at this address, the same one for all who ask. */
struct offer *offer_hold(struct str id, struct str url) NEVER_NULL;
void offer_drop(struct offer *o);    /* NULL is a no-op */

/* Is it time to ask, and nobody does? Then the caller must, and settle. */
bool offer_begin(struct offer *o, uint64_t now_ms) MUST_CHECK;

/* The provider answered with a list (taken over), or failed: NULL, and the last list stays. */
void offer_settle(struct offer *o, struct offer_list *list, uint64_t now_ms);

/* Being asked for the first time: neither a list nor a failure yet. */
bool offer_is_awaited(struct offer *o);

/* The last list, to be given back, or NULL. */
struct offer_list *offer_list(struct offer *o);
void offer_list_drop(struct offer_list *list);    /* NULL is a no-op */

/* A list with copies of the names. */
struct offer_list *offer_list_create(const struct str *names, size_t count) NEVER_NULL;
