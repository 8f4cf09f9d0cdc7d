/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/paired.h"
#include "stats/random.h"
#include "test.h"

#include <math.h>

enum { MOST = 12, REPETITIONS = 400 };

/* Hollander and Wolfe (1973), p. 29: a scale of depression of nine patients at two visits. */
TEST(a_published_example_is_repeated)
{
    const double first[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    const double second[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    double differences[9];

    for (int i = 0; i < 9; i++)
        differences[i] = first[i] - second[i];
    struct signed_rank test = paired_signed_rank(differences, 9, COMPARE_AUTO);
    EXPECT(test.w == 40 && test.method == COMPARE_EXACT);
    EXPECT_NEAR(test.p, 2 * 0.01953125, 1e-12);
    EXPECT_NEAR(test.dominance, 5.0 / 9, 1e-12);
    EXPECT(test.z > 1.9 && test.z < 2.1);
}

/* Twice the mean rank of |differences[i]| among all; 0 for a difference of 0. */
static double doubled_rank(const double *differences, size_t count, size_t i)
{
    double rank = 1;

    if (differences[i] == 0)
        return 0;
    for (size_t k = 0; k < count; k++)
        rank += 2.0 * (fabs(differences[k]) < fabs(differences[i])) +
                (fabs(differences[k]) == fabs(differences[i]));
    return rank;
}

/* Every choice of signs. */
static double by_flipping(const double *differences, size_t count)
{
    double seen = 0;
    double below = 0;
    double above = 0;

    for (size_t i = 0; i < count; i++)
        seen += differences[i] > 0 ? doubled_rank(differences, count, i) : 0;
    for (size_t signs = 0; signs < (size_t)1 << count; signs++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += signs >> i & 1 ? doubled_rank(differences, count, i) : 0;
        below += sum <= seen;
        above += sum >= seen;
    }
    return fmin(1, 2 * fmin(below, above) / (double)((size_t)1 << count));
}

TEST(p_is_the_share_of_signs_as_extreme_with_ties_and_zeros)
{
    struct random random = random_begin(4);
    double worst = 0;

    for (int round = 0; round < 60; round++) {
        double differences[MOST];
        size_t count = 1 + random_below(&random, MOST);
        for (size_t i = 0; i < count; i++) {
            differences[i] = 0.4 + random_normal(&random);
            if (round % 2 == 0)
                differences[i] = round % 4 == 0 ? rint(differences[i]) : rint(3 * differences[i]);
        }
        struct signed_rank test = paired_signed_rank(differences, count, COMPARE_AUTO);
        worst = fmax(worst, fabs(test.p - by_flipping(differences, count)));
    }
    EXPECT(worst < 1e-12);
}

TEST(pairs_that_do_not_differ_speak_for_no_difference)
{
    double differences[30] = {0};
    const double few[] = {3, -1, 4, 5, -2, 6, 7, 8};

    memcpy(differences, few, sizeof(few));
    EXPECT(paired_signed_rank(differences, 30, COMPARE_AUTO).p >
           paired_signed_rank(few, 8, COMPARE_AUTO).p);
    EXPECT(paired_signed_rank(differences + 8, 22, COMPARE_AUTO).p == 1);
    EXPECT(isnan(paired_signed_rank(differences, 0, COMPARE_AUTO).p));
}

TEST(the_normal_takes_over_without_a_step)
{
    struct random random = random_begin(5);
    double differences[PAIRED_EXACT_AUTO + 1];
    double exact;

    for (size_t i = 0; i < PAIRED_EXACT_AUTO + 1; i++)
        differences[i] = 0.2 + random_normal(&random);
    exact = paired_signed_rank(differences, PAIRED_EXACT_AUTO + 1, COMPARE_EXACT).p;
    struct signed_rank test = paired_signed_rank(differences, PAIRED_EXACT_AUTO + 1, COMPARE_AUTO);
    printf("# %.5g, exactly %.5g\n", test.p, exact);
    EXPECT(test.method == COMPARE_NORMAL && fabs(test.p - exact) < 0.1 * exact);
    EXPECT(paired_signed_rank(differences, PAIRED_EXACT_AUTO, COMPARE_AUTO).method ==
           COMPARE_EXACT);
}

TEST(the_smallest_p_is_that_of_all_on_one_side)
{
    const double differences[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

    for (size_t count = 1; count <= 10; count++)
        EXPECT_NEAR(paired_signed_rank(differences, count, COMPARE_AUTO).p, paired_p_min(count),
                    1e-15);
    EXPECT(paired_p_min(0) == 1);
}

static double walsh_median(const double *values, size_t count)
{
    double averages[MOST * (MOST + 1) / 2];
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t k = i; k < count; k++)
            averages[at++] = 0.5 * values[i] + 0.5 * values[k];
    }
    return describe_median(averages, at);
}

TEST(the_shift_is_the_median_of_all_averages_of_two)
{
    struct random random = random_begin(6);

    for (int round = 0; round < 50; round++) {
        double differences[MOST];
        size_t count = 1 + random_below(&random, MOST);
        for (size_t i = 0; i < count; i++)
            differences[i] =
                round % 2 == 0 ? random_normal(&random) : rint(3 * random_normal(&random));
        EXPECT_NEAR(paired_shift(differences, count, 0.95).shift, walsh_median(differences, count),
                    1e-15);
    }
    EXPECT(isnan(paired_shift(NULL, 0, 0.95).shift));
}

/* Outside the interval is exactly what the test rejects. */
TEST(the_interval_ends_where_the_test_rejects)
{
    struct random random = random_begin(7);
    double differences[20];
    double moved[20];

    for (size_t count = 6; count <= 20; count += 7) {
        for (size_t i = 0; i < count; i++)
            differences[i] = random_normal(&random);
        struct interval interval = paired_shift(differences, count, 0.95).interval;
        const struct {
            double by;
            bool rejects;
        } ends[] = {{interval.low - 1e-9, true},
                    {interval.low + 1e-9, false},
                    {interval.high - 1e-9, false},
                    {interval.high + 1e-9, true}};
        for (size_t k = 0; k < ARRAY_COUNT(ends); k++) {
            for (size_t i = 0; i < count; i++)
                moved[i] = differences[i] - ends[k].by;
            EXPECT((paired_signed_rank(moved, count, COMPARE_AUTO).p <= 0.05) == ends[k].rejects);
        }
    }
    EXPECT(isnan(paired_shift(differences, 5, 0.95).interval.low));
}

TEST(the_interval_holds_as_often_as_it_says)
{
    struct random random = random_begin(8);
    const size_t counts[] = {8, 30, 80};
    double differences[80];

    for (size_t k = 0; k < ARRAY_COUNT(counts); k++) {
        int held = 0;
        for (int round = 0; round < REPETITIONS; round++) {
            for (size_t i = 0; i < counts[k]; i++)
                differences[i] = 1 + random_normal(&random);
            struct interval interval = paired_shift(differences, counts[k], 0.95).interval;
            held += interval.low <= 1 && interval.high >= 1;
        }
        printf("# %zu pairs: %.3f\n", counts[k], (double)held / REPETITIONS);
        EXPECT(held >= 0.92 * REPETITIONS);
    }
}

TEST_MAIN
