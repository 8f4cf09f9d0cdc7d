/* SPDX-License-Identifier: Apache-2.0 */
/* sonde load - makes traffic and tells what it met with: a URL, a model (llm URL), or what a file
 * says (run FILE); import writes such files. A sweep is one run after the other, each with a plan
 * of its own. */
#include "cli/load.h"
#include "load/parcel.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    JUDGEMENT_BYTES_MAX = 8 << 20,
    /* A histogram is larger and mostly empty: in a mapping of its own only touched pages cost. */
    MMAP_BYTES = 64 << 10,
};

/* The one thing that a signal handler can reach: how often somebody asked to end. */
static atomic_int interrupts;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add(&interrupts, 1);
}

/* ---- While it runs. ---- */

void load_open_view(struct load_run *run)
{
    struct load *load = run->load;

    if (load->progress && load->view == NULL && !load->invocation->json)
        load->view = load_view_open(load);
}

void load_clear_line(const struct load_run *run)
{
    if (run->load->view == NULL && run->load->progress && run->outcome.points_count > 0)
        load_line_clear();
}

void load_show(struct load_run *run, const struct outcome *outcome)
{
    struct load *load = run->load;

    if (load->tells)
        run->told = load_line_tell(outcome, run->told);
    else if (load->view != NULL)
        load_view_show(load->view, run, outcome);
    else if (load->progress && outcome->points_count > 0)
        load_line_show(outcome);
}

static bool look(void *self, const struct outcome *outcome)
{
    struct load_run *run = self;

    load_show(run, outcome);
    for (size_t i = 0; run->load->aborts && i < run->criteria_count; i++) {
        if (criterion_is_hopeless(&run->criteria[i], outcome))
            return true;
    }
    return false;
}

void load_attend(const struct load_run *run)
{
    if (run->load->view != NULL && load_view_attend(run->load->view))
        atomic_fetch_add(&interrupts, 1);
}

static void attend(void *self)
{
    load_attend(self);
}

/* ---- Runs. ---- */

void load_run_done(struct load_run *run)
{
    outcome_done(&run->outcome);
    run->plan = plan_free(run->plan);
    run->parcel = parcel_free(run->parcel);
}

static enum err run_once(struct load_run *run, struct why *why)
{
    const struct engine_watch watch = {
        .look = look, .attend = attend, .self = run, .interrupts = &interrupts};

    judgement_init(&run->judgement, run->load->arena);
    run->plan = plan_new(LOAD_PLAN_BYTES_MAX);
    TRY(load_pack(run, why));
    load_witness_trace(run->load, run->plan);
    TRY(load_plan_make(run, why));
    load_open_view(run);
    enum err err = load_engine_run(run, &watch, why);
    load_clear_line(run);
    TRY(err);
    if (run->kind != NULL)
        kind_judge(run->kind, &run->outcome, &run->judgement);
    judgement_note_run(&run->judgement, &run->outcome);
    judgement_judge(&run->judgement, run->criteria, run->criteria_count, &run->outcome);
    return ERR_NONE;
}

/* Levels of a sweep; one run without a level where there is none. */
static enum err read_levels(struct load *load, struct load_run **ret_runs, size_t *ret_count,
                            struct why *why)
{
    const struct options *options = load->invocation->options;
    const struct str *rates, *users;
    size_t rates_count = options_list(options, LOAD_SWEEP_RATE, &rates);
    size_t users_count = options_list(options, LOAD_SWEEP_USERS, &users);
    size_t count = rates_count + users_count;
    const struct str *items = rates_count > 0 ? rates : users;

    if (rates_count > 0 && users_count > 0)
        return fail(why, ERR_INVALID, "--sweep-rate and --sweep-users exclude each other");
    if (count > 0 && (load_is_told(load, LOAD_PATTERN) || load_is_told(load, LOAD_TEST)))
        return fail(why, ERR_INVALID, "a sweep has no --pattern and no --test");
    if (count > LOAD_LEVELS_MAX)
        return fail(why, ERR_LIMIT, "a sweep has at most %d levels", LOAD_LEVELS_MAX);
    struct load_run *runs = calloc(count == 0 ? 1 : count, sizeof(*runs));
    if (runs == NULL)
        must_memory((count + 1) * sizeof(*runs));
    *ret_runs = runs;
    *ret_count = count == 0 ? 1 : count;
    runs[0].load = load;
    for (size_t i = 0; i < count; i++) {
        runs[i].load = load;
        runs[i].has_level = true;
        runs[i].level_is_rate = rates_count > 0;
        if (!str_to_double(str_trim(items[i]), &runs[i].level) || !(runs[i].level > 0) ||
            runs[i].level > PLAN_CONNECTIONS_MAX)
            return fail(why, ERR_INVALID, "'%.*s' is no level of load", STR_ARG(items[i]));
    }
    return ERR_NONE;
}

static enum err run_all(struct load_run *runs, size_t count, size_t *ret_finished, struct why *why)
{
    for (size_t i = 0; i < count && atomic_load(&interrupts) == 0; i++) {
        TRY(run_once(&runs[i], why));
        *ret_finished = i + 1;
        if (outcome_agents_lost(&runs[i].outcome) > 0)
            break; /* The next level would be another load than was asked for. */
    }
    return ERR_NONE;
}

/* ---- The command. ---- */

/* What the arguments ask for; a message when they ask for nothing. */
static const char *read_target(struct load *load)
{
    const struct invocation *invocation = load->invocation;
    const char *first = invocation->arguments_count > 0 ? invocation->arguments[0] : "";
    bool llm = strcmp(first, "llm") == 0;
    bool file = strcmp(first, "run") == 0;
    size_t wanted = llm || file ? 2 : 1;

    if (invocation->arguments_count == 0)
        return "sonde load needs a URL";
    if (invocation->arguments_count < wanted)
        return llm ? "sonde load llm needs a URL" : "sonde load run needs a file";
    if (invocation->arguments_count > wanted)
        return "sonde load takes one URL or file";
    load->where = invocation->arguments[wanted - 1];
    load->target = llm ? LOAD_TARGET_LLM : file ? LOAD_TARGET_FILE : LOAD_TARGET_URL;
    return NULL;
}

static enum exit_code run_load(struct load *load)
{
    struct load_run *runs = NULL;
    struct why why = WHY_INIT;
    size_t count = 0, finished = 0;
    enum exit_code code;

    load->arena = arena_new(JUDGEMENT_BYTES_MAX);
    if (load_agents_check(load, &why) != ERR_NONE) {
        load->arena = arena_free(load->arena);
        return command_fail(load->invocation, &why);
    }
    if (options_bool(load->invocation->options, LOAD_CAPACITY)) {
        code = load_capacity(load, &interrupts);
        load->arena = arena_free(load->arena);
        return code;
    }
    enum err err = load_report_check(load, &why);
    if (err == ERR_NONE)
        err = read_levels(load, &runs, &count, &why);
    if (err == ERR_NONE)
        err = load_witness_find(load, &why);
    if (err == ERR_NONE)
        err = run_all(runs, count, &finished, &why);
    load->view = load_view_close(load->view);
    struct load_run *worth = err == ERR_NONE ? load_witness_choose(runs, finished) : NULL;
    if (worth != NULL)
        load_witness_ask(worth, &interrupts);
    if (err == ERR_NONE && finished == 0)
        err = fail(&why, ERR_CANCELLED, "interrupted before the first run");
    code = err == ERR_NONE ? load_report_tell(load, runs, finished)
                           : command_fail(load->invocation, &why);
    if (err == ERR_NONE && options_bool(load->invocation->options, LOAD_KEEP) &&
        load_keep(runs, finished, &why) != ERR_NONE) {
        why_prefix(&why, "the report was not kept");
        code = command_fail(load->invocation, &why);
    }
    for (size_t i = 0; i < count; i++)
        load_run_done(&runs[i]);
    free(runs);
    load->arena = arena_free(load->arena);
    return code;
}

static enum exit_code run(struct invocation *invocation)
{
    struct load load = {.invocation = invocation,
                        .progress =
                            isatty(STDERR_FILENO) && !options_bool(invocation->options, LOAD_QUIET),
                        .tells = options_bool(invocation->options, LOAD_PROGRESS),
                        .aborts = options_bool(invocation->options, LOAD_ABORT)};

    const char *first = invocation->arguments_count > 0 ? invocation->arguments[0] : "";
    if (strcmp(first, "import") == 0)
        return load_import(invocation);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES); /* Without: some pages more. */
    (void)signal(SIGINT, on_interrupt);
    (void)signal(SIGTERM, on_interrupt);
    if (strcmp(first, "agent") == 0 && invocation->arguments_count > 1)
        return command_usage(invocation, "sonde load agent takes flags only");
    if (strcmp(first, "agent") == 0)
        return load_agent(&load, &interrupts);
    const char *complaint = read_target(&load);
    if (complaint != NULL)
        return command_usage(invocation, "%s", complaint);
    enum exit_code code = run_load(&load);
    buf_done(&load.secret);
    return code;
}

const struct command command_load = {
    .name = "load",
    .summary = "Make traffic and measure what it meets with",
    .usage = "URL | llm URL | run FILE | agent | import har|openapi|curl SOURCE",
    .description =
        "Without --rate, so many users send one request after the other (the closed model). With "
        "--rate, requests arrive on schedule whatever the answers do (the open model), and latency "
        "counts from the moment each was meant to start, so a server that stalls cannot hide it; "
        "service time, from the first byte sent, stands beside it.\n\nA URL begins with http, "
        "https, ws, wss or tcp. `llm` asks a language model and measures its token streams; `run` "
        "does what a scenario file says; `import` writes such a file from a browser's recording "
        "(HAR), an OpenAPI description or a curl command.\n\nOne machine is not enough? `agent` "
        "waits "
        "on another one, and --agents shares the load among such machines: users, rate and "
        "requests "
        "are divided, all start together, and their measurements become one report.\n\nInterrupted "
        "once, a run ends "
        "and waits for the answers under way; twice, it ends at once. Either way the whole report "
        "is written.",
    .examples =
        "sonde load http://127.0.0.1:8080/\tSixteen users for ten seconds.\n"
        "sonde load --rate 2000 --connections 64 http://127.0.0.1:8080/\tArrivals on schedule.\n"
        "sonde load --require 'p95 < 300ms,error_rate < 1%' http://127.0.0.1:8080/\tFor CI.\n"
        "sonde load --capacity --require 'p95 < 300ms' http://127.0.0.1:8080/\tThe highest rate "
        "that keeps it.\n"
        "sonde load --report run.html,run.xml http://127.0.0.1:8080/\tReports in files.\n"
        "sonde load run shop.yaml --connections 50 --duration 1m\tWhat a file says.\n"
        "sonde load llm http://127.0.0.1:8000/v1/chat/completions --model m --sweep-rate 1,2,4 "
        "--slo 'ttft<500ms'\tA model at several rates.\n"
        "sonde load import har recording.har > shop.yaml\tFrom a browser's recording.\n"
        "sonde load agent --listen 10.0.0.2:7079 --token-from ./secret\tMakes a part of others' "
        "loads.\n"
        "sonde load --agents 10.0.0.2,10.0.0.3 --token-from ./secret --rate 50000 "
        "http://10.0.0.9/\tTwo machines, one load.\n",
    .options = load_options,
    .options_count = LOAD_OPTIONS_COUNT,
    .arguments_max = LOAD_ARGUMENTS_MAX,
    .run = run,
};
