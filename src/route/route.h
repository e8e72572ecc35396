/* route.h - resolves a model name to an ordered list of targets.
 *
 * The table is part of the snapshot. It holds the aliases, flattened into lists of targets (an
 * alias may name another). A plan needs no allocation for an alias, and one small one for
 * "provider/model".
 */
#pragma once

#include "route/hedge.h"
#include "route/plan.h"

/* What follows when a stream breaks after its first token. */
enum stream_break { BREAK_AUTO, BREAK_CONTINUE, BREAK_ERROR };

struct alias {
    struct str name;
    enum stream_break on_break;
    struct target **targets;
    size_t count;                         /* those at disabled providers not counted; may be 0 */
    struct hedge *hedge;                  /* NULL: off */
    const struct failure_rules *rules;    /* NULL: the table's */
    struct str *skipped;                  /* targets at disabled providers, as configured */
    size_t skipped_count;
    struct conf_mark mark;
};

struct route_table;

/* Built from the configuration and its providers, which must outlive it. Errors go to
 * `problems`. */
struct route_table *route_create(const struct conf *c, const struct providers *providers,
    struct conf_problems *problems) NEVER_NULL;
void route_destroy(struct route_table *t);

/* The targets for `model`, best first; one that is not configured is allocated in `a`. OK, or
 * ERR_NO_MODEL with a sentence in *ret_why. */
enum err route_plan(const struct route_table *t, struct arena *a, struct str model,
    struct plan *ret, struct str *ret_why) MUST_CHECK;

/* The target for a request that names no model: the default provider if it speaks `wire`, or else
 * the only provider that does. NULL, with a sentence in *ret_why, when there is none. */
struct target *route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why);

/* Iteration: NULL after the last one. */
const struct alias *route_alias_at(const struct route_table *t, size_t i);

/* Valid settings that are probably not intended: aliases without an active target. */
void route_warnings(const struct route_table *t, struct conf_problems *problems);
