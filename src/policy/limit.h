/* limit.h - the number of requests in flight per caller, across workers and reloads.
 *
 * A reload replaces the snapshot, but requests admitted under the old one are still in flight and
 * must count. The counters therefore live outside the snapshots and are looked up by the caller's
 * id. Each snapshot holds a reference to the counters of its keys, and the last reference frees a
 * counter, so there are never more counters than keys in the configurations in use.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

/* Updated by all workers on every request, so it has a cache line of its own. */
struct in_flight {
    alignas(64) _Atomic uint32_t count;
    unsigned holders;    /* protected by the table's lock */
    char *id;
    size_t id_n;
};

/* Takes a reference to the counter with this id (any bytes), creating it if needed. Takes a lock;
 * meant for building a snapshot, not for requests. */
struct in_flight *in_flight_hold(struct str id) NEVER_NULL;
void in_flight_drop(struct in_flight *f);    /* NULL is a no-op */

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
