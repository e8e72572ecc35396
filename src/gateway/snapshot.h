/* snapshot.h - everything that a reload replaces, as one immutable object.
 *
 * Configuration, keys and routes are built and checked first, then sent to the workers by message.
 * An exchange keeps the snapshot that it started with; the last user frees it. References are
 * counted per worker, so that a request never writes to a counter that another core writes to.
 */
#pragma once

#include "base/secret.h"
#include "conf/conf.h"
#include "policy/auth.h"
#include "policy/tokens.h"
#include "route/rules.h"
#include "route/experiment.h"
#include "route/route.h"

struct snapshot {
    struct conf *conf;
    struct auth_table *auth;
    struct tokens *tokens;    /* NULL: there are no issuers of any */
    struct providers *providers;
    struct route_table *routes;
    struct rules *rules;
    struct experiments *experiments;
    struct secrets *secrets;    /* keys, header values and passwords of the configuration */
    uint64_t generation;        /* 1, 2, ...; set when the snapshot is put to use */
    _Atomic uint32_t refs;
};

/* Takes over `c`. Errors are added to `problems`; if there are any, the snapshot must not be
 * published, only released. */
struct snapshot *snapshot_build(
    struct conf *c, struct str simulated_url, struct conf_problems *problems) NEVER_NULL;

/* Takes or releases a reference; from any thread. */
struct snapshot *snapshot_ref(struct snapshot *s) NEVER_NULL;
void snapshot_unref(struct snapshot *s);

/* One worker's references to a snapshot, counted without atomics. */
struct snapshot_hold {
    struct snapshot *snapshot;
    uint32_t users;                /* exchanges, plus one while it is the current snapshot */
    struct rules_runner *rules;    /* with the worker's own interpreter */
};

/* Makes `s` (takes over the reference) the worker's current snapshot. */
struct snapshot_hold *snapshot_hold_create(struct snapshot *s) NEVER_NULL;
static inline struct snapshot_hold *
snapshot_hold_take(struct snapshot_hold *h)
{
    h->users++;
    return h;
}
void snapshot_hold_drop(struct snapshot_hold *h);
