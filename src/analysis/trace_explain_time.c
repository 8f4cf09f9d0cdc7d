/* SPDX-License-Identifier: Apache-2.0 */
/* Whose own work the request waited for: statements, calls that nobody answers for, programs, and
 * stretches without any span.
 *
 * Only time on the critical path counts: what ran beside it cost nothing. A call told as N+1 or as
 * retries is not told again. A gap is one long stretch of a span that has children, so it is
 * instrumented, but not there; the stretch between two attempts of a retry is a pause, no gap. */
#include "analysis/trace_explain_priv.h"

#include "base/clock.h"

#include <stdlib.h>

#define QUERY_SHARE_MIN 0.15
#define CALL_SHARE_MIN  0.20
#define OWN_SHARE_MIN   0.25
#define GAP_SHARE_MIN   0.10
#define TOLD_MIN_NS     (5 * CLOCK_NS_PER_MS)  /* What takes less hurts nobody. */
#define SLOW_NS         (20 * CLOCK_NS_PER_MS) /* From here on it is a warning. */
#define TIMES_MAX       3                      /* Of a kind, told of a trace. */

/* What belongs together: the spans of a call, or of an operation. */
struct bill {
    uint32_t index;
    uint32_t spans;
    uint32_t worst_node;
    int64_t worst_ns;
    int64_t time_ns;
    struct node_list nodes;
};

static int dearest_first(const void *a, const void *b)
{
    const struct bill *left = a;
    const struct bill *right = b;

    if (left->time_ns != right->time_ns)
        return left->time_ns > right->time_ns ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static void charge(struct explainer *explainer, struct bill *bill, uint32_t node)
{
    int64_t time_ns = explainer->critical_ns[node];

    if (time_ns == 0)
        return;
    bill->spans++;
    bill->time_ns += time_ns;
    if (time_ns > bill->worst_ns) {
        bill->worst_ns = time_ns;
        bill->worst_node = node;
    }
    explain_note(explainer, &bill->nodes, node);
}

static struct bill *new_bills(struct explainer *explainer, uint32_t count)
{
    struct bill *bills = ARENA_ARRAY(explainer->arena, (size_t)count + 1, struct bill);

    explainer->is_spent |= bills == NULL;
    for (uint32_t i = 0; bills != NULL && i < count; i++)
        bills[i].index = i;
    return bills;
}

static struct trace_finding begin(const struct bill *bill, enum trace_finding_kind kind,
                                  struct str service, struct str operation)
{
    return (struct trace_finding){
        .kind = kind,
        .service = service,
        .operation = operation,
        .time_ns = bill->time_ns,
        .calls = bill->spans,
        .nodes = bill->nodes.items,
        .nodes_count = bill->nodes.count,
    };
}

static enum severity severity_of(int64_t time_ns)
{
    return time_ns >= SLOW_NS ? SEVERITY_WARNING : SEVERITY_INFO;
}

static const char *whole_name(const struct explainer *explainer)
{
    return explainer->top == 0 ? "the trace" : "the operation";
}

/* ---- Statements and calls. ---- */

static struct str database_next(struct explainer *explainer, const struct trace_call *call)
{
    static const struct {
        struct str system;
        const char *next;
    } systems[] = {
        {{"postgresql", 10},
         "Run it under EXPLAIN (ANALYZE, BUFFERS): a Seq Scan that throws most rows away wants an "
         "index on the columns of WHERE and ORDER BY; if the plan is good, it waits for a lock "
         "(pg_stat_activity)."},
        {{"mysql", 5},
         "Run it under EXPLAIN ANALYZE: a table scan that throws most rows away wants an index on "
         "the columns of WHERE and ORDER BY."},
        {{"mongodb", 7},
         "Ask for explain(\"executionStats\"): a COLLSCAN wants an index on what is matched."},
        {{"redis", 5},
         "Look at SLOWLOG GET and at the size of what is asked for: large keys and KEYS, SMEMBERS "
         "or HGETALL over them hold everybody up."},
    };

    for (size_t i = 0; i < ARRAY_COUNT(systems); i++) {
        if (str_eq_nocase(call->system, systems[i].system))
            return str_of(systems[i].next);
    }
    return explain_text(explainer, "Look at its plan: does it read far more than it returns? Then "
                                   "an index on what it filters and sorts by helps.");
}

static void tell_query(struct explainer *explainer, const struct bill *bill)
{
    const struct trace_call *call = &explainer->calls->items[bill->index];
    double share = explain_share(explainer, bill->time_ns);
    struct str text = explain_call(explainer, call);
    struct str time = explain_ns(explainer, bill->time_ns);
    struct str worst = explain_ns(explainer, bill->worst_ns);
    struct str percent = explain_percent(explainer, share);
    struct trace_finding finding = begin(bill, TRACE_SLOW_QUERY, call->service, call->name);

    finding.finding = (struct finding){
        .severity = severity_of(bill->time_ns),
        .claim = explain_text(explainer, "%s query: %.*s waits %.*s for %.*s, %.*s of %s: %.*s",
                              bill->time_ns >= SLOW_NS ? "Slow" : "Main", STR_ARG(call->service),
                              STR_ARG(time), STR_ARG(call->system), STR_ARG(percent),
                              whole_name(explainer), STR_ARG(text)),
        .evidence = explain_text(explainer, "%u %s on the critical path, the longest %.*s.",
                                 bill->spans, bill->spans == 1 ? "call" : "calls", STR_ARG(worst)),
        .next_step = database_next(explainer, call),
        .expr = explain_query(explainer, call->service, call->name),
        .confidence = 0.9,
    };
    explain_add(explainer, &finding, call->text);
}

static void tell_call(struct explainer *explainer, const struct bill *bill)
{
    const struct trace_call *call = &explainer->calls->items[bill->index];
    bool is_answered = explainer->tree->nodes[bill->worst_node].child_count > 0;
    struct str text = explain_call(explainer, call);
    struct str time = explain_ns(explainer, bill->time_ns);
    struct str worst = explain_ns(explainer, bill->worst_ns);
    struct str percent = explain_percent(explainer, explain_share(explainer, bill->time_ns));
    struct trace_finding finding = begin(bill, TRACE_SLOW_CALL, call->service, call->name);

    finding.finding = (struct finding){
        .severity = severity_of(bill->time_ns),
        .claim = explain_text(
            explainer,
            is_answered
                ? "%.*s waits %.*s around %.*s before and after the other side works on it, "
                  "%.*s of %s."
                : "%.*s waits %.*s for %.*s, which sends no spans: %.*s of %s.",
            STR_ARG(call->service), STR_ARG(time), STR_ARG(text), STR_ARG(percent),
            whole_name(explainer)),
        .evidence = explain_text(explainer, "%u %s on the critical path, the longest %.*s.",
                                 bill->spans, bill->spans == 1 ? "call" : "calls", STR_ARG(worst)),
        .next_step =
            is_answered
                ? STR("Network, a new connection each time, TLS, or a queue in front of the other "
                      "side: reuse connections, and look at its queue and its event loop.")
                : STR("Let the other side send spans, too, or measure it there; meanwhile a "
                      "timeout "
                      "and a cache bound what it can cost."),
        .expr = explain_query(explainer, call->service, call->name),
        .confidence = is_answered ? 0.7 : 0.85,
    };
    explain_add(explainer, &finding, call->text);
}

static void explain_bills_of_calls(struct explainer *explainer)
{
    uint32_t count = explainer->calls->count;
    struct bill *bills = new_bills(explainer, count);
    size_t told = 0;

    if (bills == NULL)
        return;
    for (uint32_t i = explainer->top; i < explainer->tree->nodes[explainer->top].after; i++) {
        uint32_t call = explainer->calls->of[i];
        if (call != TRACE_NONE && explainer->told[call] == 0)
            charge(explainer, &bills[call], i);
    }
    qsort(bills, count, sizeof(*bills), dearest_first);
    for (uint32_t i = 0; i < count && told < TIMES_MAX; i++) {
        bool is_query = explainer->calls->items[bills[i].index].kind == TRACE_CALL_DATABASE;
        double share = explain_share(explainer, bills[i].time_ns);
        if (bills[i].time_ns < TOLD_MIN_NS || share < (is_query ? QUERY_SHARE_MIN : CALL_SHARE_MIN))
            continue;
        told++;
        if (is_query)
            tell_query(explainer, &bills[i]);
        else
            tell_call(explainer, &bills[i]);
    }
}

/* ---- Gaps. ---- */

struct neighbours {
    uint32_t before; /* The child that ended last before the stretch; TRACE_NONE: none did. */
    uint32_t behind; /* The child that began first after it. */
};

static struct neighbours find_neighbours(const struct explainer *explainer,
                                         const struct trace_stretch *stretch)
{
    const struct trace_node *nodes = explainer->tree->nodes;
    struct neighbours found = {TRACE_NONE, TRACE_NONE};

    for (uint32_t at = nodes[stretch->node].first_child; at != TRACE_NONE;
         at = nodes[at].next_sibling) {
        if (nodes[at].end_ns <= stretch->from_ns &&
            (found.before == TRACE_NONE || nodes[at].end_ns > nodes[found.before].end_ns))
            found.before = at;
        if (nodes[at].start_ns >= stretch->to_ns &&
            (found.behind == TRACE_NONE || nodes[at].start_ns < nodes[found.behind].start_ns))
            found.behind = at;
    }
    return found;
}

/* The longest part of the stretch in which no child runs: one in parallel may, off the path. */
static bool is_covered(const struct explainer *explainer, const struct trace_stretch *stretch)
{
    const struct trace_node *nodes = explainer->tree->nodes;
    int64_t covered_ns = 0;

    for (uint32_t at = nodes[stretch->node].first_child; at != TRACE_NONE;
         at = nodes[at].next_sibling) {
        int64_t from_ns =
            nodes[at].start_ns > stretch->from_ns ? nodes[at].start_ns : stretch->from_ns;
        int64_t to_ns = nodes[at].end_ns < stretch->to_ns ? nodes[at].end_ns : stretch->to_ns;
        if (to_ns > from_ns)
            covered_ns = trace_sum_ns(covered_ns, to_ns - from_ns);
    }
    return covered_ns > (stretch->to_ns - stretch->from_ns) / 2;
}

static struct str gap_place(struct explainer *explainer, const struct neighbours *found)
{
    struct str before =
        found->before == TRACE_NONE ? STR_NONE : explain_name(explainer, found->before);
    struct str behind =
        found->behind == TRACE_NONE ? STR_NONE : explain_name(explainer, found->behind);

    if (before.data != NULL && behind.data != NULL)
        return explain_text(explainer, "between %.*s and %.*s", STR_ARG(before), STR_ARG(behind));
    if (before.data != NULL)
        return explain_text(explainer, "after %.*s", STR_ARG(before));
    return explain_text(explainer, "before %.*s", STR_ARG(behind));
}

static bool is_gap(const struct explainer *explainer, const struct trace_stretch *stretch,
                   struct neighbours *ret_found)
{
    int64_t time_ns = stretch->to_ns - stretch->from_ns;

    if (stretch->node == 0 || explainer->tree->nodes[stretch->node].child_count == 0 ||
        time_ns < TOLD_MIN_NS || explain_share(explainer, time_ns) < GAP_SHARE_MIN ||
        explainer->calls->of[stretch->node] != TRACE_NONE || is_covered(explainer, stretch))
        return false;
    *ret_found = find_neighbours(explainer, stretch);
    bool is_pause = ret_found->before != TRACE_NONE && ret_found->behind != TRACE_NONE &&
                    explainer->retried[ret_found->before] && explainer->retried[ret_found->behind];
    return !is_pause && (ret_found->before != TRACE_NONE || ret_found->behind != TRACE_NONE);
}

static void tell_gap(struct explainer *explainer, const struct trace_stretch *stretch,
                     const struct neighbours *found)
{
    struct node_list nodes = {.count = 0};
    int64_t time_ns = stretch->to_ns - stretch->from_ns;
    struct str service = explain_service(explainer, stretch->node);
    struct str name = explain_name(explainer, stretch->node);
    struct str place = gap_place(explainer, found);
    struct str time = explain_ns(explainer, time_ns);
    struct str percent = explain_percent(explainer, explain_share(explainer, time_ns));
    struct str begun =
        explain_ns(explainer, stretch->from_ns - explainer->tree->nodes[explainer->top].start_ns);
    struct trace_finding finding = {
        .kind = TRACE_GAP, .service = service, .operation = name, .time_ns = time_ns, .calls = 1};

    explain_note(explainer, &nodes, stretch->node);
    finding.nodes = nodes.items;
    finding.nodes_count = nodes.count;
    finding.finding = (struct finding){
        .severity = severity_of(time_ns),
        .claim = explain_text(explainer,
                              "Nothing is known of %.*s, %.*s of %s: %.*s works or waits in %.*s "
                              "%.*s, and no span covers it.",
                              STR_ARG(time), STR_ARG(percent), whole_name(explainer),
                              STR_ARG(service), STR_ARG(name), STR_ARG(place)),
        .evidence = explain_text(explainer, "From %.*s after the start on, for %.*s.",
                                 STR_ARG(begun), STR_ARG(time)),
        .next_step =
            STR("Put a span around what happens there, or look at a profile of that time: "
                "computing, a lock, a pool without a free connection, garbage collection."),
        .expr = explain_query(explainer, service, name),
        .confidence = 0.7,
    };
    struct str subject = explain_text(explainer, "%.*s %.*s", STR_ARG(name), STR_ARG(place));
    explain_add(explainer, &finding, subject);
}

/* What is told as a gap is taken off its node's own time. */
static void explain_gaps(struct explainer *explainer)
{
    size_t told = 0;

    for (size_t i = 0; i < explainer->path->count && told < TIMES_MAX * 2; i++) {
        const struct trace_stretch *stretch = &explainer->path->items[i];
        struct neighbours found;
        if (!is_gap(explainer, stretch, &found))
            continue;
        told++;
        tell_gap(explainer, stretch, &found);
        explainer->critical_ns[stretch->node] -= stretch->to_ns - stretch->from_ns;
    }
}

/* ---- Own work. ---- */

static void tell_own(struct explainer *explainer, const struct bill *bill)
{
    const struct trace_operation *operation = &explainer->tree->operations[bill->index];
    struct str time = explain_ns(explainer, bill->time_ns);
    struct str worst = explain_ns(explainer, bill->worst_ns);
    struct str percent = explain_percent(explainer, explain_share(explainer, bill->time_ns));
    struct trace_finding finding = begin(bill, TRACE_OWN_TIME, operation->service, operation->name);

    finding.finding = (struct finding){
        .severity = severity_of(bill->time_ns),
        .claim = explain_text(explainer, "%.*s spends %.*s in %.*s itself, %.*s of %s.",
                              STR_ARG(operation->service), STR_ARG(time), STR_ARG(operation->name),
                              STR_ARG(percent), whole_name(explainer)),
        .evidence = explain_text(explainer,
                                 "%u %s on the critical path, the longest stretch of "
                                 "one %.*s.",
                                 bill->spans, bill->spans == 1 ? "span" : "spans", STR_ARG(worst)),
        .next_step =
            STR("Look at a profile of it: is it computing, or waiting for a lock, a file or "
                "something that sends no spans?"),
        .expr = explain_query(explainer, operation->service, operation->name),
        .confidence = 0.8,
    };
    explain_add(explainer, &finding, operation->name);
}

static void explain_own(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;
    struct bill *bills = new_bills(explainer, tree->operations_count);

    if (bills == NULL)
        return;
    for (uint32_t i = explainer->top; i < tree->nodes[explainer->top].after; i++) {
        if (i > 0 && explainer->calls->of[i] == TRACE_NONE)
            charge(explainer, &bills[tree->nodes[i].operation], i);
    }
    qsort(bills, tree->operations_count, sizeof(*bills), dearest_first);
    for (uint32_t i = 0; i < tree->operations_count && i < TIMES_MAX; i++) {
        if (bills[i].time_ns >= TOLD_MIN_NS &&
            explain_share(explainer, bills[i].time_ns) >= OWN_SHARE_MIN)
            tell_own(explainer, &bills[i]);
    }
}

void explain_time(struct explainer *explainer)
{
    explain_bills_of_calls(explainer);
    explain_gaps(explainer);
    explain_own(explainer);
}
