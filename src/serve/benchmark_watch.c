/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmarks with a schedule: every ten seconds those that are due are held against the newest
 * stretch as long as theirs (or what there is of it after them), and the verdict is kept. Of the
 * default tenant. */
#include "serve/benchmarks.h"
#include "serve/server_priv.h"
#include "serve/tenant_view.h"

#include "base/clock.h"
#include "store/record.h"
#include "store/store_read.h"

#include <inttypes.h>
#include <stdlib.h>

#define PERIOD_NS  (10 * CLOCK_NS_PER_S)
#define LOOK_BYTES ((size_t)256 << 20)
#define TIMEOUT_MS 30000
#define TENANT     "default"

enum { SCHEDULED_MAX = 1000 };

struct benchmark_watch {
    struct server *server;
    struct loop_timer timer;
    struct job job;
};

static int64_t last_run_ms(const struct benchmark_place *place, struct str name)
{
    struct record_list list;
    const char *prefix = arena_printf(place->arena, "%.*s/", STR_ARG(name));

    if (prefix == NULL)
        return INT64_MAX;
    const struct record_question question = {BENCHMARK_RUN_KIND, str_of(prefix), 1, false};
    if (store_record_list(place->store, place->tenant, &question, place->arena, &list, NULL) !=
            ERR_NONE ||
        list.count == 0)
        return 0;
    return list.items[0].time_ms;
}

/* {"start_ms", "end_ms", "verdict", "metrics", …}, or with "error" when it could not be told. */
static void write_run(const struct benchmark_place *place, const struct benchmark_kept *kept,
                      int64_t now_ms, struct buf *out)
{
    struct bench_results now CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    struct benchmark_contest contest = benchmark_contest_to(&kept->benchmark, now_ms);
    bool enough = benchmark_contest_clip(&kept->benchmark, &contest);
    struct json json = json_begin(out);
    struct why why = WHY_INIT;

    json_open(&json, '{');
    json_put_i64(&json, "start_ms", contest.start_ms);
    json_put_i64(&json, "end_ms", contest.end_ms);
    if (!enough)
        benchmark_put_early(&kept->benchmark, &contest, now_ms, &json);
    else if (benchmark_compare(place, kept, &contest, &now, &comparison, &why) == ERR_NONE)
        bench_comparison_put(&comparison, &json);
    else
        json_put_text(&json, "error", why.text);
    json_close(&json, '}');
}

static enum err keep_run(const struct benchmark_place *place, struct str name, int64_t now_ms,
                         struct str body, struct why *why)
{
    const char *run = arena_printf(place->arena, "%.*s/%013" PRId64, STR_ARG(name), now_ms);
    const char *prefix = arena_printf(place->arena, "%.*s/", STR_ARG(name));

    if (run == NULL || prefix == NULL)
        return arena_spent(place->arena, "the run", why);
    const struct record record = {BENCHMARK_RUN_KIND, str_of(run), now_ms, body};
    TRY(store_record_put(place->store, place->tenant, &record, why));
    return store_record_trim(place->store, place->tenant, BENCHMARK_RUN_KIND, str_of(prefix),
                             BENCHMARK_RUNS_KEPT, why);
}

static enum err run_one(const struct benchmark_place *place, struct str name, int64_t now_ms,
                        struct why *why)
{
    struct benchmark_kept kept CLEANUP(benchmark_kept_done) = {0};
    struct buf body CLEANUP(buf_done) = {0};

    TRY(benchmark_load(place, name, &kept, why));
    const struct benchmark *benchmark = &kept.benchmark;
    int64_t last_ms = last_run_ms(place, name);
    if (benchmark->every_ms == 0 ||
        now_ms - (last_ms == 0 ? benchmark->made_ms : last_ms) < benchmark->every_ms)
        return ERR_NONE;
    write_run(place, &kept, now_ms, &body);
    return keep_run(place, name, now_ms, buf_view(&body), why);
}

/* On a worker. A benchmark that cannot be read or kept is passed by: its own page tells why. */
static void look_run(struct job *job)
{
    struct benchmark_watch *watch = CONTAINER_OF(job, struct benchmark_watch, job);
    struct store *store = watch->server->options.store;
    CLEANUP(store_view_releasep) struct store_view *view = NULL;
    CLEANUP(arena_freep) struct arena *arena = arena_new(LOOK_BYTES);
    CLEANUP(arena_freep) struct arena *names = arena_new(LOOK_BYTES);
    const struct record_question all = {BENCHMARK_KIND, STR(""), SCHEDULED_MAX, false};
    struct record_list list;
    struct why why = WHY_INIT;

    if (store_record_list(store, TENANT, &all, names, &list, &why) != ERR_NONE || list.count == 0 ||
        tenant_view_open(store, TENANT, NULL, &view, &why) != ERR_NONE)
        return;
    const struct benchmark_place place = {store, TENANT, view, arena, TIMEOUT_MS, NULL};
    for (size_t i = 0; i < list.count; i++) {
        (void)run_one(&place, list.items[i].name, clock_now_ms(), &why);
        arena_clear(arena);
    }
}

static void look(struct loop_timer *timer);

static void look_done(struct job *job)
{
    struct benchmark_watch *watch = CONTAINER_OF(job, struct benchmark_watch, job);

    if (!watch->server->is_stopping)
        loop_timer_start(watch->server->options.loop, &watch->timer,
                         clock_monotonic_ns() + PERIOD_NS, look);
}

static void look(struct loop_timer *timer)
{
    struct benchmark_watch *watch = CONTAINER_OF(timer, struct benchmark_watch, timer);

    watch->job = (struct job){.run = look_run, .done = look_done};
    if (workers_submit(watch->server->options.workers, &watch->job) != ERR_NONE)
        look_done(&watch->job);
}

struct benchmark_watch *benchmark_watch_new(struct server *server)
{
    struct benchmark_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        must_memory(sizeof(*watch));
    watch->server = server;
    loop_timer_start(server->options.loop, &watch->timer, clock_monotonic_ns() + PERIOD_NS, look);
    return watch;
}

struct benchmark_watch *benchmark_watch_free(struct benchmark_watch *watch)
{
    if (watch == NULL)
        return NULL;
    loop_timer_stop(watch->server->options.loop, &watch->timer);
    free(watch);
    return NULL;
}
