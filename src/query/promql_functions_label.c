/* SPDX-License-Identifier: Apache-2.0 */
/* label_replace and label_join. Both may make label sets equal that were not: columns that never
 * meet then become one, others make the question fail. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"

static enum err check_name(struct eval *eval, const struct node *node, struct str name,
                           const char *what)
{
    if (name.size > 0 && name.size <= LABEL_NAME_BYTES && str_is_utf8(name))
        return ERR_NONE;
    return eval_fail(eval, node, "invalid %s label name in %s(): \"%.*s\"", what,
                     node->call.function->name, STR_ARG(name));
}

/* Puts the value on the column; giving it a name means that the name is to stay. */
static enum err put_label(struct eval *eval, const struct node *node, struct column *column,
                          struct str name, struct buf *value)
{
    struct label_edit edit;
    struct str kept = arena_str(eval->arena, buf_view(value));

    if (kept.data == NULL)
        return eval_spent(eval);
    if (kept.size > LABEL_VALUE_BYTES)
        return eval_fail(eval, node, "a label value would have more than %d bytes",
                         LABEL_VALUE_BYTES);
    label_edit_from(&edit, column->labels);
    if (!label_edit_set(&edit, name, kept))
        return eval_fail(eval, node, "a result would have more than %d labels", LABEL_COUNT_MAX);
    column->labels = label_edit_build(&edit, eval->arena);
    if (str_eq(name, LABEL_NAME))
        column->drop_name = false;
    return column->labels == NULL ? eval_spent(eval) : ERR_NONE;
}

static enum err replace_all(struct eval *eval, const struct node *node, const struct regex *regex,
                            struct operand *value)
{
    const struct node *const *arguments = node->call.arguments;
    struct str destination = eval_string(arguments[1]);
    struct str replacement = eval_string(arguments[2]);
    struct str source = eval_string(arguments[3]);
    CLEANUP(buf_done) struct buf expanded = {0};

    for (size_t c = 0; c < value->count; c++) {
        struct column *column = &value->columns[c];
        struct str before = labels_get(column->labels, source);
        if (before.data == NULL)
            before = STR("");
        buf_clear(&expanded);
        TRY(eval_tick(eval, 1));
        if (regex_expand(regex, before, replacement, &expanded))
            TRY(put_label(eval, node, column, destination, &expanded));
    }
    return ERR_NONE;
}

enum err call_label_replace(struct eval *eval, const struct grid *grid, const struct node *node,
                            struct operand *ret_value)
{
    struct str pattern = eval_string(node->call.arguments[4]);
    struct regex *regex;
    struct why why = WHY_INIT;

    TRY(check_name(eval, node, eval_string(node->call.arguments[1]), "destination"));
    TRY(eval_vector(eval, grid, node->call.arguments[0], ret_value));
    if (regex_new(pattern, &regex, &why) != ERR_NONE)
        return eval_fail(eval, node->call.arguments[4],
                         "invalid regular expression in label_replace(): %s", why.text);
    enum err err = replace_all(eval, node, regex, ret_value);
    bool gave_up = regex_gave_up(regex);
    (void)regex_free(regex); /* NULL. */
    TRY(err);
    if (gave_up)
        return fail_at(eval->why, ERR_LIMIT, node->start,
                       "the regular expression in label_replace() needs too many steps");
    return operand_merge(eval, grid, ret_value, false, promql_same_labelset);
}

enum err call_label_join(struct eval *eval, const struct grid *grid, const struct node *node,
                         struct operand *ret_value)
{
    const struct node *const *arguments = node->call.arguments;
    struct str destination = eval_string(arguments[1]);
    struct str separator = eval_string(arguments[2]);
    CLEANUP(buf_done) struct buf joined = {0};

    TRY(check_name(eval, node, destination, "destination"));
    for (size_t i = 3; i < node->call.arguments_count; i++)
        TRY(check_name(eval, node, eval_string(arguments[i]), "source"));
    TRY(eval_vector(eval, grid, arguments[0], ret_value));
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        buf_clear(&joined);
        for (size_t i = 3; i < node->call.arguments_count; i++) {
            if (i > 3)
                buf_str(&joined, separator);
            buf_str(&joined, labels_get(column->labels, eval_string(arguments[i])));
        }
        TRY(put_label(eval, node, column, destination, &joined));
        TRY(eval_tick(eval, 1));
    }
    return operand_merge(eval, grid, ret_value, false, promql_same_labelset);
}
