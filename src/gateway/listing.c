/* listing.c - waits for what providers say of their models. */
#include "gateway/listing.h"

#include "gateway/models.h"
#include "net/waiter.h"

#define MODELS_PATIENCE_MS 1500

static void
wake(void *worker, uint64_t id)
{
    struct exchange *x = slots_find(&((struct worker *)worker)->awaiting, id);

    if (x != NULL)
        exchange_wake(x);
}

bool
listing_must_wait(struct exchange *x)
{
    struct worker *w = x->worker;

    if (models_ask(&w->asker, x->hold->snapshot) == 0)
        return false;
    if (x->waiter == NULL) {
        x->waiter = arena_new(x->arena, struct waiter);
        *x->waiter = (struct waiter){
            .loop = w->loop, .wake = wake, .to = w, .id = slots_add(&w->awaiting, x)
        };
        waiter_join(x->waiter, MODELS_PATIENCE_MS);
        /* an answer that came between the two had nobody to wake */
        return models_ask(&w->asker, x->hold->snapshot) != 0;
    }
    return timer_is_set(&x->waiter->patience);
}
