/* SPDX-License-Identifier: Apache-2.0 */
/* A query on one whole trace.
 *
 * The trace becomes a tree (each span knows its parent's index), a selector becomes a mask with a
 * byte per span, and what stands between selectors combines masks. The stages behind | then work on
 * span sets: at first one, after by(…) one per group. */
#include "base/map.h"
#include "query/traceql_priv.h"

#include <math.h>
#include <stdlib.h>

/* A span set on its way through the stages. */
struct set {
    uint8_t *mask;
    struct traceql_value *groups;
    size_t group_count;
    struct set *next;
};

struct pass {
    const struct traceql *query;
    struct tql_trace *trace;
    struct set *sets;
    size_t set_count;
};

static void *take(struct tql_trace *trace, size_t size)
{
    void *memory = arena_alloc(trace->arena, size);

    trace->is_spent |= memory == NULL;
    return memory;
}

/* ---- The tree. ---- */

static void find_bounds(struct tql_trace *trace, const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    if (span->start_ns < trace->start_ns)
        trace->start_ns = span->start_ns;
    if (span->end_ns > trace->end_ns)
        trace->end_ns = span->end_ns;
    bool is_root = memcmp(span->parent_span_id, none, SPAN_ID_BYTES) == 0;
    if (is_root && (trace->root == NULL || span->start_ns < trace->root->start_ns))
        trace->root = span;
}

static void link_parents(struct tql_trace *trace)
{
    struct map by_id CLEANUP(map_done) = {0};

    for (size_t i = 0; i < trace->count; i++) {
        const struct span *span = trace->spans[i].span;
        struct str id = {(const char *)span->span_id, SPAN_ID_BYTES};
        if (map_get(&by_id, id) == NULL)
            (void)map_put(&by_id, id, &trace->spans[i]); /* Was absent. */
    }
    for (size_t i = 0; i < trace->count; i++) {
        struct tql_span *span = &trace->spans[i];
        struct tql_span *parent =
            map_get(&by_id, (struct str){(const char *)span->span->parent_span_id, SPAN_ID_BYTES});
        span->parent = parent == NULL || parent == span ? -1 : (int32_t)(parent - trace->spans);
        if (span->parent >= 0)
            parent->child_count++;
    }
}

static bool make_tree(struct tql_trace *trace, const struct span *spans, size_t count)
{
    trace->start_ns = INT64_MAX;
    trace->end_ns = INT64_MIN;
    trace->spans = take(trace, count * sizeof(*trace->spans));
    if (trace->spans == NULL)
        return false;
    trace->count = count;
    for (size_t i = 0; i < count; i++) {
        trace->spans[i] = (struct tql_span){.span = &spans[i], .parent = -1};
        find_bounds(trace, &spans[i]);
    }
    link_parents(trace);
    return true;
}

/* ---- Selectors. ---- */

static bool any(const struct tql_trace *trace, const uint8_t *mask)
{
    return memchr(mask, 1, trace->count) != NULL;
}

/* Whether an ancestor is in the mask; cycles of parents end after as many steps as there are spans.
 */
static bool has_ancestor(const struct tql_trace *trace, size_t index, const uint8_t *mask)
{
    size_t steps = 0;

    for (int32_t at = trace->spans[index].parent; at >= 0 && steps++ < trace->count;
         at = trace->spans[at].parent) {
        if (mask[at])
            return true;
    }
    return false;
}

static void mark_ancestors(const struct tql_trace *trace, const uint8_t *from, uint8_t *marked,
                           bool only_parents)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (!from[i])
            continue;
        for (int32_t at = trace->spans[i].parent; at >= 0 && !marked[at];
             at = trace->spans[at].parent) {
            marked[at] = 1;
            if (only_parents)
                break;
        }
    }
}

/* Those of right that have a sibling in left: another span with the same parent. */
static void keep_siblings(struct tql_trace *trace, const uint8_t *left, uint8_t *right)
{
    uint32_t *in_left = take(trace, trace->count * sizeof(*in_left));

    if (in_left == NULL)
        return;
    for (size_t i = 0; i < trace->count; i++) {
        if (left[i] && trace->spans[i].parent >= 0)
            in_left[trace->spans[i].parent]++;
    }
    for (size_t i = 0; i < trace->count; i++) {
        int32_t parent = trace->spans[i].parent;
        right[i] = right[i] && parent >= 0 && in_left[parent] > (left[i] ? 1u : 0u);
    }
}

static uint8_t *select_spans(struct tql_trace *trace, const struct tql_set *set,
                             const uint8_t *within);

static void relate(struct tql_trace *trace, enum tql_op op, uint8_t *left, uint8_t *right)
{
    if (op == TQL_SIBLING) {
        keep_siblings(trace, left, right);
        return;
    }
    if (op == TQL_PARENT || op == TQL_ANCESTOR) {
        uint8_t *marked = take(trace, trace->count);
        if (marked == NULL)
            return;
        mark_ancestors(trace, left, marked, op == TQL_PARENT);
        for (size_t i = 0; i < trace->count; i++)
            right[i] &= marked[i];
        return;
    }
    for (size_t i = 0; i < trace->count; i++) {
        if (!right[i])
            continue;
        int32_t parent = trace->spans[i].parent;
        right[i] = op == TQL_CHILD ? parent >= 0 && left[parent] : has_ancestor(trace, i, left);
    }
}

/* Left and right are fresh masks: the answer is written into right. */
static void combine(struct tql_trace *trace, enum tql_op op, uint8_t *left, uint8_t *right)
{
    bool both = any(trace, left) && any(trace, right);

    if (op == TQL_AND && !both)
        memset(right, 0, trace->count);
    else if (op == TQL_AND || op == TQL_OR)
        for (size_t i = 0; i < trace->count; i++)
            right[i] |= left[i];
    else
        relate(trace, op, left, right);
}

/* A mask of the spans that a set selects, among those within (NULL: all). NULL when spent. */
static uint8_t *select_spans(struct tql_trace *trace, const struct tql_set *set,
                             const uint8_t *within)
{
    if (!set->is_filter) {
        uint8_t *left = select_spans(trace, set->left, within);
        uint8_t *right = left == NULL ? NULL : select_spans(trace, set->right, within);
        if (right != NULL)
            combine(trace, set->op, left, right);
        return right;
    }
    uint8_t *mask = take(trace, trace->count);
    for (size_t i = 0; mask != NULL && i < trace->count; i++)
        mask[i] = (within == NULL || within[i]) && tql_holds(trace, &trace->spans[i], set->filter);
    return mask;
}

/* ---- Stages. ---- */

static struct set *add_set(struct pass *pass, struct set ***last)
{
    struct set *set = take(pass->trace, sizeof(*set));

    if (set == NULL)
        return NULL;
    **last = set;
    *last = &set->next;
    pass->set_count++;
    return set;
}

static bool add_group(struct pass *pass, struct set *set, struct str key, struct str value)
{
    struct traceql_value *groups = take(pass->trace, (set->group_count + 1) * sizeof(*set->groups));

    if (groups == NULL)
        return false;
    if (set->group_count > 0)
        memcpy(groups, set->groups, set->group_count * sizeof(*groups));
    groups[set->group_count++] = (struct traceql_value){key, value};
    set->groups = groups;
    return true;
}

/* The texts of the fields on a span, as one key. */
static struct str group_key(struct pass *pass, const struct tql_stage *stage, size_t index,
                            struct str *ret_values)
{
    struct buf key CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < stage->field_count; i++) {
        struct tql_value value =
            tql_evaluate(pass->trace, &pass->trace->spans[index], stage->fields[i]);
        ret_values[i] = tql_text(pass->trace, &value);
        buf_varint(&key, ret_values[i].size);
        buf_str(&key, ret_values[i]);
    }
    struct str kept = arena_str(pass->trace->arena, buf_view(&key));
    pass->trace->is_spent |= kept.data == NULL;
    return kept;
}

static struct set *group_of(struct pass *pass, const struct tql_stage *stage, struct map *groups,
                            const struct set *from, size_t index, struct set ***last)
{
    struct str values[TRACEQL_FIELDS_MAX];
    struct str key = group_key(pass, stage, index, values);

    if (key.data == NULL)
        return NULL;
    struct set *set = map_get(groups, key);
    if (set != NULL || pass->set_count >= TRACEQL_GROUPS_MAX)
        return set;
    set = add_set(pass, last);
    if (set == NULL || (set->mask = take(pass->trace, pass->trace->count)) == NULL)
        return NULL;
    set->groups = from->groups;
    set->group_count = from->group_count;
    for (size_t i = 0; i < stage->field_count; i++) {
        if (!add_group(pass, set, stage->field_sources[i], values[i]))
            return NULL;
    }
    (void)map_put(groups, key, set); /* Was absent. */
    return set;
}

static void stage_by(struct pass *pass, const struct tql_stage *stage)
{
    struct set *from = pass->sets;
    struct set **last = &pass->sets;

    pass->sets = NULL;
    pass->set_count = 0;
    for (; from != NULL; from = from->next) {
        struct map groups CLEANUP(map_done) = {0};
        for (size_t i = 0; i < pass->trace->count; i++) {
            if (!from->mask[i])
                continue;
            struct set *set = group_of(pass, stage, &groups, from, i, &last);
            if (set != NULL)
                set->mask[i] = 1;
        }
    }
}

/* NAN when no span has a number to give. */
static double aggregate(struct pass *pass, const struct tql_stage *stage, const struct set *set)
{
    double sum = 0;
    double least = INFINITY;
    double most = -INFINITY;
    size_t count = 0;

    for (size_t i = 0; i < pass->trace->count; i++) {
        if (!set->mask[i])
            continue;
        struct tql_value value = {.type = TQL_NUMBER};
        if (stage->argument != NULL)
            value = tql_evaluate(pass->trace, &pass->trace->spans[i], stage->argument);
        if (value.type != TQL_NUMBER)
            continue;
        count++;
        sum += value.number;
        least = fmin(least, value.number);
        most = fmax(most, value.number);
    }
    if (stage->kind == TQL_COUNT)
        return (double)count;
    if (count == 0)
        return NAN;
    return stage->kind == TQL_SUM   ? sum
           : stage->kind == TQL_AVG ? sum / (double)count
           : stage->kind == TQL_MIN ? least
                                    : most;
}

static void stage_aggregate(struct pass *pass, const struct tql_stage *stage)
{
    struct set **place = &pass->sets;

    while (*place != NULL) {
        struct set *set = *place;
        struct tql_value value = {.type = TQL_NUMBER, .number = aggregate(pass, stage, set)};
        if (!tql_compare_numbers(stage->op, value.number, stage->bound)) {
            *place = set->next;
            pass->set_count--;
            continue;
        }
        (void)add_group(pass, set, stage->source, tql_text(pass->trace, &value)); /* is_spent. */
        place = &set->next;
    }
}

static void stage_filter(struct pass *pass, const struct tql_stage *stage)
{
    struct set **place = &pass->sets;

    while (*place != NULL) {
        struct set *set = *place;
        uint8_t *mask = select_spans(pass->trace, stage->set, set->mask);
        if (mask == NULL)
            return;
        set->mask = mask;
        if (!any(pass->trace, mask)) {
            *place = set->next;
            pass->set_count--;
            continue;
        }
        place = &set->next;
    }
}

static void stage_coalesce(struct pass *pass)
{
    struct set *first = pass->sets;

    if (first == NULL)
        return;
    for (struct set *set = first->next; set != NULL; set = set->next) {
        for (size_t i = 0; i < pass->trace->count; i++)
            first->mask[i] |= set->mask[i];
    }
    first->next = NULL;
    first->group_count = 0;
    pass->set_count = 1;
}

static void run_stages(struct pass *pass)
{
    for (const struct tql_stage *stage = pass->query->stages; stage != NULL; stage = stage->next) {
        if (stage->kind <= TQL_SUM)
            stage_aggregate(pass, stage);
        else if (stage->kind == TQL_BY)
            stage_by(pass, stage);
        else if (stage->kind == TQL_FILTER)
            stage_filter(pass, stage);
        else if (stage->kind == TQL_COALESCE)
            stage_coalesce(pass);
    }
}

/* ---- The answer. ---- */

/* The fields that the query compares, which is what a reader wants to see. */
static void collect_fields(const struct tql_node *node, const struct tql_field **fields,
                           size_t *count)
{
    if (node == NULL || *count == TRACEQL_FIELDS_MAX)
        return;
    if (node->kind == TQL_OPERATION) {
        collect_fields(node->left, fields, count);
        collect_fields(node->right, fields, count);
        return;
    }
    if (node->kind != TQL_FIELD)
        return;
    for (size_t i = 0; i < *count; i++) {
        if (str_eq(fields[i]->source, node->field.source))
            return;
    }
    fields[(*count)++] = &node->field;
}

static void collect_set_fields(const struct tql_set *set, const struct tql_field **fields,
                               size_t *count)
{
    if (set->is_filter) {
        collect_fields(set->filter, fields, count);
        return;
    }
    collect_set_fields(set->left, fields, count);
    collect_set_fields(set->right, fields, count);
}

static size_t collect_all_fields(const struct traceql *query, const struct tql_field **fields)
{
    size_t count = 0;

    collect_set_fields(query->set, fields, &count);
    for (const struct tql_stage *stage = query->stages; stage != NULL; stage = stage->next) {
        for (size_t i = 0; stage->kind == TQL_SELECT && i < stage->field_count; i++)
            collect_fields(stage->fields[i], fields, &count);
        if (stage->kind == TQL_FILTER)
            collect_set_fields(stage->set, fields, &count);
    }
    return count;
}

static void show_span(struct pass *pass, const struct tql_field **fields, size_t field_count,
                      size_t index, struct traceql_span *out)
{
    const struct tql_span *span = &pass->trace->spans[index];

    out->span = span->span;
    out->values = take(pass->trace, (field_count + 1) * sizeof(*out->values));
    for (size_t i = 0; out->values != NULL && i < field_count; i++) {
        size_t several = tql_field_count(span, fields[i]);
        struct tql_value value = tql_field_value(pass->trace, span, fields[i], 0);
        for (size_t k = 1; value.type == TQL_NIL && k < several; k++)
            value = tql_field_value(pass->trace, span, fields[i], k);
        if (value.type == TQL_NIL)
            continue;
        out->values[out->value_count++] =
            (struct traceql_value){fields[i]->source, tql_text(pass->trace, &value)};
    }
}

static bool show_set(struct pass *pass, const struct set *set, size_t spans_max,
                     struct traceql_set *out)
{
    const struct tql_field *fields[TRACEQL_FIELDS_MAX];
    size_t field_count = collect_all_fields(pass->query, fields);

    out->groups = set->groups;
    out->group_count = set->group_count;
    out->spans = take(pass->trace, spans_max * sizeof(*out->spans));
    if (out->spans == NULL)
        return false;
    for (size_t i = 0; i < pass->trace->count; i++) {
        if (!set->mask[i])
            continue;
        if (out->matched_count++ < spans_max)
            show_span(pass, fields, field_count, i, &out->spans[out->span_count++]);
    }
    return true;
}

static void describe(const struct tql_trace *trace, struct traceql_trace *out)
{
    memcpy(out->trace_id, trace->spans[0].span->trace_id, TRACE_ID_BYTES);
    out->root_service = trace->root == NULL ? STR("") : trace->root->resource->service_name;
    out->root_name = trace->root == NULL ? STR("") : trace->root->name;
    out->start_ns = trace->start_ns;
    out->duration_ns = trace->end_ns > trace->start_ns ? trace->end_ns - trace->start_ns : 0;
    out->span_count = trace->count;
    for (size_t i = 0; i < trace->count; i++)
        out->error_count += trace->spans[i].span->status == SPAN_STATUS_ERROR;
}

static bool show_sets(struct pass *pass, size_t spans_max, struct traceql_trace *out)
{
    out->sets = take(pass->trace, pass->set_count * sizeof(*out->sets));
    for (const struct set *set = pass->sets; out->sets != NULL && set != NULL; set = set->next) {
        if (!show_set(pass, set, spans_max, &out->sets[out->set_count++]))
            return false;
    }
    return out->sets != NULL;
}

static bool gave_up(const struct traceql *query)
{
    for (const struct regex *regex = query->patterns; regex != NULL; regex = regex_next(regex)) {
        if (regex_gave_up(regex))
            return true;
    }
    return false;
}

enum err traceql_match(const struct traceql *query, const struct span *spans, size_t count,
                       size_t spans_max, struct arena *arena, struct traceql_trace *ret_trace,
                       bool *ret_matches, struct why *why)
{
    struct tql_trace trace = {.arena = arena};
    struct pass pass = {.query = query, .trace = &trace};
    struct set **last = &pass.sets;
    struct traceql_trace answer = {0};

    *ret_matches = false;
    if (count == 0)
        return ERR_NONE;
    if (count > TRACEQL_SPANS_MAX)
        count = TRACEQL_SPANS_MAX;
    if (!make_tree(&trace, spans, count))
        return arena_spent(arena, "a trace search", why);
    uint8_t *mask = select_spans(&trace, query->set, NULL);
    if (mask != NULL && any(&trace, mask)) {
        struct set *set = add_set(&pass, &last);
        if (set != NULL)
            set->mask = mask;
        if (!trace.is_spent)
            run_stages(&pass);
        if (!trace.is_spent && pass.sets != NULL) {
            describe(&trace, &answer);
            *ret_matches = show_sets(&pass, spans_max, &answer);
        }
    }
    if (trace.is_spent)
        return arena_spent(arena, "a trace search", why);
    if (gave_up(query))
        return fail(why, ERR_LIMIT, "a pattern took too many steps; make it simpler");
    *ret_trace = answer;
    return ERR_NONE;
}
