/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers count; this thread looks at their counters once an interval and keeps the differences
 * as a point of the time line. Nothing is handed over between threads while the run goes on, so a
 * look costs the drivers nothing. */
#include "load/engine.h"

#include "base/clock.h"
#include "load/driver.h"
#include "load/script.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    FILES_BESIDE = 64, /* Loops, signals, libraries. */
    POINTS_WANTED = 20,
    INTERVALS_PER_STAGE = 10,
};
#define INTERVAL_MIN_NS (100 * CLOCK_NS_PER_MS)
#define NAP_NS          (20 * CLOCK_NS_PER_MS)
#define START_DELAY_NS  (5 * CLOCK_NS_PER_MS)
/* A thread that was busy for more of the time than this was the limit itself. */
#define BUSY_SHARE 0.9
/* Looking at one arrival in a hundred this late is the generator's fault. */
#define LATE_NS (5.0 * (double)CLOCK_NS_PER_MS)

struct engine {
    const struct plan *plan;
    const struct engine_watch *watch;
    struct driver *drivers;
    unsigned drivers_count;
    unsigned drivers_opened_count;
    struct tally *seen;                /* One for each driver and step. */
    struct tally *interval;            /* What the interval brought. */
    struct stream_tally *streams_seen; /* The same of token streams, where there are any. */
    struct stream_tally *streams_interval;
    atomic_uint opened;
    atomic_uint done;
    int interrupts_heeded;
    int64_t start_ns;
    int64_t interval_ns;
    int64_t point_ns; /* End of the last point. */
    struct outcome *outcome;
};

void outcome_done(struct outcome *outcome)
{
    free(outcome->steps);
    free(outcome->points);
    free(outcome->streams);
    free(outcome->step_streams);
    free(outcome->stages);
    *outcome = (struct outcome){0};
}

double outcome_rate(const struct outcome *outcome)
{
    double seconds = outcome->finished ? outcome->duration_s : outcome->elapsed_s;

    return seconds > 0 ? (double)outcome->total.requests / seconds : 0;
}

double outcome_error_rate(const struct outcome *outcome)
{
    return outcome->total.requests == 0
               ? 0
               : (double)outcome->total.failures / (double)outcome->total.requests;
}

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        must_memory(count * size);
    return memory;
}

static void nap(int64_t ns)
{
    struct timespec time = {ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S};

    if (ns > 0)
        (void)nanosleep(&time, NULL); /* A signal may cut it short: then we look earlier. */
}

/* ---- Before the start. ---- */

static enum err check_files(const struct plan *plan, struct why *why)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(plan->connections / plan->lanes + 1) * plan->origins_count +
                    FILES_BESIDE + 8 * plan->threads;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return fail_errno(why, errno, "asking for the limit of open files");
    if (limit.rlim_cur >= wanted)
        return ERR_NONE;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return ERR_NONE;
    raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
    /* As many as there may be; who gets none says so by name (no_files). */
    (void)setrlimit(RLIMIT_NOFILE, &raised);
    return ERR_NONE;
}

static bool has_stages(const struct plan *plan)
{
    return plan->pattern.count > 1 && plan->pattern.count <= OUTCOME_STAGES_MAX;
}

static int64_t interval_of(const struct plan *plan)
{
    int64_t length_ns = pattern_length_ns(&plan->pattern);
    int64_t interval_ns = CLOCK_NS_PER_S;

    for (size_t i = 0; has_stages(plan) && i < plan->pattern.count; i++) {
        int64_t stage_ns = plan->pattern.pieces[i].length_ns / INTERVALS_PER_STAGE;
        if (stage_ns < interval_ns)
            interval_ns = stage_ns;
    }

    if (length_ns / interval_ns < POINTS_WANTED)
        interval_ns = length_ns / POINTS_WANTED;
    if (length_ns / OUTCOME_POINTS_MAX > interval_ns)
        interval_ns = length_ns / OUTCOME_POINTS_MAX + 1;
    return interval_ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : interval_ns;
}

static enum err open_drivers(struct engine *engine, struct why *why)
{
    for (unsigned i = 0; i < engine->drivers_count; i++) {
        struct driver *driver = &engine->drivers[i];
        engine->drivers_opened_count++;
        TRY(driver_open(driver, engine->plan, i, why));
        driver->drivers_opened = &engine->opened;
        driver->drivers_done = &engine->done;
    }
    return ERR_NONE;
}

/* ---- While it runs. ---- */

static void stop_all(struct engine *engine, bool at_once)
{
    for (unsigned i = 0; i < engine->drivers_count; i++)
        driver_stop(&engine->drivers[i], at_once);
}

static void heed_interrupts(struct engine *engine)
{
    if (engine->watch == NULL || engine->watch->interrupts == NULL)
        return;
    int interrupts = atomic_load(engine->watch->interrupts);
    if (interrupts <= engine->interrupts_heeded)
        return;
    engine->interrupts_heeded = interrupts;
    engine->outcome->interrupted = true;
    stop_all(engine, interrupts > 1);
}

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

static void sum_links(struct engine *engine)
{
    struct tally_links *sum = &engine->outcome->links;

    memset(sum, 0, sizeof(*sum));
    for (unsigned i = 0; i < engine->drivers_count; i++)
        tally_links_merge(sum, engine->drivers[i].counts);
}

static void drain(struct engine *engine)
{
    struct outcome *outcome = engine->outcome;
    size_t steps = engine->plan->steps_count;

    memset(engine->interval, 0, sizeof(*engine->interval));
    for (size_t step = 0; step < steps; step++) {
        for (unsigned i = 0; i < engine->drivers_count; i++) {
            struct tally *seen = &engine->seen[i * steps + step];
            if (COUNTER_GET(engine->drivers[i].steps[step].requests) != seen->requests)
                tally_drain(&engine->drivers[i].steps[step], seen, engine->interval);
        }
    }
    tally_merge(&outcome->total, engine->interval);
}

static void drain_streams(struct engine *engine)
{
    size_t steps = engine->plan->steps_count;

    if (!engine->plan->has_streams)
        return;
    memset(engine->streams_interval, 0, sizeof(*engine->streams_interval));
    for (size_t step = 0; step < steps; step++) {
        const struct script *script = engine->plan->steps[step]->script;
        for (unsigned i = 0; script != NULL && script->is_stream && i < engine->drivers_count; i++)
            stream_tally_drain(&engine->drivers[i].streams[step],
                               &engine->streams_seen[i * steps + step], engine->streams_interval);
    }
    stream_tally_merge(engine->outcome->streams, engine->streams_interval);
}

static void add_streams(const struct engine *engine, struct outcome_point *point)
{
    const struct stream_tally *tally = engine->streams_interval;

    if (!engine->plan->has_streams)
        return;
    point->streams = tally->streams;
    point->good = tally->good;
    point->tokens_out = tally->tokens_out;
    point->ttft_p50_ms = milliseconds(histogram_at(&tally->ttft, 0.5));
    point->ttft_p95_ms = milliseconds(histogram_at(&tally->ttft, 0.95));
}

static void add_point(struct engine *engine, int64_t now_ns)
{
    struct outcome *outcome = engine->outcome;
    const struct tally *tally = engine->interval;
    int64_t since_ns = now_ns - engine->start_ns;

    if (outcome->points_count == OUTCOME_POINTS_MAX)
        return;
    outcome->points[outcome->points_count++] = (struct outcome_point){
        .time_s = (double)since_ns / (double)CLOCK_NS_PER_S,
        .length_s = (double)(now_ns - engine->point_ns) / (double)CLOCK_NS_PER_S,
        .requests = tally->requests,
        .failures = tally->failures,
        .answers = tally->answers,
        .bytes_in = tally->bytes_in,
        .p50_ms = milliseconds(histogram_at(&tally->latency, 0.5)),
        .p95_ms = milliseconds(histogram_at(&tally->latency, 0.95)),
        .p99_ms = milliseconds(histogram_at(&tally->latency, 0.99)),
        .max_ms = tally->latency.count == 0 ? NAN : milliseconds((double)tally->latency.max_ns),
        .level = pattern_level(&engine->plan->pattern, since_ns - (now_ns - engine->point_ns) / 2),
        .users = outcome->links.users_active,
        .backlog = outcome->links.backlog,
    };
    add_streams(engine, &outcome->points[outcome->points_count - 1]);
    engine->point_ns = now_ns;
}

/* Counts the interval for the stage it lies in; the first of a stage still sees the one before. */
static void add_to_stage(struct engine *engine, int64_t now_ns)
{
    struct outcome *outcome = engine->outcome;
    const struct tally *tally = engine->interval;
    double from_s = (double)(engine->point_ns - engine->start_ns) / (double)CLOCK_NS_PER_S;
    double to_s = (double)(now_ns - engine->start_ns) / (double)CLOCK_NS_PER_S;
    double settle_s = (double)engine->interval_ns / (double)CLOCK_NS_PER_S / 2;

    for (size_t i = 0; i < outcome->stages_count; i++) {
        struct outcome_stage *stage = &outcome->stages[i];
        double middle_s = (from_s + to_s) / 2;
        if (middle_s >= stage->start_s + stage->length_s || middle_s < stage->start_s)
            continue;
        if (from_s < stage->start_s + settle_s)
            return;
        stage->seconds += to_s - from_s;
        stage->requests += tally->requests;
        stage->answers += tally->answers;
        stage->failures += tally->failures;
        histogram_merge(&stage->latency, &tally->latency);
        return;
    }
}

static void look(struct engine *engine, int64_t now_ns)
{
    struct outcome *outcome = engine->outcome;
    int64_t measured_ns = now_ns - engine->start_ns - engine->plan->warmup_ns;

    outcome->elapsed_s = measured_ns < 0 ? 0 : (double)measured_ns / (double)CLOCK_NS_PER_S;
    drain(engine);
    drain_streams(engine);
    sum_links(engine);
    add_to_stage(engine, now_ns);
    add_point(engine, now_ns);
    if (engine->watch != NULL && engine->watch->look != NULL && !outcome->aborted &&
        engine->watch->look(engine->watch->self, outcome)) {
        outcome->aborted = true;
        stop_all(engine, false);
    }
}

static void wait_for_opening(struct engine *engine)
{
    while (atomic_load(&engine->opened) < engine->drivers_count) {
        heed_interrupts(engine);
        nap(CLOCK_NS_PER_MS);
    }
}

static void watch_run(struct engine *engine)
{
    int64_t next_ns = engine->start_ns + engine->interval_ns;

    engine->point_ns = engine->start_ns;
    while (atomic_load(&engine->done) < engine->drivers_count) {
        int64_t now_ns = clock_monotonic_ns();
        if (engine->watch != NULL && engine->watch->attend != NULL)
            engine->watch->attend(engine->watch->self);
        heed_interrupts(engine);
        if (now_ns >= next_ns) {
            look(engine, now_ns);
            next_ns += engine->interval_ns;
            continue;
        }
        nap(next_ns - now_ns < NAP_NS ? next_ns - now_ns : NAP_NS);
    }
}

/* ---- The end. ---- */

static void sum_up(struct engine *engine)
{
    struct outcome *outcome = engine->outcome;
    const struct plan *plan = engine->plan;
    int64_t end_ns = 0;
    int64_t now_ns = clock_monotonic_ns();

    look(engine, now_ns);
    for (unsigned i = 0; i < engine->drivers_count; i++) {
        struct driver *driver = &engine->drivers[i];
        for (size_t step = 0; step < plan->steps_count; step++)
            tally_merge(&outcome->steps[step], &driver->steps[step]);
        for (size_t step = 0; plan->has_streams && step < plan->steps_count; step++)
            stream_tally_merge(&outcome->step_streams[step], &driver->streams[step]);
        if (driver->end_ns > end_ns)
            end_ns = driver->end_ns;
        double cpu_s = (double)driver->cpu_ns / (double)CLOCK_NS_PER_S;
        double wall_s = (double)(now_ns - engine->start_ns) / (double)CLOCK_NS_PER_S;
        outcome->cpu_s += cpu_s;
        if (wall_s > 0)
            outcome->busiest = fmax(outcome->busiest, cpu_s / wall_s);
    }
    int64_t measured_ns = end_ns - engine->start_ns - plan->warmup_ns;
    outcome->duration_s = measured_ns < 0 ? 0 : (double)measured_ns / (double)CLOCK_NS_PER_S;
    outcome->elapsed_s = outcome->duration_s;
    outcome->saturated =
        outcome->busiest > BUSY_SHARE ||
        (plan->model == MODEL_OPEN && histogram_at(&outcome->links.lateness, 0.99) > LATE_NS);
    outcome->finished = true;
}

static enum err run(struct engine *engine, struct why *why)
{
    TRY(check_files(engine->plan, why));
    TRY(open_drivers(engine, why));
    for (unsigned i = 0; i < engine->drivers_count; i++) {
        enum err err = driver_start(&engine->drivers[i], why);
        if (err != ERR_NONE) {
            stop_all(engine, true);
            return err;
        }
    }
    wait_for_opening(engine);
    engine->start_ns = clock_monotonic_ns() + START_DELAY_NS;
    engine->outcome->started_ns = engine->start_ns;
    engine->outcome->started_ms = clock_now_ms() + START_DELAY_NS / CLOCK_NS_PER_MS;
    for (unsigned i = 0; i < engine->drivers_count; i++)
        driver_go(&engine->drivers[i], engine->start_ns);
    watch_run(engine);
    for (unsigned i = 0; i < engine->drivers_count; i++) {
        driver_join(&engine->drivers[i]);
        if (engine->drivers[i].err != ERR_NONE) {
            *why = engine->drivers[i].why;
            return engine->drivers[i].err;
        }
    }
    sum_up(engine);
    return ERR_NONE;
}

static void make_stages(struct outcome *outcome)
{
    const struct plan *plan = outcome->plan;

    if (!has_stages(plan))
        return;
    outcome->stages = zeroed(plan->pattern.count, sizeof(struct outcome_stage));
    outcome->stages_count = plan->pattern.count;
    for (size_t i = 0; i < plan->pattern.count; i++) {
        const struct pattern_piece *piece = &plan->pattern.pieces[i];
        outcome->stages[i].start_s = (double)piece->start_ns / (double)CLOCK_NS_PER_S;
        outcome->stages[i].length_s = (double)piece->length_ns / (double)CLOCK_NS_PER_S;
        outcome->stages[i].level = (piece->from + piece->to) / 2;
    }
}

static void make_streams(struct engine *engine)
{
    size_t steps = engine->plan->steps_count;

    if (!engine->plan->has_streams)
        return;
    engine->outcome->streams = zeroed(1, sizeof(struct stream_tally));
    engine->outcome->step_streams = zeroed(steps, sizeof(struct stream_tally));
    engine->streams_seen = zeroed(engine->drivers_count * steps, sizeof(struct stream_tally));
    engine->streams_interval = zeroed(1, sizeof(struct stream_tally));
}

enum err engine_run(const struct plan *plan, const struct engine_watch *watch,
                    struct outcome *ret_outcome, struct why *why)
{
    struct engine engine = {.plan = plan,
                            .watch = watch,
                            .drivers_count = plan->threads,
                            .outcome = ret_outcome,
                            .interval_ns = interval_of(plan)};

    memset(ret_outcome, 0, sizeof(*ret_outcome));
    ret_outcome->plan = plan;
    ret_outcome->steps = zeroed(plan->steps_count, sizeof(struct tally));
    ret_outcome->points = zeroed(OUTCOME_POINTS_MAX, sizeof(struct outcome_point));
    make_stages(ret_outcome);
    if (engine.drivers_count > plan->connections)
        engine.drivers_count = plan->connections;
    engine.drivers = zeroed(engine.drivers_count, sizeof(struct driver));
    engine.seen = zeroed(engine.drivers_count * plan->steps_count, sizeof(struct tally));
    engine.interval = zeroed(1, sizeof(struct tally));
    make_streams(&engine);
    enum err err = run(&engine, why);
    for (unsigned i = 0; i < engine.drivers_opened_count; i++) {
        driver_join(&engine.drivers[i]);
        driver_close(&engine.drivers[i]);
    }
    free(engine.drivers);
    free(engine.seen);
    free(engine.interval);
    free(engine.streams_seen);
    free(engine.streams_interval);
    return err;
}
