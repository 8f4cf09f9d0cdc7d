/* SPDX-License-Identifier: Apache-2.0 */
/* trace_path - what a request waited for, and whose own work it was.
 *
 * The critical path of a node is a row of stretches that fills it from start to end without a hole
 * or an overlap: each says whose own work was being waited for. Make a stretch shorter and the
 * request ends earlier; make anything else shorter and it does not. How it is found: trace_path.c.
 * Everything lives in the arena. Any thread. */
#pragma once
#include "analysis/trace_tree.h"

struct trace_stretch {
    uint32_t node;
    int64_t from_ns;
    int64_t to_ns; /* After from_ns. */
};

struct trace_path {
    struct trace_stretch *items; /* By time. */
    size_t count;
};

/* The path of the subtree at `top`; 0 for the whole trace. ERR_LIMIT: the arena is spent. */
CHECKED enum err trace_path_find(const struct trace_tree *tree, uint32_t top, struct arena *arena,
                                 struct trace_path *ret_path, struct why *why);

/* Time of each node in which none of its children ran, detached ones included. At node 0: time in
 * which none of the tops ran. */
CHECKED enum err trace_path_self(const struct trace_tree *tree, struct arena *arena,
                                 int64_t **ret_self_ns, struct why *why);

/* Adds both to the operations of the tree. */
void trace_path_account(struct trace_tree *tree, const struct trace_path *path,
                        const int64_t *self_ns);
