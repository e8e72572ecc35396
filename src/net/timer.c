/* timer.c - a hierarchical wheel of timers (Varghese and Lauck, 1987, scheme 7).
 *
 * Level 0 has a slot for each millisecond of the current 64, level 1 one for each 64 ms of the
 * current 4,096, and so on until all 64 bits are covered. A timer is on the level of the highest
 * digit (of six bits) in which its time differs from the wheel's, in the slot of that digit. So all
 * slots of a level lie after the wheel's time and before those of the next level: what is due next
 * is in the lowest level that has any, in its lowest slot, and two bit masks say where that is.
 * When its time comes, a slot of a higher level is dealt out to lower ones.
 *
 * One libuv timer per loop wakes for the next slot.
 */
#include "net/timer.h"

#include "net/loop_priv.h"

enum { SLOTS_MASK = WHEEL_SLOTS - 1 };

static void
wheel_link(struct wheel *w, struct timer *t)
{
    uint64_t differs = w->now_ms ^ t->at_ms;
    unsigned level = differs != 0 ? (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS : 0;
    unsigned digit = (unsigned)(t->at_ms >> level * WHEEL_BITS) & SLOTS_MASK;
    struct timer **head = &w->slots[level * WHEEL_SLOTS + digit];

    t->slot = level * WHEEL_SLOTS + digit;
    t->next = *head;
    if (t->next != NULL)
        t->next->prev = &t->next;
    t->prev = head;
    *head = t;
    w->used[level] |= UINT64_C(1) << digit;
    w->levels |= 1u << level;
}

static void
wheel_unlink(struct wheel *w, struct timer *t)
{
    unsigned level = t->slot / WHEEL_SLOTS;

    *t->prev = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->prev = NULL;
    if (w->slots[t->slot] != NULL)
        return;
    w->used[level] &= ~(UINT64_C(1) << (t->slot & SLOTS_MASK));
    if (w->used[level] == 0)
        w->levels &= ~(1u << level);
}

/* The slot that comes next and its time; UINT64_MAX if all are empty. */
static uint64_t
wheel_next_ms(const struct wheel *w, unsigned *ret_slot)
{
    if (w->levels == 0)
        return UINT64_MAX;
    unsigned level = (unsigned)__builtin_ctz(w->levels);
    unsigned digit = (unsigned)__builtin_ctzll(w->used[level]);
    unsigned shift = level * WHEEL_BITS;
    uint64_t below = ((uint64_t)SLOTS_MASK << shift) | ((UINT64_C(1) << shift) - 1);

    *ret_slot = level * WHEEL_SLOTS + digit;
    return (w->now_ms & ~below) | (uint64_t)digit << shift;
}

/* Turns the wheel to `now_ms`, or to the first timer that is due on the way: in no slot any more.
 * Timers that were moved later since they were put into a slot go to their right one. */
static struct timer *
wheel_turn(struct wheel *w, uint64_t now_ms)
{
    unsigned slot = 0;
    uint64_t next_ms;

    while ((next_ms = wheel_next_ms(w, &slot)) <= now_ms) {
        struct timer *t;

        w->now_ms = next_ms;
        while ((t = w->slots[slot]) != NULL) {
            wheel_unlink(w, t);
            if (slot < WHEEL_SLOTS && t->at_ms == next_ms)
                return t;
            wheel_link(w, t);
        }
    }
    w->now_ms = now_ms;
    return NULL;
}

/* --- for the loop --- */

uint64_t
timers_next_ms(const struct loop *l)
{
    unsigned slot;

    return wheel_next_ms(&l->timers, &slot);
}

void
timers_run(struct loop *l)
{
    uint64_t now_ms = loop_now_ms(l);
    struct timer *t;

    while ((t = wheel_turn(&l->timers, now_ms)) != NULL) {
        t->at_ms = 0;
        t->fn(t->arg);    /* may end `t` and others */
    }
}

/* --- the public interface --- */

void
timer_init(struct timer *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
    *t = (struct timer){ .loop = l, .fn = fn, .arg = arg };
}

static void
set_at(struct timer *t, uint64_t now_ms, uint64_t at_ms)
{
    struct wheel *w = &t->loop->timers;
    bool later = t->prev != NULL && at_ms >= t->at_ms;
    unsigned slot;

    t->at_ms = at_ms;
    if (later)
        return;
    if (t->prev != NULL)
        wheel_unlink(w, t);
    /* A wheel that lags would choose a slot of a higher level, for which the loop would wake once
     * more. */
    if (w->now_ms != now_ms && wheel_next_ms(w, &slot) > now_ms)
        w->now_ms = now_ms;
    wheel_link(w, t);
}

/* At least 1 ms away, so that a timer that sets itself again cannot starve the loop. */
void
timer_set(struct timer *t, uint64_t delay_ms)
{
    uint64_t now_ms = loop_now_ms(t->loop);

    set_at(t, now_ms, delay_ms < UINT64_MAX - now_ms ? now_ms + MAX(delay_ms, 1) : UINT64_MAX);
}

void
timer_set_by(struct timer *t, uint64_t at_ms)
{
    uint64_t now_ms = loop_now_ms(t->loop);

    if (t->at_ms == 0 || t->at_ms > at_ms)
        set_at(t, now_ms, MAX(at_ms, now_ms + 1));
}

void
timer_stop(struct timer *t)
{
    t->at_ms = 0;
    if (t->prev != NULL)
        wheel_unlink(&t->loop->timers, t);
}
