/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/random.h"
#include "stats/verdict_paired.h"
#include "test.h"

#include <math.h>

enum { RUNS = 30, METRICS = 10, REPETITIONS = 100, LOOKS = 40 };

/* How a machine wanders over the runs of both sides, about 0 with a scatter of about 1. */
enum wander { STILL, RESTLESS, SLOW, RAMP, STEP };

static void wander(struct random *random, enum wander how, double *ret_speed)
{
    const double memory = how == RESTLESS ? 0.4 : 0.95;
    double here = random_normal(random);

    for (int i = 0; i < 2 * RUNS; i++) {
        ret_speed[i] = how == STILL  ? 0
                       : how == RAMP ? (double)i / RUNS
                       : how == STEP ? 2.0 * (i >= RUNS)
                                     : here;
        here = memory * here + sqrt(1 - memory * memory) * random_normal(random);
    }
}

struct trial {
    enum wander how;
    double drift; /* Of the machine, */
    double noise; /* and of a single run, as shares. */
    double shift; /* Of the first metric. */
};

struct series {
    double before[METRICS][RUNS];
    double after[METRICS][RUNS];
    struct verdict_input inputs[METRICS];
    struct verdict_pairs pairs[METRICS];
};

/* Every fifth metric can be 0, as a count of errors; every seventh is coarse; each wanders its own
 * way. Who goes first changes from round to round. */
static void measure(struct random *random, const struct trial *trial, struct series *series)
{
    double speed[2 * RUNS];

    for (int k = 0; k < METRICS; k++) {
        wander(random, trial->how, speed);
        for (int i = 0; i < RUNS; i++) {
            double *before = &series->before[k][i];
            double *after = &series->after[k][i];
            *before = 100 * exp(trial->drift * speed[2 * i + i % 2] +
                                trial->noise * random_normal(random));
            *after =
                100 * (k == 0 ? 1 + trial->shift : 1) *
                exp(trial->drift * speed[2 * i + 1 - i % 2] + trial->noise * random_normal(random));
            if (k % 5 == 4) {
                *before = i == k ? 0 : fmax(*before - 100, 0);
                *after = fmax(*after - 100, 0);
            } else if (k % 7 == 6) {
                *before = rint(*before);
                *after = rint(*after);
            }
        }
        series->inputs[k] = (struct verdict_input){series->before[k], RUNS, series->after[k], RUNS,
                                                   VERDICT_OPTIONS_DEFAULT};
        series->inputs[k].options.min_change = 0; /* It would hide false alarms. */
        series->pairs[k] = (struct verdict_pairs){series->before[k], series->after[k], RUNS};
    }
}

/* A run of many metrics is a false alarm when any of them is called a change. */
TEST(a_against_a_on_a_wandering_machine_is_called_a_change_in_at_most_one_run_of_twenty)
{
    static const struct trial trials[] = {{STILL, 0, 0.03, 0},      {RESTLESS, 0.1, 0.001, 0},
                                          {RESTLESS, 0.1, 0.05, 0}, {SLOW, 0.1, 0.01, 0},
                                          {RAMP, 0.1, 0.01, 0},     {STEP, 0.1, 0.01, 0}};
    struct random random = random_begin(2026);
    int all = 0;

    for (size_t t = 0; t < ARRAY_COUNT(trials); t++) {
        int alarms = 0;
        for (int round = 0; round < REPETITIONS; round++) {
            static struct series series;
            static struct verdict verdicts[METRICS];
            bool alarm = false;
            measure(&random, &trials[t], &series);
            verdict_judge_paired(series.inputs, series.pairs, METRICS, verdicts);
            for (int k = 0; k < METRICS; k++) {
                EXPECT((verdicts[k].pairs == 0) == (k % 5 == 4));
                alarm = alarm || verdicts[k].kind == VERDICT_DEGRADED ||
                        verdicts[k].kind == VERDICT_IMPROVED;
            }
            alarms += alarm;
        }
        printf("# machine %zu: %d of %d runs called a change\n", t, alarms, REPETITIONS);
        EXPECT(alarms <= REPETITIONS / 10); /* Chance has a say in a hundred. */
        all += alarms;
    }
    EXPECT(all <= (int)ARRAY_COUNT(trials) * REPETITIONS / 20);
}

struct seen {
    int paired;
    int unpaired;
};

static struct seen seen(const struct trial *trial)
{
    struct random random = random_begin(9);
    struct seen seen = {0};

    for (int round = 0; round < LOOKS; round++) {
        static struct series series;
        static struct verdict verdicts[METRICS];
        measure(&random, trial, &series);
        verdict_judge_paired(series.inputs, series.pairs, METRICS, verdicts);
        seen.paired += verdicts[0].kind == VERDICT_DEGRADED;
        verdict_judge_all(series.inputs, METRICS, verdicts);
        seen.unpaired += verdicts[0].kind == VERDICT_DEGRADED;
    }
    return seen;
}

TEST(a_shift_that_the_machine_hides_is_seen_between_neighbours)
{
    const struct trial five = {SLOW, 0.1, 0.01, 0.05};
    const struct trial three = {SLOW, 0.05, 0.01, 0.03};
    const struct trial two = {RAMP, 0.1, 0.01, 0.02};
    struct seen fives = seen(&five);
    struct seen threes = seen(&three);
    struct seen twos = seen(&two);

    printf("# of %d with pairs and without: 5 %% %d %d, 3 %% %d %d, 2 %% %d %d\n", LOOKS,
           fives.paired, fives.unpaired, threes.paired, threes.unpaired, twos.paired,
           twos.unpaired);
    EXPECT(fives.paired >= 36 && fives.unpaired <= 2);
    EXPECT(threes.paired >= 36 && threes.unpaired <= 2);
    EXPECT(twos.paired >= 36 && twos.unpaired <= 2);
}

TEST(on_a_machine_that_keeps_still_pairs_cost_little)
{
    const struct trial trial = {STILL, 0, 0.03, 0.05};
    struct seen counts = seen(&trial);

    printf("# of %d with pairs %d, without %d\n", LOOKS, counts.paired, counts.unpaired);
    EXPECT(counts.paired >= 36);
}

TEST(few_pairs_are_judged_as_two_samples)
{
    static struct series series;
    static struct verdict verdicts[METRICS];
    static struct verdict unpaired[METRICS];
    const struct trial trial = {STILL, 0, 0.03, 0};
    struct random random = random_begin(10);

    measure(&random, &trial, &series);
    for (int k = 0; k < METRICS; k++)
        series.pairs[k].count = 8; /* Too few for ten metrics, */
    verdict_judge_paired(series.inputs, series.pairs, METRICS, verdicts);
    verdict_judge_all(series.inputs, METRICS, unpaired);
    for (int k = 0; k < METRICS; k++)
        EXPECT(verdicts[k].pairs == 0 && verdicts[k].p_adjusted == unpaired[k].p_adjusted &&
               verdicts[k].kind == unpaired[k].kind);
    verdict_judge_paired(series.inputs, series.pairs, 1, verdicts);
    EXPECT(verdicts[0].pairs == 8); /* but enough for one. */
}

TEST(change_interval_and_noise_are_those_of_the_ratios)
{
    static struct series series;
    static struct verdict verdicts[METRICS];
    const struct trial trial = {RAMP, 0.3, 0.01, 0.3};
    struct random random = random_begin(11);

    measure(&random, &trial, &series);
    verdict_judge_paired(series.inputs, series.pairs, METRICS, verdicts);
    EXPECT(verdicts[0].severity == VERDICT_CRITICAL);
    EXPECT_NEAR(verdicts[0].change, 0.3, 0.02);
    EXPECT(verdicts[0].change_interval.low > 0.27 && verdicts[0].change_interval.high < 0.33);
    EXPECT(verdicts[0].cliff == 1);
    EXPECT_NEAR(verdicts[0].noise, 0.01, 0.006); /* Of 30 % that the machine did meanwhile. */
    EXPECT(verdicts[1].kind == VERDICT_STABLE && verdicts[1].more_runs == 0);
}

TEST(what_never_varies_is_stable_and_no_test)
{
    double same[RUNS];
    const struct verdict_options options = VERDICT_OPTIONS_DEFAULT;
    struct verdict verdicts[2];

    for (int i = 0; i < RUNS; i++)
        same[i] = 7;
    const struct verdict_input inputs[] = {{same, RUNS, same, RUNS, options},
                                           {same, RUNS, same, RUNS, options}};
    const struct verdict_pairs pairs[] = {{same, same, RUNS}, {same, same, 0}};
    verdict_judge_paired(inputs, pairs, 2, verdicts);
    EXPECT(verdicts[0].kind == VERDICT_STABLE && verdicts[0].pairs == RUNS);
    EXPECT(verdicts[1].kind == VERDICT_STABLE && verdicts[1].pairs == 0);
    verdict_judge_paired(inputs, pairs, 0, verdicts);
}

TEST_MAIN
