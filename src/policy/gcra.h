/* gcra.h - a rate that may be used in bursts: the generic cell rate algorithm on one atomic number.
 *
 * The number is the time at which all that was taken would have been allowed at an even rate (the
 * theoretical arrival time). Something may be taken as long as a burst lasts longer than that time is
 * ahead of now. So in any window of time, wherever it begins, no more is taken than its limit and a
 * burst; and what threads take at one time is what one thread would take in some order, because each
 * changes the number by compare-and-swap.
 *
 * What is larger than the burst (tokens of a long prompt) is taken when nothing is owed; then a window
 * holds no more than its limit and that one.
 *
 * Costs are rounded up, and what is given back down, to the nanosecond: never in favour of the caller.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

#define GCRA_NEVER UINT64_MAX

/* One that is all zeros has no limit. */
struct gcra {
    _Atomic uint64_t due_ns;    /* the theoretical arrival time */
    _Atomic uint64_t limit;     /* in a window; 0: none */
    _Atomic uint64_t burst;     /* 1 to limit */
};

/* How long `n` take at `limit` in `window_ns`. */
static inline uint64_t
gcra_cost_ns(uint64_t n, uint64_t limit, uint64_t window_ns, bool up)
{
    __extension__ typedef unsigned __int128 wide;
    wide ns = ((wide)n * window_ns + (up ? limit - 1 : 0)) / limit;

    return ns > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)ns;
}

/* May `n` be taken at that time? 0; or in how many nanoseconds, if nothing else is taken until then;
 * GCRA_NEVER: they are more than the limit. `percent` of the burst may be used. */
static inline uint64_t
gcra_wait_ns(
    const struct gcra *g, uint64_t window_ns, uint64_t n, unsigned percent, uint64_t now_ns)
{
    uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);
    uint64_t burst = atomic_load_explicit(&g->burst, memory_order_relaxed);

    if (limit == 0)
        return 0;
    if (n > MAX(limit, burst))
        return GCRA_NEVER;
    uint64_t due_ns = atomic_load_explicit(&g->due_ns, memory_order_relaxed);
    uint64_t room_ns = gcra_cost_ns(MAX(burst * percent / 100, 1), limit, window_ns, true);
    uint64_t cost_ns = MIN(gcra_cost_ns(n, limit, window_ns, true), room_ns);
    uint64_t full_ns = MAX(due_ns, now_ns) + cost_ns;

    return full_ns - now_ns <= room_ns ? 0 : full_ns - now_ns - room_ns;
}

/* Takes `n`, or returns when they may be taken, as gcra_wait_ns() does. */
static inline uint64_t
gcra_take(struct gcra *g, uint64_t window_ns, uint64_t n, unsigned percent, uint64_t now_ns)
{
    uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);
    uint64_t burst = atomic_load_explicit(&g->burst, memory_order_relaxed);

    if (limit == 0)
        return 0;
    if (n > MAX(limit, burst))
        return GCRA_NEVER;
    uint64_t cost_ns = gcra_cost_ns(n, limit, window_ns, true);
    uint64_t room_ns = gcra_cost_ns(MAX(burst * percent / 100, 1), limit, window_ns, true);
    uint64_t due_ns = atomic_load_explicit(&g->due_ns, memory_order_relaxed);

    for (;;) {
        uint64_t from_ns = MAX(due_ns, now_ns);
        uint64_t ahead_ns = from_ns - now_ns + MIN(cost_ns, room_ns);

        if (ahead_ns > room_ns)
            return ahead_ns - room_ns;
        if (atomic_compare_exchange_weak_explicit(
                &g->due_ns, &due_ns, from_ns + cost_ns, memory_order_relaxed, memory_order_relaxed))
            return 0;
    }
}

/* Gives back `n` of what was taken. */
static inline void
gcra_give(struct gcra *g, uint64_t window_ns, uint64_t n)
{
    uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);

    if (limit == 0 || n == 0)
        return;
    uint64_t cost_ns = gcra_cost_ns(n, limit, window_ns, false);
    uint64_t due_ns = atomic_load_explicit(&g->due_ns, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&g->due_ns, &due_ns,
        due_ns > cost_ns ? due_ns - cost_ns : 0, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Takes `n` that are used already, even if they exceed the limit. */
static inline void
gcra_force(struct gcra *g, uint64_t window_ns, uint64_t n, uint64_t now_ns)
{
    uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);

    if (limit == 0 || n == 0)
        return;
    uint64_t cost_ns = gcra_cost_ns(n, limit, window_ns, true);
    uint64_t due_ns = atomic_load_explicit(&g->due_ns, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&g->due_ns, &due_ns,
        MAX(due_ns, now_ns) + cost_ns, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* What may be taken now, and how long until a whole burst may; of a limit. */
static inline uint64_t
gcra_left(const struct gcra *g, uint64_t window_ns, uint64_t now_ns, uint64_t *ret_reset_ns)
{
    uint64_t limit = atomic_load_explicit(&g->limit, memory_order_relaxed);
    uint64_t burst = atomic_load_explicit(&g->burst, memory_order_relaxed);
    uint64_t due_ns = atomic_load_explicit(&g->due_ns, memory_order_relaxed);
    __extension__ typedef unsigned __int128 wide;

    *ret_reset_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    if (limit == 0)
        return UINT64_MAX;
    uint64_t room_ns = gcra_cost_ns(burst, limit, window_ns, true);
    if (*ret_reset_ns >= room_ns)
        return 0;
    return (uint64_t)((wide)(room_ns - *ret_reset_ns) * limit / window_ns);
}
