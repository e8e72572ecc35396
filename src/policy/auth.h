/* auth.h - who is asking: the caller's identity, and what it may do.
 *
 * A principal is what a key (or a token) stands for. Those of the configuration's keys are in a table that is
 * part of the snapshot and immutable; keys themselves are not kept, only hashes of them, so neither a
 * log nor a core dump of the table reveals one. Those of other keys belong to a worker, which
 * counts who uses them: principal_hold(). (Requests in flight are counted outside of both: see
 * limit.h.)
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"
#include "http/message.h"
#include "net/cidr.h"
#include "policy/limit.h"
#include "policy/priority.h"
#include "route/ask.h"

#define AUTH_HASH_HEX_BYTES 12    /* length of the hash prefix in logs, enough to tell keys apart */

struct principal {
    struct str name;    /* as configured; "anonymous" when no key is required */
    char hash_hex[AUTH_HASH_HEX_BYTES + 1];

    /* --- whose it is: ids, or names of the configuration; empty: nobody's --- */
    struct str
        key_id;    /* "key_..." of the store, "file:NAME" of the configuration; empty: anonymous */
    struct str org, team, project, user;
    struct str org_name, team_name, project_name, user_name;    /* of those that are ids */
    struct str environment;
    struct str role;               /* of a key for the admin API; empty: it is for models */
    const struct ask_tag *tags;    /* that each of its requests has */

    /* --- what it may use; empty: everything --- */
    struct conf_strs models;    /* names and globs */
    struct conf_strs
        owner_models[2];           /* what its project and its team may use: all three must allow it */
    struct conf_strs routes;       /* beside model calls: see auth_allows_route() */
    struct conf_strs endpoints;    /* of all routes those: see auth_allows_endpoint() */
    struct conf_strs providers;    /* ids */
    struct conf_strs origins;      /* of web pages that may use it */
    const struct cidr *cidrs;      /* networks from which it may be used */
    size_t cidr_count;
    bool cidr_unix;         /* and from Unix sockets */
    bool nowhere;           /* what it says of that cannot be read */
    bool stored;            /* a key of the store, whose owner may have written what it says */
    uint64_t expires_ms;    /* clock_wall_ms() from which it is unknown; 0: never */

    enum priority priority;
    uint64_t concurrent;            /* requests in flight; 0: as the configuration says for all */
    bool explain;                   /* answers say how they were routed */
    bool shares;                    /* there are others, for whom it must leave room */
    struct in_flight *in_flight;    /* outlives the principal; held by it */

    /* of one worker's: who uses it, and what frees it after the last; NULL: the snapshot's */
    uint32_t users;
    void (*free)(struct principal *p);
};

/* Uses a principal until principal_drop(); on its worker only, or while the snapshot is held. Counted
 * without atomics. */
static inline struct principal *
principal_hold(struct principal *p)
{
    if (p->free != NULL)
        p->users++;
    return p;
}
static inline void
principal_drop(struct principal *p)    /* NULL is a no-op */
{
    if (p != NULL && p->free != NULL && --p->users == 0)
        p->free(p);
}

/* Tags ("name", "name=value") in `a`, in their order; NULL: there are none. */
const struct ask_tag *auth_tags(struct arena *a, const struct conf_strs *texts);

struct auth_table;

/* Built from the configuration, which must outlive it. Problems (duplicate keys) go to
 * `problems`. */
struct auth_table *auth_create(const struct conf *c, struct conf_problems *problems) NEVER_NULL;
void auth_destroy(struct auth_table *t);

/* Reads networks, and the word "unix", into the principal; room is from `a`. Returns the number of those before
 * the first that is none: texts->count if all are good. */
size_t auth_read_cidrs(struct arena *a, const struct conf_strs *texts, struct principal *p);

/* The credential of a request, from Authorization: Bearer, x-api-key, api-key or x-goog-api-key.
 * Empty when there is none. */
struct str auth_credential(const struct http_fields *fields);

/* Looks up the principal of a credential. OK, or ERR_AUTH with NULL. What has expired by `wall_ms` is unknown.
 * With authentication off, an unknown credential gives the anonymous principal. */
enum err auth_identify(const struct auth_table *t, struct str credential, uint64_t wall_ms,
    struct principal **ret) MUST_CHECK;

/* The principal of that name; empty: the one of requests without a key, whether they are allowed or not.
 * NULL: there is none. */
const struct principal *auth_named(const struct auth_table *t, struct str name);

/* Is `text` one of the API keys? */
bool auth_is_key(const struct auth_table *t, struct str text);

/* May this principal use the model name? Globs: '*' matches anything. */
bool auth_allows_model(const struct principal *p, struct str model);

/* May this principal use a route that is not a model call? `id` is the endpoint's, `path` is
 * normalised. Entries of `routes` are ids, paths, or "METHOD path", with globs. A principal without
 * entries may use every route if it may use every model, otherwise none. */
bool auth_allows_route(
    const struct principal *p, struct str id, struct str method, struct str path);

/* Do its `routes` name this id? Patterns do not count, nor what keys of the store say, which a developer can
 * make: for routes that are not a client's business. */
bool auth_names_route(const struct principal *p, struct str id);

/* May it use a route at all? Entries of `endpoints` are as those of `routes`. */
bool auth_allows_endpoint(
    const struct principal *p, struct str id, struct str method, struct str path);

bool auth_allows_provider(const struct principal *p, struct str provider);

/* May it be used from this address ("203.0.113.9", "unix")? */
bool auth_allows_address(const struct principal *p, struct str address);

/* May pages of this origin use it? Empty: it does not come from a page. */
bool auth_allows_origin(const struct principal *p, struct str origin);

static inline bool
auth_is_expired(const struct principal *p, uint64_t wall_ms)
{
    return p->expires_ms != 0 && wall_ms >= p->expires_ms;
}

/* Does `text` match `pattern`, in which '*' stands for any run of bytes? */
bool auth_glob(struct str pattern, struct str text);
