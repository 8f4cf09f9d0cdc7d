/* SPDX-License-Identifier: Apache-2.0 */
/* bench_quantile - nanoseconds to add, merge, ask and write, in CPU time of this thread. */
#include "sketch/quantile.h"
#include "sketch/quantile_fixed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VALUES_COUNT (1 << 16)

static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void log_normal(double *values)
{
    srand(7);
    for (int i = 0; i < VALUES_COUNT; i++) {
        double a = (rand() + 1.0) / (RAND_MAX + 2.0);
        double b = (rand() + 1.0) / (RAND_MAX + 2.0);

        values[i] = exp(14 + 1.5 * sqrt(-2 * log(a)) * cos(6.283185307179586 * b));
    }
}

int main(void)
{
    static double values[VALUES_COUNT];
    static struct quantile_fixed fixed;
    const int rounds = 100;
    const double adds = (double)rounds * VALUES_COUNT;
    volatile double sink = 0;
    struct buf out = {0};
    double start;

    log_normal(values);
    for (unsigned precision = 0; precision <= QUANTILE_PRECISION_MAX; precision++) {
        struct quantile *sketch = quantile_new(precision, 0);
        struct quantile *into = quantile_new(precision, 0);

        start = now_ns();
        for (int i = 0; i < rounds; i++)
            for (int j = 0; j < VALUES_COUNT; j++)
                quantile_add(sketch, values[j]);
        printf("precision %u (%.3f %%): add %.2f ns", precision, quantile_error(precision) * 100,
               (now_ns() - start) / adds);
        start = now_ns();
        for (int i = 0; i < 10000; i++)
            quantile_merge(into, sketch);
        printf(", merge %.0f ns", (now_ns() - start) / 10000);
        start = now_ns();
        for (int i = 0; i < 10000; i++)
            sink = sink + quantile_at(sketch, 0.99);
        printf(", ask %.0f ns", (now_ns() - start) / 10000);
        buf_clear(&out);
        quantile_write(sketch, &out);
        printf(", %zu bytes written\n", out.size);
        quantile_free(sketch);
        quantile_free(into);
    }
    start = now_ns();
    for (int i = 0; i < rounds; i++)
        for (int j = 0; j < VALUES_COUNT; j++)
            quantile_fixed_add(&fixed, (uint64_t)values[j]);
    printf("fixed, %zu bytes: add %.2f ns\n", sizeof fixed, (now_ns() - start) / adds);
    buf_done(&out);
    return 0;
}
