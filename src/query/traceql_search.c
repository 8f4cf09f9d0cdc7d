/* SPDX-License-Identifier: Apache-2.0 */
/* From a query to what the store's index can narrow, and from its candidates to whole traces.
 *
 *     query ─► conditions that every match must meet ─► store search ─► ids, newest first
 *           ─► whole trace ─► traceql_match ─► answer
 *
 * The conditions are a superset of the query: what the index cannot say is left to the match. Of a
 * && the side that says more is asked, of a || both sides, one after the other. */
#include "base/map.h"
#include "query/traceql_priv.h"
#include "store/trace_copy.h"
#include "store/trace_read.h"

#include <math.h>
#include <stdlib.h>

enum {
    TRACES_DEFAULT = 20,
    SPANS_DEFAULT = 3,
    WEIGHT_NARROW = 6, /* See weight(): about a pair and something else. */
    TRACES_AT_ONCE = 32,
    PLANS_MAX = 16, /* Sides of || that are asked apart; more: everything is looked at. */
};

struct plans {
    struct trace_query items[PLANS_MAX];
    size_t count;
    bool is_full;
};

/* ---- Conditions of one selector. ---- */

static bool is_field(const struct tql_node *node, enum tql_intrinsic intrinsic)
{
    return node->kind == TQL_FIELD && node->field.scope == TQL_INTRINSIC &&
           node->field.intrinsic == intrinsic;
}

static void narrow_duration(const struct tql_node *node, struct trace_query *plan)
{
    double bound = node->right->literal.number;

    if (node->right->literal.type != TQL_NUMBER || !(fabs(bound) < 9e18))
        return;
    int64_t low = (int64_t)floor(bound);
    int64_t high = (int64_t)ceil(bound);
    bool from_below =
        node->op == TQL_GREATER || node->op == TQL_GREATER_EQUAL || node->op == TQL_EQUAL;
    bool from_above = node->op == TQL_LESS || node->op == TQL_LESS_EQUAL || node->op == TQL_EQUAL;
    if (from_below && low > plan->duration_min_ns)
        plan->duration_min_ns = low;
    if (from_above && high < plan->duration_max_ns)
        plan->duration_max_ns = high;
}

/* Whole numbers small enough to be exact; others, and what is no scalar, have no text of their own.
 */
static struct str as_term(const struct tql_value *value, struct arena *arena)
{
    char *text;

    if (value->type == TQL_TEXT)
        return value->text;
    if (value->type == TQL_BOOL)
        return value->number != 0 ? STR("true") : STR("false");
    if (value->type != TQL_NUMBER || !(fabs(value->number) < 1e15) ||
        value->number != floor(value->number))
        return STR_NONE;
    text = arena_printf(arena, "%lld", (long long)value->number);
    return text == NULL ? STR_NONE : str_of(text);
}

static void narrow_attribute(const struct tql_node *node, struct trace_query *plan,
                             struct arena *arena)
{
    const struct tql_field *field = &node->left->field;
    const struct tql_value *value = &node->right->literal;

    /* The index compares as text, in which 5 and 5.0 are the same: "5". */
    struct str text = as_term(value, arena);
    if (text.data == NULL || plan->pairs_count == TRACE_PAIRS_MAX)
        return;
    if (field->scope != TQL_SPAN && str_eq(field->name, STR("service.name"))) {
        if (field->scope == TQL_RESOURCE && value->type == TQL_TEXT)
            plan->service = text;
        return;
    }
    plan->pairs[plan->pairs_count++] = (struct trace_pair){field->name, text};
}

static void narrow(const struct tql_node *node, struct trace_query *plan, struct arena *arena)
{
    if (node == NULL || node->kind != TQL_OPERATION)
        return;
    if (node->op == TQL_AND) {
        narrow(node->left, plan, arena);
        narrow(node->right, plan, arena);
        return;
    }
    if (node->right == NULL || node->left->kind != TQL_FIELD || node->right->kind != TQL_LITERAL)
        return;
    if (is_field(node->left, TQL_DURATION)) {
        narrow_duration(node, plan);
        return;
    }
    if (node->op != TQL_EQUAL)
        return;
    if (is_field(node->left, TQL_NAME) && node->right->literal.type == TQL_TEXT)
        plan->name = node->right->literal.text;
    else if (is_field(node->left, TQL_SPAN_STATUS) && node->right->literal.type == TQL_STATUS &&
             node->right->literal.number == SPAN_STATUS_ERROR)
        plan->only_errors = true;
    else if (node->left->field.scope <= TQL_RESOURCE)
        narrow_attribute(node, plan, arena);
}

/* ---- Conditions of span sets. ---- */

static size_t weight(const struct trace_query *plan)
{
    return 4 * plan->pairs_count + (plan->name.data != NULL ? 4 : 0) +
           (plan->service.data != NULL ? 2 : 0) + (plan->only_errors ? 3 : 0) +
           (plan->duration_min_ns != INT64_MIN ? 2 : 0) +
           (plan->duration_max_ns != INT64_MAX ? 1 : 0);
}

/* Of several plans the least that the weakest of them says. */
static size_t weight_of_all(const struct plans *plans)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < plans->count; i++) {
        size_t own = weight(&plans->items[i]);
        least = own < least ? own : least;
    }
    return plans->is_full ? 0 : least;
}

static void plan_set(const struct tql_set *set, struct plans *plans, struct arena *arena)
{
    if (set->is_filter) {
        if (plans->count == PLANS_MAX) {
            plans->is_full = true;
            return;
        }
        plans->items[plans->count] = TRACE_QUERY_ANY;
        narrow(set->filter, &plans->items[plans->count++], arena);
        return;
    }
    if (set->op == TQL_OR) {
        plan_set(set->left, plans, arena);
        plan_set(set->right, plans, arena);
        return;
    }
    /* Both sides must be somewhere in the trace: the one that says more finds fewer. */
    struct plans left = {.count = 0};
    struct plans right = {.count = 0};
    plan_set(set->left, &left, arena);
    plan_set(set->right, &right, arena);
    const struct plans *better = weight_of_all(&left) > weight_of_all(&right) ? &left : &right;
    for (size_t i = 0; i < better->count; i++) {
        if (plans->count < PLANS_MAX)
            plans->items[plans->count++] = better->items[i];
        else
            plans->is_full = true;
    }
    plans->is_full |= better->is_full;
}

/* ---- Searching. ---- */

struct search {
    const struct traceql *query;
    struct store_view *view;
    const struct traceql_request *request;
    struct arena *arena;
    struct arena *scratch; /* Of the traces that are being looked at: emptied before the next. */
    size_t traces_max;
    size_t spans_max;
    struct map seen; /* Trace ids, to a place in the arena. */
    struct traceql_answer *answer;
};

/* Traces that are looked at together. */
struct gathered {
    uint8_t ids[TRACES_AT_ONCE][TRACE_ID_BYTES];
    size_t count;
};

/* ---- What is shown of a match lasts; the rest of the trace does not. ---- */

static enum err spent(const struct search *search, struct why *why)
{
    return arena_spent(search->arena, "a trace search", why);
}

static enum err keep_text(struct search *search, struct str *text, struct why *why)
{
    struct str copy = arena_str(search->arena, *text);

    if (copy.data == NULL)
        return spent(search, why);
    *text = copy;
    return ERR_NONE;
}

static enum err keep_values(struct search *search, struct traceql_value **values, size_t count,
                            struct why *why)
{
    struct traceql_value *copies = ARENA_ARRAY(search->arena, count, struct traceql_value);

    if (copies == NULL)
        return spent(search, why);
    for (size_t i = 0; i < count; i++) {
        copies[i] = (*values)[i];
        TRY(keep_text(search, &copies[i].key, why));
        TRY(keep_text(search, &copies[i].value, why));
    }
    *values = copies;
    return ERR_NONE;
}

static enum err keep_set(struct search *search, struct traceql_set *set, struct why *why)
{
    struct traceql_span *shown = ARENA_ARRAY(search->arena, set->span_count, struct traceql_span);
    struct span *spans = ARENA_ARRAY(search->arena, set->span_count, struct span);
    struct trace_owners owners = {0};

    if (shown == NULL || spans == NULL)
        return spent(search, why);
    for (size_t i = 0; i < set->span_count; i++) {
        shown[i] = set->spans[i];
        spans[i] = *shown[i].span;
        TRY(trace_copy_span(search->arena, &owners, &spans[i], why));
        shown[i].span = &spans[i];
        TRY(keep_values(search, &shown[i].values, shown[i].value_count, why));
    }
    set->spans = shown;
    return keep_values(search, &set->groups, set->group_count, why);
}

static enum err keep_trace(struct search *search, struct traceql_trace *trace, struct why *why)
{
    struct traceql_set *sets = ARENA_ARRAY(search->arena, trace->set_count, struct traceql_set);

    if (sets == NULL)
        return spent(search, why);
    for (size_t i = 0; i < trace->set_count; i++) {
        sets[i] = trace->sets[i];
        TRY(keep_set(search, &sets[i], why));
    }
    trace->sets = sets;
    TRY(keep_text(search, &trace->root_service, why));
    return keep_text(search, &trace->root_name, why);
}

static enum err judge(struct search *search, const struct span_list *spans, struct why *why)
{
    struct traceql_trace trace;
    bool matches;

    if (search->answer->count == search->traces_max) {
        search->answer->is_cut = true;
        return ERR_NONE;
    }
    search->answer->inspected_spans += spans->count;
    TRY(traceql_match(search->query, spans->items, spans->count, search->spans_max, search->scratch,
                      &trace, &matches, why));
    if (!matches)
        return ERR_NONE;
    TRY(keep_trace(search, &trace, why));
    search->answer->traces[search->answer->count++] = trace;
    return ERR_NONE;
}

/* *ret_fits is false when they are too large to be read together. */
static enum err read_and_judge(struct search *search, const uint8_t (*ids)[TRACE_ID_BYTES],
                               size_t count, bool *ret_fits, struct why *why)
{
    struct span_list spans[TRACES_AT_ONCE];

    arena_clear(search->scratch);
    enum err err =
        search->view->ops->traces->traces(search->view, ids, count, search->scratch, spans, why);
    *ret_fits = err != ERR_LIMIT;
    if (!*ret_fits)
        return ERR_NONE;
    TRY(err);
    for (size_t i = 0; i < count; i++)
        TRY(judge(search, &spans[i], why));
    return ERR_NONE;
}

/* What is too large even by itself is left out, and the answer says that there may be more. */
static enum err look_at(struct search *search, struct gathered *gathered, struct why *why)
{
    const uint8_t(*ids)[TRACE_ID_BYTES] = (const uint8_t(*)[TRACE_ID_BYTES])gathered->ids;
    size_t count = gathered->count;
    bool fits;

    gathered->count = 0;
    if (search->view->cancel != NULL && *search->view->cancel)
        return fail(why, ERR_CANCELLED, "the search was cancelled");
    TRY(read_and_judge(search, ids, count, &fits, why));
    for (size_t i = 0; !fits && i < count; i++) {
        bool fits_alone;
        TRY(read_and_judge(search, ids + i, 1, &fits_alone, why));
        search->answer->is_cut |= !fits_alone;
    }
    return ERR_NONE;
}

/* As many at once as the answer still has room for. */
static enum err look_at_candidates(struct search *search, const struct span_list *candidates,
                                   struct why *why)
{
    struct gathered gathered = {.count = 0};

    for (size_t i = 0; i < candidates->count; i++) {
        size_t room = search->traces_max - search->answer->count;
        if (room == 0) {
            search->answer->is_cut = true;
            return ERR_NONE;
        }
        struct str id = {(const char *)candidates->items[i].trace_id, TRACE_ID_BYTES};
        if (map_get(&search->seen, id) != NULL)
            continue;
        (void)map_put(&search->seen, id, &candidates->items[i]); /* Was absent. */
        memcpy(gathered.ids[gathered.count++], id.data, TRACE_ID_BYTES);
        if (gathered.count == TRACES_AT_ONCE || gathered.count == room)
            TRY(look_at(search, &gathered, why));
    }
    return gathered.count == 0 ? ERR_NONE : look_at(search, &gathered, why);
}

/* What the index narrows well matches mostly; what it cannot narrow may match rarely. */
static size_t first_limit(const struct trace_query *plan, size_t traces_max)
{
    if (weight(plan) >= WEIGHT_NARROW)
        return traces_max + traces_max / 4;
    return weight(plan) > 0 ? 2 * traces_max : 8 * traces_max;
}

/* Asks for more candidates as long as the answer is not full and the index has more. */
static enum err run_plan(struct search *search, struct trace_query *plan, struct why *why)
{
    plan->one_per_trace = true;
    plan->from_ms = search->request->from_ms;
    plan->to_ms = search->request->to_ms;
    for (plan->limit = first_limit(plan, search->traces_max);; plan->limit *= 8) {
        struct span_list candidates;
        if (plan->limit > TRACEQL_CANDIDATES_MAX)
            plan->limit = TRACEQL_CANDIDATES_MAX;
        TRY(search->view->ops->traces->search(search->view, plan, search->arena, &candidates, why));
        TRY(look_at_candidates(search, &candidates, why));
        if (search->answer->count == search->traces_max || candidates.count < plan->limit)
            return ERR_NONE;
        if (plan->limit == TRACEQL_CANDIDATES_MAX) {
            search->answer->is_cut = true;
            return ERR_NONE;
        }
    }
}

static int newest_first(const void *a, const void *b)
{
    int64_t left = ((const struct traceql_trace *)a)->start_ns;
    int64_t right = ((const struct traceql_trace *)b)->start_ns;

    return (left < right) - (left > right);
}

static enum err run_plans(struct search *search, struct plans *plans, struct why *why)
{
    if (plans->is_full) {
        plans->items[0] = TRACE_QUERY_ANY;
        plans->count = 1;
    }
    for (size_t i = 0; i < plans->count; i++)
        TRY(run_plan(search, &plans->items[i], why));
    return ERR_NONE;
}

enum err traceql_search(const struct traceql *query, struct store_view *view,
                        const struct traceql_request *request, struct arena *arena,
                        struct traceql_answer *ret_answer, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new_beside(arena, arena_budget(arena));
    struct traceql_answer answer = {0};
    struct search search = {
        .scratch = scratch,
        .query = query,
        .view = view,
        .request = request,
        .arena = arena,
        .traces_max = request->traces_max == 0 ? TRACES_DEFAULT : request->traces_max,
        .spans_max = request->spans_max == 0 ? SPANS_DEFAULT : request->spans_max,
        .answer = &answer,
    };
    struct plans plans = {.count = 0};

    if (view->ops->traces == NULL)
        return fail(why, ERR_UNSUPPORTED, "no traces are kept here");
    answer.traces = ARENA_ARRAY(arena, search.traces_max, struct traceql_trace);
    if (answer.traces == NULL)
        return arena_spent(arena, "a trace search", why);
    plan_set(query->set, &plans, arena);
    enum err err = run_plans(&search, &plans, why);
    map_done(&search.seen);
    TRY(err);
    qsort(answer.traces, answer.count, sizeof(*answer.traces), newest_first);
    *ret_answer = answer;
    return ERR_NONE;
}
