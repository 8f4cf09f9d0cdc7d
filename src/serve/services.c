/* SPDX-License-Identifier: Apache-2.0 */
/* How the services do: as numbers for programs and the dashboard, and as reports to take away. The
 * promises are read from their file for each answer, so an edit counts at once; a file that cannot
 * be read or is wrong is told beside the numbers and takes nothing away from them. */
#include "analysis/services.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "report/performance.h"
#include "serve/params.h"
#include "serve/server_priv.h"

#include <math.h>
#include <stdio.h>

#define SERVICES_RANGE_MS (INT64_C(5) * 60 * 1000)
#define HISTORY_RANGE_MS  (INT64_C(15) * 60 * 1000)
#define REPORT_RANGE_MS   (INT64_C(3600) * 1000)
#define HISTORY_STEPS     100
#define REPORT_STEP_MS    INT64_C(5000)
#define PROMISE_BYTES_MAX ((size_t)1 << 20)
#define WIDTH_MAX         400

/* ---- The question. ---- */

static struct str optional(struct call *call, const char *name)
{
    struct str text = call_parameter(call, name);

    return text.size == 0 ? STR_NONE : text;
}

static enum err read_question(struct call *call, int64_t range_ms,
                              struct services_question *ret_question, struct why *why)
{
    struct services_question question = {
        .service = optional(call, "service"),
        .operation = optional(call, "operation"),
    };

    TRY(params_time(call, "end", clock_now_ms(), &question.to_ms, why));
    TRY(params_duration(call, "range", range_ms, &range_ms, why));
    if (range_ms <= 0)
        return fail(why, ERR_INVALID, "invalid parameter \"range\": it must be positive");
    question.from_ms = question.to_ms - range_ms;
    *ret_question = question;
    return ERR_NONE;
}

/* ---- The promises. ---- */

struct judgement {
    bool promised;
    struct promises promises;
    struct verdict verdict;
    const char *error; /* What is wrong with the file; NULL: nothing. */
};

static enum err judge(struct call *call, const struct services *services,
                      struct judgement *judgement, struct why *why)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct buf path CLEANUP(buf_done) = {0};

    buf_str(&path, call->server->options.sla_path);
    TRY(file_read(buf_cstr(&path), PROMISE_BYTES_MAX, &text, why));
    TRY(promises_read(buf_view(&text), buf_cstr(&path), call->arena, &judgement->promises, why));
    return promises_judge(&judgement->promises, services, call->arena, &judgement->verdict, why);
}

static struct judgement judge_services(struct call *call, const struct services *services)
{
    struct judgement judgement = {.promised = call->server->options.sla_path.size > 0};
    struct why why = WHY_INIT;

    if (judgement.promised && judge(call, services, &judgement, &why) != ERR_NONE) {
        judgement.promised = false;
        judgement.error = arena_printf(call->arena, "%s", why.text);
    }
    return judgement;
}

/* ---- As numbers. ---- */

static void put_numbers(struct json *json, const struct service_numbers *numbers)
{
    const struct sla_measure *measure = &numbers->measure;

    json_put_u64(json, "count", measure->count);
    json_put_u64(json, "failures", numbers->failures);
    json_put_double(json, "success_rate", measure->success_rate);
    json_put_double(json, "throughput_rps", measure->throughput_rps);
    json_put_double(json, "mean_ms", numbers->mean_ms);
    json_put_double(json, "p50_ms", measure->p50_ms);
    json_put_double(json, "p90_ms", numbers->p90_ms);
    json_put_double(json, "p95_ms", measure->p95_ms);
    json_put_double(json, "p99_ms", measure->p99_ms);
    json_put_double(json, "p999_ms", numbers->p999_ms);
    json_put_double(json, "min_ms", numbers->min_ms);
    json_put_double(json, "max_ms", numbers->max_ms);
    json_put_i64(json, "last_ms", numbers->last_ms);
}

static void put_doubles(struct json *json, const char *key, const double *values, size_t count)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_add_double(json, values[i]);
    json_close(json, ']');
}

static void put_counts(struct json *json, const char *key, const uint64_t *values, size_t count)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_add_u64(json, values[i]);
    json_close(json, ']');
}

static void put_trend(struct json *json, const struct service_trend *trend, size_t steps)
{
    if (trend->calls == NULL || steps == 0)
        return;
    json_key(json, "trend");
    json_open(json, '{');
    put_counts(json, "calls", trend->calls, steps);
    put_counts(json, "failures", trend->failures, steps);
    put_doubles(json, "p95_ms", trend->p95_ms, steps);
    json_close(json, '}');
}

static bool is_empty(const struct sla_targets *targets)
{
    struct sla_targets copy = *targets;
    bool empty = true;

    for (int kind = 0; kind < SLA_KIND_COUNT; kind++)
        empty = empty && isnan(*sla_target(&copy, (enum sla_kind)kind));
    return empty;
}

static void put_targets(struct json *json, const struct sla_targets *targets)
{
    struct sla_targets copy = *targets;

    json_key(json, "targets");
    json_open(json, '{');
    for (int kind = 0; kind < SLA_KIND_COUNT; kind++) {
        double target = *sla_target(&copy, (enum sla_kind)kind);
        if (!isnan(target))
            json_put_double(json, sla_key((enum sla_kind)kind), target);
    }
    json_close(json, '}');
}

/* Whether what was promised of it is kept, by a journey too, and what that is; nothing where
 * nothing was. Operation is STR_NONE for a whole service, and service as well for everything. */
static void put_promise(struct json *json, const struct judgement *judgement, struct str service,
                        struct str operation)
{
    const struct sla_targets *targets = &judgement->promises.overall;
    bool broken = false;

    if (!judgement->promised)
        return;
    if (service.data != NULL)
        targets = promises_of(&judgement->promises, service, operation);
    bool is_named = targets != NULL && !is_empty(targets);
    bool is_judged = is_named;
    for (size_t i = 0; i < judgement->verdict.count; i++) {
        const struct verdict_line *line = &judgement->verdict.lines[i];
        if (line->status == STATUS_INFO || !str_eq(line->service, service) ||
            !str_eq(line->operation, operation))
            continue;
        is_judged = true;
        broken |= line->status == STATUS_BAD;
    }
    if (!is_judged)
        return;
    json_put_text(json, "promise", broken ? "broken" : "kept");
    if (is_named)
        put_targets(json, targets);
}

static void put_service(struct json *json, const struct services *services,
                        const struct service_total *total, const struct judgement *judgement,
                        size_t trend_steps)
{
    json_open(json, '{');
    json_put_str(json, "service", total->service);
    put_numbers(json, &total->numbers);
    put_promise(json, judgement, total->service, STR_NONE);
    json_key(json, "operations");
    json_open(json, '[');
    for (size_t i = total->first; i < total->first + total->count; i++) {
        const struct service_operation *operation = &services->operations[i];
        json_open(json, '{');
        json_put_str(json, "operation", operation->operation);
        json_put_text(json, "told_by", operation->by_spans ? "spans" : "timers");
        put_numbers(json, &operation->numbers);
        put_promise(json, judgement, total->service, operation->operation);
        put_trend(json, &operation->trend, trend_steps);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void put_line(struct json *json, const struct verdict_line *line)
{
    json_open(json, '{');
    json_put_text(json, "status", promises_status_name(line->status));
    if (line->service.data != NULL)
        json_put_str(json, "service", line->service);
    if (line->operation.data != NULL)
        json_put_str(json, "operation", line->operation);
    if (line->journey.data != NULL)
        json_put_str(json, "journey", line->journey);
    json_put_str(json, "sentence", line->sentence);
    json_close(json, '}');
}

static void put_judgement(struct json *json, const struct judgement *judgement)
{
    json_key(json, "verdict");
    json_open(json, '{');
    json_put_bool(json, "promised", judgement->promised);
    json_put_u64(json, "broken_count", judgement->verdict.broken_count);
    if (judgement->error != NULL)
        json_put_text(json, "error", judgement->error);
    json_key(json, "lines");
    json_open(json, '[');
    for (size_t i = 0; i < judgement->verdict.count; i++)
        put_line(json, &judgement->verdict.lines[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static enum err work_services(struct call *call, struct why *why)
{
    struct services_question question;
    struct services services;
    uint64_t steps;

    TRY(read_question(call, SERVICES_RANGE_MS, &question, why));
    TRY(params_count(call, "trend", 0, SERVICES_TREND_MAX, &steps, why));
    question.trend_steps = (size_t)steps;
    TRY(services_read(call->view, &question, call->arena, &services, why));
    struct judgement judgement = judge_services(call, &services);
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_i64(&json, "from_ms", question.from_ms);
    json_put_i64(&json, "to_ms", question.to_ms);
    json_put_bool(&json, "is_cut", services.is_cut);
    json_key(&json, "all");
    json_open(&json, '{');
    put_numbers(&json, &services.all.numbers);
    put_promise(&json, &judgement, STR_NONE, STR_NONE);
    json_close(&json, '}');
    json_key(&json, "services");
    json_open(&json, '[');
    for (size_t i = 0; i < services.totals_count; i++)
        put_service(&json, &services, &services.totals[i], &judgement, question.trend_steps);
    json_close(&json, ']');
    put_judgement(&json, &judgement);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_services(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_services);
}

/* ---- Over time. ---- */

static void put_heat(struct json *json, const struct service_history *history)
{
    json_key(json, "heat");
    json_open(json, '{');
    put_doubles(json, "bounds_ms", history->bounds_ms, SERVICES_HEAT_ROWS);
    json_key(json, "counts");
    json_open(json, '[');
    for (size_t step = 0; step < history->count; step++) {
        json_open(json, '[');
        for (size_t row = 0; row <= SERVICES_HEAT_ROWS; row++)
            json_add_u64(json, history->heat[step * (SERVICES_HEAT_ROWS + 1) + row]);
        json_close(json, ']');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static int64_t default_step_ms(const struct services_question *question)
{
    int64_t step_ms = (question->to_ms - question->from_ms) / HISTORY_STEPS;

    return step_ms < 1000 ? 1000 : step_ms;
}

static enum err work_history(struct call *call, struct why *why)
{
    struct services_question question;
    struct service_history history;
    int64_t step_ms;

    TRY(read_question(call, HISTORY_RANGE_MS, &question, why));
    TRY(params_duration(call, "step", default_step_ms(&question), &step_ms, why));
    TRY(services_history(call->view, &question, step_ms, call->arena, &history, why));
    struct json json = json_begin(&call->answer.body);
    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_put_i64(&json, "from_ms", question.from_ms);
    json_put_i64(&json, "step_ms", step_ms);
    json_key(&json, "times_ms");
    json_open(&json, '[');
    for (size_t i = 0; i < history.count; i++)
        json_add_i64(&json, history.times_ms[i]);
    json_close(&json, ']');
    put_counts(&json, "calls", history.calls, history.count);
    put_counts(&json, "failures", history.failures, history.count);
    put_doubles(&json, "p50_ms", history.p50_ms, history.count);
    put_doubles(&json, "p95_ms", history.p95_ms, history.count);
    put_doubles(&json, "p99_ms", history.p99_ms, history.count);
    put_heat(&json, &history);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_services_history(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_history);
}

/* ---- As reports. ---- */

static const char *const FORMS[] = {"console", "json", "markdown", "html", "csv"};

void route_profiling_reports(struct call *call)
{
    struct json json = json_begin(&call->answer.body);

    call->answer.content_type = MEDIA_JSON;
    json_open(&json, '{');
    json_key(&json, "reports");
    json_open(&json, '[');
    for (size_t i = 0; i < ARRAY_COUNT(FORMS); i++) {
        char address[64];
        (void)snprintf(address, sizeof(address), "/profiling/reports/%s", FORMS[i]); /* Fits. */
        json_open(&json, '{');
        json_put_text(&json, "form", FORMS[i]);
        json_put_text(&json, "address", address);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    call_answer(call);
}

static enum err work_report(struct call *call, struct why *why)
{
    struct services_question question;
    struct services services;
    enum document_form form;
    struct service_history history;
    uint64_t width;

    if (!document_form_parse(call->captures[0], &form))
        return fail(why, ERR_NOT_FOUND,
                    "'%.*s' is no form of report; there are console, json, markdown, html and csv",
                    STR_ARG(call->captures[0]));
    TRY(read_question(call, REPORT_RANGE_MS, &question, why));
    TRY(params_count(call, "width", 0, WIDTH_MAX, &width, why));
    TRY(services_read(call->view, &question, call->arena, &services, why));
    /* Senders tell about once a second, so shorter steps would show their beat. */
    int64_t step_ms = default_step_ms(&question);
    step_ms = step_ms < REPORT_STEP_MS ? REPORT_STEP_MS : step_ms;
    TRY(services_history(call->view, &question, step_ms, call->arena, &history, why));
    struct judgement judgement = judge_services(call, &services);
    const struct document_look look = {.colour = params_flag(call, "colour"),
                                       .width = (size_t)width};
    struct document *document CLEANUP(document_freep) = performance_document(
        &services, judgement.promised ? &judgement.verdict : NULL, &history, &question);
    if (judgement.error != NULL)
        document_mark(document, STATUS_WARNING, "The promises could not be read: %s",
                      judgement.error);
    TRY(document_write(document, form, &look, &call->answer.body, why));
    call->answer.content_type = str_of(document_form_type(form));
    return ERR_NONE;
}

void route_profiling_report(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_report);
}
