/* SPDX-License-Identifier: Apache-2.0 */
/* paged - an array that grows while others read it: items never move.
 *
 * One writer. A reader may use any item below the count it has read. Items start zeroed. */
#pragma once
#include "base/must.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#define PAGED_ITEMS     1024
#define PAGED_PAGES_MAX 16384 /* Sixteen million items. */

struct paged {
    size_t item_size;
    _Atomic uint32_t count;
    _Atomic(char *) pages[PAGED_PAGES_MAX];
};

static inline struct paged *paged_new(size_t item_size)
{
    struct paged *paged = calloc(1, sizeof(*paged));

    if (paged == NULL)
        must_memory(sizeof(*paged));
    paged->item_size = item_size;
    return paged;
}

static inline struct paged *paged_free(struct paged *paged)
{
    for (size_t i = 0; paged != NULL && i < PAGED_PAGES_MAX && paged->pages[i] != NULL; i++)
        free(paged->pages[i]);
    free(paged);
    return NULL;
}

static inline uint32_t paged_count(const struct paged *paged)
{
    return atomic_load_explicit(&((struct paged *)paged)->count, memory_order_acquire);
}

static inline void *paged_at(const struct paged *paged, uint32_t index)
{
    char *page = atomic_load_explicit(&((struct paged *)paged)->pages[index / PAGED_ITEMS],
                                      memory_order_relaxed);

    return page + (size_t)(index % PAGED_ITEMS) * paged->item_size;
}

/* The item that paged_publish will show. NULL when PAGED_PAGES_MAX pages are full. */
static inline void *paged_next(struct paged *paged)
{
    uint32_t index = paged->count;

    if (index / PAGED_ITEMS >= PAGED_PAGES_MAX)
        return NULL;
    if (paged->pages[index / PAGED_ITEMS] == NULL) {
        char *page = calloc(PAGED_ITEMS, paged->item_size);
        if (page == NULL)
            must_memory(PAGED_ITEMS * paged->item_size);
        paged->pages[index / PAGED_ITEMS] = page;
    }
    return paged_at(paged, index);
}

static inline void paged_publish(struct paged *paged)
{
    atomic_store_explicit(&paged->count, paged->count + 1, memory_order_release);
}
