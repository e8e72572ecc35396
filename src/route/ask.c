/* ask.c - finds out what a decision wants to know of a request. */
#include "route/ask.h"

#include <string.h>

#include "base/siphash.h"
#include "route/analyze.h"

uint64_t
ask_hash(struct str text)
{
    static const struct siphash_key same_everywhere;    /* so that replicas agree */
    uint8_t hash[SIPHASH_BYTES];
    uint64_t first;

    if (text.n == 0)
        return 0;
    siphash(&same_everywhere, text, hash);
    memcpy(&first, hash, sizeof(first));
    return MAX(first, 1);
}

uint64_t
ask_session(const struct ask *ask)
{
    return ask->session_hash != 0 ? ask->session_hash : ask_hash(ask->session);
}

static void
analyze_request(struct ask *ask)
{
    struct analysis *analysis = arena_new(ask->arena, struct analysis);
    struct llm_sample sample UNINITIALIZED;

    sample_take(ask->request, &sample);
    analyze(&sample, analysis);
    ask->analysis = analysis;
}

bool
ask_know(struct ask *ask, enum ask_fact fact)
{
    if ((ask->known & (unsigned)fact) != 0)
        return true;
    if (ask->request == NULL) {
        ask->missing = ask->missing != NULL   ? ask->missing
                       : fact == ASK_NEEDS    ? "what the request needs"
                       : fact == ASK_ANALYSIS ? "the analysis of the request"
                                              : "its header fields";
        return false;
    }
    switch (fact) {
    case ASK_NEEDS:
        needs_find(ask->request, &ask->needs);
        break;
    case ASK_ANALYSIS:
        analyze_request(ask);
        break;
    case ASK_HEADERS:
        return false;
    }
    ask->known |= (unsigned)fact;
    return true;
}

/* SplitMix64 (Steele, Lea and Flood, 2014): the n-th number without the ones before it. */
double
ask_random(struct ask *ask)
{
    uint64_t z = ask->seed + ++ask->draws * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

uint64_t
ask_turn(struct ask *ask, _Atomic uint64_t *counter)
{
    if (ask->turn_used < ask->turn_count)
        return ask->turns[ask->turn_used++];
    uint64_t turn = ask->dry ? atomic_load_explicit(counter, memory_order_relaxed)
                             : atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    if (ask->turn_count < ASK_TURNS) {
        ask->turns[ask->turn_count++] = turn;
        ask->turn_used = ask->turn_count;
    }
    return turn;
}

uint64_t
ask_conversation(struct ask *ask)
{
    uint64_t session = ask_session(ask);

    if (session != 0)
        return session;
    return ask_know(ask, ASK_NEEDS) ? ask->needs.conversation : 0;
}
