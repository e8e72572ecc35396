/* route.h - from the model a caller asks for to the ordered places that may answer.
 *
 * The table is part of the snapshot: providers that are switched on, and
 * aliases flattened into lists of targets (an alias may name another). A plan
 * costs no allocation for an alias, one small one for "provider/model".
 */
#pragma once

#include "base/map.h"
#include "catalog/model.h"
#include "catalog/provider.h"
#include "conf/conf.h"
#include "net/dial.h"
#include "route/offer.h"

/* A provider that is switched on. Immutable but for the turn of its keys. */
struct provider {
    struct str id;
    const struct wire *wire;
    struct origin *origin;
    struct str base_path;    /* "/v1", no slash at the end */
    /* complete field lines per key: "Authorization: Bearer ...\r\n"; secrets */
    struct str *credentials;
    struct str *credential_names;    /* "OPENAI_API_KEY", "openai#2": for logs */
    size_t credential_count;
    struct str fields;    /* configured extra field lines */
    uint32_t quirks;
    struct conf_timeouts timeouts;     /* resolved: nothing 0 but what the defaults leave 0 */
    struct conf_strs models;           /* offered in /v1/models, when the configuration says */
    struct offer *offer;               /* else what it says itself; NULL: it is not asked */
    const struct provider_row *row;    /* NULL for providers that only the configuration knows */
    bool simulated;                    /* the built-in one */
    _Atomic uint32_t turn;             /* which credential is next */
};

/* One model of one provider, with what the configuration says about using it. */
struct target {
    struct provider *provider;
    struct wire_target wire;          /* the provider's model name, quirks, limits */
    const struct model_row *facts;    /* NULL: unknown model */
    struct str params;                /* JSON object text of overrides, or empty */
    struct conf_timeouts timeouts;
    /* named by the configuration, here or elsewhere: its name is safe to use as a label */
    bool listed;
};

struct alias {
    struct str name;
    struct target **targets;
    size_t count;      /* without those of providers that are disabled: may be 0 */
    size_t skipped;    /* those */
    struct conf_mark mark;
};

struct route_table;

/* Built from the configuration, which must outlive it. All mistakes go to `problems`.
 * `simulated_url` is where the built-in provider listens, or empty; it is used when no other
 * provider is switched on. */
struct route_table *route_create(
    const struct conf *c, struct str simulated_url, struct conf_problems *problems) NEVER_NULL;
void route_destroy(struct route_table *t);

#define ROUTE_TARGETS 16

struct plan {
    struct target *targets[ROUTE_TARGETS];
    size_t count;
    struct str alias;    /* the alias that was named, or empty */
};

/* The places for `model`, best first; a target that is not configured is made in `a`. OK, or
 * ERR_NO_MODEL with a sentence in *ret_why. */
enum err route_plan(const struct route_table *t, struct arena *a, struct str model,
    struct plan *ret, struct str *ret_why) MUST_CHECK;

/* The place for a request that names no model: the default provider if it speaks the route's wire,
 * or the only provider that does. NULL, and why, when there is none. */
struct target *route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why);

/* A provider by id, or NULL. */
struct provider *route_provider(const struct route_table *t, struct str id);

/* Why the provider is on, or how to switch it on: for people. */
struct str route_provider_why(const struct route_table *t, struct arena *a, struct str id);

/* Walks: NULL behind the last. */
struct provider *route_provider_at(const struct route_table *t, size_t i);
const struct alias *route_alias_at(const struct route_table *t, size_t i);

/* True when only the built-in simulated provider is on. */
bool route_simulated(const struct route_table *t);

/* What is not wrong but may not be meant: no provider at all, aliases that nothing can answer. */
void route_warnings(const struct route_table *t, struct conf_problems *problems);
