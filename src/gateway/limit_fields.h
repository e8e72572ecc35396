/* limit_fields.h - what an exchange holds of its caller's limits, and how answers say what is left. */
#pragma once

#include "base/buf.h"
#include "llm/needs.h"
#include "net/timer.h"
#include "policy/scope.h"

struct request;

#define RESERVATION_SCOPES 28u

/* What a request took from its caller's scopes. */
struct reservation {
    struct scope *scopes[RESERVATION_SCOPES];    /* held */
    unsigned count;
    struct scope_need need;
    bool sized;      /* `needs` and what follows are known */
    bool taken;      /* from all of them */
    bool refused;    /* `refusal` says by which */
    bool aliased;    /* a budget is used up, and gives another alias instead */
    bool due;        /* the time to wait is over */
    struct scope_refusal refusal;
    const struct request *request;
    struct needs needs;
    int64_t input, output;    /* tokens */
    bool bounded;             /* the caller limits the answer: to `output` */
    uint64_t since_us;        /* it waits; 0: it does not */
    struct timer timer;
};

/* Adds the fields: x-ratelimit-* or Anthropic's, and the IETF's (draft-ietf-httpapi-ratelimit-headers). False:
 * no rate limits it. */
bool limit_fields_add(struct buf *out, const struct reservation *r, bool anthropic, uint64_t now_ns,
    uint64_t wall_ms);
