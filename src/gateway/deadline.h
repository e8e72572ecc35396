/* deadline.h - how long the caller is willing to wait, as the fields of its request say.
 *
 * A wish only ever shortens what the configuration allows.
 */
#pragma once

#include "http/message.h"

struct deadline {
    uint64_t total_ms;    /* x-openclaw-timeout: for the whole answer; 0: not said */
    /* the SDKs' x-stainless-timeout: until the answer begins; 0: not said */
    uint64_t begin_ms;
    /* their x-stainless-read-timeout: between any two bytes; 0: not said */
    uint64_t silence_ms;
};

#define DEADLINE_FIELD "x-openclaw-timeout"

/* False when x-openclaw-timeout is neither milliseconds nor a time like 2s; the SDKs' fields are
 * taken when they make sense. */
bool deadline_read(const struct http_fields *fields, struct deadline *ret) MUST_CHECK;
