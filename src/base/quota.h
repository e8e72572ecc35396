/* quota.h - a limit on the number of bytes that the process holds for its clients.
 *
 * A quota is shared by all threads without locks. Each thread takes bytes from it in large grains
 * through a share of its own, so that small requests are counted with plain arithmetic. When the
 * limit is reached, requests for more fail at once; nothing waits.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct quota {
    _Atomic uint64_t held;
    _Atomic uint64_t limit;
    _Atomic uint64_t refused;    /* how often it was exceeded */
};

/* May be called at any time. Bytes that are held already stay held. */
static inline void
quota_set_limit(struct quota *q, uint64_t limit)
{
    atomic_store_explicit(&q->limit, limit, memory_order_relaxed);
}

/* For new work. False, and counted as refused, if it would exceed the limit. */
bool quota_take(struct quota *q, uint64_t n) MUST_CHECK;

/* For work in progress, which may use up to twice the limit, so that what was admitted can be
 * completed. False, and counted as refused, if it would exceed even that. */
bool quota_stretch(struct quota *q, uint64_t n) MUST_CHECK;

/* Returns what was taken. */
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

/* One thread's share of a quota. Without a quota, nothing is counted or refused. */
struct quota_share {
    struct quota *quota;
    uint64_t held;     /* by the users of this share */
    uint64_t taken;    /* from the quota; never less than `held` */
};

/* The slow path of quota_share_add(). */
bool quota_share_grow(struct quota_share *s, uint64_t n, bool begun) MUST_CHECK;

/* Counts `n` more bytes. `begun`: for work in progress, as in quota_stretch(). False: refused,
 * nothing was counted. */
static inline bool MUST_CHECK
quota_share_add(struct quota_share *s, uint64_t n, bool begun)
{
    if (s->quota != NULL && n > s->taken - s->held)
        return quota_share_grow(s, n, begun);
    s->held += s->quota != NULL ? n : 0;
    return true;
}

/* Counts `n` more bytes that are in use already, even if they exceed the limit. False if they do:
 * the holder must stop. */
bool quota_share_force(struct quota_share *s, uint64_t n);

void quota_share_give(struct quota_share *s, uint64_t n);

/* Changes the number of bytes counted for a holder from `*held` to `now`. False: refused, and
 * `*held` is unchanged. */
bool quota_share_set(struct quota_share *s, uint64_t *held, uint64_t now, bool begun) MUST_CHECK;

/* Returns what was taken but is not held, so that the quota is exact. */
void quota_share_trim(struct quota_share *s);
