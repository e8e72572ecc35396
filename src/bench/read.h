/* read.h - what a load generator needs of an answer: tokens, completeness, errors. */
#pragma once

#include "llm/wire.h"

struct bench_reader {
    struct event_sink sink;
    struct wire_reader wire;    /* finished, complete, failed */
    struct llm_usage usage;
    bool has_tokens;    /* the last frame had tokens */
    bool broken;        /* a frame, or the answer, makes no sense */
    uint64_t token_events;
};

/* `keep` lives as long as the answer, `scratch` is rewound after each frame. */
void bench_read_begin(struct bench_reader *r, const struct wire *wire, bool stream,
    struct arena *keep, struct arena *scratch);

/* One frame of a stream, and its end. */
void bench_read_frame(struct bench_reader *r, struct str event, struct str data);
void bench_read_end(struct bench_reader *r);

/* A whole answer. */
void bench_read_answer(struct bench_reader *r, struct str body);
