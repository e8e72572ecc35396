/* host.h - where a protocol is served: what a platform changes about addresses and authorisation.
 *
 * A wire says what is written and read; a host says where to, and in whose name. A caller of the
 * same wire still gets its bytes relayed untouched, whatever the host. One row of hosts.def each.
 */
#pragma once

#include "llm/wire.h"

struct host;

/* Where a provider's requests go, at its origin. */
struct host_address {
    const struct host *host;
    struct str base_path;    /* "/v1", without a trailing slash */
    struct str region;       /* of a cloud; may be empty */
    struct str query;        /* a parameter of every request: "api-version=2024-10-21"; mostly empty */
};

/* The clouds in whose name requests may be made without an API key. */
enum host_cloud { HOST_NOWHERE, HOST_AWS, HOST_GOOGLE, HOST_AZURE };

struct host {
    struct str name;    /* as the configuration names it */

    /* Its cloud, and with AWS the service that requests are signed for. */
    enum host_cloud cloud;
    struct str service;

    /* The base path where the configured URL has none; see clouds_fill(). May be empty. */
    struct str path;

    /* How the field line of a key begins: "api-key: "; empty: as the wire has it. */
    struct str key;

    /* The provider whose models it serves: one of the same name is taken to have the same traits.
     * May be empty. */
    struct str maker;

    /* A query for models lists what could be deployed, not what is; so nothing is asked. */
    bool lists_nothing;

    /* Completes an address whose base_path is that of the configured URL. NULL, or what is wrong
     * with it: text in `a`. May be NULL: then it has no versions. */
    const char *(*prepare)(struct host_address *at, struct str version, struct arena *a);

    /* Appends what stands between the base path and the wire's. False if it cannot hold the
     * model's name. May be NULL. */
    bool (*write_prefix)(struct buf *out, const struct host_address *at, const struct wire *wire,
        const struct llm_request *r, const struct wire_target *t);

    /* The same instead of the wire's part. */
    bool (*write_path)(struct buf *out, const struct llm_request *r, const struct wire_target *t);

    /* Adds what must change in a body of its wire, `doc`: a model that the path names. May be
     * NULL. */
    void (*edit_body)(const struct llm_request *r, const struct json *doc, struct str body,
        struct wire_edits *edits);
};

#define HOST(id) extern const struct host host_##id;
#include "catalog/hosts.def"
#undef HOST

/* In the order of the table; NULL after the last. */
const struct host *host_at(size_t i);

/* Appends the path and query of a request: the base path, the host's and the wire's part, the
 * caller's `query`, and the host's own. False if the host cannot have a model of that name; then
 * what was appended is of no use. */
bool host_write_path(struct buf *out, const struct host_address *at, const struct wire *wire,
    const struct llm_request *r, const struct wire_target *t, struct str query) MUST_CHECK;
