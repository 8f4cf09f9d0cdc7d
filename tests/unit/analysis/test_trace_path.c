/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/trace_path.h"
#include "test.h"

#include "trace_maker.h"

struct found {
    struct trace_tree tree;
    struct trace_path path;
    int64_t *self_ns;
};

static struct found find(struct arena *arena)
{
    struct found found = {.self_ns = NULL};
    struct why why = WHY_INIT;

    if (trace_tree_build(maker.spans, maker.count, arena, &found.tree, &why) != ERR_NONE ||
        trace_path_find(&found.tree, 0, arena, &found.path, &why) != ERR_NONE ||
        trace_path_self(&found.tree, arena, &found.self_ns, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return found;
}

/* As "1:0-10 2:10-30": ids and milliseconds. */
static const char *written(const struct found *found)
{
    static char text[1024];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < found->path.count; i++) {
        const struct trace_stretch *stretch = &found->path.items[i];
        const struct span *span = found->tree.nodes[stretch->node].span;
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%u:%lld-%lld", i == 0 ? "" : " ",
                             span == NULL ? 0 : maker_id(span), (long long)(stretch->from_ns / MS),
                             (long long)(stretch->to_ns / MS));
    }
    return text;
}

TEST(calls_one_after_the_other_are_all_on_the_path)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "a", "root", 0, 100);
    maker_add(2, 1, "a", "first", 10, 30);
    maker_add(3, 1, "a", "second", 40, 90);
    maker_add(4, 3, "a", "inner", 50, 60);
    struct found found = find(arena);
    EXPECT_TEXT(written(&found), "1:0-10 2:10-30 1:30-40 3:40-50 4:50-60 3:60-90 1:90-100");
    EXPECT(found.self_ns[maker_node(&found.tree, 1)] == 30 * MS);
    EXPECT(found.self_ns[maker_node(&found.tree, 3)] == 40 * MS);
}

TEST(of_calls_side_by_side_the_last_to_end_is_on_the_path)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "a", "root", 0, 100);
    maker_add(2, 1, "a", "short", 10, 60);
    maker_add(3, 1, "a", "long", 10, 90);
    struct found found = find(arena);
    EXPECT_TEXT(written(&found), "1:0-10 3:10-90 1:90-100");
    EXPECT(found.self_ns[maker_node(&found.tree, 1)] == 20 * MS);
}

TEST(ends_that_hardly_overlap_are_one_after_the_other)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "a", "root", 0, 100);
    maker_add(2, 1, "a", "first", 0, 51); /* 1 of 51: the clock. */
    maker_add(3, 1, "a", "second", 50, 100);
    struct found found = find(arena);
    EXPECT_TEXT(written(&found), "2:0-50 3:50-100");
    maker_clear();
    maker_add(1, 0, "a", "root", 0, 100);
    maker_add(2, 1, "a", "first", 0, 70); /* 20 of 70: beside it. */
    maker_add(3, 1, "a", "second", 50, 100);
    found = find(arena);
    EXPECT_TEXT(written(&found), "1:0-50 3:50-100");
}

TEST(nobody_waits_for_what_goes_on_after_its_parent)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "a", "root", 0, 100);
    maker_add(2, 1, "a", "send mail", 20, 5000);
    maker_add(3, 1, "a", "work", 30, 60);
    maker_add(4, 1, "a", "a little late", 60, 102);
    struct found found = find(arena);
    EXPECT_TEXT(written(&found), "1:0-30 3:30-60 4:60-100");
    EXPECT(found.tree.detached == 1);
    EXPECT(found.self_ns[maker_node(&found.tree, 1)] == 20 * MS); /* It ran, all the same. */
}

TEST(between_two_roots_the_trace_itself_is_on_the_path)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "a", "one", 0, 40);
    maker_add(2, 9, "a", "two", 60, 100);
    struct found found = find(arena);
    EXPECT_TEXT(written(&found), "1:0-40 0:40-60 2:60-100");
}

/* The stretches fill what was asked for, without a hole and without an overlap. */
static void check_filled(const struct trace_tree *tree, const struct trace_path *path, uint32_t top)
{
    int64_t at_ns = tree->nodes[top].start_ns;

    for (size_t i = 0; i < path->count; i++) {
        EXPECT(path->items[i].from_ns == at_ns);
        EXPECT(path->items[i].to_ns > at_ns);
        EXPECT(trace_tree_holds(tree, top, path->items[i].node));
        const struct trace_node *node = &tree->nodes[path->items[i].node];
        EXPECT(path->items[i].from_ns >= node->start_ns && path->items[i].to_ns <= node->end_ns);
        at_ns = path->items[i].to_ns;
    }
    EXPECT(at_ns == tree->nodes[top].end_ns);
}

/* Brute force, by the half millisecond that random times never cut. */
static int64_t self_by_counting(const struct trace_tree *tree, uint32_t index)
{
    const struct trace_node *node = &tree->nodes[index];
    int64_t self_ns = 0;

    for (int64_t at = node->start_ns; at < node->end_ns; at += MS) {
        bool is_covered = false;
        for (uint32_t c = node->first_child; c != TRACE_NONE; c = tree->nodes[c].next_sibling)
            is_covered |= tree->nodes[c].start_ns <= at && tree->nodes[c].end_ns > at;
        self_ns += is_covered ? 0 : MS;
    }
    return self_ns;
}

TEST(a_path_fills_any_trace_and_self_times_are_what_counting_gives)
{
    for (uint32_t seed = 1; seed <= 200; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
        maker_scramble(seed, 1 + seed % 40);
        for (size_t i = 0; i < maker.count; i++) /* One clock: counting goes by milliseconds. */
            maker.spans[i].resource = maker_resource("a", "one");
        struct found found = find(arena);
        check_filled(&found.tree, &found.path, 0);
        for (uint32_t i = 0; i < found.tree.count; i++)
            EXPECT(found.self_ns[i] == self_by_counting(&found.tree, i));
    }
}

TEST(skewed_traces_are_filled_too_and_any_part_of_them)
{
    for (uint32_t seed = 1; seed <= 200; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
        maker_scramble(seed, 1 + seed % 40);
        struct found found = find(arena);
        check_filled(&found.tree, &found.path, 0);
        for (uint32_t top = 1; top < found.tree.count; top += 3) {
            struct trace_path part;
            ASSERT(trace_path_find(&found.tree, top, arena, &part, NULL) == ERR_NONE);
            check_filled(&found.tree, &part, top);
        }
    }
}

TEST(where_nothing_runs_in_parallel_self_times_sum_up_to_the_whole)
{
    for (uint32_t seed = 1; seed <= 100; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
        uint32_t state = seed;
        int64_t sum_ns = 0;

        maker_clear();
        maker_add(1, 0, "a", "root", 0, 1000);
        for (uint32_t i = 0; i < 10; i++) { /* Ten rooms, in each a child, in each a child. */
            double from = 100 * i + maker_random(&state) % 20;
            maker_add(10 + i, 1, "a", "outer", from, from + 60);
            maker_add(30 + i, 10 + i, "a", "inner", from + 1, from + 1 + maker_random(&state) % 50);
        }
        struct found found = find(arena);
        int64_t critical_ns = 0;
        for (uint32_t i = 1; i < found.tree.count; i++)
            sum_ns += found.self_ns[i];
        EXPECT(sum_ns == 1000 * MS);
        trace_path_account(&found.tree, &found.path, found.self_ns);
        sum_ns = 0;
        for (uint32_t i = 0; i < found.tree.operations_count; i++) {
            sum_ns += found.tree.operations[i].self_ns;
            critical_ns += found.tree.operations[i].critical_ns;
        }
        EXPECT(sum_ns == 1000 * MS && critical_ns == 1000 * MS);
    }
}

TEST(nested_spans_cover_no_more_than_their_root_with_their_path)
{
    for (uint32_t seed = 1; seed <= 100; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
        int64_t sum_ns = 0;
        maker_nest(seed, 1 + seed);
        struct found found = find(arena);
        check_filled(&found.tree, &found.path, 0);
        for (uint32_t i = 1; i < found.tree.count; i++)
            sum_ns += found.self_ns[i];
        EXPECT(sum_ns >= 1000 * MS); /* More where they run side by side. */
        EXPECT(found.self_ns[0] == 0);
    }
}

TEST_MAIN
