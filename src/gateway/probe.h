/* probe.h - asks providers now and then whether they can be reached.
 *
 * A probe is a request for the list of models, as gateway/models.h makes it. That it is answered,
 * whatever the answer, closes the circuit breaker of a provider that was open, like the probe that a
 * request would have been; that it is not counts as a failure of the provider. Nothing is learnt of
 * its models and keys. One worker probes for the whole process.
 */
#pragma once

#include "gateway/snapshot.h"
#include "http/client.h"

struct probe;

/* Initialised to zero, except for `loop` and `client`. */
struct prober {
    struct loop *loop;
    struct client *client;
    struct probe *first;    /* those under way */
};

/* Starts the probes that are due, of providers that want any. To be called about once a second. */
void probe_look(struct prober *p, struct snapshot *s, uint64_t now_ms);

/* Cancels all. */
void probe_stop(struct prober *p);
