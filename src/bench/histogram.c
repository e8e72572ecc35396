/* histogram.c - a value's bucket is given by its leading bits and the number of bits
   dropped. */
#include "bench/histogram.h"

static size_t
bucket_of(uint64_t us)
{
    if (us < HISTOGRAM_FINE)
        return (size_t)us;

    unsigned top = 63 - (unsigned)__builtin_clzll(us);
    if (top > HISTOGRAM_TOP_BIT)
        return HISTOGRAM_BUCKETS - 1;
    unsigned cut = top - HISTOGRAM_FINE_BITS;
    return (size_t)(cut + 1) * HISTOGRAM_FINE + (size_t)((us >> cut) - HISTOGRAM_FINE);
}

/* The largest value of a bucket. */
static uint64_t
bucket_last(size_t bucket)
{
    if (bucket < HISTOGRAM_FINE)
        return bucket;

    unsigned cut = (unsigned)(bucket / HISTOGRAM_FINE - 1);
    uint64_t lead = HISTOGRAM_FINE + bucket % HISTOGRAM_FINE;
    return ((lead + 1) << cut) - 1;
}

void
histogram_add(struct histogram *h, uint64_t us)
{
    h->buckets[bucket_of(us)]++;
    h->count++;
    h->sum_us += us;
    h->max_us = MAX(h->max_us, us);
}

void
histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum_us += from->sum_us;
    to->max_us = MAX(to->max_us, from->max_us);
}

uint64_t
histogram_quantile(const struct histogram *h, double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)h->count + 0.999999);
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted && seen > 0)
            return MIN(bucket_last(i), h->max_us);
    }
    return h->max_us;
}
