/* hedge.c - the budget of hedged requests. */
#include "route/hedge.h"

#define ONE 100                  /* hedge, in credits */
#define MOST (10 * ONE)          /* that can be saved up */
#define FREE_NANOUSD 10000000    /* a cent in vain is never too much: prices need samples, too */

void
hedge_note_request(struct hedge *h)
{
    int64_t credit = atomic_load_explicit(&h->credit, memory_order_relaxed);

    if (credit < MOST)
        (void)atomic_fetch_add_explicit(&h->credit, h->share_percent, memory_order_relaxed);
}

void
hedge_note_cost(struct hedge *h, int64_t cost_nanousd, int64_t vain_nanousd)
{
    if (cost_nanousd > 0)
        (void)atomic_fetch_add_explicit(&h->cost_nanousd, cost_nanousd, memory_order_relaxed);
    if (vain_nanousd > 0)
        (void)atomic_fetch_add_explicit(&h->vain_nanousd, vain_nanousd, memory_order_relaxed);
}

bool
hedge_take(struct hedge *h)
{
    int64_t cost = atomic_load_explicit(&h->cost_nanousd, memory_order_relaxed);
    int64_t vain = atomic_load_explicit(&h->vain_nanousd, memory_order_relaxed);

    if (vain > FREE_NANOUSD && vain / h->cost_percent > cost / 100)
        return false;
    if (atomic_fetch_sub_explicit(&h->credit, ONE, memory_order_relaxed) >= ONE)
        return true;
    (void)atomic_fetch_add_explicit(&h->credit, ONE, memory_order_relaxed);
    return false;
}
