/* SPDX-License-Identifier: Apache-2.0 */
/* bench_statistics - how long the tests take on two samples from files of doubles, and what they
 * say: bench_statistics A B    ->  {"mann_whitney": {"ms": …, "p": …, "u": …}, …} Milliseconds are
 * CPU time, the best of five. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "stats/compare.h"

#include <stdio.h>

enum { ROUNDS = 5, FILE_BYTES_MAX = 1 << 28 };

struct samples {
    const double *a, *b;
    size_t a_count, b_count;
};

struct outcome {
    double statistic;
    double p;
};

static struct outcome mann_whitney(const struct samples *samples)
{
    struct mann_whitney test = compare_mann_whitney(samples->a, samples->a_count, samples->b,
                                                    samples->b_count, COMPARE_AUTO);
    return (struct outcome){test.u, test.p};
}

static struct outcome welch(const struct samples *samples)
{
    struct welch test = compare_welch(samples->a, samples->a_count, samples->b, samples->b_count);
    return (struct outcome){test.t, test.p};
}

static struct outcome shift(const struct samples *samples)
{
    struct shift shift =
        compare_shift(samples->a, samples->a_count, samples->b, samples->b_count, 0.95);
    return (struct outcome){shift.shift, 0};
}

static void measure(const char *name, struct outcome (*run)(const struct samples *samples),
                    const struct samples *samples, struct json *json)
{
    int64_t best_ns = INT64_MAX;
    struct outcome outcome = {0, 0};

    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = clock_thread_cpu_ns();
        outcome = run(samples);
        int64_t took_ns = clock_thread_cpu_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    json_key(json, name);
    json_open(json, '{');
    json_key(json, "ms");
    json_add_double(json, (double)best_ns / 1e6);
    json_key(json, "statistic");
    json_add_double(json, outcome.statistic);
    json_key(json, "p");
    json_add_double(json, outcome.p);
    json_close(json, '}');
}

static void say(const struct buf *a, const struct buf *b)
{
    struct samples samples = {(const double *)(const void *)a->data,
                              (const double *)(const void *)b->data, a->size / sizeof(double),
                              b->size / sizeof(double)};
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    json_open(&json, '{');
    measure("mann_whitney", mann_whitney, &samples, &json);
    measure("welch", welch, &samples, &json);
    measure("shift", shift, &samples, &json);
    json_close(&json, '}');
    printf("%s\n", buf_cstr(&out));
}

int main(int argc, char **argv)
{
    struct buf a CLEANUP(buf_done) = {0};
    struct buf b CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_statistics A B\n");
        return 2;
    }
    if (file_read(argv[1], FILE_BYTES_MAX, &a, &why) != ERR_NONE ||
        file_read(argv[2], FILE_BYTES_MAX, &b, &why) != ERR_NONE) {
        fprintf(stderr, "bench_statistics: %s\n", why.text);
        return 1;
    }
    say(&a, &b);
    return 0;
}
