/* auth.h - who is asking: API keys looked up by their hash.
 *
 * The table is part of the snapshot and immutable; keys themselves are not kept, only hashes of
 * them, so neither a log nor a core dump of the table reveals one. (Requests in flight are
 * counted outside the snapshot: see limit.h.)
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"
#include "http/message.h"
#include "policy/limit.h"
#include "policy/priority.h"

#define AUTH_HASH_HEX_BYTES 12    /* length of the hash prefix in logs, enough to tell keys apart */

struct principal {
    struct str name;    /* as configured; "anonymous" when no key is required */
    char hash_hex[AUTH_HASH_HEX_BYTES + 1];
    struct conf_strs models;    /* allowed names and globs; empty: all */
    struct conf_strs routes;    /* allowed beside model calls: see auth_allows_route() */
    enum priority priority;
    uint64_t concurrent;            /* requests in flight; 0: as the configuration says for all */
    bool explain;                   /* answers say how they were routed */
    bool shares;                    /* there are others, for whom it must leave room */
    struct in_flight *in_flight;    /* outlives the table; held by it */
};

struct auth_table;

/* Built from the configuration, which must outlive it. Problems (duplicate keys) go to
 * `problems`. */
struct auth_table *auth_create(const struct conf *c, struct conf_problems *problems) NEVER_NULL;
void auth_destroy(struct auth_table *t);

/* The credential of a request, from Authorization: Bearer, x-api-key, api-key or x-goog-api-key.
 * Empty when there is none. */
struct str auth_credential(const struct http_fields *fields);

/* Looks up the principal of a credential. OK, or ERR_AUTH. With authentication off, an unknown
 * credential gives the anonymous principal. */
enum err auth_identify(
    const struct auth_table *t, struct str credential, struct principal **ret) MUST_CHECK;

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

/* Do its `routes` name this id? Patterns do not count: for routes that are not a client's business. */
bool auth_names_route(const struct principal *p, struct str id);

/* Does `text` match `pattern`, in which '*' stands for any run of bytes? */
bool auth_glob(struct str pattern, struct str text);
