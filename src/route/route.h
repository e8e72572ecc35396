/* route.h - from the model's name that a caller asks for to the targets that may serve it, in order.
 *
 * The table is part of the snapshot. It holds the aliases: groups of members, each a target or another
 * alias, with a strategy that orders them. A plan is made of an alias and an ask (route/ask.h): the
 * targets that cannot take the request are excluded, the others are ordered, those of a nested alias by
 * its own strategy. The plan for one target that was named directly needs no ask.
 */
#pragma once

#include "route/plan.h"
#include "route/table.h"

/* What a name stands for: an alias, or one target. */
struct route_found {
    const struct alias *alias;
    struct target *target;    /* NULL: it is an alias */
    struct str matched;       /* of a pattern: what its '*' stands for */
    /* instead of that of the alias, for those of its members that are nested have their own; NULL: the
     * alias's */
    const struct strategy *strategy;
};

/* Looks the name up; a target that is not configured is allocated in `a`. OK, or ERR_NO_MODEL with a
 * sentence in *ret_why. */
enum err route_find(const struct route_table *t, struct arena *a, struct str model,
    struct route_found *ret, struct str *ret_why) MUST_CHECK;

/* The plan for what was found. OK, or why there is no target that can take the request, with a
 * sentence that says for each why not. */
enum err route_plan(const struct route_table *t, const struct route_found *found, struct ask *ask,
    struct plan *ret, struct str *ret_why) MUST_CHECK;

/* The target for a request that names no model: the default provider if it speaks `wire`, or else
 * the only provider that does. NULL, with a sentence in *ret_why, when there is none. */
struct target *route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why);
