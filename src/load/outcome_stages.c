/* SPDX-License-Identifier: Apache-2.0 */
/* Stage by stage: what each level of load came to, without the intervals in which it had just
 * changed. Where levels only climb, as in tests for limits, curves over the level show the bend. */
#include "base/clock.h"
#include "base/json.h"
#include "document/document.h"
#include "load/outcome_write.h"

#include <math.h>

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static double rate_of(const struct outcome_stage *stage)
{
    return stage->seconds > 0 ? (double)stage->requests / stage->seconds : NAN;
}

static double latency_of(const struct outcome_stage *stage, double q)
{
    return stage->latency.count == 0 ? NAN : milliseconds(histogram_at(&stage->latency, q));
}

static bool climbs(const struct outcome *outcome)
{
    for (size_t i = 1; i < outcome->stages_count; i++) {
        if (!(outcome->stages[i].level > outcome->stages[i - 1].level))
            return false;
    }
    return outcome->stages_count >= 3;
}

static void add_curves(struct document *document, const struct outcome *outcome)
{
    double levels[OUTCOME_STAGES_MAX], rates[OUTCOME_STAGES_MAX];
    double p50[OUTCOME_STAGES_MAX], p95[OUTCOME_STAGES_MAX];
    bool is_open = outcome->plan->model == MODEL_OPEN;
    size_t count = outcome->stages_count;

    for (size_t i = 0; i < count; i++) {
        levels[i] = outcome->stages[i].level;
        rates[i] = rate_of(&outcome->stages[i]);
        p50[i] = latency_of(&outcome->stages[i], 0.5);
        p95[i] = latency_of(&outcome->stages[i], 0.95);
    }
    struct chart *chart = document_chart(document, "rate_by_load",
                                         is_open ? "Requests a second, by what was asked for"
                                                 : "Requests a second, by users",
                                         CHART_LINE, UNIT_RPS);
    chart_series(chart, "finished", levels, rates, count);
    chart =
        document_chart(document, "latency_by_load",
                       is_open ? "Latency, by requests a second asked for" : "Latency, by users",
                       CHART_LINE, UNIT_MS);
    chart_series(chart, "median", levels, p50, count);
    chart_series(chart, "p95", levels, p95, count);
}

void outcome_document_stages(struct document *document, const struct outcome *outcome)
{
    static const struct column columns[] = {
        {"level", "Load", UNIT_COUNT, false},  {"start_s", "From", UNIT_SECONDS, false},
        {"rate", "Finished", UNIT_RPS, false}, {"errors", "Errors", UNIT_COUNT, false},
        {"p50_ms", "Median", UNIT_MS, false},  {"p95_ms", "P95", UNIT_MS, false},
        {"p99_ms", "P99", UNIT_MS, false},
    };

    if (outcome->stages_count < 2)
        return;
    document_section(document, "stages", "By stage of the load");
    struct table *table =
        document_table(document, "stages", "Stages", columns, ARRAY_COUNT(columns));
    for (size_t i = 0; i < outcome->stages_count; i++) {
        const struct outcome_stage *stage = &outcome->stages[i];
        table_add_row(table, stage->failures > 0 ? STATUS_WARNING : STATUS_NONE);
        table_number(table, stage->level);
        table_number(table, stage->start_s);
        table_number(table, rate_of(stage));
        table_number(table, (double)stage->failures);
        table_number(table, latency_of(stage, 0.5));
        table_number(table, latency_of(stage, 0.95));
        table_number(table, latency_of(stage, 0.99));
    }
    if (climbs(outcome))
        add_curves(document, outcome);
}

void outcome_add_stages(struct json *json, const struct outcome *outcome)
{
    if (outcome->stages_count < 2)
        return;
    json_key(json, "stages");
    json_open(json, '[');
    for (size_t i = 0; i < outcome->stages_count; i++) {
        const struct outcome_stage *stage = &outcome->stages[i];
        json_open(json, '{');
        json_put_double(json, "level", stage->level);
        json_put_double(json, "start_s", stage->start_s);
        json_put_double(json, "length_s", stage->length_s);
        json_put_u64(json, "requests", stage->requests);
        json_put_u64(json, "errors", stage->failures);
        json_put_double(json, "rate", rate_of(stage));
        json_put_double(json, "p50_ms", latency_of(stage, 0.5));
        json_put_double(json, "p95_ms", latency_of(stage, 0.95));
        json_put_double(json, "p99_ms", latency_of(stage, 0.99));
        json_close(json, '}');
    }
    json_close(json, ']');
}
