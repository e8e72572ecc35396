/* text.h - the text of a simulated answer, split into what looks like a model's tokens. */
#pragma once

#include "mock/wire.h"

/* The next token of the run after *at, which starts at run->start. */
struct str mock_run_next(const struct mock_run *run, size_t *at);

/* All of `text` as a run. */
struct mock_run mock_run_of(struct str text);

/* `n` tokens of a text that repeats without end. */
struct mock_run mock_run_endless(uint64_t tokens);

/* The run cut before the first of `stops`; *ret_stop is the one found, or empty. */
struct mock_run mock_run_stop(
    struct mock_run run, const struct str *stops, size_t count, struct str *ret_stop);

/* Appends the run as the contents of a JSON string. */
void mock_run_write(struct buf *out, const struct mock_run *run);

/* Fills everything but the wire's own part, from the request and the plan. */
void mock_script_make(
    struct mock_script *s, const struct mock_ask *ask, const struct mock_plan *plan);
