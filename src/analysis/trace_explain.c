/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: tree, critical path, self times, calls; then each part looks for its kinds.
 * Repeated calls are looked for before slow ones, so that a query that is slow only because it runs
 * fifty times is told as what it is, and once. */
#include "analysis/trace_explain_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [TRACE_SLOW_QUERY] = "slow_query",
    [TRACE_SLOW_CALL] = "slow_call",
    [TRACE_OWN_TIME] = "own_time",
    [TRACE_N_PLUS_ONE] = "n_plus_one",
    [TRACE_SEQUENTIAL_CALLS] = "sequential_calls",
    [TRACE_RETRIES] = "retries",
    [TRACE_GAP] = "gap",
    [TRACE_ERROR_ORIGIN] = "error_origin",
    [TRACE_CLOCK_SKEW] = "clock_skew",
    [TRACE_INCOMPLETE] = "incomplete",
    [TRACE_DIFFERENCE] = "difference",
};

const char *trace_finding_kind_name(enum trace_finding_kind kind)
{
    MUST((size_t)kind < ARRAY_COUNT(kind_names));
    return kind_names[kind];
}

/* ---- Texts. ---- */

/* "1 min 40 s", "2 h 5 min", "3 d 4 h". */
static void write_minutes(struct buf *out, double ns)
{
    static const struct {
        double s;
        const char *unit;
        double part_s;
        const char *part;
    } units[] = {{86400, "d", 3600, "h"}, {3600, "h", 60, "min"}, {60, "min", 1, "s"}};
    double whole_s = round((ns < 0 ? -ns : ns) / 1e9);
    size_t i = 0;

    while (i + 1 < ARRAY_COUNT(units) && whole_s < units[i].s)
        i++;
    double count = floor(whole_s / units[i].s);
    double rest = floor((whole_s - count * units[i].s) / units[i].part_s);
    buf_printf(out, "%s%.0f %s", ns < 0 ? "-" : "", count, units[i].unit);
    if (rest > 0)
        buf_printf(out, " %.0f %s", rest, units[i].part);
}

void trace_write_ns(struct buf *out, int64_t ns)
{
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};
    double value = (double)ns;
    double size = value < 0 ? -value : value;
    size_t i = 0;

    if (size >= 59.95e9) { /* What would be rounded to a minute is one. */
        write_minutes(out, value);
        return;
    }
    /* What would be rounded to a thousand is one of the next unit. */
    while (i + 1 < ARRAY_COUNT(units) && size < units[i].ns * 0.9995)
        i++;
    value /= units[i].ns;
    size /= units[i].ns;
    buf_printf(out, "%.*f %s",
               i + 1 == ARRAY_COUNT(units) || size >= 100 ? 0
               : size >= 10                               ? 1
                                                          : 2,
               value, units[i].unit);
}

struct str explain_text(struct explainer *explainer, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = {0};
    va_list arguments;

    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    struct str kept = arena_str(explainer->arena, buf_view(&text));
    explainer->is_spent |= kept.data == NULL;
    return kept;
}

struct str explain_ns(struct explainer *explainer, int64_t ns)
{
    struct buf text CLEANUP(buf_done) = {0};

    trace_write_ns(&text, ns);
    return explain_text(explainer, "%.*s", STR_ARG(buf_view(&text)));
}

struct str explain_percent(struct explainer *explainer, double share)
{
    return share > 0 && share < 0.01 ? STR("less than 1 %")
                                     : explain_text(explainer, "%.0f %%", share * 100);
}

struct str explain_cut(struct explainer *explainer, struct str text, size_t bytes_max)
{
    if (text.size <= bytes_max)
        return text;
    size_t size = bytes_max;
    while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80)
        size--;
    return explain_text(explainer, "%.*s…", (int)size, text.data);
}

struct str explain_quote(struct explainer *explainer, struct str text)
{
    struct buf quoted CLEANUP(buf_done) = {0};

    buf_byte(&quoted, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buf_byte(&quoted, '\\');
        buf_byte(&quoted, (uint8_t)text.data[i]);
    }
    buf_byte(&quoted, '"');
    return explain_text(explainer, "%.*s", STR_ARG(buf_view(&quoted)));
}

enum { CALL_TEXT_BYTES = 160 };

struct str explain_call(struct explainer *explainer, const struct trace_call *call)
{
    struct str text = explain_cut(explainer, call->text, CALL_TEXT_BYTES);
    struct str rest = text;
    struct str method = str_split(&rest, ' ');

    if (call->kind == TRACE_CALL_DATABASE || call->peer.size == 0)
        return text;
    if (rest.size > 0 && rest.data[0] == '/') /* "GET /items/?": the peer stands before the path. */
        return explain_text(explainer, "%.*s %.*s%.*s", STR_ARG(method), STR_ARG(call->peer),
                            STR_ARG(rest));
    return explain_text(explainer, "%.*s of %.*s", STR_ARG(text), STR_ARG(call->peer));
}

struct str explain_query(struct explainer *explainer, struct str service, struct str name)
{
    struct str quoted_service = explain_quote(explainer, service);
    struct str quoted_name = explain_quote(explainer, name);

    return explain_text(explainer, "{ resource.service.name = %.*s && name = %.*s }",
                        STR_ARG(quoted_service), STR_ARG(quoted_name));
}

struct str explain_name(const struct explainer *explainer, uint32_t node)
{
    const struct span *span = explainer->tree->nodes[node].span;

    return span == NULL ? STR("the trace") : span->name;
}

struct str explain_service(const struct explainer *explainer, uint32_t node)
{
    const struct span *span = explainer->tree->nodes[node].span;

    return span == NULL ? STR("") : span->resource->service_name;
}

/* ---- Findings. ---- */

void explain_note(struct explainer *explainer, struct node_list *list, uint32_t node)
{
    if (list->items == NULL) {
        list->items = ARENA_ARRAY(explainer->arena, TRACE_FINDING_NODES_MAX, uint32_t);
        explainer->is_spent |= list->items == NULL;
    }
    if (list->items != NULL && list->count < TRACE_FINDING_NODES_MAX)
        list->items[list->count++] = node;
}

enum { SUBJECT_BYTES = 120 };

void explain_add(struct explainer *explainer, struct trace_finding *finding, struct str subject)
{
    if (explainer->count == TRACE_FINDINGS_MAX)
        return;
    subject = explain_cut(explainer, subject, SUBJECT_BYTES);
    finding->finding.id =
        explain_text(explainer, "%s:%.*s:%.*s", trace_finding_kind_name(finding->kind),
                     STR_ARG(finding->service), STR_ARG(subject));
    finding->finding.since_ms = explainer->tree->nodes[explainer->top].start_ns / 1000000;
    finding->share = explain_share(explainer, finding->time_ns);
    explainer->items[explainer->count++] = *finding;
}

static int worst_first(const void *a, const void *b)
{
    const struct trace_finding *left = a;
    const struct trace_finding *right = b;

    if (left->finding.severity != right->finding.severity)
        return left->finding.severity > right->finding.severity ? -1 : 1;
    /* What failed comes before what took long. */
    bool left_failed = left->kind == TRACE_ERROR_ORIGIN;
    bool right_failed = right->kind == TRACE_ERROR_ORIGIN;
    if (left_failed != right_failed)
        return left_failed ? -1 : 1;
    if (left->time_ns != right->time_ns)
        return left->time_ns > right->time_ns ? -1 : 1;
    return str_compare(left->finding.id, right->finding.id);
}

/* ---- All of it. ---- */

static void sum_critical(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;

    for (size_t i = 0; i < explainer->path->count; i++) {
        const struct trace_stretch *stretch = &explainer->path->items[i];
        explainer->critical_ns[stretch->node] += stretch->to_ns - stretch->from_ns;
    }
    for (uint32_t i = tree->count; i-- > 0;) {
        explainer->within_ns[i] += explainer->critical_ns[i];
        if (i > 0)
            explainer->within_ns[tree->nodes[i].parent] += explainer->within_ns[i];
    }
}

static enum err find_all(struct trace_explained *explained, struct arena *arena, struct why *why)
{
    uint32_t count = explained->tree.count;
    int64_t whole_ns = trace_node_ns(&explained->tree.nodes[explained->top]);
    struct explainer explainer = {
        .tree = &explained->tree,
        .path = &explained->path,
        .calls = &explained->calls,
        .self_ns = explained->self_ns,
        .critical_ns = ARENA_ARRAY(arena, count, int64_t),
        .within_ns = ARENA_ARRAY(arena, count, int64_t),
        .told = ARENA_ARRAY(arena, (size_t)explained->calls.count + 1, uint8_t),
        .retried = ARENA_ARRAY(arena, count, uint8_t),
        .items = ARENA_ARRAY(arena, TRACE_FINDINGS_MAX, struct trace_finding),
        .top = explained->top,
        .whole_ns = whole_ns > 0 ? whole_ns : 1,
        .arena = arena,
    };

    if (explainer.critical_ns == NULL || explainer.within_ns == NULL || explainer.told == NULL ||
        explainer.retried == NULL || explainer.items == NULL)
        return arena_spent(arena, "the explanation of a trace", why);
    sum_critical(&explainer);
    explain_errors(&explainer);
    explain_calls(&explainer);
    explain_time(&explainer);
    explain_sequences(&explainer);
    explain_soundness(&explainer);
    if (explainer.is_spent)
        return arena_spent(arena, "the explanation of a trace", why);
    qsort(explainer.items, explainer.count, sizeof(*explainer.items), worst_first);
    explained->findings = explainer.items;
    explained->findings_count = explainer.count;
    return ERR_NONE;
}

static uint32_t find_top(const struct trace_tree *tree, struct str service, struct str operation)
{
    uint32_t found = 0;

    if (service.size == 0)
        return 0;
    for (uint32_t i = 1; i < tree->count; i++) {
        const struct trace_node *node = &tree->nodes[i];
        if ((operation.size == 0 || str_eq(node->span->name, operation)) &&
            str_eq(node->span->resource->service_name, service) &&
            (found == 0 || trace_node_ns(node) > trace_node_ns(&tree->nodes[found])))
            found = i;
    }
    return found;
}

enum err trace_explain_operation(const struct span *spans, size_t count, struct str service,
                                 struct str operation, struct arena *arena,
                                 struct trace_explained *ret_explained, struct why *why)
{
    struct trace_explained explained = {.top = 0};

    TRY(trace_tree_build(spans, count, arena, &explained.tree, why));
    explained.top = find_top(&explained.tree, service, operation);
    TRY(trace_path_find(&explained.tree, explained.top, arena, &explained.path, why));
    TRY(trace_path_self(&explained.tree, arena, &explained.self_ns, why));
    TRY(trace_calls_find(&explained.tree, arena, &explained.calls, why));
    trace_path_account(&explained.tree, &explained.path, explained.self_ns);
    TRY(find_all(&explained, arena, why));
    *ret_explained = explained;
    return ERR_NONE;
}

enum err trace_explain(const struct span *spans, size_t count, struct arena *arena,
                       struct trace_explained *ret_explained, struct why *why)
{
    return trace_explain_operation(spans, count, STR_NONE, STR_NONE, arena, ret_explained, why);
}
