/* credentials.c - takes them from identities, and waits for the keeper. */
#include "gateway/credentials.h"

#include "base/clock.h"
#include "gateway/exchange.h"
#include "net/waiter.h"

#define PATIENCE_MS 10000u

static void
wake(void *worker, uint64_t id)
{
    struct exchange *x = slots_find(&((struct worker *)worker)->awaiting, id);

    if (x != NULL)
        exchange_wake(x);
}

/* How long the caller can wait. */
static uint64_t
patience_ms(const struct exchange *x)
{
    uint64_t due_us = exchange_due_us(x), now_us = clock_now_us();

    if (due_us == 0)
        return PATIENCE_MS;
    return due_us > now_us ? MIN((due_us - now_us + 999) / 1000, PATIENCE_MS) : 1;
}

bool
credentials_ready(struct exchange *x, struct attempt *a)
{
    struct worker *w = a->worker;
    struct identity *id = a->target->provider->identity;

    if (a->written->unfit != OK || a->lent != NULL || attempt_take_credential(a))
        return true;
    if (x->waiter == NULL) {
        x->waiter = arena_new(x->arena, struct waiter);
        *x->waiter = (struct waiter){
            .loop = w->loop, .wake = wake, .to = w, .id = slots_add(&w->awaiting, x)
        };
        waiter_join(x->waiter, patience_ms(x));
    }
    if (keeper_look(&w->keeper, id, true) && timer_is_set(&x->waiter->patience))
        return false;
    if (!attempt_take_credential(a))    /* it may have come meanwhile, or at once */
        attempt_lack_credential(a);
    return true;
}
