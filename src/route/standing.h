/* standing.h - what a strategy is given: the members of an alias that can take a request, each with a look
 * at it. A strategy is a pure function of these, of its alias and of the ask, which it gives scores. */
#pragma once

#include "route/alias.h"
#include "route/look.h"

/* Scores that are not those of a measure: a member that has its turn because little is known of it, the
 * better one of two that were drawn, and, after all that are known (but before HUGE_VAL), one of which nothing
 * is known. */
#define SCORE_TRIED (-2.0)
#define SCORE_DRAWN (-1.0)
#define SCORE_UNKNOWN 1e18

/* One member of an alias that is being ordered. */
struct standing {
    const struct member *member;
    size_t number;    /* its place in the alias's list of members */
    const struct look
        *look;              /* of its target; of a nested alias: of the one that it would try first */
    double score;           /* the lowest is tried first; equal ones in the order of the list */
    size_t first, count;    /* where its candidates are (order.c) */
    size_t took, took_end;    /* and the turns that its nested aliases took */
};
