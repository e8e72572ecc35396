/* talk.h - one question to a server and its answer, on a loop that only runs for that. */
#pragma once

#include "llm/framing.h"
#include "llm/wire.h"
#include "net/dial.h"

struct talk;

/* How a request ended. */
enum talk_outcome {
    TALK_DONE,
    TALK_INTERRUPTED,    /* by Ctrl-C */
    TALK_REFUSED,        /* an HTTP status other than 2xx: see status and message */
    TALK_BROKEN,         /* an error inside the answer, or it is incomplete */
    TALK_UNREACHED,      /* no connection, or it was lost: see why */
    TALK_LATE,           /* no whole answer within the limit */
};

/* A connection to one server that speaks `wire`, kept between questions. */
struct talk *talk_create(
    const struct origin *origin, const struct wire *wire, struct str fields) NEVER_NULL;
void talk_destroy(struct talk *c);    /* NULL is a no-op */

/* From now on a whole answer must come within that time; 0: it may take as long as it likes. */
void talk_limit(struct talk *c, uint64_t limit_ms);

/* Sends the body (empty: GET) to `path` and waits. If the answer is a stream, its events go to `to` as
 * they arrive, but for errors, which the message says; NULL: nowhere. */
enum talk_outcome talk_ask(struct talk *c, struct str path, struct str body, struct event_sink *to);

/* The same with another method. */
enum talk_outcome talk_send(
    struct talk *c, struct str method, struct str path, struct str body, struct event_sink *to);

/* Of the last question: the body of an answer that was not a stream, the error message (the
   server's or ours), the HTTP status (0: none). Valid until the next question. */
struct str talk_body(const struct talk *c);
struct str talk_message(const struct talk *c);
int talk_status(const struct talk *c);

/* Ends the current question; may be called by a signal handler. */
void talk_interrupt(void);

/* Was there an interrupt since the last call? */
bool talk_is_interrupted(void);
bool talk_take_interrupt(void);
