/* answer.h - what the answers of the admin API have in common. */
#pragma once

#include "gateway/collect.h"
#include "base/json_out.h"

#define ANSWER_PATIENCE_MS 1000    /* for workers to tell what they know */

/* Begins an object in `b`; sends it, and releases the buffer. */
struct json_out answer_begin(struct buf *b);
void answer_end(struct exchange *x, struct json_out *o);

/* "silent_workers": the numbers of those that did not answer in time. */
void answer_silent(struct json_out *o, const struct collected *told, unsigned workers);

/* Members that say when something was: "NAME": a timestamp, and "NAME_age_ms". */
void answer_time(struct json_out *o, struct str name, uint64_t wall_ms);
