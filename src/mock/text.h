/* text.h - text split into what looks like a model's tokens. */
#pragma once

#include "base/arena.h"

/* A run of tokens: `base` split into words, repeated when it is shorter. */
struct mock_run {
    struct str base;
    size_t start;    /* offset of the first token */
    uint64_t tokens;
};

/* The next token of the run after *at, which starts at run->start. */
struct str mock_run_next(const struct mock_run *run, size_t *at);

/* All of `text` as a run. */
struct mock_run mock_run_of(struct str text);

/* `n` tokens of a text that repeats without end: an answer, or thoughts. */
struct mock_run mock_run_endless(uint64_t tokens);
struct mock_run mock_run_thoughts(uint64_t tokens);

/* The beginning of `text`: at most `most` bytes, and whole characters. */
struct str mock_text_head(struct str text, size_t most);
