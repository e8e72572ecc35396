/* tally.h - what an answer consists of: tokens, finish reason, and when they arrived.
 *
 * A filter that gets every event that a decoder emits, no matter what is done with it afterwards.
 * The access log, the metrics and the cost are derived from it.
 */
#pragma once

#include "gateway/filters.h"
#include "tokens/tokens.h"

struct tally {
    struct filter filter;
    struct llm_usage usage;
    enum llm_finish finish;
    uint64_t answer;         /* stands for the answer's id: recent_answer(); 0: it has none */
    uint64_t text_bytes;     /* of the answer, to estimate usage when none is reported */
    uint64_t text_tokens;    /* the same, if they are counted */
    enum tokens_family tokenizer;
    bool counts;                /* by that tokenizer */
    uint64_t first_token_us;    /* clock_now_us(); 0: none came */
    uint64_t last_token_us;     /* or the finish */
};

/* Nothing was counted. */
extern const struct tally tally_none;

/* Ready to be the filter of an answer. */
void tally_begin(struct tally *t);

/* The tokens of the answer's text are to be counted, because its usage will not be reported. */
void tally_count_tokens(struct tally *t, enum tokens_family tokenizer);

/* Is an event of this kind part of an answer's content: a token? That an answer finishes says
 * nothing yet: one that is empty may turn out to be no answer. */
bool tally_is_token(enum llm_event_kind kind);

/* Estimates what was not reported. `cut`: the answer was cut, so what it reported about its output
 * is incomplete. False if everything was reported. */
bool tally_estimate(struct tally *t, int64_t input_tokens, bool cut);
