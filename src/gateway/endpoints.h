/* endpoints.h - the table of routes: which protocol a request uses and what it asks for. */
#pragma once

#include "conf/conf.h"
#include "http/message.h"
#include "http/path.h"
#include "llm/wire.h"

/* Who may use a route, and where; endpoints.def explains the words. */
enum endpoint_kind {
    ENDPOINT_IS_HEALTH,
    ENDPOINT_IS_OPEN,
    ENDPOINT_IS_ADMIN,
    ENDPOINT_IS_MODEL,
    ENDPOINT_IS_PASSED,
    ENDPOINT_IS_CONTROL,
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
    size_t base;    /* bytes of the path that a caller may leave out and a provider does not get */
    const struct wire *wire;    /* the protocol of the errors and answers that we write */
    enum endpoint_kind kind;
    enum endpoint_model model;
    enum llm_op op;
    bool router;     /* a route of OpenRouter's API: models, errors and answers are as it has them */
    bool local;      /* answered directly (local_answer()); else the stages handle it */
    bool streams;    /* whatever the body says */
};

enum endpoint_id {
#define ENDPOINT(id, ...) ENDPOINT_##id,
#include "gateway/endpoints.def"
#undef ENDPOINT
    ENDPOINT_none,    /* no such route */
    ENDPOINT_COUNT
};

/* The base of all routes that have one. */
#define ENDPOINT_BASE "/v1"

/* The base of OpenRouter's API, which a caller may not leave out. */
#define ENDPOINT_ROUTER_BASE "/api/v1"

/* Reduces a repeated "/v1/v1/..." prefix to one, for callers whose base URL ends in /v1 when their
 * SDK adds it as well. */
struct str endpoint_path(struct str path);

/* Finds the endpoint of a request; "/v1" may be missing. Never NULL. *ret_error is OK, or:
 * ERR_METHOD: the endpoint matches the path but not the method; ERR_BAD_REQUEST: the path holds a
 * delimiter that cannot be forwarded; ERR_NO_ROUTE: nothing matches, or only when case is ignored.
 * */
const struct endpoint *endpoint_find(
    struct str method, const struct http_path *path, enum err *ret_error) NEVER_NULL;

/* The base of the route if it has one that `path` lacks, else empty. */
struct str endpoint_lacks(const struct endpoint *e, struct str path);

/* What comes after the base in a whole path. */
static inline struct str
endpoint_below(const struct endpoint *e, struct str path)
{
    return str_skip(path, e->base);
}

/* What the '*' in the route's path stands for in a whole path that matches it. */
struct str endpoint_star(const struct endpoint *e, struct str path);

/* Reads what a protocol says of its request outside of the body: the model's name and whether a stream is
 * wanted, where the path has them, and the framing. False: the name is empty or too long. */
bool endpoint_read_path(
    const struct endpoint *e, struct str path, struct str query, struct llm_request *r) MUST_CHECK;

/* Does the route require an API key? */
static inline bool
endpoint_needs_key(const struct endpoint *e)
{
    return e->kind == ENDPOINT_IS_MODEL || e->kind == ENDPOINT_IS_PASSED;
}

/* Reports entries of a key's `routes` that name no existing route. */
void endpoint_check_keys(const struct conf_auth *auth, struct conf_problems *problems);

/* The methods that it takes, as in an Allow field. */
struct str endpoint_methods(const struct endpoint *e);

/* The caller's protocol: the endpoint's, its dialect, or on routes that several protocols have the one
 * whose version_field the request carries. */
const struct wire *endpoint_wire(const struct endpoint *e, const struct http_head *head) NEVER_NULL;

extern const struct endpoint endpoints[ENDPOINT_COUNT];
static inline unsigned
endpoint_number(const struct endpoint *e)
{
    return (unsigned)(e - endpoints);
}

/* Names indexed by endpoint number, for the metrics. */
extern const char *const endpoint_names[ENDPOINT_COUNT];
