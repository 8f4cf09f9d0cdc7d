/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "test.h"

TEST(memory_comes_zeroed_and_aligned)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    for (size_t size = 0; size < 3000; size += 37) {
        char *memory = arena_alloc(arena, size);
        ASSERT(memory != NULL && (uintptr_t)memory % 16 == 0);
        for (size_t i = 0; i < size; i++) {
            if (memory[i] != 0) {
                EXPECT(memory[i] == 0);
                return;
            }
        }
        memset(memory, 0xAA, size);
    }
}

TEST(a_spent_budget_is_an_answer_and_not_a_crash)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1000);
    struct why why = WHY_INIT;

    EXPECT(arena_alloc(arena, 900) != NULL);
    EXPECT(arena_alloc(arena, 900) == NULL);
    EXPECT(arena_array(arena, SIZE_MAX / 2, 4) == NULL);
    EXPECT(arena_spent(arena, "a query", &why) == ERR_LIMIT);
    EXPECT(strstr(why.text, "a query") != NULL && strstr(why.text, "1000") != NULL);
}

TEST(a_cleared_arena_gives_zeroed_memory_again)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    for (int round = 0; round < 3; round++) {
        char *memory = arena_alloc(arena, 5000);
        ASSERT(memory != NULL);
        EXPECT(memory[0] == 0 && memory[4999] == 0);
        memset(memory, 1, 5000);
        arena_clear(arena);
        EXPECT(arena_used(arena) == 0);
    }
}

TEST(texts_carry_a_nul_behind_them)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);

    struct str copy = arena_str(arena, (struct str){"abcdef", 3});
    EXPECT(copy.size == 3);
    EXPECT_TEXT(copy.data, "abc");
    EXPECT_TEXT(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
}

enum { LARGE = 700 << 10 };

/* Takes three large pieces, which must be zero, and leaves them full. */
static void use(struct arena *arena)
{
    for (int i = 0; i < 3; i++) {
        char *memory = arena_alloc(arena, LARGE);
        size_t other = 0;
        ASSERT(memory != NULL);
        for (size_t at = 0; at < LARGE; at++)
            other += memory[at] != 0;
        EXPECT(other == 0);
        memset(memory, 1, LARGE);
    }
}

TEST(blocks_from_a_pool_come_zeroed_though_others_wrote_into_them)
{
    struct arena_pool *pool = arena_pool_new(2 << 20);

    for (int round = 0; round < 3; round++) {
        struct arena *arena = arena_pool_take(pool, 64 << 20);
        struct arena *beside = arena_new_beside(arena, 64 << 20);
        (void)arena_array_raw(arena, LARGE / (round + 1), 1); /* Moves what follows. */
        use(arena);
        use(beside);
        arena_clear(beside);
        use(beside);
        arena_free(arena);
        arena_free(beside);
        arena_pool_trim(pool);
    }
    arena_pool_unref(pool);
}

TEST(a_pool_may_go_before_its_arenas)
{
    struct arena_pool *pool = arena_pool_new(8 << 20);
    struct arena *arena = arena_pool_take(pool, 64 << 20);

    use(arena);
    EXPECT(arena_pool_unref(pool) == NULL);
    use(arena);
    arena_free(arena);
}

TEST(a_trimmed_pool_keeps_what_was_needed_since_the_last_trim)
{
    struct arena_pool *pool = arena_pool_new(8 << 20);
    struct arena *arena = arena_pool_take(pool, 64 << 20);

    EXPECT(arena_alloc(arena, LARGE) != NULL);
    char *first = arena_array_raw(arena, LARGE, 1);
    arena_free(arena);
    arena_pool_trim(pool); /* It was needed. */
    arena = arena_pool_take(pool, 64 << 20);
    EXPECT(arena_alloc(arena, LARGE) != NULL);
    EXPECT(arena_array_raw(arena, LARGE, 1) == first);
    arena_free(arena);
    arena_pool_trim(pool);
    arena_pool_trim(pool); /* Twice unneeded: gone, which valgrind and the sanitizers see. */
    arena_pool_unref(pool);
}

TEST_MAIN
