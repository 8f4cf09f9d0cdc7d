/* SPDX-License-Identifier: Apache-2.0 */
/* trace_tree - the spans of one trace as a sound tree, whatever was sent.
 *
 * Spans come from many programs, each with its own clock and its own mistakes. The tree has every
 * span once, each with a parent that was walked before it, and times that can be computed with:
 *
 *     root missing, parent missing   stand below the trace itself (TRACE_ORPHAN)
 *     parents in a circle            cut at the earliest of them (TRACE_CYCLE)
 *     one id, several spans          all kept (TRACE_DUPLICATE)
 *     ended before it began          takes no time (TRACE_NEGATIVE)
 *     another host's clock           moved into its parent (TRACE_SKEWED)
 *
 * Node 0 is the trace itself: no span, from the first start to the last end of what stands directly
 * below it. The nodes lie in the order of a walk, parents first, so that a subtree is one run and
 * every pass is a loop: nothing here recurses. Lives in the arena; borrows the spans. Any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/span.h"

#define TRACE_NONE           UINT32_MAX
#define TRACE_TREE_SPANS_MAX 4000000

enum trace_flag {
    TRACE_ORPHAN = 1,
    TRACE_CYCLE = 2,
    TRACE_DUPLICATE = 4,
    TRACE_NEGATIVE = 8,
    TRACE_SKEWED = 16,
    TRACE_DETACHED = 32, /* Goes on after its parent has ended: nobody waited for it. */
    TRACE_ERROR = 64,    /* Its status is error. */
};

struct trace_node {
    const struct span *span; /* NULL: the trace itself. */
    int64_t start_ns;        /* Corrected; never after end_ns. */
    int64_t end_ns;
    int64_t shift_ns; /* What the correction added; 0 unless TRACE_SKEWED. */
    uint32_t parent;  /* TRACE_NONE at node 0. */
    uint32_t first_child;
    uint32_t next_sibling; /* Children by their start as it was sent. */
    uint32_t after;        /* First node behind its subtree. */
    uint32_t child_count;
    uint32_t depth;     /* 0 at node 0. */
    uint32_t operation; /* Among the tree's operations; TRACE_NONE at node 0. */
    uint32_t flags;
};

/* All spans of one name in one service. The times are for others to add up. */
struct trace_operation {
    struct str service;
    struct str name;
    uint32_t calls;
    uint32_t errors;
    int64_t total_ns;
    int64_t self_ns;
    int64_t critical_ns;
};

struct trace_tree {
    struct trace_node *nodes;
    uint32_t count; /* Node 0 included. */
    uint32_t root;  /* The earliest span that says it has no parent; TRACE_NONE: not arrived. */
    struct trace_operation *operations;
    uint32_t operations_count;
    int64_t last_ns; /* End of all, detached spans included. */
    uint32_t roots;  /* Spans that say they have no parent. */
    uint32_t orphans, cycles, duplicates, negatives, skewed, detached, errors;
    int64_t shift_most_ns; /* Of the largest correction, without sign. */
};

/* spans in any order; a trace as the store gives it is by start. ERR_LIMIT: more than
 * TRACE_TREE_SPANS_MAX, or the arena is spent (about 120 bytes a span). */
CHECKED enum err trace_tree_build(const struct span *spans, size_t count, struct arena *arena,
                                  struct trace_tree *ret_tree, struct why *why);

static inline int64_t trace_node_ns(const struct trace_node *node)
{
    return node->end_ns - node->start_ns;
}

/* The sum of two stretches; where times are nonsense, as much as fits. */
static inline int64_t trace_sum_ns(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Is it an ancestor of, or the same as, the other? */
static inline bool trace_tree_holds(const struct trace_tree *tree, uint32_t ancestor, uint32_t node)
{
    return node >= ancestor && node < tree->nodes[ancestor].after;
}
