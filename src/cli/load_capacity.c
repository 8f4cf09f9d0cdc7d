/* SPDX-License-Identifier: Apache-2.0 */
/* sonde load --capacity: probes of the open model, one after the other, each a run with a plan of
 * its own, until the highest rate that is kept lies in a narrow gap. A run ends when its answers
 * are there, so no probe pays for the one before; where answers were given up, the target is left
 * alone for a while. When it is the connections that are too few, and nobody said how many, the
 * probe is repeated with more. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/load.h"
#include "document/document.h"
#include "load/capacity.h"
#include "load/capacity_step.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    STEPS_MAX = CAPACITY_PROBES_MAX * 2,
    CONNECTIONS_GROWTH = 4,
    CONNECTIONS_MOST = 1024, /* That are taken without being told. */
    REQUESTS_SHORT = 100,    /* Fewer in a full probe cannot tell 3 % from nothing. */
    SHORT_TIMES = 4,         /* A full probe is to last so many times the P99 at rest. */
    FEWEST = 5,              /* Requests of a probe. */
    REQUESTS_LEAST = 20,     /* Of a brief probe, where the length allows. */
    LENGTH_LEAST_MS = 1000,
    DOCUMENT_BYTES_MAX = 4 << 20,
};
#define RATE_FIRST     10.0
#define BRIEF_SHARE    0.25
#define BRIEF_LEAST_NS (1 * CLOCK_NS_PER_S)

struct hunt {
    struct load *load;
    const atomic_int *interrupts;
    const char *title;
    struct capacity capacity;
    struct capacity_rest rest;
    struct capacity_course course;
    struct capacity_step steps[STEPS_MAX];
    enum capacity_phase phases[STEPS_MAX];
    size_t steps_count;
    struct load_run run; /* The one under way. */
    unsigned connections;
    int64_t length_ns;
    int64_t started_ms;
    bool interrupted;
};

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
                             .probe_connections = hunt->connections};
    judgement_init(&run->judgement, hunt->load->arena);
    hunt->course.count = 0;
    run->plan = plan_new(LOAD_PLAN_BYTES_MAX);
    TRY(load_pack(run, why));
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
    hunt->interrupted = run->outcome.interrupted;
    return ERR_NONE;
}

static void wait_ns(const struct hunt *hunt, int64_t rest_ns)
{
    const struct timespec nap = {.tv_nsec = 20 * CLOCK_NS_PER_MS};
    int64_t end_ns = clock_monotonic_ns() + rest_ns;

    while (clock_monotonic_ns() < end_ns && atomic_load(hunt->interrupts) == 0)
        (void)nanosleep(&nap, NULL);
}

/* Requests that were given up may still be worked on. */
static bool leaves_work(const struct outcome *outcome)
{
    return outcome->links.unfinished + outcome->total.faults[FAULT_TIMEOUT] > 0;
}

/* ---- The search. ---- */

struct rate_text {
    char text[32];
};

/* "12.5", "397.4", "43620": four digits, and all before the point. */
static struct rate_text rate_text(double rate)
{
    struct rate_text ret;

    (void)snprintf(ret.text, sizeof(ret.text), rate >= 1000 ? "%.0f" : "%.4g", rate);
    return ret;
}

static void tell_step(const struct hunt *hunt, const struct capacity_step *step)
{
    if (!hunt->load->progress || hunt->load->view != NULL)
        return;
    (void)fprintf(stderr, "%10s/s  %-7s  P99 %.1f ms  %s\n", rate_text(step->rate).text,
                  step->limit == CAPACITY_LIMIT_NONE ? "kept" : "broken", step->p99_ms,
                  step->reason);
}

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

static enum err hunt_on(struct hunt *hunt, struct why *why)
{
    struct capacity_probe probe;
    bool blamed = false;

    while (atomic_load(hunt->interrupts) == 0 && hunt->steps_count < STEPS_MAX &&
           capacity_next(&hunt->capacity, &probe)) {
        struct capacity_step *step = &hunt->steps[hunt->steps_count];
        enum err err = probe_once(hunt, &probe, step, why);
        bool leaves = err == ERR_NONE && leaves_work(&hunt->run.outcome);
        load_run_done(&hunt->run);
        TRY(err);
        if (hunt->interrupted)
            break;
        hunt->phases[hunt->steps_count++] = probe.phase;
        tell_step(hunt, step);
        if (!is_void(hunt, step, &blamed)) {
            capacity_tell(&hunt->capacity, &probe, step->limit == CAPACITY_LIMIT_NONE);
            blamed = false;
        }
        if (leaves)
            wait_ns(hunt, hunt->length_ns);
    }
    return ERR_NONE;
}

/* ---- The answer. ---- */

/* Why the rate that broke did: as most of its probes say. */
static const struct capacity_step *limit_of(const struct hunt *hunt, double rate)
{
    const struct capacity_step *last[CAPACITY_LIMIT_CONNECTIONS + 1] = {NULL};
    size_t counts[CAPACITY_LIMIT_CONNECTIONS + 1] = {0};
    size_t most = CAPACITY_LIMIT_TARGET;

    for (size_t i = 0; i < hunt->steps_count; i++) {
        const struct capacity_step *step = &hunt->steps[i];
        if (step->rate != rate)
            continue;
        counts[step->limit]++;
        last[step->limit] = step;
    }
    for (size_t i = most + 1; i < ARRAY_COUNT(counts); i++)
        most = counts[i] > counts[most] ? i : most;
    return last[most];
}

static const struct capacity_step *kept_step(const struct hunt *hunt, double rate)
{
    const struct capacity_step *found = NULL;

    for (size_t i = 0; i < hunt->steps_count; i++) {
        if (hunt->steps[i].rate == rate && hunt->steps[i].limit == CAPACITY_LIMIT_NONE)
            found = &hunt->steps[i];
    }
    return found;
}

static void mark_limit(struct document *document, const struct capacity_step *broken)
{
    if (broken == NULL)
        return;
    document_mark(document, STATUS_INFO, "At %s/s: %s.", rate_text(broken->rate).text,
                  broken->reason);
    if (broken->limit == CAPACITY_LIMIT_GENERATOR)
        document_mark(document, STATUS_WARNING,
                      "The generator itself was the limit there: the target may keep more. Use "
                      "more threads, or another machine.");
    if (broken->limit == CAPACITY_LIMIT_CONNECTIONS)
        document_mark(document, STATUS_WARNING,
                      "All %u connections were in use while answers took no longer than at rest: "
                      "the target may keep more. Give more with --connections.",
                      broken->connections);
}

/* Too short to see a backlog grow: behind the first answers, or out of so few requests? */
static bool is_short(const struct hunt *hunt)
{
    double length_s = (double)hunt->length_ns / (double)CLOCK_NS_PER_S;

    return hunt->rest.p99_ms / 1000 * SHORT_TIMES > length_s ||
           capacity_answer(&hunt->capacity).kept * length_s < REQUESTS_SHORT;
}

static void add_answer(struct document *document, const struct hunt *hunt)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    const struct capacity_step *kept = kept_step(hunt, answer.kept);

    document_section(document, "capacity", "Capacity");
    if (isnan(answer.kept) && isnan(answer.broken))
        document_mark(document, STATUS_BAD, "Interrupted before the first probe was over.");
    else if (isnan(answer.kept))
        document_mark(document, STATUS_BAD, "No rate was kept, not even %s/s.",
                      rate_text(answer.broken).text);
    else if (isnan(answer.broken))
        document_mark(document, STATUS_WARNING, "At least %s requests a second: nothing broke.",
                      rate_text(answer.kept).text);
    else
        document_mark(document, answer.confirmed ? STATUS_GOOD : STATUS_WARNING,
                      "%s requests a second are kept, %s are not%s.", rate_text(answer.kept).text,
                      rate_text(answer.broken).text,
                      answer.confirmed ? "" : "; the search ended before both were confirmed");
    mark_limit(document, limit_of(hunt, answer.broken));
    if (is_short(hunt))
        document_mark(document, STATUS_WARNING,
                      "Probes were short for this rate or these latencies, so a backlog that "
                      "grows slowly may have been missed. Give a longer --duration.");
    if (hunt->interrupted)
        document_mark(document, STATUS_WARNING, "The search was interrupted.");
    document_number(document, "rate", "Kept", answer.kept, UNIT_RPS);
    document_number(document, "broken_rate", "Broken", answer.broken, UNIT_RPS);
    if (kept != NULL) {
        document_number(document, "p50_ms", "Median", kept->p50_ms, UNIT_MS);
        document_number(document, "p99_ms", "P99", kept->p99_ms, UNIT_MS);
    }
    document_number(document, "rest_p99_ms", "P99 at rest", hunt->rest.p99_ms, UNIT_MS);
}

static void add_steps(struct document *document, const struct hunt *hunt)
{
    static const struct column columns[] = {
        {"rate", "Rate", UNIT_RPS, false},           {"phase", "Phase", UNIT_NONE, true},
        {"seconds", "Took", UNIT_SECONDS, false},    {"answered", "Answered", UNIT_RATIO, false},
        {"error_rate", "Errors", UNIT_RATIO, false}, {"p50_ms", "Median", UNIT_MS, false},
        {"p95_ms", "P95", UNIT_MS, false},           {"p99_ms", "P99", UNIT_MS, false},
        {"verdict", "Verdict", UNIT_NONE, true},
    };
    struct table *table = document_table(document, "steps", "Steps", columns, ARRAY_COUNT(columns));

    for (size_t i = 0; i < hunt->steps_count; i++) {
        const struct capacity_step *step = &hunt->steps[i];
        bool kept = step->limit == CAPACITY_LIMIT_NONE;
        table_add_row(table, kept                                   ? STATUS_GOOD
                             : step->limit == CAPACITY_LIMIT_TARGET ? STATUS_BAD
                                                                    : STATUS_WARNING);
        table_number(table, step->rate);
        table_text(table, capacity_phase_name(hunt->phases[i]));
        table_number(table, step->seconds);
        table_number(table, step->answered);
        table_number(table, step->error_rate);
        table_number(table, step->p50_ms);
        table_number(table, step->p95_ms);
        table_number(table, step->p99_ms);
        table_text(table, kept ? "kept" : step->reason);
    }
}

static int compare_steps(const void *a, const void *b)
{
    double left = ((const struct capacity_step *)a)->rate;
    double right = ((const struct capacity_step *)b)->rate;

    return (left > right) - (left < right);
}

static void add_chart(struct document *document, const struct hunt *hunt)
{
    struct capacity_step steps[STEPS_MAX];
    double x[STEPS_MAX], p50[STEPS_MAX], p99[STEPS_MAX];

    if (hunt->steps_count < 2)
        return;
    memcpy(steps, hunt->steps, hunt->steps_count * sizeof(*steps));
    qsort(steps, hunt->steps_count, sizeof(*steps), compare_steps);
    for (size_t i = 0; i < hunt->steps_count; i++) {
        x[i] = steps[i].rate;
        p50[i] = steps[i].p50_ms;
        p99[i] = steps[i].p99_ms;
    }
    struct chart *chart =
        document_chart(document, "latency", "Latency by rate", CHART_LINE, UNIT_MS);
    chart_series(chart, "median", x, p50, hunt->steps_count);
    chart_series(chart, "P99", x, p99, hunt->steps_count);
}

static struct document *hunt_document(const struct hunt *hunt)
{
    struct document *document =
        document_new(hunt->title == NULL ? "Capacity" : hunt->title, DOCUMENT_BYTES_MAX);

    document_set_time(document, hunt->started_ms);
    add_answer(document, hunt);
    add_steps(document, hunt);
    add_chart(document, hunt);
    return document;
}

/* ---- Forms. ---- */

static void put_step(struct json *json, const struct capacity_step *step, enum capacity_phase phase)
{
    json_open(json, '{');
    json_put_double(json, "rate", step->rate);
    json_put_text(json, "phase", capacity_phase_name(phase));
    json_put_bool(json, "kept", step->limit == CAPACITY_LIMIT_NONE);
    json_put_text(json, "limit", capacity_limit_name(step->limit));
    json_put_text(json, "reason", step->reason);
    json_put_double(json, "duration_s", step->seconds);
    json_put_u64(json, "requests", step->requests);
    json_put_u64(json, "connections", step->connections);
    json_put_double(json, "answered", step->answered);
    json_put_double(json, "error_rate", step->error_rate);
    json_put_double(json, "p50_ms", step->p50_ms);
    json_put_double(json, "p95_ms", step->p95_ms);
    json_put_double(json, "p99_ms", step->p99_ms);
    json_close(json, '}');
}

static void write_json(const struct hunt *hunt, struct buf *out)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    const struct capacity_step *broken = limit_of(hunt, answer.broken);
    struct json json = json_begin(out);
    char text[CLOCK_TEXT_SIZE];

    json_open(&json, '{');
    json_put_text(&json, "title", hunt->title);
    json_put_str(&json, "started", (struct str){text, clock_text(text, hunt->started_ms)});
    json_key(&json, "capacity");
    json_open(&json, '{');
    json_put_double(&json, "rate", answer.kept);
    json_put_double(&json, "highest_kept", answer.kept);
    json_put_double(&json, "lowest_broken", answer.broken);
    json_put_bool(&json, "confirmed", answer.confirmed);
    json_put_text(&json, "limit",
                  capacity_limit_name(broken == NULL ? CAPACITY_LIMIT_NONE : broken->limit));
    json_put_text(&json, "reason", broken == NULL ? "" : broken->reason);
    json_put_double(&json, "rest_p99_ms", hunt->rest.p99_ms);
    json_close(&json, '}');
    json_put_bool(&json, "probes_short", is_short(hunt));
    json_put_bool(&json, "interrupted", hunt->interrupted);
    json_key(&json, "steps");
    json_open(&json, '[');
    for (size_t i = 0; i < hunt->steps_count; i++)
        put_step(&json, &hunt->steps[i], hunt->phases[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_junit(const struct hunt *hunt, struct buf *out)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    bool failed = isnan(answer.kept);

    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite "
               "name=\"capacity\" tests=\"1\" failures=\"%d\">\n  <testcase classname=\"load\" "
               "name=\"",
               failed);
    document_escape(out, str_of(hunt->title == NULL ? "capacity" : hunt->title));
    if (failed)
        buf_text(out, "\">\n    <failure message=\"no rate was kept\"/>\n");
    else
        buf_printf(out, "\">\n    <system-out>%s requests a second are kept</system-out>\n",
                   rate_text(answer.kept).text);
    buf_text(out, "  </testcase>\n</testsuite>\n</testsuites>\n");
}

static enum err write_form(const struct hunt *hunt, enum document_form form, struct buf *out,
                           struct why *why)
{
    struct document *document CLEANUP(document_freep) = hunt_document(hunt);
    const struct terminal *terminal = &hunt->load->invocation->terminal;
    const struct document_look page = {
        .colour = form == FORM_CONSOLE && terminal->color,
        .width = terminal->tty ? (size_t)terminal->columns : 0,
    };

    return document_write(document, form, &page, out, why);
}

static enum err write_file(const struct hunt *hunt, struct str path, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (str_ends(path, STR(".json")))
        write_json(hunt, &out);
    else if (str_ends(path, STR(".xml")))
        write_junit(hunt, &out);
    else
        TRY(write_form(hunt,
                       str_ends(path, STR(".csv"))  ? FORM_CSV
                       : str_ends(path, STR(".md")) ? FORM_MARKDOWN
                                                    : FORM_HTML,
                       &out, why));
    const char *name = arena_printf(hunt->load->arena, "%.*s", STR_ARG(path));
    if (name == NULL)
        return arena_spent(hunt->load->arena, "the reports", why);
    return file_write(name, buf_view(&out), 0644, why);
}

static enum exit_code tell(const struct hunt *hunt)
{
    const struct invocation *invocation = hunt->load->invocation;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    const struct str *items;
    size_t count = options_list(invocation->options, LOAD_REPORT, &items);

    for (size_t i = 0; i < count; i++) {
        if (write_file(hunt, items[i], &why) != ERR_NONE)
            return command_fail(invocation, &why);
    }
    if (invocation->json)
        write_json(hunt, &out);
    else if (write_form(hunt, FORM_CONSOLE, &out, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out,
                         isnan(capacity_answer(&hunt->capacity).kept) ? EXIT_FINDING : EXIT_GOOD);
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
    double start = load_is_told(load, LOAD_RATE) ? options_double(options, LOAD_RATE) : RATE_FIRST;
    start = fmin(start, CAPACITY_RATE_MAX);
    capacity_init(&hunt->capacity, start,
                  fmin(start, FEWEST * (double)CLOCK_NS_PER_S / (double)hunt->length_ns));
    if (err == ERR_NONE)
        err = hunt_on(hunt, &why);
    load->view = load_view_close(load->view);
    code = err == ERR_NONE ? tell(hunt) : command_fail(load->invocation, &why);
    free(hunt);
    return code;
}
