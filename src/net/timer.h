/* timer.h - one-shot timers in milliseconds, embedded in whatever waits for them.
 *
 * Each loop keeps its timers in a wheel: setting, moving and stopping one takes a bounded number of
 * instructions, however many there are, allocates nothing and makes no system call. All calls
 * belong to the loop's thread.
 */
#pragma once

#include "base/base.h"

struct loop;

/* Zeroed memory is a timer that is not set, and may be stopped; timer_init() makes it usable. */
struct timer {
    struct timer *next, **prev;    /* in its slot of the wheel; `prev` is NULL outside */
    struct loop *loop;
    void (*fn)(void *arg);
    void *arg;
    uint64_t at_ms;    /* when it fires, as loop_now_ms(); 0: not set */
    unsigned slot;
};

/* Calls fn(arg) on the loop when it fires. */
void timer_init(struct timer *t, struct loop *l, void (*fn)(void *arg), void *arg);

/* Sets it, or moves it: later is one store (it stays where it is, and is moved on when its old time
 * comes). A delay of 0 is 1. */
void timer_set(struct timer *t, uint64_t delay_ms);

/* Sets it to a time of loop_now_ms(), unless it fires before anyway: for what looks at several
 * deadlines when it fires, and sets itself to the next. */
void timer_set_by(struct timer *t, uint64_t at_ms);

/* Must be stopped before its memory goes; within its own callback it is not set. */
void timer_stop(struct timer *t);

static inline bool
timer_is_set(const struct timer *t)
{
    return t->at_ms != 0;
}
