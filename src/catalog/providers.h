/* providers.h - the providers that a configuration, or the environment, makes active.
 *
 * Part of the snapshot: immutable, but for the number of the next key and the list of models, which
 * outlive a reload. catalog/provider.h has the rows of those that we know by name.
 */
#pragma once

#include "catalog/clouds.h"
#include "catalog/offer.h"
#include "catalog/provider.h"
#include "conf/conf.h"
#include "net/dial.h"

struct provider {
    struct str id;
    size_t number;    /* providers_at() has it there */
    const struct wire *wire;
    struct origin *origin;
    struct origin *session_origin;    /* for sessions that leave HTTP; NULL: its protocol has none */
    struct host_address address;
    /* complete field lines per key: "Authorization: Bearer ...\r\n"; secrets */
    struct str *credentials;
    struct str *credential_names;    /* "OPENAI_API_KEY", "openai#2": for logs */
    size_t credential_count;
    /* in whose name it is asked without a key; NULL: with the credentials above. It then has one of
     * them, which is empty */
    struct identity *identity;
    struct str fields;    /* configured extra field lines */
    struct traits traits;
    struct str region;    /* where requests are processed: "eu"; empty: not known */
    struct data_policy data;
    struct conf_timeouts timeouts;     /* resolved: 0 only where the defaults are 0 */
    struct conf_strs models;           /* listed in /v1/models, if configured */
    struct offer *offer;               /* else its own list; NULL: it is not queried */
    const struct provider_row *row;    /* NULL for custom providers */
    bool simulated;                    /* the built-in simulator */
    bool adaptive;                     /* how many requests its models get at once follows them */
    uint64_t probe_ms;                 /* how often it is probed; 0: never */
    uint64_t probe_due_ms;             /* gateway/probe.c: the next time; 0: not known yet */
    _Atomic uint32_t *turn;            /* number of the next credential; outlives a reload */
};

struct providers;

/* Built from the configuration, which must outlive it. Errors go to `problems`.
 * `simulated_url` is the address of the built-in provider, or empty; it is used when no other
 * provider is active. */
struct providers *providers_create(
    const struct conf *c, struct str simulated_url, struct conf_problems *problems) NEVER_NULL;
void providers_destroy(struct providers *all);

/* A provider by id, or NULL. Google's is known as "gemini" as well, where there is no other of that name. */
struct provider *providers_find(const struct providers *all, struct str id);

/* Iteration: NULL after the last one. */
struct provider *providers_at(const struct providers *all, size_t i);

/* What is known of models. */
struct catalog;
const struct catalog *providers_catalog(const struct providers *all) NEVER_NULL;

/* For requests that name no model, and model names without a provider; NULL: there is none. */
struct provider *providers_default(const struct providers *all);

/* True when only the built-in simulated provider is active. */
bool providers_simulated(const struct providers *all);

/* Why a provider that a name may stand for is not active. */
enum provider_state {
    PROVIDER_ACTIVE,
    PROVIDER_DISABLED,    /* `disabled: true` */
    PROVIDER_OFF,         /* we know it, but it is neither configured nor in the environment */
    PROVIDER_BROKEN,      /* it is configured wrongly, which was reported */
    PROVIDER_UNKNOWN,
};
enum provider_state providers_state(const struct providers *all, struct str id);

/* Why the provider is active, or how to enable it: text for the operator, in `a`. */
struct str providers_why(const struct providers *all, struct arena *a, struct str id);

/* The number of the credential whose turn it is; 0 if there is none. */
size_t provider_next_credential(const struct provider *p);

/* What stands for the provider where something about it outlives a reload: its id, and its URL, with
 * which it is another one. In `a`. */
struct str provider_stable_name(struct arena *a, const struct provider *p);

/* Adds what a "traits:" section says; `where` is the section that has it. */
void providers_read_traits(struct traits *traits, struct str object, struct conf_mark mark,
    struct str where, struct conf_problems *problems);

/* Valid settings that are probably not intended: no provider, a default one that is disabled. */
void providers_warnings(const struct providers *all, struct conf_problems *problems);
