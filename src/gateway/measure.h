/* measure.h - what an attempt shows of its target: how long it takes, how fast it writes, and what is
 * left of its provider's limits. Strategies, hedges and the view of targets go by it. */
#pragma once

#include "gateway/intake.h"
#include "gateway/tally.h"
#include "observe/record.h"
#include "route/health.h"

/* What there is of an attempt, all of which is its own. */
struct measure {
    struct health *target;
    const struct health_pass *pass;
    const struct intake *intake;
    const struct tally *tally;
    const struct record_attempt *note;
    int64_t prompt_tokens;    /* an estimate */
    /* what the prompt is known as in the target's cache (llm/needs.h; 0: not known), and the least tokens
     * that it keeps */
    uint64_t conversation, prefix;
    int64_t cache_tokens;
    bool timed;    /* the time to the first token was noted */
};

/* The head of the answer is there: what its fields say is left of limits. */
void measure_limits(const struct measure *m);

/* The first token of a stream is there. */
void measure_first_token(struct measure *m);

/* It ended in that way, before it leaves its breakers. `sent`: the provider has the request. */
void measure_end(struct measure *m, enum err outcome, bool sent);
