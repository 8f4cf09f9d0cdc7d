/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks, newest first; each twice the last, up to BLOCK_SIZE_MAX, or as large as one
 * request needs. Freed blocks go back to malloc: arenas are few and blocks are large. */
#include "base/arena.h"

#include <assert.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 16,
    BLOCK_SIZE_FIRST = 4096,
    BLOCK_SIZE_MAX = 1 << 20,
};

struct block {
    struct block *next;
    size_t size; /* Of data. */
    size_t used;
    size_t unused; /* Keeps data aligned. */
    char data[];
};

struct arena {
    struct block *block;
    size_t budget;
    size_t used;
};

static_assert(sizeof(struct block) % ALIGNMENT == 0, "data must be aligned");

struct arena *arena_new(size_t budget_bytes)
{
    struct arena *arena = calloc(1, sizeof(*arena));

    if (arena == NULL)
        must_memory(sizeof(*arena));
    arena->budget = budget_bytes;
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

struct arena *arena_free(struct arena *arena)
{
    if (arena != NULL) {
        free_blocks(arena->block);
        free(arena);
    }
    return NULL;
}

void arena_freep(struct arena **arena)
{
    *arena = arena_free(*arena);
}

void arena_clear(struct arena *arena)
{
    struct block *kept = arena->block;

    arena->used = 0;
    if (kept == NULL)
        return;
    free_blocks(kept->next);
    kept->next = NULL;
    memset(kept->data, 0, kept->used);
    kept->used = 0;
}

static struct block *block_new(const struct arena *arena, size_t wanted)
{
    size_t size = arena->block == NULL ? BLOCK_SIZE_FIRST : arena->block->size * 2;

    if (size > BLOCK_SIZE_MAX)
        size = BLOCK_SIZE_MAX;
    if (size < wanted)
        size = wanted;
    struct block *block = calloc(1, sizeof(*block) + size);
    if (block == NULL)
        must_memory(sizeof(*block) + size);
    block->size = size;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->budget - arena->used)
        return NULL;
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < size || rounded > arena->budget - arena->used)
        return NULL;
    if (rounded == 0)
        rounded = ALIGNMENT;

    struct block *block = arena->block;
    if (block == NULL || rounded > block->size - block->used) {
        block = block_new(arena, rounded);
        block->next = arena->block;
        arena->block = block;
    }
    void *result = block->data + block->used;
    block->used += rounded;
    arena->used += rounded <= arena->budget - arena->used ? rounded : arena->budget - arena->used;
    return result;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

struct str arena_str(struct arena *arena, struct str str)
{
    char *data = str.size == SIZE_MAX ? NULL : arena_alloc(arena, str.size + 1);

    if (data == NULL)
        return STR_NONE;
    if (str.size > 0)
        memcpy(data, str.data, str.size);
    return (struct str){data, str.size};
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MUST(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments); /* Measured above. */
    va_end(arguments);
    return text;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

size_t arena_budget(const struct arena *arena)
{
    return arena->budget;
}

enum err arena_spent(const struct arena *arena, const char *what, struct why *why)
{
    return fail(why, ERR_LIMIT, "%s needs more than its memory budget of %zu bytes", what,
                arena->budget);
}
