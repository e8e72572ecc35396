/* quota.c - an atomic counter, incremented first and checked afterwards, so that concurrent threads
 * cannot exceed the limit together. */
#include "base/quota.h"

static bool
try_within(struct quota *q, uint64_t n, uint64_t limit)
{
    uint64_t before = atomic_fetch_add_explicit(&q->held, n, memory_order_relaxed);

    if (n <= limit && before <= limit - n)
        return true;
    (void)atomic_fetch_sub_explicit(&q->held, n, memory_order_relaxed);
    return false;
}

static bool
take_within(struct quota *q, uint64_t n, uint64_t limit)
{
    if (try_within(q, n, limit))
        return true;
    (void)atomic_fetch_add_explicit(&q->refused, 1, memory_order_relaxed);
    return false;
}

bool
quota_take(struct quota *q, uint64_t n)
{
    return take_within(q, n, atomic_load_explicit(&q->limit, memory_order_relaxed));
}

bool
quota_stretch(struct quota *q, uint64_t n)
{
    uint64_t limit = atomic_load_explicit(&q->limit, memory_order_relaxed);

    return take_within(q, n, limit <= UINT64_MAX / 2 ? limit * 2 : UINT64_MAX);
}

void
quota_give(struct quota *q, uint64_t n)
{
    if (n != 0)
        CHECK(atomic_fetch_sub_explicit(&q->held, n, memory_order_relaxed) >= n);
}

/* Takes whole grains while they fit, otherwise only what is needed. */
bool
quota_share_grow(struct quota_share *s, uint64_t n, bool begun)
{
    uint64_t needed = n - (s->taken - s->held);
    uint64_t limit = atomic_load_explicit(&s->quota->limit, memory_order_relaxed);
    uint64_t grains = needed / QUOTA_GRAIN_BYTES * QUOTA_GRAIN_BYTES + QUOTA_GRAIN_BYTES;

    if (try_within(s->quota, grains, limit)) {
        s->taken += grains;
    } else {
        if (begun ? !quota_stretch(s->quota, needed) : !quota_take(s->quota, needed))
            return false;
        s->taken += needed;
    }
    s->held += n;
    return true;
}

bool
quota_share_force(struct quota_share *s, uint64_t n)
{
    if (quota_share_add(s, n, true))
        return true;
    (void)atomic_fetch_add_explicit(&s->quota->held, n, memory_order_relaxed);
    s->taken += n;
    s->held += n;
    return false;
}

void
quota_share_give(struct quota_share *s, uint64_t n)
{
    if (s->quota == NULL)
        return;
    CHECK(n <= s->held);
    s->held -= n;

    uint64_t spare = s->taken - s->held;
    if (spare >= 2 * QUOTA_GRAIN_BYTES) {
        quota_give(s->quota, spare - QUOTA_GRAIN_BYTES);
        s->taken -= spare - QUOTA_GRAIN_BYTES;
    }
}

bool
quota_share_set(struct quota_share *s, uint64_t *held, uint64_t now, bool begun)
{
    if (now > *held && !quota_share_add(s, now - *held, begun))
        return false;
    if (now < *held)
        quota_share_give(s, *held - now);
    *held = now;
    return true;
}

void
quota_share_trim(struct quota_share *s)
{
    if (s->quota == NULL || s->taken == s->held)
        return;
    quota_give(s->quota, s->taken - s->held);
    s->taken = s->held;
}
