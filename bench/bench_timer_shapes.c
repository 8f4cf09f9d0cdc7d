/* SPDX-License-Identifier: Apache-2.0 */
/* What libsonde's numbers are worth and weigh: its quantiles against an exact sort on five shapes
 * of durations, and resident bytes for each operation of each thread. Prints key=value words. */
#include "sonde/sonde.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VALUES_COUNT = 500000,
    THREADS_COUNT = 4,
    OPERATIONS_COUNT = 900,
};

static uint64_t state = 88172645463325252U;

/* In (0, 1). */
static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double draw_uniform(void)
{
    return 1e6 + 99e6 * uniform();
}

static double draw_exponential(void)
{
    return -2e7 * log(uniform());
}

static double draw_lognormal(void)
{
    return exp(15 + 1.2 * normal());
}

/* A cache that is hit in nine of ten calls. */
static double draw_bimodal(void)
{
    return uniform() < 0.9 ? fabs(2e5 + 2e4 * normal()) : fabs(8e7 + 5e6 * normal());
}

/* Infinite variance. */
static double draw_pareto(void)
{
    return fmin(1e6 / pow(uniform(), 1 / 1.5), 3.5e12);
}

static const struct shape {
    const char *name;
    double (*draw)(void);
} shapes[] = {
    {"uniform", draw_uniform}, {"exponential", draw_exponential}, {"lognormal", draw_lognormal},
    {"bimodal", draw_bimodal}, {"pareto", draw_pareto},
};

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static double worst_error(struct sonde *sonde, const struct shape *shape, int64_t *values)
{
    static const double quantiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};
    struct sonde_operation *operation = sonde_operation(sonde, shape->name);
    double worst = 0;

    for (int i = 0; i < VALUES_COUNT; i++) {
        values[i] = (int64_t)shape->draw();
        sonde_record(operation, values[i], false);
    }
    qsort(values, VALUES_COUNT, sizeof(*values), by_value);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double exact = (double)values[(size_t)ceil(quantiles[i] * VALUES_COUNT) - 1];
        double told = sonde_quantile_ms(operation, quantiles[i]) * 1e6;
        worst = fmax(worst, fabs(told / exact - 1));
    }
    return worst;
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL)
        return NAN;
    if (fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    (void)fclose(file); /* Only read. */
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

struct crowd {
    struct sonde *sonde;
    pthread_barrier_t recorded;
    pthread_barrier_t measured;
};

static void *record_all(void *argument)
{
    struct crowd *crowd = argument;
    char name[16];

    for (int i = 0; i < OPERATIONS_COUNT; i++) {
        (void)snprintf(name, sizeof(name), "o%d", i); /* Fits. */
        /* Far apart, so that every page of the histogram is touched. */
        for (int64_t ns = 1; ns < INT64_C(3000000000000); ns = ns * 3 / 2 + 1)
            sonde_record(sonde_operation(crowd->sonde, name), ns, false);
    }
    (void)pthread_barrier_wait(&crowd->recorded); /* Its answer is not needed. */
    (void)pthread_barrier_wait(&crowd->measured); /* Likewise. */
    return NULL;
}

static double bytes_each(struct sonde *sonde)
{
    struct crowd crowd = {.sonde = sonde};
    pthread_t threads[THREADS_COUNT];

    (void)pthread_barrier_init(&crowd.recorded, NULL, THREADS_COUNT + 1); /* Cannot fail. */
    (void)pthread_barrier_init(&crowd.measured, NULL, THREADS_COUNT + 1); /* Likewise. */
    double before = resident_bytes();
    for (int i = 0; i < THREADS_COUNT; i++) {
        if (pthread_create(&threads[i], NULL, record_all, &crowd) != 0)
            exit(EXIT_FAILURE);
    }
    (void)pthread_barrier_wait(&crowd.recorded); /* Its answer is not needed. */
    double after = resident_bytes();
    (void)pthread_barrier_wait(&crowd.measured); /* Likewise. */
    for (int i = 0; i < THREADS_COUNT; i++)
        (void)pthread_join(threads[i], NULL); /* Created above. */
    return (after - before) / (THREADS_COUNT * OPERATIONS_COUNT);
}

int main(void)
{
    struct sonde *sonde = sonde_open(NULL);
    int64_t *values = calloc(VALUES_COUNT, sizeof(*values));

    if (values == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        printf("error_%s=%.5f ", shapes[i].name, worst_error(sonde, &shapes[i], values));
    free(values);
    sonde_close(sonde);
    sonde = sonde_open(NULL);
    printf("bytes_each=%.0f\n", bytes_each(sonde));
    sonde_close(sonde);
    return EXIT_SUCCESS;
}
