/* pruner.h - deletes old rows while the gateway runs: store.keep.
 */
#pragma once

#include "conf/conf.h"
#include "control/steward.h"
#include "store/prune.h"

struct retention retention_of(const struct conf *c);

/* Before steward_start(). There is one in a process. */
void pruner_add(struct steward *s, const struct conf *c);

/* A reload. */
void pruner_set(const struct conf *c);
