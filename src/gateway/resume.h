/* resume.h - goes on with a stream that broke after its first token, at another target.
 *
 * While an answer is streamed that may be continued, a filter keeps its text, and the exchange
 * keeps the request. When the stream breaks, the next target is asked for the rest: the text so far
 * is added to the conversation, what its answer repeats of it is dropped, and the caller's stream
 * goes on as if one provider had written it. Calls, schemas and reasoning are never continued: once
 * one of them comes, or the text reaches its limit, everything kept is dropped.
 */
#pragma once

#include "base/base.h"

struct attempt;
struct exchange;
struct record;

/* Of an attempt that has begun: if its stream may be continued, its text will be kept; if it
 * continues one, the text so far is added to its request, its draft is brought into the state of that
 * stream, and its answer will be joined. Else nothing. What is kept is freed with the attempt's
 * arena at the latest. */
void resume_prepare(struct attempt *a);

/* What it keeps is not needed. */
void resume_drop(struct attempt *a);

/* A frame with all events so far was forwarded. */
void resume_mark(struct attempt *a);

/* After events: counts what is kept, or drops it if the answer cannot be continued any more. */
void resume_note(struct attempt *a);

/* Does the attempt, which was committed, keep the request for a continuation? */
bool resume_keeps_request(const struct attempt *a);

/* The exchange's attempt failed: may its stream be continued, once all of it was sent? */
bool resume_may(const struct exchange *x);

/* Ends the attempt that failed: the attempts of the exchange that begin from now on continue it.
 * False: it cannot be continued, and the exchange is as it was. */
bool resume_begin(struct exchange *x) MUST_CHECK;

/* Adds what the part that broke consumed to the record of the exchange. */
void resume_add_up(const struct exchange *x, struct record *r);
