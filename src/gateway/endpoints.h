/* endpoints.h - which route of which protocol a request is for: a table. */
#pragma once

#include "http/message.h"
#include "llm/wire.h"

struct exchange;

struct endpoint {
    const char *id;                    /* label in metrics and log */
    struct str method;                 /* "*": any */
    struct str path;
    const struct wire *wire;           /* whose errors and answers the caller understands */
    enum llm_op op;
    void (*local)(struct exchange *x); /* answers by itself; NULL: the stages do */
};

enum endpoint_id {
#define ENDPOINT(id, ...) ENDPOINT_##id,
#include "gateway/endpoints.def"
#undef ENDPOINT
    ENDPOINT_none,                     /* no such route */
    ENDPOINT_COUNT
};

/* The endpoint of a request. Never NULL: ENDPOINT_none for unknown paths; then *ret_error is ERR_NO_ROUTE, or ERR_METHOD
 * when the path exists with another method (*ret_allow names it). Missing "/v1" is forgiven. */
const struct endpoint *endpoint_find(const struct http_head *head, enum err *ret_error, struct str *ret_allow) NEVER_NULL;

extern const struct endpoint endpoints[ENDPOINT_COUNT];
static inline unsigned
endpoint_number(const struct endpoint *e)
{
    return (unsigned)(e - endpoints);
}

/* Names by number, for the metrics. */
extern const char *const endpoint_names[ENDPOINT_COUNT];
