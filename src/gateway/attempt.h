/* attempt.h - one try at one target: write the request, send it, judge what comes back. */
#pragma once

#include "gateway/exchange.h"

/* Sends the request to the plan's next target. OK: under way. Else the target cannot take the
 * request, *ret says why. */
enum err attempt_start(struct exchange *x, struct llm_error *ret) MUST_CHECK;

/* Is there a target left that can take this kind of request? */
bool attempt_has_next(const struct exchange *x);

/* Stops what is under way, if anything, and notes how it ended. */
void attempt_stop(struct exchange *x, enum err outcome);

/* Gives back the caller's request and all that was made from it, once no other target can need it. */
void attempt_drop_request(struct exchange *x);

/* Is the time over that configuration and caller allow? */
bool attempt_is_late(const struct exchange *x, uint64_t now_us);

/* The caller can take more again. */
void attempt_resume(struct exchange *x);

/* Looks at the clocks: first token, between tokens, total, keep-alive. Called by the worker's
 * tick. */
void attempt_tick(struct exchange *x, uint64_t now_us);
