/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks, newest first; each twice the last, up to BLOCK_SIZE_MAX, or as large as one
 * request needs. Blocks of BLOCK_SIZE_MAX come from the arena's pool and return to it, where there
 * is one; all others are malloc's.
 *
 *     | used by this arena | written before | zero as it came |
 *     0                  used             dirty             size
 *
 * A block that was used before is zeroed piece by piece, as it is given out again. */
#include "base/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 16,
    BLOCK_SIZE_FIRST = 4096,
    BLOCK_SIZE_MAX = 2 << 20,
    BLOCK_SIZE_POOLED = 64 << 10, /* From here on an arena asks its pool. */
};

struct block {
    struct block *next;
    size_t size; /* Of data. */
    size_t used;
    size_t dirty; /* From here on, data is zero. */
    char data[];
};

struct arena_pool {
    atomic_size_t holders; /* Arenas, and who made it. */
    size_t count_max;
    pthread_mutex_t lock;
    struct block *free;
    size_t count;
    size_t count_least; /* Since the last trim. */
};

struct arena {
    struct block *block;
    struct arena_pool *pool; /* NULL: none. */
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

static struct block *pool_take(struct arena_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct block *block = pool->free;
    if (block != NULL) {
        pool->free = block->next;
        pool->count--;
        if (pool->count < pool->count_least)
            pool->count_least = pool->count;
    }
    pthread_mutex_unlock(&pool->lock);
    return block;
}

/* False: it has enough. */
static bool pool_give(struct arena_pool *pool, struct block *block)
{
    pthread_mutex_lock(&pool->lock);
    bool kept = pool->count < pool->count_max;
    if (kept) {
        block->next = pool->free;
        pool->free = block;
        pool->count++;
    }
    pthread_mutex_unlock(&pool->lock);
    return kept;
}

static void clean_later(struct block *block)
{
    if (block->dirty < block->used)
        block->dirty = block->used;
    block->used = 0;
}

static void free_blocks(struct arena_pool *pool, struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        clean_later(block);
        if (pool == NULL || block->size != BLOCK_SIZE_MAX || !pool_give(pool, block))
            free(block);
        block = next;
    }
}

struct arena *arena_new_beside(const struct arena *other, size_t budget_bytes)
{
    return other->pool == NULL ? arena_new(budget_bytes)
                               : arena_pool_take(other->pool, budget_bytes);
}

struct arena *arena_free(struct arena *arena)
{
    if (arena != NULL) {
        free_blocks(arena->pool, arena->block);
        arena_pool_unref(arena->pool);
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
    free_blocks(arena->pool, kept->next);
    kept->next = NULL;
    clean_later(kept);
}

static struct block *block_new(const struct arena *arena, size_t wanted)
{
    size_t size = arena->block == NULL ? BLOCK_SIZE_FIRST : arena->block->size * 2;

    if (size > BLOCK_SIZE_MAX || (arena->pool != NULL && size >= BLOCK_SIZE_POOLED))
        size = BLOCK_SIZE_MAX;
    if (size < wanted)
        size = wanted;
    struct block *block =
        arena->pool != NULL && size == BLOCK_SIZE_MAX ? pool_take(arena->pool) : NULL;
    if (block != NULL)
        return block;
    block = calloc(1, sizeof(*block) + size);
    if (block == NULL)
        must_memory(sizeof(*block) + size);
    block->size = size;
    return block;
}

/* Bytes as they are; the first *ret_dirty of them may be other than zero. */
static char *take(struct arena *arena, size_t size, size_t *ret_dirty)
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
    char *result = block->data + block->used;
    *ret_dirty = block->dirty > block->used ? block->dirty - block->used : 0;
    if (*ret_dirty > rounded)
        *ret_dirty = rounded;
    block->used += rounded;
    arena->used += rounded <= arena->budget - arena->used ? rounded : arena->budget - arena->used;
    return result;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t dirty = 0;
    char *result = take(arena, size, &dirty);

    if (dirty > 0)
        memset(result, 0, dirty);
    return result;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

void *arena_array_raw(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    size_t dirty;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return take(arena, total, &dirty);
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

struct arena_pool *arena_pool_new(size_t keep_bytes)
{
    struct arena_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        must_memory(sizeof(*pool));
    pool->holders = 1;
    pool->count_max = keep_bytes / BLOCK_SIZE_MAX;
    (void)pthread_mutex_init(&pool->lock, NULL); /* Cannot fail without attributes. */
    return pool;
}

struct arena_pool *arena_pool_unref(struct arena_pool *pool)
{
    if (pool != NULL && atomic_fetch_sub_explicit(&pool->holders, 1, memory_order_acq_rel) == 1) {
        free_blocks(NULL, pool->free);
        pthread_mutex_destroy(&pool->lock);
        free(pool);
    }
    return NULL;
}

struct arena *arena_pool_take(struct arena_pool *pool, size_t budget_bytes)
{
    struct arena *arena = arena_new(budget_bytes);

    (void)atomic_fetch_add_explicit(&pool->holders, 1, memory_order_relaxed); /* The old count. */
    arena->pool = pool;
    return arena;
}

void arena_pool_trim(struct arena_pool *pool)
{
    struct block *idle = NULL;

    pthread_mutex_lock(&pool->lock);
    for (; pool->count_least > 0; pool->count_least--, pool->count--) {
        struct block *block = pool->free;
        pool->free = block->next;
        block->next = idle;
        idle = block;
    }
    pool->count_least = pool->count;
    pthread_mutex_unlock(&pool->lock);
    free_blocks(NULL, idle);
}
