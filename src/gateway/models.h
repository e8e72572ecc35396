/* models.h - queries providers for their lists of models.
 *
 * The lists are cached (catalog/offer.h) and refreshed in the background when /v1/models is
 * requested and they are old. Until a provider has answered, the catalog's rows are used. Size,
 * number of names and time of an answer are limited.
 */
#pragma once

#include "gateway/snapshot.h"
#include "http/client.h"
#include "net/timer.h"

#define MODELS_DEADLINE_MS 10000u    /* for a provider's whole answer */

struct models_ask;

/* The queries of one thread. Initialised to zero, except for `loop` and `client`. */
struct models_asker {
    struct loop *loop;
    struct client *client;
    struct models_ask *first;
};

/* Somebody who wants to know when a query ends, on any thread; on its own thread it is told by its
 * id, since it may be gone by then. */
struct models_waiter {
    struct models_waiter *prev, *next;
    struct loop *loop;
    void (*wake)(void *to, uint64_t id);
    void *to;    /* lives as long as the loop */
    uint64_t id;
    struct timer patience;
};

/* From now on wake(to, id) is called on the loop after each query, unless too many messages wait
 * there, and once when `patience_ms` are over. The other members are set already. */
void models_wait(struct models_waiter *w, uint64_t patience_ms);
void models_unwait(struct models_waiter *w);

/* Starts queries to the providers of the snapshot whose lists are due. Returns the number of
 * providers of which nothing is known yet and whose first query is running, on any thread. */
unsigned models_ask(struct models_asker *a, struct snapshot *s);

/* The request for a provider's list of models. Its header and path are put into the buffers, which
 * must outlive it. */
struct client_request models_request(
    const struct provider *p, struct buf *fields, struct buf *path, uint64_t limit_ms);

/* Cancels all queries. */
void models_stop(struct models_asker *a);

/* Calls `each` for every known name: aliases, then for each provider its configured names, or its
 * own list, or the catalog's rows. The names are valid during the call only. */
void models_each(
    const struct snapshot *s, void (*each)(void *arg, struct str id, struct str owner), void *arg);
