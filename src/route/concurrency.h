/* concurrency.h - how many requests a target takes at once, found out as it is used.
 *
 * Gradient2 of Netflix's concurrency-limits, with the time to first token as the time of a round trip:
 * the length of an answer says nothing about load. While recent times are no longer than tolerated
 * beside the usual one, the limit grows by a little; when they rise, it shrinks in proportion; a 429
 * or 503 of the provider takes 30 % off at once, once a second at most. It does not grow while less
 * than half of it is used.
 *
 * Shared by all workers without locks. Zeros are a target of which nothing is known. Time is a
 * parameter, from clock_now_us().
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

#define CONCURRENCY_START 20
#define CONCURRENCY_MOST 1000

struct concurrency {
    _Atomic uint32_t in_flight;
    _Atomic uint32_t limit_milli;    /* 0: CONCURRENCY_START */
    _Atomic uint64_t cut_us;         /* when a 429 or 503 took something off */
    /* the times to first token since the last change */
    _Atomic uint64_t sum_us, since_us;
    _Atomic uint32_t samples;
    _Atomic bool changing;    /* a thread is; of the following it is the only user */
    double usual_us;
    uint32_t windows;
};

unsigned concurrency_limit(const struct concurrency *c);

/* Counts one more request. False, and not counted: as many as it takes are under way. */
bool concurrency_enter(struct concurrency *c) MUST_CHECK;

/* One that was counted has ended, or was not sent. */
void concurrency_leave(struct concurrency *c);

/* The first token of a stream came after `us`. */
void concurrency_answered(struct concurrency *c, uint64_t us, uint64_t now_us);

/* The provider said that it is too much: 429 or 503. */
void concurrency_refused(struct concurrency *c, uint64_t now_us);
