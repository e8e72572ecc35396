/* decide.h - from what is known of a request to its plan: rules, the experiment that the alias takes part in,
 * then the router. Whether the request is real, is only explained, or is replayed from a log. */
#pragma once

#include "gateway/snapshot.h"
#include "route/explain.h"

/* A decision for the ask, not made yet; its plan is `plan`, and is empty. */
void decide_begin(struct explain_decision *d, struct ask *ask, struct plan *plan);

/* The part of it after the rules: makes the plan for what was found. `found` is changed if an experiment
 * puts another in its place. OK, or why nothing can serve it, with a sentence; the decision tells how far
 * it got. */
enum err decide_found(const struct snapshot *s, struct route_found *found,
    struct explain_decision *d, struct plan *plan, struct str *ret_why) MUST_CHECK;

/* The same for a request that says more than a name, or calls it as OpenRouter does (`canonical`): see
 * route/wished.h. Experiments do not take part. */
enum err decide_wished(const struct snapshot *s, bool canonical, struct explain_decision *d,
    struct plan *plan, struct str *ret_why) MUST_CHECK;

/* All of it, for a request that is not real. `canonical`: it came by OpenRouter's API. What a recorded ask did not know is ask->missing. */
enum err decide(const struct snapshot *s, struct rules_runner *rules, struct ask *ask,
    bool canonical, struct plan *plan, struct explain_decision *ret,
    struct str *ret_why) MUST_CHECK;
