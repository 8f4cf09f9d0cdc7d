/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out is analysis/load_explain's; here the report becomes its question, and its
 * answer JSON. */
#include "serve/load_explain.h"
#include "analysis/load_explain.h"
#include "serve/params.h"
#include "serve/server_priv.h"
#include "serve/trace_finding.h"

#include "base/clock.h"
#include "codec/json_tree.h"
#include "model/label.h"
#include "sources/sources.h"

#include <math.h>

/* A longer run has seen a first batch of every SDK. */
#define SENDERS_PAUSE_MS (INT64_C(7) * CLOCK_MS_PER_S)
#define RUN_MS_MAX       (INT64_C(7) * 24 * 3600 * CLOCK_MS_PER_S)

/* ---- The report as a question. ---- */

static double number_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

static struct str text_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR("");
}

static bool flag_at(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    bool value = false;

    return child != NULL && node_bool(child, &value, NULL) == ERR_NONE && value;
}

static uint64_t count_at(const struct node *node, const char *key)
{
    double value = number_at(node, key);

    return value > 0 && value < 0x1p53 ? (uint64_t)value : 0;
}

bool load_explain_can(const struct node *report)
{
    double from_ms = number_at(report, "started_ms");
    double to_ms = number_at(report, "ended_ms");

    return !isnan(number_at(report, "requests")) && from_ms > 0 && from_ms < 0x1p53 &&
           to_ms > from_ms && to_ms - from_ms < (double)RUN_MS_MAX;
}

struct load_explain_question load_explain_question_of(const struct node *report)
{
    return (struct load_explain_question){
        .report = report, .is_here = flag_at(report, "target_is_local"), .generator_is_here = true};
}

/* Is the criterion about errors, not time? With a step's name and a dot in front, of that step. */
static bool is_about_errors(struct str criterion)
{
    return str_find_str(criterion, STR("error")) >= 0;
}

/* The first broken criterion of either kind: "p95 < 300ms broke (812 ms)". */
static enum err read_broken(const struct node *report, struct load_facts *facts,
                            struct arena *arena, struct why *why)
{
    const struct node *criteria = node_get(report, "criteria");

    for (const struct node *item = criteria == NULL ? NULL : criteria->first; item != NULL;
         item = item->next) {
        struct str text = text_at(item, "criterion");
        struct str measured = text_at(item, "measured");
        struct str *place = is_about_errors(text) ? &facts->errors : &facts->slow;
        /* Where nothing was answered, no time is to be explained. */
        if (flag_at(item, "holds") || place->size > 0 ||
            (count_at(report, "answers") == 0 && !is_about_errors(text)))
            continue;
        *place = str_of(arena_printf(arena, "%.*s broke (%.*s)", STR_ARG(text), STR_ARG(measured)));
        if (place->data == NULL)
            return arena_spent(arena, "the explanation of a load", why);
    }
    return ERR_NONE;
}

/* The quantile that the broken criterion is about ("p99 < …"), of those that the report has. */
static void read_quantile(const struct node *report, struct load_facts *facts)
{
    static const char *const keys[] = {"p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99"};
    const struct node *times = node_get(report, "service_time_ms");
    struct str rest = facts->slow;
    struct str name = str_trim(str_split(&rest, '<'));

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (str_ends(name, str_of(keys[i])) && str_to_double(str_of(keys[i] + 1), &facts->quantile))
            facts->quantile /= 100;
    }
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        double quantile;
        if (str_to_double(str_of(keys[i] + 1), &quantile) &&
            fabs(quantile / 100 - facts->quantile) < 1e-9)
            facts->service_ms = number_at(times, keys[i]);
    }
}

static bool read_run(struct str text, uint8_t run[SPAN_ID_BYTES])
{
    uint8_t id[TRACE_ID_BYTES];

    if (text.size != (size_t)2 * SPAN_ID_BYTES || !trace_id_read(text, id))
        return false;
    memcpy(run, id + SPAN_ID_BYTES, SPAN_ID_BYTES); /* Short ids stand at the end. */
    return true;
}

/* It broke by something else than a criterion: as the report says, or by what its kind of test
 * looks for. */
static void read_reason(const struct node *report, struct load_facts *facts)
{
    struct str reason = text_at(report, "failed_by");
    bool is_of_errors = count_at(report, "answers") == 0 || facts->failures * 100 > facts->requests;
    struct str *place = is_of_errors ? &facts->errors : &facts->slow;

    if (facts->slow.size > 0 || facts->errors.size > 0)
        return;
    if (reason.size > 0)
        *place = reason;
    else if (facts->has_failed)
        *place =
            count_at(report, "answers") == 0 ? STR("Nothing was answered") : STR("The test failed");
}

static enum err read_facts(const struct server *server,
                           const struct load_explain_question *question, struct arena *arena,
                           struct load_facts *facts, struct why *why)
{
    const struct node *report = question->report;
    double seconds;

    if (!load_explain_can(report)) {
        (void)fail(why, ERR_INVALID, "body: this is no report of a load that says when it was");
        hint(why, "send what `sonde load --json` prints");
        return ERR_INVALID;
    }
    *facts = (struct load_facts){
        .from_ms = (int64_t)number_at(report, "started_ms"),
        .to_ms = (int64_t)number_at(report, "ended_ms"),
        .is_here = question->is_here,
        .instance = server->options.sources == NULL
                        ? STR_NONE
                        : str_of(sources_instance(server->options.sources)),
        .requests = count_at(report, "requests"),
        .failures = count_at(report, "errors"),
        .quantile = 0.95,
        .has_failed = str_eq(text_at(report, "verdict"), STR("failed")),
    };
    facts->has_trace_run = read_run(text_at(report, "trace_run"), facts->trace_run);
    seconds = (double)(facts->to_ms - facts->from_ms) / CLOCK_MS_PER_S;
    if (question->generator_is_here)
        facts->generator_cores = number_at(node_get(report, "generator"), "cpu_s") / seconds;
    if (!(facts->generator_cores > 0))
        facts->generator_cores = 0;
    TRY(read_broken(report, facts, arena, why));
    read_quantile(report, facts);
    read_reason(report, facts);
    return ERR_NONE;
}

/* ---- The answer as JSON. ---- */

static void put_figures(struct json *json, const struct load_explained *explained)
{
    static const char *const units[] = {[LOAD_RATIO] = "ratio",
                                        [LOAD_COUNT] = "count",
                                        [LOAD_BYTES_RATE] = "bytes_per_second",
                                        [LOAD_RATE] = "per_second"};

    json_key(json, "figures");
    json_open(json, '[');
    for (size_t i = 0; i < explained->figures_count; i++) {
        const struct load_figure *figure = &explained->figures[i];
        if (isnan(figure->during) && isnan(figure->before))
            continue;
        json_open(json, '{');
        json_put_text(json, "key", figure->key);
        json_put_text(json, "title", figure->title);
        json_put_text(json, "unit", units[figure->unit]);
        json_put_double(json, "before", figure->before);
        json_put_double(json, "during", figure->during);
        json_put_double(json, "peak", figure->peak);
        if (figure->subject.size > 0)
            json_put_str(json, "subject", figure->subject);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_processes(struct json *json, const struct load_explained *explained)
{
    json_key(json, "processes");
    json_open(json, '[');
    for (size_t i = 0; i < explained->processes_count; i++) {
        const struct load_process *process = &explained->processes[i];
        json_open(json, '{');
        json_put_str(json, "name", process->name);
        json_put_double(json, "cores", process->cores);
        json_put_double(json, "cores_before", process->cores_before);
        json_put_double(json, "memory_bytes", process->memory_bytes);
        json_put_double(json, "count", process->count);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* An unknown number for one that is not there. */
static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static void put_entry(struct json *json, const struct load_entry *entry)
{
    const struct survey *survey = &entry->survey;

    json_open(json, '{');
    json_put_str(json, "service", entry->service);
    json_put_str(json, "name", entry->name);
    json_put_u64(json, "spans", entry->spans);
    json_put_u64(json, "errors", entry->errors);
    json_put_double(json, "mean_ms", milliseconds((double)entry->total_ns / (double)entry->spans));
    json_put_double(json, "p50_ms", milliseconds(survey->p50_ns));
    json_put_double(json, "p95_ms", milliseconds(survey->p95_ns));
    json_put_double(json, "p99_ms", milliseconds(survey->p99_ns));
    json_key(json, "slowest");
    json_open(json, '[');
    for (size_t i = 0; i < survey->slow->count && i < LOAD_FINDING_IDS_MAX; i++) {
        const struct trace_digest *digest = &survey->slow->items[survey->slow->count - 1 - i];
        json_open(json, '{');
        trace_id_put(json, "trace_id", digest->trace_id, TRACE_ID_BYTES);
        json_put_double(json, "duration_ms", milliseconds((double)digest->duration_ns));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void put_spans(struct json *json, const struct load_explained *explained)
{
    json_put_u64(json, "spans", explained->spans);
    json_put_u64(json, "entry_spans", explained->entry_spans);
    json_put_bool(json, "entries_are_ours", explained->entries_are_ours);
    json_key(json, "services");
    json_open(json, '[');
    for (size_t i = 0; i < explained->entries_count; i++)
        put_entry(json, &explained->entries[i]);
    json_close(json, ']');
}

static void put_finding(struct json *json, const struct load_finding *finding)
{
    json_open(json, '{');
    json_put_str(json, "id", finding->finding.id);
    json_put_text(json, "severity", severity_name(finding->finding.severity));
    json_put_bool(json, "is_cause", finding->is_cause);
    json_put_double(json, "weight", finding->weight);
    json_put_str(json, "claim", finding->finding.claim);
    json_put_str(json, "evidence", finding->finding.evidence);
    json_put_str(json, "next_step", finding->finding.next_step);
    if (finding->finding.expr.size > 0)
        json_put_str(json, "query", finding->finding.expr);
    json_put_double(json, "confidence", finding->finding.confidence);
    json_key(json, "trace_ids");
    json_open(json, '[');
    for (size_t i = 0; i < finding->trace_ids_count; i++)
        trace_id_add(json, finding->trace_ids[i], TRACE_ID_BYTES);
    json_close(json, ']');
    json_close(json, '}');
}

static void put_all(struct json *json, const struct load_facts *facts,
                    const struct load_explained *explained)
{
    json_put_str(json, "host", facts->instance.size > 0 ? facts->instance : STR(""));
    json_put_bool(json, "is_here", facts->is_here);
    json_put_i64(json, "from_ms", facts->from_ms);
    json_put_i64(json, "to_ms", facts->to_ms);
    json_put_i64(json, "before_from_ms", explained->before_from_ms);
    json_put_double(json, "cores", explained->cores);
    put_figures(json, explained);
    put_processes(json, explained);
    put_spans(json, explained);
    json_key(json, "findings");
    json_open(json, '[');
    for (size_t i = 0; i < explained->findings_count; i++)
        put_finding(json, &explained->findings[i]);
    json_close(json, ']');
    json_key(json, "notes");
    json_open(json, '[');
    for (size_t i = 0; i < explained->notes_count; i++) {
        json_open(json, '{');
        json_put_text(json, "kind", explained->notes[i].is_warning ? "warning" : "info");
        json_put_str(json, "text", explained->notes[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

enum err load_explain_write(struct server *server, struct store_view *view,
                            const struct load_explain_question *question, struct arena *arena,
                            struct buf *out, struct why *why)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct json json = json_begin(out);
    struct load_facts facts;

    TRY(read_facts(server, question, arena, &facts, why));
    if (question->only_counts)
        TRY(load_explain_count(view, &facts, arena, &explained, why));
    else
        TRY(load_explain(view, &facts, arena, &explained, why));
    json_open(&json, '{');
    if (question->only_counts) {
        json_put_u64(&json, "spans", explained.spans);
        json_put_u64(&json, "entry_spans", explained.entry_spans);
        json_put_bool(&json, "has_senders", explained.has_senders);
    } else {
        put_all(&json, &facts, &explained);
    }
    json_close(&json, '}');
    return ERR_NONE;
}

enum err load_explain_waits(struct server *server, struct store_view *view,
                            const struct node *report, struct arena *arena, bool *ret_waits,
                            struct why *why)
{
    struct load_explain_question question = load_explain_question_of(report);
    struct load_explained explained = {.entries_count = 0};
    struct load_facts facts;

    TRY(read_facts(server, &question, arena, &facts, why));
    TRY(load_explain_count(view, &facts, arena, &explained, why));
    *ret_waits = explained.entry_spans == 0
                     ? explained.has_senders && facts.to_ms - facts.from_ms < SENDERS_PAUSE_MS
                     : explained.entry_spans < count_at(report, "answers");
    return ERR_NONE;
}

/* ---- The route. ---- */

static enum err work_explain(struct call *call, struct why *why)
{
    struct str text = exchange_body(call->exchange);
    const struct node *root;

    TRY(json_read(text, "body", text.size, call->arena, &root, why));
    struct load_explain_question question = load_explain_question_of(root);
    if (call_parameter(call, "here").size > 0)
        question.is_here = params_flag(call, "here");
    if (call_parameter(call, "generator_here").size > 0)
        question.generator_is_here = params_flag(call, "generator_here");
    question.only_counts = params_flag(call, "count");
    TRY(load_explain_write(call->server, call->view, &question, call->arena, &call->answer.body,
                           why));
    call->answer.content_type = MEDIA_JSON;
    return ERR_NONE;
}

void route_load_explain(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_explain);
}
