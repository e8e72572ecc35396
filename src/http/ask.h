/* ask.h - one small request of our own, and its whole answer.
 *
 * For what the gateway wants to know itself: lists of models, tokens. Size and time of the answer
 * are limited. All on one loop.
 */
#pragma once

#include "http/client.h"

struct http_ask;

struct http_answer {
    enum err why;          /* OK: there is an answer, whatever its status */
    const char *detail;    /* of a failure: what happened */
    int status;            /* 0: none came */
    struct str body;       /* valid during the call */
};

/* Sends `q`, of which it copies all but the origin. done() is called once, from the loop, with the
 * answer, or why there is none: after `deadline_ms` it took too long. Not after http_ask_cancel(). */
struct http_ask *http_ask_start(struct loop *l, struct client *c, const struct client_request *q,
    uint64_t deadline_ms, size_t limit_bytes,
    void (*done)(void *owner, const struct http_answer *answer), void *owner) NEVER_NULL;
void http_ask_cancel(struct http_ask *ask);    /* NULL is a no-op */
