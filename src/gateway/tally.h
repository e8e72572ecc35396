/* tally.h - what an answer consists of: tokens, finish reason, and when they arrived.
 *
 * It gets every event that a decoder emits, no matter what is done with the event afterwards. The
 * access log, the metrics and the cost are derived from it.
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

/* Counts an event. True if it is part of the answer's content: a token. */
bool tally_event(struct tally *t, const struct llm_event *ev);

/* Estimates what was not reported. `cut`: the answer was cut, so what it reported about its output
 * is incomplete. False if everything was reported. */
bool tally_estimate(struct tally *t, int64_t input_tokens, bool cut);
