/* SPDX-License-Identifier: Apache-2.0 */
/* quantile_side - the buckets on one side of zero: few as a list, many as a window.
 *
 * Private to sketch. One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIDE_LIST_SIZE 16

struct side_entry {
    int32_t key;
    uint64_t count;
};

/* Up to SIDE_LIST_SIZE distinct keys in list, by key; then, for good, in window. */
struct side {
    struct side_entry list[SIDE_LIST_SIZE];
    uint32_t list_count;
    uint32_t window_size; /* 0: still a list. */
    int32_t window_first; /* The key of window[0]. */
    uint64_t *window;
    uint64_t total; /* All counts. */
    int32_t floor;  /* Keys below have been collapsed into this one; INT32_MIN: none were. */
};

void side_init(struct side *side);
void side_done(struct side *side);
void side_clear(struct side *side);

/* Adds where there is no room yet; side_add is the quick way. buckets_max bounds the window. */
void side_add_slowly(struct side *side, int32_t key, uint64_t count, uint32_t buckets_max);

static inline void side_add(struct side *side, int32_t key, uint64_t count, uint32_t buckets_max)
{
    uint32_t at = (uint32_t)key - (uint32_t)side->window_first;

    if (__builtin_expect(at < side->window_size && key > side->floor, 1)) {
        side->window[at] += count;
        side->total += count;
    } else {
        side_add_slowly(side, key, count, buckets_max);
    }
}

/* Buckets by position, in rising order of keys; empty ones may be among them. */
size_t side_size(const struct side *side);
int32_t side_key(const struct side *side, size_t at);
uint64_t side_at(const struct side *side, size_t at);

/* Counts in the collapsed bucket, 0 if there is none. */
uint64_t side_collapsed(const struct side *side);

/* Collapses all below into the bucket of this key, which has something in it. */
void side_set_floor(struct side *side, int32_t key);

/* Halves the resolution: key becomes key >> 1. */
void side_coarsen(struct side *side);
