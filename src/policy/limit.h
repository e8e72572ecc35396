/* limit.h - how many requests each caller has under way: in the whole process, across reloads.
 *
 * A snapshot comes and goes with the configuration; the requests that it admitted stay, and still
 * count. So the counts live beside the snapshots, found by who the caller is. Whoever knows a
 * caller holds its count; the last holder frees it, so there are never more of them than keys in
 * the configurations that are in use.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

/* All workers count here at every request: nothing else may lie in the same line of the cache. */
struct in_flight {
    alignas(64) _Atomic uint32_t count;
    unsigned holders;    /* guarded by the table's lock */
    char *id;
    size_t id_n;
};

/* The count of the caller with this id (any bytes), the same one for all who ask. Takes a lock:
 * for the building of a snapshot. */
struct in_flight *in_flight_hold(struct str id) NEVER_NULL;
void in_flight_drop(struct in_flight *f);    /* NULL is a no-op */

/* One request more, unless `limit` are under way already; 0: no limit. */
static inline bool
in_flight_begin(struct in_flight *f, uint64_t limit)
{
    uint32_t before = atomic_fetch_add_explicit(&f->count, 1, memory_order_relaxed);

    if (limit == 0 || before < limit)
        return true;
    (void)atomic_fetch_sub_explicit(&f->count, 1, memory_order_relaxed);
    return false;
}

/* One request less; of those that began. */
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
