/* trace.h - request ids and W3C trace context (https://www.w3.org/TR/trace-context/). */
#pragma once

#include "base/arena.h"

#define TRACE_ID_HEX 32
#define TRACE_PARENT_BYTES 55

struct trace {
    char id[TRACE_ID_HEX + 1];    /* the trace, lower-case hex */
    /* our own traceparent, sent to the provider and to the client */
    char parent[TRACE_PARENT_BYTES + 1];
    struct str state;    /* tracestate to pass on, or empty */
};

/* Continues the caller's trace when `traceparent` is valid, else starts a new one (and drops the
 * state). */
void trace_begin(struct trace *t, struct str traceparent, struct str tracestate);

/* The caller's request id if it is valid (1-128 characters of [A-Za-z0-9._:-]), else a new
 * "req_..." one. */
struct str trace_request_id(struct arena *a, struct str given);
