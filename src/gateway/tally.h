/* tally.h - what an answer amounts to: its tokens, its finish reason, when they came.
 *
 * Fed with every event that a decoder reads, whatever is done with it afterwards;
 * the access line, the metrics and the price are made from it.
 */
#pragma once

#include "llm/event.h"

struct tally {
    struct llm_usage usage;
    enum llm_finish finish;
    uint64_t text_bytes;        /* of the answer, to estimate usage when none is reported */
    uint64_t first_token_us;    /* clock_now_us(); 0: none came */
    uint64_t last_token_us;
};

void tally_reset(struct tally *t);

/* Takes note of an event. True when it is a part of the answer itself: a token. */
bool tally_event(struct tally *t, const struct llm_event *ev);

/* Fills what nobody reported with an estimate; `cut`: what the answer said of its output was a
 * beginning only. False when all is known already. */
bool tally_estimate(struct tally *t, int64_t input_tokens, bool cut);
