/* endpoints.h - which route of which protocol a request is for: a table. */
#pragma once

#include "conf/conf.h"
#include "http/message.h"
#include "http/path.h"
#include "llm/wire.h"

struct exchange;

/* Who may use a route, and where; endpoints.def explains the words. */
enum endpoint_kind {
    ENDPOINT_IS_HEALTH,
    ENDPOINT_IS_OPEN,
    ENDPOINT_IS_ADMIN,
    ENDPOINT_IS_MODEL,
    ENDPOINT_IS_PASSED,
};

enum endpoint_model {
    MODEL_NOWHERE,
    MODEL_BODY,
    MODEL_FORM,
    MODEL_QUERY,
    MODEL_PATH,
    MODEL_MAYBE,
};

struct endpoint {
    const char *id;       /* label in metrics and log, and name in a key's `routes` */
    struct str method;    /* "*": any that is passed through */
    struct str path;
    const struct wire *wire;    /* whose errors and answers the caller understands */
    enum endpoint_kind kind;
    enum endpoint_model model;
    enum llm_op op;
    void (*local)(struct exchange *x);    /* answers by itself; NULL: the stages do */
};

enum endpoint_id {
#define ENDPOINT(id, ...) ENDPOINT_##id,
#include "gateway/endpoints.def"
#undef ENDPOINT
    ENDPOINT_none,    /* no such route */
    ENDPOINT_COUNT
};

/* The path with "/v1" in front once, for callers whose base URL ends in it where it should not. */
struct str endpoint_path(struct str path);

/* The endpoint of a request; a missing "/v1" is forgiven. Never NULL: with ERR_METHOD in
 * *ret_error it is the endpoint that has this path with another method; with ERR_BAD_REQUEST the
 * path has a delimiter that the endpoint cannot send on; with ERR_NO_ROUTE there is none, or only
 * one that differs in case. */
const struct endpoint *endpoint_find(
    struct str method, const struct http_path *path, enum err *ret_error) NEVER_NULL;

/* A route of a protocol, below "/v1", for callers with a key? */
static inline bool
endpoint_needs_key(const struct endpoint *e)
{
    return e->kind == ENDPOINT_IS_MODEL || e->kind == ENDPOINT_IS_PASSED;
}

/* Says which of the routes that keys name do not exist. */
void endpoint_check_keys(const struct conf_auth *auth, struct conf_problems *problems);

/* The methods that it takes, as in an Allow field. */
struct str endpoint_methods(const struct endpoint *e);

/* The protocol that the caller speaks: its endpoint's, or Anthropic's where both have the path
 * and the caller says which version of that protocol it means. */
const struct wire *endpoint_wire(const struct endpoint *e, const struct http_head *head) NEVER_NULL;

extern const struct endpoint endpoints[ENDPOINT_COUNT];
static inline unsigned
endpoint_number(const struct endpoint *e)
{
    return (unsigned)(e - endpoints);
}

/* Names by number, for the metrics. */
extern const char *const endpoint_names[ENDPOINT_COUNT];
