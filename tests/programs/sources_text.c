/* SPDX-License-Identifier: Apache-2.0 */
/* sources_text [ROUNDS [INTERVAL_MS]] - runs every source by hand and prints the last round as
 * Prometheus text, with the CPU time of a round on standard error. Scenario tests compare it with
 * other exporters; benches read its time. */
#include "base/clock.h"
#include "codec/prometheus_write.h"
#include "sources/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int complain(const struct why *why)
{
    (void)fprintf(stderr, "%s\n", why->text);
    return 1;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 2;
    int interval_ms = argc > 2 ? atoi(argv[2]) : 100;
    struct sources_options options = {.textfile_folder = argc > 3 ? argv[3] : NULL};
    struct batch *batch = batch_new("default", "test", 64 << 20);
    struct batch *infos = NULL;
    struct buf text = {0};
    struct why why = WHY_INIT;
    struct sources *sources;
    int64_t cpu_ns = 0;

    if (sources_open(&options, NULL, &sources, &why) != ERR_NONE)
        return complain(&why);
    for (int i = 0; i < rounds; i++) {
        if (i == 1)
            cpu_ns = clock_process_cpu_ns();
        struct timespec pause = {interval_ms / 1000, interval_ms % 1000 * 1000000L};
        if (i > 0)
            (void)nanosleep(&pause, NULL); /* A shorter pause does no harm. */
        batch_clear(batch);
        if (sources_tick(sources, clock_now_ms(), batch, &why) != ERR_NONE)
            return complain(&why);
        if (i == 0) {
            infos = batch;
            batch = batch_new("default", "test", 64 << 20);
        }
    }
    if (rounds > 1)
        (void)fprintf(stderr, "%.0f us CPU a round, %zu samples\n",
                      (double)(clock_process_cpu_ns() - cpu_ns) / (rounds - 1) / 1000,
                      batch->samples.count);
    struct batch *last = rounds > 1 ? batch : infos;
    prometheus_write(&text, PROMETHEUS_TEXT, infos->infos.items, infos->infos.count,
                     last->samples.items, last->samples.count, false);
    (void)fwrite(text.data, 1, text.size, stdout);
    sources_close(sources);
    batch_free(batch);
    batch_free(infos);
    buf_done(&text);
    return 0;
}
