/* plan.h - the targets that may serve one request, in the order in which they are tried, and those
 * that cannot, with the reason. */
#pragma once

#include "route/constraint.h"
#include "route/target.h"

enum candidate_state {
    CANDIDATE_FRESH,    /* it was not asked yet */
    CANDIDATE_UNDER_WAY,
    CANDIDATE_NEXT,      /* it failed, and is asked again before any other */
    CANDIDATE_SPARE,     /* it failed, and is asked again if there is no other */
    CANDIDATE_CLOSED,    /* it is not asked again */
};

struct candidate {
    struct target *target;
    enum exclusion excluded;
    bool late;    /* only if no other is left: it may be too small, or its limit is used up */
    const struct alias *alias;    /* whose member it is; NULL: it was named directly */
    struct look look;             /* what its strategies wanted to see */
    double score;                 /* among the members of that alias */
    enum candidate_state state;
    bool fresh;              /* on a new connection */
    bool unpaid;             /* SPARE: its repetition was not taken from the budget yet */
    unsigned repeats;        /* how often it was asked again after a failure of its own */
    uint64_t again_us;       /* NEXT and SPARE: not before that; clock_now_us() */
    uint64_t keys_failed;    /* a bit for each of its provider's first 64 keys */
};

#define PLAN_CANDIDATES 64    /* at most */

struct plan {
    struct candidate *list;
    size_t count;
    const struct alias *alias;    /* that was asked for, or NULL */
    bool insist;                  /* ask also where a breaker is open, unless it was switched off */
    bool relay;                   /* it is not a call of a model */
    unsigned retry_percent;       /* see health_take_retry() */
};

/* A plan of `count` candidates in `a`, whose targets are to be filled in. */
void plan_begin(struct plan *plan, struct arena *a, size_t count);

/* Is there a candidate that was not asked, and is not excluded? */
bool plan_has_fresh(const struct plan *plan);

/* Which candidate is asked, with which of its provider's credentials. */
struct pick {
    struct candidate *candidate;
    size_t credential;
    struct health_pass pass;    /* health_leave() it once */
    /* concurrency_leave() it once; NULL: the provider's concurrency is not limited */
    struct concurrency *slot;
    bool crowded;      /* PICK_NEVER: a target takes no more at once */
    enum err why;      /* PICK_NEVER: what opened the breaker that closes first, */
    uint64_t at_us;    /* and when it may; 0: not known. PICK_LATER: when to ask again */
};

enum pick_when {
    PICK_NOW,      /* *ret says what is asked */
    PICK_LATER,    /* not before ret->at_us */
    PICK_NEVER,    /* ret->why is OK: everything was tried; or why the rest is not asked */
};

/* Chooses what is asked next: what is to be repeated before any other; the next one that was not
 * asked; then, unless another attempt is under way (`beside`), what is left although its breakers
 * are open, at a bounded rate; and what may be repeated if there is no other. Excluded candidates
 * are not asked; if all are, the first is picked, whose attempt says why. */
enum pick_when plan_pick(struct plan *plan, bool beside, uint64_t now_us, struct pick *ret);
