/* snapshot.h - everything that a reload replaces, as one immutable whole.
 *
 * Configuration, keys and routes are built and checked aside, then published to
 * the workers by message. An exchange keeps the snapshot it started with;
 * the last holder frees it. Counting is done per worker, so that a request touches
 * no counter that another core writes.
 */
#pragma once

#include "base/secret.h"
#include "conf/conf.h"
#include "policy/auth.h"
#include "route/route.h"

struct snapshot {
    struct conf *conf;
    struct auth_table *auth;
    struct route_table *routes;
    struct secrets *secrets;    /* keys, header values and passwords of the configuration */
    uint64_t generation;        /* 1, 2, ...: who puts it to use counts */
    _Atomic uint32_t refs;
};

/* Takes over `c`. What is wrong goes to `problems`; then the snapshot must not be published, only
 * released. */
struct snapshot *snapshot_build(
    struct conf *c, struct str simulated_url, struct conf_problems *problems) NEVER_NULL;

/* One holder more or less; any thread. */
struct snapshot *snapshot_ref(struct snapshot *s) NEVER_NULL;
void snapshot_unref(struct snapshot *s);

/* One worker's share of a snapshot: counted without atomics. */
struct snapshot_hold {
    struct snapshot *snapshot;
    uint32_t users;    /* exchanges, and one for being current */
};

/* Makes `s` (a reference is taken over) a worker's current one. */
struct snapshot_hold *snapshot_hold_create(struct snapshot *s) NEVER_NULL;
static inline struct snapshot_hold *
snapshot_hold_take(struct snapshot_hold *h)
{
    h->users++;
    return h;
}
void snapshot_hold_drop(struct snapshot_hold *h);
