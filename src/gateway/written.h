/* written.h - writes the caller's request for one target: the path, the header fields and the body.
 *
 * A target of the caller's own wire gets the caller's bytes, edited in place; any other gets what
 * its wire writes. Both live in the request's arena, or in the buffer of struct written.
 */
#pragma once

#include "http/client.h"
#include "llm/request.h"
#include "llm/wire.h"

struct exchange;
struct request;
struct rule_result;
struct target;
struct worker;

struct written {
    struct request *request;
    const struct target *target;
    const struct wire *wire;             /* in which it is written */
    bool anew;                           /* and not in place, although it is the caller's */
    const struct rule_result *ruling;    /* of the rules; NULL: there are none */
    struct wire_drops *drops;            /* parameters that the target cannot express are added */
    struct client_request q;
    const struct credential *lent;    /* of the provider's identity; NULL: it has none */
    size_t credential;                /* number of the provider's key */
    struct str name;                  /* the model's, as written in a body of the caller's wire */
    struct buf body;                  /* the translated body */
    uint64_t held;                    /* counted in the worker's share for it */
    enum err unfit;                   /* why the target cannot take the request, and what to tell */
    struct wire_fault fault;
    int64_t retry_after_ms;    /* 0: not said */
    bool permanent;
};

/* Can the target take this kind of request at all? If so, writes path and fields, and the model's
 * name as it is written in a body of the caller's wire. If not: `unfit` and `fault`. The request,
 * target, credential and drops are set already. */
void written_write_head(struct written *w, struct exchange *x);

/* The same of a request of our own: it has none of a caller's fields. */
void written_write_own_head(struct written *w, struct worker *worker);

/* Writes the body: work for request_work(). */
void written_write_body(void *written);
