/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/push_pool.h"
#include "model/batch.h"
#include "sources/push.h"

#include <pthread.h>
#include <stdlib.h>

struct place {
    struct push *push; /* NULL: free place. */
    char tenant[BATCH_TENANT_BYTES];
    const char *way;
    bool in_use;
    uint64_t used_at; /* The pool's clock, to know the one unused for longest. */
};

struct push_pool {
    pthread_mutex_t lock;
    uint64_t clock;
    struct place places[PUSH_POOL_MAX];
};

struct push_pool *push_pool_new(void)
{
    struct push_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        must_memory(sizeof(*pool));
    (void)pthread_mutex_init(&pool->lock, NULL); /* Cannot fail without attributes. */
    return pool;
}

struct push_pool *push_pool_free(struct push_pool *pool)
{
    if (pool == NULL)
        return NULL;
    for (size_t i = 0; i < PUSH_POOL_MAX; i++)
        push_free(pool->places[i].push);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return NULL;
}

/* The decoder of that tenant and way, else a place to put one: empty, or unused for longest. */
static struct place *choose(struct push_pool *pool, const char *tenant, const char *way)
{
    struct place *best = NULL;

    for (size_t i = 0; i < PUSH_POOL_MAX; i++) {
        struct place *place = &pool->places[i];
        if (place->in_use)
            continue;
        if (place->push != NULL && strcmp(place->tenant, tenant) == 0 &&
            strcmp(place->way, way) == 0)
            return place;
        if (best == NULL || place->used_at < best->used_at)
            best = place;
    }
    return best;
}

struct push *push_pool_take(struct push_pool *pool, const char *tenant, const char *way)
{
    struct push *push;

    pthread_mutex_lock(&pool->lock);
    struct place *place = choose(pool, tenant, way);
    if (place == NULL) {
        pthread_mutex_unlock(&pool->lock);
        return push_new();
    }
    if (place->push == NULL || strcmp(place->tenant, tenant) != 0 || strcmp(place->way, way) != 0) {
        push_free(place->push);
        place->push = push_new();
        (void)strncpy(place->tenant, tenant, sizeof(place->tenant) - 1);
        place->way = way;
    }
    place->in_use = true;
    place->used_at = ++pool->clock;
    push = place->push;
    pthread_mutex_unlock(&pool->lock);
    return push;
}

void push_pool_give(struct push_pool *pool, struct push *push)
{
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < PUSH_POOL_MAX; i++) {
        if (pool->places[i].push == push) {
            pool->places[i].in_use = false;
            push = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    push_free(push); /* One that had no place. */
}
