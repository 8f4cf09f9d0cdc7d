/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregations that look at all elements of a group at once, step by step: topk, bottomk, limitk,
 * limit_ratio pick some of the input's own series; quantile and count_values make new ones. */
#include "query/promql_eval_priv.h"

#include "query/promql_labels.h"

#include <stdio.h>

struct ranked {
    double value;
    uint32_t column;
};

struct ranking {
    struct eval *eval;
    const struct grid *grid;
    const struct node *node;
    enum aggregate_kind kind;
    struct operand *input;
    const struct groups *groups;
    const double *parameter; /* One per step. */
    uint32_t *members;       /* Columns, group by group. */
    size_t *first_member;    /* Per group; one more than groups. */
    struct ranked *heap;
    double *scratch;
    bool *kept; /* Per column and step. */
    uint32_t *order;
    size_t order_count;
};

/* --- members of groups --- */

static enum err list_members(struct ranking *ranking)
{
    struct arena *arena = ranking->eval->arena;
    size_t count = ranking->input->count;
    size_t groups = ranking->groups->count;

    ranking->members = ARENA_ARRAY(arena, count, uint32_t);
    ranking->first_member = ARENA_ARRAY(arena, groups + 2, size_t);
    if (ranking->members == NULL || ranking->first_member == NULL)
        return eval_spent(ranking->eval);
    size_t *next = ranking->first_member + 1;
    for (size_t c = 0; c < count; c++)
        next[ranking->groups->group_of[c] + 1]++;
    for (size_t g = 1; g <= groups; g++)
        next[g] += next[g - 1];
    /* next[g] is where the group begins; filling moves it to where it ends. */
    for (size_t c = 0; c < count; c++)
        ranking->members[next[ranking->groups->group_of[c]]++] = (uint32_t)c;
    return ERR_NONE;
}

/* --- topk and bottomk --- */

/* Whether a is to be thrown out before b: NaN first, then the worse value. */
static bool is_worse(const struct ranking *ranking, const struct ranked *a, const struct ranked *b)
{
    if (isnan(a->value) || isnan(b->value))
        return isnan(a->value) && !isnan(b->value);
    return ranking->kind == AGGREGATE_TOPK ? a->value < b->value : a->value > b->value;
}

/* The heap's root is the worst of those held. */
static void sift_down(const struct ranking *ranking, size_t count, size_t at)
{
    struct ranked *heap = ranking->heap;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_worse(ranking, &heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(ranking, &heap[child], &heap[at]))
            return;
        struct ranked moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void sift_up(const struct ranking *ranking, size_t at)
{
    struct ranked *heap = ranking->heap;

    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!is_worse(ranking, &heap[at], &heap[parent]))
            return;
        struct ranked moved = heap[at];
        heap[at] = heap[parent];
        heap[parent] = moved;
        at = parent;
    }
}

static size_t fill_heap(const struct ranking *ranking, size_t group, size_t step, size_t limit)
{
    size_t count = 0;

    for (size_t m = ranking->first_member[group]; m < ranking->first_member[group + 1]; m++) {
        uint32_t c = ranking->members[m];
        struct ranked ranked = {ranking->input->columns[c].values[step], c};
        if (is_absent(ranked.value))
            continue;
        if (count < limit) {
            ranking->heap[count] = ranked;
            sift_up(ranking, count++);
        } else if (is_worse(ranking, &ranking->heap[0], &ranked)) {
            ranking->heap[0] = ranked;
            sift_down(ranking, count, 0);
        }
    }
    return count;
}

static void keep(struct ranking *ranking, uint32_t column, size_t step)
{
    ranking->kept[column * ranking->grid->steps + step] = true;
}

static void pick_best(struct ranking *ranking, size_t group, size_t step, size_t limit)
{
    size_t count = fill_heap(ranking, group, step, limit);
    size_t end = ranking->order_count + count;

    for (size_t i = 0; i < count; i++)
        keep(ranking, ranking->heap[i].column, step);
    if (ranking->grid->steps > 1)
        return;
    /* At one instant the order matters: take the worst away again and again. */
    ranking->order_count = end;
    while (count > 0) {
        ranking->order[--end] = ranking->heap[0].column;
        ranking->heap[0] = ranking->heap[--count];
        sift_down(ranking, count, 0);
    }
}

/* --- limitk and limit_ratio --- */

static void pick_first(struct ranking *ranking, size_t group, size_t step, size_t limit)
{
    size_t count = 0;

    for (size_t m = ranking->first_member[group]; m < ranking->first_member[group + 1]; m++) {
        uint32_t c = ranking->members[m];
        if (count == limit)
            return;
        if (is_absent(ranking->input->columns[c].values[step]))
            continue;
        keep(ranking, c, step);
        count++;
    }
}

/* A series is in or out by its labels alone, so ratio r and ratio r - 1 complement each other. */
static void pick_share(struct ranking *ranking, size_t group, size_t step, double ratio)
{
    for (size_t m = ranking->first_member[group]; m < ranking->first_member[group + 1]; m++) {
        uint32_t c = ranking->members[m];
        uint64_t hash = ranking->input->columns[c].labels->hash * UINT64_C(0x9e3779b97f4a7c15);
        double place = (double)(hash ^ hash >> 32) / 18446744073709551616.0;
        if (is_absent(ranking->input->columns[c].values[step]))
            continue;
        if (ratio >= 0 ? place < ratio || ratio == 1 : place >= 1 + ratio)
            keep(ranking, c, step);
    }
}

/* --- picking --- */

static void pick_step(struct ranking *ranking, size_t step)
{
    double parameter = ranking->parameter[step];
    size_t limit = parameter < 1                                ? 0
                   : parameter >= (double)ranking->input->count ? ranking->input->count
                                                                : (size_t)parameter;

    for (size_t g = 0; g < ranking->groups->count; g++) {
        if (ranking->kind == AGGREGATE_LIMIT_RATIO)
            pick_share(ranking, g, step, fmax(-1, fmin(1, parameter)));
        else if (limit == 0)
            continue;
        else if (ranking->kind == AGGREGATE_LIMITK)
            pick_first(ranking, g, step, limit);
        else
            pick_best(ranking, g, step, limit);
    }
}

static enum err picked(struct ranking *ranking, struct operand *ret_value)
{
    struct operand *input = ranking->input;
    size_t steps = ranking->grid->steps;

    for (size_t c = 0; c < input->count; c++)
        for (size_t i = 0; i < steps; i++)
            if (!ranking->kept[c * steps + i])
                input->columns[c].values[i] = absent_value();
    *ret_value = *input;
    if (ranking->order_count > 0) {
        struct column *columns =
            ARENA_ARRAY(ranking->eval->arena, ranking->order_count, struct column);
        if (columns == NULL)
            return eval_spent(ranking->eval);
        for (size_t i = 0; i < ranking->order_count; i++)
            columns[i] = input->columns[ranking->order[i]];
        ret_value->columns = columns;
        ret_value->count = ranking->order_count;
    }
    operand_compact(ret_value, ranking->grid);
    return ERR_NONE;
}

static enum err pick(struct ranking *ranking, struct operand *ret_value)
{
    struct arena *arena = ranking->eval->arena;
    size_t count = ranking->input->count;

    ranking->heap = ARENA_ARRAY(arena, count, struct ranked);
    ranking->kept = ARENA_ARRAY(arena, count * ranking->grid->steps, bool);
    ranking->order = ARENA_ARRAY(arena, count, uint32_t);
    if (ranking->heap == NULL || ranking->kept == NULL || ranking->order == NULL)
        return eval_spent(ranking->eval);
    for (size_t i = 0; i < ranking->grid->steps; i++) {
        pick_step(ranking, i);
        TRY(eval_tick(ranking->eval, count));
    }
    return picked(ranking, ret_value);
}

static enum err check_parameter(const struct ranking *ranking)
{
    struct eval *eval = ranking->eval;
    const struct node *node = ranking->node->aggregate.parameter;
    bool is_ratio = ranking->kind == AGGREGATE_LIMIT_RATIO;

    for (size_t i = 0; i < ranking->grid->steps; i++) {
        double parameter = ranking->parameter[i];
        if (isnan(parameter))
            return eval_fail(eval, node, "%s value is NaN", is_ratio ? "Ratio" : "Parameter");
        if (!is_ratio && !(fabs(parameter) < 9.2e18))
            return eval_fail(eval, node, "Scalar value %f overflows int64", parameter);
        if (is_ratio && fabs(parameter) > 1)
            eval_note(eval, true, node,
                      "ratio value should be between -1 and 1, got %g, capping to %g", parameter,
                      parameter > 0 ? 1.0 : -1.0);
    }
    return ERR_NONE;
}

/* --- quantile --- */

static void note_quantiles(const struct ranking *ranking)
{
    for (size_t i = 0; i < ranking->grid->steps && ranking->input->count > 0; i++) {
        double quantile = ranking->parameter[i];
        char text[STR_DOUBLE_SIZE];
        if (quantile >= 0 && quantile <= 1)
            continue;
        size_t size = str_from_double(text, quantile);
        eval_note(ranking->eval, true, ranking->node->aggregate.parameter,
                  "quantile value should be between 0 and 1, got %.*s", (int)size, text);
    }
}

static double group_quantile(const struct ranking *ranking, size_t group, size_t step)
{
    size_t count = 0;

    for (size_t m = ranking->first_member[group]; m < ranking->first_member[group + 1]; m++) {
        double value = ranking->input->columns[ranking->members[m]].values[step];
        ranking->scratch[count] = value;
        count += !is_absent(value);
    }
    if (count == 0)
        return absent_value();
    return quantile_of(ranking->scratch, count, ranking->parameter[step]);
}

static enum err quantiles(struct ranking *ranking, struct operand *ret_value)
{
    const struct groups *groups = ranking->groups;

    note_quantiles(ranking);
    TRY(eval_numbers(ranking->eval, ranking->input->count, &ranking->scratch));
    TRY(eval_columns(ranking->eval, ranking->grid, groups->count, ret_value));
    for (size_t g = 0; g < groups->count; g++) {
        double *values = ret_value->columns[g].values;
        ret_value->columns[g].labels = groups->columns[g].labels;
        ret_value->columns[g].drop_name = groups->columns[g].drop_name;
        for (size_t i = 0; i < ranking->grid->steps; i++) {
            values[i] = group_quantile(ranking, g, i);
            TRY(eval_tick(ranking->eval, ranking->first_member[g + 1] - ranking->first_member[g]));
        }
    }
    operand_compact(ret_value, ranking->grid);
    return ERR_NONE;
}

enum err eval_ranked(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *input, const struct groups *groups, struct operand *ret_value)
{
    double *parameter;
    struct ranking ranking = {
        .eval = eval,
        .grid = grid,
        .node = node,
        .kind = node->aggregate.aggregate->kind,
        .input = input,
        .groups = groups,
    };

    TRY(eval_scalar(eval, grid, node->aggregate.parameter, &parameter));
    ranking.parameter = parameter;
    TRY(list_members(&ranking));
    if (ranking.kind == AGGREGATE_QUANTILE)
        return quantiles(&ranking, ret_value);
    TRY(check_parameter(&ranking));
    return pick(&ranking, ret_value);
}

/* --- count_values --- */

enum { DECIMAL_SIZE = 400 };

/* The shortest digits that mean the value, without an exponent. */
static struct str decimal(char text[DECIMAL_SIZE], double value)
{
    char shortest[STR_DOUBLE_SIZE];
    struct str digits = {shortest, str_from_double(shortest, value)};

    if (!isfinite(value) || (str_find(digits, 'e') < 0)) {
        memcpy(text, shortest, digits.size);
        return (struct str){text, digits.size};
    }
    /* Digits behind the point: as many as reading back needs, none for large values. */
    int places = 0;
    for (;; places++) {
        double back;
        int size = snprintf(text, DECIMAL_SIZE, "%.*f", places, value);
        struct str written = {text, (size_t)size};
        if (fabs(value) >= 1 || places >= 340 || (str_to_double(written, &back) && back == value))
            return written;
    }
}

static bool label_name_is_valid(struct str name)
{
    return name.size > 0 && str_is_utf8(name);
}

static void quote(char *text, size_t size, struct str name)
{
    size_t used = 0;

    for (size_t i = 0; i < name.size && used + 5 < size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c >= ' ' && c < 0x7f)
            text[used++] = (char)c;
        else
            used += (size_t)snprintf(text + used, size - used, "\\x%02x", c);
    }
    text[used] = '\0';
}

struct counting {
    struct eval *eval;
    const struct grid *grid;
    struct str label;
    struct label_table table;
    struct operand *result;
};

static enum err count_value(struct counting *counting, const struct labels *group, double value,
                            size_t step)
{
    char text[DECIMAL_SIZE];
    struct label_edit edit;
    uint32_t number;

    label_edit_from(&edit, group);
    if (!label_edit_set(&edit, counting->label, decimal(text, value)))
        return fail(counting->eval->why, ERR_LIMIT, "a result would have more than %d labels",
                    LABEL_COUNT_MAX);
    const struct labels *labels = label_edit_build(&edit, counting->eval->arena);
    if (labels == NULL)
        return eval_spent(counting->eval);
    number = label_table_put(&counting->table, labels);
    struct column *column = &counting->result->columns[number];
    if (number == counting->result->count) {
        counting->result->count++;
        column->labels = labels;
        TRY(eval_numbers(counting->eval, counting->grid->steps, &column->values));
        for (size_t i = 0; i < counting->grid->steps; i++)
            column->values[i] = absent_value();
    }
    column->values[step] = is_absent(column->values[step]) ? 1 : column->values[step] + 1;
    return ERR_NONE;
}

enum err eval_count_values(struct eval *eval, const struct grid *grid, const struct node *node,
                           struct operand *input, const struct groups *groups,
                           struct operand *ret_value)
{
    struct operand result = {.type = PROMQL_VECTOR};
    struct counting counting = {.eval = eval, .grid = grid, .result = &result};
    char quoted[128];

    counting.label = eval_string(node->aggregate.parameter);
    if (!label_name_is_valid(counting.label)) {
        quote(quoted, sizeof(quoted), counting.label);
        return eval_fail(eval, node->aggregate.parameter, "invalid label name \"%s\"", quoted);
    }
    size_t points = input->count * grid->steps;
    result.columns = ARENA_ARRAY(eval->arena, points, struct column);
    if (result.columns == NULL || !label_table_init(&counting.table, points, eval->arena))
        return eval_spent(eval);
    for (size_t c = 0; c < input->count; c++) {
        const struct labels *group = groups->columns[groups->group_of[c]].labels;
        for (size_t i = 0; i < grid->steps; i++) {
            TRY(eval_tick(eval, 1));
            if (!is_absent(input->columns[c].values[i]))
                TRY(count_value(&counting, group, input->columns[c].values[i], i));
        }
    }
    *ret_value = result;
    return ERR_NONE;
}
