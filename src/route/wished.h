/* wished.h - what a caller's wishes (llm/wishes.h) do to the plan: which further models they add,
 * and in which order they put the targets. What they demand of each is judged in constraint.c.
 */
#pragma once

#include "route/route.h"

/* What else decides. */
struct wished_by {
    /* At OpenRouter's API "maker/model" is the model wherever it is served: by the provider of that name,
     * if it is active, and by all other active providers that have the same model. */
    bool canonical;
    const struct route_found
        *ruled;    /* a rule says where it goes, whatever model is asked for; or NULL */
    const struct strategy *strategy;    /* a rule's, for the alias that is asked for; or NULL */
};

/* The plan for a request with wishes, or one of OpenRouter's API. As route_plan() otherwise. */
enum err wished_plan(const struct route_table *t, struct ask *ask, const struct wished_by *by,
    struct plan *ret, struct str *ret_why) MUST_CHECK;
