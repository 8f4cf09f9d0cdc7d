/* SPDX-License-Identifier: Apache-2.0 */
/* sonde load --capacity: probes of the open model, one after the other, each a run with a plan of
 * its own, until the highest rate that is kept lies in a narrow gap, or the time for it is over. A
 * run ends when its answers are there, so no probe pays for the one before; where answers were
 * given up, the target is left alone for a while. When it is the connections that are too few, and
 * nobody said how many, the probe is repeated with more. */
#include "cli/load_capacity.h"
#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    CONNECTIONS_GROWTH = 4,
    CONNECTIONS_MOST = 1024, /* That are taken without being told. */
    FEWEST = 5,              /* Requests of a probe. */
    REQUESTS_LEAST = 20,     /* Of a brief probe, where the length allows. */
    LENGTH_LEAST_MS = 1000,
    WITHIN_PROBES = 30, /* So long may a search last, in full probes … */
};
#define RATE_FIRST      10.0
#define BRIEF_SHARE     0.25
#define BRIEF_LEAST_NS  (1 * CLOCK_NS_PER_S)
#define WITHIN_LEAST_NS (120.0 * (double)CLOCK_NS_PER_S) /* … but not less than this. */
#define WITHIN_MOST_NS  1e18

double hunt_seconds(const struct hunt *hunt)
{
    int64_t end_ns = hunt->end_ns > 0 ? hunt->end_ns : clock_monotonic_ns();

    return (double)(end_ns - hunt->start_ns) / (double)CLOCK_NS_PER_S;
}

struct rate_text rate_text(double rate)
{
    struct rate_text ret;

    (void)snprintf(ret.text, sizeof(ret.text), rate >= 1000 ? "%.0f" : "%.4g", rate);
    return ret;
}

/* ---- One probe. ---- */

static bool look(void *self, const struct outcome *outcome)
{
    struct hunt *hunt = self;

    load_show(&hunt->run, outcome);
    return capacity_course_add(&hunt->course, outcome, hunt->run.level, hunt->rest.p99_ms / 1000);
}

static void attend(void *self)
{
    struct hunt *hunt = self;

    load_attend(&hunt->run);
}

static int64_t length_of(const struct hunt *hunt, const struct capacity_probe *probe)
{
    double length_ns = (double)hunt->length_ns;
    double brief_ns = fmax(length_ns * BRIEF_SHARE, (double)BRIEF_LEAST_NS);

    if (!probe->is_brief)
        return hunt->length_ns;
    brief_ns = fmax(brief_ns, REQUESTS_LEAST / probe->rate * (double)CLOCK_NS_PER_S);
    return (int64_t)fmin(brief_ns, length_ns);
}

static enum err check_criteria(const struct load_run *run, struct why *why)
{
    for (size_t i = 0; i < run->criteria_count; i++) {
        if (!capacity_takes(&run->criteria[i]))
            return fail(why, ERR_INVALID, "--capacity: '%.*s' cannot decide a search for the rate",
                        STR_ARG(run->criteria[i].text));
    }
    return ERR_NONE;
}

/* A rate that an agent could not make says nothing of the target. */
static enum err check_agents(const struct outcome *outcome, struct why *why)
{
    for (size_t i = 0; i < outcome->agents_count; i++) {
        const struct outcome_agent *agent = &outcome->agents[i];
        if (agent->state != OUTCOME_AGENT_RAN)
            return fail(why, ERR_CLOSED, "agent %s was lost during a probe: %s", agent->name,
                        agent->reason);
    }
    return ERR_NONE;
}

static enum err probe_once(struct hunt *hunt, const struct capacity_probe *probe,
                           struct capacity_step *ret_step, struct why *why)
{
    const struct engine_watch watch = {
        .look = look, .attend = attend, .self = hunt, .interrupts = hunt->interrupts};
    struct load_run *run = &hunt->run;

    *run = (struct load_run){.load = hunt->load,
                             .has_level = true,
                             .level_is_rate = true,
                             .level = probe->rate,
                             .probe_ns = length_of(hunt, probe),
                             .probe_connections = hunt->connections,
                             .caption = hunt_caption(hunt, probe)};
    judgement_init(&run->judgement, hunt->load->arena);
    hunt->course.count = 0;
    run->plan = plan_new(LOAD_PLAN_BYTES_MAX);
    TRY(load_pack(run, why));
    /* Not because a daemon watches: being traced costs the target, and would move its capacity. */
    if (options_bool(hunt->load->invocation->options, LOAD_TRACE))
        load_witness_trace(hunt->load, run->plan);
    TRY(load_plan_make(run, why));
    TRY(check_criteria(run, why));
    /* Equal probes draw arrivals of their own, else they would confirm each other for nothing. */
    run->plan->seed += hunt->steps_count;
    load_open_view(run);
    enum err err = load_engine_run(run, &watch, why);
    load_clear_line(run);
    TRY(err);
    TRY(check_agents(&run->outcome, why));
    if (hunt->title == NULL)
        hunt->title = arena_printf(hunt->load->arena, "%s", run->plan->title);
    if (hunt->started_ms == 0)
        hunt->started_ms = run->outcome.started_ms;
    capacity_step_judge(&run->outcome, &hunt->course, probe->rate, run->criteria,
                        run->criteria_count, &hunt->rest, ret_step);
    if (run->outcome.interrupted)
        hunt->end = HUNT_INTERRUPTED;
    return ERR_NONE;
}

static void wait_ns(const struct hunt *hunt, int64_t rest_ns)
{
    const struct timespec nap = {.tv_nsec = 20 * CLOCK_NS_PER_MS};
    int64_t end_ns = clock_monotonic_ns() + rest_ns;

    end_ns = end_ns < hunt->start_ns + hunt->limit_ns ? end_ns : hunt->start_ns + hunt->limit_ns;
    while (clock_monotonic_ns() < end_ns && atomic_load(hunt->interrupts) == 0)
        (void)nanosleep(&nap, NULL);
}

/* Requests that were given up may still be worked on. */
static bool leaves_work(const struct outcome *outcome)
{
    return outcome->links.unfinished + outcome->total.faults[FAULT_TIMEOUT] > 0;
}

/* ---- The search. ---- */

/* Is the probe to be done again, because it says nothing of the target? */
static bool is_void(struct hunt *hunt, const struct capacity_step *step, bool *blamed)
{
    bool told = load_is_told(hunt->load, LOAD_CONNECTIONS);

    if (step->limit == CAPACITY_LIMIT_CONNECTIONS && !told &&
        step->connections * CONNECTIONS_GROWTH <= CONNECTIONS_MOST) {
        hunt->connections = step->connections * CONNECTIONS_GROWTH;
        return true;
    }
    /* A machine that was busy for a moment is asked once more. */
    bool again = step->limit == CAPACITY_LIMIT_GENERATOR && !*blamed;
    *blamed = true;
    return again;
}

/* Is there something to probe, and the time for it? */
static bool goes_on(struct hunt *hunt, struct capacity_probe *ret_probe)
{
    if (hunt->end == HUNT_IS_DONE && atomic_load(hunt->interrupts) > 0)
        hunt->end = HUNT_INTERRUPTED;
    if (hunt->end != HUNT_IS_DONE)
        return false;
    if (!capacity_next(&hunt->capacity, ret_probe)) {
        if (hunt->capacity.probes_count == CAPACITY_PROBES_MAX &&
            !capacity_answer(&hunt->capacity).confirmed)
            hunt->end = HUNT_PROBES;
        return false;
    }
    if (hunt->steps_count == HUNT_STEPS_MAX)
        hunt->end = HUNT_PROBES;
    else if (clock_monotonic_ns() - hunt->start_ns + length_of(hunt, ret_probe) > hunt->limit_ns)
        hunt->end = HUNT_TIME; /* It would end after that. */
    return hunt->end == HUNT_IS_DONE;
}

/* Takes over the run that has just broken at the lowest rate that breaks, so that a daemon can be
 * asked about it. */
static void keep_broken(struct hunt *hunt, const struct capacity_step *step)
{
    if (step->limit == CAPACITY_LIMIT_NONE ||
        step->rate != capacity_answer(&hunt->capacity).broken) /* A probe there told both. */
        return;
    load_run_done(&hunt->broken);
    hunt->broken = hunt->run;
    hunt->run = (struct load_run){0};
    hunt->broken.judgement.failed = true;
    hunt->broken.judgement.failed_by = step->reason;
    judgement_judge(&hunt->broken.judgement, hunt->broken.criteria, hunt->broken.criteria_count,
                    &hunt->broken.outcome);
}

/* What limited the target there? */
static void explain(struct hunt *hunt)
{
    if (hunt->broken.plan != NULL && hunt->broken.level == capacity_answer(&hunt->capacity).broken)
        load_witness_ask(&hunt->broken, hunt->interrupts);
}

static enum err hunt_on(struct hunt *hunt, struct why *why)
{
    struct capacity_probe probe;
    bool blamed = false;

    while (goes_on(hunt, &probe)) {
        struct capacity_step *step = &hunt->steps[hunt->steps_count];
        enum err err = probe_once(hunt, &probe, step, why);
        bool leaves = err == ERR_NONE && leaves_work(&hunt->run.outcome);
        TRY(err);
        if (hunt->end == HUNT_INTERRUPTED)
            break; /* Half a probe says too little. */
        hunt->phases[hunt->steps_count++] = probe.phase;
        if (!is_void(hunt, step, &blamed)) {
            capacity_tell(&hunt->capacity, &probe, step->limit == CAPACITY_LIMIT_NONE,
                          capacity_step_beyond(step));
            blamed = false;
        }
        keep_broken(hunt, step);
        load_run_done(&hunt->run);
        hunt_tell_step(hunt, step);
        if (leaves)
            wait_ns(hunt, hunt->length_ns);
    }
    return ERR_NONE;
}

/* ---- The command. ---- */

static enum err check(const struct load *load, struct why *why)
{
    static const enum load_option others[] = {LOAD_PATTERN,     LOAD_TEST,     LOAD_SWEEP_RATE,
                                              LOAD_SWEEP_USERS, LOAD_REQUESTS, LOAD_THINK};

    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct buf flag CLEANUP(buf_done) = {0};
        if (!load_is_told(load, others[i]))
            continue;
        option_write_flag(&load_options[others[i]], &flag);
        return fail(why, ERR_INVALID, "--capacity and %s exclude each other", buf_cstr(&flag));
    }
    if (options_ms(load->invocation->options, LOAD_LENGTH) < LENGTH_LEAST_MS)
        return fail(why, ERR_INVALID,
                    "--capacity needs a --duration of a second or more: less "
                    "does not show whether a backlog grows");
    return load_report_check(load, why);
}

static int64_t limit_ns(const struct hunt *hunt)
{
    double usual_ns = fmax((double)hunt->length_ns * WITHIN_PROBES, WITHIN_LEAST_NS);

    if (load_is_told(hunt->load, LOAD_WITHIN))
        return options_ms(hunt->load->invocation->options, LOAD_WITHIN) * CLOCK_NS_PER_MS;
    return (int64_t)fmin(usual_ns, WITHIN_MOST_NS);
}

enum exit_code load_capacity(struct load *load, const atomic_int *interrupts)
{
    const struct options *options = load->invocation->options;
    struct why why = WHY_INIT;
    enum exit_code code;

    enum err err = check(load, &why);
    struct hunt *hunt = calloc(1, sizeof(*hunt));
    if (hunt == NULL)
        must_memory(sizeof(*hunt));
    hunt->load = load;
    hunt->interrupts = interrupts;
    hunt->length_ns = options_ms(options, LOAD_LENGTH) * CLOCK_NS_PER_MS; /* Never 0: its range. */
    hunt->limit_ns = limit_ns(hunt);
    double start = load_is_told(load, LOAD_RATE) ? options_double(options, LOAD_RATE) : RATE_FIRST;
    start = fmin(start, CAPACITY_RATE_MAX);
    capacity_init(&hunt->capacity, start,
                  fmin(start, FEWEST * (double)CLOCK_NS_PER_S / (double)hunt->length_ns));
    if (err == ERR_NONE)
        err = load_witness_find(load, &why);
    hunt->start_ns = clock_monotonic_ns();
    if (err == ERR_NONE)
        err = hunt_on(hunt, &why);
    hunt->end_ns = clock_monotonic_ns();
    load->view = load_view_close(load->view);
    if (err == ERR_NONE)
        explain(hunt);
    code = err == ERR_NONE ? hunt_tell(hunt) : command_fail(load->invocation, &why);
    load_run_done(&hunt->run);
    load_run_done(&hunt->broken);
    free(hunt);
    return code;
}
