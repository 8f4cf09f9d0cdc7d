/* SPDX-License-Identifier: Apache-2.0 */
/* Printed tables where there are some, brute force over every split where there are none. */
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/random.h"
#include "test.h"

/* p by looking at every choice of a_count among all: ranks of midranks, doubled smaller tail. */
static double brute_p(const double *pool, size_t all, size_t a_count)
{
    double seen = 0;
    double below = 0;
    double above = 0;
    double total = 0;

    for (int round = 0; round < 2; round++) {
        for (unsigned choice = 0; choice < 1u << all; choice++) {
            double u = 0;
            if ((size_t)__builtin_popcount(choice) != a_count)
                continue;
            for (size_t i = 0; i < all; i++) {
                for (size_t j = 0; j < all; j++) {
                    if ((choice >> i & 1) && !(choice >> j & 1))
                        u += pool[i] > pool[j] ? 1 : pool[i] == pool[j] ? 0.5 : 0;
                }
            }
            if (round == 0 && choice == (1u << a_count) - 1)
                seen = u;
            if (round == 1) {
                total++;
                below += u <= seen;
                above += u >= seen;
            }
        }
    }
    return fmin(1, 2 * fmin(below, above) / total);
}

/* Critical values of U at 5 %, two-sided: 5 + 5: 2; 8 + 8: 13; 4 + 6: 2. One more is above 5 %. */
TEST(mann_whitney_has_the_critical_values_of_the_tables)
{
    static const struct {
        size_t a, b;
        int critical;
    } rows[] = {{5, 5, 2}, {8, 8, 13}, {4, 6, 2}, {7, 7, 8}, {5, 8, 6}, {6, 8, 8}};

    for (size_t k = 0; k < ARRAY_COUNT(rows); k++) {
        for (int u = rows[k].critical; u <= rows[k].critical + 1; u++) {
            double a[8];
            double b[8];
            int left = u; /* Pairs with a above b, spread from the top of a. */
            for (size_t j = 0; j < rows[k].b; j++)
                b[j] = (double)j;
            for (size_t i = rows[k].a; i-- > 0;) {
                int over = left < (int)rows[k].b ? left : (int)rows[k].b;
                a[i] = over - 0.5 + (double)i * 0.01 - 0.05;
                left -= over;
            }
            struct mann_whitney test =
                compare_mann_whitney(a, rows[k].a, b, rows[k].b, COMPARE_AUTO);
            EXPECT(test.u == u && test.method == COMPARE_EXACT);
            EXPECT((test.p <= 0.05) == (u == rows[k].critical));
        }
    }
}

TEST(mann_whitney_is_exact_with_and_without_ties)
{
    struct random random = random_begin(1);

    for (int round = 0; round < 60; round++) {
        double pool[10];
        size_t a_count = 1 + random_below(&random, 9);
        for (int i = 0; i < 10; i++)
            pool[i] = (double)random_below(&random, round % 2 == 0 ? 4 : 1000000);
        struct mann_whitney test =
            compare_mann_whitney(pool, a_count, pool + a_count, 10 - a_count, COMPARE_AUTO);
        EXPECT(test.method == COMPARE_EXACT);
        EXPECT_NEAR(test.p, brute_p(pool, 10, a_count), 1e-12);
    }
}

TEST(the_normal_comes_near_the_exact)
{
    double a[30];
    double b[30];
    struct random random = random_begin(2);

    for (int i = 0; i < 30; i++) {
        a[i] = floor(random_normal(&random) * 4);
        b[i] = floor(random_normal(&random) * 4 + 2);
    }
    struct mann_whitney exact = compare_mann_whitney(a, 30, b, 30, COMPARE_EXACT);
    struct mann_whitney normal = compare_mann_whitney(a, 30, b, 30, COMPARE_AUTO);
    EXPECT(exact.method == COMPARE_EXACT && normal.method == COMPARE_NORMAL);
    EXPECT_NEAR(normal.p / exact.p, 1, 0.1);
    EXPECT(normal.z > 0 && normal.cliff > 0);
}

TEST(equal_constants_and_empty_samples_have_an_answer)
{
    double same[] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

    EXPECT(compare_mann_whitney(same, 10, same, 10, COMPARE_AUTO).p == 1);
    EXPECT(isnan(compare_mann_whitney(same, 0, same, 10, COMPARE_AUTO).p));
    EXPECT(compare_welch(same, 10, same, 10).p == 1);
    EXPECT(isnan(compare_welch(same, 1, same, 10).p));
    EXPECT(compare_kolmogorov_smirnov(same, 10, same, 10).p == 1);
}

TEST(three_and_three_cannot_be_below_a_tenth)
{
    double a[] = {1, 2, 3};
    double b[] = {10, 20, 30};

    EXPECT_NEAR(compare_p_min(3, 3), 0.1, 1e-15);
    EXPECT_NEAR(compare_mann_whitney(a, 3, b, 3, COMPARE_AUTO).p, 0.1, 1e-15);
    EXPECT_NEAR(compare_p_min(4, 4), 2.0 / 70, 1e-15);
    EXPECT(compare_mann_whitney(a, 3, b, 3, COMPARE_AUTO).cliff == 1);
}

/* Student's sleep data (1908), the two drugs as if independent: t = -1.8608, df = 17.776, p =
 * 0.07939. */
TEST(welch_says_what_the_textbook_says)
{
    double a[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    double b[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    struct welch test = compare_welch(a, 10, b, 10);

    EXPECT_NEAR(test.t, 1.8608134674868527, 1e-12);
    EXPECT_NEAR(test.freedom, 17.776473516178495, 1e-11);
    EXPECT_NEAR(test.p, 0.07939414018735815, 1e-13);
}

/* Massey's table: 5 + 5 values reject at 5 % from D = 5/5 (p = 2/252 = 0.0079), not from 4/5. */
TEST(kolmogorov_smirnov_is_exact_for_small_samples)
{
    double a[] = {1, 2, 3, 4, 5};
    double b[] = {6, 7, 8, 9, 10};
    double c[] = {4.5, 7, 8, 9, 10};
    struct kolmogorov_smirnov apart = compare_kolmogorov_smirnov(a, 5, b, 5);
    struct kolmogorov_smirnov near = compare_kolmogorov_smirnov(a, 5, c, 5);

    EXPECT(apart.d == 1 && near.d == 0.8);
    EXPECT_NEAR(apart.p, 2.0 / 252, 1e-15);
    EXPECT_NEAR(near.p, 20.0 / 252, 1e-15);
}

TEST(permutation_counts_every_split_or_many)
{
    double a[] = {1, 2, 3};
    double b[] = {4, 5, 7};
    double c[40];
    double d[40];
    struct random random = random_begin(3);

    EXPECT_NEAR(compare_permutation(a, 3, b, 3, 1), 0.1, 1e-15);
    EXPECT_NEAR(compare_permutation(a, 3, a, 3, 1), 1, 1e-15);
    for (int i = 0; i < 40; i++) {
        c[i] = random_normal(&random);
        d[i] = random_normal(&random) + 0.5;
    }
    double p = compare_permutation(c, 40, d, 40, 1);
    EXPECT_NEAR(p, compare_welch(c, 40, d, 40).p, 0.01);
    EXPECT(p == compare_permutation(c, 40, d, 40, 1)); /* The same seed, the same answer. */
}

TEST(the_shift_is_the_median_of_all_differences)
{
    struct random random = random_begin(4);

    for (int round = 0; round < 50; round++) {
        double a[12];
        double b[9];
        double differences[108];
        for (int i = 0; i < 12; i++)
            a[i] = round % 2 ? floor(random_normal(&random) * 3) : random_normal(&random);
        for (int j = 0; j < 9; j++) {
            b[j] = random_normal(&random) * 2 + 1;
            for (int i = 0; i < 12; i++)
                differences[j * 12 + i] = b[j] - a[i];
        }
        struct shift shift = compare_shift(a, 12, b, 9, 0.95);
        EXPECT_NEAR(shift.shift, describe_median(differences, 108), 1e-15);
        EXPECT(shift.interval.low < shift.shift && shift.shift < shift.interval.high);
    }
    EXPECT(isnan(compare_shift(NULL, 0, NULL, 0, 0.95).shift));
}

TEST(the_shift_interval_holds_the_truth_as_often_as_it_says)
{
    struct random random = random_begin(5);
    int held = 0;

    for (int round = 0; round < 1000; round++) {
        double a[15];
        double b[15];
        for (int i = 0; i < 15; i++) {
            a[i] = random_normal(&random);
            b[i] = random_normal(&random) + 2;
        }
        struct shift shift = compare_shift(a, 15, b, 15, 0.95);
        held += shift.interval.low <= 2 && shift.interval.high >= 2;
    }
    EXPECT_NEAR(held / 1000.0, 0.95, 0.02);
}

/* The example of the 1995 paper: at 5 % the four smallest of fifteen stand. */
TEST(false_discoveries_are_controlled_as_in_the_paper)
{
    double p[] = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                  0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};
    double adjusted[15];
    double with_gap[] = {0.01, NAN, 0.04};
    int stand = 0;

    compare_adjust(p, 15, adjusted);
    for (int i = 0; i < 15; i++)
        stand += adjusted[i] <= 0.05;
    EXPECT(stand == 4);
    EXPECT_NEAR(adjusted[3], 0.0095 * 15 / 4, 1e-15);
    compare_adjust(with_gap, 3, adjusted);
    EXPECT_NEAR(adjusted[0], 0.02, 1e-15);
    EXPECT(isnan(adjusted[1]) && adjusted[2] == 0.04);
}

static struct resemblance believe(const double *a, const double *b, size_t count)
{
    struct resemblance likelihood = resemblance_of(a, count, b, count);
    struct resemblance prior = resemblance_learn(&likelihood, 1);

    return resemblance_believe(&prior, &likelihood);
}

/* Two AR(0.9) samples of 300 without any difference: the plain test sees one most of the time. */
TEST(wandering_runs_do_not_cry_wolf)
{
    struct random random = random_begin(6);
    int plain = 0;
    int timed = 0;
    const int rounds = 400;

    for (int round = 0; round < rounds; round++) {
        static double series[2][300];
        for (int k = 0; k < 2; k++) {
            double here = random_normal(&random);
            for (int i = 0; i < 300; i++) {
                series[k][i] = here;
                here = 0.9 * here + sqrt(1 - 0.81) * random_normal(&random);
            }
        }
        plain += compare_mann_whitney(series[0], 300, series[1], 300, COMPARE_AUTO).p <= 0.05;
        struct resemblance belief = believe(series[0], series[1], 300);
        timed += compare_mann_whitney_timed(series[0], 300, series[1], 300, &belief).p <= 0.05;
    }
    EXPECT((double)plain / rounds > 0.5);
    EXPECT((double)timed / rounds < 0.08);
}

/* Intervals are wider by the root of the factor. */
TEST(independent_runs_pay_little_for_that)
{
    struct random random = random_begin(7);
    double widening = 0;

    for (int round = 0; round < 500; round++) {
        double a[30];
        double b[30];
        for (int i = 0; i < 30; i++) {
            a[i] = random_normal(&random);
            b[i] = random_normal(&random);
        }
        struct resemblance belief = believe(a, b, 30);
        widening += sqrt(resemblance_inflation(&belief)) / 500;
    }
    printf("# intervals are %.3f times as wide\n", widening);
    EXPECT(widening < 1.1);
}

TEST(as_many_runs_as_promised_see_the_shift)
{
    struct random random = random_begin(8);
    size_t needed = (size_t)compare_runs_needed(1, 1, 0.05, 0.8);
    int seen = 0;

    EXPECT(needed >= 16 && needed <= 18); /* 2 (1.96 + 0.84)^2 pi / 3. */
    for (int round = 0; round < 1000; round++) {
        double a[32];
        double b[32];
        for (size_t i = 0; i < needed; i++) {
            a[i] = random_normal(&random);
            b[i] = random_normal(&random) + 1;
        }
        seen += compare_mann_whitney(a, needed, b, needed, COMPARE_AUTO).p <= 0.05;
    }
    EXPECT_NEAR(seen / 1000.0, 0.8, 0.05);
}

TEST_MAIN
