/* SPDX-License-Identifier: Apache-2.0 */
/* sonde query - asks in PromQL and draws the answer: a chart for a range, a table for a moment.
 *
 * A running daemon is asked over HTTP; with --data the files are read here, which works while no
 * daemon has them open. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/answer.h"
#include "cli/chart.h"
#include "cli/command.h"
#include "cli/grid.h"
#include "cli/quantity.h"
#include "cli/remote.h"
#include "query/promql_json.h"
#include "store/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_BYTES_MAX = 512 << 20,
    TIMEOUT_MS = 150000,
    POINTS_MIN = 2,
};
#define ARENA_BYTES_MAX ((size_t)2 << 30)

enum {
    OPTION_RANGE,
    OPTION_STEP,
    OPTION_START,
    OPTION_END,
    OPTION_TIME,
    OPTION_CSV,
    OPTION_URL,
    OPTION_TOKEN,
    OPTION_CA_FILE,
    OPTION_DATA,
    OPTION_TENANT,
    OPTIONS_COUNT
};

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_RANGE] = {.name = "range",
                      .type = OPTION_DURATION,
                      .range = "1s..",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "Asks for a stretch of time up to now (or --end) and draws it."},
    [OPTION_STEP] = {.name = "step",
                     .type = OPTION_DURATION,
                     .range = "1ms..",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Distance of the points. Default: what the chart's width can show."},
    [OPTION_START] = {.name = "start",
                      .type = OPTION_TEXT,
                      .value_name = "TIME",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "Start of the stretch: RFC 3339 or seconds since 1970."},
    [OPTION_END] = {.name = "end",
                    .type = OPTION_TEXT,
                    .value_name = "TIME",
                    .flags = OPTION_FLAG_ONLY,
                    .help = "End of the stretch. Default: now."},
    [OPTION_TIME] = {.name = "time",
                     .type = OPTION_TEXT,
                     .value_name = "TIME",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "The moment to ask about. Default: now."},
    [OPTION_CSV] = {.name = "csv",
                    .type = OPTION_BOOL,
                    .preset = "false",
                    .flags = OPTION_FLAG_ONLY,
                    .help = "Answers in CSV: a row a point, a column a label."},
    [OPTION_URL] = {.name = "url",
                    .type = OPTION_TEXT,
                    .value_name = "URL",
                    .help = "The daemon to ask (also SONDE_URL). Default: " REMOTE_URL_DEFAULT "."},
    [OPTION_TOKEN] = {.name = "token",
                      .type = OPTION_TEXT,
                      .flags = OPTION_SECRET,
                      .help = "The token for a daemon that wants one."},
    [OPTION_CA_FILE] = {.name = "ca_file",
                        .type = OPTION_PATH,
                        .flags = OPTION_FLAG_ONLY,
                        .help = "PEM file of the authority that signed the daemon's certificate. "
                                "Default: the system's."},
    [OPTION_DATA] = {.name = "data",
                     .type = OPTION_PATH,
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Reads this data folder instead of asking a daemon."},
    [OPTION_TENANT] = {.name = "tenant",
                       .type = OPTION_TEXT,
                       .preset = "default",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "With --data: whose data."},
};

struct question {
    struct str expression;
    bool range;
    int64_t start_ms, end_ms, step_ms; /* A moment has start == end. */
};

/* ---- The question. ---- */

static enum err read_time(const struct options *options, size_t option, int64_t otherwise,
                          int64_t *ret_ms, struct why *why)
{
    struct str text = options_text(options, option);

    *ret_ms = otherwise;
    if (text.data == NULL || str_eq(text, STR("now")))
        return ERR_NONE;
    if (!clock_parse(text.data, text.size, ret_ms))
        return fail(why, ERR_INVALID,
                    "--%s: '%.*s' is neither 2026-11-20T17:04:05Z nor seconds "
                    "since 1970",
                    options_row(options, option)->name, STR_ARG(text));
    return ERR_NONE;
}

/* The next finer of the steps that people like, so that a chart has about `points`. */
static int64_t round_step(int64_t span_ms, int64_t points)
{
    static const int64_t steps_s[] = {1,   2,   5,    10,   15,   30,    60,    120,  300,
                                      600, 900, 1800, 3600, 7200, 14400, 43200, 86400};
    int64_t wanted = span_ms / (points < 1 ? 1 : points);

    for (size_t i = ARRAY_COUNT(steps_s); i-- > 0;) {
        if (steps_s[i] * 1000 <= wanted)
            return steps_s[i] * 1000;
    }
    return 1000;
}

static enum err read_question(const struct invocation *invocation, struct question *question,
                              struct why *why)
{
    const struct options *options = invocation->options;
    int64_t now_ms = clock_now_ms();

    question->expression = str_of(invocation->arguments[0]);
    question->range = options_is_set(options, OPTION_RANGE) ||
                      options_is_set(options, OPTION_START) || options_is_set(options, OPTION_STEP);
    if (!question->range) {
        TRY(read_time(options, OPTION_TIME, now_ms, &question->start_ms, why));
        question->end_ms = question->start_ms;
        return ERR_NONE;
    }
    int64_t length_ms = options_is_set(options, OPTION_RANGE) ? options_ms(options, OPTION_RANGE)
                                                              : INT64_C(3600) * 1000;
    TRY(read_time(options, OPTION_END, now_ms, &question->end_ms, why));
    TRY(read_time(options, OPTION_START, question->end_ms - length_ms, &question->start_ms, why));
    if (question->start_ms >= question->end_ms)
        return fail(why, ERR_INVALID, "the stretch of time ends before it begins");
    int64_t span_ms = question->end_ms - question->start_ms;
    question->step_ms = options_ms(options, OPTION_STEP);
    if (question->step_ms == 0)
        question->step_ms = round_step(span_ms, 2 * (int64_t)invocation->terminal.columns);
    /* Steps on whole multiples: the same question a moment later has the same points. */
    if (!options_is_set(options, OPTION_START)) {
        question->end_ms -= question->end_ms % question->step_ms;
        question->start_ms = question->end_ms - span_ms / question->step_ms * question->step_ms;
    }
    return ERR_NONE;
}

/* ---- Asking a daemon. ---- */

static void add_seconds(struct buf *form, const char *name, int64_t ms)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));

    remote_add_param(form, name, (struct str){text, (size_t)size});
}

/* The body is what the daemon said; a refusal is an error here. */
static enum err ask_daemon(const struct invocation *invocation, const struct question *question,
                           struct buf *body, struct why *why)
{
    struct buf form CLEANUP(buf_done) = {0};
    const char *variable = getenv("SONDE_URL");
    const char *token = getenv("SONDE_TOKEN");
    struct str url = options_text(invocation->options, OPTION_URL);
    struct remote_request request = {
        .url = url.data != NULL   ? url
               : variable != NULL ? str_of(variable)
                                  : STR(REMOTE_URL_DEFAULT),
        .path = question->range ? "/api/v1/query_range" : "/api/v1/query",
        .token = token,
        .timeout_ms = TIMEOUT_MS,
        .body_bytes_max = ANSWER_BYTES_MAX,
        .ca_file = options_cstr(invocation->options, OPTION_CA_FILE),
    };
    int status;

    remote_add_param(&form, "query", question->expression);
    if (question->range) {
        add_seconds(&form, "start", question->start_ms);
        add_seconds(&form, "end", question->end_ms);
        add_seconds(&form, "step", question->step_ms);
    } else {
        add_seconds(&form, "time", question->start_ms);
    }
    request.form = buf_view(&form);
    TRY(remote_ask(&request, &status, body, why));
    return status == 200 ? ERR_NONE : remote_fail(status, buf_view(body), why);
}

/* ---- Asking the files. ---- */

static void close_store(struct store **store)
{
    *store = store_close(*store);
}

static enum err ask_files(const struct invocation *invocation, const struct question *question,
                          struct arena *arena, bool json, struct buf *body, struct answer *answer,
                          struct why *why)
{
    struct promql_expression *expression CLEANUP(promql_freep) = NULL;
    struct store *store CLEANUP(close_store) = NULL;
    struct store_view *view CLEANUP(store_view_releasep) = NULL;
    struct store_options options = store_options_default;
    struct promql_result result = {0};

    TRY(promql_parse(question->expression, &expression, why));
    options.path = options_cstr(invocation->options, OPTION_DATA);
    enum err err = store_open(&options, &store, why);
    if (err == ERR_BUSY)
        hint(why, "a daemon has this folder open: ask it instead, without --data");
    TRY(err);
    TRY(store_view(store, options_cstr(invocation->options, OPTION_TENANT), NULL, &view, why));
    const struct promql_query query = {
        .source = view,
        .start_ms = question->start_ms,
        .end_ms = question->end_ms,
        .step_ms = question->step_ms,
        .arena = arena,
    };
    TRY(question->range ? promql_eval_range(expression, &query, &result, why)
                        : promql_eval_instant(expression, &query, &result, why));
    if (json)
        promql_json_result(&result, body);
    return answer_from_result(&result, arena, answer, why);
}

/* ---- Telling. ---- */

static void write_csv_text(struct buf *out, struct str text)
{
    bool quoted = false;

    for (size_t i = 0; i < text.size && !quoted; i++)
        quoted = strchr(",\"\r\n", text.data[i]) != NULL;
    if (!quoted) {
        buf_str(out, text);
        return;
    }
    buf_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            buf_byte(out, '"');
        buf_byte(out, (uint8_t)text.data[i]);
    }
    buf_byte(out, '"');
}

static bool has_name(const struct str *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(names[i], name))
            return true;
    }
    return false;
}

static struct str value_of(const struct answer_series *series, struct str name)
{
    for (size_t i = 0; i < series->labels_count; i++) {
        if (str_eq(series->labels[i].name, name))
            return series->labels[i].value;
    }
    return STR("");
}

/* Every label of any series is a column, in the order in which they appear. */
static void write_csv(const struct answer *answer, struct buf *out)
{
    enum { NAMES_MAX = 256 };
    struct str names[NAMES_MAX];
    size_t count = 0;

    for (size_t s = 0; s < answer->series_count; s++) {
        const struct answer_series *series = &answer->series[s];
        for (size_t i = 0; i < series->labels_count && count < NAMES_MAX; i++) {
            if (!has_name(names, count, series->labels[i].name))
                names[count++] = series->labels[i].name;
        }
    }
    buf_text(out, "time");
    for (size_t i = 0; i < count; i++) {
        buf_byte(out, ',');
        write_csv_text(out, str_eq(names[i], LABEL_NAME) ? STR("metric") : names[i]);
    }
    buf_text(out, ",value\n");
    for (size_t s = 0; s < answer->series_count; s++) {
        const struct answer_series *series = &answer->series[s];
        for (size_t p = 0; p < series->count; p++) {
            char time[CLOCK_TEXT_SIZE], number[STR_DOUBLE_SIZE];
            buf_append(out, time, clock_text(time, series->times_ms[p]));
            for (size_t i = 0; i < count; i++) {
                buf_byte(out, ',');
                write_csv_text(out, value_of(series, names[i]));
            }
            buf_byte(out, ',');
            buf_append(out, number, str_from_double(number, series->values[p]));
            buf_byte(out, '\n');
        }
    }
}

static void write_table(const struct answer *answer, const struct question *question,
                        const struct terminal *terminal, struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "Series", .shrink = true},
        {.title = "Value", .right = true},
        {.title = "", .right = true},
    };
    enum unit unit = unit_of_expression(question->expression);
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));

    for (size_t s = 0; s < answer->series_count; s++) {
        const struct answer_series *series = &answer->series[s];
        struct buf readable CLEANUP(buf_done) = {0};
        char number[STR_DOUBLE_SIZE];
        double value = series->values[series->count - 1];
        grid_cell(grid, series->name);
        grid_cell(grid, (struct str){number, str_from_double(number, value)});
        if (unit != UNIT_NONE)
            quantity_write(&readable, value, unit, 3);
        grid_cell(grid, buf_view(&readable));
        grid_style(grid, STYLE_DIM);
    }
    grid_write(grid, terminal, out);
    grid_free(grid);
}

static enum err write_chart(const struct answer *answer, const struct question *question,
                            const struct terminal *terminal, struct arena *arena, struct buf *out,
                            struct why *why)
{
    struct chart_series *series = ARENA_ARRAY(arena, answer->series_count + 1, struct chart_series);

    if (series == NULL)
        return arena_spent(arena, "the chart", why);
    for (size_t i = 0; i < answer->series_count; i++)
        series[i] = (struct chart_series){
            .name = answer->series[i].name,
            .times_ms = answer->series[i].times_ms,
            .values = answer->series[i].values,
            .count = answer->series[i].count,
        };
    const struct chart chart = {
        .series = series,
        .count = answer->series_count,
        .from_ms = question->start_ms,
        .to_ms = question->end_ms,
        .step_ms = question->step_ms,
        .unit = unit_of_expression(question->expression),
    };
    chart_write(&chart, terminal, out);
    return ERR_NONE;
}

static enum err tell(const struct invocation *invocation, const struct question *question,
                     const struct answer *answer, struct arena *arena, struct buf *out,
                     struct why *why)
{
    const struct terminal *terminal = &invocation->terminal;

    if (options_bool(invocation->options, OPTION_CSV)) {
        write_csv(answer, out);
        return ERR_NONE;
    }
    if (answer->type == PROMQL_STRING) {
        terminal_text(out, answer->text);
        buf_byte(out, '\n');
    } else if (answer->series_count == 0) {
        buf_text(out, "Nothing matches at that time.\n");
    } else if (question->range) {
        TRY(write_chart(answer, question, terminal, arena, out, why));
    } else {
        write_table(answer, question, terminal, out);
    }
    for (size_t i = 0; i < answer->notes_count; i++) {
        terminal_style(terminal, out, STYLE_WARNING);
        terminal_text(out, answer->notes[i]);
        terminal_style(terminal, out, STYLE_PLAIN);
        buf_byte(out, '\n');
    }
    return ERR_NONE;
}

/* The line of the expression in which the mistake is, with a caret under it. */
static void show_position(struct str expression, int32_t position)
{
    struct terminal terminal;
    struct buf out CLEANUP(buf_done) = {0};
    size_t at = (size_t)position, start = 0, end;

    if (position < 0 || at > expression.size)
        return;
    for (size_t i = 0; i < at; i++) {
        if (expression.data[i] == '\n')
            start = i + 1;
    }
    for (end = start; end < expression.size && expression.data[end] != '\n'; end++)
        continue;
    terminal_init(&terminal, 2, TERMINAL_COLOR_AUTO);
    buf_text(&out, "  ");
    terminal_text(&out, (struct str){expression.data + start, end - start});
    buf_text(&out, "\n  ");
    for (size_t i = terminal_width((struct str){expression.data + start, at - start}); i > 0; i--)
        buf_byte(&out, ' ');
    terminal_styled(&terminal, &out, STYLE_BAD, "^");
    buf_byte(&out, '\n');
    if (terminal_write(&terminal, buf_view(&out), NULL) != ERR_NONE)
        return; /* Nobody is left to tell. */
}

static void free_arena(struct arena **arena)
{
    *arena = arena_free(*arena);
}

static enum err ask_and_tell(const struct invocation *invocation, const struct question *question,
                             struct buf *out, bool *ret_empty, struct why *why)
{
    struct arena *arena CLEANUP(free_arena) = arena_new(ARENA_BYTES_MAX);
    struct buf body CLEANUP(buf_done) = {0};
    struct answer answer = {0};

    if (options_is_set(invocation->options, OPTION_DATA)) {
        TRY(ask_files(invocation, question, arena, invocation->json, &body, &answer, why));
    } else {
        TRY(ask_daemon(invocation, question, &body, why));
        TRY(answer_from_json(buf_view(&body), arena, &answer, why));
    }
    *ret_empty = answer.series_count == 0 && answer.type != PROMQL_STRING;
    if (invocation->json) {
        buf_str(out, buf_view(&body));
        buf_byte(out, '\n');
        return ERR_NONE;
    }
    return tell(invocation, question, &answer, arena, out, why);
}

static enum exit_code run(struct invocation *invocation)
{
    struct question question = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    bool empty = false;

    if (invocation->arguments_count == 0)
        return command_usage(invocation, "sonde query needs an expression, as in: sonde query "
                                         "'rate(node_cpu_seconds_total[1m])'");
    enum err err = read_question(invocation, &question, &why);
    if (err == ERR_NONE)
        err = ask_and_tell(invocation, &question, &out, &empty, &why);
    if (err != ERR_NONE) {
        show_position(question.expression, why.position);
        return command_fail(invocation, &why);
    }
    return command_print(invocation, &out, empty ? EXIT_FINDING : EXIT_GOOD);
}

const struct command command_query = {
    .name = "query",
    .summary = "Ask in PromQL, and draw the answer",
    .usage = "EXPR [--range 1h] [--step 10s] [--json|--csv]",
    .description =
        "Asks the daemon (or, with --data, the files) and shows a table for a moment and a chart "
        "for a stretch of time. A mistake in the expression is shown with its place. Ends with 1 "
        "when nothing matches.",
    .examples =
        "sonde query node_load1\tThe value now.\n"
        "sonde query 'sum by (mode) (rate(node_cpu_seconds_total[1m]))' --range 1h\tA chart.\n"
        "sonde query up --time 2026-11-20T17:00:00Z --json\tPrometheus' JSON, for programs.\n"
        "sonde query 'node_memory_MemAvailable_bytes' --range 7d --step 1h --csv > memory.csv\tFor "
        "a "
        "spreadsheet.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .arguments_max = 1,
    .run = run,
};
