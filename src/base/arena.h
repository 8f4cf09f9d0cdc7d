/* SPDX-License-Identifier: Apache-2.0 */
/* arena - memory of one lifetime (a batch, a request, a query), freed whole.
 *
 * An arena has a budget in bytes. Spending it makes arena_alloc return NULL, which the caller
 * answers with arena_spent(): a refused question instead of a dead machine. One thread at a time.
 * Memory comes zeroed and aligned to 16. */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct arena;

struct arena *arena_new(size_t budget_bytes);
/* Takes its large blocks from where `other` takes them; `other` may end first. */
struct arena *arena_new_beside(const struct arena *other, size_t budget_bytes);
struct arena *arena_free(struct arena *arena); /* Always returns NULL. */
void arena_freep(struct arena **arena);        /* For CLEANUP. */
void arena_clear(struct arena *arena);         /* Keeps one block for reuse. */

void *arena_alloc(struct arena *arena, size_t size);
/* As arena_alloc(count * size), refusing on overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* As arena_array, but not zeroed: for rows that are all written before any is read. */
void *arena_array_raw(struct arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it (not counted); data is NULL when the budget is spent. */
struct str arena_str(struct arena *arena, struct str str);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))
#define ARENA_ARRAY_RAW(arena, count, type) \
    ((type *)arena_array_raw((arena), (count), sizeof(type)))

size_t arena_used(const struct arena *arena);   /* Bytes given out. */
size_t arena_budget(const struct arena *arena); /* As told to arena_new. */

/* ERR_LIMIT with a sentence that names the budget; `what` is what was being built. */
enum err arena_spent(const struct arena *arena, const char *what, struct why *why);

/* arena_pool - large blocks that arenas leave to the next ones.
 *
 * A question of megabytes spends a third of its time on having fresh pages mapped and zeroed; those
 * that follow one another need not. Any thread. Lives until its last arena is freed. */
struct arena_pool;

struct arena_pool *arena_pool_new(size_t keep_bytes);         /* Keeps at most so much. */
struct arena_pool *arena_pool_unref(struct arena_pool *pool); /* Always returns NULL. */
struct arena *arena_pool_take(struct arena_pool *pool, size_t budget_bytes); /* A new arena. */
/* Gives back what nobody needed since the last trim. */
void arena_pool_trim(struct arena_pool *pool);
