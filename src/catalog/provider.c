/* provider.c - lookup in the table of providers.def. */
#include "catalog/provider.h"

#include <stdlib.h>

#define OPEN_MODELS TRAITS(.max_tokens = YES, .no_developer = YES, .system_first = YES)
#define DATA(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NO_DATA DATA(.training = UNSAID)
#define PROVIDER(id_, name_, speaks, at, url_, key_, env_, traits_, region_, data_)                \
    { .id = S_INIT(id_),                                                                           \
        .name = S_INIT(name_),                                                                     \
        .wire = &wire_##speaks,                                                                    \
        .host = &host_##at,                                                                        \
        .base_url = S_INIT(url_),                                                                  \
        .key = S_INIT(key_),                                                                       \
        .env = S_INIT(env_),                                                                       \
        .traits = traits_,                                                                         \
        .region = S_INIT(region_),                                                                 \
        .data = data_ },

static const struct provider_row rows[] = {
#include "catalog/providers.def"
};
#undef PROVIDER
#undef OPEN_MODELS
#undef DATA
#undef NO_DATA

const struct provider_row *
provider_row_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}

const struct provider_row *
provider_row(struct str id)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].id, id))
            return &rows[i];
    return NULL;
}

bool
provider_env_next(struct str *left, struct str *ret_name, bool *ret_shared)
{
    if (left->n == 0)
        return false;
    (void)str_cut(*left, ' ', ret_name, left);
    *ret_shared = str_starts(*ret_name, S("~"));
    if (*ret_shared)
        *ret_name = str_skip(*ret_name, 1);
    return true;
}

static struct str
env_value(struct str name)
{
    char name_c[64];

    str_copy_c(name_c, sizeof(name_c), name);
    return str_c(getenv(name_c));
}

struct str
provider_env_key(const struct provider_row *row, struct str *ret_name)
{
    struct str left = row->env, name;
    bool shared;

    while (provider_env_next(&left, &name, &shared)) {
        struct str value = env_value(name);

        if (value.n == 0)
            continue;
        if (ret_name != NULL)
            *ret_name = name;
        return value;
    }
    return (struct str){ NULL, 0 };
}

bool
provider_env_is_on(const struct provider_row *row)
{
    struct str left = row->env, name;
    bool shared;

    while (provider_env_next(&left, &name, &shared))
        if (!shared && env_value(name).n != 0)
            return true;
    return false;
}
