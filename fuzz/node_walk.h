/* SPDX-License-Identifier: Apache-2.0 */
/* node_walk - asks every node of a tree everything, for the fuzzers of the readers that make one.
 */
#pragma once
#include "codec/node.h"

static inline void node_walk(const struct node *node)
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
    node_walk(child);
}
