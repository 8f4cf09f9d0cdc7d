/* SPDX-License-Identifier: Apache-2.0 */
#include "load/draw.h"

#include "stats/random.h"
#include "test.h"

#include <math.h>

TEST(think_times_follow_their_distribution)
{
    static const struct {
        struct think_time think;
        double mean_ms, deviation_ms;
    } cases[] = {{{THINK_NONE, 0, 0}, 0, 0},
                 {{THINK_CONSTANT, 5e6, 0}, 5, 0},
                 {{THINK_UNIFORM, 10e6, 30e6}, 20, 5.7735},
                 {{THINK_EXPONENTIAL, 10e6, 0}, 10, 10},
                 {{THINK_LOGNORMAL, 10e6, 0.5}, 11.331, 6.039}};
    enum { COUNT = 40000 };
    struct random random = random_begin(1);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double sum = 0, squares = 0;
        for (int j = 0; j < COUNT; j++) {
            double ms = (double)draw_think(&random, &cases[i].think) / 1e6;
            sum += ms;
            squares += ms * ms;
        }
        double mean = sum / COUNT;
        EXPECT_NEAR(mean, cases[i].mean_ms, 0.02 * cases[i].mean_ms + 1e-9);
        EXPECT_NEAR(sqrt(fmax(0, squares / COUNT - mean * mean)), cases[i].deviation_ms,
                    0.05 * cases[i].deviation_ms + 1e-6);
    }
}

TEST(gaps_are_one_on_average_and_scatter_by_their_shape)
{
    static const double shapes[] = {0.25, 0.5, 1, 4, 100};
    enum { COUNT = 200000 };
    struct random random = random_begin(2);

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        double sum = 0, squares = 0;
        for (int j = 0; j < COUNT; j++) {
            double gap = draw_gamma(&random, shapes[i]);
            sum += gap;
            squares += gap * gap;
        }
        double mean = sum / COUNT;
        EXPECT_NEAR(mean, 1, 0.02);
        EXPECT_NEAR(squares / COUNT - mean * mean, 1 / shapes[i], 0.05 / shapes[i]);
    }
}

TEST_MAIN
