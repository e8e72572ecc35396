/* look.h - what is known of a target at the moment of a decision.
 *
 * Strategies read looks only, never the shared state that they are taken of, so that a recorded decision can be
 * made again. Taking a look costs time: only what is wanted is filled in.
 */
#pragma once

#include "route/ask.h"
#include "route/health.h"

struct target;

/* What a strategy or a constraint wants to see of each target. */
enum look_at {
    LOOK_HEALTH = 1,
    LOOK_LOAD = 2,     /* busy */
    LOOK_SPEED = 4,    /* first_token_us, tokens_per_s */
    LOOK_COST = 8,     /* cost_nanousd */
    LOOK_QUALITY = 16,
    LOOK_WARMTH = 32,    /* warm_tokens */
    LOOK_HEADROOM = 64,
};

#define LOOK_ALL 127

#define USUAL_OUTPUT_TOKENS 500    /* of an answer, where nothing better is known */

struct look {
    unsigned taken;    /* of enum look_at */
    enum health_state state;
    uint32_t busy;              /* requests under way there */
    uint32_t first_token_us;    /* expected, for a request of this size; 0: not known */
    bool stale;                 /* that was measured long ago */
    float tokens_per_s;         /* 0: not known */
    int64_t cost_nanousd;       /* expected; COST_UNKNOWN */
    float quality;              /* predicted, in percent (route/learned.h); negative: not known */
    int64_t warm_tokens;        /* of the prompt, in the provider's cache */
    bool exhausted;             /* no room is left in the provider's rate limit, until */
    uint64_t exhausted_until_ms;
};

/* A look that was recorded with a decision. */
struct look_record {
    struct str target;    /* "provider/model" */
    struct look look;
};

/* Takes a look at the target for the ask; for a recorded one, at what was recorded. What was not, and
 * cannot be worked out from the catalog, is ask->missing; a target that was not a candidate then is taken
 * to be healthy and within its limits. */
void look_take(struct look *l, const struct target *t, struct ask *ask, unsigned what);
