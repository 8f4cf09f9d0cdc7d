/* SPDX-License-Identifier: Apache-2.0 */
/* jansson checks the text and builds its own values on the heap; they are copied into nodes of the
 * arena and dropped, so that readers of YAML and JSON are the same code. jansson bounds its own
 * nesting at 2,048; copying bounds it again at NODE_DEPTH_MAX before it descends. */
#include "codec/json_tree.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static void drop(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}

static enum err keep(struct node_builder *builder, const char *data, size_t size,
                     struct str *ret_str, struct why *why)
{
    struct str text = arena_str(builder->arena, (struct str){data, size});

    if (text.data == NULL)
        return arena_spent(builder->arena, builder->document, why);
    *ret_str = text;
    return ERR_NONE;
}

static enum err copy_scalar(struct node_builder *builder, const json_t *value, struct node *node,
                            struct why *why)
{
    char number[STR_DOUBLE_SIZE];

    node->kind = NODE_SCALAR;
    switch (json_typeof(value)) {
    case JSON_STRING:
        node->quoted = true;
        return keep(builder, json_string_value(value), json_string_length(value), &node->text, why);
    case JSON_INTEGER:
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return keep(builder, number, strlen(number), &node->text, why);
    case JSON_REAL:
        return keep(builder, number, str_from_double(number, json_real_value(value)), &node->text,
                    why);
    case JSON_TRUE:
        node->text = STR("true");
        return ERR_NONE;
    case JSON_FALSE:
        node->text = STR("false");
        return ERR_NONE;
    default:
        node->kind = NODE_NULL;
        return ERR_NONE;
    }
}

static enum err copy_value(struct node_builder *builder, json_t *value, struct node *node,
                           size_t depth, struct why *why);

static enum err copy_list(struct node_builder *builder, json_t *value, struct node *node,
                          size_t depth, struct why *why)
{
    struct node *child;
    json_t *item;
    size_t index;

    node->kind = NODE_LIST;
    json_array_foreach(value, index, item)
    {
        TRY(node_add(builder, node, &child, why));
        TRY(copy_value(builder, item, child, depth + 1, why));
    }
    return ERR_NONE;
}

static enum err copy_map(struct node_builder *builder, json_t *value, struct node *node,
                         size_t depth, struct why *why)
{
    struct node *child;

    node->kind = NODE_MAP;
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        const char *key = json_object_iter_key(at);
        TRY(node_add(builder, node, &child, why));
        TRY(keep(builder, key, strlen(key), &child->key, why));
        TRY(copy_value(builder, json_object_iter_value(at), child, depth + 1, why));
    }
    return node_finish_map(builder, node, why);
}

static enum err copy_value(struct node_builder *builder, json_t *value, struct node *node,
                           size_t depth, struct why *why)
{
    if (!json_is_array(value) && !json_is_object(value))
        return copy_scalar(builder, value, node, why);
    if (depth == NODE_DEPTH_MAX)
        return fail(why, ERR_LIMIT, "%s: nested deeper than %d", builder->document, NODE_DEPTH_MAX);
    if (json_is_array(value))
        return copy_list(builder, value, node, depth, why);
    return copy_map(builder, value, node, depth, why);
}

static enum err fail_parser(const char *name, const json_error_t *error, struct why *why)
{
    if (error->line <= 0)
        return fail(why, ERR_INVALID, "%s: %s", name, error->text);
    return fail_at(why, ERR_INVALID, error->position, "%s:%d:%d: %s", name, error->line,
                   error->column, error->text);
}

enum err json_read(struct str text, const char *name, size_t limit_bytes, struct arena *arena,
                   const struct node **ret_root, struct why *why)
{
    struct node_builder builder = {.arena = arena};
    struct node *root;
    json_error_t error;

    if (text.size > limit_bytes)
        return fail(why, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, limit_bytes);
    if (memchr(text.data == NULL ? "" : text.data, '\0', text.size) != NULL)
        return fail(why, ERR_INVALID, "%s: a zero byte is no JSON", name); /* It ends there else. */
    builder.document = arena_printf(arena, "%s", name);
    if (builder.document == NULL)
        return arena_spent(arena, name, why);
    json_t *value CLEANUP(drop) = json_loadb(text.size == 0 ? "" : text.data, text.size,
                                             JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL)
        return fail_parser(name, &error, why);
    TRY(node_add(&builder, NULL, &root, why));
    TRY(copy_value(&builder, value, root, 0, why));
    *ret_root = root;
    return ERR_NONE;
}
