/* load.c - moving averages of two floats in one word, so that one compare-and-swap changes both.
 *
 * The time of the last sample has a word of its own. Two threads that note at once may take the same
 * time as passed, and so weigh one sample a little more; no sample is lost.
 */
#include "route/load.h"

#include <string.h>

/* How fast the peak decays to the usual value, and how fast that follows the samples. */
#define PEAK_MS 5000.0
#define USUAL_MS 30000.0
/* Until so many samples were noted the usual value is their mean: the first may be an outlier. */
#define WARM_UP 16u

/* Of a whole answer: so many tokens take as long to write as the part that is fixed. */
#define WRITE_TOKENS 50.0
#define SPEED_LEAST_TOKENS 8    /* fewer say nothing about speed */
#define SPEED_LEAST_US 1000u

#define NOTED_MS(noted) ((noted) >> 8)
#define NOTED_COUNT(noted) ((unsigned)(noted)&0xff)

#define LOAD(p) atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, value) atomic_store_explicit((p), (value), memory_order_relaxed)

/* --- averages --- */

struct pair {
    float peak, usual;
};

static uint64_t
to_word(struct pair v)
{
    uint64_t word;

    memcpy(&word, &v, sizeof(word));
    return word;
}

static struct pair
from_word(uint64_t word)
{
    struct pair v;

    memcpy(&v, &word, sizeof(v));
    return v;
}

/* About e^-x. */
static double
decay(double x)
{
    return 1 / (1 + x + x * x / 2 + x * x * x / 6);
}

static uint64_t
passed_ms(uint64_t noted, uint64_t now_us)
{
    return now_us / 1000 - MIN(NOTED_MS(noted), now_us / 1000);
}

/* The peak, as far as it has decayed. */
static double
value_now(struct pair v, double ms)
{
    return v.usual + (v.peak - v.usual) * (v.peak > v.usual ? decay(ms / PEAK_MS) : 1);
}

static void
mean_note(struct load_mean *m, double sample, bool at_least, uint64_t now_us)
{
    uint64_t noted = LOAD(&m->noted), seen = LOAD(&m->values);
    unsigned count = NOTED_COUNT(noted);
    double ms = (double)passed_ms(noted, now_us);
    struct pair v;

    do {
        double before = value_now(from_word(seen), ms), kept = decay(ms / PEAK_MS);
        double weight = MAX(1 - decay(ms / USUAL_MS), count < WARM_UP ? 1.0 / (count + 1) : 0);

        if (at_least && sample <= before)
            return;
        v = from_word(seen);
        v.usual += (float)((sample - v.usual) * weight);
        v.peak = (float)(sample > before ? sample : sample + (before - sample) * kept);
    } while (!atomic_compare_exchange_weak_explicit(
        &m->values, &seen, to_word(v), memory_order_relaxed, memory_order_relaxed));
    STORE(&m->noted, now_us / 1000 << 8 | MIN(count + 1, 0xffu));
}

static bool
mean_is_known(const struct load_mean *m)
{
    return LOAD(&m->noted) != 0;
}

/* --- times --- */

static double
reading(int64_t input_tokens)
{
    return (double)MAX(input_tokens, 0) / LOAD_READ_TOKENS;
}

void
load_note_time(struct load *l, const struct load_sample *s, uint64_t now_us)
{
    double size = 1 + reading(s->input_tokens);

    if (s->whole)
        size += (double)MAX(s->output_tokens, 0) / WRITE_TOKENS;
    mean_note(
        s->whole ? &l->whole : &l->first_token, (double)MAX(s->us, 1) / size, s->at_least, now_us);
}

void
load_note_speed(struct load *l, int64_t tokens, uint64_t us, uint64_t now_us)
{
    if (tokens >= SPEED_LEAST_TOKENS && us >= SPEED_LEAST_US)
        mean_note(&l->speed, (double)tokens * 1e6 / (double)us, false, now_us);
}

void
load_note_output(struct load *l, int64_t tokens, uint64_t now_us)
{
    mean_note(&l->output, (double)MAX(tokens, 1), false, now_us);
    lengths_note(&l->lengths, tokens);
}

int64_t
load_output_tokens(const struct load *l)
{
    return mean_is_known(&l->output) ? (int64_t)from_word(LOAD(&l->output.values)).usual : 0;
}

uint32_t
load_first_token_us(
    const struct load *l, bool whole, int64_t input_tokens, uint64_t now_us, uint64_t *ret_age_ms)
{
    const struct load_mean *m = whole ? &l->whole : &l->first_token;

    if (!mean_is_known(m))
        m = whole ? &l->first_token : &l->whole;
    uint64_t noted = LOAD(&m->noted), ms = passed_ms(noted, now_us);
    double us = value_now(from_word(LOAD(&m->values)), (double)ms) * (1 + reading(input_tokens));

    *ret_age_ms = noted != 0 ? ms : 0;
    return noted != 0 ? (uint32_t)MIN(MAX(us, 1.0), (double)UINT32_MAX) : 0;
}

double
load_tokens_per_s(const struct load *l)
{
    return mean_is_known(&l->speed) ? from_word(LOAD(&l->speed.values)).usual : 0;
}

/* --- limits --- */

/* Left + 1 in the low half, so that 0 is not known; until when, in ticks, in the high one. */
#define LEFT_MASK UINT64_C(0xffffffff)
#define TICK_MS 100u

static uint64_t
limit_word(int64_t left, int64_t reset_ms, uint64_t now_us)
{
    uint64_t until = (now_us / 1000 + (uint64_t)MAX(reset_ms, 0) + TICK_MS - 1) / TICK_MS;

    return MIN(until, LEFT_MASK) << 32 | ((uint64_t)MIN(left, INT64_C(0xfffffffe)) + 1);
}

static struct load_limit *
find(struct load *l, uint64_t key)
{
    for (size_t i = 0; i < LOAD_KEYS; i++)
        if (LOAD(&l->limits[i].key) == key)
            return &l->limits[i];
    return NULL;
}

/* The limits of a key; of one that is new, those of the key whose limits are over first. */
static struct load_limit *
find_or_make(struct load *l, uint64_t key)
{
    struct load_limit *found = find(l, key), *oldest = NULL;
    uint64_t oldest_until = UINT64_MAX;

    if (LIKELY(found != NULL))
        return found;
    for (size_t i = 0; i < LOAD_KEYS; i++) {
        struct load_limit *n = &l->limits[i];
        uint64_t until = LOAD(&n->key) == 0 ? 0 : MAX(LOAD(&n->requests), LOAD(&n->tokens)) >> 32;

        if (until < oldest_until) {
            oldest_until = until;
            oldest = n;
        }
    }
    uint64_t was = LOAD(&oldest->key);
    if (atomic_compare_exchange_strong(&oldest->key, &was, key)) {
        STORE(&oldest->requests, 0);
        STORE(&oldest->tokens, 0);
    }
    return find(l, key);    /* NULL: another thread took it */
}

static void
note_limit(
    struct load *l, uint64_t key, bool tokens, int64_t left, int64_t reset_ms, uint64_t now_us)
{
    struct load_limit *n = left >= 0 ? find_or_make(l, key) : NULL;

    if (n != NULL)
        STORE(tokens ? &n->tokens : &n->requests, limit_word(left, reset_ms, now_us));
}

void
load_note_requests(struct load *l, uint64_t key, int64_t left, int64_t reset_ms, uint64_t now_us)
{
    note_limit(l, key, false, left, reset_ms, now_us);
}

void
load_note_tokens(struct load *l, uint64_t key, int64_t left, int64_t reset_ms, uint64_t now_us)
{
    note_limit(l, key, true, left, reset_ms, now_us);
}

void
load_take(struct load *l, uint64_t key)
{
    struct load_limit *n = find(l, key);
    uint64_t seen = n != NULL ? LOAD(&n->requests) : 0;

    while ((seen & LEFT_MASK) > 1 && !atomic_compare_exchange_weak_explicit(&n->requests, &seen,
                                         seen - 1, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* What of a limit is left; -1: not known, or the limit is over. */
static int64_t
left_now(uint64_t word, uint64_t now_us, uint64_t *ret_until_ms)
{
    uint64_t until_ms = (word >> 32) * TICK_MS;

    if (word == 0 || until_ms <= now_us / 1000)
        return -1;
    *ret_until_ms = until_ms;
    return (int64_t)(word & LEFT_MASK) - 1;
}

struct load_left
load_left(const struct load *l, uint64_t key, uint64_t now_us)
{
    struct load_left left = { -1, -1, 0, 0 };

    for (size_t i = 0; i < LOAD_KEYS; i++) {
        const struct load_limit *n = &l->limits[i];

        if (LOAD(&n->key) != key)
            continue;
        left.requests = left_now(LOAD(&n->requests), now_us, &left.requests_until_ms);
        left.tokens = left_now(LOAD(&n->tokens), now_us, &left.tokens_until_ms);
        break;
    }
    return left;
}

bool
load_is_exhausted(const struct load *l, uint64_t key, int64_t input_tokens, uint64_t now_us,
    uint64_t *ret_until_ms)
{
    struct load_left left = load_left(l, key, now_us);
    bool requests = left.requests == 0;
    bool tokens = left.tokens >= 0 && left.tokens < MAX(input_tokens, 1);

    *ret_until_ms = 0;
    if (requests)
        *ret_until_ms = left.requests_until_ms;
    if (tokens)
        *ret_until_ms = MAX(*ret_until_ms, left.tokens_until_ms);
    return requests || tokens;
}
