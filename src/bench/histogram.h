/* histogram.h - millions of durations in a few kilobytes, with an error below one percent.
 *
 * Buckets grow with the value: 128 per power of two. Histograms of several threads add up.
 */
#pragma once

#include "base/base.h"

enum {
    HISTOGRAM_FINE = 128,    /* buckets per power of two */
    HISTOGRAM_FINE_BITS = 7,
    HISTOGRAM_TOP_BIT = 42,    /* anything above 50 days counts as 50 days */
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BIT - HISTOGRAM_FINE_BITS + 2) * HISTOGRAM_FINE,
};

struct histogram {
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t us);

/* `from` is added to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The value of a quantile (0..1); 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double quantile);
