/* SPDX-License-Identifier: Apache-2.0 */
/* sonde trace - requests on their way through services: found, drawn, followed, explained. Asks a
 * running daemon; what it answers is told in a file per action. */
#include "cli/trace.h"

#include "analysis/trace_explain.h"
#include "base/clock.h"
#include "cli/remote.h"
#include "codec/json_tree.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_BYTES_MAX = 256 << 20,
    TIMEOUT_MS = 60000,
};

static const struct option_row rows[TRACE_OPTIONS_COUNT] = {
    [TRACE_OPTION_SERVICE] = {.name = "service",
                              .type = OPTION_TEXT,
                              .flags = OPTION_FLAG_ONLY,
                              .help = "Only spans of this service."},
    [TRACE_OPTION_OPERATION] = {.name = "operation",
                                .type = OPTION_TEXT,
                                .flags = OPTION_FLAG_ONLY,
                                .help = "Only spans of this name."},
    [TRACE_OPTION_MIN_DURATION] = {.name = "min_duration",
                                   .type = OPTION_TEXT,
                                   .value_name = "DURATION",
                                   .flags = OPTION_FLAG_ONLY,
                                   .help = "Only spans at least this long: 250us, 20ms, 1s."},
    [TRACE_OPTION_MAX_DURATION] = {.name = "max_duration",
                                   .type = OPTION_TEXT,
                                   .value_name = "DURATION",
                                   .flags = OPTION_FLAG_ONLY,
                                   .help = "Only spans at most this long."},
    [TRACE_OPTION_ERRORS] = {.name = "errors",
                             .type = OPTION_BOOL,
                             .preset = "false",
                             .flags = OPTION_FLAG_ONLY,
                             .help = "Only spans that ended in error."},
    [TRACE_OPTION_ATTRIBUTE] = {.name = "attribute",
                                .type = OPTION_LIST,
                                .value_name = "KEY=VALUE,…",
                                .flags = OPTION_FLAG_ONLY,
                                .help = "Only spans that have these, or whose resource has."},
    [TRACE_OPTION_ORDER] = {.name = "order",
                            .type = OPTION_CHOICE,
                            .preset = "newest",
                            .range = "newest|slowest|errors",
                            .flags = OPTION_FLAG_ONLY,
                            .help = "search: which come first."},
    [TRACE_OPTION_RANGE] = {.name = "range",
                            .type = OPTION_DURATION,
                            .preset = "1h",
                            .range = "1s..",
                            .flags = OPTION_FLAG_ONLY,
                            .help = "How far to look back."},
    [TRACE_OPTION_END] = {.name = "end",
                          .type = OPTION_TEXT,
                          .value_name = "TIME",
                          .flags = OPTION_FLAG_ONLY,
                          .help = "From when to look back: RFC 3339 or seconds. Default: now."},
    [TRACE_OPTION_AT] = {.name = "at",
                         .type = OPTION_TEXT,
                         .value_name = "TIME",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "compare: one query, --range before this moment and --range after "
                                 "it."},
    [TRACE_OPTION_LIMIT] = {.name = "limit",
                            .type = OPTION_INTEGER,
                            .range = "1..10000",
                            .flags = OPTION_FLAG_ONLY,
                            .help = "At most so many: traces of search (20), explain (1000), "
                                    "compare (200 of each), tail (no limit); rows of show (200)."},
    [TRACE_OPTION_ALL] = {.name = "all",
                          .type = OPTION_BOOL,
                          .preset = "false",
                          .flags = OPTION_FLAG_ONLY,
                          .help = "show: every span, nothing folded."},
    [TRACE_OPTION_URL] = {.name = "url",
                          .type = OPTION_TEXT,
                          .value_name = "URL",
                          .help = "The daemon to ask (also SONDE_URL). Default: " REMOTE_URL_DEFAULT
                                  "."},
    [TRACE_OPTION_TOKEN] = {.name = "token",
                            .type = OPTION_TEXT,
                            .flags = OPTION_SECRET,
                            .help = "The token for a daemon that wants one."},
    [TRACE_OPTION_CA_FILE] = {.name = "ca_file",
                              .type = OPTION_PATH,
                              .flags = OPTION_FLAG_ONLY,
                              .help = "PEM file of the authority that signed the daemon's "
                                      "certificate. Default: the system's."},
};

/* ---- Asking. ---- */

void trace_request_init(struct trace_request *request, const char *path)
{
    *request = (struct trace_request){0};
    buf_text(&request->path, path);
}

void trace_request_done(struct trace_request *request)
{
    buf_done(&request->path);
    buf_done(&request->parameters);
}

void trace_request_add(struct trace_request *request, const char *name, struct str value)
{
    remote_add_param(&request->parameters, name, value);
}

void trace_request_add_time(struct trace_request *request, const char *name, int64_t time_ms)
{
    char text[32];
    int size =
        snprintf(text, sizeof(text), "%" PRId64 ".%03d", time_ms / 1000, (int)(time_ms % 1000));

    trace_request_add(request, name, (struct str){text, (size_t)size});
}

void trace_request_add_count(struct trace_request *request, const char *name, int64_t count)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%" PRId64, count);

    trace_request_add(request, name, (struct str){text, (size_t)size});
}

void trace_request_add_flags(struct trace_request *request, const struct invocation *invocation,
                             struct str query)
{
    static const struct {
        int option;
        const char *name;
    } texts[] = {{TRACE_OPTION_SERVICE, "service"},
                 {TRACE_OPTION_OPERATION, "name"},
                 {TRACE_OPTION_MIN_DURATION, "min_duration"},
                 {TRACE_OPTION_MAX_DURATION, "max_duration"}};
    const struct options *options = invocation->options;
    const struct str *pairs;

    if (query.size > 0)
        trace_request_add(request, "q", query);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (options_is_set(options, (size_t)texts[i].option))
            trace_request_add(request, texts[i].name,
                              options_text(options, (size_t)texts[i].option));
    }
    if (options_bool(options, TRACE_OPTION_ERRORS))
        trace_request_add(request, "status", STR("error"));
    size_t count = options_list(options, TRACE_OPTION_ATTRIBUTE, &pairs);
    for (size_t i = 0; i < count; i++)
        trace_request_add(request, "attribute", pairs[i]);
}

enum err trace_range(const struct invocation *invocation, int64_t *ret_from_ms, int64_t *ret_to_ms,
                     struct why *why)
{
    struct str end = options_text(invocation->options, TRACE_OPTION_END);

    *ret_to_ms = clock_now_ms();
    if (end.size > 0 && !clock_parse(end.data, end.size, ret_to_ms))
        return fail(why, ERR_INVALID, "--end '%.*s' is no time such as 2026-11-20T17:00:00Z",
                    STR_ARG(end));
    *ret_from_ms = *ret_to_ms - options_ms(invocation->options, TRACE_OPTION_RANGE);
    return ERR_NONE;
}

enum err trace_ask(const struct invocation *invocation, struct trace_request *request,
                   struct buf *ret_body, struct why *why)
{
    const char *variable = getenv("SONDE_URL");
    struct str url = options_text(invocation->options, TRACE_OPTION_URL);
    struct buf path CLEANUP(buf_done) = {0};
    int status;

    buf_str(&path, buf_view(&request->path));
    if (request->parameters.size > 0) {
        buf_byte(&path, '?');
        buf_str(&path, buf_view(&request->parameters));
    }
    const struct remote_request remote = {
        .url = url.data != NULL   ? url
               : variable != NULL ? str_of(variable)
                                  : STR(REMOTE_URL_DEFAULT),
        .path = buf_cstr(&path),
        .token = getenv("SONDE_TOKEN"),
        .timeout_ms = TIMEOUT_MS,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .ca_file = options_cstr(invocation->options, TRACE_OPTION_CA_FILE),
    };
    TRY(remote_ask(&remote, &status, ret_body, why));
    return status == 200 ? ERR_NONE : remote_fail(status, buf_view(ret_body), why);
}

enum err trace_read(struct str body, struct arena *arena, const struct node **ret_root,
                    struct why *why)
{
    return json_read(body, "the daemon's answer", ANSWER_BYTES_MAX, arena, ret_root, why);
}

/* ---- Reading. ---- */

struct str trace_text(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child != NULL && child->kind == NODE_SCALAR ? child->text : STR_NONE;
}

int64_t trace_integer(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    int64_t value;

    return child != NULL && node_i64(child, &value, NULL) == ERR_NONE ? value : 0;
}

double trace_number(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);
    double value;

    return child != NULL && node_double(child, &value, NULL) == ERR_NONE ? value : NAN;
}

bool trace_is_id(struct str text)
{
    if (text.size == 0 || text.size > (size_t)2 * TRACE_ID_BYTES)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (memchr("0123456789abcdefABCDEF", text.data[i], 22) == NULL)
            return false;
    }
    return true;
}

struct str trace_argument(const struct invocation *invocation, size_t index)
{
    return invocation->arguments_count > index + 1 ? str_of(invocation->arguments[index + 1])
                                                   : STR_NONE;
}

/* ---- Telling. ---- */

void trace_write_duration(struct buf *out, double ns)
{
    if (isnan(ns))
        buf_byte(out, '-');
    else
        trace_write_ns(out, (int64_t)ns);
}

static void tell_paragraph(const struct terminal *terminal, struct buf *out, const char *head,
                           struct str text)
{
    struct buf clean CLEANUP(buf_done) = {0};

    if (text.size == 0)
        return;
    buf_text(out, "    ");
    buf_text(&clean, head);
    terminal_text(&clean, text);
    terminal_wrap(terminal, out, buf_view(&clean), 4);
    buf_byte(out, '\n');
}

static void tell_finding(const struct terminal *terminal, const struct node *finding,
                         struct buf *out)
{
    struct str severity = trace_text(finding, "severity");
    struct buf claim CLEANUP(buf_done) = {0};
    bool is_bad = str_eq(severity, STR("critical"));
    bool is_info = str_eq(severity, STR("info"));
    int64_t traces = trace_integer(finding, "traces");

    terminal_styled(terminal, out,
                    is_bad    ? STYLE_BAD
                    : is_info ? STYLE_DIM
                              : STYLE_WARNING,
                    "%s",
                    is_bad    ? "✗"
                    : is_info ? "·"
                              : "!");
    buf_byte(out, ' ');
    terminal_style(terminal, out, is_info ? STYLE_PLAIN : STYLE_BOLD);
    terminal_text(&claim, trace_text(finding, "claim"));
    if (traces > 0 && trace_integer(finding, "calls") > 0 &&
        !str_eq(trace_text(finding, "kind"), STR("difference")))
        buf_printf(&claim, " (in %lld of the slow traces)", (long long)traces);
    terminal_wrap(terminal, out, buf_view(&claim), 2);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
    tell_paragraph(terminal, out, "", trace_text(finding, "evidence"));
    tell_paragraph(terminal, out, terminal->utf8 ? "→ " : "-> ", trace_text(finding, "next_step"));
}

size_t trace_tell_findings(const struct invocation *invocation, const struct node *findings,
                           struct buf *out)
{
    size_t bad = 0;

    if (findings == NULL)
        return 0;
    NODE_EACH(findings, finding)
    {
        tell_finding(&invocation->terminal, finding, out);
        bad += !str_eq(trace_text(finding, "severity"), STR("info"));
    }
    return bad;
}

/* ---- The command. ---- */

static const struct command_action actions[] = {
    {"search", "[TRACEQL]", "Traces that fit a TraceQL query, or the flags, as a table."},
    {"show", "ID", "One trace as a waterfall, with what was found in it."},
    {"tail", "[TRACEQL]", "New traces that fit, as they arrive; until Ctrl-C."},
    {"explain", "[ID]", "Where the time went, of a trace or of an operation's slow traces."},
    {"compare", "TRACEQL TRACEQL", "What tells two sets of traces apart."},
};

static enum exit_code run(struct invocation *invocation)
{
    static enum exit_code (*const runs[])(struct invocation *) = {
        trace_search_run, trace_show_run, trace_tail_run, trace_explain_run, trace_compare_run,
    };
    ptrdiff_t action = command_action_of(invocation);

    static_assert(ARRAY_COUNT(runs) == ARRAY_COUNT(actions), "an action each");
    return action < 0 ? EXIT_USAGE : runs[action](invocation);
}

const struct command command_trace = {
    .name = "trace",
    .summary = "Find, draw, follow and explain traces",
    .usage = "search|show|tail|explain|compare [ID|TRACEQL…]",
    .description =
        "search finds traces by TraceQL or by flags; its exit code is 1 when none fits. show draws "
        "one as a waterfall: solid where the request waited for a span's own work (the critical "
        "path), light elsewhere, with siblings of one name folded. tail prints traces as they "
        "arrive.\n\n"
        "explain says in sentences where the time of a trace went and what to do: slow queries, "
        "N+1 queries, retries, calls that could run side by side, gaps, where an error came from. "
        "With --service and --operation instead of an id it looks at the slow traces of that "
        "operation and compares them with the usual ones. compare takes two queries (slow and "
        "fast) "
        "or one query and --at (before and after). Their exit code is 1 when something was found "
        "that needs attention.\n\n"
        "TraceQL: { resource.service.name = \"shop\" && duration > 500ms && status = error }, "
        "{ … } >> { .db.system = \"postgresql\" } | count() > 20.",
    .examples =
        "sonde trace search --service shop --min-duration 500ms\tSlow requests of the last hour.\n"
        "sonde trace search '{ status = error } >> { .db.system = \"postgresql\" }' --range 1d\t"
        "Failed requests that asked the database.\n"
        "sonde trace show 5b8efff798038103d269b633813fc60c\tA waterfall.\n"
        "sonde trace tail --errors\tFailures as they happen.\n"
        "sonde trace explain 5b8efff798038103d269b633813fc60c\tWhy this one was slow.\n"
        "sonde trace explain --service shop --operation 'GET /orders'\tWhy the slow ones are.\n"
        "sonde trace compare '{ rootName = \"GET /orders\" && traceDuration < 100ms }' "
        "'{ rootName = \"GET /orders\" && traceDuration > 1s }'\tFast and slow.\n"
        "sonde trace compare '{ rootName = \"GET /orders\" }' --at 2026-11-20T17:00:00Z --range "
        "30m\tBefore and after a release.\n",
    .options = rows,
    .options_count = TRACE_OPTIONS_COUNT,
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 3,
    .run = run,
};
