/* SPDX-License-Identifier: Apache-2.0 */
/* explain and compare: what the daemon found out, in sentences first and in numbers below. */
#include "base/clock.h"
#include "cli/grid.h"
#include "cli/trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    ROWS_MAX = 10, /* Of a table. */
    IDS_SHOWN = 3,
    ARENA_BYTES_MAX = 1 << 30,
};

struct asked {
    struct arena *arena;
    struct buf body;
    const struct node *root;
};

static void asked_done(struct asked *asked)
{
    buf_done(&asked->body);
    asked->arena = arena_free(asked->arena);
}

static enum err ask(const struct invocation *invocation, struct trace_request *request,
                    struct asked *asked, struct why *why)
{
    asked->arena = arena_new(ARENA_BYTES_MAX);
    TRY(trace_ask(invocation, request, &asked->body, why));
    return trace_read(buf_view(&asked->body), asked->arena, &asked->root, why);
}

/* ---- Numbers below. ---- */

static void cell_duration(struct grid *grid, double ns, bool is_signed)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (is_signed && ns > 0)
        buf_byte(&text, '+');
    trace_write_duration(&text, ns);
    grid_cell(grid, buf_view(&text));
}

static void cell_share(struct grid *grid, double share)
{
    if (isnan(share))
        grid_cell(grid, STR("-"));
    else
        grid_cellf(grid, "%.0f %%", share * 100);
}

static void cell_p(struct grid *grid, double p)
{
    if (isnan(p))
        grid_cell(grid, STR("-"));
    else if (p < 0.001)
        grid_cell(grid, STR("< 0.001"));
    else
        grid_cellf(grid, "%.3f", p);
}

/* The statement or path of a call, else the span's name. */
static struct str name_of(const struct node *row)
{
    struct str text = trace_text(row, "text");

    return text.size > 0 ? text : trace_text(row, "name");
}

static void tell_title(const struct terminal *terminal, struct buf *out, const char *title)
{
    buf_byte(out, '\n');
    terminal_styled(terminal, out, STYLE_TITLE, "%s", title);
    buf_byte(out, '\n');
}

static void write_grid(const struct terminal *terminal, struct grid *grid, struct buf *out)
{
    grid_write(grid, terminal, out);
    grid_free(grid);
}

static void tell_ids(const struct node *holder, const char *what, struct buf *out)
{
    const struct node *ids = node_get(holder, "trace_ids");
    size_t shown = 0;

    if (ids == NULL || ids->first == NULL)
        return;
    buf_text(out, what);
    NODE_EACH(ids, id)
    {
        if (shown++ == IDS_SHOWN)
            break;
        buf_byte(out, ' ');
        terminal_text(out, id->text);
    }
    buf_byte(out, '\n');
}

static enum exit_code finish(const struct invocation *invocation, const struct asked *asked,
                             struct buf *out)
{
    const struct node *findings = node_get(asked->root, "findings");
    bool needs_attention = false;

    if (findings != NULL) {
        NODE_EACH(findings, finding)
        needs_attention |= !str_eq(trace_text(finding, "severity"), STR("info"));
    }
    if (invocation->json) {
        buf_clear(out);
        buf_str(out, buf_view(&asked->body));
        buf_byte(out, '\n');
    }
    return command_print(invocation, out, needs_attention ? EXIT_FINDING : EXIT_GOOD);
}

/* ---- One trace. ---- */

static void tell_operations(const struct terminal *terminal, const struct node *root,
                            struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "ON THE PATH", .right = true}, {.title = "SHARE", .right = true},
        {.title = "SELF", .right = true},        {.title = "SPANS", .right = true},
        {.title = "FAILED", .right = true},      {.title = "SERVICE", .shrink = true},
        {.title = "OPERATION", .shrink = true},
    };
    const struct node *list = node_get(root, "operations");
    double whole_ns = trace_number(root, "duration_ns");
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    size_t shown = 0;

    tell_title(terminal, out, "Where the time went");
    if (list != NULL) {
        NODE_EACH(list, row)
        {
            if (shown++ == ROWS_MAX)
                break;
            double critical_ns = trace_number(row, "critical_ns");
            cell_duration(grid, critical_ns, false);
            cell_share(grid, whole_ns > 0 ? critical_ns / whole_ns : NAN);
            cell_duration(grid, trace_number(row, "self_ns"), false);
            grid_cellf(grid, "%" PRId64, trace_integer(row, "calls"));
            grid_cellf(grid, "%" PRId64, trace_integer(row, "errors"));
            grid_cell(grid, trace_text(row, "service"));
            grid_cell(grid, trace_text(row, "name"));
        }
    }
    write_grid(terminal, grid, out);
}

static void tell_explained(const struct invocation *invocation, const struct node *root,
                           struct buf *out)
{
    const struct node *start = node_get(root, "root");
    size_t bad;

    buf_text(out, "Trace ");
    terminal_text(out, trace_text(root, "trace_id"));
    buf_text(out, ": ");
    if (start != NULL) {
        terminal_text(out, trace_text(start, "name"));
        buf_text(out, " of ");
        terminal_text(out, trace_text(start, "service"));
        buf_text(out, ", ");
    }
    trace_write_duration(out, trace_number(root, "duration_ns"));
    buf_printf(out, ", %" PRId64 " spans, %" PRId64 " failed.\n\n",
               trace_integer(root, "span_count"), trace_integer(root, "error_count"));
    if (str_eq(trace_text(root, "without_attributes"), STR("true")))
        buf_text(out,
                 "It is too large to be held with its attributes, so what its calls ask is not "
                 "known.\n\n");
    bad = trace_tell_findings(invocation, node_get(root, "findings"), out);
    if (bad == 0)
        buf_text(out, "Nothing in it needs attention.\n");
    tell_operations(&invocation->terminal, root, out);
}

static enum exit_code explain_one(struct invocation *invocation, struct str id)
{
    struct trace_request request CLEANUP(trace_request_done);
    struct asked asked CLEANUP(asked_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    trace_request_init(&request, "/api/v1/traces/");
    buf_str(&request.path, id);
    buf_text(&request.path, "/explain");
    if (ask(invocation, &request, &asked, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    tell_explained(invocation, asked.root, &out);
    return finish(invocation, &asked, &out);
}

/* ---- Many of one operation. ---- */

static void tell_survey_table(const struct terminal *terminal, const struct node *root,
                              struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "SLOW", .right = true},       {.title = "MEDIAN", .right = true},
        {.title = "DIFFERENCE", .right = true}, {.title = "SHARE", .right = true},
        {.title = "CALLS", .right = true},      {.title = "P", .right = true},
        {.title = "SERVICE", .shrink = true},   {.title = "OPERATION", .shrink = true},
    };
    const struct node *list = node_get(root, "operations");
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    size_t shown = 0;

    tell_title(terminal, out, "Waited for, in the slow traces and around the median (means)");
    NODE_EACH(list, row)
    {
        if (shown++ == ROWS_MAX)
            break;
        cell_duration(grid, trace_number(row, "slow_ns"), false);
        cell_duration(grid, trace_number(row, "median_ns"), false);
        cell_duration(grid, trace_number(row, "difference_ns"), true);
        cell_share(grid, trace_number(row, "share"));
        grid_cellf(grid, "%.1f/%.1f", trace_number(row, "slow_calls"),
                   trace_number(row, "median_calls"));
        cell_p(grid, trace_number(row, "p_adjusted"));
        grid_cell(grid, trace_text(row, "service"));
        grid_cell(grid, name_of(row));
    }
    write_grid(terminal, grid, out);
}

static void tell_survey(const struct invocation *invocation, const struct node *root,
                        struct buf *out)
{
    int64_t traces = trace_integer(root, "traces");
    const struct node *slow = node_get(root, "slow");
    const struct node *median = node_get(root, "median");

    if (traces == 0) {
        buf_text(out, "No trace fits. A longer --range looks further back; 'sonde trace search' "
                      "lists what there is.\n");
        return;
    }
    buf_printf(out, "%" PRId64 " %s%s: p50 ", traces, traces == 1 ? "trace" : "traces",
               str_eq(trace_text(root, "is_cut"), STR("true")) ? " (the newest)" : "");
    trace_write_duration(out, trace_number(root, "p50_ns"));
    buf_text(out, ", p95 ");
    trace_write_duration(out, trace_number(root, "p95_ns"));
    buf_text(out, ", p99 ");
    trace_write_duration(out, trace_number(root, "p99_ns"));
    buf_printf(out, ". Looked at: the slowest %" PRId64 " and %" PRId64 " around the median.\n",
               trace_integer(slow, "traces"), trace_integer(median, "traces"));
    tell_ids(slow, "The slowest:", out);
    buf_byte(out, '\n');
    if (trace_tell_findings(invocation, node_get(root, "findings"), out) == 0)
        buf_text(out, "Nothing in the slow ones needs attention.\n");
    if (node_get(root, "operations") != NULL && trace_integer(median, "traces") > 0)
        tell_survey_table(&invocation->terminal, root, out);
}

static enum exit_code explain_many(struct invocation *invocation)
{
    const struct options *options = invocation->options;
    struct trace_request request CLEANUP(trace_request_done);
    struct asked asked CLEANUP(asked_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    int64_t from_ms, to_ms;
    struct str query = trace_argument(invocation, 0);

    trace_request_init(&request, "/api/v1/traces/explain");
    if (trace_range(invocation, &from_ms, &to_ms, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    if (query.size > 0)
        trace_request_add(&request, "q", query);
    if (options_is_set(options, TRACE_OPTION_SERVICE))
        trace_request_add(&request, "service", options_text(options, TRACE_OPTION_SERVICE));
    if (options_is_set(options, TRACE_OPTION_OPERATION))
        trace_request_add(&request, "operation", options_text(options, TRACE_OPTION_OPERATION));
    if (options_is_set(options, TRACE_OPTION_LIMIT))
        trace_request_add_count(&request, "limit", options_i64(options, TRACE_OPTION_LIMIT));
    trace_request_add_time(&request, "start", from_ms);
    trace_request_add_time(&request, "end", to_ms);
    if (ask(invocation, &request, &asked, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    tell_survey(invocation, asked.root, &out);
    return finish(invocation, &asked, &out);
}

enum exit_code trace_explain_run(struct invocation *invocation)
{
    struct str argument = trace_argument(invocation, 0);

    if (trace_is_id(argument))
        return explain_one(invocation, argument);
    if (argument.size == 0 && !options_is_set(invocation->options, TRACE_OPTION_SERVICE))
        return command_usage(invocation,
                             "sonde trace explain needs a trace id, a TraceQL query, or --service "
                             "(and --operation)");
    return explain_many(invocation);
}

/* ---- Two sets. ---- */

static void tell_attributes(const struct terminal *terminal, const struct node *root,
                            struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "FIRST", .right = true},      {.title = "SECOND", .right = true},
        {.title = "P", .right = true},          {.title = "SERVICE", .shrink = true},
        {.title = "ATTRIBUTE", .shrink = true},
    };
    const struct node *list = node_get(root, "attributes");
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    size_t shown = 0;

    if (list != NULL) {
        NODE_EACH(list, row)
        {
            struct str key = trace_text(row, "key");
            struct str value = trace_text(row, "value");
            if (shown++ == ROWS_MAX)
                break;
            cell_share(grid, trace_number(row, "a_share"));
            cell_share(grid, trace_number(row, "b_share"));
            cell_p(grid, trace_number(row, "p_adjusted"));
            grid_cell(grid, trace_text(row, "service"));
            grid_cellf(grid, "%.*s = %.*s", STR_ARG(key), STR_ARG(value));
        }
    }
    if (shown > 0) {
        tell_title(terminal, out, "Attributes that tell them apart (share of traces)");
        grid_write(grid, terminal, out);
    }
    grid_free(grid);
}

static void tell_spans(const struct terminal *terminal, const struct node *root, struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "FIRST", .right = true},      {.title = "SECOND", .right = true},
        {.title = "DIFFERENCE", .right = true}, {.title = "SHARE", .right = true},
        {.title = "CALLS", .right = true},      {.title = "P", .right = true},
        {.title = "SERVICE", .shrink = true},   {.title = "OPERATION", .shrink = true},
    };
    const struct node *list = node_get(root, "spans");
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    size_t shown = 0;

    tell_title(terminal, out, "Waited for (means per trace)");
    if (list != NULL) {
        NODE_EACH(list, row)
        {
            if (shown++ == ROWS_MAX)
                break;
            cell_duration(grid, trace_number(row, "a_ns"), false);
            cell_duration(grid, trace_number(row, "b_ns"), false);
            cell_duration(grid, trace_number(row, "difference_ns"), true);
            cell_share(grid, trace_number(row, "share"));
            grid_cellf(grid, "%.1f/%.1f", trace_number(row, "a_calls"),
                       trace_number(row, "b_calls"));
            cell_p(grid, trace_number(row, "p_adjusted"));
            grid_cell(grid, trace_text(row, "service"));
            grid_cell(grid, name_of(row));
        }
    }
    write_grid(terminal, grid, out);
}

static void tell_set(const struct node *root, const char *key, const char *name, struct buf *out)
{
    const struct node *set = node_get(root, key);

    int64_t traces = trace_integer(set, "traces");

    buf_printf(out, "%s: %" PRId64 " %s%s, median ", name, traces, traces == 1 ? "trace" : "traces",
               str_eq(trace_text(set, "is_cut"), STR("true")) ? " (the newest)" : "");
    trace_write_duration(out, trace_number(set, "median_ns"));
    buf_text(out, ", p95 ");
    trace_write_duration(out, trace_number(set, "p95_ns"));
    buf_printf(out, ", %" PRId64 " failed.\n", trace_integer(set, "errors"));
}

static void tell_comparison(const struct invocation *invocation, const struct node *root,
                            struct buf *out)
{
    bool has_both = trace_integer(node_get(root, "a"), "traces") > 0 &&
                    trace_integer(node_get(root, "b"), "traces") > 0;

    tell_set(root, "a", "First", out);
    tell_set(root, "b", "Second", out);
    if (!has_both) {
        buf_text(out, "Nothing to compare: a set is empty. A longer --range looks further back.\n");
        return;
    }
    buf_byte(out, '\n');
    (void)trace_tell_findings(invocation, node_get(root, "findings"), out); /* finish() counts. */
    tell_spans(&invocation->terminal, root, out);
    tell_attributes(&invocation->terminal, root, out);
}

/* Two queries over one stretch of time, or one query on both sides of a moment. */
static enum err add_sets(const struct invocation *invocation, struct trace_request *request,
                         struct why *why)
{
    struct str at = options_text(invocation->options, TRACE_OPTION_AT);
    struct str a = trace_argument(invocation, 0);
    struct str b = trace_argument(invocation, 1);
    int64_t range_ms = options_ms(invocation->options, TRACE_OPTION_RANGE);
    int64_t from_ms, to_ms, at_ms;

    trace_request_add(request, "a", a);
    trace_request_add(request, "b", b.size > 0 ? b : a);
    if (at.size == 0) {
        TRY(trace_range(invocation, &from_ms, &to_ms, why));
        trace_request_add_time(request, "start", from_ms);
        trace_request_add_time(request, "end", to_ms);
        return ERR_NONE;
    }
    if (!clock_parse(at.data, at.size, &at_ms))
        return fail(why, ERR_INVALID, "--at '%.*s' is no time such as 2026-11-20T17:00:00Z",
                    STR_ARG(at));
    trace_request_add_time(request, "a_start", at_ms - range_ms);
    trace_request_add_time(request, "a_end", at_ms - 1);
    trace_request_add_time(request, "b_start", at_ms);
    trace_request_add_time(request, "b_end", at_ms + range_ms);
    return ERR_NONE;
}

enum exit_code trace_compare_run(struct invocation *invocation)
{
    struct trace_request request CLEANUP(trace_request_done);
    struct asked asked CLEANUP(asked_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    bool has_at = options_is_set(invocation->options, TRACE_OPTION_AT);

    trace_request_init(&request, "/api/v1/traces/compare");
    if (trace_argument(invocation, 0).size == 0 ||
        (trace_argument(invocation, 1).size == 0 && !has_at))
        return command_usage(invocation,
                             "sonde trace compare needs two TraceQL queries, or one and "
                             "--at TIME");
    enum err err = add_sets(invocation, &request, &why);
    if (err == ERR_NONE && options_is_set(invocation->options, TRACE_OPTION_LIMIT))
        trace_request_add_count(&request, "limit",
                                options_i64(invocation->options, TRACE_OPTION_LIMIT));
    if (err == ERR_NONE)
        err = ask(invocation, &request, &asked, &why);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    tell_comparison(invocation, asked.root, &out);
    return finish(invocation, &asked, &out);
}
