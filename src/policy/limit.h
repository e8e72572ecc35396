/* limit.h - the number of requests in flight per caller, across workers and reloads.
 *
 * Requests admitted under an earlier configuration are still in flight and must count: the counters
 * are entries of the registry, by the caller's id.
 */
#pragma once

#include <stdatomic.h>

#include "base/registry.h"

#define IN_FLIGHT_WORKERS 256

struct in_flight {
    _Atomic uint32_t count;    /* updated by all workers on every request */
    /* Those of each worker, which alone uses its number: for the share that a key may have of it. */
    uint32_t here[IN_FLIGHT_WORKERS];
};

extern const struct registry_kind in_flight_kind;

/* Takes a reference to the counter with this id (any bytes); give it back with registry_drop(). */
static inline struct in_flight *
in_flight_hold(struct str id)
{
    return registry_hold(&in_flight_kind, id);
}

/* Counts one more request. False when `limit` are in flight already; 0: no limit. */
static inline bool
in_flight_begin(struct in_flight *f, uint64_t limit)
{
    uint32_t before = atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);

    if (limit == 0 || before < limit)
        return true;
    (void)atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
    return false;
}

/* Counts one request less; only after in_flight_begin() returned true. */
static inline void
in_flight_end(struct in_flight *f)
{
    (void)atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
}

static inline uint32_t
in_flight_count(const struct in_flight *f)
{
    return atomic_load_explicit(&f->count, memory_order_relaxed);
}
