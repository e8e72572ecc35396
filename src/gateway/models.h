/* models.h - asks providers which models they have.
 *
 * Nobody's request waits for it to go on: the lists are kept (route/offer.h), asked for when
 * somebody wants to see them and they are old, and until a provider has answered the catalog stands
 * in for it. What one answer may take is bounded in bytes, names and time.
 */
#pragma once

#include "gateway/snapshot.h"
#include "http/client.h"

#define MODELS_DEADLINE_MS 10000u    /* for one provider's answer */

struct models_ask;

/* Those that are being asked by one thread. Zeroed, with its client, at first. */
struct models_asker {
    struct client *client;
    struct models_ask *first;
};

/* Asks the providers of the snapshot whose lists are due. How many of them are being asked, by
 * whomever, of which nothing at all is known yet. */
unsigned models_ask(struct models_asker *a, struct snapshot *s);

/* Looks at the clock; to be called from time to time while there are some. */
void models_tick(struct models_asker *a, uint64_t now_ms);

/* Stops asking. */
void models_stop(struct models_asker *a);

/* Calls `each` for every name that can be asked for and is known: aliases, then each provider's
 * configured names, or what it said, or the catalog's. The names live as long as the call. */
void models_each(const struct route_table *routes,
    void (*each)(void *arg, struct str id, struct str owner), void *arg);
