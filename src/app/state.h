/* state.h - the store of `openclaw serve`: where it is, and that the gateway's user may write it. */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "control/audit_log.h"
#include "control/resource.h"
#include "control/steward.h"

/* As root, before the process becomes another user: makes the folder of the store and gives it to
 * that user. True if it does become another: then the place is one of the system's. */
bool state_give(const struct conf *c);

/* The secret that keys of the store are kept with. */
struct state_pepper {
    struct str text;       /* empty: there is no store, or it cannot be read */
    bool checked;          /* the store was asked about it */
    _Atomic bool other;    /* its keys were made with another one */
};

/* auth.pepper, or that in the folder for state; `a` holds it. If it cannot be read, the log warns. */
struct state_pepper state_pepper(const struct conf *c, bool of_system, struct arena *a);

/* Periodic work of the steward: asks the store, until it answered. The log tells what that means. */
void state_check_pepper(struct store *s, void *pepper);

/* The audit record of that store, signed with the key in the folder for state. NULL: there is no store; or the key
 * cannot be had, of which the log warns. */
struct audit_log *state_audit(const struct conf *c, bool of_system);

/* The steward of the configured store, not started yet, which gives the watchers of `resources` what changes. With store.url auto and no folder that can be
 * written: a warning, and a steward without a store. NULL with the reason if the address is wrong. */
struct steward *state_open(
    const struct conf *c, bool of_system, struct resources *resources, struct why why) MUST_CHECK;
