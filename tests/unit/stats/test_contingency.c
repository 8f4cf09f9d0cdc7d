/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/contingency.h"
#include "test.h"

/* scipy.stats.fisher_exact([[a, b], [c, d]]).pvalue, and R's fisher.test agrees. */
static const struct {
    struct contingency table;
    double p;
} known[] = {
    {{3, 1, 1, 3}, 0.48571428571428571}, /* The lady tasting tea: 34/70. */
    {{8, 2, 1, 5}, 0.034965034965034967},
    {{1, 9, 11, 3}, 0.0027594561852200836},
    {{0, 5, 5, 0}, 0.0079365079365079361},
    {{10, 0, 10, 0}, 1},
    {{0, 0, 3, 4}, 1},
};

TEST(published_tables_come_out)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        EXPECT_NEAR(contingency_fisher(known[i].table), known[i].p, 1e-12);
}

static double choose(unsigned n, unsigned k)
{
    double product = 1;

    for (unsigned i = 1; i <= k; i++)
        product = product * (n - k + i) / i;
    return product;
}

/* Every table of the same sums, counted out. */
static double by_counting(struct contingency table)
{
    unsigned first = table.a + table.b, second = table.c + table.d, have = table.a + table.c;
    double all = choose(first + second, have);
    double own = choose(first, table.a) * choose(second, table.c) / all;
    double sum = 0;

    for (unsigned a = 0; a <= first && a <= have; a++) {
        if (have - a > second)
            continue;
        double p = choose(first, a) * choose(second, have - a) / all;
        sum += p <= own * (1 + 1e-7) ? p : 0;
    }
    return sum;
}

TEST(small_tables_are_what_counting_gives)
{
    for (uint32_t i = 0; i < 6 * 6 * 6 * 6; i++) {
        struct contingency table = {i % 6, i / 6 % 6, i / 36 % 6, i / 216};
        double p = contingency_fisher(table);
        EXPECT_NEAR(p, by_counting(table), 1e-12);
        EXPECT(contingency_fisher_min(table) <= p * (1 + 1e-9));
    }
}

TEST(large_tables_stay_exact_and_quick)
{
    /* 2 × 10⁻²⁹⁰ and smaller must not become anything odd. */
    double p = contingency_fisher((struct contingency){0, 500, 500, 0});
    EXPECT(p > 0 && p < 1e-290);
    EXPECT_NEAR(contingency_fisher((struct contingency){500000, 500000, 500000, 500000}), 1, 1e-6);
}

TEST(odds_are_those_of_the_second_group)
{
    EXPECT_NEAR(contingency_odds_ratio((struct contingency){10, 90, 50, 50}), 8.619, 1e-3);
    EXPECT(isfinite(contingency_odds_ratio((struct contingency){0, 5, 5, 0})));
}

TEST_MAIN
