/* SPDX-License-Identifier: Apache-2.0 */
/* Calls repeated under one parent: asked again because they failed, or because there are many.
 *
 * The children of a parent that carry the same call (trace_call.h) are a group, by start. Within it
 * a run of attempts is a failed one, and the next of exactly the same text that began after the
 * failed one had ended, and so on: retries. What is left is N+1 when there are REPEATS_MIN calls
 * that run one after the other: together they take hardly less than the sum of their times.
 *
 * A call whose other side has several spans in a row, failed ones first, was asked again by the
 * client itself; that is a run of attempts, too.
 *
 * Both are gathered by call over all parents, because a list of orders with a list of items each is
 * one mistake, not one for each order. */
#include "analysis/trace_explain_priv.h"

#include "base/clock.h"

#include <stdlib.h>

enum {
    REPEATS_MIN = 5,
    REPEATS_MANY = 20, /* Told even when they take next to nothing. */
    REPEATS_WORST = 50,
    STORM_ATTEMPTS = 5,
    OVERLAP_PART = 10, /* Two may overlap by this part of the shorter one. */
    GAPS_MAX = 8,      /* Kept of a run, for a sentence. */
};

#define REPEAT_SHARE_MIN   0.03
#define REPEAT_SHARE_WORST 0.10
#define PARALLEL_FACTOR    1.5 /* Sum of times over time: above it they run beside each other. */
#define PAUSE_NONE_NS      (5 * CLOCK_NS_PER_MS)
#define PAUSE_GROWTH       1.3

/* A child that carries a call. */
struct unit {
    uint32_t call;
    uint32_t node;
    int64_t start_ns;
    int64_t end_ns;
};

/* What was found of one call. */
struct repeats {
    uint32_t parents;
    uint32_t calls;
    uint32_t worst_parent;
    uint32_t worst_calls;
    int64_t time_ns;   /* In which at least one of them ran, by parent. */
    int64_t waited_ns; /* Of it on the critical path. */
    struct node_list nodes;
};

struct retries {
    uint32_t runs;
    uint32_t lost_runs; /* Whose last attempt failed, too. */
    uint32_t attempts;
    uint32_t failed;
    uint32_t most_attempts; /* Of one run, whose gaps these are. */
    uint32_t gaps_count;
    int64_t gaps_ns[GAPS_MAX];
    int64_t time_ns; /* From the first attempt to the end of the last, all runs. */
    int64_t lost_ns; /* Of it until the last attempt began. */
    uint32_t first_node;
    uint32_t failed_node; /* One that failed, for its error. */
    struct node_list nodes;
};

struct groups {
    struct explainer *explainer;
    struct repeats *repeats; /* By call. */
    struct retries *retries;
    struct unit *units;
};

static int by_call_and_start(const void *a, const void *b)
{
    const struct unit *left = a;
    const struct unit *right = b;

    if (left->call != right->call)
        return left->call < right->call ? -1 : 1;
    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

/* ---- Retries. ---- */

/* The span that makes the call which the node carries. */
static uint32_t calling_node(const struct explainer *explainer, uint32_t node)
{
    for (uint32_t i = node; i < explainer->tree->nodes[node].after; i++) {
        if (explainer->calls->of[i] == explainer->calls->carried[node])
            return i;
    }
    return node;
}

static uint64_t asked_hash(const struct explainer *explainer, uint32_t node)
{
    return trace_call_hash(explainer->tree->nodes[calling_node(explainer, node)].span);
}

/* Clocks of programs that measure by other means than they name times overlap a little. */
static bool is_behind(const struct unit *next, const struct unit *before)
{
    int64_t next_ns = next->end_ns - next->start_ns;
    int64_t before_ns = before->end_ns - before->start_ns;
    int64_t slack_ns = (next_ns < before_ns ? next_ns : before_ns) / OVERLAP_PART;

    return next->start_ns >= before->end_ns - slack_ns;
}

/* How many of the units from `first` on are attempts at one thing. */
static size_t run_length(const struct explainer *explainer, const struct unit *units, size_t count)
{
    size_t length = 1;

    if (!explainer->calls->failed[units[0].node])
        return 1;
    uint64_t asked = asked_hash(explainer, units[0].node);
    while (length < count && explainer->calls->failed[units[length - 1].node] &&
           is_behind(&units[length], &units[length - 1]) &&
           asked_hash(explainer, units[length].node) == asked)
        length++;
    return length;
}

static int64_t gap_between(const struct unit *before, const struct unit *next)
{
    return next->start_ns > before->end_ns ? next->start_ns - before->end_ns : 0;
}

static void note_run(struct groups *groups, const struct unit *units, size_t length)
{
    struct explainer *explainer = groups->explainer;
    struct retries *retries = &groups->retries[units[0].call];
    bool is_longest = length > retries->most_attempts;

    if (retries->runs++ == 0) {
        retries->first_node = units[0].node;
        retries->failed_node = units[0].node;
    }
    retries->attempts += (uint32_t)length;
    retries->time_ns = trace_sum_ns(retries->time_ns, units[length - 1].end_ns - units[0].start_ns);
    retries->lost_ns =
        trace_sum_ns(retries->lost_ns, units[length - 1].start_ns - units[0].start_ns);
    if (is_longest) {
        retries->most_attempts = (uint32_t)length;
        retries->gaps_count = 0;
    }
    for (size_t i = 0; i < length; i++) {
        retries->failed += explainer->calls->failed[units[i].node] != 0;
        explainer->retried[units[i].node] = 1;
        explain_note(explainer, &retries->nodes, units[i].node);
        if (is_longest && i > 0 && retries->gaps_count < GAPS_MAX)
            retries->gaps_ns[retries->gaps_count++] = gap_between(&units[i - 1], &units[i]);
    }
    retries->lost_runs += explainer->calls->failed[units[length - 1].node] != 0;
    explainer->told[units[0].call] |= TOLD_RETRIED;
}

/* Takes the runs out of the group; returns how many units are left. */
static size_t take_runs(struct groups *groups, struct unit *units, size_t count)
{
    size_t left = 0;

    for (size_t i = 0; i < count;) {
        size_t length = run_length(groups->explainer, units + i, count - i);
        if (length > 1)
            note_run(groups, units + i, length);
        else
            units[left++] = units[i];
        i += length;
    }
    return left;
}

/* ---- N+1. ---- */

static void note_repeats(struct groups *groups, uint32_t parent, const struct unit *units,
                         size_t count)
{
    struct explainer *explainer = groups->explainer;
    struct repeats *repeats = &groups->repeats[units[0].call];
    int64_t covered_ns = 0, waited_ns = 0;
    double sum_ns = 0;
    int64_t reached_ns = units[0].start_ns;
    uint32_t calls = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t from_ns = units[i].start_ns > reached_ns ? units[i].start_ns : reached_ns;
        sum_ns += (double)(units[i].end_ns - units[i].start_ns);
        covered_ns += units[i].end_ns > from_ns ? units[i].end_ns - from_ns : 0;
        reached_ns = units[i].end_ns > reached_ns ? units[i].end_ns : reached_ns;
        waited_ns += explainer->within_ns[units[i].node];
        calls += explainer->calls->spans[units[i].node];
    }
    if (calls < REPEATS_MIN || sum_ns > (double)covered_ns * PARALLEL_FACTOR)
        return;
    repeats->parents++;
    repeats->calls += calls;
    repeats->time_ns = trace_sum_ns(repeats->time_ns, covered_ns);
    repeats->waited_ns = trace_sum_ns(repeats->waited_ns, waited_ns);
    if (calls > repeats->worst_calls) {
        repeats->worst_calls = calls;
        repeats->worst_parent = parent;
    }
    for (size_t i = 0; i < count; i++)
        explain_note(explainer, &repeats->nodes, calling_node(explainer, units[i].node));
}

/* A client that asks again by itself has one span for the call, and whoever is asked one for each
 * attempt (gRPC's retries, an HTTP client's adapter). */
static void look_at_attempts(struct groups *groups, uint32_t parent)
{
    const struct explainer *explainer = groups->explainer;
    const struct trace_node *nodes = explainer->tree->nodes;
    uint32_t call = explainer->calls->of[parent];
    const struct span *first = NULL;
    size_t count = 0;

    for (uint32_t at = nodes[parent].first_child; at != TRACE_NONE; at = nodes[at].next_sibling) {
        const struct span *span = nodes[at].span;
        if (span->kind != SPAN_KIND_SERVER)
            continue;
        if (first == NULL)
            first = span;
        if (str_eq(span->name, first->name) &&
            str_eq(span->resource->service_name, first->resource->service_name))
            groups->units[count++] = (struct unit){call, at, nodes[at].start_ns, nodes[at].end_ns};
    }
    if (count < 2)
        return;
    qsort(groups->units, count, sizeof(*groups->units), by_call_and_start);
    (void)take_runs(groups, groups->units, count); /* Many without errors are no N+1. */
}

static void look_at_children(struct groups *groups, uint32_t parent)
{
    const struct trace_node *nodes = groups->explainer->tree->nodes;
    struct unit *units = groups->units;
    size_t count = 0;

    for (uint32_t at = nodes[parent].first_child; at != TRACE_NONE; at = nodes[at].next_sibling) {
        uint32_t call = groups->explainer->calls->carried[at];
        /* Around several already: those were counted where they stand. */
        if (call != TRACE_NONE && groups->explainer->calls->spans[at] < REPEATS_MIN)
            units[count++] = (struct unit){call, at, nodes[at].start_ns, nodes[at].end_ns};
    }
    if (count < 2)
        return;
    qsort(units, count, sizeof(*units), by_call_and_start);
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && units[to].call == units[from].call)
            to++;
        size_t left = take_runs(groups, units + from, to - from);
        if (left > 0)
            note_repeats(groups, parent, units + from, left);
        from = to;
    }
}

/* ---- Told. ---- */

static struct str repeats_next(struct explainer *explainer, const struct trace_call *call,
                               int64_t saving_ns)
{
    struct str saving = explain_ns(explainer, saving_ns);

    if (call->kind == TRACE_CALL_DATABASE)
        return explain_text(explainer,
                            "Ask once for all of them: a JOIN, or WHERE … = ANY(list); with an ORM "
                            "load the relation eagerly. One query instead would save about %.*s.",
                            STR_ARG(saving));
    return explain_text(explainer,
                        "Ask for all of them in one request, or several at a time. One request "
                        "instead would save about %.*s.",
                        STR_ARG(saving));
}

static void tell_repeats(struct explainer *explainer, uint32_t index, const struct repeats *repeats)
{
    const struct trace_call *call = &explainer->calls->items[index];
    bool is_database = call->kind == TRACE_CALL_DATABASE;
    double share = explain_share(explainer, repeats->time_ns);
    int64_t each_ns = repeats->time_ns / repeats->calls;
    struct str text = explain_call(explainer, call);
    struct str time = explain_ns(explainer, repeats->time_ns);
    struct str percent = explain_percent(explainer, share);
    struct str each = explain_ns(explainer, each_ns);
    struct str waited = explain_ns(explainer, repeats->waited_ns);
    struct str parent = explain_name(explainer, repeats->worst_parent);
    struct trace_finding finding = {
        .kind = TRACE_N_PLUS_ONE,
        .service = call->service,
        .operation = call->name,
        .time_ns = repeats->time_ns,
        .saving_ns = repeats->waited_ns > each_ns ? repeats->waited_ns - each_ns : 0,
        .calls = repeats->calls,
        .nodes = repeats->nodes.items,
        .nodes_count = repeats->nodes.count,
    };

    finding.finding = (struct finding){
        .severity = share >= REPEAT_SHARE_WORST || repeats->calls >= REPEATS_WORST
                        ? SEVERITY_WARNING
                        : SEVERITY_INFO,
        .claim = explain_text(
            explainer, "N+1: %.*s %s %u times, one after the other, in %.*s: %.*s, %.*s of %s.",
            STR_ARG(call->service), is_database ? "runs the same query" : "makes the same call",
            repeats->calls, STR_ARG(parent), STR_ARG(time), STR_ARG(percent),
            explainer->top == 0 ? "the trace" : "the operation"),
        .evidence = explain_text(
            explainer, "%.*s: %u calls of %.*s on average under %u %s; %.*s on the critical path.",
            STR_ARG(text), repeats->calls, STR_ARG(each), repeats->parents,
            repeats->parents == 1 ? "span" : "spans", STR_ARG(waited)),
        .next_step = repeats_next(explainer, call, finding.saving_ns),
        .confidence = is_database ? 0.9 : 0.8,
    };
    struct str query = explain_query(explainer, call->service, call->name);
    finding.finding.expr =
        explain_text(explainer, "%.*s | count() >= %d", STR_ARG(query), REPEATS_MIN);
    explain_add(explainer, &finding, call->text);
}

static struct str pauses(struct explainer *explainer, const struct retries *retries)
{
    int64_t least_ns = INT64_MAX, most_ns = 0;
    bool grows = retries->gaps_count > 1;

    for (uint32_t i = 0; i < retries->gaps_count; i++) {
        int64_t gap_ns = retries->gaps_ns[i];
        least_ns = gap_ns < least_ns ? gap_ns : least_ns;
        most_ns = gap_ns > most_ns ? gap_ns : most_ns;
        if (i > 0)
            grows = grows && (double)gap_ns >= (double)retries->gaps_ns[i - 1] * PAUSE_GROWTH;
    }
    struct str least = explain_ns(explainer, least_ns);
    struct str most = explain_ns(explainer, most_ns);
    if (most_ns < PAUSE_NONE_NS)
        return explain_text(explainer, "no pause between them (at most %.*s)", STR_ARG(most));
    if (grows)
        return explain_text(explainer, "pauses growing from %.*s to %.*s", STR_ARG(least),
                            STR_ARG(most));
    return explain_text(explainer, "pauses of %.*s to %.*s that do not grow", STR_ARG(least),
                        STR_ARG(most));
}

/* Is what asks itself an attempt of somebody above? */
static bool is_multiplied(const struct explainer *explainer, uint32_t node)
{
    const struct trace_node *nodes = explainer->tree->nodes;

    for (uint32_t at = nodes[node].parent; at != TRACE_NONE; at = nodes[at].parent) {
        if (explainer->retried[at])
            return true;
    }
    return false;
}

static struct str error_text(struct explainer *explainer, uint32_t node)
{
    const struct trace_node *nodes = explainer->tree->nodes;

    for (uint32_t i = node; i < nodes[node].after; i++) {
        if ((nodes[i].flags & TRACE_ERROR) != 0 && nodes[i].span->status_message.size > 0)
            return explain_cut(explainer, nodes[i].span->status_message, 120);
    }
    return STR("no message was sent");
}

static struct str retries_claim(struct explainer *explainer, const struct trace_call *call,
                                const struct retries *retries, struct str text)
{
    struct str time = explain_ns(explainer, retries->time_ns);
    struct str percent = explain_percent(explainer, explain_share(explainer, retries->time_ns));
    struct str rounds =
        retries->runs == 1 ? STR("") : explain_text(explainer, " in %u rounds", retries->runs);

    return explain_text(
        explainer,
        "%s: %.*s asked %.*s %u times%.*s, %u of them failed%s: %.*s, "
        "%.*s of %s.",
        retries->attempts >= STORM_ATTEMPTS ? "Retry storm" : "Retries", STR_ARG(call->service),
        STR_ARG(text), retries->attempts, STR_ARG(rounds), retries->failed,
        retries->lost_runs == 0               ? ", then it went well"
        : retries->lost_runs == retries->runs ? ", the last one too"
                                              : "",
        STR_ARG(time), STR_ARG(percent), explainer->top == 0 ? "the trace" : "the operation");
}

static void tell_retries(struct explainer *explainer, uint32_t index, const struct retries *retries)
{
    const struct trace_call *call = &explainer->calls->items[index];
    struct str text = explain_call(explainer, call);
    struct str gaps = pauses(explainer, retries);
    struct str error = error_text(explainer, retries->failed_node);
    bool is_multiplied_above = is_multiplied(explainer, retries->first_node);
    bool is_lost = retries->lost_runs > 0;
    struct trace_finding finding = {
        .kind = TRACE_RETRIES,
        .service = call->service,
        .operation = call->name,
        .time_ns = retries->time_ns,
        .saving_ns = retries->lost_ns,
        .calls = retries->attempts,
        .nodes = retries->nodes.items,
        .nodes_count = retries->nodes.count,
    };

    finding.finding = (struct finding){
        .severity =
            is_lost && retries->attempts >= STORM_ATTEMPTS ? SEVERITY_CRITICAL : SEVERITY_WARNING,
        .claim = retries_claim(explainer, call, retries, text),
        .evidence = explain_text(explainer, "Up to %u attempts in a row, %.*s; the error: %.*s.%s",
                                 retries->most_attempts, STR_ARG(gaps), STR_ARG(error),
                                 is_multiplied_above
                                     ? " Whoever called was an attempt of another retry itself, so "
                                       "they multiply."
                                     : ""),
        .next_step = explain_text(
            explainer,
            "Mend why it fails first. Then retry at one level only, at most 3 times, with pauses "
            "that double and vary, and let a circuit breaker stop what keeps failing."),
        .confidence = retries->attempts > 2 ? 0.95 : 0.8,
    };
    struct str service = explain_quote(explainer, call->service);
    struct str name = explain_quote(explainer, call->name);
    finding.finding.expr = explain_text(
        explainer,
        "{ resource.service.name = %.*s && name = %.*s && status = error } | count() > 1",
        STR_ARG(service), STR_ARG(name));
    explain_add(explainer, &finding, call->text);
}

static bool is_worth_telling(const struct explainer *explainer, const struct repeats *repeats)
{
    return repeats->calls >= REPEATS_MANY ||
           (repeats->calls >= REPEATS_MIN &&
            explain_share(explainer, repeats->time_ns) >= REPEAT_SHARE_MIN);
}

void explain_calls(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;
    uint32_t calls = explainer->calls->count;
    struct groups groups = {
        .explainer = explainer,
        .repeats = ARENA_ARRAY(explainer->arena, (size_t)calls + 1, struct repeats),
        .retries = ARENA_ARRAY(explainer->arena, (size_t)calls + 1, struct retries),
        .units = ARENA_ARRAY_RAW(explainer->arena, tree->count, struct unit),
    };

    if (groups.repeats == NULL || groups.retries == NULL || groups.units == NULL) {
        explainer->is_spent = true;
        return;
    }
    for (uint32_t i = explainer->top; i < tree->nodes[explainer->top].after; i++) {
        if (tree->nodes[i].child_count < 2)
            continue;
        if (explainer->calls->of[i] != TRACE_NONE)
            look_at_attempts(&groups, i);
        look_at_children(&groups, i);
    }
    for (uint32_t i = 0; i < calls; i++) {
        if (groups.retries[i].runs > 0)
            tell_retries(explainer, i, &groups.retries[i]);
        if (is_worth_telling(explainer, &groups.repeats[i])) {
            explainer->told[i] |= TOLD_REPEATED;
            tell_repeats(explainer, i, &groups.repeats[i]);
        }
    }
}
