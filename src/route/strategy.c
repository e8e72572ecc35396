/* strategy.c - the strategies, each a function that scores the members of an alias. */
#include "route/strategy.h"

#include <math.h>

#include "catalog/model.h"
#include "route/balance.h"
#include "route/plan.h"
#include "route/sticky.h"

static void
strategy_priority(
    const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask UNUSED)
{
    for (size_t i = 0; i < n; i++)
        list[i].score = (double)list[i].number;
}

/* A random order in which each comes first as often as its weight says: the smallest of exponentially
 * distributed times (Efraimidis and Spirakis, 2006). */
static void
strategy_weighted(const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask)
{
    for (size_t i = 0; i < n; i++)
        list[i].score = -log(1 - ask_random(ask)) / list[i].member->weight;
}

/* Whose turn it is, and then the others in the order of the file, from it on. Turns of those that
 * cannot take the request are passed over. */
static void
strategy_round_robin(const struct alias *al, struct standing *list, size_t n, struct ask *ask)
{
    uint64_t turn = ask_turn(ask, al->turn);
    bool can[PLAN_CANDIDATES] = { false };
    size_t winner = 0;

    for (size_t i = 0; i < n; i++)
        can[list[i].number] = true;
    for (size_t i = 0; i < al->schedule_count; i++) {
        winner = al->schedule[(turn + i) % al->schedule_count];
        if (can[winner])
            break;
    }
    for (size_t i = 0; i < n; i++)
        list[i].score = (double)((list[i].number + al->member_count - winner) % al->member_count);
}

static void
strategy_cost(
    const struct alias *al UNUSED, struct standing *list, size_t n, struct ask *ask UNUSED)
{
    for (size_t i = 0; i < n; i++)
        list[i].score = list[i].look->cost_nanousd != COST_UNKNOWN
                            ? (double)list[i].look->cost_nanousd
                            : HUGE_VAL;
}

/* What follows its order is done with the answers (gateway/judge.c). */
static void
strategy_cascade(const struct alias *al, struct standing *list, size_t n, struct ask *ask)
{
    strategy_priority(al, list, n, ask);
}

static void
strategy_fuse(const struct alias *al, struct standing *list, size_t n, struct ask *ask)
{
    strategy_priority(al, list, n, ask);
}

static const struct strategy strategies[] = {
#define STRATEGY(id, name, looks, docs) { name, looks, strategy_##id, docs },
#include "route/strategies.def"
#undef STRATEGY
};

const struct strategy *
strategy_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        if (str_eq(str_c(strategies[i].name), name))
            return &strategies[i];
    return NULL;
}
