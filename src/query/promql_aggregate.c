/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregations that fold: groups are found once from labels, then each column is added to its
 * group's accumulators along all steps. Those that pick or rank elements are in promql_rank.c. */
#include "query/promql_eval_priv.h"

#include "query/promql_labels.h"
#include "query/promql_sketch.h"

static enum err group_of_column(struct eval *eval, const struct node_aggregate *aggregate,
                                const struct labels *labels, const struct labels **ret_labels)
{
    const struct label_names *grouping = &aggregate->grouping;
    struct label_edit edit;

    label_edit_from(&edit, labels);
    if (aggregate->without) {
        label_edit_remove(&edit, grouping->names, grouping->count);
        label_edit_remove_schema(&edit);
    } else {
        label_edit_keep(&edit, grouping->names, grouping->count);
    }
    *ret_labels = label_edit_build(&edit, eval->arena);
    return *ret_labels == NULL ? eval_spent(eval) : ERR_NONE;
}

/* Without a grouping all columns are one group; no label needs to be looked at. */
static enum err one_group(struct eval *eval, const struct operand *input, struct groups *groups)
{
    groups->count = input->count > 0 ? 1 : 0;
    if (groups->count == 0)
        return ERR_NONE;
    groups->columns[0].labels = labels_empty(eval->arena);
    return groups->columns[0].labels == NULL ? eval_spent(eval) : ERR_NONE;
}

static bool groups_by_name(const struct node_aggregate *aggregate)
{
    for (size_t i = 0; !aggregate->without && i < aggregate->grouping.count; i++)
        if (str_eq(aggregate->grouping.names[i], LABEL_NAME))
            return true;
    return false;
}

static enum err find_groups(struct eval *eval, const struct node_aggregate *aggregate,
                            const struct operand *input, struct groups *groups)
{
    struct label_table table;
    bool by_name = groups_by_name(aggregate);

    groups->group_of = ARENA_ARRAY(eval->arena, input->count, uint32_t);
    groups->columns = ARENA_ARRAY(eval->arena, input->count, struct column);
    if (groups->group_of == NULL || groups->columns == NULL)
        return eval_spent(eval);
    if (!aggregate->without && aggregate->grouping.count == 0)
        return one_group(eval, input, groups);
    if (!label_table_init(&table, input->count, eval->arena))
        return eval_spent(eval);
    for (size_t c = 0; c < input->count; c++) {
        const struct labels *labels;
        TRY(group_of_column(eval, aggregate, input->columns[c].labels, &labels));
        uint32_t number = label_table_put(&table, labels);
        groups->group_of[c] = number;
        groups->columns[number].labels = table.keys[number];
        groups->columns[number].drop_name |= by_name && input->columns[c].drop_name;
    }
    groups->count = table.count;
    return eval_tick(eval, input->count);
}

/* --- folding --- */

/* Sums per step; rest is the compensation, count how many elements there were. */
struct fold {
    double *values;
    double *rest;
    double *count;
};

static void fold_sum(const struct fold *fold, const double *values, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        if (is_absent(values[i]))
            continue;
        fold->count[i]++;
        kahan_add(values[i], &fold->values[i], &fold->rest[i]);
    }
}

static void fold_count(const struct fold *fold, const double *values, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        fold->count[i] += is_absent(values[i]) ? 0 : 1;
}

static void fold_extreme(const struct fold *fold, const double *values, size_t steps, bool max)
{
    for (size_t i = 0; i < steps; i++) {
        double value = values[i];
        if (is_absent(value))
            continue;
        double held = fold->values[i];
        bool better = max ? value > held : value < held;
        if (fold->count[i] == 0 || better || isnan(held))
            fold->values[i] = value;
        fold->count[i]++;
    }
}

/* Welford's update; values hold the squares, rest holds the mean. */
static void fold_deviation(const struct fold *fold, const double *values, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        double value = values[i];
        if (is_absent(value))
            continue;
        double count = ++fold->count[i];
        if (count == 1) {
            fold->rest[i] = value;
            fold->values[i] = isfinite(value) ? 0 : (double)NAN;
            continue;
        }
        double delta = value - fold->rest[i];
        fold->rest[i] += delta / count;
        fold->values[i] += delta * (value - fold->rest[i]);
    }
}

static void fold_column(enum aggregate_kind kind, const struct fold *fold, const double *values,
                        size_t steps)
{
    switch (kind) {
    case AGGREGATE_SUM:
        fold_sum(fold, values, steps);
        return;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        fold_extreme(fold, values, steps, kind == AGGREGATE_MAX);
        return;
    case AGGREGATE_STDDEV:
    case AGGREGATE_STDVAR:
        fold_deviation(fold, values, steps);
        return;
    default:
        fold_count(fold, values, steps);
        return;
    }
}

static double fold_result(enum aggregate_kind kind, const struct fold *fold, size_t i)
{
    if (fold->count[i] == 0)
        return absent_value();
    switch (kind) {
    case AGGREGATE_SUM:
        return fold->values[i] + fold->rest[i];
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        return fold->values[i];
    case AGGREGATE_STDVAR:
        return fold->values[i] / fold->count[i];
    case AGGREGATE_STDDEV:
        return sqrt(fold->values[i] / fold->count[i]);
    case AGGREGATE_GROUP:
        return 1;
    default:
        return fold->count[i];
    }
}

static enum err fold_groups(struct eval *eval, const struct grid *grid, enum aggregate_kind kind,
                            const struct operand *input, const struct groups *groups,
                            struct operand *result)
{
    size_t steps = grid->steps;
    double *rest;
    double *count;

    TRY(eval_numbers(eval, groups->count * steps, &rest));
    TRY(eval_numbers(eval, groups->count * steps, &count));
    for (size_t c = 0; c < input->count; c++) {
        size_t g = groups->group_of[c];
        struct fold fold = {result->columns[g].values, rest + g * steps, count + g * steps};
        fold_column(kind, &fold, input->columns[c].values, steps);
        TRY(eval_tick(eval, steps));
    }
    for (size_t g = 0; g < groups->count; g++) {
        struct fold fold = {result->columns[g].values, rest + g * steps, count + g * steps};
        for (size_t i = 0; i < steps; i++)
            result->columns[g].values[i] = fold_result(kind, &fold, i);
    }
    return ERR_NONE;
}

static enum err fold_means(struct eval *eval, const struct grid *grid, const struct operand *input,
                           const struct groups *groups, struct operand *result)
{
    size_t steps = grid->steps;
    struct mean *means = ARENA_ARRAY(eval->arena, groups->count * steps, struct mean);

    if (means == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < input->count; c++) {
        struct mean *row = means + groups->group_of[c] * steps;
        const double *values = input->columns[c].values;
        for (size_t i = 0; i < steps; i++)
            if (!is_absent(values[i]))
                mean_add(&row[i], values[i]);
        TRY(eval_tick(eval, steps));
    }
    for (size_t g = 0; g < groups->count; g++)
        for (size_t i = 0; i < steps; i++)
            result->columns[g].values[i] = means[g * steps + i].count == 0
                                               ? absent_value()
                                               : mean_result(&means[g * steps + i]);
    return ERR_NONE;
}

enum err eval_aggregate(struct eval *eval, const struct grid *grid, const struct node *node,
                        struct operand *ret_value)
{
    const struct node_aggregate *aggregate = &node->aggregate;
    enum aggregate_kind kind = aggregate->aggregate->kind;
    struct operand input;
    struct groups groups = {0};

    TRY(eval_vector(eval, grid, aggregate->expression, &input));
    TRY(find_groups(eval, aggregate, &input, &groups));
    if (kind == AGGREGATE_COUNT_VALUES)
        return eval_count_values(eval, grid, node, &input, &groups, ret_value);
    if (aggregate->parameter != NULL)
        return eval_ranked(eval, grid, node, &input, &groups, ret_value);
    TRY(eval_columns(eval, grid, groups.count, ret_value));
    for (size_t g = 0; g < groups.count; g++) {
        ret_value->columns[g].labels = groups.columns[g].labels;
        ret_value->columns[g].drop_name = groups.columns[g].drop_name;
    }
    if (kind == AGGREGATE_AVG)
        TRY(fold_means(eval, grid, &input, &groups, ret_value));
    else
        TRY(fold_groups(eval, grid, kind, &input, &groups, ret_value));
    if (eval->wants_sketches && (kind == AGGREGATE_SUM || kind == AGGREGATE_AVG))
        TRY(sketch_groups(eval, grid, node, &input, &groups, ret_value));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}
