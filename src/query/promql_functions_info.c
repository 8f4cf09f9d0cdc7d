/* SPDX-License-Identifier: Apache-2.0 */
/* info(): gives series the labels of the info metric that describes the same target.
 *
 * An info series such as target_info{instance, job, version="2"} describes all series with the same
 * instance and job. The second argument narrows which info metrics count (by name; target_info
 * when it says nothing about names) and which of their labels are wanted (all when it names none).
 * Which info series holds may change from step to step, so a column of the input can become
 * several: one per set of info series that held together. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"

enum { CANDIDATES_MAX = 64 }; /* Info series of one target; a set of them is one 64-bit mask. */

static const char any_info[] = ".+_info";

struct info {
    struct eval *eval;
    const struct grid *grid;
    const struct node *node;
    struct matcher *matchers; /* Of the info selector, names completed. */
    size_t matchers_count;
    bool names_labels;    /* Some matcher is about another label than the name. */
    bool empty_is_fine;   /* All of those accept a missing label. */
    struct operand infos; /* Values are the times of the samples. */
    struct operand *result;
    size_t capacity;
};

static bool ends_like_info(const void *regex, struct str name)
{
    (void)regex; /* There is only this one. */
    return name.size > 5 && str_ends(name, STR("_info"));
}

static bool is_about_name(const struct matcher *matcher)
{
    return str_eq(matcher->name, LABEL_NAME);
}

static enum err complete_matchers(struct info *info)
{
    const struct node_call *call = &info->node->call;
    const struct node_selector *given =
        call->arguments_count > 1 ? &node_unwrap(call->arguments[1])->selector : NULL;
    size_t count = given == NULL ? 0 : given->matchers_count;
    bool positive = false;
    bool negative = false;

    info->matchers = ARENA_ARRAY(info->eval->arena, count + 1, struct matcher);
    if (info->matchers == NULL)
        return eval_spent(info->eval);
    info->empty_is_fine = true;
    for (size_t i = 0; i < count; i++) {
        const struct matcher *matcher = &given->matchers[i];
        info->matchers[info->matchers_count++] = *matcher;
        if (!is_about_name(matcher)) {
            info->names_labels = true;
            info->empty_is_fine = info->empty_is_fine && matcher_accepts(matcher, STR(""));
        } else if (matcher->op == MATCH_EQUAL || matcher->op == MATCH_REGEX) {
            positive = true;
        } else {
            negative = true;
        }
    }
    if (positive)
        return ERR_NONE;
    struct matcher name = {.op = MATCH_EQUAL, .name = LABEL_NAME, .value = STR("target_info")};
    if (negative) {
        name.op = MATCH_REGEX;
        name.value = str_of(any_info);
        name.match = ends_like_info;
    }
    info->matchers[info->matchers_count++] = name;
    return ERR_NONE;
}

/* The first selector below: info series are looked up at the same moment. */
static const struct node *first_selector(const struct node *node)
{
    const struct node *found = NULL;

    switch (node->kind) {
    case NODE_SELECTOR:
        return node;
    case NODE_SUBQUERY:
        return first_selector(node->subquery.expression);
    case NODE_CALL:
        for (size_t i = 0; found == NULL && i < node->call.arguments_count; i++)
            found = first_selector(node->call.arguments[i]);
        return found;
    case NODE_AGGREGATE:
        return first_selector(node->aggregate.expression);
    case NODE_BINARY:
        found = first_selector(node->binary.left);
        return found != NULL ? found : first_selector(node->binary.right);
    case NODE_UNARY:
        return first_selector(node->unary.operand);
    case NODE_PAREN:
        return first_selector(node->paren);
    default:
        return NULL;
    }
}

static enum err read_infos(struct info *info)
{
    const struct node *base = first_selector(info->node->call.arguments[0]);
    struct node node = {
        .kind = NODE_SELECTOR,
        .type = PROMQL_VECTOR,
        .start = info->node->start,
        .end = info->node->end,
    };

    node.selector.matchers = info->matchers;
    node.selector.matchers_count = info->matchers_count;
    if (base != NULL)
        node.selector.moment = base->selector.moment;
    return eval_selector(info->eval, info->grid, &node, true, &info->infos);
}

/* Series of info metrics themselves stay as they are. */
static bool is_info(const struct info *info, const struct labels *labels)
{
    struct str name = labels_get(labels, LABEL_NAME);

    for (size_t i = 0; i < info->matchers_count; i++)
        if (is_about_name(&info->matchers[i]) && !matcher_accepts(&info->matchers[i], name))
            return false;
    return true;
}

static bool same_target(const struct labels *a, const struct labels *b)
{
    struct str instance = labels_get(a, STR("instance"));
    struct str job = labels_get(a, STR("job"));

    return (instance.size > 0 || job.size > 0) &&
           str_eq(instance, labels_get(b, STR("instance"))) &&
           str_eq(job, labels_get(b, STR("job")));
}

static enum err find_candidates(const struct info *info, const struct labels *labels,
                                const struct column **candidates, size_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < info->infos.count; i++) {
        if (!same_target(labels, info->infos.columns[i].labels))
            continue;
        if (*ret_count == CANDIDATES_MAX)
            return fail(info->eval->why, ERR_LIMIT,
                        "info() finds more than %d info series of one target", CANDIDATES_MAX);
        candidates[(*ret_count)++] = &info->infos.columns[i];
    }
    return ERR_NONE;
}

/* Of each info metric the series whose sample is newest. */
static uint64_t candidates_at(const struct column **candidates, size_t count, size_t step)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < count; i++) {
        struct str name = labels_get(candidates[i]->labels, LABEL_NAME);
        double time = candidates[i]->values[step];
        bool newest = !is_absent(time);
        for (size_t j = 0; newest && j < count; j++) {
            double other = candidates[j]->values[step];
            if (j == i || is_absent(other) ||
                !str_eq(name, labels_get(candidates[j]->labels, LABEL_NAME)))
                continue;
            newest = time > other || (time == other && i < j);
        }
        if (newest)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

static bool is_wanted(const struct info *info, struct str name)
{
    if (str_eq(name, LABEL_NAME) || str_eq(name, STR("instance")) || str_eq(name, STR("job")))
        return false;
    for (size_t i = 0; info->names_labels && i < info->matchers_count; i++)
        if (str_eq(info->matchers[i].name, name))
            return true;
    return !info->names_labels;
}

static enum err enrich(const struct info *info, const struct labels *base,
                       const struct column **candidates, uint64_t mask,
                       const struct labels **ret_labels)
{
    struct label_edit edit;
    struct label label;

    label_edit_from(&edit, base);
    for (size_t i = 0; mask >> i != 0; i++) {
        for (size_t at = 0; mask >> i & 1 && labels_next(candidates[i]->labels, &at, &label);) {
            struct str held = label_edit_get(&edit, label.name);
            if (!is_wanted(info, label.name) || labels_get(base, label.name).size > 0)
                continue;
            if (held.size > 0 && !str_eq(held, label.value))
                return eval_fail(info->eval, info->node,
                                 "conflicting label: info metrics say both %.*s=\"%.*s\" and "
                                 "\"%.*s\"",
                                 STR_ARG(label.name), STR_ARG(held), STR_ARG(label.value));
            if (!label_edit_set(&edit, label.name, label.value))
                return eval_fail(info->eval, info->node, "a result would have more than %d labels",
                                 LABEL_COUNT_MAX);
        }
        if (i == CANDIDATES_MAX - 1)
            break;
    }
    *ret_labels = label_edit_build(&edit, info->eval->arena);
    return *ret_labels == NULL ? eval_spent(info->eval) : ERR_NONE;
}

static enum err add_column(struct info *info, const struct column *base,
                           const struct labels *labels, struct column **ret_column)
{
    struct operand *result = info->result;

    if (result->count == info->capacity) {
        size_t capacity = info->capacity == 0 ? 16 : info->capacity * 2;
        struct column *columns = ARENA_ARRAY(info->eval->arena, capacity, struct column);
        if (columns == NULL)
            return eval_spent(info->eval);
        if (result->count > 0)
            memcpy(columns, result->columns, result->count * sizeof(*columns));
        result->columns = columns;
        info->capacity = capacity;
    }
    struct column *column = &result->columns[result->count++];
    *column = (struct column){.labels = labels, .drop_name = base->drop_name};
    *ret_column = column;
    TRY(eval_numbers(info->eval, info->grid->steps, &column->values));
    for (size_t i = 0; i < info->grid->steps; i++)
        column->values[i] = absent_value();
    return eval_count(info->eval, info->grid->steps);
}

static enum err enrich_column(struct info *info, const struct column *base)
{
    const struct column *candidates[CANDIDATES_MAX];
    struct column *column = NULL;
    uint64_t held = 0;
    size_t count = 0;
    bool ignored = is_info(info, base->labels);

    if (!ignored)
        TRY(find_candidates(info, base->labels, candidates, &count));
    for (size_t i = 0; i < info->grid->steps; i++) {
        const struct labels *labels;
        if (is_absent(base->values[i]))
            continue;
        uint64_t mask = candidates_at(candidates, count, i);
        if (mask == 0 && !ignored && !info->empty_is_fine)
            continue;
        /* Equal sets of labels in different stretches of time are merged at the end. */
        if (column == NULL || mask != held) {
            TRY(enrich(info, base->labels, candidates, mask, &labels));
            TRY(add_column(info, base, labels, &column));
            held = mask;
        }
        column->values[i] = base->values[i];
        TRY(eval_tick(info->eval, count + 1));
    }
    return ERR_NONE;
}

enum err call_info(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    struct operand result = {.type = PROMQL_VECTOR};
    struct operand base;
    struct info info = {.eval = eval, .grid = grid, .node = node, .result = &result};

    if (node->call.arguments_count > 1 &&
        node_unwrap(node->call.arguments[1])->kind != NODE_SELECTOR)
        return eval_fail(eval, node->call.arguments[1],
                         "the second argument of info() must be a selector");
    TRY(complete_matchers(&info));
    TRY(eval_vector(eval, grid, node->call.arguments[0], &base));
    TRY(read_infos(&info));
    for (size_t c = 0; c < base.count; c++)
        TRY(enrich_column(&info, &base.columns[c]));
    TRY(operand_merge(eval, grid, &result, false, promql_same_labelset));
    *ret_value = result;
    return ERR_NONE;
}
