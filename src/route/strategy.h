/* strategy.h - how an alias orders its members. */
#pragma once

#include "route/standing.h"

struct strategy {
    const char *name;
    unsigned looks;    /* of enum look_at, at each target */
    void (*rank)(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
    const char *docs;
};

/* By its name in the configuration; NULL: there is none. */
const struct strategy *strategy_named(struct str name);
