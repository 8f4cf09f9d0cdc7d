/* SPDX-License-Identifier: Apache-2.0 */
/* Values of printed tables, and identities that hold for every argument. */
#include "stats/distribution.h"
#include "test.h"

TEST(the_normal_is_that_of_the_tables)
{
    EXPECT_NEAR(normal_cdf(1.96), 0.9750021048517795, 1e-15);
    EXPECT_NEAR(normal_sf(6) / 9.865876450376946e-10, 1, 1e-13);
    EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
    EXPECT_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-13);
    EXPECT(normal_quantile(0) == -INFINITY && normal_quantile(1) == INFINITY);
    EXPECT(isnan(normal_quantile(-1)));
}

TEST(students_t_is_that_of_the_tables)
{
    EXPECT_NEAR(student_quantile(0.975, 1), 12.706204736174698, 1e-11);
    EXPECT_NEAR(student_quantile(0.975, 10), 2.2281388519862747, 1e-12);
    EXPECT_NEAR(student_quantile(0.995, 30), 2.7499956535672077, 1e-12);
    EXPECT_NEAR(student_quantile(0.025, 10), -2.2281388519862747, 1e-12);
    EXPECT_NEAR(student_sf(0, 5), 0.5, 1e-15);
    EXPECT_NEAR(student_sf(1, 1), 0.25, 1e-15); /* Cauchy's quarter. */
    EXPECT_NEAR(student_sf(2, INFINITY), normal_sf(2), 1e-16);
    /* Two million degrees: normal plus phi(t) (t^3 + t) / (4 n), by hand in high precision. */
    EXPECT_NEAR(student_sf(1.96, 2e6) / 0.024997964470414371, 1, 1e-14);
}

TEST(tails_of_the_incomplete_beta_add_up_to_one)
{
    for (double a = 0.5; a < 2000; a *= 7) {
        for (double b = 0.5; b < 2000; b *= 5) {
            for (double x = 0.05; x < 1; x += 0.13)
                EXPECT_NEAR(beta_cdf(x, a, b) + beta_cdf(1 - x, b, a), 1, 1e-13);
        }
    }
    EXPECT_NEAR(beta_cdf(0.3, 1, 1), 0.3, 1e-15);
    EXPECT(beta_cdf(0, 2, 3) == 0 && beta_cdf(1, 2, 3) == 1);
}

TEST(the_binomial_agrees_with_counting)
{
    double sum = 0;
    double ways = 1;

    for (int k = 0; k < 20; k++) {
        sum += ways / 1048576;
        EXPECT_NEAR(binomial_cdf(k, 20, 0.5), sum, 1e-14);
        ways *= (20.0 - k) / (k + 1);
    }
    EXPECT(binomial_cdf(-1, 20, 0.5) == 0 && binomial_cdf(20, 20, 0.5) == 1);
}

TEST(chi_square_and_fisher_are_those_of_the_tables)
{
    EXPECT_NEAR(chi_square_sf(3.841458820694124, 1), 0.05, 1e-14);
    EXPECT_NEAR(chi_square_sf(18.307038053275146, 10), 0.05, 1e-14);
    EXPECT_NEAR(fisher_sf(4.964602743730711, 1, 10), 0.05, 1e-14);
    EXPECT_NEAR(gamma_sf(2, 1), exp(-2), 1e-15);
}

TEST(kolmogorovs_limit_is_that_of_the_tables)
{
    EXPECT_NEAR(kolmogorov_sf(1.3580986393225505), 0.05, 1e-12);
    EXPECT_NEAR(kolmogorov_sf(1.6276236115189502), 0.01, 1e-12);
    EXPECT_NEAR(kolmogorov_sf(0.8199999), kolmogorov_sf(0.8200001), 1e-6); /* Where series meet. */
    EXPECT(kolmogorov_sf(0) == 1);
}

TEST_MAIN
