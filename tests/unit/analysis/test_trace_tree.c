/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/trace_tree.h"
#include "base/clock.h"
#include "test.h"

#include "trace_maker.h"

static struct trace_tree build(struct arena *arena)
{
    struct trace_tree tree = {.count = 0};
    struct why why = WHY_INIT;

    if (trace_tree_build(maker.spans, maker.count, arena, &tree, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return tree;
}

static struct trace_node *at(const struct trace_tree *tree, uint32_t id)
{
    return &tree->nodes[maker_node(tree, id)];
}

/* What every tree keeps, whatever was sent. */
static void check_sound(const struct trace_tree *tree, size_t count)
{
    uint64_t children = 0, calls = 0;

    EXPECT(tree->count == count + 1);
    EXPECT(tree->nodes[0].span == NULL && tree->nodes[0].after == tree->count);
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct trace_node *node = &tree->nodes[i];
        uint32_t met = 0;
        EXPECT(node->start_ns <= node->end_ns);
        EXPECT(node->after > i && node->after <= tree->count);
        if (i > 0) {
            EXPECT(node->parent < i);
            EXPECT(node->depth == tree->nodes[node->parent].depth + 1);
            EXPECT(node->after <= tree->nodes[node->parent].after);
            EXPECT(node->operation < tree->operations_count);
        }
        for (uint32_t c = node->first_child; c != TRACE_NONE; c = tree->nodes[c].next_sibling) {
            EXPECT(tree->nodes[c].parent == i);
            met++;
        }
        EXPECT(met == node->child_count);
        children += met;
    }
    EXPECT(children == count);
    for (uint32_t i = 0; i < tree->operations_count; i++)
        calls += tree->operations[i].calls;
    EXPECT(calls == count);
}

TEST(a_whole_trace_is_a_walk_with_parents_first)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 100);
    maker_add(3, 2, "shop", "inner", 15, 20);
    maker_add(2, 1, "shop", "step", 10, 30);
    maker_add(4, 1, "shop", "step", 40, 50)->status = SPAN_STATUS_ERROR;
    struct trace_tree tree = build(arena);
    check_sound(&tree, 4);
    EXPECT(tree.root == 1 && maker_id(tree.nodes[1].span) == 1);
    EXPECT(at(&tree, 3)->parent == maker_node(&tree, 2));
    EXPECT(tree.roots == 1 && tree.orphans == 0 && tree.errors == 1);
    EXPECT(tree.nodes[0].start_ns == 0 && tree.nodes[0].end_ns == 100 * MS);
    EXPECT(tree.operations_count == 3);
    EXPECT(tree.operations[at(&tree, 4)->operation].errors == 1);
    EXPECT(trace_tree_holds(&tree, 1, maker_node(&tree, 3)));
    EXPECT(!trace_tree_holds(&tree, maker_node(&tree, 4), maker_node(&tree, 3)));
}

TEST(no_spans_make_an_empty_tree)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    struct trace_tree tree = build(arena);
    check_sound(&tree, 0);
    EXPECT(tree.root == TRACE_NONE);
}

TEST(spans_whose_parent_is_missing_stand_below_the_trace)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(2, 9, "shop", "a", 10, 20);
    maker_add(3, 9, "shop", "b", 20, 40);
    maker_add(4, 3, "shop", "c", 25, 30);
    struct trace_tree tree = build(arena);
    check_sound(&tree, 3);
    EXPECT(tree.root == TRACE_NONE && tree.roots == 0 && tree.orphans == 2);
    EXPECT(at(&tree, 2)->parent == 0 && (at(&tree, 2)->flags & TRACE_ORPHAN) != 0);
    EXPECT(tree.nodes[0].start_ns == 10 * MS && tree.nodes[0].end_ns == 40 * MS);
}

TEST(a_circle_of_parents_is_cut_at_its_earliest)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 3, "shop", "a", 20, 30);
    maker_add(2, 1, "shop", "b", 10, 30);
    maker_add(3, 2, "shop", "c", 30, 40);
    maker_add(4, 3, "shop", "leads into it", 31, 32);
    maker_add(5, 5, "shop", "its own parent", 1, 2);
    struct trace_tree tree = build(arena);
    check_sound(&tree, 5);
    EXPECT(tree.cycles == 2);
    EXPECT(at(&tree, 2)->parent == 0 && (at(&tree, 2)->flags & TRACE_CYCLE) != 0);
    EXPECT(at(&tree, 1)->parent == maker_node(&tree, 3));
    EXPECT(at(&tree, 5)->parent == 0);
}

TEST(both_sides_of_a_call_may_share_an_id)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    for (int order = 0; order < 2; order++) {
        maker_clear();
        maker_add(1, 0, "web", "root", 0, 100);
        for (int i = 0; i < 2; i++) {
            bool is_client = (i == 0) == (order == 0);
            struct span *span = maker_add(2, 1, is_client ? "web" : "shop",
                                          is_client ? "call" : "serve", 10, is_client ? 50 : 40);
            span->kind = is_client ? SPAN_KIND_CLIENT : SPAN_KIND_SERVER;
        }
        maker_add(3, 2, "shop", "query", 20, 30);
        struct trace_tree tree = build(arena);
        check_sound(&tree, 4);
        EXPECT(tree.duplicates == 2);
        uint32_t query = maker_node(&tree, 3);
        const struct trace_node *server = &tree.nodes[tree.nodes[query].parent];
        EXPECT(server->span->kind == SPAN_KIND_SERVER);
        EXPECT(tree.nodes[server->parent].span->kind == SPAN_KIND_CLIENT);
    }
}

TEST(the_same_id_twice_keeps_both)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "root", 0, 100);
    maker_add(2, 1, "shop", "a", 10, 20);
    maker_add(2, 1, "shop", "b", 30, 40);
    maker_add(3, 2, "shop", "c", 12, 14);
    struct trace_tree tree = build(arena);
    check_sound(&tree, 4);
    EXPECT(tree.duplicates == 2);
    EXPECT(str_eq(tree.nodes[at(&tree, 3)->parent].span->name, STR("a")));
}

TEST(what_ended_before_it_began_takes_no_time)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "root", 0, 100);
    maker_add(2, 1, "shop", "a", 50, 40);
    struct trace_tree tree = build(arena);
    EXPECT(tree.negatives == 1);
    EXPECT(trace_node_ns(at(&tree, 2)) == 0 && at(&tree, 2)->start_ns == 50 * MS);
}

TEST(a_clock_that_is_behind_is_moved_into_the_call_with_all_of_its_host)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "web", "call", 1000, 1100)->kind = SPAN_KIND_CLIENT;
    maker_add(2, 1, "shop", "serve", 400, 480)->kind = SPAN_KIND_SERVER;
    maker_add(3, 2, "shop", "query", 410, 430)->kind = SPAN_KIND_CLIENT;
    struct trace_tree tree = build(arena);
    EXPECT(tree.skewed == 2 && tree.shift_most_ns == 610 * MS);
    EXPECT(at(&tree, 2)->start_ns == 1010 * MS && at(&tree, 2)->end_ns == 1090 * MS);
    EXPECT(at(&tree, 3)->start_ns == 1020 * MS && at(&tree, 3)->shift_ns == 610 * MS);
    EXPECT((at(&tree, 1)->flags & TRACE_SKEWED) == 0);
}

TEST(a_child_longer_than_its_parent_is_moved_only_to_its_start)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "web", "call", 1000, 1100)->kind = SPAN_KIND_CLIENT;
    maker_add(2, 1, "shop", "serve", 900, 1300)->kind = SPAN_KIND_SERVER;
    maker_add(3, 1, "other", "serve", 1050, 1300)->kind = SPAN_KIND_SERVER;
    struct trace_tree tree = build(arena);
    EXPECT(at(&tree, 2)->start_ns == 1000 * MS);
    EXPECT(at(&tree, 3)->shift_ns == 0);
}

TEST(spans_of_one_host_share_its_clock)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "web", "call", 1000, 1100)->resource = maker_resource("web", "one");
    maker_add(2, 1, "shop", "late", 1200, 1250)->resource = maker_resource("shop", "one");
    maker_add(3, 1, "shop", "far", 1200, 1250)->resource = maker_resource("shop", "two");
    struct trace_tree tree = build(arena);
    EXPECT(at(&tree, 2)->shift_ns == 0 && (at(&tree, 2)->flags & TRACE_DETACHED) != 0);
    EXPECT(at(&tree, 3)->start_ns == 1025 * MS);
}

TEST(what_comes_from_a_queue_may_begin_after_its_parent)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    maker_clear();
    maker_add(1, 0, "web", "send", 1000, 1010)->kind = SPAN_KIND_PRODUCER;
    maker_add(2, 1, "mail", "receive", 5000, 5100)->kind = SPAN_KIND_CONSUMER;
    maker_add(3, 1, "log", "receive", 500, 501)->kind = SPAN_KIND_CONSUMER;
    struct trace_tree tree = build(arena);
    EXPECT(at(&tree, 2)->shift_ns == 0 && (at(&tree, 2)->flags & TRACE_DETACHED) != 0);
    EXPECT(at(&tree, 3)->start_ns == 1000 * MS); /* But not before. */
    EXPECT(tree.nodes[0].end_ns == 1010 * MS && tree.last_ns == 5100 * MS);
}

TEST(times_at_the_ends_of_the_range_do_not_overflow)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    uint32_t id = 0;

    maker_clear();
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        for (size_t k = 0; k < ARRAY_COUNT(ends); k++) {
            struct span *span = maker_add(id + 1, id, "a", "x", 0, 0);
            span->start_ns = ends[i];
            span->end_ns = ends[k];
            span->resource = maker_resource(id % 2 == 0 ? "a" : "b", NULL);
            id++;
        }
    }
    struct trace_tree tree = build(arena);
    check_sound(&tree, id);
}

TEST(any_spans_make_a_sound_tree)
{
    for (uint32_t seed = 1; seed <= 400; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
        maker_scramble(seed, seed % 60);
        struct trace_tree tree = build(arena);
        check_sound(&tree, seed % 60);
        EXPECT(tree.roots + tree.orphans + tree.cycles >= tree.nodes[0].child_count);
    }
}

/* A chain, a fan and a mixture: none may take long, none may use up the stack. */
static void put_id(uint8_t *id, uint32_t number, bool at_end)
{
    if (!at_end) {
        memcpy(id, &number, sizeof(number));
        return;
    }
    for (int i = 0; i < 4; i++) /* As hexadecimal digits count up. */
        id[7 - i] = (uint8_t)(number >> 8 * i);
}

static double seconds_for(size_t count, uint32_t (*parent_of)(uint32_t index), bool at_end)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new((size_t)512 << 20);
    struct span *spans = calloc(count, sizeof(*spans));
    struct resource resource = {.service_name = STR("deep")};
    struct trace_tree tree = {.count = 0};
    struct why why = WHY_INIT;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = i + 1;
        uint32_t parent = i == 0 ? 0 : parent_of(i) + 1;
        spans[i].start_ns = i;
        spans[i].end_ns = (int64_t)(2 * count - i);
        spans[i].name = STR("level");
        spans[i].resource = &resource;
        put_id(spans[i].span_id, id, at_end);
        put_id(spans[i].parent_span_id, parent, at_end);
    }
    int64_t begun_ns = clock_monotonic_ns();
    EXPECT(trace_tree_build(spans, count, arena, &tree, &why) == ERR_NONE);
    double seconds = (double)(clock_monotonic_ns() - begun_ns) / 1e9;
    EXPECT(tree.count == count + 1 && tree.orphans == 0);
    printf("# %zu spans: %.3f s, %zu bytes a span\n", count, seconds, arena_used(arena) / count);
    EXPECT(arena_used(arena) / count < 160);
    free(spans);
    return seconds;
}

static uint32_t chain(uint32_t index)
{
    return index - 1;
}

static uint32_t fan(uint32_t index)
{
    return 0;
}

static uint32_t mixture(uint32_t index)
{
    return index / 3;
}

TEST(a_million_spans_of_any_shape_take_no_stack_and_little_time)
{
    /* Twenty times what it takes; a sanitizer and a busy machine slow it down. */
    EXPECT(seconds_for(1000000, chain, false) < 20);
    EXPECT(seconds_for(1000000, fan, true) < 20);
    EXPECT(seconds_for(1000000, mixture, false) < 20);
    EXPECT(seconds_for(1000000, mixture, true) < 20);
}

TEST(too_little_memory_is_said)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4096);
    struct trace_tree tree;
    struct why why = WHY_INIT;

    maker_nest(1, 1000);
    EXPECT(trace_tree_build(maker.spans, maker.count, arena, &tree, &why) == ERR_LIMIT);
}

TEST_MAIN
