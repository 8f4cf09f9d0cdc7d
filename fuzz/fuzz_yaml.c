/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: a tree whose every node can be asked, or an error with a sentence. */
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct node *node)
{
    struct why why = WHY_INIT;
    struct buf place CLEANUP(buf_done) = {0};
    int64_t number;
    double fraction;

    node_write_place(node, &place);
    MUST(place.size > 0);
    if (node->kind == NODE_SCALAR) {
        /* Whether it is any of these is of no interest, only that asking is safe. */
        (void)node_duration_ms(node, &number, &why);
        (void)node_size(node, &number, &why);
        (void)node_ratio(node, &fraction, &why);
        (void)node_double(node, &fraction, &why);
    }
    if (node->key.data != NULL && node->kind != NODE_NULL)
        MUST(node_get_str(node->parent, node->key) == node);
    NODE_EACH(node, child)
    ask(child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4 << 20);
    struct str text = {(const char *)data, size};
    const struct node *root = NULL;
    struct why why = WHY_INIT;

    if (yaml_read(text, "fuzz", arena, &root, &why) == ERR_NONE)
        ask(root);
    else
        MUST(why.text[0] != '\0');
    arena_free(arena);
    return 0;
}
