/* retry.h - what is tried when an attempt fails or is slow before its first token: the same target
 * again, another of its provider's keys, another target; at once, after a backoff, or beside an
 * attempt that is under way.
 *
 * What follows which error is in route/failure.def, what is not asked for a while in route/health.h.
 */
#pragma once

#include "route/plan.h"

struct attempt;
struct exchange;

enum retry_next {
    RETRY_BEGIN,    /* the attempt that was picked */
    RETRY_WAIT,     /* the exchange is woken when there is something to do */
    RETRY_OVER,     /* nothing is left to try: retry_failure() */
};

/* What comes next. `beside`: an attempt is under way, but slow. */
enum retry_next retry_next(struct exchange *x, bool beside, struct pick *ret);

/* An attempt failed, and was stopped: decides what becomes of its candidate. */
void retry_note(struct exchange *x, const struct attempt *a);

/* Why the request failed: the first cause, or why nothing was asked. With how long to wait, if that
 * is known to help. */
const struct llm_error *retry_failure(struct exchange *x);

/* The attempt that ended with that error, for which retry_failure() says why; else the one whose
 * answer counts. Perhaps it has been freed: only what it was is to be looked at. */
const struct attempt *retry_cause(const struct exchange *x, const struct llm_error *e);

/* Sets when an attempt that has begun is slow, and when another may be begun beside it anyway. */
void retry_set_clocks(const struct exchange *x, struct attempt *a);

/* The exchange ends. */
void retry_end(struct exchange *x);
