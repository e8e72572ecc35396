/* providers_world.h - an environment without keys, and warnings as text. */
#pragma once

#include <unistd.h>

#include "catalog/providers.h"
#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

/* The tests must not depend on the environment that they run in. */
static inline void
forget_environment(void)
{
    const struct provider_row *row;

    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++) {
        struct str left = row->env, name;
        char name_c[64];
        bool shared;

        while (provider_env_next(&left, &name, &shared)) {
            str_copy_c(name_c, sizeof(name_c), name);
            unsetenv(name_c);
        }
    }
}

/* All warnings, joined. */
static inline struct str
joined_warnings(const struct conf_problems *warnings, struct arena *a)
{
    struct str all = S("");

    for (const struct conf_problem *p = warnings->first_warning; p != NULL; p = p->next)
        all = arena_printf(
            a, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n != 0 ? "\n" : "", STR_ARG(p->text));
    return all;
}
