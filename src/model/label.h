/* SPDX-License-Identifier: Apache-2.0 */
/* label - what a series is called: an immutable, sorted set of name=value pairs.
 *
 * The metric's name is the label "__name__". An empty value is the same as no label, as in
 * Prometheus. Sets live in a pool, which makes equal sets one pointer and which batches hold on to,
 * so that rows on their way through the hub need no copies. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

#define LABEL_NAME        STR("__name__")
#define LABEL_COUNT_MAX   64    /* Of one set, the name included. */
#define LABEL_NAME_BYTES  512   /* Of a label's name. */
#define LABEL_VALUE_BYTES 16384 /* Of a label's value. */

struct label {
    struct str name;
    struct str value;
};

struct labels {
    uint64_t hash;
    /* For the sink that keeps series: where it found this one. Written by the hub's writer thread
     * only; 0 at first. A set is offered to one tenant only, so one place is enough. */
    _Atomic uint64_t slot;
    uint32_t count; /* Pairs. */
    uint32_t size;  /* Of bytes. */
    char bytes[];   /* The pairs, sorted by name; layout at the top of label.c. */
};

/* Equal for equal sets, and for these only. */
static inline struct str labels_bytes(const struct labels *labels)
{
    return (struct str){labels->bytes, labels->size};
}

/* Walks the pairs:  struct label label; size_t at = 0; while (labels_next(labels, &at, &label)) */
bool labels_next(const struct labels *labels, size_t *at, struct label *ret_label);

struct str labels_get(const struct labels *labels, struct str name); /* STR_NONE when absent. */
bool labels_eq(const struct labels *a, const struct labels *b);
int labels_compare(const struct labels *a, const struct labels *b); /* As Prometheus sorts them. */

/* Sorts the pairs in place, drops empty values, and checks names, sizes, count and duplicates.
 * `ret_count` is how many stay. ERR_INVALID and ERR_LIMIT name the label. */
CHECKED enum err labels_arrange(struct label *pairs, size_t count, size_t *ret_count,
                                struct why *why);

/* Bytes that a set of these arranged pairs takes, and the set built in that memory (aligned to 8).
 */
size_t labels_size(const struct label *pairs, size_t count);
struct labels *labels_build(void *memory, const struct label *pairs, size_t count);

/* name{a="b",c="d"} with Prometheus' escapes. */
void labels_write(struct buf *out, const struct labels *labels);

/* label_pool - equal sets become one pointer. Used by one thread; held by several, by count. */
struct label_pool;

struct label_pool *label_pool_new(size_t budget_bytes);
struct label_pool *label_pool_ref(struct label_pool *pool);   /* Returns pool. */
struct label_pool *label_pool_unref(struct label_pool *pool); /* Always returns NULL. */

/* Arranges the pairs (which it may reorder) and returns the one set equal to them.
 * ERR_LIMIT when the budget is spent: unref the pool and start a new one. */
CHECKED enum err label_pool_get(struct label_pool *pool, struct label *pairs, size_t count,
                                const struct labels **ret_labels, struct why *why);
size_t label_pool_count(const struct label_pool *pool);

/* label_memo - the set that the same raw bytes meant last time.
 *
 * A sender repeats its series in the same order, so the memo first compares with what followed the
 * last series before, and only then looks in a table. `raw` is the sender's own
 * spelling of the series, not empty: an exposition line up to the value, or a remote-write label
 * block. One that spells its labels as remote write does, sorted, costs a set and 32 bytes.
 * The memo owns its pool and replaces both when the budget is spent. One thread. */
struct label_memo;

struct label_memo *label_memo_new(size_t budget_bytes);
struct label_memo *label_memo_free(struct label_memo *memo); /* Always returns NULL. */

/* A new message begins: position 0 again. Returns the pool that the sets found until the next
 * begin live in: the batch must hold it (batch_hold). */
struct label_pool *label_memo_begin(struct label_memo *memo);

/* The set for raw at the next position, or NULL: then parse raw and call label_memo_put. */
const struct labels *label_memo_get(struct label_memo *memo, struct str raw);
/* The same without knowing where raw ends: when text begins with the spelling that came here last
 * time, its set and its size; else NULL, and nothing has moved. */
const struct labels *label_memo_follow(struct label_memo *memo, struct str text, size_t *ret_size);
CHECKED enum err label_memo_put(struct label_memo *memo, struct str raw, struct label *pairs,
                                size_t count, const struct labels **ret_labels, struct why *why);
