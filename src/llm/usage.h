/* usage.h - token usage of an answer, with one meaning for all providers.
 *
 * Counts are tokens. `input` includes what was read from and written to the prompt cache; `output`
 * includes reasoning. Providers disagree on both, so each wire converts to this on the way in and
 * back on the way out.
 */
#pragma once

#include "base/base.h"

#define USAGE_MOST INT64_C(1000000000000)    /* larger counts are clamped; sums cannot overflow */

enum llm_count {
    COUNT_INPUT,
    COUNT_CACHED,         /* of input: read from the provider's prompt cache */
    COUNT_CACHE_WRITE,    /* of input: written to it */
    COUNT_OUTPUT,
    COUNT_REASONING,    /* of output */
    COUNT_AUDIO_INPUT,
    COUNT_AUDIO_OUTPUT,
    COUNT_CACHE_WRITE_1H,    /* of what was written to the cache: for an hour, not five minutes */
    /* what the provider bills where that is not what the model read and wrote: Cohere does not bill
     * its own hidden prompt. With them, the cost follows from them alone. */
    COUNT_BILLED_INPUT,
    COUNT_BILLED_OUTPUT,
    COUNT_SEARCHES,    /* of a ranking, where a provider bills those: a query with its documents */
    COUNTS,
};

/* How the provider says it served the request; each is billed differently. */
enum llm_service { SERVICE_STANDARD, SERVICE_BATCH, SERVICE_FLEX, SERVICE_PRIORITY };

/* A count that is not known is 0. */
struct llm_usage {
    union {
        int64_t counts[COUNTS];
        struct {
            int64_t input;
            int64_t cached;
            int64_t cache_write;
            int64_t output;
            int64_t reasoning;
            int64_t audio_input;
            int64_t audio_output;
            int64_t cache_write_1h;
            int64_t billed_input;
            int64_t billed_output;
            int64_t searches;
        };
    };
    uint32_t known;              /* 1 << enum llm_count */
    enum llm_service service;    /* standard also where nothing was said */
};

static inline bool
usage_has(const struct llm_usage *u, enum llm_count count)
{
    return (u->known & 1u << count) != 0;
}

/* Sets a count, brought into the range from 0 to USAGE_MOST. */
static inline void
usage_set(struct llm_usage *u, enum llm_count count, int64_t n)
{
    u->counts[count] = MIN(MAX(n, 0), USAGE_MOST);
    u->known |= 1u << count;
}

/* A count, or -1 if it is not known. */
static inline int64_t
usage_or_unknown(const struct llm_usage *u, enum llm_count count)
{
    return usage_has(u, count) ? u->counts[count] : -1;
}

static inline bool
usage_known(const struct llm_usage *u)
{
    return (u->known & (1u << COUNT_INPUT | 1u << COUNT_OUTPUT | 1u << COUNT_SEARCHES)) != 0;
}

/* The service tier by its name in OpenAI's and Anthropic's answers. */
static inline enum llm_service
usage_service_named(struct str name)
{
    return str_eq(name, S("flex"))       ? SERVICE_FLEX
           : str_eq(name, S("priority")) ? SERVICE_PRIORITY
           : str_eq(name, S("batch"))    ? SERVICE_BATCH
                                         : SERVICE_STANDARD;
}

/* Adds the counts of another part of the same answer. */
static inline void
usage_add(struct llm_usage *u, const struct llm_usage *part)
{
    for (unsigned i = 0; i < COUNTS; i++)
        if (usage_has(part, i))
            usage_set(u, i, u->counts[i] + part->counts[i]);
}

/* Later reports replace earlier ones, count by count: providers report cumulatively, never in
 * parts. Does the newer one say anything new? */
static inline bool
usage_update(struct llm_usage *u, const struct llm_usage *newer)
{
    bool changed = (newer->known & ~u->known) != 0;

    if (newer->service != SERVICE_STANDARD)
        u->service = newer->service;
    for (unsigned i = 0; newer->known != 0 && i < COUNTS; i++)
        if (usage_has(newer, i)) {
            changed |= u->counts[i] != newer->counts[i];
            u->counts[i] = newer->counts[i];
        }
    u->known |= newer->known;
    return changed;
}
