/* quota.c - one counter that is added to first and looked at then, so that threads never pass the
 * limit together. */
#include "base/quota.h"

static bool
take_within(struct quota *q, uint64_t n, uint64_t limit)
{
    uint64_t before = atomic_fetch_add_explicit(&q->held, n, memory_order_relaxed);

    if (n <= limit && before <= limit - n)
        return true;
    (void)atomic_fetch_sub_explicit(&q->held, n, memory_order_relaxed);
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
