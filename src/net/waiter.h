/* waiter.h - those that wait for what any thread may fetch, such as a list of models or a token.
 *
 * There is one list of the process, and all on it are told of whatever ended: they look themselves
 * whether it was what they wait for.
 */
#pragma once

#include "net/timer.h"

/* It is told by its id, on its own loop, since it may be gone by then. */
struct waiter {
    struct waiter *prev, *next;
    struct loop *loop;
    void (*wake)(void *to, uint64_t id);
    void *to;    /* lives as long as the loop */
    uint64_t id;
    struct timer patience;
};

/* From now on wake(to, id) is called on the loop after each waiter_wake_all(), unless too many
 * messages wait there, and once when `patience_ms` are over. The other members are set already. */
void waiter_join(struct waiter *w, uint64_t patience_ms);
void waiter_leave(struct waiter *w);

/* Something ended. Any thread. */
void waiter_wake_all(void);
