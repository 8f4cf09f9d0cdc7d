/* SPDX-License-Identifier: Apache-2.0 */
/* bench_sources - what looking costs: a round of all sources, and reading exposition text.
 * Prints medians of several runs. */
#include "base/clock.h"
#include "codec/prometheus.h"
#include "sources/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 30, RUNS = 15, SERIES = 20000 };

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

static void bench_rounds(void)
{
    struct sources *sources;
    struct why why = WHY_INIT;
    struct batch *batch = batch_new("default", "bench", 64 << 20);
    double total_ms = 0;
    size_t samples = 0;

    if (sources_open(NULL, NULL, &sources, &why) != ERR_NONE)
        abort();
    for (int i = 0; i <= ROUNDS; i++) {
        struct timespec pause = {1, 0};
        if (i > 0)
            (void)nanosleep(&pause, NULL); /* A shorter pause does no harm. */
        int64_t start_ns = clock_process_cpu_ns();
        batch_clear(batch);
        if (sources_tick(sources, clock_now_ms(), batch, &why) != ERR_NONE)
            abort();
        if (i > 0) /* The first round makes everything. */
            total_ms += (double)(clock_process_cpu_ns() - start_ns) / 1e6;
        samples = batch->samples.count;
    }
    printf("sources: %.2f ms CPU a round at 1 s (mean of %d, slow ones included), %zu series\n",
           total_ms / ROUNDS, ROUNDS, samples);
    batch_free(batch);
    sources_close(sources);
}

static void bench_text(void)
{
    struct prometheus_options options = {.now_ms = 1};
    struct label_memo *memo = label_memo_new(64 << 20);
    struct batch *batch = batch_new("default", "bench", 64 << 20);
    struct buf text = {0};
    struct why why = WHY_INIT;
    double seconds[RUNS];

    for (int i = 0; i < SERIES; i++)
        buf_printf(&text,
                   "http_request_duration_seconds_bucket{instance=\"host-%d:9100\",job=\"api\","
                   "method=\"GET\",path=\"/v1/items/%d\",le=\"0.25\"} %d.%d\n",
                   i % 50, i, i * 7, i % 10);
    for (int i = -1; i < RUNS; i++) { /* The first teaches the memo. */
        int64_t start_ns = clock_process_cpu_ns();
        batch_clear(batch);
        if (prometheus_read(buf_view(&text), "bench", &options, memo, batch, &why) != ERR_NONE)
            abort();
        if (i >= 0)
            seconds[i] = (double)(clock_process_cpu_ns() - start_ns) / 1e9;
    }
    double middle = median(seconds, RUNS);
    printf("text: %.2f GB/s, %.1f M samples/s of CPU (a page seen before, %zu bytes)\n",
           (double)text.size / middle / 1e9, SERIES / middle / 1e6, text.size);
    buf_done(&text);
    batch_free(batch);
    label_memo_free(memo);
}

int main(void)
{
    bench_text();
    bench_rounds();
    return 0;
}
