/* SPDX-License-Identifier: Apache-2.0 */
/* One thread of traffic.
 *
 * Closed model: the first users_wanted users go round by themselves; a tick follows the pattern and
 * wakes or retires users. Open model: the arrivals of all drivers together form the schedule. With
 * constant spacing, arrival number k of n drivers belongs to driver k mod n; random arrivals are
 * drawn by each driver for its share, which adds up to the same process.
 *
 * The schedule is a matter of the pattern alone: an arrival that finds no free user waits in the
 * backlog with the time it was meant to start, and whatever happens, that is the time its latency
 * counts from. When the generator itself is late it shows in `lateness`, not in the target's
 * favour.
 *
 * At the end of the pattern nothing is begun any more. What is under way, and what still waits in
 * the backlog, has the grace time to finish; leaving it out would hide the worst. */
#include "load/driver.h"

#include "base/clock.h"
#include "io/tls_client.h"
#include "io/workers.h"
#include "load/draw.h"
#include "load/lookup.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum {
    OPENING_AT_ONCE = 64,
    ARRIVALS_PER_ROUND = 256,
    SMALL_TLS_CONNECTIONS = 1000,
};
#define TICK_NS    (10 * CLOCK_NS_PER_MS)
#define OPENING_NS (5 * CLOCK_NS_PER_S)
#define GATHER_NS  CLOCK_NS_PER_MS
#define PART_SEED  UINT64_C(0x9e3779b97f4a7c15) /* Keeps the seeds of machines apart. */

static void begin_grace(struct driver *driver, bool at_once);

/* ---- Arrivals. ---- */

/* As if every machine had as many drivers as this one: arrivals are dealt out to the machines in
 * turn, and there to the drivers. */
static unsigned drivers_everywhere(const struct driver *driver)
{
    return driver->drivers * driver->plan->parts;
}

/* How much of the pattern's area lies between an arrival and the one that is `further` behind it in
 * the whole schedule. Poisson arrivals that are drawn by each driver for its share add up to
 * Poisson arrivals; those of other shapes do not, so that every driver draws the same whole
 * schedule and takes its own out of it. */
static double draw_gap(struct driver *driver, unsigned further)
{
    const struct plan *plan = driver->plan;
    double gap = 0;

    if (plan->arrivals == ARRIVALS_CONSTANT)
        return further;
    if (plan->arrivals == ARRIVALS_POISSON)
        return draw_exponential(&driver->random) * drivers_everywhere(driver);
    for (unsigned i = 0; i < further; i++)
        gap += draw_gamma(&driver->schedule, plan->gamma_shape);
    return gap;
}

static void next_arrival(struct driver *driver)
{
    int64_t at_ns =
        pattern_time_of(&driver->plan->pattern, driver->arrival_area, &driver->pattern_hint);

    driver->arrival_ns = at_ns == INT64_MAX ? INT64_MAX : driver->start_ns + at_ns;
    driver->arrival_area += draw_gap(driver, drivers_everywhere(driver));
}

static bool take_request(struct driver *driver)
{
    if (!driver->counts_requests)
        return true;
    if (driver->requests_left == 0)
        return false;
    driver->requests_left--;
    return true;
}

static void wait_in_line(struct driver *driver, int64_t intended_ns)
{
    struct tally_links *counts = driver->counts;

    if (driver->backlog.count >= driver->plan->backlog_max) {
        COUNTER_ADD(counts->dropped, 1);
        return;
    }
    backlog_push(&driver->backlog, intended_ns);
    COUNTER_SET(counts->backlog, driver->backlog.count);
    if (driver->backlog.count > counts->backlog_max)
        COUNTER_SET(counts->backlog_max, driver->backlog.count);
}

static void arrive(struct driver *driver, int64_t intended_ns, int64_t now_ns)
{
    struct user *user = user_list_take(&driver->idle);

    COUNTER_ADD(driver->counts->arrivals, 1);
    histogram_add(&driver->counts->lateness, now_ns - intended_ns);
    if (user == NULL) {
        wait_in_line(driver, intended_ns);
        return;
    }
    driver->now_ns = now_ns;
    user_begin(user, intended_ns);
}

static void arrivals_due(struct loop_timer *timer)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, arrival);
    int64_t now_ns = clock_monotonic_ns();

    /* A bound on each round, so that answers are read also when the generator lags behind. */
    for (int i = 0; i < ARRIVALS_PER_ROUND && driver->arrival_ns <= now_ns; i++) {
        if (driver->ending || !take_request(driver)) {
            driver->finishing = driver->finishing || !driver->ending;
            begin_grace(driver, false);
            return;
        }
        arrive(driver, driver->arrival_ns, now_ns);
        next_arrival(driver);
        now_ns = clock_monotonic_ns();
    }
    if (driver->arrival_ns < INT64_MAX)
        loop_timer_start(driver->loop, &driver->arrival, driver->arrival_ns, arrivals_due);
}

/* ---- Users. ---- */

static void retire(struct driver *driver, struct user *user)
{
    user->state = USER_ASLEEP;
    COUNTER_ADD(driver->counts->users_active, -1);
}

static void user_free_open(struct driver *driver, struct user *user, int64_t now_ns)
{
    if (driver->backlog.count == 0) {
        user->state = USER_ASLEEP;
        user_list_append(&driver->idle, user);
        return;
    }
    int64_t intended_ns = backlog_take(&driver->backlog);
    COUNTER_SET(driver->counts->backlog, driver->backlog.count);
    histogram_add(&driver->counts->queued, now_ns - intended_ns);
    driver->now_ns = now_ns;
    user_begin(user, intended_ns);
}

static void think_over(struct loop_timer *timer)
{
    struct user *user = CONTAINER_OF(timer, struct user, wake);
    struct driver *driver = user->driver;

    if (driver->ending || user->index >= driver->users_wanted || !take_request(driver)) {
        retire(driver, user);
        return;
    }
    driver->now_ns = clock_monotonic_ns();
    user_begin(user, timer->deadline_ns);
}

/* Has the last request of a closed run been begun? */
static void out_of_requests(struct driver *driver, struct user *user)
{
    retire(driver, user);
    driver->finishing = driver->finishing || !driver->ending;
    if (!driver->ending)
        begin_grace(driver, false);
}

static void user_free_closed(struct driver *driver, struct user *user, int64_t now_ns)
{
    if (driver->ending || user->index >= driver->users_wanted) {
        retire(driver, user);
        return;
    }
    int64_t think_ns = draw_think(&driver->random, &driver->plan->think);
    if (think_ns > 0) {
        user->state = USER_RESTING;
        loop_timer_start(driver->loop, &user->wake, now_ns + think_ns, think_over);
        return;
    }
    if (!take_request(driver)) {
        out_of_requests(driver, user);
        return;
    }
    driver->now_ns = now_ns;
    user_begin(user, now_ns);
}

static void check_finished(struct driver *driver)
{
    if (driver->ending && driver->waiting == 0 && driver->backlog.count == 0 &&
        (!driver->finishing || driver->iterating == 0))
        loop_stop(driver->loop);
}

void driver_user_free(struct driver *driver, struct user *user, int64_t now_ns)
{
    if (driver->plan->model == MODEL_OPEN)
        user_free_open(driver, user, now_ns);
    else
        user_free_closed(driver, user, now_ns);
    if (driver->ending)
        check_finished(driver);
}

/* How many of `total` things are this driver's when they are dealt out in turn, to the machines
 * first and there to the drivers. */
static uint64_t share_of(const struct driver *driver, uint64_t total)
{
    uint64_t here = plan_share(driver->plan, total);

    return here / driver->drivers + (driver->index < here % driver->drivers ? 1 : 0);
}

/* Wakes users up to the number that the pattern wants now; too many retire by themselves. */
static void follow_pattern(struct driver *driver, int64_t now_ns)
{
    double level = pattern_level(&driver->plan->pattern, now_ns - driver->start_ns);
    uint64_t wanted = share_of(driver, (uint64_t)llround(level));

    driver->users_wanted = wanted > driver->users_count ? driver->users_count : (uint32_t)wanted;
    for (uint32_t i = 0; i < driver->users_wanted && !driver->ending; i++) {
        struct user *user = &driver->users[i];
        if (user->state != USER_ASLEEP || user->scenario != NULL)
            continue;
        COUNTER_ADD(driver->counts->users_active, 1);
        user_free_closed(driver, user, now_ns);
    }
}

/* ---- The course of a run. ---- */

static void grace_over(struct loop_timer *timer)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, grace);

    COUNTER_ADD(driver->counts->unfinished, driver->waiting);
    COUNTER_ADD(driver->counts->dropped, driver->backlog.count);
    loop_stop(driver->loop);
}

static void begin_grace(struct driver *driver, bool at_once)
{
    int64_t now_ns = clock_monotonic_ns();
    int64_t grace_ns = at_once ? 0 : driver->plan->grace_ns;

    if (!driver->ending) {
        driver->ending = true;
        driver->end_ns = now_ns;
        loop_timer_stop(driver->loop, &driver->arrival);
        loop_timer_stop(driver->loop, &driver->tick);
    }
    loop_timer_start(driver->loop, &driver->grace, now_ns + grace_ns, grace_over);
    check_finished(driver);
}

static void ticked(struct loop_timer *timer)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, tick);
    int64_t now_ns = clock_monotonic_ns();

    driver->now_ns = now_ns;
    if (now_ns >= driver->end_ns) {
        begin_grace(driver, false);
        return;
    }
    if (driver->plan->model == MODEL_CLOSED)
        follow_pattern(driver, now_ns);
    bool constant = driver->plan->model == MODEL_OPEN || driver->plan->pattern.count == 1;
    int64_t next_ns = constant ? driver->end_ns : now_ns + TICK_NS;
    loop_timer_start(driver->loop, timer, next_ns < driver->end_ns ? next_ns : driver->end_ns,
                     ticked);
}

static void start_open(struct driver *driver)
{
    const struct plan *plan = driver->plan;

    /* Constant arrivals stand in the middle of their intervals, dealt out to the drivers in turn;
     * so a whole number of them falls into any whole number of intervals. */
    driver->arrival_area = plan->arrivals == ARRIVALS_CONSTANT
                               ? driver_number(driver, 0) + 0.5
                               : draw_gap(driver, driver_number(driver, 0) + 1);
    next_arrival(driver);
    for (uint32_t i = 0; i < driver->users_count; i++) {
        if (driver->users[i].state == USER_ASLEEP)
            user_list_append(&driver->idle, &driver->users[i]);
    }
    if (driver->arrival_ns < INT64_MAX)
        loop_timer_start(driver->loop, &driver->arrival, driver->arrival_ns, arrivals_due);
}

static void clock_started(struct loop_timer *timer)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, tick);

    driver->cpu_ns = -clock_thread_cpu_ns();
    if (driver->plan->model == MODEL_OPEN)
        start_open(driver);
    driver->tick.deadline_ns = driver->start_ns;
    ticked(timer);
}

static void go(struct loop_task *task)
{
    struct driver *driver = CONTAINER_OF(task, struct driver, start_task);

    driver->measured_from_ns = driver->start_ns + driver->plan->warmup_ns;
    driver->end_ns = driver->start_ns + pattern_length_ns(&driver->plan->pattern);
    loop_timer_stop(driver->loop, &driver->grace);
    loop_timer_start(driver->loop, &driver->tick, driver->start_ns, clock_started);
}

void driver_go(struct driver *driver, int64_t start_ns)
{
    driver->start_ns = start_ns;
    driver->start_task.run = go;
    loop_send(driver->loop, &driver->start_task);
}

static void stop(struct loop_task *task)
{
    struct driver *driver = CONTAINER_OF(task, struct driver, stop_task);

    driver->finishing = false;
    if (driver->end_ns == 0)
        loop_stop(driver->loop); /* The clock has not started. */
    else
        begin_grace(driver, driver->stop_at_once);
}

void driver_stop(struct driver *driver, bool at_once)
{
    driver->stop_at_once = at_once;
    driver->stop_task.run = stop;
    loop_send(driver->loop, &driver->stop_task);
}

/* ---- Opening connections before the clock starts. ---- */

static void opened_all(struct driver *driver)
{
    if (driver->opened)
        return;
    driver->opened = true;
    atomic_fetch_add(driver->drivers_opened, 1);
}

static void open_more(struct driver *driver)
{
    while (!driver->opened && driver->opening < OPENING_AT_ONCE &&
           driver->opening_next < driver->opening_count) {
        struct link *link = &driver->links[driver->opening_next++ * driver->plan->origins_count];
        driver->opening++;
        link_open(link);
    }
    if (driver->opening == 0 && driver->opening_next >= driver->opening_count)
        opened_all(driver);
}

static void open_again(struct loop_task *task)
{
    struct driver *driver = CONTAINER_OF(task, struct driver, open_task);

    driver->open_deferred = false;
    open_more(driver);
}

void driver_link_opened(struct driver *driver)
{
    if (driver->opened)
        return;
    driver->opening--;
    if (!driver->open_deferred) {
        driver->open_deferred = true;
        loop_defer(driver->loop, &driver->open_task);
    }
}

void driver_link_opening_again(struct driver *driver)
{
    if (!driver->opened)
        driver->opening++;
}

static void opening_took_long(struct loop_timer *timer)
{
    opened_all(CONTAINER_OF(timer, struct driver, grace));
}

static void begin_opening(struct driver *driver)
{
    const struct plan *plan = driver->plan;
    double first =
        plan->model == MODEL_OPEN ? driver->users_count : ceil(pattern_level(&plan->pattern, 0));
    uint64_t users =
        plan->model == MODEL_OPEN ? driver->users_count : share_of(driver, (uint64_t)first);

    if (users > driver->users_count)
        users = driver->users_count;
    driver->opening_count = (uint32_t)((users + plan->lanes - 1) / plan->lanes);
    if (!plan->keep_alive)
        driver->opening_count = 0;
    driver->open_task.run = open_again;
    loop_timer_start(driver->loop, &driver->grace, clock_monotonic_ns() + OPENING_NS,
                     opening_took_long);
    open_more(driver);
}

/* ---- The thread. ---- */

static void *run(void *argument)
{
    struct driver *driver = argument;
    char name[16];

    (void)snprintf(name, sizeof(name), "sonde-load-%u", driver->index);
    (void)prctl(PR_SET_NAME, name);      /* Only for people. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* Without it arrivals are 50 us later. */
    if (driver->plan->resolves_each)
        driver->err = lookup_open(driver, &driver->why);
    if (driver->err == ERR_NONE)
        begin_opening(driver);
    if (driver->err == ERR_NONE)
        driver->err = loop_run(driver->loop, &driver->why);
    driver->cpu_ns += clock_thread_cpu_ns();
    driver->closing = true;
    driver->resolvers = workers_close(driver->resolvers);
    for (uint32_t i = 0; i < driver->users_count; i++)
        user_done(&driver->users[i]);
    for (uint32_t i = 0; i < driver->links_count; i++)
        link_done(&driver->links[i]);
    opened_all(driver);
    atomic_fetch_add(driver->drivers_done, 1);
    return NULL;
}

enum err driver_start(struct driver *driver, struct why *why)
{
    int error = pthread_create(&driver->thread, NULL, run, driver);

    if (error != 0)
        return fail_errno(why, error, "starting a thread");
    driver->thread_started = true;
    return ERR_NONE;
}

void driver_join(struct driver *driver)
{
    if (driver->thread_started)
        pthread_join(driver->thread, NULL);
    driver->thread_started = false;
}

/* ---- Life. ---- */

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);

    if (memory == NULL)
        must_memory(count * size);
    return memory;
}

static const struct protocol *protocol_of(const struct origin *origin)
{
    static const struct protocol *const protocols[] = {
        [WIRE_HTTP1] = &protocol_http1,
        [WIRE_HTTP2] = &protocol_http2,
        [WIRE_WEBSOCKET] = &protocol_websocket,
        [WIRE_TCP] = &protocol_tcp,
    };

    return protocols[origin->wire];
}

static enum err open_tls(struct driver *driver, struct why *why)
{
    const struct plan *plan = driver->plan;
    bool wanted = false;

    driver->tls_peers = zeroed(plan->origins_count, sizeof(struct tls_peer *));
    for (size_t i = 0; i < plan->origins_count; i++)
        wanted = wanted || scheme_is_tls(plan->origins[i]->scheme);
    if (!wanted)
        return ERR_NONE;
    TRY(tls_client_open(
        &(struct tls_client_options){.ca_file = plan->ca_file,
                                     .unverified = !plan->verify_tls,
                                     .without_resumption = !plan->session_reuse,
                                     .small = driver->users_count >= SMALL_TLS_CONNECTIONS},
        &driver->tls, why));
    for (size_t i = 0; i < plan->origins_count; i++) {
        char host[256];
        (void)snprintf(host, sizeof(host), "%.*s", STR_ARG(plan->origins[i]->host));
        driver->tls_peers[i] = tls_peer_new(driver->tls, host, protocol_of(plan->origins[i])->alpn);
    }
    return ERR_NONE;
}

static void make_users(struct driver *driver)
{
    const struct plan *plan = driver->plan;
    size_t origins = plan->origins_count;

    driver->users = zeroed(driver->users_count, sizeof(struct user));
    driver->links_count = (driver->users_count + plan->lanes - 1) / plan->lanes * (uint32_t)origins;
    driver->links = zeroed(driver->links_count, sizeof(struct link));
    for (uint32_t i = 0; i < driver->links_count; i++) {
        const struct origin *origin = plan->origins[i % origins];
        link_init(&driver->links[i], driver, origin, i % origins, protocol_of(origin));
    }
    for (uint32_t i = 0; i < driver->users_count; i++)
        user_init(&driver->users[i], driver, i, &driver->links[i / plan->lanes * origins]);
}

/* Token streams are thousands of small events. Where the kernel stamps them, they may wait a little
 * for each other, and nothing that is measured changes. TLS hides the stamps. */
static bool gathers(const struct plan *plan)
{
    bool plain = plan->has_streams && plan->http == HTTP_CHOICE_1;

    for (size_t i = 0; i < plan->origins_count; i++)
        plain = plain && !scheme_is_tls(plan->origins[i]->scheme);
    return plain;
}

unsigned driver_count(const struct plan *plan)
{
    uint64_t connections = plan_share(plan, plan->connections);

    return plan->threads < connections ? plan->threads : (unsigned)connections;
}

enum err driver_open(struct driver *driver, const struct plan *plan, unsigned index,
                     struct why *why)
{
    struct loop_options options = {.timer_slack_ns = LOOP_PRECISE};

    driver->plan = plan;
    driver->stamps = gathers(plan);
    options.gather_ns = driver->stamps ? GATHER_NS : 0;
    driver->index = index;
    driver->drivers = driver_count(plan);
    driver->measured_from_ns = INT64_MAX;
    TRY(loop_open(&options, &driver->loop, why));
    driver->random = random_begin(plan->seed * PLAN_THREADS_MAX + index + PART_SEED * plan->part);
    driver->schedule = random_begin(plan->seed * PLAN_THREADS_MAX);
    trail_init(&driver->trail, plan->trace_run, plan->part * PLAN_THREADS_MAX + index);
    driver->users_count = (uint32_t)share_of(driver, plan->connections);
    driver->counts_requests = plan->requests_max > 0;
    driver->requests_left = share_of(driver, plan->requests_max);
    driver->buffer = zeroed(1, DRIVER_BUFFER_BYTES);
    driver->steps = zeroed(plan->steps_count, sizeof(struct tally));
    if (plan->has_streams)
        driver->streams = zeroed(plan->steps_count, sizeof(struct stream_tally));
    driver->discarded = zeroed(1, sizeof(struct tally));
    driver->counts = zeroed(1, sizeof(struct tally_links));
    TRY(open_tls(driver, why));
    make_users(driver);
    return ERR_NONE;
}

void driver_close(struct driver *driver)
{
    if (driver->plan == NULL)
        return;
    if (driver->tls_peers != NULL) {
        for (size_t i = 0; i < driver->plan->origins_count; i++)
            tls_peer_free(driver->tls_peers[i]);
    }
    free(driver->tls_peers);
    tls_client_close(driver->tls);
    (void)workers_close(driver->resolvers);
    loop_close(driver->loop);
    free(driver->users);
    free(driver->links);
    backlog_done(&driver->backlog);
    free(driver->steps);
    free(driver->streams);
    free(driver->discarded);
    free(driver->counts);
    free(driver->buffer);
    buf_done(&driver->scratch);
    *driver = (struct driver){0};
}
