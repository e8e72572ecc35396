/* stats.h - what can be said of a difference between two samples: 95 % confidence intervals.
 *
 * Means: Student's interval with unequal variances (Welch, 1947). Proportions: Wilson's score interval
 * (1927), and for the difference of two the hybrid of their score intervals (Newcombe, 1998, method
 * 10), which stays within -1..1 and says something sensible of 0 out of 20. All assume that
 * observations are independent of each other.
 */
#pragma once

#include "base/base.h"

/* A sample of a quantity. */
struct stats_sample {
    uint64_t n;
    double sum, squares;    /* of the values, and of their squares */
};

/* `value` is the estimate; if !known, there are too few observations. */
struct stats_interval {
    double value, low, high;
    bool known;
};

void stats_add(struct stats_sample *s, double value);

/* The mean of a sample; with a sample of paired differences, their mean. */
struct stats_interval stats_mean_interval(const struct stats_sample *s);

/* mean(b) - mean(a). */
struct stats_interval stats_mean_difference(
    const struct stats_sample *a, const struct stats_sample *b);

/* `hits` of `n`. */
struct stats_interval stats_share_interval(uint64_t hits, uint64_t n);

/* The share of b minus that of a. */
struct stats_interval stats_share_difference(
    uint64_t a_hits, uint64_t a_n, uint64_t b_hits, uint64_t b_n);

/* Where 97.5 % of Student's distribution lie below; `freedom` > 0 need not be whole. */
double stats_student_975(double freedom);
