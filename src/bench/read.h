/* read.h - what a load generator needs of an answer: tokens, completeness, errors. */
#pragma once

#include "base/arena.h"
#include "llm/framing.h"

struct bench_reader {
    struct arena *scratch;    /* rewound after each event */
    bool anthropic;
    bool has_tokens;    /* the last event had tokens */
    bool finished;      /* a finish reason came */
    bool complete;      /* the terminator came */
    bool error;         /* an error inside the answer */
    bool broken;        /* not JSON */
    uint64_t token_events;
    uint64_t input_tokens;
    uint64_t output_tokens;
};

/* One event of a stream. */
void bench_read_event(struct bench_reader *r, struct str data);

/* A whole answer. */
void bench_read_answer(struct bench_reader *r, struct str body);
