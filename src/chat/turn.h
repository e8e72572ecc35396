/* turn.h - one question to a server and its answer, on a loop that only runs for that. */
#pragma once

#include "llm/framing.h"
#include "llm/wire.h"
#include "net/dial.h"

struct chat_line;

/* How a request ended. */
enum chat_outcome {
    CHAT_DONE,
    CHAT_INTERRUPTED,    /* by Ctrl-C */
    CHAT_REFUSED,        /* an HTTP status other than 2xx: see status and message */
    CHAT_BROKEN,         /* an error inside the answer, or it is incomplete */
    CHAT_UNREACHED,      /* no connection, or it was lost: see why */
    CHAT_LATE,           /* no whole answer within the limit */
};

/* A connection to one server that speaks `wire`, kept between questions. */
struct chat_line *chat_line_create(
    const struct origin *origin, const struct wire *wire, struct str fields) NEVER_NULL;
void chat_line_destroy(struct chat_line *c);    /* NULL is a no-op */

/* From now on a whole answer must come within that time; 0: it may take as long as it likes. */
void chat_line_limit(struct chat_line *c, uint64_t limit_ms);

/* Sends the body (empty: GET) to `path` and waits. If the answer is a stream, `text` is called
   with each piece of text as it arrives (`thinking`: it is reasoning). */
enum chat_outcome chat_ask(struct chat_line *c, struct str path, struct str body,
    void (*text)(void *arg, struct str piece, bool thinking), void *arg);

/* Of the last question: the body of an answer that was not a stream, the error message (the
   server's or ours), the HTTP status (0: none). Valid until the next question. */
struct str chat_body(const struct chat_line *c);
struct str chat_message(const struct chat_line *c);
int chat_status(const struct chat_line *c);

/* Ends the current question; may be called by a signal handler. */
void chat_interrupt(void);

/* Was there an interrupt since the last call? */
bool chat_is_interrupted(void);
bool chat_take_interrupt(void);
