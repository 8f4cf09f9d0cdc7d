/* SPDX-License-Identifier: Apache-2.0 */
#include "base/must.h"
#include "stats/forest.h"
#include "stats/random.h"
#include "test.h"

enum { ROWS = 1000, COLUMNS = 3 };

static void make(double rows[ROWS][COLUMNS])
{
    struct random random = random_begin(1);

    for (int i = 0; i < ROWS; i++) {
        double common = random_normal(&random);
        for (int k = 0; k < COLUMNS; k++)
            rows[i][k] = 100 + 10 * common + random_normal(&random);
    }
}

TEST(what_is_unlike_the_others_scores_high)
{
    static double rows[ROWS][COLUMNS];
    struct forest_options options = {.seed = 1};
    double far[COLUMNS] = {200, 200, 200};
    double usual[COLUMNS] = {100, 100, 100};
    int higher = 0;

    make(rows);
    struct forest *forest CLEANUP(forest_freep) = forest_new(rows[0], ROWS, COLUMNS, &options);
    EXPECT(forest_score(forest, far) > 0.65);
    EXPECT(forest_score(forest, usual) < 0.45);
    for (int i = 0; i < ROWS; i++)
        higher += forest_score(forest, rows[i]) >= forest_score(forest, far);
    EXPECT(higher <= 3); /* Beyond the farthest row there is nothing left to split. */
}

TEST(the_same_seed_grows_the_same_forest)
{
    static double rows[ROWS][COLUMNS];
    struct forest_options options = {.seed = 9, .trees = 20, .sample = 64};

    make(rows);
    struct forest *one CLEANUP(forest_freep) = forest_new(rows[0], ROWS, COLUMNS, &options);
    struct forest *two CLEANUP(forest_freep) = forest_new(rows[0], ROWS, COLUMNS, &options);
    for (int i = 0; i < ROWS; i++)
        EXPECT(forest_score(one, rows[i]) == forest_score(two, rows[i]));
}

TEST(equal_rows_and_single_rows_are_ordinary)
{
    double same[20] = {0};
    struct forest_options options = {0};
    struct forest *forest CLEANUP(forest_freep) = forest_new(same, 20, 1, &options);
    struct forest *single CLEANUP(forest_freep) = forest_new(same, 1, 1, &options);

    EXPECT_NEAR(forest_score(forest, same), 0.5, 0.01);
    EXPECT(forest_score(single, same) == 0.5);
}

TEST_MAIN
