/* queue.h - messages to one thread from any other, in a ring that does not grow.
 *
 * Putting and taking wait for nobody: each place of the ring has a number that says whose turn it
 * is (Vyukov's bounded queue). What does not fit is refused and counted; the sender decides whether
 * it may be lost.
 */
#pragma once

#include "base/base.h"

struct queue;

struct message {
    void (*fn)(void *arg);
    void *arg;
};

/* Of so many places, a power of two. */
struct queue *queue_create(size_t places) NEVER_NULL;
void queue_destroy(struct queue *q);    /* NULL is a no-op */

/* From any thread. False: it is full; the message is dropped and counted. */
bool queue_put(struct queue *q, struct message m);

/* From the one thread that the messages are for, in the order in which each thread put them. False:
 * none is there. */
bool queue_take(struct queue *q, struct message *ret);

/* Messages dropped so far; from any thread. */
uint64_t queue_dropped(const struct queue *q);
