/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/root_rates.h"
#include "test.h"

#include <stdio.h>

static const struct resource shop = {.service_name = STR("shop")};

/* One stretch of ten seconds in which `count` traces arrived. */
static void pass(struct root_rates *rates, const char *name, size_t count)
{
    const struct span root = {.name = str_of(name), .resource = &shop};

    for (size_t i = 0; i < count; i++)
        root_rates_add(rates, &root, 1);
    root_rates_turn(rates, 10);
}

static double share_of(struct root_rates *rates, const char *name, double target)
{
    return root_rates_share(rates, STR("shop"), str_of(name), target);
}

TEST(a_share_follows_the_traffic_to_its_target)
{
    struct root_rates *rates = root_rates_new();
    double share = 1;

    EXPECT(share_of(rates, "op", 2) == 1); /* Unknown. */
    pass(rates, "op", 1000);               /* A hundred a second. */
    for (int i = 0; i < 20; i++) {
        share = share_of(rates, "op", 2);
        pass(rates, "op", (size_t)(1000 * share));
    }
    EXPECT_NEAR(share, 0.02, 0.002);
    for (int i = 0; i < 20; i++) { /* Ten times as much. */
        share = share_of(rates, "op", 2);
        pass(rates, "op", (size_t)(10000 * share));
    }
    EXPECT_NEAR(share, 0.002, 0.0004);
    for (int i = 0; i < 60; i++) /* Silence opens it again. */
        pass(rates, "op", 0);
    EXPECT(share_of(rates, "op", 2) == 1);
    root_rates_free(rates);
}

TEST(only_roots_count_and_operations_are_bounded)
{
    struct root_rates *rates = root_rates_new();
    const struct span child = {.name = STR("child"), .parent_span_id = {1}, .resource = &shop};
    char name[32];

    for (int i = 0; i < 1000; i++)
        root_rates_add(rates, &child, 1);
    root_rates_turn(rates, 1);
    EXPECT(share_of(rates, "child", 1) == 1);
    for (int i = 0; i < ROOT_RATES_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "op %d", i);
        pass(rates, name, 1);
    }
    EXPECT(share_of(rates, name, 0.001) == 1); /* Beyond: not adapted to. */
    root_rates_free(rates);
}

TEST_MAIN
