/* route.h - resolves a model name to an ordered list of targets.
 *
 * The table is part of the snapshot. It holds the active providers, and aliases flattened into
 * lists of targets (an alias may name another). A plan needs no allocation for an alias, and one
 * small one for "provider/model".
 */
#pragma once

#include "base/map.h"
#include "base/registry.h"
#include "catalog/model.h"
#include "catalog/provider.h"
#include "conf/conf.h"
#include "net/dial.h"
#include "route/offer.h"

/* An active provider. Immutable. */
struct provider {
    struct str id;
    const struct wire *wire;
    struct origin *origin;
    struct str base_path;    /* "/v1", without a trailing slash */
    /* complete field lines per key: "Authorization: Bearer ...\r\n"; secrets */
    struct str *credentials;
    struct str *credential_names;    /* "OPENAI_API_KEY", "openai#2": for logs */
    size_t credential_count;
    struct str fields;    /* configured extra field lines */
    struct traits traits;
    struct conf_timeouts timeouts;     /* resolved: 0 only where the defaults are 0 */
    struct conf_strs models;           /* listed in /v1/models, if configured */
    struct offer *offer;               /* else its own list; NULL: it is not queried */
    const struct provider_row *row;    /* NULL for custom providers */
    bool simulated;                    /* the built-in simulator */
    _Atomic uint32_t *turn;            /* number of the next credential; outlives a reload */
};

/* One model of one provider, with its configured settings. */
struct target {
    struct provider *provider;
    struct wire_target wire;          /* the provider's model name, and traits */
    const struct model_row *facts;    /* NULL: unknown model */
    struct str params;                /* JSON object text of overrides, or empty */
    struct conf_timeouts timeouts;
    /* named in the configuration, so that its name may be a metric label */
    bool listed;
};

struct alias {
    struct str name;
    struct target **targets;
    size_t count;      /* those at disabled providers not counted; may be 0 */
    size_t skipped;    /* targets at disabled providers */
    struct conf_mark mark;
};

struct route_table;

/* Built from the configuration, which must outlive it. Errors go to `problems`.
 * `simulated_url` is the address of the built-in provider, or empty; it is used when no other
 * provider is active. */
struct route_table *route_create(
    const struct conf *c, struct str simulated_url, struct conf_problems *problems) NEVER_NULL;
void route_destroy(struct route_table *t);

#define ROUTE_TARGETS 16

struct plan {
    struct target *targets[ROUTE_TARGETS];
    size_t count;
    struct str alias;    /* the alias that was asked for, or empty */
};

/* The targets for `model`, best first; one that is not configured is allocated in `a`. OK, or
 * ERR_NO_MODEL with a sentence in *ret_why. */
enum err route_plan(const struct route_table *t, struct arena *a, struct str model,
    struct plan *ret, struct str *ret_why) MUST_CHECK;

/* The target for a request that names no model: the default provider if it speaks `wire`, or else
 * the only provider that does. NULL, with a sentence in *ret_why, when there is none. */
struct target *route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why);

/* A provider by id, or NULL. */
struct provider *route_provider(const struct route_table *t, struct str id);

/* Why the provider is active, or how to enable it: text for the operator. */
struct str route_provider_why(const struct route_table *t, struct arena *a, struct str id);

/* Iteration: NULL after the last one. */
struct provider *route_provider_at(const struct route_table *t, size_t i);
const struct alias *route_alias_at(const struct route_table *t, size_t i);

/* True when only the built-in simulated provider is active. */
bool route_simulated(const struct route_table *t);

/* Valid settings that are probably not intended: no provider, aliases without an active target. */
void route_warnings(const struct route_table *t, struct conf_problems *problems);
