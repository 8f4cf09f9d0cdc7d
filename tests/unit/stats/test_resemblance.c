/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/compare.h"
#include "stats/random.h"
#include "test.h"

enum { RUNS = 30, METRICS = 50, REPETITIONS = 100 };

static void series(struct random *random, double r, double *ret_values, size_t count)
{
    double here = random_normal(random);

    for (size_t i = 0; i < count; i++) {
        ret_values[i] = here;
        here = r * here + sqrt(1 - r * r) * random_normal(random);
    }
}

static double most_likely(const struct resemblance *weights)
{
    size_t best = 0;

    for (size_t k = 1; k < RESEMBLANCE_COUNT; k++)
        best = weights->weight[k] > weights->weight[best] ? k : best;
    return (double)best / RESEMBLANCE_COUNT;
}

/* Logarithm of the restricted likelihood of one sample by Gauss' elimination, straight from the
 * definition. */
static double by_definition(const double *values, size_t count, double r)
{
    static double rows[RUNS][RUNS + 2];
    double log_determinant = 0;
    double ones = 0;
    double total = 0;
    double square = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            rows[i][j] = pow(r, fabs((double)i - (double)j));
        rows[i][count] = 1;
        rows[i][count + 1] = values[i];
    }
    for (size_t i = 0; i < count; i++) {
        double pivot = rows[i][i];
        log_determinant += log(pivot);
        ones += rows[i][count] * rows[i][count] / pivot;
        total += rows[i][count] * rows[i][count + 1] / pivot;
        square += rows[i][count + 1] * rows[i][count + 1] / pivot;
        for (size_t j = i + 1; j < count; j++) {
            double factor = rows[j][i] / pivot;
            for (size_t k = i; k < count + 2; k++)
                rows[j][k] -= factor * rows[i][k];
        }
    }
    return -0.5 *
           (log_determinant + log(ones) + ((double)count - 1) * log(square - total * total / ones));
}

TEST(the_likelihood_is_that_of_the_definition)
{
    struct random random = random_begin(3);
    double values[RUNS];

    series(&random, 0.5, values, RUNS);
    struct resemblance likelihood = resemblance_of(values, RUNS, NULL, 0);
    double here = by_definition(values, RUNS, 0.2) - by_definition(values, RUNS, 0.7);
    EXPECT(likelihood.known);
    EXPECT_NEAR(log(likelihood.weight[20] / likelihood.weight[70]), here, 1e-9);
}

TEST(long_series_tell_their_correlation)
{
    struct random random = random_begin(4);
    static double a[4000];
    static double b[4000];
    const double truth[] = {0, 0.3, 0.8};

    for (size_t i = 0; i < 3; i++) {
        series(&random, truth[i], a, 4000);
        series(&random, truth[i], b, 4000);
        struct resemblance likelihood = resemblance_of(a, 4000, b, 4000);
        EXPECT_NEAR(most_likely(&likelihood), truth[i], 0.031);
        struct resemblance prior = resemblance_learn(&likelihood, 1);
        struct resemblance belief = resemblance_believe(&prior, &likelihood);
        double factor = (1 + truth[i]) / (1 - truth[i]);
        EXPECT_NEAR(resemblance_inflation(&belief) / factor, 1, 0.15);
    }
}

TEST(what_says_nothing_is_independent)
{
    double constant[RUNS] = {0};
    double few[3] = {1, 2, 4};
    struct resemblance none[2] = {resemblance_of(constant, RUNS, constant, RUNS),
                                  resemblance_of(few, 3, few, 3)};
    struct resemblance prior = resemblance_learn(none, 2);
    double sum = 0;

    for (size_t i = 0; i < 2; i++) {
        struct resemblance belief = resemblance_believe(&prior, &none[i]);
        EXPECT(!none[i].known && belief.weight[0] == 1);
        EXPECT(resemblance_inflation(&belief) == 1);
    }
    for (size_t k = 0; k < RESEMBLANCE_COUNT; k++)
        sum += prior.weight[k];
    EXPECT_NEAR(sum, 1, 1e-12);
    prior = resemblance_learn(NULL, 0);
    EXPECT(prior.weight[0] > 0.5);
}

/* Fifty metrics of one machine: the share of comparisons in which any is called different. */
static double alarms(double r)
{
    static double a[METRICS][RUNS];
    static double b[METRICS][RUNS];
    static struct resemblance likelihoods[METRICS];
    struct random random = random_begin(5);
    int count = 0;

    for (int round = 0; round < REPETITIONS; round++) {
        double p[METRICS];
        double adjusted[METRICS];
        bool alarm = false;
        for (int k = 0; k < METRICS; k++) {
            series(&random, r, a[k], RUNS);
            series(&random, r, b[k], RUNS);
            likelihoods[k] = resemblance_of(a[k], RUNS, b[k], RUNS);
        }
        struct resemblance prior = resemblance_learn(likelihoods, METRICS);
        for (int k = 0; k < METRICS; k++) {
            struct resemblance belief = resemblance_believe(&prior, &likelihoods[k]);
            p[k] = compare_mann_whitney_timed(a[k], RUNS, b[k], RUNS, &belief).p;
        }
        compare_adjust(p, METRICS, adjusted);
        for (int k = 0; k < METRICS; k++)
            alarm = alarm || adjusted[k] <= 0.05;
        count += alarm;
    }
    return (double)count / REPETITIONS;
}

TEST(neighbours_that_resemble_each_other_raise_no_alarms)
{
    const double correlations[] = {0, 0.15, 0.3, 0.6, 0.9};

    for (size_t i = 0; i < 5; i++) {
        double share = alarms(correlations[i]);
        printf("# r = %.2f: %.3f\n", correlations[i], share);
        EXPECT(share <= 0.05);
    }
}

/* Whoever knows that r is 0.6 sees a shift of 5 % in scatter of 3 % in 91 of 100. */
TEST(a_shift_is_seen_nearly_as_often_as_by_who_knows_the_memory)
{
    struct random random = random_begin(6);
    double a[RUNS];
    double b[RUNS];
    int seen = 0;

    for (int round = 0; round < 4 * REPETITIONS; round++) {
        series(&random, 0.6, a, RUNS);
        series(&random, 0.6, b, RUNS);
        for (int i = 0; i < RUNS; i++)
            b[i] += 5.0 / 3;
        struct resemblance likelihood = resemblance_of(a, RUNS, b, RUNS);
        struct resemblance prior = resemblance_learn(&likelihood, 1);
        struct resemblance belief = resemblance_believe(&prior, &likelihood);
        seen += compare_mann_whitney_timed(a, RUNS, b, RUNS, &belief).p <= 0.05;
    }
    printf("# %.3f\n", seen / (4.0 * REPETITIONS));
    EXPECT(seen >= 0.78 * 4 * REPETITIONS);
}

TEST(ranks_of_independent_runs_say_what_the_rank_test_says)
{
    struct random random = random_begin(7);
    double a[RUNS];
    double b[RUNS];
    double p[RESEMBLANCE_COUNT];

    for (int round = 0; round < REPETITIONS; round++) {
        series(&random, 0, a, RUNS);
        series(&random, 0, b, RUNS);
        resemblance_rank_distance(a, RUNS, b, RUNS, p);
        EXPECT_NEAR(p[0], compare_mann_whitney(a, RUNS, b, RUNS, COMPARE_AUTO).p, 0.02);
    }
    for (int i = 0; i < RUNS; i++)
        a[i] = 1;
    resemblance_rank_distance(a, RUNS, a, RUNS, p);
    EXPECT(isnan(p[0]) && isnan(p[50]));
}

TEST_MAIN
