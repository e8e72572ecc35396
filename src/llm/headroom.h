/* headroom.h - what is left of a provider's rate limits, as the fields of its answers say.
 *
 * Providers agree on the words and on nothing else: x-ratelimit-remaining-requests (OpenAI, Groq,
 * xAI, Azure), anthropic-ratelimit-requests-remaining, x-ratelimit-remaining-req-10-second (Mistral),
 * x-ratelimit-remaining-tokens-minute (Cerebras), x-tokenlimit-remaining (Together),
 * X-RateLimit-Remaining (OpenRouter, the IETF's draft). So what is looked for are the words.
 */
#pragma once

#include "http/message.h"

#define HEADROOM_UNSAID (-1)

struct headroom {
    /* left; HEADROOM_UNSAID. Of several limits the one that has the least left. */
    int64_t requests, tokens;
    /* until there is more, in milliseconds from now */
    int64_t requests_reset_ms, tokens_reset_ms;
};

/* False: the fields say nothing about it. */
bool headroom_read(const struct http_fields *fields, struct headroom *ret);
