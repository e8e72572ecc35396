/* queue.c - many threads put, one takes. */
#include "base/queue.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A place that a message may be put into at position `p` has the number p, and p + 1 once the
 * message is there; the one who takes it makes it the number of the position one round later. */
struct ring_place {
    _Atomic size_t number;
    struct message m;
};

struct queue {
    _Alignas(64) _Atomic size_t put;    /* the next position to be put */
    _Alignas(64) size_t taken;          /* the next to be taken; of the one thread */
    _Alignas(64) _Atomic uint64_t dropped;
    size_t mask;
    struct ring_place places[];
};

struct queue *
queue_create(size_t places)
{
    CHECK(places != 0 && (places & (places - 1)) == 0);
    size_t bytes = sizeof(struct queue) + places * sizeof(struct ring_place);
    struct queue *q = check_alloc(aligned_alloc(64, (bytes + 63) / 64 * 64));

    atomic_init(&q->put, 0);
    atomic_init(&q->dropped, 0);
    q->taken = 0;
    q->mask = places - 1;
    for (size_t i = 0; i < places; i++)
        atomic_init(&q->places[i].number, i);
    return q;
}

void
queue_destroy(struct queue *q)
{
    free(q);
}

bool
queue_put(struct queue *q, struct message m)
{
    size_t at = atomic_load_explicit(&q->put, memory_order_relaxed);

    for (;;) {
        struct ring_place *p = &q->places[at & q->mask];
        size_t number = atomic_load_explicit(&p->number, memory_order_acquire);

        if (number == at) {
            /* a failure loads `at` anew */
            if (!atomic_compare_exchange_weak_explicit(
                    &q->put, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
                continue;
            p->m = m;
            atomic_store_explicit(&p->number, at + 1, memory_order_release);
            return true;
        }
        if ((ptrdiff_t)(number - at) < 0) {    /* it was not taken since the last round */
            atomic_fetch_add_explicit(&q->dropped, 1, memory_order_relaxed);
            return false;
        }
        at = atomic_load_explicit(&q->put, memory_order_relaxed);
    }
}

bool
queue_take(struct queue *q, struct message *ret)
{
    struct ring_place *p = &q->places[q->taken & q->mask];

    if (atomic_load_explicit(&p->number, memory_order_acquire) != q->taken + 1)
        return false;
    *ret = p->m;
    atomic_store_explicit(&p->number, q->taken + q->mask + 1, memory_order_release);
    q->taken++;
    return true;
}

uint64_t
queue_dropped(const struct queue *q)
{
    return atomic_load_explicit(&q->dropped, memory_order_relaxed);
}
