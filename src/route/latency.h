/* latency.h - how long a target takes, as quantiles of its recent answers.
 *
 * A histogram whose buckets grow by a fixed factor, shared by all workers without locks; old
 * samples fade (all counts are halved from time to time). Memory is fixed, noting a sample costs
 * one atomic addition.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

#define LATENCY_BUCKETS 48
#define LATENCY_LEAST_SAMPLES 20    /* fewer say nothing about a tail */

struct latency {    /* zeros: no samples */
    _Atomic uint32_t count[LATENCY_BUCKETS];
};

/* `at_least`: the attempt was cut, so it would have taken longer. Such a sample counts as one of
 * the next larger bucket, so that cutting cannot make a slow target look fast. */
void latency_note(struct latency *l, uint64_t ms, bool at_least);

/* The quantile in thousandths (990: p99), rounded up to a bucket's end, in milliseconds; 0 while
 * there are fewer than LATENCY_LEAST_SAMPLES. */
uint64_t latency_quantile_ms(const struct latency *l, unsigned permille);
