/* needs.h - what a request really uses, found by one walk over its parsed body.
 *
 * Routing must not send a picture to a model that is blind, and most requests go to a provider of
 * their own wire, so that their conversation is never expanded (llm/request.h). Each wire says with a
 * few words where its body has such things (struct needs_words). Linear in the body; allocates
 * nothing.
 */
#pragma once

#include "base/base.h"

enum need {
#define NEED(id, name, says) NEED_##id,
#include "llm/needs.def"
#undef NEED
    NEED_COUNT
};
#define NEED_BIT(id) (1u << NEED_##id)

struct needs {
    uint32_t bits;         /* NEED_BIT()s */
    int64_t input_tokens;  /* an estimate from above */
    int64_t output_tokens; /* the caller's limit; 0: not said */
    uint32_t messages, tools;
    /* hashes of what the request begins with: tools, system text and first message (`prefix`), and of
     * what stays the same from turn to turn (`conversation`); 0: there is none */
    uint64_t prefix, conversation;
};

struct llm_request;

/* What the request needs. Its document must be parsed; one that is not JSON needs nothing. */
void needs_find(const struct llm_request *r, struct needs *ret);

/* "tools", as configured; the sentence's part: "it offers tools". */
const char *need_name(enum need n) NEVER_NULL;
const char *need_says(enum need n) NEVER_NULL;
