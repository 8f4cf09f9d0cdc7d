/* SPDX-License-Identifier: Apache-2.0 */
/* sonde load - makes traffic and tells what it met with. */
#include "base/file.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "document/document.h"
#include "load/engine.h"
#include "load/judgement.h"
#include "load/kind.h"
#include "load/outcome_write.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PLAN_BYTES_MAX = 256 << 20,
    JUDGEMENT_BYTES_MAX = 1 << 20,
    BODY_FILE_BYTES_MAX = 64 << 20,
};

enum {
    OPTION_CONNECTIONS,
    OPTION_LENGTH,
    OPTION_RATE,
    OPTION_ARRIVALS,
    OPTION_TEST,
    OPTION_PATTERN,
    OPTION_THREADS,
    OPTION_REQUESTS,
    OPTION_WARMUP,
    OPTION_THINK,
    OPTION_TIMEOUT,
    OPTION_GRACE,
    OPTION_METHOD,
    OPTION_HEADER,
    OPTION_BODY,
    OPTION_BODY_FILE,
    OPTION_CRITERION,
    OPTION_ABORT,
    OPTION_CLOSE,
    OPTION_HTTP2,
    OPTION_STREAMS,
    OPTION_PIPELINE,
    OPTION_CONNECT_TO,
    OPTION_INSECURE,
    OPTION_CA,
    OPTION_SEED,
    OPTION_REPORT,
    OPTION_QUIET,
    OPTIONS_COUNT
};

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_CONNECTIONS] = {.name = "connections",
                            .type = OPTION_INTEGER,
                            .preset = "16",
                            .range = "1..1000000",
                            .flags = OPTION_FLAG_ONLY,
                            .help = "Users of the closed model; with --rate, the connections that "
                                    "arrivals share."},
    [OPTION_LENGTH] = {.name = "duration",
                       .type = OPTION_DURATION,
                       .preset = "10s",
                       .range = "10ms..",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "How long requests are begun."},
    [OPTION_RATE] = {.name = "rate",
                     .type = OPTION_NUMBER,
                     .range = "0.001..100000000",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "The open model: so many requests a second, whatever the answers do. "
                             "Latency counts from the moment a request was meant to start."},
    [OPTION_ARRIVALS] = {.name = "arrivals",
                         .type = OPTION_CHOICE,
                         .preset = "constant",
                         .range = "constant|poisson|gamma",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "With --rate: evenly spaced, at random, or in bursts."},
    [OPTION_TEST] = {.name = "test",
                     .type = OPTION_TEXT,
                     .value_name = "KIND",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "A type of test with its own shape and verdict: smoke, load, stress, "
                             "spike, volume, endurance, scalability."},
    [OPTION_PATTERN] = {.name = "pattern",
                        .type = OPTION_TEXT,
                        .value_name = "STAGES",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "The load over time, instead of --duration: '50 for 30s, ramp "
                                "50..200 over 1m, spike 50..500 over 40s, wave 50..150 every 20s "
                                "for 2m'. Users, or with --rate 1 requests a second."},
    [OPTION_THREADS] = {.name = "threads",
                        .type = OPTION_INTEGER,
                        .preset = "0",
                        .range = "0..64",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "Threads that make traffic; 0 is one for each processor."},
    [OPTION_REQUESTS] = {.name = "requests",
                         .type = OPTION_INTEGER,
                         .preset = "0",
                         .range = "0..",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "Ends after so many, if the duration does not end first; 0: no "
                                 "bound."},
    [OPTION_WARMUP] = {.name = "warmup",
                       .type = OPTION_DURATION,
                       .preset = "0s",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "Requests of the first part that are not counted."},
    [OPTION_THINK] = {.name = "think",
                      .type = OPTION_TEXT,
                      .value_name = "TIME",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "What a user waits after an answer: 1s, uniform(1s, 3s), "
                              "exponential(1s), lognormal(1s, 0.5)."},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .type = OPTION_DURATION,
                        .preset = "10s",
                        .range = "1ms..",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "When a request is given up, counted from its intended start."},
    [OPTION_GRACE] = {.name = "grace",
                      .type = OPTION_DURATION,
                      .flags = OPTION_FLAG_ONLY,
                      .help = "How long answers are waited for at the end. Default: the timeout."},
    [OPTION_METHOD] = {.name = "method",
                       .type = OPTION_TEXT,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "GET, or POST where there is a body."},
    [OPTION_HEADER] = {.name = "header",
                       .type = OPTION_LIST,
                       .value_name = "'NAME: VALUE'",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "A header; several are separated by commas."},
    [OPTION_BODY] = {.name = "body",
                     .type = OPTION_TEXT,
                     .flags = OPTION_FLAG_ONLY,
                     .help = "What each request carries."},
    [OPTION_BODY_FILE] = {.name = "body-file",
                          .type = OPTION_PATH,
                          .flags = OPTION_FLAG_ONLY,
                          .help = "The same, from a file."},
    [OPTION_CRITERION] = {.name = "require",
                          .type = OPTION_LIST,
                          .value_name = "CRITERION",
                          .flags = OPTION_FLAG_ONLY,
                          .help = "What must hold, or the exit code is 1: 'p95 < 300ms', "
                                  "'error_rate < 1%', 'rps > 200'; several are separated by "
                                  "commas."},
    [OPTION_ABORT] = {.name = "abort",
                      .type = OPTION_BOOL,
                      .preset = "false",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "Ends early when a criterion cannot be kept any more."},
    [OPTION_CLOSE] = {.name = "close",
                      .type = OPTION_BOOL,
                      .preset = "false",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "A new connection for each request."},
    [OPTION_HTTP2] = {.name = "http2",
                      .type = OPTION_BOOL,
                      .preset = "false",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "Speaks HTTP/2: over TLS as agreed (ALPN), in clear text with prior "
                              "knowledge."},
    [OPTION_STREAMS] = {.name = "streams",
                        .type = OPTION_INTEGER,
                        .preset = "1",
                        .range = "1..1000",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "With --http2: users, or requests at a time, on each connection."},
    [OPTION_PIPELINE] = {.name = "pipeline",
                         .type = OPTION_INTEGER,
                         .preset = "1",
                         .range = "1..1000",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "With HTTP/1.1: requests that are sent before the first answer is "
                                 "there. Few servers take it well."},
    [OPTION_CONNECT_TO] = {.name = "connect-to",
                           .type = OPTION_ADDRESS,
                           .flags = OPTION_FLAG_ONLY,
                           .help = "Connects there, whatever the URL names."},
    [OPTION_INSECURE] = {.name = "insecure",
                         .type = OPTION_BOOL,
                         .preset = "false",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "Takes any certificate."},
    [OPTION_CA] = {.name = "ca",
                   .type = OPTION_PATH,
                   .flags = OPTION_FLAG_ONLY,
                   .help = "Authorities to trust (PEM). Default: the system's."},
    [OPTION_SEED] = {.name = "seed",
                     .type = OPTION_INTEGER,
                     .preset = "1",
                     .range = "0..",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Where random arrivals and think times start from."},
    [OPTION_REPORT] = {.name = "report",
                       .type = OPTION_LIST,
                       .value_name = "FILE",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "Also writes the report to files, by their endings: .html, .md, "
                               ".json, .csv, .xml (JUnit)."},
    [OPTION_QUIET] = {.name = "quiet",
                      .type = OPTION_BOOL,
                      .preset = "false",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "No progress on standard error."},
};

/* The one thing that a signal handler can reach: how often somebody asked to end. */
static atomic_int interrupts;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add(&interrupts, 1);
}

struct load {
    const struct invocation *invocation;
    struct plan *plan;
    const struct kind *kind; /* Of the test; NULL: a plain run. */
    struct arena *arena;     /* Of the verdict. */
    struct criterion criteria[JUDGEMENT_CRITERIA_MAX];
    size_t criteria_count;
    struct judgement judgement;
    struct outcome outcome;
    bool progress;
    bool aborts;
};

/* ---- The plan. ---- */

static enum err read_headers(struct load *load, struct step *step, struct why *why)
{
    const struct str *items;
    size_t count = options_list(load->invocation->options, OPTION_HEADER, &items);
    struct http_header *headers = ARENA_ARRAY(load->plan->arena, count + 1, struct http_header);

    if (headers == NULL)
        return arena_spent(load->plan->arena, "the headers", why);
    for (size_t i = 0; i < count; i++) {
        struct str value = items[i];
        struct str name = str_trim(str_split(&value, ':'));
        if (value.data == NULL || name.size == 0)
            return fail(why, ERR_INVALID, "--header: '%.*s' is not NAME: VALUE", STR_ARG(items[i]));
        headers[i] = (struct http_header){name, str_trim(value)};
    }
    step->headers = headers;
    step->headers_count = count;
    return ERR_NONE;
}

static enum err read_body(struct load *load, struct step *step, struct why *why)
{
    const struct options *options = load->invocation->options;
    const char *path = options_cstr(options, OPTION_BODY_FILE);
    struct buf body CLEANUP(buf_done) = {0};

    step->body = options_text(options, OPTION_BODY);
    if (path != NULL) {
        TRY(file_read(path, BODY_FILE_BYTES_MAX, &body, why));
        step->body = arena_str(load->plan->arena, buf_view(&body));
        if (step->body.data == NULL)
            return arena_spent(load->plan->arena, "the body", why);
    }
    if (step->body.data != NULL)
        step->method = STR("POST");
    if (options_is_set(options, OPTION_METHOD))
        step->method = options_text(options, OPTION_METHOD);
    return ERR_NONE;
}

/* "host:port", "[::1]:port" or ":port". */
static enum err read_connect_to(struct load *load, struct origin *origin, struct why *why)
{
    struct str text = options_text(load->invocation->options, OPTION_CONNECT_TO);
    struct url url;

    if (text.data == NULL)
        return ERR_NONE;
    const char *address = arena_printf(load->plan->arena, "tcp://%s%.*s",
                                       text.data[0] == ':' ? "127.0.0.1" : "", STR_ARG(text));
    if (address == NULL)
        return arena_spent(load->plan->arena, "the address", why);
    TRY(url_parse(str_of(address), &url, why));
    origin->connect_host = url.host;
    origin->connect_port = url.port;
    return ERR_NONE;
}

static enum err plan_url(struct load *load, struct str text, struct why *why)
{
    struct plan *plan = load->plan;
    struct scenario *scenario;
    struct step *step;
    struct url url;
    size_t origin;

    TRY(url_parse(text, &url, why));
    if (url.scheme != SCHEME_HTTP && url.scheme != SCHEME_HTTPS) {
        enum err err =
            fail(why, ERR_UNSUPPORTED, "%s:// cannot be loaded yet", scheme_name(url.scheme));
        hint(why, "use an http:// or https:// address");
        return err;
    }
    TRY(plan_origin(plan, &url, &origin, why));
    TRY(read_connect_to(load, plan->origins[origin], why));
    TRY(plan_step(plan, "request", &step, why));
    step->origin = origin;
    step->target = url.path;
    TRY(read_headers(load, step, why));
    TRY(read_body(load, step, why));
    plan->title = arena_printf(plan->arena, "%.*s", STR_ARG(text));
    return plan_scenario(plan, "url", 1, &step, 1, &scenario, why);
}

static enum err plan_load(struct load *load, struct why *why)
{
    const struct options *options = load->invocation->options;
    struct plan *plan = load->plan;
    double level = options_is_set(options, OPTION_RATE) ? options_double(options, OPTION_RATE)
                                                        : (double)plan->connections;

    plan->model = options_is_set(options, OPTION_RATE) ? MODEL_OPEN : MODEL_CLOSED;
    plan->arrivals = (enum arrivals)options_i64(options, OPTION_ARRIVALS);
    if (plan->arrivals == ARRIVALS_GAMMA)
        plan->gamma_shape = 0.25; /* Bursts: the gaps vary twice as much as at random. */
    if (options_is_set(options, OPTION_THINK))
        TRY(think_parse(options_text(options, OPTION_THINK), &plan->think, why));
    if (load->kind != NULL) {
        bool told = options_origin(options, OPTION_LENGTH)->source != OPTION_FROM_DEFAULT;
        return load->kind->shape(
            plan, level,
            told ? options_ms(options, OPTION_LENGTH) * 1000000 : load->kind->length_ns, why);
    }
    if (!options_is_set(options, OPTION_PATTERN))
        return pattern_line(&plan->pattern, level, level,
                            options_ms(options, OPTION_LENGTH) * 1000000, why);
    TRY(pattern_parse(options_text(options, OPTION_PATTERN), &plan->pattern, why));
    if (plan->model == MODEL_CLOSED && !options_is_set(options, OPTION_CONNECTIONS))
        plan->connections = (unsigned)ceil(pattern_peak(&plan->pattern));
    return ERR_NONE;
}

static void plan_settings(struct load *load)
{
    const struct options *options = load->invocation->options;
    struct plan *plan = load->plan;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    plan->http = options_bool(options, OPTION_HTTP2) ? HTTP_CHOICE_2 : HTTP_CHOICE_1;
    plan->lanes = (unsigned)options_i64(options, plan->http == HTTP_CHOICE_2 ? OPTION_STREAMS
                                                                             : OPTION_PIPELINE);
    plan->connections = (unsigned)options_i64(options, OPTION_CONNECTIONS) * plan->lanes;
    plan->threads = (unsigned)options_i64(options, OPTION_THREADS);
    if (plan->threads == 0)
        plan->threads = processors < 1                  ? 1
                        : processors > PLAN_THREADS_MAX ? PLAN_THREADS_MAX
                                                        : (unsigned)processors;
    plan->timeout_ns = options_ms(options, OPTION_TIMEOUT) * 1000000;
    plan->warmup_ns = options_ms(options, OPTION_WARMUP) * 1000000;
    if (options_is_set(options, OPTION_GRACE))
        plan->grace_ns = options_ms(options, OPTION_GRACE) * 1000000;
    plan->requests_max = (uint64_t)options_i64(options, OPTION_REQUESTS);
    plan->keep_alive = !options_bool(options, OPTION_CLOSE);
    plan->verify_tls = !options_bool(options, OPTION_INSECURE);
    plan->ca_file = options_cstr(options, OPTION_CA);
    plan->seed = (uint64_t)options_i64(options, OPTION_SEED);
    load->aborts = options_bool(options, OPTION_ABORT);
}

static enum err read_criteria(struct load *load, struct why *why)
{
    const struct str *items;
    size_t count = options_list(load->invocation->options, OPTION_CRITERION, &items);

    for (size_t i = 0; i < count; i++) {
        if (load->criteria_count == JUDGEMENT_CRITERIA_MAX)
            return fail(why, ERR_LIMIT, "there are more than %d criteria", JUDGEMENT_CRITERIA_MAX);
        struct criterion *criterion = &load->criteria[load->criteria_count++];
        TRY(criterion_parse(items[i], criterion, why));
        TRY(criterion_check(criterion, load->plan, why));
    }
    return ERR_NONE;
}

static enum err read_kind(struct load *load, struct why *why)
{
    struct str name = options_text(load->invocation->options, OPTION_TEST);
    struct nearest nearest = nearest_begin(name);

    if (name.data == NULL)
        return ERR_NONE;
    load->kind = kind_find(name);
    if (load->kind != NULL)
        return ERR_NONE;
    for (size_t i = 0; i < kinds_count; i++)
        nearest_offer(&nearest, str_of(kinds[i]->name));
    enum err err = fail(why, ERR_INVALID, "--test: there is no test '%.*s'", STR_ARG(name));
    struct str meant = nearest_found(&nearest);
    if (meant.size > 0)
        hint(why, "did you mean %.*s?", STR_ARG(meant));
    else
        hint(why, "there are smoke, load, stress, spike, volume, endurance and scalability");
    return err;
}

static enum err make_plan(struct load *load, struct why *why)
{
    TRY(read_kind(load, why));
    plan_settings(load);
    TRY(plan_url(load, str_of(load->invocation->arguments[0]), why));
    TRY(plan_load(load, why));
    TRY(read_criteria(load, why));
    return plan_finish(load->plan, why);
}

/* ---- While it runs. ---- */

static void show_progress(const struct load *load, const struct outcome *outcome)
{
    const struct outcome_point *point = &outcome->points[outcome->points_count - 1];
    char line[160];

    int size = snprintf(
        line, sizeof(line),
        "\r%5.0f s  %8.0f req/s  p50 %.2f ms  p99 %.2f ms  errors %llu  queue %lld ", point->time_s,
        (double)point->requests / point->length_s, point->p50_ms, point->p99_ms,
        (unsigned long long)outcome->total.failures, (long long)point->backlog);
    if (size > 0 && write(STDERR_FILENO, line, (size_t)size) < 0)
        return; /* Nobody looks. */
}

static bool look(void *self, const struct outcome *outcome)
{
    struct load *load = self;

    if (load->progress && outcome->points_count > 0)
        show_progress(load, outcome);
    for (size_t i = 0; load->aborts && i < load->criteria_count; i++) {
        if (criterion_is_hopeless(&load->criteria[i], outcome))
            return true;
    }
    return false;
}

/* ---- Telling. ---- */

static bool ends_with(const char *path, const char *ending)
{
    return str_ends(str_of(path), str_of(ending));
}

static enum err write_form(const struct load *load, enum document_form form, struct buf *out,
                           struct why *why)
{
    struct document *document CLEANUP(document_freep) =
        outcome_document(&load->outcome, &load->judgement);
    const struct terminal *terminal = &load->invocation->terminal;
    const struct document_look document_look = {
        .colour = form == FORM_CONSOLE && terminal->color,
        .width = (size_t)terminal->columns,
    };

    return document_write(document, form, &document_look, out, why);
}

static enum err write_report(const struct load *load, const char *path, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (ends_with(path, ".json"))
        outcome_write_json(&load->outcome, &load->judgement, &out);
    else if (ends_with(path, ".xml"))
        outcome_write_junit(&load->outcome, &load->judgement, &out);
    else if (ends_with(path, ".csv"))
        outcome_write_csv(&load->outcome, &out);
    else
        TRY(write_form(load, ends_with(path, ".md") ? FORM_MARKDOWN : FORM_HTML, &out, why));
    return file_write(path, buf_view(&out), 0644, why);
}

static enum err check_reports(const struct load *load, struct why *why)
{
    static const char *const endings[] = {".html", ".md", ".json", ".csv", ".xml"};
    const struct str *items;
    size_t count = options_list(load->invocation->options, OPTION_REPORT, &items);

    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(endings); j++)
            known = known || str_ends(items[i], str_of(endings[j]));
        if (!known)
            return fail(why, ERR_INVALID,
                        "--report: '%.*s' ends in none of .html, .md, .json, .csv, .xml",
                        STR_ARG(items[i]));
    }
    return ERR_NONE;
}

static enum err write_reports(const struct load *load, struct why *why)
{
    const struct str *items;
    size_t count = options_list(load->invocation->options, OPTION_REPORT, &items);

    for (size_t i = 0; i < count; i++) {
        const char *path = arena_printf(load->arena, "%.*s", STR_ARG(items[i]));
        if (path == NULL)
            return arena_spent(load->arena, "the reports", why);
        TRY(write_report(load, path, why));
    }
    return ERR_NONE;
}

static enum exit_code tell(struct load *load)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (load->kind != NULL)
        kind_judge(load->kind, &load->outcome, &load->judgement);
    judgement_note_run(&load->judgement, &load->outcome);
    judgement_judge(&load->judgement, load->criteria, load->criteria_count, &load->outcome);
    if (write_reports(load, &why) != ERR_NONE)
        return command_fail(load->invocation, &why);
    if (load->invocation->json)
        outcome_write_json(&load->outcome, &load->judgement, &out);
    else if (write_form(load, FORM_CONSOLE, &out, &why) != ERR_NONE)
        return command_fail(load->invocation, &why);
    return command_print(load->invocation, &out, load->judgement.failed ? EXIT_FINDING : EXIT_GOOD);
}

static enum exit_code run(struct invocation *invocation)
{
    struct load load = {.invocation = invocation,
                        .progress = isatty(STDERR_FILENO) &&
                                    !options_bool(invocation->options, OPTION_QUIET)};
    struct engine_watch watch = {.look = look, .self = &load, .interrupts = &interrupts};
    struct why why = WHY_INIT;
    enum exit_code code;

    if (invocation->arguments_count != 1)
        return command_usage(invocation, "sonde load needs a URL");
    load.plan = plan_new(PLAN_BYTES_MAX);
    load.arena = arena_new(JUDGEMENT_BYTES_MAX);
    judgement_init(&load.judgement, load.arena);
    (void)signal(SIGINT, on_interrupt);
    (void)signal(SIGTERM, on_interrupt);
    enum err err = check_reports(&load, &why);
    if (err == ERR_NONE)
        err = make_plan(&load, &why);
    if (err == ERR_NONE)
        err = engine_run(load.plan, &watch, &load.outcome, &why);
    if (load.progress && load.outcome.points_count > 0)
        (void)!write(STDERR_FILENO, "\r\033[K", 4); /* The line has served. */
    code = err == ERR_NONE ? tell(&load) : command_fail(invocation, &why);
    outcome_done(&load.outcome);
    arena_free(load.arena);
    plan_free(load.plan);
    return code;
}

const struct command command_load = {
    .name = "load",
    .summary = "Make traffic and measure what it meets with",
    .usage = "URL [--connections N] [--duration 10s] [--rate R] [--require CRITERION]",
    .description =
        "Without --rate, so many users send one request after the other (the closed model). With "
        "--rate, requests arrive on schedule whatever the answers do (the open model), and latency "
        "counts from the moment each was meant to start, so a server that stalls cannot hide it; "
        "service time, from the first byte sent, stands beside it.\n\nInterrupted once, a run ends "
        "and waits for the answers under way; twice, it ends at once. Either way the whole report "
        "is written.",
    .examples =
        "sonde load http://127.0.0.1:8080/\tSixteen users for ten seconds.\n"
        "sonde load --rate 2000 --connections 64 http://127.0.0.1:8080/\tArrivals on schedule.\n"
        "sonde load --require 'p95 < 300ms,error_rate < 1%' http://127.0.0.1:8080/\tFor CI.\n"
        "sonde load --report run.html,run.xml http://127.0.0.1:8080/\tReports in files.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .arguments_max = 1,
    .run = run,
};
