/* schema.h - a value that satisfies a JSON Schema, for arguments of calls and structured
 * answers.
 *
 * It handles the schemas that people give to models: objects, arrays, enums, references, unions,
 * the usual bounds and formats. The same schema and seed give the same value.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

/* The value's JSON text, in the arena. An empty object if `schema` is NULL. Different seeds give
   different values where the schema allows it. */
struct str mock_schema_example(struct arena *a, const struct json *schema, unsigned seed);
