/* SPDX-License-Identifier: Apache-2.0 */
#include "load/scaling.h"

#include "test.h"

enum { POINTS = 8 };

static const double users[POINTS] = {1, 2, 4, 8, 16, 32, 48, 64};

TEST(the_universal_law_is_found_again)
{
    const struct scaling truth = {.lambda = 900, .sigma = 0.03, .kappa = 0.0005};
    struct scaling found;
    double rates[POINTS];

    for (size_t i = 0; i < POINTS; i++)
        rates[i] = scaling_at(&truth, users[i]) * (i % 2 == 0 ? 1.005 : 0.995);
    ASSERT(scaling_fit_usl(users, rates, POINTS, &found));
    EXPECT_NEAR(found.lambda, 900, 20);
    EXPECT_NEAR(found.sigma, 0.03, 0.005);
    EXPECT_NEAR(found.kappa, 0.0005, 0.0001);
    EXPECT(found.r2 > 0.99);
    EXPECT_NEAR(scaling_best(&found), sqrt((1 - 0.03) / 0.0005), 5);
}

TEST(amdahls_law_has_no_best_concurrency)
{
    const struct scaling truth = {.lambda = 500, .sigma = 0.1};
    struct scaling found;
    double rates[POINTS];

    for (size_t i = 0; i < POINTS; i++)
        rates[i] = scaling_at(&truth, users[i]);
    ASSERT(scaling_fit_amdahl(users, rates, POINTS, &found));
    EXPECT_NEAR(found.sigma, 0.1, 0.001);
    EXPECT(isinf(scaling_best(&found)));
}

TEST(too_few_points_are_no_curve)
{
    struct scaling found;

    EXPECT(!scaling_fit_usl(users, users, SCALING_POINTS_MIN - 1, &found));
}

TEST(the_knee_is_where_a_curve_bends)
{
    const double bent[POINTS] = {100, 200, 400, 800, 810, 815, 818, 820};
    const double straight[POINTS] = {100, 200, 400, 800, 1600, 3200, 4800, 6400};

    EXPECT(scaling_knee(users, bent, POINTS) == 3);
    EXPECT(scaling_knee(users, straight, POINTS) == POINTS);
}

TEST_MAIN
