/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers count; this thread looks at their counters once an interval and keeps the differences
 * as a point of the time line. Nothing is handed over between threads while the run goes on, so a
 * look costs the drivers nothing. */
#include "load/engine.h"

#include "base/clock.h"
#include "load/account.h"
#include "load/driver.h"
#include "load/script.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    FILES_BESIDE = 64, /* Loops, signals, libraries. */
};
#define NAP_NS         (20 * CLOCK_NS_PER_MS)
#define START_DELAY_NS (5 * CLOCK_NS_PER_MS)
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
    struct stream_tally *streams_seen; /* The same of token streams, where there are any. */
    struct tally *fresh;               /* What came to one step since the last look. */
    struct stream_tally *streams_fresh;
    struct account account;
    atomic_uint opened;
    atomic_uint done;
    bool over; /* The drivers have ended: nothing is left behind. */
    int interrupts_heeded;
    int64_t start_ns;
    struct outcome *outcome;
};

void outcome_done(struct outcome *outcome)
{
    free(outcome->steps);
    free(outcome->points);
    free(outcome->streams);
    free(outcome->step_streams);
    free(outcome->stages);
    free(outcome->agents);
    *outcome = (struct outcome){0};
}

size_t outcome_agents_lost(const struct outcome *outcome)
{
    size_t count = 0;

    for (size_t i = 0; i < outcome->agents_count; i++)
        count += outcome->agents[i].state != OUTCOME_AGENT_RAN;
    return count;
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

int64_t outcome_ended_ms(const struct outcome *outcome)
{
    return outcome->started_ms + outcome->plan->warmup_ns / CLOCK_NS_PER_MS +
           (int64_t)(outcome->duration_s * (double)CLOCK_MS_PER_S);
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
    rlim_t wanted =
        (rlim_t)(plan_share(plan, plan->connections) / plan->lanes + 1) * plan->origins_count +
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

static void sum_links(struct engine *engine)
{
    struct tally_links *sum = &engine->outcome->links;

    tally_links_clear(sum);
    for (unsigned i = 0; i < engine->drivers_count; i++)
        tally_links_merge(sum, engine->drivers[i].counts);
}

static bool is_stream(const struct plan *plan, size_t step)
{
    const struct script *script = plan->steps[step]->script;

    return plan->has_streams && script != NULL && script->is_stream;
}

/* What came to a step since the last look; false: nothing. */
static bool drain_step(struct engine *engine, size_t step)
{
    size_t steps = engine->plan->steps_count;
    bool found = false;

    for (unsigned i = 0; i < engine->drivers_count; i++) {
        struct driver *driver = &engine->drivers[i];
        struct tally *seen = &engine->seen[i * steps + step];
        if (COUNTER_GET(driver->steps[step].requests) == seen->requests && !engine->over)
            continue;
        if (!found)
            tally_clear(engine->fresh);
        found = true;
        tally_drain(&driver->steps[step], seen, engine->fresh);
    }
    if (!is_stream(engine->plan, step))
        return found;
    /* Gaps between tokens count also while no request is finished. */
    memset(engine->streams_fresh, 0, sizeof(*engine->streams_fresh));
    if (!found)
        tally_clear(engine->fresh);
    for (unsigned i = 0; i < engine->drivers_count; i++)
        stream_tally_drain(&engine->drivers[i].streams[step],
                           &engine->streams_seen[i * steps + step], engine->streams_fresh);
    return true;
}

static void drain(struct engine *engine)
{
    for (size_t step = 0; step < engine->plan->steps_count; step++) {
        if (!drain_step(engine, step))
            continue;
        const struct stream_tally *streams =
            is_stream(engine->plan, step) ? engine->streams_fresh : NULL;
        account_add(&engine->account, step, engine->fresh, streams);
        if (engine->watch != NULL && engine->watch->brought != NULL)
            engine->watch->brought(engine->watch->self, step, engine->fresh, streams);
    }
}

static void look(struct engine *engine, int64_t now_ns)
{
    struct outcome *outcome = engine->outcome;

    drain(engine);
    sum_links(engine);
    account_end_interval(&engine->account, now_ns - engine->start_ns);
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
    int64_t next_ns = engine->start_ns + engine->account.interval_ns;

    while (atomic_load(&engine->done) < engine->drivers_count) {
        int64_t now_ns = clock_monotonic_ns();
        if (engine->watch != NULL && engine->watch->attend != NULL)
            engine->watch->attend(engine->watch->self);
        heed_interrupts(engine);
        if (now_ns >= next_ns) {
            look(engine, now_ns);
            next_ns += engine->account.interval_ns;
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

    engine->over = true;
    look(engine, now_ns);
    for (unsigned i = 0; i < engine->drivers_count; i++) {
        struct driver *driver = &engine->drivers[i];
        trail_merge(&outcome->trail, &driver->trail);
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
    if (engine->watch != NULL && engine->watch->start != NULL) {
        enum err err = engine->watch->start(engine->watch->self, &engine->start_ns, why);
        if (err != ERR_NONE) {
            stop_all(engine, true);
            return err;
        }
    }
    engine->outcome->started_ns = engine->start_ns;
    engine->outcome->started_ms =
        clock_now_ms() + (engine->start_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
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

static void make_room(struct engine *engine)
{
    size_t steps = engine->plan->steps_count;

    engine->drivers = zeroed(engine->drivers_count, sizeof(struct driver));
    engine->seen = zeroed(engine->drivers_count * steps, sizeof(struct tally));
    engine->fresh = zeroed(1, sizeof(struct tally));
    if (!engine->plan->has_streams)
        return;
    engine->streams_seen = zeroed(engine->drivers_count * steps, sizeof(struct stream_tally));
    engine->streams_fresh = zeroed(1, sizeof(struct stream_tally));
}

enum err engine_run(const struct plan *plan, const struct engine_watch *watch,
                    struct outcome *ret_outcome, struct why *why)
{
    struct engine engine = {
        .plan = plan, .watch = watch, .drivers_count = driver_count(plan), .outcome = ret_outcome};

    account_open(&engine.account, plan, ret_outcome);
    make_room(&engine);
    enum err err = run(&engine, why);
    for (unsigned i = 0; i < engine.drivers_opened_count; i++) {
        driver_join(&engine.drivers[i]);
        driver_close(&engine.drivers[i]);
    }
    free(engine.drivers);
    free(engine.seen);
    free(engine.fresh);
    free(engine.streams_seen);
    free(engine.streams_fresh);
    account_close(&engine.account);
    return err;
}
