/* quota.h - how many bytes the whole process may hold at once.
 *
 * A quota is shared by all threads without locks. Each thread takes from it in grains through a
 * share of its own, so that what a small request holds is counted with plain arithmetic. A caller
 * that is refused must do without; no call blocks.
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

/* For something new. False, and counted, when it does not fit. */
bool quota_take(struct quota *q, uint64_t n) MUST_CHECK;

/* For something already begun, which may go on up to twice the limit: what was let in should come to
 * its end. False, and counted, when even that is used up. */
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

#define QUOTA_GRAIN_BYTES (64u * 1024)

/* One thread's part of a quota. Without a quota nothing is counted and nothing refused. */
struct quota_share {
    struct quota *quota;
    uint64_t held;     /* by those who use this share */
    uint64_t taken;    /* from the quota; at least `held` */
};

/* The slow half of quota_share_add(). */
bool quota_share_grow(struct quota_share *s, uint64_t n, bool begun) MUST_CHECK;

/* Counts `n` more bytes; `begun` as in quota_stretch(). False: refused, nothing was counted. */
static inline bool MUST_CHECK
quota_share_add(struct quota_share *s, uint64_t n, bool begun)
{
    if (s->quota != NULL && n > s->taken - s->held)
        return quota_share_grow(s, n, begun);
    s->held += s->quota != NULL ? n : 0;
    return true;
}

/* Counts `n` more bytes although they may be beyond the limit: they are in use already. False when
 * they are: the holder must come to an end. */
bool quota_share_force(struct quota_share *s, uint64_t n);

void quota_share_give(struct quota_share *s, uint64_t n);

/* Counts `now` bytes for a holder instead of the `*held` counted so far. False: refused, and `*held`
 * stays as it was. */
bool quota_share_set(struct quota_share *s, uint64_t *held, uint64_t now, bool begun) MUST_CHECK;

/* Gives back what is taken and not held, so that the quota shows what is. */
void quota_share_trim(struct quota_share *s);
