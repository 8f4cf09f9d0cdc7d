/* SPDX-License-Identifier: Apache-2.0 */
/* Children are linked in the order of the document, which is the order people expect messages and
 * lists in; a map also has its children sorted by key, so that a big map is searched and not
 * walked. */
#include "codec/node.h"
#include "base/nearest.h"
#include "base/option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Building. ---- */

enum err node_add(struct node_builder *builder, struct node *parent, struct node **ret_node,
                  struct why *why)
{
    if (builder->count == NODE_COUNT_MAX)
        return fail(why, ERR_LIMIT, "%s: more than %d values", builder->document, NODE_COUNT_MAX);
    struct node *node = ARENA_NEW(builder->arena, struct node);
    if (node == NULL)
        return arena_spent(builder->arena, builder->document, why);
    builder->count++;
    node->document = builder->document;
    node->parent = parent;
    *ret_node = node;
    if (parent == NULL)
        return ERR_NONE;

    node->index = parent->count++;
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
    return ERR_NONE;
}

/* By key, then by place, so that of two equal keys the second one is complained about. */
static int by_key(const void *a, const void *b)
{
    const struct node *one = *(const struct node *const *)a;
    const struct node *two = *(const struct node *const *)b;
    int order = str_compare(one->key, two->key);

    return order != 0 ? order : (one->index > two->index) - (one->index < two->index);
}

enum err node_finish_map(struct node_builder *builder, struct node *map, struct why *why)
{
    if (map->count == 0)
        return ERR_NONE;
    const struct node **sorted = ARENA_ARRAY(builder->arena, map->count, const struct node *);
    if (sorted == NULL)
        return arena_spent(builder->arena, builder->document, why);
    NODE_EACH(map, child)
    sorted[child->index] = child;
    qsort(sorted, map->count, sizeof(const struct node *), by_key);
    for (uint32_t i = 1; i < map->count; i++) {
        if (!str_eq(sorted[i - 1]->key, sorted[i]->key))
            continue;
        if (sorted[i - 1]->line == 0)
            return node_fail(sorted[i], why, "the key occurs twice");
        return node_fail(sorted[i], why, "the key was already given in line %u",
                         sorted[i - 1]->line);
    }
    map->sorted = sorted;
    return ERR_NONE;
}

/* ---- Places. ---- */

void node_write_path(const struct node *node, struct buf *out)
{
    if (node->parent == NULL)
        return;
    node_write_path(node->parent, out);
    if (node->parent->kind == NODE_LIST) {
        buf_printf(out, "[%u]", node->index);
        return;
    }
    buf_text(out, node->parent->parent == NULL ? "" : ".");
    for (size_t i = 0; i < node->key.size && i < 80; i++)
        buf_byte(out, (unsigned char)node->key.data[i] < ' ' ? '?' : (uint8_t)node->key.data[i]);
}

void node_write_place(const struct node *node, struct buf *out)
{
    buf_text(out, node->document);
    if (node->line > 0)
        buf_printf(out, ":%u:%u", node->line, node->column);
    if (node->parent != NULL) {
        buf_text(out, ": ");
        node_write_path(node, out);
    }
}

enum err node_fail(const struct node *node, struct why *why, const char *format, ...)
{
    struct buf place CLEANUP(buf_done) = {0};
    char text[WHY_TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* Cut is fine. */
    va_end(arguments);
    node_write_place(node, &place);
    return fail(why, ERR_INVALID, "%s: %s", buf_cstr(&place), text);
}

/* ---- Finding. ---- */

const struct node *node_get_str(const struct node *node, struct str key)
{
    size_t low = 0, high;

    if (node == NULL || node->kind != NODE_MAP || node->sorted == NULL)
        return NULL;
    high = node->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(key, node->sorted[middle]->key);
        if (order == 0)
            return node->sorted[middle]->kind == NODE_NULL ? NULL : node->sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct node *node_get(const struct node *node, const char *key)
{
    return node_get_str(node, str_of(key));
}

enum err node_need(const struct node *node, const char *key, const struct node **ret_child,
                   struct why *why)
{
    TRY(node_map(node, why));
    const struct node *child = node_get(node, key);
    if (child == NULL)
        return node_fail(node, why, "the key '%s' is missing", key);
    *ret_child = child;
    return ERR_NONE;
}

/* ---- Values. ---- */

static const char *kind_text(const struct node *node)
{
    static const char *const texts[] = {
        [NODE_NULL] = "nothing",
        [NODE_SCALAR] = "a single value",
        [NODE_LIST] = "a list",
        [NODE_MAP] = "a map of keys",
    };

    return texts[node->kind];
}

static enum err need_scalar(const struct node *node, const char *expected, struct why *why)
{
    if (node->kind != NODE_SCALAR)
        return node_fail(node, why, "expected %s, found %s", expected, kind_text(node));
    return ERR_NONE;
}

static enum err refuse(const struct node *node, const char *expected, struct why *why)
{
    struct str shown = node->text;

    if (shown.size > 80)
        shown.size = 80;
    return node_fail(node, why, "'%.*s' is not %s", STR_ARG(shown), expected);
}

#define TEXT_EXPECTED     "a text"
#define BOOL_EXPECTED     "true or false"
#define INTEGER_EXPECTED  "a whole number"
#define NUMBER_EXPECTED   "a number"
#define DURATION_EXPECTED "a duration such as 250ms, 15s, 2h or 30d"
#define SIZE_EXPECTED     "a size such as 64KiB, 16MiB or 2GiB"
#define RATIO_EXPECTED    "a ratio between 0 and 1, or 0% to 100%"

enum err node_text(const struct node *node, struct str *ret_text, struct why *why)
{
    TRY(need_scalar(node, TEXT_EXPECTED, why));
    *ret_text = node->text;
    return ERR_NONE;
}

enum err node_bool(const struct node *node, bool *ret_value, struct why *why)
{
    TRY(need_scalar(node, BOOL_EXPECTED, why));
    if (node->quoted || !option_parse_bool(node->text, ret_value))
        return refuse(node, BOOL_EXPECTED, why);
    return ERR_NONE;
}

enum err node_i64(const struct node *node, int64_t *ret_value, struct why *why)
{
    TRY(need_scalar(node, INTEGER_EXPECTED, why));
    if (!str_to_i64(node->text, ret_value))
        return refuse(node, INTEGER_EXPECTED, why);
    return ERR_NONE;
}

enum err node_double(const struct node *node, double *ret_value, struct why *why)
{
    TRY(need_scalar(node, NUMBER_EXPECTED, why));
    if (!str_to_double(node->text, ret_value))
        return refuse(node, NUMBER_EXPECTED, why);
    return ERR_NONE;
}

enum err node_duration_ms(const struct node *node, int64_t *ret_ms, struct why *why)
{
    TRY(need_scalar(node, DURATION_EXPECTED, why));
    if (str_eq(node->text, STR("0")))
        *ret_ms = 0;
    else if (!str_to_duration_ms(node->text, ret_ms))
        return refuse(node, DURATION_EXPECTED, why);
    return ERR_NONE;
}

enum err node_size(const struct node *node, int64_t *ret_bytes, struct why *why)
{
    TRY(need_scalar(node, SIZE_EXPECTED, why));
    if (!option_parse_size(node->text, ret_bytes))
        return refuse(node, SIZE_EXPECTED, why);
    return ERR_NONE;
}

enum err node_ratio(const struct node *node, double *ret_ratio, struct why *why)
{
    TRY(need_scalar(node, RATIO_EXPECTED, why));
    if (!option_parse_ratio(node->text, ret_ratio))
        return refuse(node, RATIO_EXPECTED, why);
    return ERR_NONE;
}

enum err node_list(const struct node *node, struct why *why)
{
    if (node->kind != NODE_LIST)
        return node_fail(node, why, "expected a list, found %s", kind_text(node));
    return ERR_NONE;
}

enum err node_map(const struct node *node, struct why *why)
{
    if (node->kind != NODE_MAP)
        return node_fail(node, why, "expected a map of keys, found %s", kind_text(node));
    return ERR_NONE;
}

enum err node_only(const struct node *map, const char *const *keys, size_t count, struct why *why)
{
    TRY(node_map(map, why));
    NODE_EACH(map, child)
    {
        struct nearest nearest = nearest_begin(child->key);
        bool known = false;
        for (size_t i = 0; i < count && !known; i++) {
            known = str_eq(child->key, str_of(keys[i]));
            nearest_offer(&nearest, str_of(keys[i]));
        }
        if (known)
            continue;
        struct str meant = nearest_found(&nearest);
        (void)node_fail(child, why, "unknown key '%.*s'",
                        (int)(child->key.size > 80 ? 80 : child->key.size), child->key.data);
        if (meant.data != NULL)
            hint(why, "did you mean '%.*s'?", STR_ARG(meant));
        return ERR_INVALID;
    }
    return ERR_NONE;
}
