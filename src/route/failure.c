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

const char *
failure_next_name(enum failure_next next)
{
    static const char *const names[] = {
        [NEXT_RETURN] = "return",
        [NEXT_AGAIN] = "again",
        [NEXT_SAME] = "same",
        [NEXT_OTHER] = "other",
        [NEXT_MOVE] = "move",
        [NEXT_KEY] = "key",
        [NEXT_LARGER] = "larger",
    };

    return names[next];
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
        [BLAME_KEY] = "key, at once",
        [BLAME_KEY_MODEL] = "key and model, at once",
        [BLAME_ACCOUNT] = "key, for minutes",
    };

    return names[blame];
}
