/* target.h - one model of one provider: where a request can be sent. */
#pragma once

#include "catalog/model.h"
#include "catalog/providers.h"
#include "route/health.h"

/* A provider's circuit breakers. */
struct breakers {
    struct health_table *table;
    struct health **keys;    /* of its credentials, by number */
};

/* One model of one provider, with its configured settings. */
struct target {
    struct provider *provider;
    const struct breakers *breakers;
    struct health *health;            /* of this model there */
    struct wire_target wire;          /* the provider's model name, and traits */
    const struct model_row *facts;    /* NULL: unknown model */
    struct str params;                /* JSON object text of overrides, or empty */
    struct conf_timeouts timeouts;
    /* named in the configuration, so that its name may be a metric label */
    bool listed;
};

/* The protocol in which a request of the caller's wire `from` goes there: its own, if that is served. */
static inline const struct wire *
target_wire(const struct target *t, const struct wire *from)
{
    const struct wire *its = t->provider->wire;

    return wire_is_served(from, its, &t->wire.traits) ? from : its;
}
