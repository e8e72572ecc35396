/* look.c - takes looks at targets. */
#include "route/look.h"

#include "catalog/model.h"
#include "route/target.h"

/* What the request costs if its answer is as long as answers of its kind usually are. */
static int64_t
expected_cost(const struct target *t, struct ask *ask)
{
    if (!ask_know(ask, ASK_NEEDS))
        return COST_UNKNOWN;
    const struct needs *needs = &ask->needs;
    struct price_guess guess = { .input = needs->input_tokens,
        .output = USUAL_OUTPUT_TOKENS,
        .when.wall_s = (int64_t)(ask->wall_ms / 1000) };

    if (needs->output_tokens != 0)
        guess.output = MIN(needs->output_tokens, USUAL_OUTPUT_TOKENS);
    return model_expect_nanousd(t->facts, &guess);
}

void
look_take(struct look *l, const struct target *t, struct ask *ask, unsigned what)
{
    *l = (struct look){ .taken = what, .cost_nanousd = COST_UNKNOWN, .quality = -1 };
    if ((what & LOOK_HEALTH) != 0)
        l->state = health_look(t->health, ask->now_us / 1000).state;
    if ((what & LOOK_COST) != 0)
        l->cost_nanousd = expected_cost(t, ask);
}
