/* SPDX-License-Identifier: Apache-2.0 */
/* show: the spans come in columns, so that a million of them are no matter; what the daemon found
 * out comes beside them: which clocks to correct, and the findings. When that is refused, because
 * the trace is too large to be explained, the spans are drawn as they were sent, and it says so. */
#include "analysis/trace_explain.h"
#include "base/map.h"
#include "cli/trace.h"
#include "cli/trace_columns_read.h"
#include "cli/waterfall.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { ROWS_DEFAULT = 200, FINDINGS_SHOWN = 5 };

#define ARENA_BYTES_MAX ((size_t)2 << 30)

struct show {
    struct invocation *invocation;
    struct str id;
    struct arena *arena;
    struct buf columns;
    struct buf explained;
    struct column_trace trace;
    const struct node *explanation; /* NULL: refused. */
    struct why refusal;
    struct trace_tree tree;
    struct trace_path path;
};

/* ---- Asking. ---- */

static enum err ask(struct show *show, const char *tail, const char *format, struct buf *body,
                    struct why *why)
{
    struct trace_request request CLEANUP(trace_request_done);

    trace_request_init(&request, "/api/v1/traces/");
    buf_str(&request.path, show->id);
    buf_text(&request.path, tail);
    if (format != NULL)
        trace_request_add(&request, "format", str_of(format));
    return trace_ask(show->invocation, &request, body, why);
}

/* A span that the daemon moved is moved here. */
static void correct(struct show *show, const struct node *skewed)
{
    struct map by_id CLEANUP(map_done) = {0};

    if (skewed == NULL || skewed->first == NULL)
        return;
    for (size_t i = 0; i < show->trace.count; i++)
        (void)map_put(&by_id, (struct str){(const char *)show->trace.ids[i], SPAN_ID_BYTES},
                      &show->trace.spans[i]); /* Of one id the last: an id is of one span. */
    NODE_EACH(skewed, item)
    {
        uint8_t id[SPAN_ID_BYTES] = {0};
        struct str hex = trace_text(item, "span_id");
        unsigned byte;
        char pair[3] = "";
        for (size_t i = 0; i < SPAN_ID_BYTES && hex.size == (size_t)2 * SPAN_ID_BYTES; i++) {
            memcpy(pair, hex.data + 2 * i, 2);
            if (sscanf(pair, "%2x", &byte) == 1)
                id[i] = (uint8_t)byte;
        }
        struct span *span = map_get(&by_id, (struct str){(const char *)id, SPAN_ID_BYTES});
        if (span == NULL)
            continue;
        uint64_t shift_ns = (uint64_t)trace_integer(item, "shift_ns");
        span->start_ns = (int64_t)((uint64_t)span->start_ns + shift_ns);
        span->end_ns = (int64_t)((uint64_t)span->end_ns + shift_ns);
        span->flags = 1; /* Shown as moved. */
    }
}

static enum err gather(struct show *show, struct why *why)
{
    TRY(ask(show, "", "columns", &show->columns, why));
    TRY(trace_columns_read(buf_view(&show->columns), show->arena, &show->trace, why));
    show->refusal = WHY_INIT;
    if (ask(show, "/explain", NULL, &show->explained, &show->refusal) == ERR_NONE)
        TRY(trace_read(buf_view(&show->explained), show->arena, &show->explanation, why));
    correct(show, node_get(show->explanation, "skewed"));
    TRY(trace_tree_build(show->trace.spans, show->trace.count, show->arena, &show->tree, why));
    for (uint32_t i = 1; i < show->tree.count; i++) {
        if (show->tree.nodes[i].span->flags != 0)
            show->tree.nodes[i].flags |= TRACE_SKEWED;
    }
    return trace_path_find(&show->tree, 0, show->arena, &show->path, why);
}

/* ---- Telling. ---- */

static void tell_head(const struct show *show, struct buf *out)
{
    const struct trace_tree *tree = &show->tree;
    const struct terminal *terminal = &show->invocation->terminal;
    time_t seconds = (time_t)(tree->nodes[0].start_ns / 1000000000);
    struct tm local;
    char started[40] = "";

    if (localtime_r(&seconds, &local) != NULL)
        (void)strftime(started, sizeof(started), "%Y-%m-%d %H:%M:%S", &local); /* "" when not. */
    terminal_style(terminal, out, STYLE_BOLD);
    buf_text(out, "Trace ");
    terminal_text(out, show->id);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_printf(out, "  %s, ", started);
    trace_write_ns(out, trace_node_ns(&tree->nodes[0]));
    buf_printf(out, ", %u %s", tree->count - 1, tree->count == 2 ? "span" : "spans");
    if (tree->errors > 0) {
        buf_text(out, ", ");
        terminal_styled(terminal, out, STYLE_BAD, "%u failed", tree->errors);
    }
    buf_text(out, "\n\n");
}

static void tell_legend(const struct show *show, size_t left_out, struct buf *out)
{
    const struct terminal *terminal = &show->invocation->terminal;
    bool is_moved = false;

    for (uint32_t i = 1; i < show->tree.count && !is_moved; i++)
        is_moved = (show->tree.nodes[i].flags & TRACE_SKEWED) != 0;
    if (left_out > 0)
        buf_printf(out, "… and %zu more spans; --limit shows more rows.\n", left_out);
    buf_byte(out, '\n');
    terminal_style(terminal, out, STYLE_DIM);
    buf_text(out, terminal->utf8 ? "█ the request waits for its own work (critical path)   "
                                   "─ runs beside it, or waits itself"
                                 : "# the request waits for its own work (critical path)   "
                                   "- runs beside it, or waits itself");
    if (is_moved)
        buf_text(out, terminal->utf8 ? "   ≈ clock corrected" : "   ~ clock corrected");
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

static void tell_claims(const struct show *show, struct buf *out)
{
    const struct node *findings = node_get(show->explanation, "findings");
    const struct terminal *terminal = &show->invocation->terminal;
    size_t shown = 0;

    if (show->explanation == NULL) {
        buf_text(out, "\nNot explained, and clocks not corrected: ");
        terminal_text(out, str_of(show->refusal.text));
        buf_byte(out, '\n');
        return;
    }
    if (findings == NULL || findings->first == NULL)
        return;
    buf_byte(out, '\n');
    NODE_EACH(findings, finding)
    {
        if (shown++ == FINDINGS_SHOWN)
            break;
        bool is_info = str_eq(trace_text(finding, "severity"), STR("info"));
        struct buf claim CLEANUP(buf_done) = {0};
        terminal_styled(terminal, out, is_info ? STYLE_DIM : STYLE_WARNING,
                        is_info ? terminal->utf8 ? "·" : "-" : "!");
        buf_byte(out, ' ');
        terminal_text(&claim, trace_text(finding, "claim"));
        terminal_wrap(terminal, out, buf_view(&claim), 2);
        buf_byte(out, '\n');
    }
    buf_text(out, "\nMore, and what to do: sonde trace explain ");
    terminal_text(out, show->id);
    buf_byte(out, '\n');
}

static void tell(const struct show *show, struct buf *out)
{
    const struct options *options = show->invocation->options;
    bool all = options_bool(options, TRACE_OPTION_ALL);
    size_t rows_max = options_is_set(options, TRACE_OPTION_LIMIT)
                          ? (size_t)options_i64(options, TRACE_OPTION_LIMIT)
                      : all ? SIZE_MAX
                            : ROWS_DEFAULT;
    const struct waterfall waterfall = {&show->tree, &show->path, !all, rows_max};

    tell_head(show, out);
    size_t left_out = waterfall_write(&waterfall, &show->invocation->terminal, out);
    tell_legend(show, left_out, out);
    tell_claims(show, out);
}

static void show_done(struct show *show)
{
    buf_done(&show->columns);
    buf_done(&show->explained);
    show->arena = arena_free(show->arena);
}

enum exit_code trace_show_run(struct invocation *invocation)
{
    struct show show CLEANUP(show_done) = {.invocation = invocation,
                                           .id = trace_argument(invocation, 0)};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (!trace_is_id(show.id))
        return command_usage(invocation, "sonde trace show needs a trace id; 'sonde trace search' "
                                         "lists some");
    show.arena = arena_new(ARENA_BYTES_MAX);
    enum err err = invocation->json ? ask(&show, "", NULL, &out, &why) : gather(&show, &why);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json)
        buf_byte(&out, '\n');
    else
        tell(&show, &out);
    return command_print(invocation, &out, EXIT_GOOD);
}
