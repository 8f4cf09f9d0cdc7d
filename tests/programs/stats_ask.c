/* SPDX-License-Identifier: Apache-2.0 */
/* stats_ask - the functions of src/stats at the end of a pipe, for those who compare them with
 * other programs. Each line of standard input is a question, each line of standard output its
 * answer: NAME NUMBER... | NUMBER...      ->  NUMBER... where "|" separates samples. An unknown
 * name answers "?". */
#include "base/str.h"
#include "stats/array.h"
#include "stats/bootstrap.h"
#include "stats/changepoint.h"
#include "stats/compare.h"
#include "stats/distribution.h"
#include "stats/paired.h"
#include "stats/trend.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX 3

struct question {
    double *values[SAMPLES_MAX];
    size_t counts[SAMPLES_MAX];
};

struct answer {
    const char *name;
    void (*write)(const struct question *question);
};

#define A       question->values[0]
#define A_COUNT question->counts[0]
#define B       question->values[1]
#define B_COUNT question->counts[1]

static void write_mann_whitney(const struct question *question, enum compare_method method)
{
    struct mann_whitney test = compare_mann_whitney(A, A_COUNT, B, B_COUNT, method);

    printf("%.17g %.17g %.17g %s\n", test.u, test.p, test.cliff, compare_method_name(test.method));
}

static void answer_mann_whitney(const struct question *question)
{
    write_mann_whitney(question, COMPARE_AUTO);
}

static void answer_mann_whitney_exact(const struct question *question)
{
    write_mann_whitney(question, COMPARE_EXACT);
}

static void write_signed_rank(const struct question *question, enum compare_method method)
{
    struct signed_rank test = paired_signed_rank(A, A_COUNT, method);

    printf("%.17g %.17g %.17g %s\n", test.w, test.p, test.dominance,
           compare_method_name(test.method));
}

static void answer_signed_rank(const struct question *question)
{
    write_signed_rank(question, COMPARE_AUTO);
}

static void answer_signed_rank_exact(const struct question *question)
{
    write_signed_rank(question, COMPARE_EXACT);
}

static void answer_signed_rank_normal(const struct question *question)
{
    write_signed_rank(question, COMPARE_NORMAL);
}

static void answer_paired_shift(const struct question *question)
{
    struct shift shift = paired_shift(A, A_COUNT, 0.95);

    printf("%.17g %.17g %.17g\n", shift.shift, shift.interval.low, shift.interval.high);
}

static void answer_welch(const struct question *question)
{
    struct welch test = compare_welch(A, A_COUNT, B, B_COUNT);

    printf("%.17g %.17g %.17g\n", test.t, test.freedom, test.p);
}

static void answer_kolmogorov_smirnov(const struct question *question)
{
    struct kolmogorov_smirnov test = compare_kolmogorov_smirnov(A, A_COUNT, B, B_COUNT);

    printf("%.17g %.17g\n", test.d, test.p);
}

static void answer_permutation(const struct question *question)
{
    printf("%.17g\n", compare_permutation(A, A_COUNT, B, B_COUNT, 1));
}

static void answer_adjust(const struct question *question)
{
    double *adjusted CLEANUP(array_freep) = array_new(A_COUNT);

    compare_adjust(A, A_COUNT, adjusted);
    for (size_t i = 0; i < A_COUNT; i++)
        printf("%.17g ", adjusted[i]);
    printf("\n");
}

static void answer_describe(const struct question *question)
{
    struct describe answer = describe(A, A_COUNT);

    printf("%.17g %.17g %.17g %.17g %.17g %.17g %.17g\n", answer.mean, answer.deviation,
           answer.median, answer.mad, answer.quartile_low, answer.quartile_high,
           describe_trimmed_mean(A, A_COUNT, 0.1));
}

static void answer_dip(const struct question *question)
{
    struct dip dip = describe_dip(A, A_COUNT);

    printf("%.17g %.17g\n", dip.dip, dip.p);
}

static void answer_bootstrap(const struct question *question)
{
    struct interval interval = {0};
    struct bootstrap plan = {A, A_COUNT, NULL, 0, bootstrap_mean, 0.95, 20000, 1};

    (void)bootstrap_interval(&plan, &interval); /* Stays 0 when refused. */
    printf("%.17g %.17g\n", interval.low, interval.high);
}

static void answer_theil_sen(const struct question *question)
{
    struct trend_line line = trend_theil_sen(A, B, A_COUNT);

    printf("%.17g %.17g\n", line.slope, line.intercept);
}

static void answer_kendall(const struct question *question)
{
    struct mann_kendall kendall = trend_mann_kendall(A, A_COUNT);

    printf("%.17g %.17g %.17g\n", kendall.s, kendall.tau, kendall.variance);
}

static void answer_changepoints(const struct question *question)
{
    struct changepoint *found CLEANUP(changepoint_freep) = NULL;
    struct changepoint_options options = CHANGEPOINT_OPTIONS_DEFAULT;
    size_t count = changepoint_find(A, A_COUNT, &options, &found);

    for (size_t i = 0; i < count; i++)
        printf("%zu ", found[i].index);
    printf("\n");
}

#define FUNCTION_1(name, call)                                 \
    static void answer_##name(const struct question *question) \
    {                                                          \
        printf("%.17g\n", call(A[0]));                         \
    }
#define FUNCTION_2(name, call)                                 \
    static void answer_##name(const struct question *question) \
    {                                                          \
        printf("%.17g\n", call(A[0], A[1]));                   \
    }
#define FUNCTION_3(name, call)                                 \
    static void answer_##name(const struct question *question) \
    {                                                          \
        printf("%.17g\n", call(A[0], A[1], A[2]));             \
    }
FUNCTION_1(normal_sf, normal_sf)
FUNCTION_1(normal_quantile, normal_quantile)
FUNCTION_1(kolmogorov_sf, kolmogorov_sf)
FUNCTION_2(student_sf, student_sf)
FUNCTION_2(student_quantile, student_quantile)
FUNCTION_2(chi_square_sf, chi_square_sf)
FUNCTION_2(gamma_sf, gamma_sf)
FUNCTION_3(beta_cdf, beta_cdf)
FUNCTION_3(fisher_sf, fisher_sf)
FUNCTION_3(binomial_cdf, binomial_cdf)

static const struct answer answers[] = {
    {"mann_whitney", answer_mann_whitney},
    {"mann_whitney_exact", answer_mann_whitney_exact},
    {"signed_rank", answer_signed_rank},
    {"signed_rank_exact", answer_signed_rank_exact},
    {"signed_rank_normal", answer_signed_rank_normal},
    {"paired_shift", answer_paired_shift},
    {"welch", answer_welch},
    {"kolmogorov_smirnov", answer_kolmogorov_smirnov},
    {"permutation", answer_permutation},
    {"adjust", answer_adjust},
    {"describe", answer_describe},
    {"dip", answer_dip},
    {"bootstrap", answer_bootstrap},
    {"theil_sen", answer_theil_sen},
    {"kendall", answer_kendall},
    {"changepoints", answer_changepoints},
    {"normal_sf", answer_normal_sf},
    {"normal_quantile", answer_normal_quantile},
    {"kolmogorov_sf", answer_kolmogorov_sf},
    {"student_sf", answer_student_sf},
    {"student_quantile", answer_student_quantile},
    {"chi_square_sf", answer_chi_square_sf},
    {"gamma_sf", answer_gamma_sf},
    {"beta_cdf", answer_beta_cdf},
    {"fisher_sf", answer_fisher_sf},
    {"binomial_cdf", answer_binomial_cdf},
};

/* Samples of numbers; at most three, and a number per two bytes at most. */
static void read_samples(char *text, struct question *question)
{
    size_t sample = 0;

    for (char *word = strtok(text, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        double value;
        if (strcmp(word, "|") == 0 && sample + 1 < SAMPLES_MAX)
            sample++;
        else if (str_to_double(str_of(word), &value))
            question->values[sample][question->counts[sample]++] = value;
    }
}

static void reply(char *line, size_t size)
{
    struct question question = {0};
    char *space = strchr(line, ' ');
    const struct answer *answer = NULL;

    if (space == NULL)
        space = line + strlen(line);
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        if (str_eq(str_of(answers[i].name), (struct str){line, (size_t)(space - line)}))
            answer = &answers[i];
    }
    if (answer == NULL) {
        printf("?\n");
        return;
    }
    for (int i = 0; i < SAMPLES_MAX; i++)
        question.values[i] = array_new(size / 2 + 1);
    read_samples(space, &question);
    answer->write(&question);
    for (int i = 0; i < SAMPLES_MAX; i++)
        array_free(question.values[i]);
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    while ((size = getline(&line, &capacity, stdin)) > 0) {
        reply(line, (size_t)size);
        fflush(stdout);
    }
    free(line);
    return 0;
}
