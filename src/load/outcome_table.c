/* SPDX-License-Identifier: Apache-2.0 */
/* The forms that other programs read: the time line as CSV, the verdict as JUnit XML. */
#include "document/document.h"
#include "load/judgement.h"
#include "load/outcome_write.h"

#include <inttypes.h>
#include <math.h>

static void csv_number(struct buf *out, double value)
{
    buf_byte(out, ',');
    if (!isnan(value))
        buf_printf(out, "%.6g", value);
}

void outcome_write_csv(const struct outcome *outcome, struct buf *out)
{
    buf_text(out, "time_s,length_s,requests,errors,rate,p50_ms,p95_ms,p99_ms,max_ms,level,backlog,"
                  "bytes_in\n");
    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        buf_printf(out, "%.3f,%.3f,%" PRIu64 ",%" PRIu64, point->time_s, point->length_s,
                   point->requests, point->failures);
        csv_number(out, (double)point->requests / point->length_s);
        csv_number(out, point->p50_ms);
        csv_number(out, point->p95_ms);
        csv_number(out, point->p99_ms);
        csv_number(out, point->max_ms);
        csv_number(out, point->level);
        buf_printf(out, ",%" PRId64 ",%" PRIu64 "\n", point->backlog, point->bytes_in);
    }
}

static void junit_case(struct buf *out, struct str name, const struct outcome *outcome,
                       struct str failure)
{
    buf_text(out, "  <testcase classname=\"load\" name=\"");
    document_escape(out, name);
    buf_printf(out, "\" time=\"%.3f\"", outcome->duration_s);
    if (failure.size == 0) {
        buf_text(out, "/>\n");
        return;
    }
    buf_text(out, ">\n    <failure message=\"");
    document_escape(out, failure);
    buf_text(out, "\"/>\n  </testcase>\n");
}

void outcome_write_junit(const struct outcome *outcome, const struct judgement *judgement,
                         struct buf *out)
{
    buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    outcome_write_junit_suite(outcome, judgement, out);
}

void outcome_write_junit_suite(const struct outcome *outcome, const struct judgement *judgement,
                               struct buf *out)
{
    struct buf run CLEANUP(buf_done) = {0};
    size_t failures = 0;

    for (size_t i = 0; i < judgement->notes_count; i++) {
        if (judgement->notes[i].kind == NOTE_BAD)
            buf_printf(&run, "%s%s", run.size > 0 ? " " : "", judgement->notes[i].text);
    }
    failures += run.size > 0;
    for (size_t i = 0; i < judgement->results_count; i++)
        failures += !judgement->results[i].holds;
    buf_text(out, "<testsuite name=\"");
    document_escape(out, str_of(outcome->plan->title));
    buf_printf(out, "\" tests=\"%zu\" failures=\"%zu\" time=\"%.3f\">\n",
               judgement->results_count + 1, failures, outcome->duration_s);
    junit_case(out, STR("run"), outcome, buf_view(&run));
    for (size_t i = 0; i < judgement->results_count; i++) {
        const struct judgement_result *result = &judgement->results[i];
        struct buf failure CLEANUP(buf_done) = {0};
        if (!result->holds) {
            buf_text(&failure, "measured ");
            criterion_write_value(result->criterion, result->measured, &failure);
        }
        junit_case(out, result->criterion->text, outcome, buf_view(&failure));
    }
    buf_text(out, "</testsuite>\n");
}
