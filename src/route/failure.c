/* failure.c - lookup in the table of failure.def. */
#include "route/failure.h"

static const struct failure_row rows[ERR_COUNT] = {
#define FAILURE(error, next_, blame_, why_)                                                        \
    [error] = { .next = NEXT_##next_, .blame = BLAME_##blame_, .why = why_ },
#include "route/failure.def"
#undef FAILURE
};

const struct failure_row *
failure_row(enum err e)
{
    CHECK(e >= 0 && e < ERR_COUNT);
    return &rows[e];
}

static const char *const next_names[] = {
    [NEXT_RETURN] = "return",
    [NEXT_AGAIN] = "again",
    [NEXT_SAME] = "same",
    [NEXT_OTHER] = "other",
    [NEXT_MOVE] = "move",
    [NEXT_KEY] = "key",
    [NEXT_LARGER] = "larger",
};

const char *
failure_next_name(enum failure_next next)
{
    return next_names[next];
}

/* "return, again, ...": what may be written. */
static struct str
names_of_next(struct arena *a)
{
    struct str all = S("");

    for (size_t i = 0; i < ARRAY_LEN(next_names); i++)
        all = arena_printf(a, STR_FMT "%s%s", STR_ARG(all), i != 0 ? ", " : "", next_names[i]);
    return all;
}

const char *
failure_rule_set(struct failure_rules *rules, struct str code, struct str next, struct arena *a)
{
    bool known = false;
    uint8_t value = 0;

    for (size_t i = 0; i < ARRAY_LEN(next_names); i++)
        if (str_eq(next, str_c(next_names[i])))
            value = (uint8_t)(i + 1);
    /* An error of ours may have the same code: no attempt ends with it. */
    for (unsigned e = OK + 1; e < ERR_COUNT; e++) {
        if (rows[e].why == NULL || !str_eq(code, str_c(err_row((enum err)e)->code)))
            continue;
        known = true;
        rules->next[e] = value;
    }
    if (!known)
        return arena_printf(a,
            "'" STR_FMT "' is not an error that an attempt ends with; docs/errors.md lists them",
            STR_ARG(code))
            .p;
    if (value == 0)
        return arena_printf(
            a, "'" STR_FMT "' is none of " STR_FMT, STR_ARG(next), STR_ARG(names_of_next(a)))
            .p;
    return NULL;
}

const char *
failure_blame_name(enum failure_blame blame)
{
    static const char *const names[] = {
        [BLAME_NOBODY] = "",
        [BLAME_PROVIDER] = "provider",
        [BLAME_TARGET] = "target",
        [BLAME_GONE] = "target, at once",
        [BLAME_LIMIT] = "key and model, until its reset",
        [BLAME_KEY] = "key",
        [BLAME_KEY_MODEL] = "key and model, at once",
        [BLAME_ACCOUNT] = "key, for minutes",
    };

    return names[blame];
}
