/* SPDX-License-Identifier: Apache-2.0 */
/* Calls one after the other that could perhaps run side by side.
 *
 * Children of one parent that are waited for, each of them or something below it a call, each
 * beginning after the one before has ended. Whether one needs what another answered cannot be seen
 * in a trace, so this is said as a question, with what would be won if none did: the sum less the
 * longest. Left out: what is told as N+1 or as retries, statements that write (their order is
 * meant), and children that take less than CHILD_SHARE_MIN. */
#include "analysis/trace_explain_priv.h"

#include "base/clock.h"

#include <stdlib.h>

#define CHILD_SHARE_MIN  0.03
#define SAVING_SHARE_MIN 0.10
#define SAVING_SHARE_BAD 0.25
#define SAVING_MIN_NS    CLOCK_NS_PER_MS
#define SEQUENCE_STEPS   12 /* Of one sequence. */
#define SEQUENCE_NAMES   4  /* In its sentence. */
#define OVERLAP_PART     20 /* A call may begin so early, as a part of itself. */
#define SEQUENCES_MAX    3  /* Told of a trace. */

struct sequence {
    uint32_t parent;
    uint32_t nodes[SEQUENCE_STEPS];
    size_t count;
    int64_t end_ns; /* Of the last. */
    int64_t sum_ns;
    int64_t longest_ns;
    bool is_one_database;
};

struct best {
    struct sequence items[SEQUENCES_MAX]; /* Largest saving first. */
    size_t count;
};

static int64_t saving(const struct sequence *sequence)
{
    return sequence->sum_ns - sequence->longest_ns;
}

/* The call that stands for the child; TRACE_NONE: it has several, or none. */
static const struct trace_call *call_at(const struct explainer *explainer, uint32_t node)
{
    uint32_t call = explainer->calls->carried[node];

    return call == TRACE_NONE ? NULL : &explainer->calls->items[call];
}

static bool is_candidate(const struct explainer *explainer, uint32_t node)
{
    const struct trace_node *child = &explainer->tree->nodes[node];
    uint32_t call = explainer->calls->carried[node];

    if ((child->flags & TRACE_DETACHED) != 0 || explainer->calls->spans[node] == 0 ||
        explainer->retried[node])
        return false;
    if (call != TRACE_NONE && explainer->told[call] != 0)
        return false;
    if (call != TRACE_NONE && explainer->calls->items[call].kind == TRACE_CALL_DATABASE &&
        trace_call_writes(&explainer->calls->items[call]))
        return false;
    return explain_share(explainer, explainer->within_ns[node]) >= CHILD_SHARE_MIN;
}

static void keep_best(struct best *best, const struct sequence *sequence)
{
    size_t at = best->count < SEQUENCES_MAX ? best->count++ : SEQUENCES_MAX;

    while (at > 0 && saving(sequence) > saving(&best->items[at - 1])) {
        if (at < SEQUENCES_MAX)
            best->items[at] = best->items[at - 1];
        at--;
    }
    if (at < SEQUENCES_MAX)
        best->items[at] = *sequence;
}

static void end_sequence(const struct explainer *explainer, struct sequence *sequence,
                         struct best *best)
{
    bool is_worth = sequence->count > 1 && saving(sequence) >= SAVING_MIN_NS &&
                    explain_share(explainer, saving(sequence)) >= SAVING_SHARE_MIN;

    if (is_worth)
        keep_best(best, sequence);
    sequence->count = 0;
}

static void add_step(const struct explainer *explainer, struct sequence *sequence, uint32_t node)
{
    const struct trace_node *child = &explainer->tree->nodes[node];
    const struct trace_call *call = call_at(explainer, node);
    int64_t waited_ns = explainer->within_ns[node];

    if (sequence->count == 0) {
        *sequence = (struct sequence){.parent = child->parent, .is_one_database = true};
    } else {
        const struct trace_call *first = call_at(explainer, sequence->nodes[0]);
        sequence->is_one_database &=
            first != NULL && call != NULL && str_eq(first->system, call->system);
    }
    sequence->is_one_database &= call != NULL && call->kind == TRACE_CALL_DATABASE;
    sequence->nodes[sequence->count++] = node;
    sequence->end_ns = child->end_ns;
    sequence->sum_ns += waited_ns;
    if (waited_ns > sequence->longest_ns)
        sequence->longest_ns = waited_ns;
}

static void look_at_children(const struct explainer *explainer, uint32_t parent, struct best *best)
{
    const struct trace_node *nodes = explainer->tree->nodes;
    struct sequence sequence = {.count = 0};

    for (uint32_t at = nodes[parent].first_child; at != TRACE_NONE; at = nodes[at].next_sibling) {
        if (!is_candidate(explainer, at))
            continue;
        bool goes_on =
            sequence.count > 0 && sequence.count < SEQUENCE_STEPS &&
            nodes[at].start_ns >= sequence.end_ns - trace_node_ns(&nodes[at]) / OVERLAP_PART;
        if (!goes_on)
            end_sequence(explainer, &sequence, best);
        add_step(explainer, &sequence, at);
    }
    end_sequence(explainer, &sequence, best);
}

static struct str step_text(struct explainer *explainer, uint32_t node)
{
    const struct trace_call *call = call_at(explainer, node);
    struct str text = call == NULL ? explain_name(explainer, node) : explain_call(explainer, call);
    struct str cut = explain_cut(explainer, text, 60);
    struct str time = explain_ns(explainer, explainer->within_ns[node]);

    return explain_text(explainer, "%.*s (%.*s)", STR_ARG(cut), STR_ARG(time));
}

static struct str list_steps(struct explainer *explainer, const struct sequence *sequence)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < sequence->count && i < SEQUENCE_NAMES; i++) {
        buf_text(&text, i == 0 ? "" : ", then ");
        buf_str(&text, step_text(explainer, sequence->nodes[i]));
    }
    if (sequence->count > SEQUENCE_NAMES)
        buf_printf(&text, ", and %zu more", sequence->count - SEQUENCE_NAMES);
    return explain_text(explainer, "%.*s", STR_ARG(buf_view(&text)));
}

static void tell(struct explainer *explainer, const struct sequence *sequence)
{
    struct node_list nodes = {.count = 0};
    struct str parent = explain_name(explainer, sequence->parent);
    struct str service = explain_service(explainer, sequence->parent);
    struct str sum = explain_ns(explainer, sequence->sum_ns);
    struct str won = explain_ns(explainer, saving(sequence));
    struct str steps = list_steps(explainer, sequence);
    double share = explain_share(explainer, saving(sequence));
    struct trace_finding finding = {
        .kind = TRACE_SEQUENTIAL_CALLS,
        .service = service,
        .operation = parent,
        .time_ns = sequence->sum_ns,
        .saving_ns = saving(sequence),
        .calls = (uint32_t)sequence->count,
    };

    for (size_t i = 0; i < sequence->count; i++)
        explain_note(explainer, &nodes, sequence->nodes[i]);
    finding.nodes = nodes.items;
    finding.nodes_count = nodes.count;
    finding.finding = (struct finding){
        .severity = share >= SAVING_SHARE_BAD && !sequence->is_one_database ? SEVERITY_WARNING
                                                                            : SEVERITY_INFO,
        .claim = explain_text(
            explainer,
            "%zu calls run one after the other in %.*s of %.*s, for %.*s; side by "
            "side they could save about %.*s.",
            sequence->count, STR_ARG(parent), STR_ARG(service), STR_ARG(sum), STR_ARG(won)),
        .evidence = explain_text(explainer, "%.*s.", STR_ARG(steps)),
        .next_step =
            sequence->is_one_database
                ? STR("If none needs what another returned, ask for them in one statement, "
                      "or on connections of their own at the same time.")
                : STR("If none needs what another returned, start them together and wait "
                      "for all (gather, Promise.all, errgroup)."),
        .expr = explain_query(explainer, service, parent),
        .confidence = sequence->is_one_database ? 0.3 : 0.5,
    };
    explain_add(explainer, &finding, parent);
}

void explain_sequences(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;
    struct best best = {.count = 0};

    for (uint32_t i = explainer->top; i < tree->nodes[explainer->top].after; i++) {
        if (tree->nodes[i].child_count > 1 && explainer->within_ns[i] > 0)
            look_at_children(explainer, i, &best);
    }
    for (size_t i = 0; i < best.count; i++)
        tell(explainer, &best.items[i]);
}
