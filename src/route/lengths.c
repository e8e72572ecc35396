/* lengths.c - a histogram by powers of two. */
#include "route/lengths.h"

#define LEAST 100u    /* answers; of fewer the longest may be yet to come */
#define MOST 8192u    /* then all counts are halved */

/* Those below 8 have buckets of their own; from there on, a bucket is a quarter of a power of two. */
static unsigned
bucket_of(uint64_t tokens)
{
    if (tokens < 8)
        return (unsigned)tokens;
    unsigned power = 63u - (unsigned)__builtin_clzll(tokens);
    unsigned bucket = 8 + (power - 3) * 4 + (unsigned)(tokens >> (power - 2) & 3);

    return MIN(bucket, LENGTHS_BUCKETS - 1);
}

/* The most tokens that fall into it. */
static int64_t
bucket_most(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned power = (bucket - 8) / 4 + 3, quarter = (bucket - 8) % 4;

    return (INT64_C(5) + quarter) * (INT64_C(1) << (power - 2)) - 1;
}

void
lengths_note(struct lengths *l, int64_t tokens)
{
    _Atomic uint16_t *bucket = &l->buckets[bucket_of((uint64_t)MAX(tokens, 0))];

    (void)atomic_fetch_add_explicit(bucket, 1, memory_order_relaxed);
    if (LIKELY(atomic_fetch_add_explicit(&l->count, 1, memory_order_relaxed) + 1 < MOST))
        return;
    uint32_t sum = 0;
    for (unsigned i = 0; i < LENGTHS_BUCKETS; i++) {
        uint16_t half = atomic_load_explicit(&l->buckets[i], memory_order_relaxed) / 2;

        atomic_store_explicit(&l->buckets[i], half, memory_order_relaxed);
        sum += half;
    }
    atomic_store_explicit(&l->count, sum, memory_order_relaxed);
}

int64_t
lengths_quantile(const struct lengths *l, unsigned permille)
{
    uint32_t count = atomic_load_explicit(&l->count, memory_order_relaxed), seen = 0;

    if (count < LEAST)
        return 0;
    uint32_t wanted = (uint32_t)(((uint64_t)count * permille + 999) / 1000);
    for (unsigned i = 0; i < LENGTHS_BUCKETS; i++) {
        seen += atomic_load_explicit(&l->buckets[i], memory_order_relaxed);
        if (seen >= wanted)
            return bucket_most(i);
    }
    return bucket_most(LENGTHS_BUCKETS - 1);
}
