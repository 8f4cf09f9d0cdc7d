/* SPDX-License-Identifier: Apache-2.0 */
/* Two vectors meet: elements whose matching labels are equal form a match group.
 *
 * Groups are found once per question, from labels alone. Each pair of a column on the "many" side
 * and a column on the "one" side of a group (in one-to-one matching the left side plays "many")
 * gives a column of results, present where both are. What Prometheus demands of every instant is
 * then checked along the steps of the groups that could break it: at most one element on the
 * "one" side, and, one-to-one, at most one on the other.
 *
 * The fill modifiers let a side that is missing at a step stand in with a number. */
#include "query/promql_eval_priv.h"

#include "query/promql_labels.h"

#include <stdio.h>

#define NO_COLUMN UINT32_MAX

struct match_group {
    const struct labels *labels; /* What its elements agree in. */
    uint32_t many;               /* First column; the rest by next_many. */
    uint32_t one;
    uint32_t many_count;
    uint32_t one_count;
};

struct match {
    struct eval *eval;
    const struct grid *grid;
    const struct node *node;
    const struct node_binary *binary;
    struct operand *many;
    struct operand *one;
    struct match_group *groups;
    size_t groups_count;
    uint32_t *group_of_many;
    uint32_t *group_of_one;
    uint32_t *next_many;
    uint32_t *next_one;
    bool many_is_left;
    bool comparison;
    bool has_fill_many;
    bool has_fill_one;
    double fill_many;
    double fill_one;
    bool *many_at; /* Per step: whether anything is on that side; made when first needed. */
    struct operand *result;
    size_t result_capacity;
};

static enum err group_labels(struct match *match, const struct labels *labels,
                             const struct labels **ret_labels)
{
    const struct label_names *names = &match->binary->matching;
    struct label_edit edit;

    label_edit_from(&edit, labels);
    if (match->binary->on) {
        label_edit_keep(&edit, names->names, names->count);
    } else {
        label_edit_remove(&edit, names->names, names->count);
        label_edit_remove_schema(&edit);
    }
    *ret_labels = label_edit_build(&edit, match->eval->arena);
    return *ret_labels == NULL ? eval_spent(match->eval) : ERR_NONE;
}

static enum err find_groups(struct match *match)
{
    struct arena *arena = match->eval->arena;
    size_t total = match->many->count + match->one->count;
    struct label_table table;

    match->group_of_many = ARENA_ARRAY(arena, match->many->count, uint32_t);
    match->group_of_one = ARENA_ARRAY(arena, match->one->count, uint32_t);
    match->next_many = ARENA_ARRAY(arena, match->many->count, uint32_t);
    match->next_one = ARENA_ARRAY(arena, match->one->count, uint32_t);
    match->groups = ARENA_ARRAY(arena, total, struct match_group);
    if (!label_table_init(&table, total, arena) || match->groups == NULL ||
        match->group_of_many == NULL || match->group_of_one == NULL || match->next_many == NULL ||
        match->next_one == NULL)
        return eval_spent(match->eval);
    for (size_t i = 0; i < total; i++) {
        bool is_one = i < match->one->count;
        size_t c = is_one ? i : i - match->one->count;
        struct operand *side = is_one ? match->one : match->many;
        const struct labels *labels;
        TRY(group_labels(match, side->columns[c].labels, &labels));
        uint32_t number = label_table_put(&table, labels);
        struct match_group *group = &match->groups[number];
        if (group->labels == NULL)
            *group = (struct match_group){labels, NO_COLUMN, NO_COLUMN, 0, 0};
        if (is_one) {
            match->group_of_one[c] = number;
            match->next_one[c] = group->one;
            group->one = (uint32_t)c;
            group->one_count++;
        } else {
            match->group_of_many[c] = number;
            match->next_many[c] = group->many;
            group->many = (uint32_t)c;
            group->many_count++;
        }
    }
    match->groups_count = table.count;
    return ERR_NONE;
}

/* --- what is not allowed --- */

static void write_labels(char *text, size_t size, const struct labels *labels)
{
    struct label label;
    size_t used = 1;

    text[0] = '{';
    text[1] = '\0';
    for (size_t at = 0; labels_next(labels, &at, &label) && used + 4 < size;) {
        int more = snprintf(text + used, size - used, "%s%.*s=\"%.*s\"", used > 1 ? ", " : "",
                            STR_ARG(label.name), STR_ARG(label.value));
        used = more < 0 || (size_t)more >= size - used ? size - 1 : used + (size_t)more;
    }
    if (used + 1 < size) {
        text[used] = '}';
        text[used + 1] = '\0';
    }
}

static enum err duplicate(struct match *match, const struct match_group *group, size_t first,
                          size_t second)
{
    const struct labels *a = match->one->columns[first].labels;
    const struct labels *b = match->one->columns[second].labels;
    char texts[3][160];

    write_labels(texts[0], sizeof(texts[0]), group->labels);
    write_labels(texts[1], sizeof(texts[1]), labels_compare(a, b) < 0 ? a : b);
    write_labels(texts[2], sizeof(texts[2]), labels_compare(a, b) < 0 ? b : a);
    enum err err = eval_fail(
        match->eval, match->node,
        "found duplicate series for the match group %s on the %s hand-side of the operation: [%s, "
        "%s];many-to-many matching not allowed: matching labels must be unique on one side",
        texts[0], match->many_is_left ? "right" : "left", texts[1], texts[2]);
    hint(match->eval->why, "add labels to on(…), or aggregate that side first");
    return err;
}

/* Whether anything at all is on the many side at a step: else nothing is matched there. */
static enum err many_present(struct match *match, size_t step, bool *ret_present)
{
    if (match->many_at == NULL) {
        match->many_at = ARENA_ARRAY(match->eval->arena, match->grid->steps, bool);
        if (match->many_at == NULL)
            return eval_spent(match->eval);
        for (size_t c = 0; c < match->many->count; c++)
            for (size_t i = 0; i < match->grid->steps; i++)
                match->many_at[i] |= !is_absent(match->many->columns[c].values[i]);
    }
    *ret_present = match->many_at[step] || match->has_fill_many;
    return ERR_NONE;
}

static enum err check_one_side(struct match *match, const struct match_group *group)
{
    for (size_t i = 0; group->one_count > 1 && i < match->grid->steps; i++) {
        uint32_t seen = NO_COLUMN;
        for (uint32_t c = group->one; c != NO_COLUMN; c = match->next_one[c]) {
            bool many = false;
            if (is_absent(match->one->columns[c].values[i]))
                continue;
            if (seen == NO_COLUMN) {
                seen = c;
                continue;
            }
            TRY(many_present(match, i, &many));
            if (many)
                return duplicate(match, group, seen, c);
        }
    }
    return ERR_NONE;
}

static bool side_present(const struct operand *side, const uint32_t *next, uint32_t first,
                         size_t step)
{
    for (uint32_t c = first; c != NO_COLUMN; c = next[c])
        if (!is_absent(side->columns[c].values[step]))
            return true;
    return false;
}

static enum err check_many_side(struct match *match, const struct match_group *group)
{
    if (match->binary->cardinality != CARDINALITY_ONE_TO_ONE || group->many_count < 2)
        return ERR_NONE;
    for (size_t i = 0; i < match->grid->steps; i++) {
        size_t count = 0;
        if (!match->has_fill_one && !side_present(match->one, match->next_one, group->one, i))
            continue;
        for (uint32_t c = group->many; c != NO_COLUMN; c = match->next_many[c])
            count += !is_absent(match->many->columns[c].values[i]);
        if (count < 2)
            continue;
        enum err err = eval_fail(match->eval, match->node,
                                 "multiple matches for labels: many-to-one matching must be "
                                 "explicit (group_left/group_right)");
        hint(match->eval->why, "several series on the left match one on the right: group_left "
                               "allows that");
        return err;
    }
    return ERR_NONE;
}

/* --- results --- */

static enum err result_labels(struct match *match, const struct labels *many,
                              const struct labels *one, const struct labels **ret_labels)
{
    const struct node_binary *binary = match->binary;
    struct label_edit edit;

    label_edit_from(&edit, many);
    if (!match->comparison)
        label_edit_remove_schema(&edit);
    if (binary->cardinality == CARDINALITY_ONE_TO_ONE) {
        if (binary->on)
            label_edit_keep(&edit, binary->matching.names, binary->matching.count);
        else
            label_edit_remove(&edit, binary->matching.names, binary->matching.count);
    }
    for (size_t i = 0; one != NULL && i < binary->include.count; i++) {
        struct str name = binary->include.names[i];
        if (!label_edit_set(&edit, name, labels_get(one, name)))
            return eval_fail(match->eval, match->node, "a result would have more than %d labels",
                             LABEL_COUNT_MAX);
    }
    *ret_labels = label_edit_build(&edit, match->eval->arena);
    return *ret_labels == NULL ? eval_spent(match->eval) : ERR_NONE;
}

static enum err new_result(struct match *match, struct column **ret_column)
{
    struct operand *result = match->result;

    if (result->count == match->result_capacity) {
        size_t capacity = match->result_capacity == 0 ? 16 : match->result_capacity * 2;
        struct column *columns = ARENA_ARRAY(match->eval->arena, capacity, struct column);
        if (columns == NULL)
            return eval_spent(match->eval);
        if (result->count > 0)
            memcpy(columns, result->columns, result->count * sizeof(*columns));
        result->columns = columns;
        match->result_capacity = capacity;
    }
    struct column *column = &result->columns[result->count++];
    *column = (struct column){0};
    *ret_column = column;
    return eval_numbers(match->eval, match->grid->steps, &column->values);
}

static double combine(const struct match *match, double many, double one)
{
    double left = match->many_is_left ? many : one;
    double right = match->many_is_left ? one : many;
    double result;

    bool stays = apply_operator(match->binary->operator_kind, left, right, &result);
    if (match->binary->returns_bool)
        return stays;
    return stays ? result : absent_value();
}

static void combine_columns(const struct match *match, const double *many, const double *one,
                            double *result)
{
    size_t steps = match->grid->steps;

    if (!match->comparison) {
        apply_arithmetic(match->binary->operator_kind, match->many_is_left ? many : one,
                         match->many_is_left ? one : many, result, steps);
        return;
    }
    for (size_t i = 0; i < steps; i++)
        result[i] = is_absent(many[i]) || is_absent(one[i]) ? absent_value()
                                                            : combine(match, many[i], one[i]);
}

static enum err match_pair(struct match *match, const struct column *many, const struct column *one)
{
    struct column *column;

    TRY(eval_tick(match->eval, match->grid->steps));
    TRY(new_result(match, &column));
    column->drop_name = match->binary->returns_bool || (match->comparison && many->drop_name);
    combine_columns(match, many->values, one->values, column->values);
    return result_labels(match, many->labels, one->labels, &column->labels);
}

/* Where one side of the group is there and the other is nowhere, the number stands in. */
static enum err fill_column(struct match *match, const struct match_group *group,
                            const struct column *present, bool many_present_side)
{
    struct column *column;
    const struct operand *other = many_present_side ? match->one : match->many;
    const uint32_t *next = many_present_side ? match->next_one : match->next_many;
    uint32_t first = many_present_side ? group->one : group->many;

    TRY(eval_tick(match->eval, match->grid->steps));
    TRY(new_result(match, &column));
    column->drop_name = match->binary->returns_bool || (match->comparison && present->drop_name);
    for (size_t i = 0; i < match->grid->steps; i++) {
        double value = present->values[i];
        if (is_absent(value) || side_present(other, next, first, i))
            column->values[i] = absent_value();
        else
            column->values[i] = many_present_side ? combine(match, value, match->fill_one)
                                                  : combine(match, match->fill_many, value);
    }
    if (many_present_side)
        return result_labels(match, present->labels, NULL, &column->labels);
    return result_labels(match, group->labels, present->labels, &column->labels);
}

static enum err match_group(struct match *match, const struct match_group *group)
{
    TRY(check_one_side(match, group));
    TRY(check_many_side(match, group));
    for (uint32_t m = group->many; m != NO_COLUMN; m = match->next_many[m]) {
        const struct column *many = &match->many->columns[m];
        for (uint32_t o = group->one; o != NO_COLUMN; o = match->next_one[o])
            TRY(match_pair(match, many, &match->one->columns[o]));
        if (match->has_fill_one)
            TRY(fill_column(match, group, many, true));
    }
    for (uint32_t o = group->one; match->has_fill_many && o != NO_COLUMN; o = match->next_one[o])
        TRY(fill_column(match, group, &match->one->columns[o], false));
    return ERR_NONE;
}

static struct match match_of(struct eval *eval, const struct grid *grid, const struct node *node,
                             struct operand *left, struct operand *right, struct operand *result)
{
    const struct node_binary *binary = &node->binary;
    bool many_is_left = binary->cardinality != CARDINALITY_ONE_TO_MANY;

    return (struct match){
        .eval = eval,
        .grid = grid,
        .node = node,
        .binary = binary,
        .many = many_is_left ? left : right,
        .one = many_is_left ? right : left,
        .many_is_left = many_is_left,
        .comparison = operator_row(binary->operator_kind)->is_comparison,
        .has_fill_many = many_is_left ? binary->has_fill_left : binary->has_fill_right,
        .has_fill_one = many_is_left ? binary->has_fill_right : binary->has_fill_left,
        .fill_many = many_is_left ? binary->fill_left : binary->fill_right,
        .fill_one = many_is_left ? binary->fill_right : binary->fill_left,
        .result = result,
    };
}

enum err match_vectors(struct eval *eval, const struct grid *grid, const struct node *node,
                       struct operand *left, struct operand *right, struct operand *ret_value)
{
    struct operand result = {.type = PROMQL_VECTOR};
    struct match match = match_of(eval, grid, node, left, right, &result);

    TRY(find_groups(&match));
    for (size_t g = 0; g < match.groups_count; g++)
        TRY(match_group(&match, &match.groups[g]));
    operand_compact(&result, grid);
    TRY(operand_merge(eval, grid, &result, false,
                      "multiple matches for labels: grouping labels must ensure unique matches"));
    *ret_value = result;
    return ERR_NONE;
}

/* --- and, or, unless --- */

/* Per group and step: whether some column of the side is there. */
static enum err side_presence(const struct match *match, const struct operand *side,
                              const uint32_t *group_of, bool **ret_present)
{
    size_t steps = match->grid->steps;
    bool *present = ARENA_ARRAY(match->eval->arena, match->groups_count * steps, bool);

    if (present == NULL)
        return eval_spent(match->eval);
    for (size_t c = 0; c < side->count; c++) {
        bool *row = present + group_of[c] * steps;
        for (size_t i = 0; i < steps; i++)
            row[i] |= !is_absent(side->columns[c].values[i]);
    }
    *ret_present = present;
    return eval_tick(match->eval, side->count * steps);
}

/* Keeps the points of `side` where its group is present on the other side, or where it is not. */
static void mask(const struct match *match, struct operand *side, const uint32_t *group_of,
                 const bool *present, bool keep_present)
{
    size_t steps = match->grid->steps;

    for (size_t c = 0; c < side->count; c++) {
        const bool *row = present + group_of[c] * steps;
        for (size_t i = 0; i < steps; i++)
            if (row[i] != keep_present)
                side->columns[c].values[i] = absent_value();
    }
    operand_compact(side, match->grid);
}

static enum err concatenate(struct eval *eval, const struct operand *left,
                            const struct operand *right, struct operand *ret_value)
{
    struct operand both = {.type = PROMQL_VECTOR, .count = left->count + right->count};

    both.columns = ARENA_ARRAY(eval->arena, both.count, struct column);
    if (both.columns == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < both.count; c++)
        both.columns[c] = c < left->count ? left->columns[c] : right->columns[c - left->count];
    *ret_value = both;
    return ERR_NONE;
}

enum err match_sets(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *left, struct operand *right, struct operand *ret_value)
{
    struct match match = match_of(eval, grid, node, left, right, NULL);
    bool *present;

    TRY(find_groups(&match));
    if (node->binary.operator_kind == OPERATOR_OR) {
        TRY(side_presence(&match, left, match.group_of_many, &present));
        mask(&match, right, match.group_of_one, present, false);
        return concatenate(eval, left, right, ret_value);
    }
    TRY(side_presence(&match, right, match.group_of_one, &present));
    mask(&match, left, match.group_of_many, present, node->binary.operator_kind == OPERATOR_AND);
    *ret_value = *left;
    return ERR_NONE;
}
