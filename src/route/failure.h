/* failure.h - what follows when an attempt fails, as failure.def says. */
#pragma once

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

/* As documented and configured: "other", "key_model"; empty for NOBODY. */
const char *failure_next_name(enum failure_next next) NEVER_NULL;
const char *failure_blame_name(enum failure_blame blame) NEVER_NULL;
