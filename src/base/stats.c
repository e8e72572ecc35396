/* stats.c - confidence intervals; Student's distribution by the incomplete beta function. */
#include "base/stats.h"

#include <math.h>

#define NORMAL_975 1.959963984540054    /* 97.5 % of the standard normal distribution lie below */

void
stats_add(struct stats_sample *s, double value)
{
    s->n++;
    s->sum += value;
    s->squares += value * value;
}

/* 0 of an empty sample. */
static double
stats_mean(const struct stats_sample *s)
{
    return s->n != 0 ? s->sum / (double)s->n : 0;
}

/* Of the population, unbiased; 0 if there are not two values. */
static double
stats_variance(const struct stats_sample *s)
{
    double n = (double)s->n;

    return s->n < 2 ? 0 : fmax(0, (s->squares - s->sum * s->sum / n) / (n - 1));
}

/* --- Student's distribution --- */

/* The continued fraction of the incomplete beta function (Lentz's method). */
static double
beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);

    d = 1 / (fabs(d) < tiny ? tiny : d);
    double all = d;
    for (int m = 1; m < 300; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double step = odd == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                   : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            d = 1 + step * d;
            c = 1 + step / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            all *= c * d;
        }
        if (fabs(c * d - 1) < 1e-14)
            break;
    }
    return all;
}

/* The regularised incomplete beta function I_x(a, b). */
static double
beta_share(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double
stats_student_975(double freedom)
{
    double low = NORMAL_975, high = 1e4;

    if (freedom >= 1e6)
        return NORMAL_975;
    while (high - low > 1e-9 * high) {
        double t = (low + high) / 2;
        double above = beta_share(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2;

        if (above > 0.025)
            low = t;
        else
            high = t;
    }
    return high;
}

/* --- intervals --- */

static struct stats_interval
around(double value, double half)
{
    return (struct stats_interval){
        .value = value, .low = value - half, .high = value + half, .known = true
    };
}

struct stats_interval
stats_mean_interval(const struct stats_sample *s)
{
    if (s->n < 2)
        return (struct stats_interval){ .value = stats_mean(s) };
    double error = sqrt(stats_variance(s) / (double)s->n);
    return around(stats_mean(s), error * stats_student_975((double)s->n - 1));
}

struct stats_interval
stats_mean_difference(const struct stats_sample *a, const struct stats_sample *b)
{
    double difference = stats_mean(b) - stats_mean(a);

    if (a->n < 2 || b->n < 2)
        return (struct stats_interval){ .value = difference };
    double of_a = stats_variance(a) / (double)a->n, of_b = stats_variance(b) / (double)b->n;
    double both = of_a + of_b;
    if (both == 0)
        return around(difference, 0);
    double freedom =
        both * both / (of_a * of_a / ((double)a->n - 1) + of_b * of_b / ((double)b->n - 1));
    return around(difference, sqrt(both) * stats_student_975(freedom));
}

struct stats_interval
stats_share_interval(uint64_t hits, uint64_t n)
{
    const double z2 = NORMAL_975 * NORMAL_975;

    if (n == 0)
        return (struct stats_interval){ .value = 0 };
    double of = (double)n, p = (double)hits / of;
    double middle = (p + z2 / (2 * of)) / (1 + z2 / of);
    double half = NORMAL_975 * sqrt(p * (1 - p) / of + z2 / (4 * of * of)) / (1 + z2 / of);
    return (struct stats_interval){
        .value = p, .low = fmax(0, middle - half), .high = fmin(1, middle + half), .known = true
    };
}

struct stats_interval
stats_share_difference(uint64_t a_hits, uint64_t a_n, uint64_t b_hits, uint64_t b_n)
{
    struct stats_interval a = stats_share_interval(a_hits, a_n);
    struct stats_interval b = stats_share_interval(b_hits, b_n);
    double difference = b.value - a.value;

    if (!a.known || !b.known)
        return (struct stats_interval){ .value = difference };
    return (struct stats_interval){
        .value = difference,
        .low = difference - hypot(b.value - b.low, a.high - a.value),
        .high = difference + hypot(b.high - b.value, a.value - a.low),
        .known = true,
    };
}
