/* attempt.h - one attempt at one target: sends the request and handles the response. */
#pragma once

#include "gateway/exchange.h"

/* Turns to the plan's next target, or to the same one if x->attempt.repeat is set, and writes the head
 * of the request for it. */
void attempt_begin(struct exchange *x);

/* Sends what was written; the attempt has failed when the target cannot take the request. */
void attempt_send(struct exchange *x);

/* May the attempt that failed be made once more at the same target? Its request was lost with a
 * connection that the server was closing: probably it was not processed. Only calls of a model, which
 * may be processed twice; never files, batches and other routes that are passed through. */
bool attempt_may_repeat(const struct exchange *x);

/* Is there a target left that can take this kind of request? */
bool attempt_has_next(const struct exchange *x);

/* May the next target be asked after the attempt that failed? What is not a call of a model (files,
 * batches) is never sent to a second provider once the first may have seen some of it. */
bool attempt_may_fall_back(const struct exchange *x);

/* A large answer was read and written by a helper thread: the attempt is done, or has failed. */
void attempt_end_large(struct exchange *x);

/* Stops what is under way, if anything, and notes how it ended. */
void attempt_stop(struct exchange *x, enum err outcome);

/* Releases the client's request and all that was made from it, once no other target can need it. */
void attempt_drop_request(struct exchange *x);

/* Has the deadline passed, the configured one or the client's? */
bool attempt_is_late(const struct exchange *x, uint64_t now_us);

/* The client can receive more again. */
void attempt_resume(struct exchange *x);

/* Checks the timeouts: first token, between tokens, total, keep-alive. Called by the worker's
 * tick. */
void attempt_tick(struct exchange *x, uint64_t now_us);
