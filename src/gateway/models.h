/* models.h - queries providers for their lists of models.
 *
 * The lists are cached (catalog/offer.h) and refreshed in the background when /v1/models is
 * requested and they are old. Until a provider has answered, the catalog's rows are used. Size,
 * number of names and time of an answer are limited.
 */
#pragma once

#include "gateway/snapshot.h"
#include "http/client.h"

#define MODELS_DEADLINE_MS 10000u    /* for a provider's whole answer */

struct models_ask;

/* The queries of one thread. Initialised to zero, except for `loop` and `client`. */
struct models_asker {
    struct loop *loop;
    struct client *client;
    struct models_ask *first;
};

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
