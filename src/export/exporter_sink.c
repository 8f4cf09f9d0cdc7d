/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's writer thread shows a batch; what is to be exported of it becomes messages of OTLP of a
 * size that every receiver takes, and with the hub's commit they are in the queue. */
#include "export/exporter_priv.h"

enum {
    SPANS_AT_ONCE = 1024,
    SAMPLES_AT_ONCE = 4096,
};

/* gRPC receivers take 4 MiB unless told otherwise. A single item may be larger. */
static const size_t MESSAGE_BYTES = (size_t)2 << 20;

static bool is_wanted(const struct exporter *exporter, const struct batch *batch)
{
    for (size_t i = 0; i < exporter->options.tenants_count; i++) {
        if (str_eq(exporter->options.tenants[i], str_of(batch->tenant)))
            return true;
    }
    return false;
}

static void write_items(struct exporter *exporter, const struct batch *batch,
                        enum otlp_signal signal, size_t from, size_t count, struct buf *out)
{
    if (signal == OTLP_TRACES)
        otlp_write_traces(batch->spans.items + from, count, out);
    else if (signal == OTLP_LOGS)
        otlp_write_logs(batch->events.items + from, count, out);
    else
        otlp_write_samples(exporter->metrics, batch, from, count, out);
}

/* Halves what turns out too large. */
static void put_items(struct exporter *exporter, const struct batch *batch, enum otlp_signal signal,
                      size_t count, size_t at_once)
{
    for (size_t done = 0; done < count;) {
        size_t some = count - done < at_once ? count - done : at_once;
        struct buf body = {0};
        for (;;) {
            write_items(exporter, batch, signal, done, some, &body);
            if (body.size <= MESSAGE_BYTES || some == 1)
                break;
            buf_clear(&body);
            some /= 2;
        }
        queue_put(exporter->queue, signal, some, &body);
        done += some;
    }
}

static enum err sink_accept(void *self, struct batch *batch, struct why *why)
{
    struct exporter *exporter = self;

    (void)why; /* Nothing is refused: what finds no room is counted at the commit. */
    MUST_BE(exporter, EXPORTER_MAGIC);
    if (!is_wanted(exporter, batch))
        return ERR_NONE;
    if (exporter->routes[OTLP_TRACES].targets_count > 0)
        put_items(exporter, batch, OTLP_TRACES, batch->spans.count, SPANS_AT_ONCE);
    if (exporter->routes[OTLP_LOGS].targets_count > 0)
        put_items(exporter, batch, OTLP_LOGS, batch->events.count, SPANS_AT_ONCE);
    if (exporter->routes[OTLP_METRICS].targets_count == 0)
        return ERR_NONE;
    otlp_metrics_writer_note(exporter->metrics, batch);
    put_items(exporter, batch, OTLP_METRICS, batch->samples.count, SAMPLES_AT_ONCE);
    if (batch->sketches.count > 0) {
        struct buf body = {0};
        size_t count = otlp_write_sketches(exporter->metrics, batch, &body);
        if (count > 0)
            queue_put(exporter->queue, OTLP_METRICS, count, &body);
        else
            buf_done(&body);
    }
    return ERR_NONE;
}

static enum err sink_commit(void *self, struct why *why)
{
    struct exporter *exporter = self;
    bool put;

    MUST_BE(exporter, EXPORTER_MAGIC);
    TRY(queue_commit(exporter->queue, &put, why));
    if (put && exporter->is_running && !atomic_exchange(&exporter->is_waking, true))
        loop_send(exporter->loop, &exporter->wake);
    return ERR_NONE;
}

/* Rows that have arrived go, also when nothing new comes. */
static void sink_tick(void *self, int64_t now_ms)
{
    struct exporter *exporter = self;
    bool put;

    (void)now_ms;
    (void)queue_commit(exporter->queue, &put, NULL); /* Failing, they are sent again at worst. */
}

const struct sink_ops exporter_sink = {
    .name = "export",
    .accept = sink_accept,
    .commit = sink_commit,
    .tick = sink_tick,
};
