/* timer.c - one-shot timers in a heap of our own, because deadlines in a gateway move all the time.
 *
 * A timer's key in the heap is the time of its next check, which may be earlier than its
 * deadline: moving the deadline later, or stopping the timer, only stores a number that the next
 * check will see. One libuv timer per loop
 * wakes for the earliest.
 */
#include "net/loop_priv.h"

#include <stdlib.h>

enum { HEAP_CAP_MIN = 64 };
#define NOT_IN_HEAP SIZE_MAX

struct timer {
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    uint64_t deadline_ms;    /* 0: not set */
    size_t slot;             /* its index in the heap, or NOT_IN_HEAP */
};

/* --- the heap: a parent is never later than its children --- */

static void
heap_place(struct timer_heap *h, size_t i, struct timer_slot slot)
{
    h->slots[i] = slot;
    slot.timer->slot = i;
}

static void
heap_up(struct timer_heap *h, size_t i)
{
    struct timer_slot slot = h->slots[i];

    while (i > 0 && h->slots[(i - 1) / 2].at_ms > slot.at_ms) {
        heap_place(h, i, h->slots[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(h, i, slot);
}

static void
heap_down(struct timer_heap *h, size_t i)
{
    struct timer_slot slot = h->slots[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->slots[child + 1].at_ms < h->slots[child].at_ms)
            child++;
        if (h->slots[child].at_ms >= slot.at_ms)
            break;
        heap_place(h, i, h->slots[child]);
        i = child;
    }
    heap_place(h, i, slot);
}

static void
heap_add(struct timer_heap *h, struct timer *t, uint64_t at_ms)
{
    if (h->count == h->cap) {
        h->cap = MAX(h->cap * 2, (size_t)HEAP_CAP_MIN);
        h->slots = check_alloc(realloc(h->slots, h->cap * sizeof(h->slots[0])));
    }
    h->slots[h->count++] = (struct timer_slot){ at_ms, t };
    heap_up(h, h->count - 1);
}

static void
heap_remove(struct timer_heap *h, size_t i)
{
    h->slots[i].timer->slot = NOT_IN_HEAP;
    h->count--;
    if (i == h->count)
        return;
    heap_place(h, i, h->slots[h->count]);
    heap_up(h, i);
    heap_down(h, h->slots[i].timer->slot);
}

static void
heap_move(struct timer_heap *h, size_t i, uint64_t at_ms)
{
    bool earlier = at_ms < h->slots[i].at_ms;

    h->slots[i].at_ms = at_ms;
    if (earlier)
        heap_up(h, i);
    else
        heap_down(h, i);
}

/* --- for the loop --- */

uint64_t
timers_next_ms(const struct loop *l)
{
    return l->timers.count != 0 ? l->timers.slots[0].at_ms : UINT64_MAX;
}

void
timers_run(struct loop *l)
{
    struct timer_heap *h = &l->timers;
    uint64_t now_ms = loop_now_ms(l);

    while (h->count != 0 && h->slots[0].at_ms <= now_ms) {
        struct timer *t = h->slots[0].timer;

        if (t->deadline_ms > now_ms) {    /* it was moved since */
            heap_move(h, 0, t->deadline_ms);
            continue;
        }
        heap_remove(h, 0);
        if (t->deadline_ms != 0) {
            t->deadline_ms = 0;
            t->fn(t->arg);    /* may destroy `t` and others */
        }
    }
}

void
timers_fini(struct loop *l)
{
    free(l->timers.slots);
    l->timers = (struct timer_heap){ 0 };
}

/* --- the public interface --- */

struct timer *
timer_create_on(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct timer *t = check_alloc(malloc(sizeof(*t)));

    *t = (struct timer){ .loop = l, .fn = fn, .arg = arg, .slot = NOT_IN_HEAP };
    return t;
}

void
timer_set(struct timer *t, uint64_t delay_ms)
{
    struct timer_heap *h = &t->loop->timers;
    uint64_t now_ms = loop_now_ms(t->loop);

    /* At least 1 ms away, so that a timer that sets itself again cannot starve the loop. */
    delay_ms = MAX(delay_ms, 1);
    t->deadline_ms = delay_ms < UINT64_MAX - now_ms ? now_ms + delay_ms : UINT64_MAX;
    if (t->slot == NOT_IN_HEAP)
        heap_add(h, t, t->deadline_ms);
    else if (t->deadline_ms < h->slots[t->slot].at_ms)
        heap_move(h, t->slot, t->deadline_ms);
}

void
timer_stop(struct timer *t)
{
    t->deadline_ms = 0;
}

bool
timer_is_set(const struct timer *t)
{
    return t->deadline_ms != 0;
}

void
timer_destroy(struct timer *t)
{
    if (t == NULL)
        return;
    if (t->slot != NOT_IN_HEAP)
        heap_remove(&t->loop->timers, t->slot);
    free(t);
}
