/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/random.h"
#include "stats/verdict.h"
#include "test.h"

enum { RUNS = 30, METRICS = 50, REPETITIONS = 200 };

/* A metric of its own kind: noise of 1 … 8 %, every third with a long tail, every fifth coarse. */
static void measure(struct random *random, int metric, double factor, double *ret_runs)
{
    double noise = 0.01 + 0.01 * (metric % 8);

    for (int i = 0; i < RUNS; i++) {
        double value = 1 + noise * random_normal(random);
        if (metric % 3 == 0)
            value += noise * -log(1 - random_unit(random));
        value *= 100 * factor;
        ret_runs[i] = metric % 5 == 0 ? floor(value * 2) / 2 : value;
    }
}

static struct verdict judge(const double *a, size_t a_count, const double *b, size_t b_count)
{
    struct verdict_input input = {a, a_count, b, b_count, VERDICT_OPTIONS_DEFAULT};

    return verdict_judge(&input);
}

/* A run of fifty metrics is a false alarm when any of them is called a change. */
TEST(a_against_a_is_called_a_change_in_at_most_one_run_of_twenty)
{
    struct random random = random_begin(2024);
    int alarms = 0;
    int degraded = 0;

    for (int round = 0; round < REPETITIONS; round++) {
        static double a[METRICS][RUNS];
        static double b[METRICS][RUNS];
        static struct verdict_input inputs[METRICS];
        static struct verdict verdicts[METRICS];
        bool alarm = false;
        bool failed = false;
        for (int k = 0; k < METRICS; k++) {
            measure(&random, k, 1, a[k]);
            measure(&random, k, 1, b[k]);
            inputs[k] = (struct verdict_input){a[k], RUNS, b[k], RUNS, VERDICT_OPTIONS_DEFAULT};
        }
        verdict_judge_all(inputs, METRICS, verdicts);
        for (int k = 0; k < METRICS; k++) {
            alarm = alarm || verdicts[k].kind == VERDICT_DEGRADED ||
                    verdicts[k].kind == VERDICT_IMPROVED;
            failed = failed || verdicts[k].kind == VERDICT_DEGRADED;
        }
        alarms += alarm;
        degraded += failed;
    }
    printf("# %d of %d runs called a change, %d a degradation\n", alarms, REPETITIONS, degraded);
    EXPECT(alarms <= REPETITIONS / 20);
    EXPECT(degraded <= REPETITIONS / 20);
}

static double detected(double noise, int metrics)
{
    struct random random = random_begin(7);
    int seen = 0;

    for (int round = 0; round < REPETITIONS; round++) {
        static double a[METRICS][RUNS];
        static double b[METRICS][RUNS];
        static struct verdict_input inputs[METRICS];
        static struct verdict verdicts[METRICS];
        for (int k = 0; k < metrics; k++) {
            for (int i = 0; i < RUNS; i++) {
                a[k][i] = 100 * (1 + noise * random_normal(&random));
                b[k][i] = 100 * (k == 0 ? 1.05 : 1) * (1 + noise * random_normal(&random));
            }
            inputs[k] = (struct verdict_input){a[k], RUNS, b[k], RUNS, VERDICT_OPTIONS_DEFAULT};
        }
        verdict_judge_all(inputs, (size_t)metrics, verdicts);
        seen += verdicts[0].kind == VERDICT_DEGRADED;
    }
    return (double)seen / REPETITIONS;
}

TEST(a_shift_of_five_percent_is_seen_by_thirty_runs)
{
    printf("# alone: %.3f at 3 %% noise, %.3f at 5 %%; among fifty: %.3f at 3 %%\n",
           detected(0.03, 1), detected(0.05, 1), detected(0.03, METRICS));
    EXPECT(detected(0.03, 1) >= 0.95);
    EXPECT(detected(0.05, 1) >= 0.90);
    EXPECT(detected(0.03, METRICS) >= 0.95);
}

static void fill(double *runs, size_t count, double centre, double noise, uint64_t seed)
{
    struct random random = random_begin(seed);

    for (size_t i = 0; i < count; i++)
        runs[i] = centre * (1 + noise * random_normal(&random));
}

TEST(the_severity_is_measured_by_the_threshold)
{
    double a[RUNS];
    double b[RUNS];

    fill(a, RUNS, 100, 0.01, 1);
    fill(b, RUNS, 105, 0.01, 2);
    EXPECT(judge(a, RUNS, b, RUNS).severity == VERDICT_INFO);
    fill(b, RUNS, 115, 0.01, 2);
    EXPECT(judge(a, RUNS, b, RUNS).severity == VERDICT_WARNING);
    fill(b, RUNS, 130, 0.01, 2);
    struct verdict verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.severity == VERDICT_CRITICAL && verdict.kind == VERDICT_DEGRADED);
    EXPECT_NEAR(verdict.change, 0.3, 0.02);
    EXPECT(verdict.change_interval.low > 0.28 && verdict.change_interval.high < 0.32);
    verdict = judge(b, RUNS, a, RUNS);
    EXPECT(verdict.kind == VERDICT_IMPROVED);
}

TEST(more_can_be_better)
{
    double a[RUNS];
    double b[RUNS];
    struct verdict_input input = {a, RUNS, b, RUNS, VERDICT_OPTIONS_DEFAULT};

    fill(a, RUNS, 100, 0.01, 1);
    fill(b, RUNS, 120, 0.01, 2);
    input.options.higher_is_better = true;
    EXPECT(verdict_judge(&input).kind == VERDICT_IMPROVED);
}

/* With very many runs a shift of no importance is certain; it is still of no importance. */
TEST(a_certain_but_small_change_is_stable)
{
    static double a[4000];
    static double b[4000];

    fill(a, 4000, 100, 0.01, 1);
    fill(b, 4000, 100.5, 0.01, 2);
    struct verdict verdict = judge(a, 4000, b, 4000);
    EXPECT(verdict.p < 1e-6);
    EXPECT(verdict.kind == VERDICT_STABLE && verdict.reason == VERDICT_REASON_SMALL);
}

TEST(too_few_or_too_noisy_runs_cannot_tell)
{
    double a[RUNS];
    double b[RUNS];
    struct buf out CLEANUP(buf_done) = {0};
    struct verdict_options options = VERDICT_OPTIONS_DEFAULT;

    fill(a, RUNS, 100, 0.01, 1);
    fill(b, RUNS, 150, 0.01, 2);
    struct verdict verdict = judge(a, 3, b, 3);
    EXPECT(verdict.kind == VERDICT_CANNOT_TELL && verdict.reason == VERDICT_REASON_FEW);
    verdict_write_reason(&verdict, &options, &out);
    EXPECT_TEXT(buf_cstr(&out), "need >= 4 samples of each");
    fill(a, RUNS, 100, 0.4, 1);
    fill(b, RUNS, 100, 0.4, 2);
    verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.kind == VERDICT_CANNOT_TELL && verdict.reason == VERDICT_REASON_NOISE);
    EXPECT(verdict.more_runs > 100);
    fill(a, RUNS, 100, 0.01, 1);
    fill(b, RUNS, 100, 0.01, 2);
    verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.kind == VERDICT_STABLE && verdict.reason == VERDICT_REASON_EXCLUDED);
    EXPECT(verdict.more_runs == 0);
}

/* Noise is that of the usual run; one of five that took twice as long still leaves much open. */
TEST(what_wild_runs_leave_open_is_told)
{
    const double a[] = {100, 101, 99, 100, 200};
    const double b[] = {100, 102, 99, 101, 190};
    struct buf out CLEANUP(buf_done) = {0};
    struct verdict_options options = VERDICT_OPTIONS_DEFAULT;
    struct verdict verdict = judge(a, 5, b, 5);

    EXPECT(verdict.kind == VERDICT_CANNOT_TELL && verdict.more_runs == 0);
    verdict_write_reason(&verdict, &options, &out);
    EXPECT(strstr(buf_cstr(&out), "% is left open") != NULL);
    printf("# %s\n", buf_cstr(&out));
}

TEST(two_hills_are_pointed_out)
{
    double a[RUNS];
    double b[RUNS];

    fill(a, RUNS, 100, 0.01, 1);
    fill(b, RUNS, 100, 0.01, 2);
    for (int i = 0; i < RUNS; i += 2)
        b[i] *= 1.3;
    struct verdict verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.after_many_hills && !verdict.before_many_hills);
}

/* The runs after drift, so they say little of each other, but all of them are seven times less. */
TEST(what_is_far_beyond_any_drift_is_seen_although_neighbours_resemble_each_other)
{
    double before[12];
    double after[24];
    struct random random = random_begin(3);

    for (int i = 0; i < 12; i++)
        before[i] = 5600 + 180 * random_normal(&random);
    for (int i = 0; i < 24; i++)
        after[i] = 820 - (i < 12 ? 0 : 22 * (i - 12)) + 20 * random_normal(&random);
    const struct verdict_options options = {.alpha = 0.05,
                                            .min_change = 0.02,
                                            .threshold = 0.1,
                                            .min_cliff = 0.5,
                                            .higher_is_better = true};
    struct verdict_input input = {before, 12, after, 24, options};
    struct verdict verdict = verdict_judge(&input);
    EXPECT(verdict.inflation > 10 && verdict.kind == VERDICT_DEGRADED);
    /* Within what such a drift does by itself, nobody knows. */
    for (int i = 0; i < 12; i++)
        before[i] = 700 + 20 * random_normal(&random);
    input.after_count = 12;
    for (int i = 0; i < 12; i++)
        after[i] = 900 - 30 * i + 5 * random_normal(&random);
    EXPECT(verdict_judge(&input).kind == VERDICT_CANNOT_TELL);
}

TEST(errors_from_nothing_are_an_infinite_change)
{
    double a[RUNS] = {0};
    double b[RUNS];

    fill(b, RUNS, 0.1, 0.01, 2);
    struct verdict verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.kind == VERDICT_DEGRADED && isinf(verdict.change));
    EXPECT(judge(a, RUNS, a, RUNS).kind == VERDICT_STABLE);
}

/* Errors in two runs of five, where there was one in thirty: medians are 0 on both sides. */
TEST(what_seldom_happens_is_judged_by_its_mean)
{
    double a[RUNS] = {0};
    double b[RUNS] = {0};

    a[7] = 5;
    for (int i = 0; i < RUNS; i += 5)
        b[i] = b[i + 2] = 5;
    struct verdict verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.kind == VERDICT_DEGRADED && verdict.severity == VERDICT_CRITICAL);
    EXPECT(verdict.by_means);
    EXPECT_NEAR(verdict.change, 11, 1e-9);
    verdict = judge(a, RUNS, a, RUNS);
    EXPECT(!verdict.by_means && verdict.kind != VERDICT_DEGRADED);
    memset(b, 0, sizeof(b));
    b[3] = 6;
    verdict = judge(a, RUNS, b, RUNS); /* Seen once on either side: nobody knows. */
    EXPECT(verdict.kind == VERDICT_CANNOT_TELL);
}

TEST(scatter_about_nothing_is_told_in_words)
{
    double a[RUNS];
    double b[RUNS];
    struct buf out CLEANUP(buf_done) = {0};
    struct verdict_options options = VERDICT_OPTIONS_DEFAULT;

    for (int i = 0; i < RUNS; i++) {
        a[i] = i * 4 % 15 - 7; /* From -7 to 7, twice. */
        b[i] = i * 7 % 15 - 7;
    }
    struct verdict verdict = judge(a, RUNS, b, RUNS);
    EXPECT(verdict.kind == VERDICT_CANNOT_TELL);
    verdict_write_reason(&verdict, &options, &out);
    EXPECT_TEXT(buf_cstr(&out), "values scatter about 0, of which nothing is a share");
}

TEST_MAIN
