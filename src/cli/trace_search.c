/* SPDX-License-Identifier: Apache-2.0 */
/* search and tail: traces as rows. Both ask for the same summaries; tail asks again every second
 * for what began lately, and prints a trace when it has come to rest: two looks, and no span more.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "cli/grid.h"
#include "cli/quantity.h"
#include "cli/trace.h"
#include "model/span.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SEARCH_LIMIT = 20,
    TAIL_LIMIT = 1000,      /* Traces of one look. */
    TAIL_WINDOW_MS = 30000, /* A look goes so far back: spans arrive late. */
    TAIL_PERIOD_MS = 1000,
    TAIL_SEEN_MAX = 100000,
    ARENA_BYTES_MAX = 1 << 30,
};

/* ---- A row. ---- */

static const struct grid_column columns[] = {
    {.title = "TRACE"},
    {.title = "STARTED"},
    {.title = "DURATION", .right = true},
    {.title = "SPANS", .right = true},
    {.title = "ERRORS", .right = true},
    {.title = "SERVICE", .shrink = true},
    {.title = "OPERATION", .shrink = true},
    {.title = "FOUND", .shrink = true},
};

enum { COLUMNS_PLAIN = ARRAY_COUNT(columns) - 1 }; /* Without what a TraceQL query made. */

static void write_started(struct buf *out, const struct node *trace)
{
    time_t seconds = (time_t)(trace_number(trace, "start_ms") / 1e3);
    struct tm local;
    char text[32];

    if (localtime_r(&seconds, &local) != NULL &&
        strftime(text, sizeof(text), "%m-%d %H:%M:%S", &local) > 0)
        buf_text(out, text);
}

/* duration and traceDuration, or max(duration) and so on: nanoseconds. */
static bool is_duration(struct str key)
{
    const char *open = memchr(key.data, '(', key.size);

    if (open != NULL && key.data[key.size - 1] == ')')
        key = (struct str){open + 1, (size_t)(key.data + key.size - 1 - (open + 1))};
    return str_eq(key, STR("duration")) || str_eq(key, STR("traceDuration"));
}

static void write_set_value(struct buf *out, const struct node *value)
{
    struct str key = trace_text(value, "key");

    buf_str(out, key);
    buf_text(out, " = ");
    if (key.size > 0 && is_duration(key))
        trace_write_duration(out, trace_number(value, "value"));
    else
        buf_str(out, trace_text(value, "value"));
}

/* "region = eu, count = 3; region = us, count = 1": a set each. */
static void write_sets(struct buf *out, const struct node *sets)
{
    NODE_EACH(sets, set)
    {
        const struct node *values = node_get(set, "values");
        bool is_first = true;
        if (out->size > 0)
            buf_text(out, "; ");
        if (values == NULL)
            continue;
        NODE_EACH(values, value)
        {
            buf_text(out, is_first ? "" : ", ");
            write_set_value(out, value);
            is_first = false;
        }
    }
}

static bool has_sets(const struct node *list)
{
    NODE_EACH(list, trace)
    {
        if (node_get(trace, "sets") != NULL)
            return true;
    }
    return false;
}

static void add_row(struct grid *grid, const struct node *trace, bool with_sets)
{
    const struct node *sets = node_get(trace, "sets");
    struct buf cell CLEANUP(buf_done) = {0};
    int64_t errors = trace_integer(trace, "errors");

    grid_cell(grid, trace_text(trace, "trace_id"));
    write_started(&cell, trace);
    grid_cell(grid, buf_view(&cell));
    buf_clear(&cell);
    trace_write_duration(&cell, trace_number(trace, "duration_ns"));
    grid_cell(grid, buf_view(&cell));
    grid_cellf(grid, "%" PRId64, trace_integer(trace, "spans"));
    grid_cellf(grid, "%" PRId64, errors);
    if (errors > 0)
        grid_style(grid, STYLE_BAD);
    grid_cell(grid, trace_text(trace, "service"));
    grid_cell(grid, trace_text(trace, "name"));
    if (!with_sets)
        return;
    buf_clear(&cell);
    if (sets != NULL)
        write_sets(&cell, sets);
    grid_cell(grid, buf_view(&cell));
}

/* ---- Searching. ---- */

/* A query stands alone: of two questions one would silently go unasked. */
static enum err check_question(const struct invocation *invocation, struct why *why)
{
    static const int flags[] = {TRACE_OPTION_SERVICE, TRACE_OPTION_OPERATION,
                                TRACE_OPTION_MIN_DURATION, TRACE_OPTION_MAX_DURATION,
                                TRACE_OPTION_ATTRIBUTE};
    bool is_mixed = options_bool(invocation->options, TRACE_OPTION_ERRORS);

    for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
        is_mixed |= options_is_set(invocation->options, (size_t)flags[i]);
    if (!is_mixed || trace_argument(invocation, 0).size == 0)
        return ERR_NONE;
    (void)fail(why, ERR_INVALID, "a TraceQL query and flags such as --service do not mix");
    hint(why, "say it in the query: { resource.service.name = \"shop\" && name = \"GET /\" && "
              "duration > 20ms && status = error && .key = \"value\" }");
    return ERR_INVALID;
}

static enum err ask_summary(const struct invocation *invocation, int64_t from_ms, int64_t to_ms,
                            int64_t limit, struct buf *body, struct why *why)
{
    struct trace_request request CLEANUP(trace_request_done);

    trace_request_init(&request, "/api/v1/traces/summary");
    trace_request_add_flags(&request, invocation, trace_argument(invocation, 0));
    trace_request_add(&request, "order", options_text(invocation->options, TRACE_OPTION_ORDER));
    trace_request_add_time(&request, "start", from_ms);
    trace_request_add_time(&request, "end", to_ms);
    trace_request_add_count(&request, "limit", limit);
    return trace_ask(invocation, &request, body, why);
}

static void tell_summary(const struct invocation *invocation, const struct node *root,
                         struct buf *out)
{
    const struct node *list = node_get(root, "list");
    bool with_sets = list != NULL && has_sets(list);
    struct grid *grid = grid_new(columns, with_sets ? ARRAY_COUNT(columns) : COLUMNS_PLAIN);
    size_t shown = 0;

    if (list != NULL) {
        NODE_EACH(list, trace)
        {
            add_row(grid, trace, with_sets);
            shown++;
        }
    }
    if (shown == 0)
        buf_text(out, "No trace fits. A longer --range looks further back.\n");
    else
        grid_write(grid, &invocation->terminal, out);
    int64_t all = trace_integer(root, "traces");
    if (shown > 0 && (size_t)all > shown)
        buf_printf(out, "%zu of %" PRId64 " traces that fit; --limit shows more.\n", shown, all);
    grid_free(grid);
}

enum exit_code trace_search_run(struct invocation *invocation)
{
    const struct options *options = invocation->options;
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES_MAX);
    struct buf body CLEANUP(buf_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    const struct node *root = NULL;
    struct why why = WHY_INIT;
    int64_t from_ms, to_ms;
    int64_t limit = options_is_set(options, TRACE_OPTION_LIMIT)
                        ? options_i64(options, TRACE_OPTION_LIMIT)
                        : SEARCH_LIMIT;

    enum err err = check_question(invocation, &why);
    if (err == ERR_NONE)
        err = trace_range(invocation, &from_ms, &to_ms, &why);
    if (err == ERR_NONE)
        err = ask_summary(invocation, from_ms, to_ms, limit, &body, &why);
    if (err == ERR_NONE)
        err = trace_read(buf_view(&body), arena, &root, &why);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json) {
        buf_str(&out, buf_view(&body));
        buf_byte(&out, '\n');
    } else {
        tell_summary(invocation, root, &out);
    }
    const struct node *list = node_get(root, "list");
    bool is_empty = list == NULL || list->first == NULL;
    return command_print(invocation, &out, is_empty ? EXIT_FINDING : EXIT_GOOD);
}

/* ---- Following. ---- */

struct seen {
    int64_t spans; /* At the last look. */
    bool is_told;
    char id[2 * TRACE_ID_BYTES + 1];
};

struct tail {
    struct invocation *invocation;
    struct map seen; /* struct seen, by id. */
    size_t told;
    size_t told_max; /* 0: no limit. */
};

static volatile sig_atomic_t is_ended;

static void end(int signal)
{
    (void)signal;
    is_ended = 1;
}

static void forget_all(struct tail *tail)
{
    MAP_EACH (&tail->seen, entry)
        free(entry->value);
    map_done(&tail->seen);
}

/* Is it there now as it was a look before? Then it is told, once. */
static bool has_settled(struct tail *tail, const struct node *trace)
{
    struct str id = trace_text(trace, "trace_id");
    int64_t spans = trace_integer(trace, "spans");
    struct seen *seen = map_get(&tail->seen, id);

    if (id.size == 0 || id.size >= sizeof(seen->id))
        return false;
    if (seen == NULL) {
        if (tail->seen.count >= TAIL_SEEN_MAX)
            forget_all(tail); /* Hours later: what is told again is at most a window's worth. */
        seen = calloc(1, sizeof(*seen));
        if (seen == NULL)
            must_memory(sizeof(*seen));
        memcpy(seen->id, id.data, id.size);
        seen->spans = spans;
        (void)map_put(&tail->seen, (struct str){seen->id, id.size}, seen); /* Was absent. */
        return false;
    }
    bool is_due = !seen->is_told && seen->spans == spans;
    seen->spans = spans;
    seen->is_told |= is_due;
    return is_due;
}

static void write_json_row(struct buf *out, const struct node *trace)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_str(&json, "trace_id", trace_text(trace, "trace_id"));
    json_put_double(&json, "start_ms", trace_number(trace, "start_ms"));
    json_put_i64(&json, "duration_ns", trace_integer(trace, "duration_ns"));
    json_put_i64(&json, "spans", trace_integer(trace, "spans"));
    json_put_i64(&json, "errors", trace_integer(trace, "errors"));
    json_put_str(&json, "service", trace_text(trace, "service"));
    json_put_str(&json, "name", trace_text(trace, "name"));
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_text_row(const struct terminal *terminal, struct buf *out,
                           const struct node *trace)
{
    struct buf duration CLEANUP(buf_done) = {0};
    int64_t errors = trace_integer(trace, "errors");

    write_started(out, trace);
    buf_text(out, "  ");
    trace_write_duration(&duration, trace_number(trace, "duration_ns"));
    terminal_fit(terminal, out, buf_view(&duration), 11, true);
    buf_printf(out, "  %6" PRId64 " spans  ", trace_integer(trace, "spans"));
    if (errors > 0)
        terminal_styled(terminal, out, STYLE_BAD, "%3" PRId64 " failed", errors);
    else
        buf_text(out, "          ");
    buf_text(out, "  ");
    terminal_text(out, trace_text(trace, "service"));
    buf_text(out, "  ");
    terminal_text(out, trace_text(trace, "name"));
    buf_text(out, "  ");
    terminal_style(terminal, out, STYLE_DIM);
    terminal_text(out, trace_text(trace, "trace_id"));
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

/* Newest first in the answer, oldest first on the screen. */
static void tell_settled(struct tail *tail, const struct node *list, struct buf *out)
{
    const struct node *due[TAIL_LIMIT];
    size_t count = 0;

    NODE_EACH(list, trace)
    {
        if (count < TAIL_LIMIT && has_settled(tail, trace))
            due[count++] = trace;
    }
    while (count-- > 0 && (tail->told_max == 0 || tail->told < tail->told_max)) {
        tail->told++;
        if (tail->invocation->json)
            write_json_row(out, due[count]);
        else
            write_text_row(&tail->invocation->terminal, out, due[count]);
    }
}

static enum err look(struct tail *tail, int64_t begun_ms, struct why *why)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES_MAX);
    struct buf body CLEANUP(buf_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    const struct node *root = NULL;
    int64_t now_ms = clock_now_ms();
    int64_t from_ms = now_ms - TAIL_WINDOW_MS > begun_ms ? now_ms - TAIL_WINDOW_MS : begun_ms;

    enum err err =
        ask_summary(tail->invocation, from_ms, now_ms + TAIL_PERIOD_MS, TAIL_LIMIT, &body, why);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE; /* Nothing was ever sent: the first trace is waited for, too. */
    TRY(err);
    TRY(trace_read(buf_view(&body), arena, &root, why));
    const struct node *list = node_get(root, "list");
    if (list != NULL)
        tell_settled(tail, list, &out);
    return terminal_write(&tail->invocation->terminal, buf_view(&out), why);
}

static void pause_until_next(void)
{
    const struct timespec period = {TAIL_PERIOD_MS / 1000, TAIL_PERIOD_MS % 1000 * 1000000L};

    if (!is_ended)
        (void)nanosleep(&period, NULL); /* A signal ends it early, which is meant. */
}

enum exit_code trace_tail_run(struct invocation *invocation)
{
    const struct sigaction action = {.sa_handler = end};
    const struct options *options = invocation->options;
    struct tail tail = {.invocation = invocation,
                        .told_max = options_is_set(options, TRACE_OPTION_LIMIT)
                                        ? (size_t)options_i64(options, TRACE_OPTION_LIMIT)
                                        : 0};
    struct why why = WHY_INIT;
    enum err err = check_question(invocation, &why);
    int64_t begun_ms = clock_now_ms() - TAIL_PERIOD_MS;

    is_ended = 0;
    (void)sigaction(SIGINT, &action, NULL); /* The numbers are right. */
    (void)sigaction(SIGTERM, &action, NULL);
    while (!is_ended && err == ERR_NONE && (tail.told_max == 0 || tail.told < tail.told_max)) {
        err = look(&tail, begun_ms, &why);
        pause_until_next();
    }
    forget_all(&tail);
    if (err == ERR_CLOSED || err == ERR_NONE) /* Nobody reads on: head, or a pager that ended. */
        return EXIT_GOOD;
    return command_fail(invocation, &why);
}
