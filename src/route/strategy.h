/* strategy.h - how an alias orders its members. */
#pragma once

#include "route/look.h"

struct alias;
struct member;

/* One member of an alias that is being ordered. */
struct standing {
    const struct member *member;
    size_t number;    /* its place in the alias's list of members */
    const struct look
        *look;              /* of its target; of a nested alias: of the one that it would try first */
    double score;           /* the lowest is tried first; equal ones in the order of the list */
    size_t first, count;    /* where its candidates are (order.c) */
};

struct strategy {
    const char *name;
    unsigned looks;    /* of enum look_at, at each target */
    void (*rank)(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
    const char *docs;
};

/* By its name in the configuration; NULL: there is none. */
const struct strategy *strategy_named(struct str name);
