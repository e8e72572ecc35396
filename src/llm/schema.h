/* schema.h - JSON Schemas, changed as little as a target allows.
 *
 * A schema is copied byte for byte but for what is missing, so that the caller's own text, and the
 * prompt cache that depends on it, stay as they are.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

/* What a target demands of a schema. */
enum schema_need {
    SCHEMA_TYPED = 1 << 0,     /* the whole has a type: "object" if none is given */
    SCHEMA_CLOSED = 1 << 1,    /* every object schema says additionalProperties; false if not given */
};

/* Appends a schema with what it needs. If SCHEMA_TYPED, none at all becomes one without properties.
 * False if `schema` is not a JSON object; `out` is unchanged then. */
bool schema_add(struct buf *out, struct arena *a, struct str schema, unsigned needs);
