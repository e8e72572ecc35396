/* sticky.c - orders members by a hash of the key and of each. */
#include "route/sticky.h"

#include <math.h>

#include "base/hash.h"
#include "route/plan.h"

#define OVERLOAD 1.25      /* of its share that a member may have */
#define LEAST_BOUND 8.0    /* requests under way, per weight, that are never too many */
#define WARM (-1.0)        /* the score of a member that a request stays at */
#define OVERLOADED 1e9     /* added to the scores of those */

uint64_t
sticky_hash(struct str name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);    /* FNV-1a */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(0x100000001b3);
    return hash_mix(h ^ HASH_WORD, HASH_LAST);
}

/* A conversation, by the session that the caller names, or else by how it begins. */
static uint64_t
conversation_of(struct ask *ask)
{
    uint64_t session = ask_session(ask);

    if (session != 0)
        return hash_mix(session, sticky_hash(ask->key));
    return ask_know(ask, ASK_NEEDS) ? ask->needs.conversation : 0;
}

/* What belongs together. Without anything that says so, each request is by itself. */
static uint64_t
key_of(const struct alias *al, struct ask *ask)
{
    uint64_t key = 0;

    switch (al->sticky_by) {
    case STICKY_CONVERSATION:
        key = conversation_of(ask);
        break;
    case STICKY_PREFIX:
        key = ask_know(ask, ASK_NEEDS) ? ask->needs.prefix : 0;
        break;
    case STICKY_KEY:
        key = ask->key.n != 0 ? sticky_hash(ask->key) : 0;
        break;
    }
    return key != 0 ? key : (uint64_t)(ask_random(ask) * 0x1p63);
}

/* Exponentially distributed with its weight, so that each is the smallest as often as that says. */
static double
place(uint64_t key, const struct member *m)
{
    double u = ((double)(hash_mix(key ^ HASH_WORD, m->hash ^ HASH_LAST) >> 11) + 0.5) * 0x1p-53;

    return -log(u) / m->weight;
}

static void
find_overloaded(const struct standing *list, size_t n, bool *ret)
{
    double busy = 1, weights = 0;

    for (size_t i = 0; i < n; i++) {
        busy += list[i].look->busy;
        weights += list[i].member->weight;
    }
    for (size_t i = 0; i < n; i++) {
        double weight = list[i].member->weight;
        double bound = ceil(MAX(OVERLOAD * busy * weight / weights, LEAST_BOUND * weight));

        ret[i] = list[i].look->busy + 1 > bound;
    }
}

/* The member that holds most of the prompt; n: none holds any. */
static size_t
warmest(const struct standing *list, size_t n)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++)
        if (list[i].look->warm_tokens > 0 &&
            (best == n || list[i].look->warm_tokens > list[best].look->warm_tokens ||
                (list[i].look->warm_tokens == list[best].look->warm_tokens &&
                    list[i].score < list[best].score)))
            best = i;
    return best;
}

/* Until its first token, in any unit that is the same for both: what it takes to read what is not in the
 * cache, and, as if they were served one after the other, those that are under way. */
static double
time_of(const struct standing *s, bool measured, const struct ask *ask)
{
    int64_t rest = ask->needs.input_tokens - MIN(s->look->warm_tokens, ask->needs.input_tokens);

    double alone = measured ? s->look->first_token_us : 1 + (double)rest / LOAD_READ_TOKENS;

    return alone * (1 + (double)s->look->busy / s->member->weight);
}

void
strategy_sticky(const struct alias *al, struct standing *list, size_t n, struct ask *ask)
{
    bool overloaded[PLAN_CANDIDATES] UNINITIALIZED;
    uint64_t key = key_of(al, ask);
    size_t home = 0;

    find_overloaded(list, n, overloaded);
    for (size_t i = 0; i < n; i++) {
        list[i].score = place(key, list[i].member) + (overloaded[i] ? OVERLOADED : 0);
        if (list[i].score < list[home].score)
            home = i;
    }
    size_t warm = warmest(list, n);
    if (warm == n || warm == home)
        return;
    bool measured = list[warm].look->first_token_us != 0 && list[home].look->first_token_us != 0;
    if (!overloaded[warm] ||
        time_of(&list[warm], measured, ask) <= time_of(&list[home], measured, ask))
        list[warm].score = WARM;
}
