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

TEST_MAIN
