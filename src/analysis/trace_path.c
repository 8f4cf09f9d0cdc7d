/* SPDX-License-Identifier: Apache-2.0 */
/* The critical path, from the end backwards.
 *
 * A parent ends when the child that ended last lets it; that child could begin when the one that
 * ended last before it let it; and so on. What lies between, and before the first of them, is the
 * parent's own work. In each child the same is done again. (Z. Zhang et al., "CRISP: Critical Path
 * Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022.)
 *
 *     parent  |-------------------------------------------|
 *     a          |----------|                                 behind it: b
 *     b                  |-----------------|                  a overlaps it by a lot: a did not
 *     c                                    |------|           let it begin
 *     path    |----------|b               b|c    c|-------|
 *
 * A child in parallel with the path is not on it. Two additions of ours for times as clocks tell
 * them: a child may overlap its successor by a tenth of the shorter of both, and is cut there; and
 * a detached child (trace_tree.h) was waited for by nobody.
 *
 * Children are looked at once each, by falling end, and a node is entered once at most, from a list
 * of what is still to be done: time is that of sorting, whatever the shape. */
#include "analysis/trace_path.h"

#include <stdlib.h>

#define OVERLAP_SHARE 10

/* A child while its parent is looked at. */
struct piece {
    int64_t start_ns;
    int64_t end_ns;
    uint32_t node;
};

/* A node on the path, and the time in which it is. */
struct task {
    uint32_t node;
    int64_t from_ns;
    int64_t to_ns;
};

struct walk {
    const struct trace_tree *tree;
    struct piece *pieces; /* Room for the children of any one node. */
    struct task *tasks;
    size_t tasks_count;
    struct trace_stretch *out;
    size_t out_count;
};

static int latest_end_first(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;

    if (left->end_ns != right->end_ns)
        return left->end_ns > right->end_ns ? -1 : 1;
    if (left->start_ns != right->start_ns)
        return left->start_ns > right->start_ns ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

static int earliest_start_first(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;

    return (left->start_ns > right->start_ns) - (left->start_ns < right->start_ns);
}

/* The children, cut to [from, to]; what nothing is left of is left out. */
static size_t take_children(struct walk *walk, uint32_t node, int64_t from_ns, int64_t to_ns,
                            bool with_detached)
{
    const struct trace_node *nodes = walk->tree->nodes;
    size_t count = 0;

    for (uint32_t at = nodes[node].first_child; at != TRACE_NONE; at = nodes[at].next_sibling) {
        const struct trace_node *child = &nodes[at];
        if ((child->flags & TRACE_DETACHED) != 0 && !with_detached)
            continue;
        struct piece piece = {
            .start_ns = child->start_ns < from_ns ? from_ns : child->start_ns,
            .end_ns = child->end_ns > to_ns ? to_ns : child->end_ns,
            .node = at,
        };
        if (piece.start_ns < piece.end_ns)
            walk->pieces[count++] = piece;
    }
    return count;
}

static uint32_t most_children(const struct trace_tree *tree)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < tree->count; i++)
        most = tree->nodes[i].child_count > most ? tree->nodes[i].child_count : most;
    return most;
}

/* ---- The path. ---- */

static void put_stretch(struct walk *walk, uint32_t node, int64_t from_ns, int64_t to_ns)
{
    if (from_ns < to_ns)
        walk->out[walk->out_count++] = (struct trace_stretch){node, from_ns, to_ns};
}

/* How far a child may reach beyond where its successor began. */
static int64_t slack(const struct piece *piece, int64_t successor_ns)
{
    int64_t own_ns = piece->end_ns - piece->start_ns;

    return (own_ns < successor_ns ? own_ns : successor_ns) / OVERLAP_SHARE;
}

static void follow(struct walk *walk, const struct task *task)
{
    size_t count = take_children(walk, task->node, task->from_ns, task->to_ns, false);
    int64_t at_ns = task->to_ns;
    int64_t successor_ns = 0; /* Nothing comes after the last one. */

    qsort(walk->pieces, count, sizeof(*walk->pieces), latest_end_first);
    for (size_t i = 0; i < count && at_ns > task->from_ns; i++) {
        const struct piece *piece = &walk->pieces[i];
        if (piece->start_ns >= at_ns || piece->end_ns - at_ns > slack(piece, successor_ns))
            continue;
        int64_t end_ns = piece->end_ns < at_ns ? piece->end_ns : at_ns;
        put_stretch(walk, task->node, end_ns, at_ns);
        walk->tasks[walk->tasks_count++] = (struct task){piece->node, piece->start_ns, end_ns};
        at_ns = piece->start_ns;
        successor_ns = end_ns - piece->start_ns;
    }
    put_stretch(walk, task->node, task->from_ns, at_ns);
}

static int by_time(const void *a, const void *b)
{
    const struct trace_stretch *left = a;
    const struct trace_stretch *right = b;

    return (left->from_ns > right->from_ns) - (left->from_ns < right->from_ns);
}

enum err trace_path_find(const struct trace_tree *tree, uint32_t top, struct arena *arena,
                         struct trace_path *ret_path, struct why *why)
{
    uint32_t nodes = tree->nodes[top].after - top;
    struct walk walk = {.tree = tree};

    /* Each node entered brings a stretch for itself and one behind it in its parent. */
    walk.pieces = ARENA_ARRAY_RAW(arena, (size_t)most_children(tree) + 1, struct piece);
    walk.tasks = ARENA_ARRAY_RAW(arena, (size_t)nodes + 1, struct task);
    walk.out = ARENA_ARRAY_RAW(arena, (size_t)nodes * 2 + 1, struct trace_stretch);
    if (walk.pieces == NULL || walk.tasks == NULL || walk.out == NULL)
        return arena_spent(arena, "the critical path of a trace", why);
    walk.tasks[walk.tasks_count++] =
        (struct task){top, tree->nodes[top].start_ns, tree->nodes[top].end_ns};
    while (walk.tasks_count > 0) {
        struct task task = walk.tasks[--walk.tasks_count];
        follow(&walk, &task);
    }
    qsort(walk.out, walk.out_count, sizeof(*walk.out), by_time);
    *ret_path = (struct trace_path){walk.out, walk.out_count};
    return ERR_NONE;
}

/* ---- Self time. ---- */

static int64_t uncovered(struct walk *walk, uint32_t node)
{
    const struct trace_node *own = &walk->tree->nodes[node];
    size_t count = take_children(walk, node, own->start_ns, own->end_ns, true);
    int64_t left_ns = trace_node_ns(own);
    int64_t reached_ns = own->start_ns;
    bool is_sorted = true;

    for (size_t i = 1; i < count; i++)
        is_sorted = is_sorted && walk->pieces[i - 1].start_ns <= walk->pieces[i].start_ns;
    if (!is_sorted)
        qsort(walk->pieces, count, sizeof(*walk->pieces), earliest_start_first);
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &walk->pieces[i];
        int64_t from_ns = piece->start_ns > reached_ns ? piece->start_ns : reached_ns;
        if (piece->end_ns <= from_ns)
            continue;
        left_ns -= piece->end_ns - from_ns;
        reached_ns = piece->end_ns;
    }
    return left_ns;
}

enum err trace_path_self(const struct trace_tree *tree, struct arena *arena, int64_t **ret_self_ns,
                         struct why *why)
{
    struct walk walk = {.tree = tree};
    int64_t *self_ns = ARENA_ARRAY_RAW(arena, tree->count, int64_t);

    walk.pieces = ARENA_ARRAY_RAW(arena, (size_t)most_children(tree) + 1, struct piece);
    if (walk.pieces == NULL || self_ns == NULL)
        return arena_spent(arena, "the self times of a trace", why);
    for (uint32_t i = 0; i < tree->count; i++)
        self_ns[i] = uncovered(&walk, i);
    *ret_self_ns = self_ns;
    return ERR_NONE;
}

void trace_path_account(struct trace_tree *tree, const struct trace_path *path,
                        const int64_t *self_ns)
{
    for (uint32_t i = 1; i < tree->count; i++) {
        struct trace_operation *operation = &tree->operations[tree->nodes[i].operation];
        operation->self_ns = trace_sum_ns(operation->self_ns, self_ns[i]);
    }
    for (size_t i = 0; i < path->count; i++) {
        uint32_t operation = tree->nodes[path->items[i].node].operation;
        if (operation != TRACE_NONE) /* Stretches of a path do not overlap: their sum fits. */
            tree->operations[operation].critical_ns +=
                path->items[i].to_ns - path->items[i].from_ns;
    }
}
