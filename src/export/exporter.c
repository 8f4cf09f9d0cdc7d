/* SPDX-License-Identifier: Apache-2.0 */
/* The thread `sonde-export` runs a loop of its own: waiting for receivers, reading the queue and
 * compressing are nothing that the daemon's loop should wait for. */
#include "export/exporter_priv.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t METRICS_BUDGET_BYTES = (size_t)8 << 20; /* Names and help texts. */

const char *const exporter_signal_names[OTLP_SIGNAL_COUNT] = {
    [OTLP_TRACES] = "traces",
    [OTLP_METRICS] = "metrics",
    [OTLP_LOGS] = "logs",
};

void exporter_lock(struct exporter *exporter)
{
    int code = pthread_mutex_lock(&exporter->lock);

    MUST(code == 0);
}

void exporter_unlock(struct exporter *exporter)
{
    int code = pthread_mutex_unlock(&exporter->lock);

    MUST(code == 0);
}

/* ---- Opening. ---- */

static enum err take_headers(struct exporter *exporter, struct why *why)
{
    const struct exporter_options *options = &exporter->options;

    if (options->headers_count > EXPORT_HEADERS_MAX)
        return fail(why, ERR_LIMIT, "at most %d headers can be sent along", EXPORT_HEADERS_MAX);
    for (size_t i = 0; i < options->headers_count; i++) {
        struct str value = options->headers[i];
        struct str name = str_trim(str_split(&value, '='));
        if (value.data == NULL || !http_is_token(name) || !http_is_field_value(str_trim(value))) {
            (void)fail(why, ERR_INVALID, "header %zu of the export is not NAME=VALUE", i + 1);
            hint(why, "as in SONDE_EXPORT_HEADERS='x-api-key=…,x-scope-orgid=team'");
            return ERR_INVALID;
        }
        exporter->headers[exporter->headers_count++] = (struct http_header){name, str_trim(value)};
    }
    return ERR_NONE;
}

static enum err make_route(struct exporter *exporter, enum otlp_signal signal, struct why *why)
{
    const struct exporter_route *wanted = &exporter->options.routes[signal];
    struct route *route = &exporter->routes[signal];

    route->exporter = exporter;
    route->signal = signal;
    for (size_t i = 0; i < PARCELS; i++)
        route->parcels[i].route = route;
    if (wanted->urls_count > EXPORT_TARGETS_MAX)
        return fail(why, ERR_LIMIT, "%s have more than %d targets", exporter_signal_names[signal],
                    EXPORT_TARGETS_MAX);
    for (size_t i = 0; i < wanted->urls_count; i++) {
        TRY(target_init(&route->targets[i], wanted->urls[i], why));
        route->targets_count++;
    }
    return ERR_NONE;
}

/* A damaged queue holds up nobody: it is kept beside the new one, for whoever wants to look. */
static enum err open_queue(struct exporter *exporter, struct why *why)
{
    uint64_t bytes_max = exporter->options.queue_bytes_max;
    char path[4096];
    char aside[4200];
    struct why queue_why = WHY_INIT;

    int size = snprintf(path, sizeof(path), "%s/export.db", exporter->options.folder);
    if (size < 0 || size >= (int)sizeof(path))
        return fail(why, ERR_INVALID, "the name of the data folder is too long");
    TRY(file_make_folder(exporter->options.folder, why));
    enum err err = queue_open(path, bytes_max, &exporter->queue, &queue_why);
    if (err == ERR_CORRUPT) {
        (void)snprintf(aside, sizeof(aside), "%s.corrupt", path); /* Has room. */
        if (rename(path, aside) == 0) {
            log_line(LOG_WARNING, "export", "%s; it was set aside as %s", queue_why.text, aside);
            return queue_open(path, bytes_max, &exporter->queue, why);
        }
    }
    if (err != ERR_NONE && why != NULL)
        *why = queue_why;
    return err;
}

static enum err open_all(struct exporter *exporter, struct why *why)
{
    TRY(take_headers(exporter, why));
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++)
        TRY(make_route(exporter, (enum otlp_signal)i, why));
    TRY(open_queue(exporter, why));
    TRY(queue_reader_open(exporter->queue, &exporter->reader, why));
    exporter->metrics = otlp_metrics_writer_new(METRICS_BUDGET_BYTES);
    exporter->gzip = http_gzip_new();
    TRY(loop_open(&(struct loop_options){0}, &exporter->loop, why));
    exporter->client = http_client_new(exporter->loop);
    return ERR_NONE;
}

enum err exporter_open(const struct exporter_options *options, struct exporter **ret_exporter,
                       struct why *why)
{
    struct exporter *exporter = calloc(1, sizeof(*exporter));

    if (exporter == NULL)
        must_memory(sizeof(*exporter));
    exporter->magic = EXPORTER_MAGIC;
    exporter->options = *options;
    int code = pthread_mutex_init(&exporter->lock, NULL);
    MUST(code == 0);
    enum err err = open_all(exporter, why);
    if (err != ERR_NONE) {
        exporter_close(exporter);
        return err;
    }
    *ret_exporter = exporter;
    return ERR_NONE;
}

/* ---- The thread. ---- */

static void pump_all(struct exporter *exporter)
{
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        if (exporter->routes[i].targets_count > 0)
            route_pump(&exporter->routes[i]);
    }
}

static void on_wake(struct loop_task *task)
{
    struct exporter *exporter = CONTAINER_OF(task, struct exporter, wake);

    atomic_store(&exporter->is_waking, false);
    pump_all(exporter);
}

static void on_stop(struct loop_task *task)
{
    loop_stop(CONTAINER_OF(task, struct exporter, stop)->loop);
}

static void *thread_main(void *argument)
{
    struct exporter *exporter = argument;
    struct why why = WHY_INIT;

    pump_all(exporter);
    if (loop_run(exporter->loop, &why) != ERR_NONE)
        log_why(LOG_ERROR, "export", &why);
    return NULL;
}

enum err exporter_start(struct exporter *exporter, struct why *why)
{
    exporter->wake.run = on_wake;
    exporter->stop.run = on_stop;
    int error = pthread_create(&exporter->thread, NULL, thread_main, exporter);
    if (error != 0)
        return fail_errno(why, error, "cannot start the exporter's thread");
    (void)pthread_setname_np(exporter->thread, "sonde-export"); /* Only a name. */
    exporter->is_running = true;
    return ERR_NONE;
}

struct exporter *exporter_close(struct exporter *exporter)
{
    if (exporter == NULL)
        return NULL;
    MUST_BE(exporter, EXPORTER_MAGIC);
    if (exporter->is_running) {
        loop_send(exporter->loop, &exporter->stop);
        int code = pthread_join(exporter->thread, NULL);
        MUST(code == 0);
    }
    exporter->client = http_client_free(exporter->client);
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        struct route *route = &exporter->routes[i];
        if (exporter->loop != NULL)
            loop_timer_stop(exporter->loop, &route->timer);
        for (size_t k = 0; k < PARCELS; k++)
            buf_done(&route->parcels[k].body);
        for (size_t k = 0; k < route->targets_count; k++)
            target_done(&route->targets[k]);
    }
    exporter->loop = exporter->loop == NULL ? NULL : loop_close(exporter->loop);
    exporter->gzip = http_gzip_free(exporter->gzip);
    exporter->reader = queue_reader_close(exporter->reader);
    exporter->queue = queue_close(exporter->queue);
    exporter->metrics = otlp_metrics_writer_free(exporter->metrics);
    (void)pthread_mutex_destroy(&exporter->lock); /* Fails only while it is locked. */
    exporter->magic = 0;
    free(exporter);
    return NULL;
}

/* ---- What is told about it. ---- */

void exporter_read_status(struct exporter *exporter, enum otlp_signal signal,
                          struct exporter_status *ret_status)
{
    const struct route *route = &exporter->routes[signal];
    struct queue_stats queue;

    exporter_lock(exporter);
    *ret_status = route->status;
    exporter_unlock(exporter);
    queue_read_stats(exporter->queue, signal, &queue);
    ret_status->targets_count = route->targets_count;
    if (ret_status->target == NULL && route->targets_count > 0)
        ret_status->target = route->targets[0].name;
    ret_status->queued_items = queue.items;
    ret_status->queued_bytes = queue.bytes;
    ret_status->dropped_items = queue.dropped_items;
}

enum err exporter_self(void *part, struct self_report *report, struct why *why)
{
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        const char *signal = exporter_signal_names[i];
        struct exporter_status status;
        exporter_read_status(part, (enum otlp_signal)i, &status);
        const struct {
            const char *name;
            const char *help;
            enum metric_kind kind;
            double value;
        } rows[] = {
            {"sonde_export_queue_items", "Spans, samples or logs that wait to be exported.",
             METRIC_GAUGE, (double)status.queued_items},
            {"sonde_export_queue_bytes", "What they take on disk.", METRIC_GAUGE,
             (double)status.queued_bytes},
            {"sonde_export_sent_items_total", "Exported and taken.", METRIC_COUNTER,
             (double)status.sent_items},
            {"sonde_export_refused_items_total", "Exported and refused for good.", METRIC_COUNTER,
             (double)status.refused_items},
            {"sonde_export_dropped_items_total", "Not exported: the queue had no room.",
             METRIC_COUNTER, (double)status.dropped_items},
            {"sonde_export_failures_total", "Attempts to export that had to be made again.",
             METRIC_COUNTER, (double)status.failures},
        };
        for (size_t k = 0; status.targets_count > 0 && k < ARRAY_COUNT(rows); k++) {
            const struct self_metric metric = {rows[k].name, rows[k].help, rows[k].kind, "signal",
                                               signal};
            TRY(self_write(report, &metric, rows[k].value, why));
        }
    }
    return ERR_NONE;
}
