/* hedge.h - how many attempts may be begun beside others for an alias that hedges.
 *
 * A hedged request is sent to a second target when the first took longer than most of its answers do;
 * the first token wins (Dean and Barroso, "The Tail at Scale", 2013). In an outage every request
 * would be: so hedges are a share of the alias's requests, and what they cost in vain is a share of
 * what it spends. Shared by all workers without locks; a reload begins anew.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct hedge {
    unsigned permille;         /* of the target's times: 950 */
    unsigned share_percent;    /* of the alias's requests */
    unsigned cost_percent;     /* of what they cost */
    _Atomic int64_t credit;    /* hundredths of a hedge */
    _Atomic int64_t cost_nanousd, vain_nanousd;
};

/* A request was begun. */
void hedge_note_request(struct hedge *h);

/* What a request cost, and what its attempts did that were outrun. Negative: not known. */
void hedge_note_cost(struct hedge *h, int64_t cost_nanousd, int64_t vain_nanousd);

/* May another attempt be begun? True takes one. */
bool hedge_take(struct hedge *h) MUST_CHECK;
