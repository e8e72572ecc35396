/* failure.h - what follows when an attempt fails, as failure.def says. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum failure_next {
    NEXT_RETURN,
    NEXT_AGAIN,
    NEXT_SAME,
    NEXT_OTHER,
    NEXT_MOVE,
    NEXT_KEY,
    NEXT_LARGER,
};

enum failure_blame {
    BLAME_NOBODY,
    BLAME_PROVIDER,
    BLAME_TARGET,
    BLAME_GONE,
    BLAME_LIMIT,
    BLAME_KEY,
    BLAME_KEY_MODEL,
    BLAME_ACCOUNT,
};

struct failure_row {
    enum failure_next next;
    enum failure_blame blame;
    const char *why;    /* for the docs; NULL: the error has no row */
};

/* Never NULL. */
const struct failure_row *failure_row(enum err e) NEVER_NULL;

/* What follows instead, where an alias says so ("on_error:"). */
struct failure_rules {
    uint8_t next[ERR_COUNT];    /* one more than enum failure_next; 0: as the table says */
};

/* Sets one: "content_filter" to "move". NULL, or what is wrong with it, in `a`. */
const char *failure_rule_set(
    struct failure_rules *rules, struct str code, struct str next, struct arena *a) MUST_CHECK;

/* What follows; `rules` may be NULL. */
static inline enum failure_next
failure_next_of(const struct failure_rules *rules, enum err e)
{
    if (rules != NULL && rules->next[e] != 0)
        return (enum failure_next)(rules->next[e] - 1);
    return failure_row(e)->next;
}

/* As documented and configured: "other", "key_model"; empty for NOBODY. */
const char *failure_next_name(enum failure_next next) NEVER_NULL;
const char *failure_blame_name(enum failure_blame blame) NEVER_NULL;
