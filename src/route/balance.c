/* balance.c - what the scores mean:
 *
 *   least_busy   requests under way, per weight
 *   latency      expected time to first token, times how crowded it is beside the others
 *   throughput   time per token of output, times the same
 *   score        a weighted sum of how much worse than the best it is, from 0 to 1, in each respect
 *   learned      the expected cost, of those that are probably good enough
 *
 * Where nothing is known of a member, it is tried at a bounded rate: now and then, and only if nothing is
 * under way there, so that one that hangs holds up one request, not all. The same is true of what was
 * measured long ago: a target that was slow then is avoided, but not for ever.
 */
#include "route/balance.h"

#include <math.h>

#include "catalog/price.h"
#include "route/plan.h"

#define EXPLORE_UNKNOWN 0.1    /* of requests that go to a member of which nothing is known */
#define EXPLORE_STALE 0.02     /* or nothing new */

static double
per_weight(const struct standing *s)
{
    return (double)s->look->busy / s->member->weight;
}

/* How much longer than usual a request probably takes because of those that are under way there. That many
 * are says little: each is waiting for tokens most of its time. More than at the other members says that it
 * gets more than its share, before its times show that. */
static void
find_crowding(const struct standing *list, size_t n, double *ret_factors)
{
    double mean = 0;

    for (size_t i = 0; i < n; i++)
        mean += per_weight(&list[i]) / (double)n;
    for (size_t i = 0; i < n; i++)
        ret_factors[i] = 1 + MAX(per_weight(&list[i]) - mean, 0) / (1 + mean);
}

void
strategy_least_busy(const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask)
{
    for (size_t i = 0; i < n; i++)    /* of equally busy ones, any, in proportion to its weight */
        list[i].score =
            per_weight(&list[i]) - 1e-9 * log(1 - ask_random(ask)) / list[i].member->weight;
}

/* One of those that `may`, or n. */
static size_t
any_of(const bool *may, size_t n, struct ask *ask)
{
    size_t count = 0, chosen;

    for (size_t i = 0; i < n; i++)
        count += may[i];
    if (count == 0)
        return n;
    chosen = (size_t)(ask_random(ask) * (double)count);
    for (size_t i = 0; i < n; i++)
        if (may[i] && chosen-- == 0)
            return i;
    return n;
}

/* A member of which nothing is known, or nothing new, has its turn now and then. */
static void
explore(struct standing *list, size_t n, const bool *known, struct ask *ask)
{
    bool unknown[PLAN_CANDIDATES] UNINITIALIZED, stale[PLAN_CANDIDATES] UNINITIALIZED;
    size_t chosen = n;
    double dice = ask_random(ask);

    for (size_t i = 0; i < n; i++) {
        bool idle = list[i].look->busy == 0;

        unknown[i] = !known[i] && idle;
        stale[i] = known[i] && list[i].look->stale && idle;
    }
    if (dice < EXPLORE_UNKNOWN)
        chosen = any_of(unknown, n, ask);
    if (chosen == n && dice < EXPLORE_STALE)
        chosen = any_of(stale, n, ask);
    if (chosen != n)
        list[chosen].score = SCORE_TRIED;
}

/* Of two that are taken at random the better one comes first, so that many who decide by the same numbers do
 * not all go to the best (Mitzenmacher, "The power of two choices in randomized load balancing", 2001). */
static void
take_better_of_two(struct standing *list, size_t n, const bool *known, struct ask *ask)
{
    bool may[PLAN_CANDIDATES] UNINITIALIZED;

    for (size_t i = 0; i < n; i++)
        may[i] = known[i];
    size_t a = any_of(may, n, ask);
    if (a == n)
        return;
    may[a] = false;
    size_t b = any_of(may, n, ask);
    if (b != n && list[b].score < list[a].score)
        a = b;
    if (b != n)
        list[a].score = SCORE_DRAWN;
}

/* By a time of each member, 0 where it is not known. */
static void
rank_by_time(struct standing *list, size_t n, const double *times, struct ask *ask)
{
    double crowding[PLAN_CANDIDATES] UNINITIALIZED;
    bool known[PLAN_CANDIDATES] UNINITIALIZED;
    size_t count = 0;

    find_crowding(list, n, crowding);
    for (size_t i = 0; i < n; i++) {
        known[i] = times[i] > 0;
        count += known[i];
        list[i].score = known[i] ? times[i] * crowding[i] : SCORE_UNKNOWN * crowding[i];
    }
    if (count == 0) {
        for (size_t i = 0; i < n; i++)
            known[i] = true;
        take_better_of_two(list, n, known, ask);
        return;
    }
    take_better_of_two(list, n, known, ask);
    explore(list, n, known, ask);
}

void
strategy_latency(const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask)
{
    double times[PLAN_CANDIDATES] UNINITIALIZED;

    for (size_t i = 0; i < n; i++)
        times[i] = list[i].look->first_token_us;
    rank_by_time(list, n, times, ask);
}

void
strategy_throughput(const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask)
{
    double times[PLAN_CANDIDATES] UNINITIALIZED;

    for (size_t i = 0; i < n; i++)
        times[i] = list[i].look->tokens_per_s > 0 ? 1e6 / (double)list[i].look->tokens_per_s : 0;
    rank_by_time(list, n, times, ask);
}

/* --- several respects --- */

enum respect { COST, LATENCY, QUALITY, LOAD, RESPECTS };

/* What is to be small, of one member; negative: not known. */
static double
value_of(const struct standing *s, enum respect what)
{
    const struct look *l = s->look;

    switch (what) {
    case COST:
        return l->cost_nanousd != COST_UNKNOWN ? (double)l->cost_nanousd : -1;
    case LATENCY:
        return l->first_token_us != 0 ? (double)l->first_token_us : -1;
    case QUALITY:    /* twice as good is half of it */
        return l->quality > 0 ? 1 / (double)l->quality : -1;
    case LOAD:
        return 1 + per_weight(s);
    case RESPECTS:
        break;
    }
    CHECK_UNREACHABLE();
}

#define PENALTY_UNKNOWN 0.5    /* as if it was twice as bad as the best */

/* How much worse than the best: 0 for the best, a half for what is twice as bad, nearly 1 at most. */
static void
add_penalties(struct standing *list, size_t n, enum respect what, double weight)
{
    double values[PLAN_CANDIDATES] UNINITIALIZED;
    double best = HUGE_VAL;

    for (size_t i = 0; i < n; i++) {
        values[i] = value_of(&list[i], what);
        if (values[i] >= 0)
            best = MIN(best, values[i]);
    }
    if (best == HUGE_VAL)
        return;    /* nothing is known of any */
    for (size_t i = 0; i < n; i++) {
        double v = values[i];
        double penalty = v > 0 ? 1 - best / v : v == 0 ? 0 : PENALTY_UNKNOWN;

        list[i].score += weight * penalty;
    }
}

void
strategy_score(const struct alias *al, struct standing *list, size_t n, struct ask *ask UNUSED)
{
    const struct score_weights *w = &al->score;
    const unsigned weights[RESPECTS] = { w->cost, w->latency, w->quality, w->load };

    for (size_t i = 0; i < n; i++)
        list[i].score = 0;
    for (size_t what = 0; what < RESPECTS; what++)
        if (weights[what] != 0)
            add_penalties(list, n, (enum respect)what, weights[what]);
}

void
strategy_learned(const struct alias *al, struct standing *list, size_t n, struct ask *ask UNUSED)
{
    double best = 0;

    for (size_t i = 0; i < n; i++)
        best = MAX(best, (double)list[i].look->quality);
    for (size_t i = 0; i < n; i++) {
        const struct look *l = list[i].look;
        bool good = (double)l->quality >= best * al->quality_share;
        double cost = l->cost_nanousd != COST_UNKNOWN ? (double)l->cost_nanousd : SCORE_UNKNOWN;

        /* Those that are not good enough follow, the best first, and then what is not known. */
        list[i].score = l->quality < 0 ? HUGE_VAL
                        : good         ? cost
                                       : SCORE_UNKNOWN * (200 - (double)l->quality);
    }
}
