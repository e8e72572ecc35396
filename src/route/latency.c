/* latency.c - a histogram of fixed size. When one bucket is full all are halved, so that a sample
 * counts half as much after a few hundred others, and so on.
 */
#include "route/latency.h"

/* The ends of buckets in milliseconds: 5 * 1.3^i. The last one takes all that is longer, too. */
static const uint32_t ends_ms[LATENCY_BUCKETS] = {
    5,
    6,
    8,
    11,
    14,
    19,
    24,
    31,
    41,
    53,
    69,
    90,
    116,
    151,
    197,
    256,
    333,
    433,
    562,
    731,
    950,
    1235,
    1606,
    2088,
    2714,
    3528,
    4587,
    5963,
    7751,
    10077,
    13100,
    17030,
    22139,
    28781,
    37415,
    48639,
    63231,
    82200,
    106861,
    138919,
    180594,
    234773,
    305204,
    396766,
    515795,
    670534,
    871694,
    1133203,
};

enum { FULL = 512 };

static size_t
bucket_of(uint64_t ms)
{
    size_t first = 0, last = LATENCY_BUCKETS - 1;

    while (first < last) {
        size_t middle = (first + last) / 2;

        if (ms <= ends_ms[middle])
            last = middle;
        else
            first = middle + 1;
    }
    return first;
}

COLD static void
fade(struct latency *l)
{
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint32_t n = atomic_load_explicit(&l->count[i], memory_order_relaxed);

        while (!atomic_compare_exchange_weak_explicit(
            &l->count[i], &n, n / 2, memory_order_relaxed, memory_order_relaxed))
            ;
    }
}

void
latency_note(struct latency *l, uint64_t ms, bool at_least)
{
    size_t i = bucket_of(ms);

    if (at_least && i < LATENCY_BUCKETS - 1)
        i++;
    if (atomic_fetch_add_explicit(&l->count[i], 1, memory_order_relaxed) >= FULL - 1)
        fade(l);    /* called once, by the thread that filled it */
}

uint64_t
latency_quantile_ms(const struct latency *l, unsigned permille)
{
    uint32_t count[LATENCY_BUCKETS];
    uint64_t samples = 0, below = 0;

    CHECK(permille <= 1000);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        count[i] = atomic_load_explicit(&l->count[i], memory_order_relaxed);
        samples += count[i];
    }
    if (samples < LATENCY_LEAST_SAMPLES)
        return 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        below += count[i];
        if (below * 1000 >= samples * permille && below != 0)
            return ends_ms[i];
    }
    return ends_ms[LATENCY_BUCKETS - 1];
}
