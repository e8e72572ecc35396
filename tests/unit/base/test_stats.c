/* test_stats.c - intervals agree with published figures and with ones worked out by hand. */
#include "base/stats.c"

#include "tests/test.h"

static bool
near(double a, double b, double within)
{
    if (fabs(a - b) <= within)
        return true;
    print_error("%.9g is not %.9g\n", a, b);
    return false;
}

static struct stats_sample
sample(const double *list, size_t n)
{
    struct stats_sample s = { 0 };

    for (size_t i = 0; i < n; i++)
        stats_add(&s, list[i]);
    return s;
}
#define SAMPLE(...)                                                                                \
    sample(                                                                                        \
        (const double[]){ __VA_ARGS__ }, sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double))

TEST(students_distribution_has_the_values_of_the_tables)
{
    /* one and two degrees of freedom have closed forms: tan(0.475 pi), and 0.95 sqrt(2 / 0.0975) */
    EXPECT(near(stats_student_975(1), 12.706204736, 1e-5));
    EXPECT(near(stats_student_975(2), 0.95 * sqrt(2 / 0.0975), 1e-6));
    EXPECT(near(stats_student_975(5), 2.570582, 1e-6));
    EXPECT(near(stats_student_975(10), 2.228139, 1e-6));
    EXPECT(near(stats_student_975(30), 2.042272, 1e-6));
    EXPECT(near(stats_student_975(120), 1.979930, 1e-6));
    EXPECT(near(stats_student_975(1e9), NORMAL_975, 1e-12));
}

TEST(a_mean_lies_within_students_interval)
{
    /* mean 3, variance 2.5, standard error sqrt(0.5), t(4) = 2.776445 */
    struct stats_sample s = SAMPLE(1, 2, 3, 4, 5);
    struct stats_interval i = stats_mean_interval(&s);

    EXPECT(i.known && near(i.value, 3, 1e-12) && near(stats_variance(&s), 2.5, 1e-12));
    EXPECT(near(i.low, 3 - 2.776445105 * sqrt(0.5), 1e-6));
    EXPECT(near(i.high, 3 + 2.776445105 * sqrt(0.5), 1e-6));
}

TEST(means_of_unequal_variance_differ_by_welchs_interval)
{
    /* a: mean 2, variance 1, n 3; b: mean 6, variance 20/3, n 4. of_a = 1/3, of_b = 5/3: the square
     * of the error is 2; freedom = 4 / ((1/9)/2 + (25/9)/3) = 216/53 */
    struct stats_sample a = SAMPLE(1, 2, 3), b = SAMPLE(3, 5, 7, 9);
    struct stats_interval i = stats_mean_difference(&a, &b);

    EXPECT(i.known && near(i.value, 4, 1e-12));
    EXPECT(near(i.high - i.value, sqrt(2.0) * stats_student_975(216.0 / 53), 1e-6));
    EXPECT(near(i.value - i.low, i.high - i.value, 1e-9));
    /* between those of 4 and 5 degrees of freedom */
    EXPECT(i.high - i.value < sqrt(2.0) * 2.776445 && i.high - i.value > sqrt(2.0) * 2.570582);
}

TEST(shares_lie_within_wilsons_interval)
{
    /* Newcombe's paper on single proportions, table I, method 3: 81/263, 15/148, 0/20, 1/29 */
    static const struct {
        uint64_t hits, n;
        double low, high;
    } rows[] = {
        { 81, 263, 0.2553, 0.3662 },
        { 15, 148, 0.0624, 0.1605 },
        { 0, 20, 0.0000, 0.1611 },
        { 1, 29, 0.0061, 0.1718 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stats_interval s = stats_share_interval(rows[i].hits, rows[i].n);

        EXPECT(s.known && near(s.low, rows[i].low, 6e-5) && near(s.high, rows[i].high, 6e-5));
    }
}

TEST(shares_differ_by_newcombes_interval)
{
    /* Newcombe's paper on differences, table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 5/56 - 0/29 */
    static const struct {
        uint64_t b_hits, b_n, a_hits, a_n;
        double low, high;
    } rows[] = {
        { 56, 70, 48, 80, 0.0524, 0.3339 },
        { 9, 10, 3, 10, 0.1705, 0.8090 },
        { 5, 56, 0, 29, -0.0381, 0.1926 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stats_interval s =
            stats_share_difference(rows[i].a_hits, rows[i].a_n, rows[i].b_hits, rows[i].b_n);

        EXPECT(s.known && near(s.low, rows[i].low, 6e-5) && near(s.high, rows[i].high, 6e-5));
    }
}

TEST(too_few_observations_say_nothing)
{
    struct stats_sample none = { 0 }, one = SAMPLE(7), two = SAMPLE(7, 7);

    EXPECT(!stats_mean_interval(&none).known && !stats_mean_interval(&one).known);
    EXPECT(stats_mean_interval(&one).value == 7);
    EXPECT(!stats_mean_difference(&one, &two).known && !stats_mean_difference(&two, &one).known);
    EXPECT(!stats_share_interval(0, 0).known && !stats_share_difference(0, 0, 1, 2).known);
    EXPECT(stats_mean_difference(&two, &two).known && stats_mean_difference(&two, &two).high == 0);
}
