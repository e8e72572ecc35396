/* load.h - how fast a target answers now, and what is left of its provider's rate limits.
 *
 * The expected time to first token is a peak-sensitive moving average, as in Finagle's balancers: a
 * sample above it raises it at once to that peak, which decays with time to the usual value; so a
 * target that gets slow is avoided after one slow answer, and one hiccup is soon forgotten. Times are
 * kept per size: a part that is fixed, and one for each token of the prompt; so a target does not
 * look slow because it was given long prompts.
 *
 * It stands beside the breaker of its target (route/health.h), is shared by all workers without
 * locks, and survives reloads. Its memory is fixed. Times are clock_now_us(); zeros are a target of
 * which nothing is known.
 */
#pragma once

#include <stdatomic.h>

#include "route/lengths.h"

#define LOAD_KEYS 8            /* of a target whose limits are remembered */
#define LOAD_STALE_MS 60000    /* what was measured longer ago may be wrong by now */

/* So many tokens take as long to read as the part of the time that is fixed. */
#define LOAD_READ_TOKENS 4000.0

/* A moving average. Private to load.c. */
struct load_mean {
    _Atomic uint64_t values;    /* the peak and the usual value, floats */
    _Atomic uint64_t noted;     /* when, in milliseconds, and how many samples */
};

struct load_limit {
    _Atomic uint64_t key;         /* a name; 0: free */
    _Atomic uint64_t requests;    /* left, and until when; 0: not known */
    _Atomic uint64_t tokens;
};

struct load {
    struct load_mean first_token, whole, speed, output;
    struct load_limit limits[LOAD_KEYS];
    struct lengths lengths;    /* of its answers */
};

/* An answer of which a first token (or, `whole`, all of `output_tokens`) came after `us`. `at_least`:
 * it was cut, so it would have taken longer: that can only raise what is expected. */
struct load_sample {
    uint64_t us;
    int64_t input_tokens, output_tokens;
    bool whole, at_least;
};
void load_note_time(struct load *l, const struct load_sample *s, uint64_t now_us);

/* So many tokens of output came in that time. */
void load_note_speed(struct load *l, int64_t tokens, uint64_t us, uint64_t now_us);

/* A whole answer had so many. */
void load_note_output(struct load *l, int64_t tokens, uint64_t now_us);

/* Tokens that its answers usually have; 0: not known. */
int64_t load_output_tokens(const struct load *l);

/* Expected until the first token of an answer to a prompt of that size, in microseconds; 0: not
 * known. Of a target that answered only requests of the other kind (`whole`), from those.
 * *ret_age_ms: how long ago it was measured. */
uint32_t load_first_token_us(
    const struct load *l, bool whole, int64_t input_tokens, uint64_t now_us, uint64_t *ret_age_ms);

/* Tokens of output per second; 0: not known. */
double load_tokens_per_s(const struct load *l);

/* What a provider said is left for the key of that name (any number but 0), which is valid for so
 * long. A count that is negative was not said. */
void load_note_requests(
    struct load *l, uint64_t key, int64_t left, int64_t reset_ms, uint64_t now_us);
void load_note_tokens(
    struct load *l, uint64_t key, int64_t left, int64_t reset_ms, uint64_t now_us);

/* A request is sent with that key: one less is left, until the provider says what is. */
void load_take(struct load *l, uint64_t key);

/* Does the provider say what is left at all? */
static inline bool
load_knows_limits(const struct load *l)
{
    return atomic_load_explicit(&l->limits[0].key, memory_order_relaxed) != 0;
}

/* What is left for a key. */
struct load_left {
    int64_t requests, tokens;                       /* negative: not known */
    uint64_t requests_until_ms, tokens_until_ms;    /* clock_now_ms() */
};
struct load_left load_left(const struct load *l, uint64_t key, uint64_t now_us);

/* Is nothing left for a request of that size? *ret_until_ms: until then. */
bool load_is_exhausted(const struct load *l, uint64_t key, int64_t input_tokens, uint64_t now_us,
    uint64_t *ret_until_ms);
