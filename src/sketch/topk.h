/* SPDX-License-Identifier: Apache-2.0 */
/* topk - the most frequent keys of a stream, in memory for a fixed number of them, mergeable.
 *
 * Of n counted in all, a sketch of `capacity` keys holds every key that came more than n / capacity
 * times. Each entry says how often its key came at most (count) and at least (count - over), and
 * over never exceeds n / capacity. Merging keeps all three statements, with n the sum of both and
 * the smaller capacity of both.
 * Counts may be weights: bytes, nanoseconds, cents. One thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define TOPK_CAPACITY_MAX 65536
#define TOPK_KEY_SIZE_MAX 1024 /* Longer keys are cut there: their first bytes count. */

struct topk;

struct topk *topk_new(uint32_t capacity);    /* 1 … TOPK_CAPACITY_MAX. */
struct topk *topk_free(struct topk *sketch); /* Always returns NULL. */
void topk_freep(struct topk **sketch);       /* For CLEANUP. */

void topk_add(struct topk *sketch, struct str key, uint64_t weight);
void topk_merge(struct topk *sketch, const struct topk *from);
uint64_t topk_total(const struct topk *sketch);
uint32_t topk_count(const struct topk *sketch);    /* Keys held. */
uint32_t topk_capacity(const struct topk *sketch); /* Keys that it may hold. */

struct topk_entry {
    struct str key; /* Lives as long as the sketch is not changed. */
    uint64_t count;
    uint64_t over;
};

/* The first `size` of the keys by falling count; ties by key. Returns how many there were. */
size_t topk_best(const struct topk *sketch, struct topk_entry *entries, size_t size);

/* Bytes with a version; layout at the top of topk.c. */
void topk_write(const struct topk *sketch, struct buf *out);
/* bytes is exactly one sketch. */
CHECKED enum err topk_read(struct str bytes, struct topk **ret_sketch, struct why *why);
