/* SPDX-License-Identifier: Apache-2.0 */
/* Where an error came from, and how far the spans can be trusted.
 *
 * The origin: from the earliest span that failed without a failed child, up as long as the parents
 * failed, too. That chain which comes highest is told (the request itself failed, or got furthest);
 * among equals the one whose origin ended first, since what fails later often fails because of it.
 */
#include "analysis/trace_explain_priv.h"

#define MESSAGE_BYTES 240

/* ---- Errors. ---- */

struct chain {
    uint32_t origin;
    uint32_t last;   /* The highest that failed. */
    uint32_t length; /* In spans. */
};

static bool has_failed(const struct explainer *explainer, uint32_t node)
{
    return (explainer->tree->nodes[node].flags & TRACE_ERROR) != 0;
}

/* A node is offered as an origin once, and its chain walked once: length is that of what failed in
 * a row, so the whole takes as many steps as there are failed spans with failed parents. Chains
 * that meet share their upper part, so `reach` remembers where it led. */
static uint32_t highest(const struct explainer *explainer, uint32_t *reach, uint32_t node)
{
    const struct trace_node *nodes = explainer->tree->nodes;

    if (nodes[node].parent == TRACE_NONE || node == explainer->top ||
        !has_failed(explainer, nodes[node].parent))
        return node;
    return reach[nodes[node].parent];
}

static bool is_better(const struct explainer *explainer, const struct chain *a,
                      const struct chain *b)
{
    const struct trace_node *nodes = explainer->tree->nodes;

    if (nodes[a->last].depth != nodes[b->last].depth)
        return nodes[a->last].depth < nodes[b->last].depth;
    if (nodes[a->origin].end_ns != nodes[b->origin].end_ns)
        return nodes[a->origin].end_ns < nodes[b->origin].end_ns;
    return nodes[a->origin].depth > nodes[b->origin].depth;
}

static bool find_chain(struct explainer *explainer, struct chain *ret_chain)
{
    const struct trace_tree *tree = explainer->tree;
    uint32_t *reach = ARENA_ARRAY_RAW(explainer->arena, tree->count, uint32_t);
    uint8_t *has_failed_child = ARENA_ARRAY(explainer->arena, tree->count, uint8_t);
    bool found = false;

    explainer->is_spent |= reach == NULL || has_failed_child == NULL;
    if (explainer->is_spent)
        return false;
    for (uint32_t i = explainer->top; i < tree->nodes[explainer->top].after; i++) {
        if (!has_failed(explainer, i))
            continue;
        reach[i] = highest(explainer, reach, i);
        if (i > 0 && i != explainer->top)
            has_failed_child[tree->nodes[i].parent] = 1;
    }
    for (uint32_t i = explainer->top; i < tree->nodes[explainer->top].after; i++) {
        if (!has_failed(explainer, i) || has_failed_child[i])
            continue;
        struct chain chain = {i, reach[i], tree->nodes[i].depth - tree->nodes[reach[i]].depth + 1};
        if (!found || is_better(explainer, &chain, ret_chain))
            *ret_chain = chain;
        found = true;
    }
    return found;
}

static struct str text_of(const struct attributes *attributes, struct str key)
{
    const struct value *value = attributes_get(attributes, key);

    return value != NULL && value->kind == VALUE_TEXT ? value->text : STR_NONE;
}

/* "OperationalError: connection refused", from the exception that was noted, else from the status,
 * else from the HTTP status. */
static struct str error_message(struct explainer *explainer, const struct span *span)
{
    for (size_t i = 0; i < span->event_count; i++) {
        if (!str_eq(span->events[i].name, STR("exception")))
            continue;
        struct str type = text_of(&span->events[i].attributes, STR("exception.type"));
        struct str message = text_of(&span->events[i].attributes, STR("exception.message"));
        message = explain_cut(explainer, message, MESSAGE_BYTES);
        return explain_text(explainer, "%.*s%s%.*s", STR_ARG(type),
                            type.size > 0 && message.size > 0 ? ": " : "", STR_ARG(message));
    }
    if (span->status_message.size > 0)
        return explain_cut(explainer, span->status_message, MESSAGE_BYTES);
    const struct value *code = attributes_get(&span->attributes, STR("http.response.status_code"));
    if (code == NULL)
        code = attributes_get(&span->attributes, STR("http.status_code"));
    if (code != NULL && code->kind == VALUE_INTEGER)
        return explain_text(explainer, "HTTP status %lld", (long long)code->integer);
    return STR("no message was sent");
}

static void note_chain(struct explainer *explainer, const struct chain *chain,
                       struct node_list *nodes)
{
    for (uint32_t at = chain->origin;; at = explainer->tree->nodes[at].parent) {
        explain_note(explainer, nodes, at);
        if (at == chain->last || nodes->count == TRACE_FINDING_NODES_MAX)
            return;
    }
}

enum reach {
    REACH_CALLER,  /* It was got over. */
    REACH_SERVICE, /* A service answered with it, and its caller does not say that it failed. */
    REACH_REQUEST, /* What is explained failed. */
};

static enum reach reach_of(const struct explainer *explainer, const struct chain *chain)
{
    const struct span *span = explainer->tree->nodes[chain->last].span;

    if (chain->last == explainer->tree->root || chain->last == explainer->top)
        return REACH_REQUEST;
    return span != NULL && (span->kind == SPAN_KIND_SERVER || span->kind == SPAN_KIND_CONSUMER)
               ? REACH_SERVICE
               : REACH_CALLER;
}

static struct str error_claim(struct explainer *explainer, const struct chain *chain,
                              struct str message)
{
    static const char *const ends[] = {
        [REACH_CALLER] = ", and whoever called it got over it.",
        [REACH_SERVICE] = ", and whoever called it does not say what became of it.",
        [REACH_REQUEST] = ", and nothing that it called did.",
    };

    struct str service = explain_service(explainer, chain->origin);
    struct str name = explain_name(explainer, chain->origin);
    struct str last_service = explain_service(explainer, chain->last);
    struct str last_name = explain_name(explainer, chain->last);

    if (chain->length == 1)
        return explain_text(explainer, "%.*s of %.*s failed (%.*s)%s", STR_ARG(name),
                            STR_ARG(service), STR_ARG(message), ends[reach_of(explainer, chain)]);
    return explain_text(explainer, "%.*s of %.*s failed because %.*s of %.*s did: %.*s",
                        STR_ARG(last_name), STR_ARG(last_service), STR_ARG(name), STR_ARG(service),
                        STR_ARG(message));
}

void explain_errors(struct explainer *explainer)
{
    const struct trace_node *nodes = explainer->tree->nodes;
    struct node_list list = {.count = 0};
    struct chain chain;

    if (explainer->tree->errors == 0 || !find_chain(explainer, &chain))
        return;
    const struct trace_node *origin = &nodes[chain.origin];
    struct str service = explain_service(explainer, chain.origin);
    struct str name = explain_name(explainer, chain.origin);
    struct str message = error_message(explainer, origin->span);
    struct str when = explain_ns(explainer, origin->end_ns - nodes[explainer->top].start_ns);
    static const enum severity severities[] = {
        [REACH_CALLER] = SEVERITY_INFO,
        [REACH_SERVICE] = SEVERITY_WARNING,
        [REACH_REQUEST] = SEVERITY_CRITICAL,
    };
    struct trace_finding finding = {
        .kind = TRACE_ERROR_ORIGIN,
        .service = service,
        .operation = name,
        .time_ns = trace_node_ns(origin),
        .calls = chain.length,
    };

    note_chain(explainer, &chain, &list);
    finding.nodes = list.items;
    finding.nodes_count = list.count;
    finding.finding = (struct finding){
        .severity = severities[reach_of(explainer, &chain)],
        .claim = error_claim(explainer, &chain, message),
        .evidence = explain_text(
            explainer,
            "It failed %.*s after the start; %u of %u spans failed, %u of them "
            "in a row up from there.",
            STR_ARG(when), explainer->tree->errors, explainer->tree->count - 1, chain.length),
        .next_step = explain_text(explainer,
                                  "Look at %.*s of %.*s and at its logs; the errors above "
                                  "it follow from it.",
                                  STR_ARG(name), STR_ARG(service)),
        .confidence = chain.length > 1 ? 0.9 : 0.7,
    };
    struct str quoted_service = explain_quote(explainer, service);
    struct str quoted_name = explain_quote(explainer, name);
    finding.finding.expr =
        explain_text(explainer, "{ resource.service.name = %.*s && name = %.*s && status = error }",
                     STR_ARG(quoted_service), STR_ARG(quoted_name));
    explain_add(explainer, &finding, name);
}

/* ---- How sound the trace is. ---- */

static void note_flagged(struct explainer *explainer, uint32_t flags, struct node_list *list)
{
    const struct trace_tree *tree = explainer->tree;

    for (uint32_t i = 1; i < tree->count && list->count < TRACE_FINDING_NODES_MAX; i++) {
        if ((tree->nodes[i].flags & flags) != 0)
            explain_note(explainer, list, i);
    }
}

static void tell_skew(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;
    struct node_list list = {.count = 0};
    struct str most = explain_ns(explainer, tree->shift_most_ns);

    note_flagged(explainer, TRACE_SKEWED, &list);
    if (list.count == 0)
        return;
    struct str service = explain_service(explainer, list.items[0]);
    struct trace_finding finding = {
        .kind = TRACE_CLOCK_SKEW,
        .service = service,
        .operation = explain_name(explainer, list.items[0]),
        .calls = tree->skewed,
        .nodes = list.items,
        .nodes_count = list.count,
    };
    finding.finding = (struct finding){
        .severity = SEVERITY_INFO,
        .claim = explain_text(explainer,
                              "The clocks of hosts disagree: %u of %u spans were moved, by up to "
                              "%.*s.",
                              tree->skewed, tree->count - 1, STR_ARG(most)),
        .evidence = explain_text(explainer,
                                 "Among them are spans of %.*s, which would lie outside "
                                 "the calls that caused them.",
                                 STR_ARG(service)),
        .next_step = STR("Let NTP or chrony set the clocks of all hosts; times between hosts are "
                         "estimates until then."),
        .confidence = 0.8,
    };
    explain_add(explainer, &finding, STR("clocks"));
}

static void write_count(struct buf *text, uint32_t count, const char *one, const char *more)
{
    if (count > 0)
        buf_printf(text, "%s%u %s", text->size == 0 ? "" : ", ", count, count == 1 ? one : more);
}

void explain_soundness(struct explainer *explainer)
{
    const struct trace_tree *tree = explainer->tree;
    struct buf text CLEANUP(buf_done) = {0};
    struct node_list list = {.count = 0};

    if (tree->skewed > 0)
        tell_skew(explainer);
    if (tree->roots == 0 && tree->cycles == 0)
        buf_text(&text, "its root has not arrived");
    write_count(&text, tree->orphans, "span whose parent has not arrived",
                "spans whose parent has not arrived");
    write_count(&text, tree->cycles, "circle of parents", "circles of parents");
    write_count(&text, tree->duplicates, "span with the id of another",
                "spans with the id of another");
    write_count(&text, tree->negatives, "span that ended before it began",
                "spans that ended before they began");
    if (text.size == 0 || tree->count == 1)
        return;
    note_flagged(explainer, TRACE_ORPHAN | TRACE_CYCLE | TRACE_DUPLICATE | TRACE_NEGATIVE, &list);
    struct trace_finding finding = {
        .kind = TRACE_INCOMPLETE,
        .service = explain_service(explainer, 1),
        .operation = explain_name(explainer, 1),
        .calls = tree->orphans + tree->cycles + tree->duplicates + tree->negatives,
        .nodes = list.items,
        .nodes_count = list.count,
    };
    finding.finding = (struct finding){
        .severity = SEVERITY_INFO,
        .claim = explain_text(explainer, "The trace has flaws: %.*s.", STR_ARG(buf_view(&text))),
        .evidence =
            explain_text(explainer, "Of %u spans; what is said of it may be off.", tree->count - 1),
        .next_step =
            STR("A trace still under way completes itself; else look whether every service "
                "exports and flushes its spans, and whether all sample alike."),
        .confidence = 0.9,
    };
    explain_add(explainer, &finding, STR("spans"));
}
