/* collect.h - asks other threads for what an admin request needs, without locks on their hot path.
 *
 * Exchanges live in their workers' threads, and configurations are loaded by the main thread: each
 * is asked by a message to its loop, answers into a buffer of its own, and the exchange is woken
 * when all have answered, or a time is over. A thread that is stuck is missing in the answer and
 * delays nothing else. The lock is taken for admin requests only.
 */
#pragma once

#include "base/buf.h"
#include "gateway/exchange.h"

struct collector;

struct collector *collector_create(void) NEVER_NULL;

/* A thread that can be asked; `owner` is what its answers are made from. Before the first
 * request. */
void collector_add(struct collector *c, struct loop *loop, void *owner);

/* From now on nothing is asked: the loops are about to be freed. */
void collector_close(struct collector *c);

/* After the loops are gone. NULL is a no-op. */
void collector_destroy(struct collector *c);

/* What one thread answered. */
struct collected {
    bool answered;
    uint64_t count;    /* of what it has; more than it told, perhaps */
    struct buf rows;
};

/* Runs on the thread that is asked. `question` is a copy of what collect() got. */
typedef void collect_fn(void *owner, struct str question, struct collected *ret);

/* Asks the threads [first, end) in the order in which they were added. The first call for an
 * exchange asks, and returns false; when the exchange is woken, later calls return true once it is
 * over: then *ret_list has end - first answers, which live as long as the exchange. */
bool collect(struct collector *c, struct exchange *x, unsigned first, unsigned end, collect_fn *ask,
    struct str question, uint64_t patience_ms, const struct collected **ret_list) MUST_CHECK;
