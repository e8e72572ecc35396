/* provider.h - the providers we know by name: one row of providers.def each.
 *
 * A provider is data, not code: a wire, a host, a base URL and its traits. The configuration can
 * override every part of a row and add providers.
 */
#pragma once

#include "catalog/host.h"

/* What a provider does with what it is sent; a member that is left out is not known. */
struct data_policy {
    enum llm_tri training;    /* whether models are trained on it */
    enum llm_tri keeps;       /* whether it is kept once the answer is given */
    unsigned keeps_days;      /* for how long; 0: not known */
};

struct provider_row {
    struct str id;
    struct str name;
    const struct wire *wire;
    const struct host *host;
    struct str base_url;    /* empty: the configuration must give it */
    struct str key;         /* how the field line of a key begins; empty: as the host or wire has it */
    /* environment variables, separated by blanks, '~' before the shared ones; may be empty */
    struct str env;
    struct traits traits;
    struct str region;    /* "eu", "local"; empty: not known */
    struct data_policy data;
};

/* The row of that id, or NULL. */
const struct provider_row *provider_row(struct str id);

/* The rows in table order; NULL after the last one. */
const struct provider_row *provider_row_at(size_t i);

/* Takes the next variable from a row's list; false when there is none. `*ret_shared`: it is
 * commonly set for other purposes too. */
bool provider_env_next(struct str *left, struct str *ret_name, bool *ret_shared);

/* The first of the row's environment variables that is set and not empty: its value, or empty;
 * its name in *ret_name, which may be NULL. */
struct str provider_env_key(const struct provider_row *row, struct str *ret_name);

/* Is a variable set whose only purpose is this provider? */
bool provider_env_is_on(const struct provider_row *row);
