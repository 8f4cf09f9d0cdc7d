/* SPDX-License-Identifier: Apache-2.0 */
#include "report/performance.h"
#include "base/clock.h"
#include "codec/json_tree.h"

#include <stdlib.h>

enum {
    DOCUMENT_BYTES_MAX = 32 << 20,
    REPORT_BYTES_MAX = 64 << 20,
    BARS_MAX = 20,
};

/* ---- Writing. ---- */

static void add_overall(struct document *document, const struct service_numbers *numbers)
{
    const struct sla_measure *measure = &numbers->measure;

    document_section(document, "overall", "Overall");
    document_number(document, "count", "Operations", (double)measure->count, UNIT_COUNT);
    document_number(document, "failures", "Failures", (double)numbers->failures, UNIT_COUNT);
    document_number(document, "success_rate", "Success rate", measure->success_rate, UNIT_RATIO);
    document_number(document, "throughput_rps", "Throughput", measure->throughput_rps, UNIT_RPS);
    document_number(document, "mean_ms", "Mean", numbers->mean_ms, UNIT_MS);
    document_number(document, "p50_ms", "P50", measure->p50_ms, UNIT_MS);
    document_number(document, "p90_ms", "P90", numbers->p90_ms, UNIT_MS);
    document_number(document, "p95_ms", "P95", measure->p95_ms, UNIT_MS);
    document_number(document, "p99_ms", "P99", measure->p99_ms, UNIT_MS);
    document_number(document, "p999_ms", "P99.9", numbers->p999_ms, UNIT_MS);
    document_number(document, "min_ms", "Fastest", numbers->min_ms, UNIT_MS);
    document_number(document, "max_ms", "Slowest", numbers->max_ms, UNIT_MS);
    document_detail(document, "successes", (double)(measure->count - numbers->failures));
}

static void add_verdict(struct document *document, const struct verdict *verdict)
{
    document_section(document, "sla", "Promises");
    if (verdict->broken_count == 0 && verdict->unmeasured_count == 0)
        document_mark(document, STATUS_GOOD, "Every promise is kept.");
    else if (verdict->broken_count == 0)
        document_mark(document, STATUS_INFO, "No promise is broken, but not all could be judged.");
    for (size_t i = 0; i < verdict->count; i++)
        document_mark(document, verdict->lines[i].status, "%.*s",
                      STR_ARG(verdict->lines[i].sentence));
    document_detail(document, "judged_count", (double)verdict->judged_count);
    document_detail(document, "broken_count", (double)verdict->broken_count);
    document_detail(document, "unmeasured_count", (double)verdict->unmeasured_count);
}

static enum status status_of(const struct service_operation *operation,
                             const struct verdict *verdict)
{
    enum status status = STATUS_NONE;

    for (size_t i = 0; verdict != NULL && i < verdict->count; i++) {
        const struct verdict_line *line = &verdict->lines[i];
        if (line->service.data != NULL && str_eq(line->service, operation->service) &&
            line->operation.data != NULL && str_eq(line->operation, operation->operation) &&
            (line->status == STATUS_BAD || status == STATUS_NONE))
            status = line->status;
    }
    return status;
}

static void add_row(struct table *table, const struct service_operation *operation,
                    const struct verdict *verdict)
{
    const struct service_numbers *numbers = &operation->numbers;
    const struct sla_measure *measure = &numbers->measure;
    struct buf text CLEANUP(buf_done) = {0};

    table_add_row(table, status_of(operation, verdict));
    buf_str(&text, operation->service);
    table_text(table, buf_cstr(&text));
    buf_clear(&text);
    buf_str(&text, operation->operation);
    table_text(table, buf_cstr(&text));
    table_number(table, (double)measure->count);
    table_number(table, measure->success_rate);
    table_number(table, measure->throughput_rps);
    table_number(table, numbers->mean_ms);
    table_number(table, measure->p50_ms);
    table_number(table, numbers->p90_ms);
    table_number(table, measure->p95_ms);
    table_number(table, measure->p99_ms);
    table_number(table, numbers->max_ms);
    table_number(table, (double)(measure->count - numbers->failures));
    table_number(table, (double)numbers->failures);
    table_number(table, numbers->min_ms);
    table_number(table, numbers->p999_ms);
}

static void add_operations(struct document *document, const struct services *services,
                           const struct verdict *verdict)
{
    static const struct column columns[] = {
        {"service", "Service", UNIT_NONE, true},
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
        {"min_ms", "Fastest", UNIT_MS, false},
        {"p999_ms", "P99.9", UNIT_MS, false},
    };
    enum { DETAILS_COUNT = 4 };

    document_section(document, "operations", "Operations");
    struct table *table = document_table(document, "operations", "", columns, ARRAY_COUNT(columns));
    table_set_details(table, ARRAY_COUNT(columns) - DETAILS_COUNT);
    for (size_t i = 0; i < services->operations_count; i++)
        add_row(table, &services->operations[i], verdict);
    if (services->is_cut)
        document_text(document, "There are more operations than the %d that are told.",
                      SERVICES_OPERATIONS_MAX);
}

static int by_p95(const void *left, const void *right)
{
    double a = (*(const struct service_operation *const *)left)->numbers.measure.p95_ms;
    double b = (*(const struct service_operation *const *)right)->numbers.measure.p95_ms;

    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a < b) - (a > b);
}

static void add_chart(struct document *document, const struct services *services)
{
    const struct service_operation **slowest =
        calloc(services->operations_count + 1, sizeof(*slowest));
    size_t count = 0;

    for (size_t i = 0; slowest != NULL && i < services->operations_count; i++)
        slowest[count++] = &services->operations[i];
    if (count > 0) {
        qsort(slowest, count, sizeof(*slowest), by_p95);
        struct chart *chart =
            document_chart(document, "p95_chart", "Slowest operations by P95", CHART_BAR, UNIT_MS);
        for (size_t i = 0; i < count && i < BARS_MAX; i++) {
            struct buf name CLEANUP(buf_done) = {0};
            buf_printf(&name, "%.*s: %.*s", STR_ARG(slowest[i]->service),
                       STR_ARG(slowest[i]->operation));
            chart_bar(chart, buf_cstr(&name), slowest[i]->numbers.measure.p95_ms);
        }
    }
    free(slowest);
}

struct curves {
    double times_ms[SERVICES_STEPS_MAX];
    double rps[SERVICES_STEPS_MAX];
    double success[SERVICES_STEPS_MAX];
    double rows[SERVICES_HEAT_ROWS + 1];
};

static void fill_curves(struct curves *curves, const struct service_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        double calls = (double)history->calls[i];
        double step_s =
            history->count < 2 ? 1 : (double)(history->times_ms[1] - history->times_ms[0]) / 1e3;
        curves->times_ms[i] = (double)history->times_ms[i];
        curves->rps[i] = calls / step_s;
        curves->success[i] = calls > 0 ? 1 - (double)history->failures[i] / calls : NAN;
        for (size_t row = 0; row <= SERVICES_HEAT_ROWS; row++)
            curves->rows[row] += history->heat[i * (SERVICES_HEAT_ROWS + 1) + row];
    }
}

static void add_history(struct document *document, const struct service_history *history)
{
    struct curves *curves = calloc(1, sizeof(*curves));
    size_t count = history->count;

    if (curves == NULL)
        must_memory(sizeof(*curves));
    fill_curves(curves, history);
    document_ranges(document, "distribution", "How long calls took", history->bounds_ms,
                    curves->rows, SERVICES_HEAT_ROWS + 1);
    document_section(document, "over_time", "Over time");
    struct chart *chart = document_chart(document, "latency", "Latency", CHART_LINE, UNIT_MS);
    chart_set_time_axis(chart);
    chart_series(chart, "P50", curves->times_ms, history->p50_ms, count);
    chart_series(chart, "P95", curves->times_ms, history->p95_ms, count);
    chart_series(chart, "P99", curves->times_ms, history->p99_ms, count);
    chart = document_chart(document, "throughput", "Throughput", CHART_LINE, UNIT_RPS);
    chart_set_time_axis(chart);
    chart_series(chart, "calls", curves->times_ms, curves->rps, count);
    chart = document_chart(document, "success", "Success rate", CHART_LINE, UNIT_RATIO);
    chart_set_time_axis(chart);
    chart_series(chart, "success rate", curves->times_ms, curves->success, count);
    free(curves);
}

struct document *performance_document(const struct services *services,
                                      const struct verdict *verdict,
                                      const struct service_history *history,
                                      const struct services_question *question)
{
    struct buf title CLEANUP(buf_done) = {0};
    char from[CLOCK_TEXT_SIZE];

    buf_text(&title, "Performance of ");
    buf_str(&title, question->service.data != NULL ? question->service : STR("all services"));
    struct document *document = document_new(buf_cstr(&title), DOCUMENT_BYTES_MAX);
    document_set_time(document, question->to_ms);
    (void)clock_text(from, question->from_ms); /* NUL-ended; its size does not matter. */
    document_text(document, "Measured since %.10s %.8s UTC.", from, from + 11);
    if (services->operations_count == 0) {
        document_text(document, "Nothing has been recorded in this time.");
        return document;
    }
    add_overall(document, &services->all.numbers);
    if (verdict != NULL)
        add_verdict(document, verdict);
    add_operations(document, services, verdict);
    add_chart(document, services);
    if (history != NULL && history->count > 1)
        add_history(document, history);
    return document;
}

/* ---- Reading. ---- */

/* NAN where it is absent or null. */
static enum err read_number(const struct node *map, const char *key, double *ret_value,
                            struct why *why)
{
    const struct node *node = node_get(map, key);

    *ret_value = NAN;
    return node == NULL ? ERR_NONE : node_double(node, ret_value, why);
}

static enum err read_numbers(const struct node *map, struct service_numbers *ret_numbers,
                             struct why *why)
{
    struct sla_measure measure = {.success_rate = NAN};
    double count;
    double failures;

    TRY(read_number(map, "count", &count, why));
    TRY(read_number(map, "failures", &failures, why));
    TRY(read_number(map, "success_rate", &measure.success_rate, why));
    TRY(read_number(map, "throughput_rps", &measure.throughput_rps, why));
    TRY(read_number(map, "p50_ms", &measure.p50_ms, why));
    TRY(read_number(map, "p95_ms", &measure.p95_ms, why));
    TRY(read_number(map, "p99_ms", &measure.p99_ms, why));
    if (!(count >= 0) || count > 0x1p62)
        return node_fail(map, why, "no count of calls is told");
    measure.count = (uint64_t)count;
    *ret_numbers = (struct service_numbers){
        .measure = measure,
        .failures = failures >= 0 && failures <= count ? (uint64_t)failures : 0,
    };
    TRY(read_number(map, "p90_ms", &ret_numbers->p90_ms, why));
    TRY(read_number(map, "p999_ms", &ret_numbers->p999_ms, why));
    TRY(read_number(map, "mean_ms", &ret_numbers->mean_ms, why));
    TRY(read_number(map, "min_ms", &ret_numbers->min_ms, why));
    return read_number(map, "max_ms", &ret_numbers->max_ms, why);
}

static enum err read_operation(const struct node *row, struct str service, struct arena *arena,
                               struct service_operation *ret_operation, struct why *why)
{
    const struct node *name;
    const struct node *own = node_get(row, "service");
    struct str text;

    TRY(node_need(row, "operation", &name, why));
    TRY(node_text(name, &text, why));
    ret_operation->operation = arena_str(arena, text);
    if (own != NULL)
        TRY(node_text(own, &service, why));
    ret_operation->service = arena_str(arena, service);
    if (ret_operation->operation.data == NULL || ret_operation->service.data == NULL)
        return arena_spent(arena, "the report", why);
    return read_numbers(row, &ret_operation->numbers, why);
}

static enum err read_operations(const struct node *section, struct str service, struct arena *arena,
                                struct services *services, struct why *why)
{
    const struct node *rows = node_get(section, "operations");

    if (rows == NULL)
        return ERR_NONE;
    TRY(node_list(rows, why));
    services->operations = ARENA_ARRAY(arena, rows->count + 1, struct service_operation);
    services->totals = ARENA_ARRAY(arena, rows->count + 1, struct service_total);
    if (services->operations == NULL || services->totals == NULL)
        return arena_spent(arena, "the report", why);
    NODE_EACH(rows, row)
    {
        struct service_operation *operation = &services->operations[services->operations_count];
        TRY(read_operation(row, service, arena, operation, why));
        size_t totals = services->totals_count;
        if (totals == 0 || !str_eq(services->totals[totals - 1].service, operation->service))
            services->totals[services->totals_count++] = (struct service_total){
                .service = operation->service, .first = services->operations_count};
        services->totals[services->totals_count - 1].count++;
        services->operations_count++;
    }
    /* A report of one service is that service's total; of several it tells only the whole. */
    if (services->totals_count == 1)
        services->totals[0].numbers = services->all.numbers;
    return ERR_NONE;
}

static enum status status_of_name(struct str name)
{
    static const char *const names[] = {[STATUS_GOOD] = "good",
                                        [STATUS_INFO] = "info",
                                        [STATUS_WARNING] = "warning",
                                        [STATUS_BAD] = "bad"};

    for (size_t i = STATUS_GOOD; i < ARRAY_COUNT(names); i++) {
        if (str_eq(name, str_of(names[i])))
            return (enum status)i;
    }
    return STATUS_NONE;
}

/* Of kept promises the sentences say nothing but that all are; the counts know. They are believed
 * no further than fits what is said. */
static enum err read_judged(const struct node *section, struct verdict *verdict, struct why *why)
{
    double judged;
    double unmeasured;

    TRY(read_number(section, "judged_count", &judged, why));
    TRY(read_number(section, "unmeasured_count", &unmeasured, why));
    if (judged > 0 && judged <= PROMISES_MAX)
        verdict->judged_count = (size_t)judged;
    if (unmeasured > 0 && unmeasured <= PROMISES_MAX)
        verdict->unmeasured_count = (size_t)unmeasured;
    return ERR_NONE;
}

static enum err read_verdict(const struct node *section, struct arena *arena,
                             struct verdict *verdict, struct why *why)
{
    const struct node *notes = node_get(section, "notes");

    if (notes == NULL)
        return ERR_NONE;
    TRY(node_list(notes, why));
    verdict->lines = ARENA_ARRAY(arena, notes->count + 1, struct verdict_line);
    if (verdict->lines == NULL)
        return arena_spent(arena, "the report", why);
    NODE_EACH(notes, note)
    {
        struct verdict_line *line = &verdict->lines[verdict->count];
        const struct node *status = node_get(note, "status");
        const struct node *text;
        TRY(node_need(note, "text", &text, why));
        TRY(node_text(text, &line->sentence, why));
        line->status = status == NULL ? STATUS_NONE : status_of_name(status->text);
        line->service = line->operation = STR_NONE;
        verdict->broken_count += line->status == STATUS_BAD;
        verdict->judged_count += line->status == STATUS_BAD || line->status == STATUS_GOOD;
        verdict->count++;
    }
    return read_judged(section, verdict, why);
}

enum err performance_read(struct str json, const char *name, struct arena *arena,
                          struct services *ret_services, struct verdict *ret_own, struct why *why)
{
    static const struct str prefix = {"Performance of ", 15};
    struct services services = {.all = {.service = STR_NONE}};
    struct verdict own = {0};
    const struct node *root;
    const struct node *sections;
    const struct node *title;
    struct str service;

    TRY(json_read(json, name, REPORT_BYTES_MAX, arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_need(root, "title", &title, why));
    TRY(node_text(title, &service, why));
    service = str_starts(service, prefix)
                  ? (struct str){service.data + prefix.size, service.size - prefix.size}
                  : STR("");
    TRY(node_need(root, "sections", &sections, why));
    TRY(node_map(sections, why));
    const struct node *overall = node_get(sections, "overall");
    if (overall != NULL) {
        TRY(read_numbers(overall, &services.all.numbers, why));
        TRY(read_operations(node_get(sections, "operations"), service, arena, &services, why));
    }
    TRY(read_verdict(node_get(sections, "sla"), arena, &own, why));
    *ret_own = own;
    *ret_services = services;
    return ERR_NONE;
}
