/* learned.c - a Rasch model: the odds of a good answer grow with the model's ability, and fall with how hard
 * the request is.
 *
 * The ability is the catalog's prior, a percentile on public leaderboards; how hard it is, the analysis says,
 * as the probability that a small model fails: so for such a model the prediction is what the analysis says,
 * and better models are better by the same odds for easy and hard requests. For easy ones nearly all are good,
 * and the cheapest will do.
 */
#include "route/learned.h"

#include <math.h>

#include "route/analyze.h"

#define SMALL_PERCENTILE 20.0     /* of the small models that the analysis speaks of */
#define PERCENTILES_PER_E 20.0    /* that multiply the odds by e */
#define HARD_USUALLY 0.5
#define HARD_LEAST 0.02

/* The prior for what the request is about: tools are for agents. */
static int
prior_of(const struct model_base *base, const struct ask *ask)
{
    bool tools = (ask->known & ASK_NEEDS) != 0 && (ask->needs.bits & NEED_BIT(TOOLS)) != 0;

    if (tools && base->quality_agentic_permille != 0)
        return base->quality_agentic_permille;
    return base->quality_permille;
}

float
learned_quality(const struct model_row *row, struct ask *ask)
{
    int prior = row != NULL && row->base != NULL ? prior_of(row->base, ask) : 0;
    double hard = HARD_USUALLY;

    if (prior == 0)
        return -1;
    if (ask_know(ask, ASK_ANALYSIS))
        hard = ask->analysis->complexity_permille / 1000.0;
    hard = MIN(MAX(hard, HARD_LEAST), 1 - HARD_LEAST);
    double odds = exp((prior / 10.0 - SMALL_PERCENTILE) / PERCENTILES_PER_E) * (1 - hard) / hard;
    return (float)(100 * odds / (1 + odds));
}
