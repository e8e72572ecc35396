/* waiter.c - the list of those that wait, and messages to their loops. */
#include "net/waiter.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "net/loop.h"

struct wake_up {
    void (*wake)(void *to, uint64_t id);
    void *to;
    uint64_t id;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards the list */
static struct waiter *waiters;

static void
on_wake_up(void *arg)
{
    struct wake_up u = *(struct wake_up *)arg;

    free(arg);
    u.wake(u.to, u.id);
}

void
waiter_wake_all(void)
{
    (void)pthread_mutex_lock(&lock);
    for (const struct waiter *w = waiters; w != NULL; w = w->next) {
        struct wake_up *u = check_alloc(malloc(sizeof(*u)));

        *u = (struct wake_up){ w->wake, w->to, w->id };
        if (!loop_post(w->loop, on_wake_up, u))
            free(u);    /* its patience ends anyway */
    }
    (void)pthread_mutex_unlock(&lock);
}

static void
on_patience(void *arg)
{
    struct waiter *w = arg;

    w->wake(w->to, w->id);
}

void
waiter_join(struct waiter *w, uint64_t patience_ms)
{
    timer_init(&w->patience, w->loop, on_patience, w);
    timer_set(&w->patience, patience_ms);
    (void)pthread_mutex_lock(&lock);
    LIST_ADD(waiters, w);
    (void)pthread_mutex_unlock(&lock);
}

void
waiter_leave(struct waiter *w)
{
    timer_stop(&w->patience);
    (void)pthread_mutex_lock(&lock);
    LIST_REMOVE(waiters, w);
    (void)pthread_mutex_unlock(&lock);
}
