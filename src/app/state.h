/* state.h - the store of `openclaw serve`: where it is, and that the gateway's user may write it. */
#pragma once

#include "base/arena.h"
#include "conf/conf.h"
#include "control/resource.h"
#include "control/steward.h"

/* As root, before the process becomes another user: makes the folder of the store and gives it to
 * that user. True if it does become another: then the place is one of the system's. */
bool state_give(const struct conf *c);

/* The steward of the configured store, not started yet, which gives the watchers of `resources` what changes. With store.url auto and no folder that can be
 * written: a warning, and a steward without a store. NULL with the reason if the address is wrong. */
struct steward *state_open(
    const struct conf *c, bool of_system, struct resources *resources, struct why why) MUST_CHECK;
