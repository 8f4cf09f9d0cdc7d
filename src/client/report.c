/* SPDX-License-Identifier: Apache-2.0 */
/* The library's report, built as a document like every other of the house. */
#include "base/clock.h"
#include "base/file.h"
#include "client/client_priv.h"
#include "document/document.h"
#include "sketch/quantile_key.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DOCUMENT_BYTES_MAX = 16 << 20 };

static void add_overall(struct document *document, const struct sonde_stats *stats)
{
    document_section(document, "overall", "Overall");
    document_number(document, "count", "Operations", (double)stats->count, UNIT_COUNT);
    document_number(document, "failures", "Failures", (double)stats->failures, UNIT_COUNT);
    document_number(document, "success_rate", "Success rate", stats->success_rate, UNIT_RATIO);
    document_number(document, "throughput_rps", "Throughput", stats->throughput_rps, UNIT_RPS);
    document_number(document, "throughput_peak_rps", "Peak", stats->throughput_peak_rps, UNIT_RPS);
    document_number(document, "mean_ms", "Mean", stats->mean_ms, UNIT_MS);
    document_number(document, "p50_ms", "P50", stats->p50_ms, UNIT_MS);
    document_number(document, "p90_ms", "P90", stats->p90_ms, UNIT_MS);
    document_number(document, "p95_ms", "P95", stats->p95_ms, UNIT_MS);
    document_number(document, "p99_ms", "P99", stats->p99_ms, UNIT_MS);
    document_number(document, "p999_ms", "P99.9", stats->p999_ms, UNIT_MS);
    document_number(document, "min_ms", "Fastest", stats->min_ms, UNIT_MS);
    document_number(document, "max_ms", "Slowest", stats->max_ms, UNIT_MS);
    document_number(document, "elapsed_s", "Measured for", stats->elapsed_s, UNIT_SECONDS);
    document_detail(document, "successes", (double)stats->successes);
    document_detail(document, "throughput_now_rps", stats->throughput_now_rps);
}

struct violations {
    struct document *document;
    const char *operation; /* Only this one's are of interest when set. */
    size_t count;
};

static void note_violation(void *self, const char *operation, const char *sentence)
{
    struct violations *violations = self;

    (void)operation; /* The sentence names it. */
    document_mark(violations->document, STATUS_BAD, "%s", sentence);
    violations->count++;
}

static void count_own(void *self, const char *operation, const char *sentence)
{
    struct violations *violations = self;

    (void)sentence; /* Told in the section of promises. */
    if (operation != NULL && strcmp(operation, violations->operation) == 0)
        violations->count++;
}

/* Promises by whom they are made of: how many there were calls to judge by, and for how many none.
 */
struct promised {
    size_t judged;
    size_t unmeasured;
};

static struct promised count_promises(struct sonde *sonde)
{
    uint32_t known = atomic_load(&sonde->operation_names.count);
    struct promised promised = {.judged = sla_is_set(&sonde->promises)};
    struct sonde_stats stats;

    for (uint32_t i = 0; i < known; i++) {
        if (!sla_is_set(&sonde->operations[i].promises))
            continue;
        bool is_measured = sonde_operation_stats(&sonde->operations[i], &stats);
        promised.judged += is_measured;
        promised.unmeasured += !is_measured;
    }
    return promised;
}

/* A promise of what nobody called: perhaps its name is spelt otherwise in the program. */
static void note_unmeasured(struct document *document, struct sonde *sonde)
{
    uint32_t known = atomic_load(&sonde->operation_names.count);
    struct sonde_stats stats;

    for (uint32_t i = 0; i < known; i++) {
        struct sonde_operation *operation = &sonde->operations[i];
        if (sla_is_set(&operation->promises) && !sonde_operation_stats(operation, &stats))
            document_mark(document, STATUS_INFO, "Operation '%s' was not measured: no calls",
                          operation->name);
    }
}

static void add_promises(struct document *document, struct sonde *sonde)
{
    struct promised promised = count_promises(sonde);
    struct violations violations = {.document = document};

    if (promised.judged + promised.unmeasured == 0)
        return;
    document_section(document, "sla", "Promises");
    bool kept = sonde_sla_check(sonde, note_violation, &violations) == 0;
    if (kept && promised.unmeasured == 0)
        document_mark(document, STATUS_GOOD, "Every promise is kept.");
    else if (kept)
        document_mark(document, STATUS_INFO, "No promise is broken, but not all could be judged.");
    note_unmeasured(document, sonde);
    document_detail(document, "judged_count", (double)promised.judged);
    document_detail(document, "broken_count", (double)violations.count);
    document_detail(document, "unmeasured_count", (double)promised.unmeasured);
}

static enum status status_of(struct sonde *sonde, const struct sonde_operation *operation)
{
    struct violations violations = {.operation = operation->name};

    if (!sla_is_set(&operation->promises))
        return STATUS_NONE;
    (void)sonde_sla_check(sonde, count_own, &violations); /* Counted by count_own. */
    return violations.count == 0 ? STATUS_GOOD : STATUS_BAD;
}

/* In the order of the columns below. */
static void add_figures(struct table *table, const struct sonde_stats *stats)
{
    const double figures[] = {
        (double)stats->count,
        stats->success_rate,
        stats->throughput_rps,
        stats->mean_ms,
        stats->p50_ms,
        stats->p90_ms,
        stats->p95_ms,
        stats->p99_ms,
        stats->max_ms,
        (double)stats->successes,
        (double)stats->failures,
        stats->throughput_now_rps,
        stats->throughput_peak_rps,
        stats->min_ms,
        stats->p999_ms,
    };

    for (size_t i = 0; i < ARRAY_COUNT(figures); i++)
        table_number(table, figures[i]);
}

static void add_operations(struct document *document, struct sonde *sonde)
{
    static const struct column columns[] = {
        {"operation", "Operation", UNIT_NONE, true},
        {"count", "Count", UNIT_COUNT, false},
        {"success_rate", "Success", UNIT_RATIO, false},
        {"throughput_rps", "Throughput", UNIT_RPS, false},
        {"mean_ms", "Mean", UNIT_MS, false},
        {"p50_ms", "P50", UNIT_MS, false},
        {"p90_ms", "P90", UNIT_MS, false},
        {"p95_ms", "P95", UNIT_MS, false},
        {"p99_ms", "P99", UNIT_MS, false},
        {"max_ms", "Slowest", UNIT_MS, false},
        {"successes", "Successes", UNIT_COUNT, false}, /* Details from here on. */
        {"failures", "Failures", UNIT_COUNT, false},
        {"throughput_now_rps", "Now", UNIT_RPS, false},
        {"throughput_peak_rps", "Peak", UNIT_RPS, false},
        {"min_ms", "Fastest", UNIT_MS, false},
        {"p999_ms", "P99.9", UNIT_MS, false},
    };
    enum { DETAILS_COUNT = 6 };
    uint32_t known = atomic_load(&sonde->operation_names.count);

    document_section(document, "operations", "Operations");
    struct chart *chart = NULL;
    struct table *table = document_table(document, "operations", "", columns, ARRAY_COUNT(columns));
    table_set_details(table, ARRAY_COUNT(columns) - DETAILS_COUNT);
    for (uint32_t i = 0; i < known; i++) {
        struct sonde_operation *operation = &sonde->operations[i];
        struct sonde_stats stats;
        if (!sonde_operation_stats(operation, &stats))
            continue;
        table_add_row(table, status_of(sonde, operation));
        table_text(table, operation->name);
        add_figures(table, &stats);
        if (chart == NULL)
            chart = document_chart(document, "p95_chart", "P95 by operation", CHART_BAR, UNIT_MS);
        chart_bar(chart, operation->name, stats.p95_ms);
    }
}

static void add_distribution(struct document *document, struct sonde *sonde)
{
    uint32_t known = atomic_load(&sonde->operation_names.count);
    double values_ms[BUCKETS];
    double counts[BUCKETS] = {0};
    struct totals totals;

    for (uint32_t i = 0; i < known; i++) {
        client_totals(&sonde->operations[i], &totals);
        for (int32_t bucket = 0; bucket < BUCKETS; bucket++)
            counts[bucket] += (double)totals.buckets[bucket];
    }
    for (int32_t bucket = 0; bucket < BUCKETS; bucket++)
        values_ms[bucket] = quantile_key_value(bucket, 0) / 1e6;
    document_distribution(document, "distribution", "How long calls took", values_ms, counts,
                          BUCKETS);
}

/* At SONDE_STANDARD and above, once there are two seconds to draw. */
static void add_seconds(struct document *document, struct sonde *sonde)
{
    double times_ms[SECONDS_MAX];
    double calls_rps[SECONDS_MAX];
    double success[SECONDS_MAX];

    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    size_t count = sonde->seconds_count < SECONDS_MAX ? sonde->seconds_count : SECONDS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct second *second =
            &sonde->seconds[(sonde->seconds_count - count + i) % SECONDS_MAX];
        times_ms[i] = (double)second->end_unix_ms;
        calls_rps[i] = second->calls_rps;
        success[i] = second->calls_rps > 0 ? 1 - second->failures_rps / second->calls_rps : NAN;
    }
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    if (count < 2)
        return;
    document_section(document, "over_time", "Over time");
    struct chart *chart =
        document_chart(document, "throughput", "Throughput", CHART_LINE, UNIT_RPS);
    chart_set_time_axis(chart);
    chart_series(chart, "calls", times_ms, calls_rps, count);
    chart = document_chart(document, "success", "Success rate", CHART_LINE, UNIT_RATIO);
    chart_set_time_axis(chart);
    chart_series(chart, "success rate", times_ms, success, count);
}

/* At SONDE_DETAILED. */
static void add_slowest(struct document *document, struct sonde *sonde)
{
    static const struct column columns[] = {
        {"operation", "Operation", UNIT_NONE, true},
        {"duration_ms", "Took", UNIT_MS, false},
        {"metadata", "Metadata", UNIT_NONE, true},
    };
    uint32_t known = atomic_load(&sonde->operation_names.count);
    struct table *table = NULL;

    for (uint32_t i = 0; i < known; i++) {
        char metadata[SONDE_METADATA_BYTES_MAX];
        int64_t slowest_ns = sonde_slowest(&sonde->operations[i], metadata, sizeof(metadata));
        if (slowest_ns < 0)
            continue;
        if (table == NULL) {
            document_section(document, "slowest", "Slowest calls");
            table = document_table(document, "slowest", "", columns, ARRAY_COUNT(columns));
        }
        table_add_row(table, STATUS_NONE);
        table_text(table, sonde->operations[i].name);
        table_number(table, (double)slowest_ns / 1e6);
        table_text(table, metadata);
    }
}

static void add_values(struct document *document, struct sonde *sonde)
{
    static const struct column columns[] = {
        {"name", "Name", UNIT_NONE, true},
        {"kind", "Kind", UNIT_NONE, true},
        {"value", "Value", UNIT_NONE, false},
    };
    uint32_t counters = atomic_load(&sonde->counter_names.count);
    uint32_t gauges = atomic_load(&sonde->gauge_names.count);

    if (counters + gauges == 0)
        return;
    document_section(document, "values", "Counters and gauges");
    struct table *table = document_table(document, "values", "", columns, ARRAY_COUNT(columns));
    for (uint32_t i = 0; i < counters + gauges; i++) {
        bool is_counter = i < counters;
        const struct sonde_gauge *gauge = &sonde->gauges[is_counter ? 0 : i - counters];
        table_add_row(table, STATUS_NONE);
        table_text(table, is_counter ? sonde->counters[i].name : gauge->name);
        table_text(table, is_counter ? "counter" : "gauge");
        table_number(table, is_counter ? (double)sonde_count_value(&sonde->counters[i])
                                       : sonde_gauge_value(gauge));
    }
}

static void add_drops(struct document *document, struct sonde *sonde)
{
    struct sonde_drops drops;
    struct sonde_delivery delivery;

    sonde_read_drops(sonde, &drops);
    sonde_read_delivery(sonde, &delivery);
    if (drops.records + drops.names_cut + drops.names_shared + delivery.spans_dropped == 0)
        return;
    document_section(document, "left_out", "Left out");
    document_number(document, "records", "Records dropped", (double)drops.records, UNIT_COUNT);
    document_number(document, "names_cut", "Names cut", (double)drops.names_cut, UNIT_COUNT);
    document_number(document, "names_shared", "Names shared", (double)drops.names_shared,
                    UNIT_COUNT);
    document_number(document, "spans", "Spans dropped", (double)delivery.spans_dropped, UNIT_COUNT);
}

static void fill(struct document *document, struct sonde *sonde)
{
    struct sonde_stats stats;

    document_set_time(document, clock_now_ms());
    if (!sonde_overall_stats(sonde, &stats)) {
        document_text(document, "Nothing has been recorded yet.");
        return;
    }
    add_overall(document, &stats);
    add_promises(document, sonde);
    add_operations(document, sonde);
    add_distribution(document, sonde);
    add_seconds(document, sonde);
    add_slowest(document, sonde);
    add_values(document, sonde);
    add_drops(document, sonde);
}

static const enum document_form forms[] = {
    [SONDE_CONSOLE] = FORM_CONSOLE, [SONDE_JSON] = FORM_JSON, [SONDE_MARKDOWN] = FORM_MARKDOWN,
    [SONDE_HTML] = FORM_HTML,       [SONDE_CSV] = FORM_CSV,
};

struct writing {
    struct sonde *sonde;
    enum document_form form;
    struct document_look look;
    struct document *document;
    struct buf *out;
    bool written;
};

static void write_all(void *self)
{
    static const char title_start[] = "Performance of ";
    struct writing *writing = self;
    char title[sizeof(title_start) + SONDE_NAME_BYTES_MAX];

    (void)snprintf(title, sizeof(title), "%s%s", title_start,
                   writing->sonde->service_name); /* Fits. */
    writing->document = document_new(title, DOCUMENT_BYTES_MAX);
    fill(writing->document, writing->sonde);
    writing->written = document_write(writing->document, writing->form, &writing->look,
                                      writing->out, NULL) == ERR_NONE;
    (void)buf_cstr(writing->out); /* Has the NUL behind it. */
}

/* False, with errno: the form is none, or there is no memory. */
static bool write_report(struct sonde *sonde, enum sonde_form form, struct document_look look,
                         struct buf *out)
{
    if (sonde == NULL || (unsigned)form >= ARRAY_COUNT(forms)) {
        errno = EINVAL;
        return false;
    }
    struct writing writing = {.sonde = sonde, .form = forms[form], .look = look, .out = out};
    bool written = must_try(write_all, &writing) && writing.written;
    (void)document_free(writing.document); /* Always NULL. */
    if (!written)
        errno = ENOMEM;
    return written;
}

char *sonde_report_text(struct sonde *sonde, enum sonde_form form, bool colour, size_t *ret_size)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (!write_report(sonde, form, (struct document_look){.colour = colour}, &out))
        return NULL;
    if (ret_size != NULL)
        *ret_size = out.size;
    return TAKE(out.data);
}

static struct document_look look_of(FILE *out)
{
    struct winsize size;

    if (!isatty(fileno(out)))
        return (struct document_look){0};
    return (struct document_look){
        .colour = getenv("NO_COLOR") == NULL,
        .width = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0,
    };
}

void sonde_report_print(struct sonde *sonde, FILE *out)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (out == NULL)
        return;
    if (write_report(sonde, SONDE_CONSOLE, look_of(out), &text))
        (void)fwrite(text.data, 1, text.size, out); /* The stream keeps its own error. */
}

struct saving {
    const char *path;
    struct str text;
    bool saved;
};

static void save(void *self)
{
    struct saving *saving = self;

    saving->saved = file_write(saving->path, saving->text, 0644, NULL) == ERR_NONE;
}

bool sonde_report_save(struct sonde *sonde, enum sonde_form form, const char *path)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (path == NULL) {
        errno = EINVAL;
        return false;
    }
    if (!write_report(sonde, form, (struct document_look){0}, &text))
        return false;
    struct saving saving = {path, buf_view(&text), false};
    if (must_try(save, &saving))
        return saving.saved;
    errno = ENOMEM;
    return false;
}
