/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a run. Durations are milliseconds, null where nothing was measured. */
#include "base/clock.h"
#include "base/json.h"
#include "load/judgement.h"
#include "load/outcome_write.h"
#include "load/witness.h"

#include <inttypes.h>
#include <stdio.h>

const struct outcome_quantile outcome_quantiles[OUTCOME_QUANTILES] = {
    {"p50", 0.5},  {"p75", 0.75},    {"p90", 0.9},       {"p95", 0.95},
    {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999},
};

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static void add_double(struct json *json, const char *key, double value)
{
    json_key(json, key);
    json_add_double(json, value);
}

static void add_u64(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_add_u64(json, value);
}

void outcome_add_histogram(struct json *json, const char *key, const struct histogram *histogram)
{
    json_key(json, key);
    if (histogram->count == 0) {
        json_add_null(json);
        return;
    }
    json_open(json, '{');
    add_u64(json, "count", histogram->count);
    add_double(json, "mean", milliseconds(histogram_mean(histogram)));
    add_double(json, "stddev", milliseconds(histogram_deviation(histogram)));
    add_double(json, "min", milliseconds(histogram_at(histogram, 0)));
    for (size_t i = 0; i < OUTCOME_QUANTILES; i++)
        add_double(json, outcome_quantiles[i].name,
                   milliseconds(histogram_at(histogram, outcome_quantiles[i].q)));
    add_double(json, "max", milliseconds((double)histogram->max_ns));
    json_close(json, '}');
}

static void add_tally(struct json *json, const struct tally *tally)
{
    add_u64(json, "requests", tally->requests);
    add_u64(json, "errors", tally->failures);
    add_u64(json, "answers", tally->answers);
    outcome_add_histogram(json, "latency_ms", &tally->latency);
    outcome_add_histogram(json, "service_time_ms", &tally->service);
    outcome_add_histogram(json, "first_byte_ms", &tally->first_byte);
    json_key(json, "errors_by_kind");
    json_open(json, '{');
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        if (tally->faults[i] > 0)
            add_u64(json, fault_name((enum fault)i), tally->faults[i]);
    }
    json_close(json, '}');
    json_key(json, "status");
    json_open(json, '{');
    for (unsigned i = 1; i < TALLY_STATUS_MAX; i++) {
        char code[8];
        if (tally->statuses[i] == 0)
            continue;
        (void)snprintf(code, sizeof(code), "%u", i);
        add_u64(json, code, tally->statuses[i]);
    }
    json_close(json, '}');
    add_u64(json, "bytes_in", tally->bytes_in);
    add_u64(json, "bytes_out", tally->bytes_out);
}

static void add_plan(struct json *json, const struct plan *plan)
{
    static const char *const arrivals[] = {"constant", "poisson", "gamma"};
    double resolve_ns = 0;

    json_key(json, "title");
    json_add_text(json, plan->title);
    json_key(json, "model");
    json_add_text(json, plan->model == MODEL_OPEN ? "open" : "closed");
    if (plan->model == MODEL_OPEN) {
        json_key(json, "arrivals");
        json_add_text(json, arrivals[plan->arrivals]);
        double seconds = (double)pattern_length_ns(&plan->pattern) / (double)CLOCK_NS_PER_S;
        add_double(json, "target_rate",
                   pattern_area(&plan->pattern, pattern_length_ns(&plan->pattern)) / seconds);
    }
    add_u64(json, "connections", plan->connections / plan->lanes);
    add_u64(json, "users", plan->connections);
    add_u64(json, "threads", plan->threads);
    for (size_t i = 0; i < plan->origins_count; i++)
        resolve_ns += (double)plan->origins[i]->resolve_ns;
    add_double(json, "dns_ms", milliseconds(resolve_ns));
}

static void add_generator(struct json *json, const struct outcome *outcome)
{
    const struct tally_links *links = &outcome->links;

    json_key(json, "generator");
    json_open(json, '{');
    add_double(json, "cpu_s", outcome->cpu_s);
    add_double(json, "busiest_thread", outcome->busiest);
    json_key(json, "saturated");
    json_add_bool(json, outcome->saturated);
    add_u64(json, "arrivals", links->arrivals);
    add_u64(json, "dropped", links->dropped);
    add_u64(json, "unfinished", links->unfinished);
    add_u64(json, "backlog_max", (uint64_t)links->backlog_max);
    outcome_add_histogram(json, "late_ms", &links->lateness);
    outcome_add_histogram(json, "queued_ms", &links->queued);
    add_u64(json, "connects", links->connects);
    add_u64(json, "connected", links->connected);
    add_u64(json, "tls_resumed", links->resumed);
    add_u64(json, "closed_early", links->closed_early);
    json_close(json, '}');
    if (links->dns.count > 0)
        outcome_add_histogram(json, "dns_lookup_ms", &links->dns);
    outcome_add_histogram(json, "connect_ms", &links->connect);
    outcome_add_histogram(json, "tls_ms", &links->tls);
}

static void add_timeline(struct json *json, const struct outcome *outcome)
{
    json_key(json, "timeline");
    json_open(json, '[');
    for (size_t i = 0; i < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        json_open(json, '{');
        add_double(json, "time_s", point->time_s);
        add_u64(json, "requests", point->requests);
        add_u64(json, "errors", point->failures);
        add_double(json, "rate", (double)point->requests / point->length_s);
        add_double(json, "p50_ms", point->p50_ms);
        add_double(json, "p95_ms", point->p95_ms);
        add_double(json, "p99_ms", point->p99_ms);
        add_double(json, "max_ms", point->max_ms);
        add_double(json, "level", point->level);
        add_u64(json, "backlog", (uint64_t)point->backlog);
        if (outcome->streams != NULL) {
            add_double(json, "tokens_per_second", (double)point->tokens_out / point->length_s);
            add_double(json, "goodput", (double)point->good / point->length_s);
            add_double(json, "ttft_p50_ms", point->ttft_p50_ms);
            add_double(json, "ttft_p95_ms", point->ttft_p95_ms);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_steps(struct json *json, const struct outcome *outcome)
{
    json_key(json, "steps");
    json_open(json, '[');
    for (size_t i = 0; i < outcome->plan->steps_count; i++) {
        json_open(json, '{');
        json_key(json, "name");
        json_add_text(json, outcome->plan->steps[i]->name);
        add_tally(json, &outcome->steps[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* By trace id, where requests carried one. */
static void add_slowest(struct json *json, const struct outcome *outcome)
{
    const struct trail *trail = &outcome->trail;
    char text[2 * TRAIL_ID_SIZE];

    if (trail->run == 0)
        return;
    trail_write_id(trail->run, 0, text);
    json_put_str(json, "trace_run", (struct str){text, TRAIL_ID_SIZE / 2});
    json_key(json, "slowest");
    json_open(json, '[');
    for (size_t i = 0; i < trail->count; i++) {
        const struct trail_request *request = &trail->slowest[i];
        trail_write_id(trail->run, request->low, text);
        json_open(json, '{');
        add_double(json, "latency_ms", milliseconds((double)request->latency_ns));
        add_double(json, "time_s",
                   (double)(request->intended_ns - outcome->started_ns) / CLOCK_NS_PER_S);
        json_put_text(json, "step", outcome->plan->steps[request->step]->name);
        json_put_bool(json, "failed", request->failed);
        json_put_str(json, "trace_id", (struct str){text, TRAIL_ID_SIZE});
        json_close(json, '}');
    }
    json_close(json, ']');
}

void outcome_write_json(const struct outcome *outcome, const struct judgement *judgement,
                        struct buf *out)
{
    struct json json = json_begin(out);
    char text[CLOCK_TEXT_SIZE];

    json_open(&json, '{');
    add_plan(&json, outcome->plan);
    json_key(&json, "started");
    json_add_str(&json, (struct str){text, clock_text(text, outcome->started_ms)});
    json_put_i64(&json, "started_ms", outcome->started_ms);
    json_put_i64(&json, "ended_ms", outcome_ended_ms(outcome));
    json_put_bool(&json, "target_is_local", plan_is_local(outcome->plan));
    json_key(&json, "start_monotonic_ns");
    json_add_i64(&json, outcome->started_ns);
    add_double(&json, "duration_s", outcome->duration_s);
    json_key(&json, "interrupted");
    json_add_bool(&json, outcome->interrupted);
    json_key(&json, "aborted");
    json_add_bool(&json, outcome->aborted);
    add_tally(&json, &outcome->total);
    add_double(&json, "rate", outcome_rate(outcome));
    add_double(&json, "error_rate", outcome_error_rate(outcome));
    add_generator(&json, outcome);
    outcome_add_agents(&json, outcome);
    outcome_add_streams(&json, outcome);
    if (judgement != NULL)
        judgement_add_json(judgement, &json);
    add_slowest(&json, outcome);
    if (judgement != NULL && judgement->witness != NULL) {
        json_key(&json, "target");
        json_add_raw(&json, witness_json(judgement->witness));
    }
    if (outcome->plan->steps_count > 1)
        add_steps(&json, outcome);
    outcome_add_stages(&json, outcome);
    add_timeline(&json, outcome);
    json_close(&json, '}');
    buf_byte(out, '\n');
}
