/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a document: the verdict first, then figures, latency in full, errors, steps, the course
 * over time, and last what the generator says of itself. */
#include "base/clock.h"
#include "document/document.h"
#include "load/judgement.h"
#include "load/outcome_write.h"
#include "load/witness.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCUMENT_BYTES_MAX = 16 << 20, SPECTRUM_ROWS_MAX = 40, CHART_POINTS_MAX = 400 };

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static void add_summary(struct document *document, const struct outcome *outcome)
{
    const struct tally *total = &outcome->total;

    document_section(document, "summary", "Summary");
    document_number(document, "requests", "Requests", (double)total->requests, UNIT_COUNT);
    document_number(document, "rate", "Rate", outcome_rate(outcome), UNIT_RPS);
    document_number(document, "errors", "Errors", (double)total->failures, UNIT_COUNT);
    document_number(document, "error_rate", "Error rate", outcome_error_rate(outcome), UNIT_RATIO);
    document_number(document, "duration_s", "Duration", outcome->duration_s, UNIT_SECONDS);
    document_number(document, "p50_ms", "Median", milliseconds(histogram_at(&total->latency, 0.5)),
                    UNIT_MS);
    document_number(document, "p95_ms", "P95", milliseconds(histogram_at(&total->latency, 0.95)),
                    UNIT_MS);
    document_number(document, "p99_ms", "P99", milliseconds(histogram_at(&total->latency, 0.99)),
                    UNIT_MS);
    document_number(document, "bytes_in", "Received", (double)total->bytes_in, UNIT_BYTES);
    document_number(document, "bytes_out", "Sent", (double)total->bytes_out, UNIT_BYTES);
}

/* Four digits say what there is to say: 113,620; 78.12; 0.1926. */
static void add_figure(struct document *document, const struct judgement_figure *figure)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (fabs(figure->value) >= 1000 || isnan(figure->value))
        document_format(&text, figure->value, UNIT_COUNT);
    else
        buf_printf(&text, "%.4g", figure->value);
    document_value(document, figure->key, figure->title, buf_cstr(&text));
}

static void add_verdict(struct document *document, const struct judgement *judgement)
{
    static const enum status marks[] = {STATUS_GOOD, STATUS_INFO, STATUS_WARNING, STATUS_BAD};
    static const struct column columns[] = {
        {"criterion", "Criterion", UNIT_NONE, true},
        {"measured", "Measured", UNIT_NONE, true},
        {"holds", "Kept", UNIT_NONE, true},
    };

    if (judgement->results_count + judgement->notes_count + judgement->figures_count == 0)
        return;
    document_section(document, "verdict", "Verdict");
    if (judgement->results_count > 0 || judgement->failed)
        document_mark(document, judgement->failed ? STATUS_BAD : STATUS_GOOD, "%s",
                      judgement->failed ? "Failed." : "Passed.");
    for (size_t i = 0; i < judgement->notes_count; i++)
        document_mark(document, marks[judgement->notes[i].kind], "%s", judgement->notes[i].text);
    for (size_t i = 0; i < judgement->figures_count; i++)
        add_figure(document, &judgement->figures[i]);
    if (judgement->results_count == 0)
        return;
    struct table *table =
        document_table(document, "criteria", "Criteria", columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < judgement->results_count; i++) {
        const struct judgement_result *result = &judgement->results[i];
        struct buf text CLEANUP(buf_done) = {0};
        table_add_row(table, result->holds ? STATUS_GOOD : STATUS_BAD);
        buf_str(&text, result->criterion->text);
        table_text(table, buf_cstr(&text));
        buf_clear(&text);
        criterion_write_value(result->criterion, result->measured, &text);
        table_text(table, buf_cstr(&text));
        table_text(table, result->holds ? "yes" : "no");
    }
}

void outcome_add_phase(struct table *table, const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0)
        return;
    table_add_row(table, STATUS_NONE);
    table_text(table, name);
    table_number(table, milliseconds(histogram_mean(histogram)));
    for (size_t i = 0; i < OUTCOME_QUANTILES; i++)
        table_number(table, milliseconds(histogram_at(histogram, outcome_quantiles[i].q)));
    table_number(table, milliseconds((double)histogram->max_ns));
}

struct table *outcome_phase_table(struct document *document, const char *key, const char *title)
{
    struct column columns[OUTCOME_QUANTILES + 3] = {{"phase", "Phase", UNIT_NONE, true},
                                                    {"mean", "Mean", UNIT_MS, false}};

    for (size_t i = 0; i < OUTCOME_QUANTILES; i++)
        columns[i + 2] =
            (struct column){outcome_quantiles[i].name, outcome_quantiles[i].name, UNIT_MS, false};
    columns[OUTCOME_QUANTILES + 2] = (struct column){"max", "Max", UNIT_MS, false};
    return document_table(document, key, title, columns, ARRAY_COUNT(columns));
}

static void add_latency(struct document *document, const struct outcome *outcome)
{
    const struct tally *total = &outcome->total;

    document_section(document, "latency", "Latency");
    struct table *table = outcome_phase_table(document, "phases", "By phase");
    outcome_add_phase(table, "Latency, from the intended start", &total->latency);
    outcome_add_phase(table, "Service time, from the first byte sent", &total->service);
    outcome_add_phase(table, "Time to the first byte", &total->first_byte);
    outcome_add_phase(table, "DNS", &outcome->links.dns);
    outcome_add_phase(table, "Connect", &outcome->links.connect);
    outcome_add_phase(table, "TLS handshake", &outcome->links.tls);
    if (outcome->plan->model == MODEL_OPEN) {
        outcome_add_phase(table, "Wait for a connection", &outcome->links.queued);
        outcome_add_phase(table, "Generator late by", &outcome->links.lateness);
    }
}

/* Each row halves what is left to the end, as far as there are requests to tell. */
static void add_spectrum(struct document *document, const struct histogram *histogram)
{
    static const struct column columns[] = {
        {"percentile", "Percentile", UNIT_NONE, true},
        {"latency_ms", "Latency", UNIT_MS, false},
        {"slower", "Slower requests", UNIT_COUNT, false},
    };
    double left = 1;

    if (histogram->count == 0)
        return;
    struct table *table =
        document_table(document, "spectrum", "Percentile spectrum", columns, ARRAY_COUNT(columns));
    for (int i = 0; i < SPECTRUM_ROWS_MAX && left * (double)histogram->count >= 1; i++) {
        char text[32];
        left /= 2;
        (void)snprintf(text, sizeof(text), "%.8g", 100 * (1 - left));
        table_add_row(table, STATUS_NONE);
        table_text(table, text);
        table_number(table, milliseconds(histogram_at(histogram, 1 - left)));
        table_number(table, floor(left * (double)histogram->count));
    }
    table_add_row(table, STATUS_NONE);
    table_text(table, "100");
    table_number(table, milliseconds((double)histogram->max_ns));
    table_number(table, 0);
}

static void add_errors(struct document *document, const struct tally *total)
{
    static const struct column columns[] = {
        {"kind", "Kind", UNIT_NONE, true},
        {"count", "Requests", UNIT_COUNT, false},
        {"share", "Share", UNIT_RATIO, false},
        {"meaning", "What happened", UNIT_NONE, true},
    };
    static const struct column status_columns[] = {
        {"status", "Status", UNIT_NONE, true},
        {"count", "Answers", UNIT_COUNT, false},
    };

    document_section(document, "answers", "Answers");
    if (total->failures > 0) {
        struct table *table =
            document_table(document, "errors", "Errors", columns, ARRAY_COUNT(columns));
        for (unsigned i = 0; i < FAULT_COUNT; i++) {
            if (total->faults[i] == 0)
                continue;
            table_add_row(table, STATUS_WARNING);
            table_text(table, fault_name((enum fault)i));
            table_number(table, (double)total->faults[i]);
            table_number(table, (double)total->faults[i] / (double)total->requests);
            table_text(table, fault_text((enum fault)i));
        }
    }
    struct table *table = document_table(document, "status", "Status codes", status_columns,
                                         ARRAY_COUNT(status_columns));
    for (unsigned i = 1; i < TALLY_STATUS_MAX; i++) {
        char code[8];
        if (total->statuses[i] == 0)
            continue;
        (void)snprintf(code, sizeof(code), "%u", i);
        table_add_row(table, i >= 400 ? STATUS_WARNING : STATUS_NONE);
        table_text(table, code);
        table_number(table, (double)total->statuses[i]);
    }
}

static void add_steps(struct document *document, const struct outcome *outcome)
{
    static const struct column columns[] = {
        {"step", "Step", UNIT_NONE, true},       {"requests", "Requests", UNIT_COUNT, false},
        {"errors", "Errors", UNIT_COUNT, false}, {"mean_ms", "Mean", UNIT_MS, false},
        {"p50_ms", "Median", UNIT_MS, false},    {"p95_ms", "P95", UNIT_MS, false},
        {"p99_ms", "P99", UNIT_MS, false},       {"max_ms", "Max", UNIT_MS, false},
    };
    static const double quantiles[] = {0.5, 0.95, 0.99};

    if (outcome->plan->steps_count < 2)
        return;
    document_section(document, "steps", "Steps");
    struct table *table =
        document_table(document, "steps", "By step", columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < outcome->plan->steps_count; i++) {
        const struct tally *tally = &outcome->steps[i];
        const struct histogram *latency = &tally->latency;
        table_add_row(table, tally->failures > 0 ? STATUS_WARNING : STATUS_NONE);
        table_text(table, outcome->plan->steps[i]->name);
        table_number(table, (double)tally->requests);
        table_number(table, (double)tally->failures);
        table_number(table, milliseconds(histogram_mean(latency)));
        for (size_t q = 0; q < ARRAY_COUNT(quantiles); q++)
            table_number(table, milliseconds(histogram_at(latency, quantiles[q])));
        table_number(table, latency->count == 0 ? NAN : milliseconds((double)latency->max_ns));
    }
}

/* ---- Over time. ---- */

struct series {
    double *x;
    double *values[6];
    size_t count;
};

enum { SERIES_P50, SERIES_P95, SERIES_P99, SERIES_RATE, SERIES_ERRORS, SERIES_LEVEL };

/* The last interval may be a splinter, whose rate says nothing. */
static size_t points_worth(const struct outcome *outcome)
{
    size_t count = outcome->points_count;

    if (count >= 3 && outcome->points[count - 1].length_s < outcome->points[1].length_s / 2)
        count--;
    return count;
}

static struct series series_of(const struct outcome *outcome)
{
    struct series series = {.count = points_worth(outcome)};
    double *memory = calloc(series.count * 7 + 1, sizeof(*memory));

    if (memory == NULL)
        must_memory(series.count * 7 * sizeof(*memory));
    series.x = memory;
    for (size_t i = 0; i < ARRAY_COUNT(series.values); i++)
        series.values[i] = memory + (i + 1) * series.count;
    for (size_t i = 0; i < series.count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        series.x[i] = point->time_s;
        series.values[SERIES_P50][i] = point->p50_ms;
        series.values[SERIES_P95][i] = point->p95_ms;
        series.values[SERIES_P99][i] = point->p99_ms;
        series.values[SERIES_RATE][i] = (double)point->requests / point->length_s;
        series.values[SERIES_ERRORS][i] = (double)point->failures / point->length_s;
        series.values[SERIES_LEVEL][i] = point->level;
    }
    return series;
}

static void add_course(struct document *document, const struct outcome *outcome)
{
    if (outcome->points_count < 2)
        return;
    struct series series = series_of(outcome);
    document_section(document, "course", "Course");
    struct chart *chart =
        document_chart(document, "latency", "Latency over time", CHART_LINE, UNIT_MS);
    chart_set_x_unit(chart, UNIT_SECONDS);
    chart_series(chart, "median", series.x, series.values[SERIES_P50], series.count);
    chart_series(chart, "p95", series.x, series.values[SERIES_P95], series.count);
    chart_series(chart, "p99", series.x, series.values[SERIES_P99], series.count);
    chart = document_chart(document, "rate", "Requests a second", CHART_LINE, UNIT_RPS);
    chart_set_x_unit(chart, UNIT_SECONDS);
    chart_series(chart, "finished", series.x, series.values[SERIES_RATE], series.count);
    chart_series(chart, "failed", series.x, series.values[SERIES_ERRORS], series.count);
    if (outcome->plan->model == MODEL_OPEN) {
        chart_series(chart, "asked for", series.x, series.values[SERIES_LEVEL], series.count);
    } else {
        chart = document_chart(document, "users", "Users", CHART_LINE, UNIT_COUNT);
        chart_set_x_unit(chart, UNIT_SECONDS);
        chart_series(chart, "asked for", series.x, series.values[SERIES_LEVEL], series.count);
    }
    free(series.x);
}

static void add_generator(struct document *document, const struct outcome *outcome)
{
    const struct tally_links *links = &outcome->links;

    document_section(document, "generator", "Generator");
    document_value(document, "model", "Model",
                   outcome->plan->model == MODEL_OPEN ? "open (a schedule)" : "closed (users)");
    document_number(document, "connections", "Connections",
                    outcome->plan->connections / outcome->plan->lanes, UNIT_COUNT);
    document_number(document, "threads", "Threads", outcome->plan->threads, UNIT_COUNT);
    document_number(document, "cpu_s", "CPU time", outcome->cpu_s, UNIT_SECONDS);
    document_number(document, "busiest_thread", "Busiest thread", outcome->busiest, UNIT_RATIO);
    document_number(document, "connects", "Connects", (double)links->connects, UNIT_COUNT);
    if (links->resumed > 0)
        document_number(document, "tls_resumed", "TLS sessions resumed", (double)links->resumed,
                        UNIT_COUNT);
    if (outcome->plan->model == MODEL_OPEN) {
        document_number(document, "arrivals", "Arrivals", (double)links->arrivals, UNIT_COUNT);
        document_number(document, "backlog_max", "Longest queue", (double)links->backlog_max,
                        UNIT_COUNT);
        document_number(document, "dropped", "Never sent", (double)links->dropped, UNIT_COUNT);
    }
    document_number(document, "unfinished", "Unfinished", (double)links->unfinished, UNIT_COUNT);
}

struct document *outcome_document(const struct outcome *outcome, const struct judgement *judgement)
{
    struct document *document = document_new(
        outcome->plan->title == NULL ? "Load" : outcome->plan->title, DOCUMENT_BYTES_MAX);

    document_set_time(document, outcome->started_ms);
    if (judgement != NULL)
        add_verdict(document, judgement);
    add_summary(document, outcome);
    outcome_document_streams(document, outcome);
    add_latency(document, outcome);
    add_spectrum(document, &outcome->total.latency);
    witness_document_slowest(judgement == NULL ? NULL : judgement->witness, outcome, document);
    add_errors(document, &outcome->total);
    add_steps(document, outcome);
    outcome_document_stages(document, outcome);
    add_course(document, outcome);
    outcome_document_streams_course(document, outcome);
    outcome_document_agents(document, outcome);
    if (judgement != NULL && judgement->witness != NULL)
        witness_document(judgement->witness, "", document);
    add_generator(document, outcome);
    return document;
}
