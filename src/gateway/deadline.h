/* deadline.h - timeouts that a caller asks for in its request's fields.
 *
 * They can only shorten what the configuration allows.
 */
#pragma once

#include "http/message.h"

struct deadline {
    uint64_t total_ms;    /* x-openclaw-timeout: for the whole answer; 0: not given */
    /* the SDKs' x-stainless-timeout: until the answer begins; 0: not given */
    uint64_t begin_ms;
    /* their x-stainless-read-timeout: between any two bytes; 0: not given */
    uint64_t silence_ms;
};

#define DEADLINE_FIELD "x-openclaw-timeout"

/* False when x-openclaw-timeout is neither milliseconds nor a duration such as 2s. SDK fields that
 * cannot be parsed are ignored. */
bool deadline_read(const struct http_fields *fields, struct deadline *ret) MUST_CHECK;
