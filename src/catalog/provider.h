/* provider.h - the providers we know by name: one row of providers.def each.
 *
 * A provider is data, not code: a wire, a base URL, where the key goes and what
 * is odd about it. Configuration may override every part of a row and add providers
 * of its own.
 */
#pragma once

#include "llm/wire.h"

struct provider_row {
    struct str id;
    struct str name;
    const struct wire *wire;
    struct str base_url;       /* empty: the configuration must give it */
    struct str auth_field;     /* "Authorization", "x-api-key" */
    struct str auth_prefix;    /* "Bearer " or empty */
    /* environment variables, separated by blanks, '~' before the shared ones; may be empty */
    struct str env;
    uint32_t quirks;    /* enum wire_quirk */
};

/* The row of that id, or NULL. */
const struct provider_row *provider_row(struct str id);

/* Walks the rows in table order; NULL behind the last. */
const struct provider_row *provider_row_at(size_t i);

/* Cuts the first variable off a row's list; false when none is left. `*ret_shared`: it is set for
 * other things too. */
bool provider_env_next(struct str *left, struct str *ret_name, bool *ret_shared);

/* The first of the row's environment variables that is set and not empty: its value, or empty;
 * its name in *ret_name, which may be NULL. */
struct str provider_env_key(const struct provider_row *row, struct str *ret_name);

/* Is a variable set that has no other meaning than to use this provider? */
bool provider_env_is_on(const struct provider_row *row);

/* The bit of a quirk's configuration name ("no_stream_options"), or 0. */
uint32_t provider_quirk_named(struct str name);
