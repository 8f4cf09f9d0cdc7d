/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks by name: made from a stretch of history, listed, held against another, removed. */
#include "serve/benchmarks.h"
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "codec/json_tree.h"
#include "store/record.h"

#include <inttypes.h>
#include <math.h>

enum { LIST_MAX = 1000, LIST_RUNS_MAX = 100, REGRESSION_BENCHMARKS_MAX = 50 };

#define RUNS_BYTES ((size_t)256 << 20)

const struct bench_judging benchmark_judging_default = {
    .alpha = VERDICT_ALPHA, .min_change = VERDICT_MIN_CHANGE, .threshold = 0};

void benchmark_kept_done(struct benchmark_kept *kept)
{
    bench_results_done(&kept->values);
}

static struct benchmark_place place_of(struct call *call)
{
    return (struct benchmark_place){
        .store = call->server->options.store,
        .tenant = call->identity.tenant,
        .view = call->view,
        .arena = call->arena,
        .timeout_ms = call->server->options.query_timeout_ms,
        .cancelled = exchange_cancel_flag(call->exchange),
    };
}

/* ---- What was kept. ---- */

static enum err read_kept(const struct record *record, struct arena *arena,
                          struct benchmark_kept *ret_kept, struct why *why)
{
    const struct node *root;
    const char *name = arena_printf(arena, "benchmark %.*s", STR_ARG(record->name));

    if (name == NULL)
        return arena_spent(arena, "the benchmark", why);
    *ret_kept = (struct benchmark_kept){0};
    TRY(json_read(record->body, name, record->body.size, arena, &root, why));
    TRY(benchmark_read(root, record->time_ms, arena, &ret_kept->benchmark, why));
    return bench_results_parse(record->body, name, &ret_kept->values, why);
}

enum err benchmark_load(const struct benchmark_place *place, struct str name,
                        struct benchmark_kept *ret_kept, struct why *why)
{
    struct record record;
    enum err err = store_record_get(place->store, place->tenant, BENCHMARK_KIND, name, place->arena,
                                    &record, why);

    if (err == ERR_NOT_FOUND)
        hint(why, "GET /api/v1/performance/benchmarks lists them; `sonde bench create` makes one");
    TRY(err);
    return read_kept(&record, place->arena, ret_kept, why);
}

struct benchmark_contest benchmark_contest_to(const struct benchmark *benchmark, int64_t end_ms)
{
    return (struct benchmark_contest){end_ms - (benchmark->end_ms - benchmark->start_ms), end_ms,
                                      benchmark_judging_default};
}

static int64_t contest_values(const struct benchmark *benchmark,
                              const struct benchmark_contest *contest)
{
    int64_t values = (contest->end_ms - contest->start_ms) / benchmark->step_ms;

    return values < 0 ? 0 : values;
}

bool benchmark_contest_clip(const struct benchmark *benchmark, struct benchmark_contest *contest)
{
    if (contest->start_ms < benchmark->end_ms)
        contest->start_ms = benchmark->end_ms;
    return contest_values(benchmark, contest) >= VERDICT_COUNT_MIN;
}

static void put_early(const struct benchmark *benchmark, const struct benchmark_contest *contest,
                      int64_t now_ms, struct json *json)
{
    int64_t wait_ms = benchmark->end_ms + VERDICT_COUNT_MIN * benchmark->step_ms - now_ms;
    struct buf reason CLEANUP(buf_done) = {0};

    buf_printf(&reason,
               "a comparison takes %d values, one every %g s, and what came after the benchmark "
               "has %" PRId64,
               VERDICT_COUNT_MIN, (double)benchmark->step_ms / 1e3,
               contest_values(benchmark, contest));
    json_put_str(json, "reason", buf_view(&reason));
    json_put_i64(json, "wait_ms", wait_ms < 0 ? 0 : wait_ms);
}

void benchmark_put_early(const struct benchmark *benchmark, const struct benchmark_contest *contest,
                         int64_t now_ms, struct json *json)
{
    const struct bench_comparison nothing = {0};

    put_early(benchmark, contest, now_ms, json);
    bench_comparison_put(&nothing, json);
}

enum err benchmark_compare(const struct benchmark_place *place, const struct benchmark_kept *kept,
                           const struct benchmark_contest *contest, struct bench_results *ret_now,
                           struct bench_comparison *ret_comparison, struct why *why)
{
    const struct benchmark_question question = {
        .view = place->view,
        .start_ms = contest->start_ms,
        .end_ms = contest->end_ms,
        .timeout_ms = place->timeout_ms,
        .cancelled = place->cancelled,
        .arena = place->arena,
    };

    TRY(benchmark_gather(&kept->benchmark, &question, ret_now, why));
    bench_compare(&kept->values.results[0], &ret_now->results[0], &contest->judging,
                  ret_comparison);
    return ERR_NONE;
}

/* ---- Telling. ---- */

static void put_head(struct json *json, const struct benchmark_kept *kept)
{
    const struct benchmark *benchmark = &kept->benchmark;

    json_put_str(json, "name", benchmark->name);
    json_put_str(json, "description", benchmark->description);
    json_put_i64(json, "made_ms", benchmark->made_ms);
    json_put_i64(json, "start_ms", benchmark->start_ms);
    json_put_i64(json, "end_ms", benchmark->end_ms);
    json_put_i64(json, "step_ms", benchmark->step_ms);
    json_put_i64(json, "every_ms", benchmark->every_ms);
    json_put_u64(json, "metrics_count", kept->values.results[0].metrics_count);
}

/* All but the values. */
static void put_benchmark(struct json *json, const struct benchmark_kept *kept)
{
    const struct bench_result *values = &kept->values.results[0];

    json_open(json, '{');
    put_head(json, kept);
    benchmark_put_queries(&kept->benchmark, json);
    json_key(json, "metrics");
    json_open(json, '[');
    for (size_t i = 0; i < values->metrics_count; i++)
        bench_metric_write_summary(&values->metrics[i], json);
    json_close(json, ']');
    json_close(json, '}');
}

static struct json begin(struct call *call)
{
    call->answer.content_type = MEDIA_JSON;
    return json_begin(&call->answer.body);
}

/* ---- Making. ---- */

/* The verdicts on schedule. */
static enum err forget_runs(const struct benchmark_place *place, struct str name, struct why *why)
{
    const char *runs = arena_printf(place->arena, "%.*s/", STR_ARG(name));

    if (runs == NULL)
        return arena_spent(place->arena, "a name", why);
    return store_record_trim(place->store, place->tenant, BENCHMARK_RUN_KIND, str_of(runs), 0, why);
}

/* Verdicts of the benchmark that was replaced go with it: they were held against other numbers. */
static enum err keep(const struct benchmark_place *place, const struct benchmark *benchmark,
                     const struct record *record, struct why *why)
{
    if (benchmark->replace) {
        TRY(store_record_put(place->store, place->tenant, record, why));
        return forget_runs(place, benchmark->name, why);
    }
    enum err err = store_record_add(place->store, place->tenant, record, why);
    if (err == ERR_EXISTS)
        hint(why, "--replace (\"replace\": true) puts the new one in its place and forgets its "
                  "verdicts; or choose another name");
    return err;
}

static enum err work_create(struct call *call, struct why *why)
{
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    struct buf body CLEANUP(buf_done) = {0};
    const struct benchmark_place place = place_of(call);
    struct str text = exchange_body(call->exchange);
    int64_t now_ms = clock_now_ms();
    const struct node *root;

    TRY(json_read(text, "body", text.size, call->arena, &root, why));
    TRY(benchmark_read(root, now_ms, call->arena, &kept.benchmark, why));
    kept.benchmark.made_ms = now_ms;
    const struct benchmark_question question = {
        place.view,       kept.benchmark.start_ms, kept.benchmark.end_ms,
        place.timeout_ms, place.cancelled,         place.arena,
    };
    TRY(benchmark_gather(&kept.benchmark, &question, &kept.values, why));
    benchmark_write(&kept.benchmark, &kept.values.results[0], &body);
    const struct record record = {BENCHMARK_KIND, kept.benchmark.name, now_ms, buf_view(&body)};
    TRY(keep(&place, &kept.benchmark, &record, why));
    struct json json = begin(call);
    put_benchmark(&json, &kept);
    call->answer.status = 201;
    return ERR_NONE;
}

void route_benchmark_create(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_create);
}

/* ---- Listing. ---- */

static enum err list_all(const struct benchmark_place *place, size_t limit, bool with_bodies,
                         struct record_list *ret_list, struct why *why)
{
    const struct record_question question = {BENCHMARK_KIND, STR(""), limit, with_bodies};

    return store_record_list(place->store, place->tenant, &question, place->arena, ret_list, why);
}

/* A key that a run has, as it has it. */
static void put_same(struct json *json, const char *key, const struct node *run)
{
    const struct node *value = node_get(run, key);

    if (value == NULL || value->kind == NODE_LIST)
        return;
    json_key(json, key);
    if (value->kind == NODE_SCALAR && value->quoted) {
        json_add_str(json, value->text);
    } else if (value->kind == NODE_SCALAR) {
        json_add_raw(json, value->text);
    } else {
        json_open(json, '{');
        NODE_EACH(value, count)
        {
            json_key_str(json, count->key);
            json_add_raw(json, count->text);
        }
        json_close(json, '}');
    }
}

/* A verdict on schedule without its figures: enough to tell since when a metric is worse. */
static void put_brief(struct json *json, const struct node *run)
{
    static const char *const keys[] = {"start_ms", "end_ms", "verdict",
                                       "counts",   "reason", "error"};
    const struct node *metrics = node_get(run, "metrics");

    json_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        put_same(json, keys[i], run);
    json_key(json, "degraded");
    json_open(json, '[');
    for (const struct node *row = metrics == NULL ? NULL : metrics->first; row != NULL;
         row = row->next) {
        const struct node *verdict = node_get(row, "verdict");
        const struct node *name = node_get(row, "metric");
        if (verdict != NULL && name != NULL && str_eq(verdict->text, STR("degraded")))
            json_add_str(json, name->text);
    }
    json_close(json, ']');
    json_close(json, '}');
}

/* The newest so many, each read into an arena that is then used for the next. */
static enum err put_runs(const struct benchmark_place *place, struct str name, size_t limit,
                         struct json *json, struct why *why)
{
    CLEANUP(arena_freep) struct arena *bodies = arena_new(RUNS_BYTES);
    CLEANUP(arena_freep) struct arena *tree = arena_new(RUNS_BYTES);
    const char *prefix = arena_printf(bodies, "%.*s/", STR_ARG(name));
    struct record_list list;

    if (prefix == NULL)
        return arena_spent(bodies, "a name", why);
    const struct record_question question = {BENCHMARK_RUN_KIND, str_of(prefix), limit, true};
    TRY(store_record_list(place->store, place->tenant, &question, bodies, &list, why));
    json_key(json, "runs");
    json_open(json, '[');
    for (size_t i = 0; i < list.count; i++) {
        const struct node *run;
        arena_clear(tree);
        TRY(json_read(list.items[i].body, "a run", list.items[i].body.size, tree, &run, why));
        put_brief(json, run);
    }
    json_close(json, ']');
    return ERR_NONE;
}

static enum err work_list(struct call *call, struct why *why)
{
    const struct benchmark_place place = place_of(call);
    struct record_list list;
    uint64_t runs;

    TRY(params_count(call, "runs", 0, LIST_RUNS_MAX, &runs, why));
    TRY(list_all(&place, LIST_MAX, true, &list, why));
    struct json json = begin(call);
    json_open(&json, '{');
    json_key(&json, "benchmarks");
    json_open(&json, '[');
    for (size_t i = 0; i < list.count; i++) {
        struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
        TRY(read_kept(&list.items[i], call->arena, &kept, why));
        json_open(&json, '{');
        put_head(&json, &kept);
        if (runs > 0)
            TRY(put_runs(&place, kept.benchmark.name, runs, &json, why));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return ERR_NONE;
}

void route_benchmark_list(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_list);
}

static enum err work_get(struct call *call, struct why *why)
{
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    const struct benchmark_place place = place_of(call);

    TRY(benchmark_load(&place, call->captures[0], &kept, why));
    struct json json = begin(call);
    put_benchmark(&json, &kept);
    return ERR_NONE;
}

void route_benchmark_get(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_get);
}

static enum err work_remove(struct call *call, struct why *why)
{
    const struct benchmark_place place = place_of(call);

    TRY(store_record_remove(place.store, place.tenant, BENCHMARK_KIND, call->captures[0], why));
    TRY(forget_runs(&place, call->captures[0], why));
    call->answer.status = 204;
    return ERR_NONE;
}

void route_benchmark_remove(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_remove);
}

/* ---- Comparing. ---- */

#define SHARE_MAX 10 /* Ten times as much. */

static enum err read_share(struct call *call, const char *name, double most, double *value,
                           struct why *why)
{
    struct str text = call_parameter(call, name);

    if (text.size == 0)
        return ERR_NONE;
    if (!str_to_double(text, value) || !(*value >= 0) || *value > most)
        return fail(why, ERR_INVALID, "invalid parameter \"%s\": \"%.*s\" is no share such as 0.05",
                    name, STR_ARG(text));
    return ERR_NONE;
}

/* As long as the benchmark, up to now, unless the request says otherwise. */
static enum err read_contest(struct call *call, const struct benchmark *benchmark,
                             struct benchmark_contest *ret_contest, struct why *why)
{
    struct params_range range;

    TRY(params_time(call, "end", clock_now_ms(), &range.end_ms, why));
    *ret_contest = benchmark_contest_to(benchmark, range.end_ms);
    TRY(read_share(call, "alpha", 1, &ret_contest->judging.alpha, why));
    TRY(read_share(call, "min_change", SHARE_MAX, &ret_contest->judging.min_change, why));
    TRY(read_share(call, "threshold", SHARE_MAX, &ret_contest->judging.threshold, why));
    range.start_ms = ret_contest->start_ms;
    TRY(params_range(call, &range, why));
    if ((range.end_ms - range.start_ms) / benchmark->step_ms > BENCHMARK_STEPS_MAX)
        return fail(why, ERR_INVALID,
                    "invalid parameter \"start\": the stretch has more than %d steps of %lld ms",
                    BENCHMARK_STEPS_MAX, (long long)benchmark->step_ms);
    ret_contest->start_ms = range.start_ms;
    ret_contest->end_ms = range.end_ms;
    return ERR_NONE;
}

static void put_contest(struct json *json, const struct benchmark *benchmark,
                        const struct benchmark_contest *contest)
{
    json_put_str(json, "benchmark", benchmark->name);
    json_put_i64(json, "start_ms", contest->start_ms);
    json_put_i64(json, "end_ms", contest->end_ms);
}

static enum err work_compare(struct call *call, struct why *why)
{
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    struct bench_results now CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    const struct benchmark_place place = place_of(call);
    struct benchmark_contest contest;

    TRY(benchmark_load(&place, call->captures[0], &kept, why));
    TRY(read_contest(call, &kept.benchmark, &contest, why));
    bool enough = benchmark_contest_clip(&kept.benchmark, &contest);
    if (enough)
        TRY(benchmark_compare(&place, &kept, &contest, &now, &comparison, why));
    struct json json = begin(call);
    json_open(&json, '{');
    put_contest(&json, &kept.benchmark, &contest);
    if (enough)
        bench_comparison_put(&comparison, &json);
    else
        benchmark_put_early(&kept.benchmark, &contest, clock_now_ms(), &json);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_benchmark_compare(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_compare);
}

/* ---- What got worse. ---- */

struct regressions {
    struct json rows;     /* What is worse, */
    struct json verdicts; /* and what came of each benchmark. */
    size_t count;
};

/* A benchmark that cannot be judged now is no regression, and says why. */
static enum err add_regressions(struct call *call, const struct record *record,
                                struct regressions *regressions, struct why *why)
{
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    struct bench_results now CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    const struct benchmark_place place = place_of(call);
    struct json *verdicts = &regressions->verdicts;
    struct benchmark_contest contest;
    enum err err = ERR_NONE;

    TRY(read_kept(record, call->arena, &kept, why));
    TRY(read_contest(call, &kept.benchmark, &contest, why));
    bool enough = benchmark_contest_clip(&kept.benchmark, &contest);
    if (enough)
        err = benchmark_compare(&place, &kept, &contest, &now, &comparison, why);
    if (err != ERR_NONE && err != ERR_INVALID) /* That is: nothing has a value now. */
        return err;
    json_open(verdicts, '{');
    put_contest(verdicts, &kept.benchmark, &contest);
    if (!enough)
        put_early(&kept.benchmark, &contest, clock_now_ms(), verdicts);
    else if (err == ERR_INVALID)
        json_put_text(verdicts, "reason", why->text);
    bench_comparison_put_verdict(&comparison, verdicts);
    json_close(verdicts, '}');
    for (size_t i = 0; i < comparison.count; i++) {
        if (comparison.rows[i].verdict.kind != VERDICT_DEGRADED)
            continue;
        json_open(&regressions->rows, '{');
        put_contest(&regressions->rows, &kept.benchmark, &contest);
        bench_row_put(&comparison.rows[i], &regressions->rows);
        json_close(&regressions->rows, '}');
        regressions->count++;
    }
    return ERR_NONE;
}

static enum err work_regressions(struct call *call, struct why *why)
{
    const struct benchmark_place place = place_of(call);
    struct buf rows CLEANUP(buf_done) = {0};
    struct buf verdicts CLEANUP(buf_done) = {0};
    struct regressions regressions = {json_begin(&rows), json_begin(&verdicts), 0};
    struct record_list list;

    TRY(list_all(&place, REGRESSION_BENCHMARKS_MAX, true, &list, why));
    json_open(&regressions.rows, '[');
    json_open(&regressions.verdicts, '[');
    for (size_t i = 0; i < list.count; i++)
        TRY(add_regressions(call, &list.items[i], &regressions, why));
    json_close(&regressions.rows, ']');
    json_close(&regressions.verdicts, ']');
    struct json json = begin(call);
    json_open(&json, '{');
    json_key(&json, "regressions");
    json_add_raw(&json, buf_view(&rows));
    json_key(&json, "verdicts");
    json_add_raw(&json, buf_view(&verdicts));
    json_put_u64(&json, "regressions_count", regressions.count);
    json_put_u64(&json, "benchmarks_count", list.count);
    json_close(&json, '}');
    return ERR_NONE;
}

void route_benchmark_regressions(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_regressions);
}

/* ---- What the schedule found. ---- */

static enum err work_runs(struct call *call, struct why *why)
{
    const struct benchmark_place place = place_of(call);
    const char *prefix = arena_printf(call->arena, "%.*s/", STR_ARG(call->captures[0]));
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    struct record_list list;
    uint64_t limit;

    if (prefix == NULL)
        return arena_spent(call->arena, "a name", why);
    TRY(params_count(call, "limit", 100, BENCHMARK_RUNS_KEPT, &limit, why));
    TRY(benchmark_load(&place, call->captures[0], &kept, why));
    const struct record_question question = {BENCHMARK_RUN_KIND, str_of(prefix), limit, true};
    TRY(store_record_list(place.store, place.tenant, &question, call->arena, &list, why));
    struct json json = begin(call);
    json_open(&json, '{');
    json_put_str(&json, "benchmark", kept.benchmark.name);
    json_put_i64(&json, "every_ms", kept.benchmark.every_ms);
    json_key(&json, "runs");
    json_open(&json, '[');
    for (size_t i = 0; i < list.count; i++)
        json_add_raw(&json, list.items[i].body);
    json_close(&json, ']');
    json_close(&json, '}');
    return ERR_NONE;
}

void route_benchmark_runs(struct call *call)
{
    call_work(call, CALL_NEEDS_ARENA, work_runs);
}
