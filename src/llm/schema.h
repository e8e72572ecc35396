/* schema.h - JSON Schemas, changed as little as a target allows.
 *
 * A schema is copied byte for byte but for what is missing, so that the caller's own text, and the
 * prompt cache that depends on it, stay as they are.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

/* A keyword that a target refuses. */
struct schema_keyword {
    struct str name;
    bool zero_or_one;    /* these values it takes */
    bool annotates;      /* nobody misses it */
    /* not left out: its value becomes the only one in the list of this keyword, "enum" for "const" */
    struct str listed;
};

/* What a target demands of a schema. */
struct schema_rules {
    /* the whole has a type: "object" if none is given, also if there is no schema at all */
    bool typed;
    bool closed;    /* every object schema says additionalProperties: false, whatever it said */
    bool any_of;    /* oneOf is written as anyOf, unless there is one */
    /* left out, and said in the description instead; at most 31, the last has no name */
    const struct schema_keyword *refused;
};
#define SCHEMA_CLOSED (1u << 31)    /* a schema that was open has been closed */

/* Appends a schema by the rules. *ret_cut (may be NULL) gets a bit for each row of rules->refused
 * that was left out somewhere, and SCHEMA_CLOSED. False if `schema` is not a JSON object; `out` is unchanged then. */
bool schema_add(struct buf *out, struct arena *a, struct str schema,
    const struct schema_rules *rules, uint32_t *ret_cut) MUST_CHECK;
