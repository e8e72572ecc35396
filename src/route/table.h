/* table.h - the table of all aliases, built from the configuration. Part of the snapshot; route.c looks
 * names up in it.
 */
#pragma once

#include "base/map.h"
#include "route/alias.h"
#include "route/plan.h"

#define ROUTE_NAME_BYTES 256    /* longest "provider/model" in any table */

struct route_table {
    struct arena *arena;
    const struct providers *providers;
    struct breakers *breakers;    /* of each provider, by its number */
    struct alias **aliases;
    size_t alias_count;
    struct map *alias_by_name;
    struct alias **patterns;    /* the aliases with a '*' in their name, the longest beginning first */
    size_t pattern_count;
    struct alias *
        *of_rules;    /* by the rules' numbers: of those with targets of their own; or NULL */
    size_t rule_count;
    struct map *listed;    /* "provider/model" of every alias's targets */
};

/* Built from the configuration and its providers, which must outlive it. Errors go to
 * `problems`. */
struct route_table *table_create(const struct conf *c, const struct providers *providers,
    struct conf_problems *problems) NEVER_NULL;
void table_destroy(struct route_table *t);

/* Iteration: NULL after the last one. */
const struct alias *table_alias_at(const struct route_table *t, size_t i);

/* The alias that stands for the targets of that rule; NULL: it has none. */
const struct alias *table_rule_alias(const struct route_table *t, size_t rule);

/* Valid settings that are probably not intended: aliases without an active target. */
void table_warnings(const struct route_table *t, struct conf_problems *problems);

/* --- for route.c --- */

/* "provider/model" in `room` of ROUTE_NAME_BYTES; empty when it is too long to be in any table. */
struct str table_pair(struct str id, struct str model, char *room);

/* The target for a model of a provider, with what is known of it; in `a`. */
struct target *table_target(
    const struct route_table *t, struct arena *a, struct provider *p, struct str model) NEVER_NULL;

/* Is this a known provider that is not active? A name with its prefix must not go to another
 * one. */
bool table_is_off(const struct route_table *t, struct str id);

/* Splits "provider/model". NULL when the first part is not an active provider. */
struct provider *table_provider(
    const struct route_table *t, struct str name, struct str *ret_model);
