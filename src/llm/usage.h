/* usage.h - token usage of an answer, with one meaning for all providers.
 *
 * Counts are tokens. `input` includes what was read from and written to the prompt cache; `output`
 * includes reasoning. Providers disagree on both, so each wire converts to this on the way in and
 * back on the way out.
 */
#pragma once

#include "base/base.h"

#define USAGE_UNKNOWN (-1)
#define USAGE_MOST INT64_C(1000000000000)    /* larger counts are clamped; sums cannot overflow */

struct llm_usage {
    int64_t input;
    int64_t cached;         /* of input: read from the provider's prompt cache */
    int64_t cache_write;    /* of input: written to it */
    int64_t output;
    int64_t reasoning;    /* of output */
    int64_t audio_input;
    int64_t audio_output;
};

#define USAGE_NONE ((struct llm_usage){ -1, -1, -1, -1, -1, -1, -1 })

static inline bool
usage_known(const struct llm_usage *u)
{
    return u->input >= 0 || u->output >= 0;
}

/* Later reports replace earlier ones, count by count: providers report cumulatively, never in
 * parts. */
static inline void
usage_update(struct llm_usage *u, const struct llm_usage *newer)
{
    const int64_t *from = &newer->input;
    int64_t *to = &u->input;

    for (size_t i = 0; i < sizeof(*u) / sizeof(int64_t); i++)
        if (from[i] >= 0)
            to[i] = from[i];
}

/* A count as shown to callers: unknown becomes 0. */
static inline int64_t
usage_count(int64_t n)
{
    return n > 0 ? n : 0;
}
