/* SPDX-License-Identifier: Apache-2.0 */
#include "load/capacity_step.h"

#include "test.h"

#include <math.h>

TEST(what_was_answered_beyond_is_known_only_where_the_target_was_the_limit)
{
    struct capacity_step step = {
        .rate = 1000, .answered = 0.8, .error_rate = 0.25, .limit = CAPACITY_LIMIT_TARGET};

    EXPECT_NEAR(capacity_step_beyond(&step), 600, 1e-9);
    step.limit = CAPACITY_LIMIT_GENERATOR;
    EXPECT(isnan(capacity_step_beyond(&step)));
    step.limit = CAPACITY_LIMIT_CONNECTIONS;
    EXPECT(isnan(capacity_step_beyond(&step)));
    /* It broke by its latencies: how much it could answer is not known. */
    step = (struct capacity_step){.rate = 1000, .answered = 1, .limit = CAPACITY_LIMIT_TARGET};
    EXPECT(isnan(capacity_step_beyond(&step)));
    step.error_rate = 1;
    EXPECT(isnan(capacity_step_beyond(&step)));
}

TEST_MAIN
