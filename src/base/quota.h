/* quota.h - how much of something the whole process may hold at once: asked for before, given back
 * after. Any thread, no locks; who is refused does without, nobody waits.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct quota {
    _Atomic uint64_t held;
    _Atomic uint64_t limit;
    _Atomic uint64_t refused;    /* how often there was no room */
};

/* May be changed at any time; what is held beyond it stays held. */
static inline void
quota_set_limit(struct quota *q, uint64_t limit)
{
    atomic_store_explicit(&q->limit, limit, memory_order_relaxed);
}

/* For something new. False, and counted: there is no room for it. */
bool quota_take(struct quota *q, uint64_t n) MUST_CHECK;

/* For something already begun, which may use as much again: what was let in should come to its
 * end. False, and counted: not even so is there room. */
bool quota_stretch(struct quota *q, uint64_t n) MUST_CHECK;

/* Gives back what was taken. */
void quota_give(struct quota *q, uint64_t n);

static inline uint64_t
quota_held(const struct quota *q)
{
    return atomic_load_explicit(&q->held, memory_order_relaxed);
}

static inline uint64_t
quota_refused(const struct quota *q)
{
    return atomic_load_explicit(&q->refused, memory_order_relaxed);
}
