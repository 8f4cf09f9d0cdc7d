/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label.h"

#include "base/arena.h"
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

struct pair_head {
    uint16_t name_size;
    uint16_t value_size;
};

static_assert(LABEL_NAME_BYTES <= UINT16_MAX, "sizes are stored in 16 bits");
static_assert(LABEL_VALUE_BYTES <= UINT16_MAX, "sizes are stored in 16 bits");

bool labels_next(const struct labels *labels, size_t *at, struct label *ret_label)
{
    struct pair_head head;

    if (*at >= labels->size)
        return false;
    memcpy(&head, labels->bytes + *at, sizeof(head));
    const char *name = labels->bytes + *at + sizeof(head);
    ret_label->name = (struct str){name, head.name_size};
    ret_label->value = (struct str){name + head.name_size, head.value_size};
    *at += sizeof(head) + head.name_size + head.value_size;
    return true;
}

struct str labels_get(const struct labels *labels, struct str name)
{
    struct label label;

    for (size_t at = 0; labels_next(labels, &at, &label);) {
        if (str_eq(label.name, name))
            return label.value;
    }
    return STR_NONE;
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
    return a == b ||
           (a->hash == b->hash && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0);
}

int labels_compare(const struct labels *a, const struct labels *b)
{
    struct label left;
    struct label right;
    size_t left_at = 0;
    size_t right_at = 0;

    for (;;) {
        bool has_left = labels_next(a, &left_at, &left);
        bool has_right = labels_next(b, &right_at, &right);
        if (!has_left || !has_right)
            return (int)has_left - (int)has_right;
        int order = str_compare(left.name, right.name);
        if (order == 0)
            order = str_compare(left.value, right.value);
        if (order != 0)
            return order;
    }
}

static int by_name(const void *a, const void *b)
{
    return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void sort_pairs(struct label *pairs, size_t count)
{
    bool sorted = true;

    for (size_t i = 1; i < count && sorted; i++)
        sorted = by_name(&pairs[i - 1], &pairs[i]) <= 0;
    if (!sorted)
        qsort(pairs, count, sizeof(*pairs), by_name);
}

static enum err check_pair(const struct label *pair, struct why *why)
{
    struct str shown = pair->name;

    if (shown.size > 64)
        shown.size = 64;
    if (pair->name.size == 0)
        return fail(why, ERR_INVALID, "a label has no name");
    if (pair->name.size > LABEL_NAME_BYTES)
        return fail(why, ERR_LIMIT, "the label name '%.*s…' is longer than %d bytes",
                    STR_ARG(shown), LABEL_NAME_BYTES);
    if (pair->value.size > LABEL_VALUE_BYTES)
        return fail(why, ERR_LIMIT, "the value of label '%.*s' is longer than %d bytes",
                    STR_ARG(shown), LABEL_VALUE_BYTES);
    if (!str_is_utf8(pair->name) || !str_is_utf8(pair->value))
        return fail(why, ERR_INVALID, "the label '%.*s' is not valid UTF-8", STR_ARG(shown));
    return ERR_NONE;
}

enum err labels_arrange(struct label *pairs, size_t count, size_t *ret_count, struct why *why)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (pairs[i].value.size == 0)
            continue;
        TRY(check_pair(&pairs[i], why));
        pairs[kept++] = pairs[i];
    }
    if (kept > LABEL_COUNT_MAX)
        return fail(why, ERR_LIMIT, "a series has %zu labels, more than %d", kept, LABEL_COUNT_MAX);
    sort_pairs(pairs, kept);
    for (size_t i = 1; i < kept; i++) {
        if (str_eq(pairs[i - 1].name, pairs[i].name))
            return fail(why, ERR_INVALID, "the label '%.*s' stands twice in one series",
                        STR_ARG(pairs[i].name));
    }
    *ret_count = kept;
    return ERR_NONE;
}

static size_t bytes_of(const struct label *pairs, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += sizeof(struct pair_head) + pairs[i].name.size + pairs[i].value.size;
    return size;
}

size_t labels_size(const struct label *pairs, size_t count)
{
    return sizeof(struct labels) + bytes_of(pairs, count);
}

struct labels *labels_build(void *memory, const struct label *pairs, size_t count)
{
    struct labels *labels = memory;
    char *at = labels->bytes;

    for (size_t i = 0; i < count; i++) {
        struct pair_head head = {(uint16_t)pairs[i].name.size, (uint16_t)pairs[i].value.size};
        memcpy(at, &head, sizeof(head));
        at += sizeof(head);
        memcpy(at, pairs[i].name.data, pairs[i].name.size);
        at += pairs[i].name.size;
        memcpy(at, pairs[i].value.data, pairs[i].value.size);
        at += pairs[i].value.size;
    }
    labels->count = (uint32_t)count;
    labels->size = (uint32_t)(at - labels->bytes);
    labels->hash = str_hash((struct str){labels->bytes, labels->size}, 0);
    atomic_init(&labels->slot, 0);
    return labels;
}

static void write_escaped(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '\n') {
            buf_text(out, "\\n");
            continue;
        }
        if (c == '"' || c == '\\')
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)c);
    }
}

void labels_write(struct buf *out, const struct labels *labels)
{
    struct label label;
    bool open = false;

    buf_str(out, labels_get(labels, LABEL_NAME));
    for (size_t at = 0; labels_next(labels, &at, &label);) {
        if (str_eq(label.name, LABEL_NAME))
            continue;
        buf_byte(out, open ? ',' : '{');
        open = true;
        buf_str(out, label.name);
        buf_text(out, "=\"");
        write_escaped(out, label.value);
        buf_byte(out, '"');
    }
    if (open)
        buf_byte(out, '}');
}

struct label_pool {
    atomic_uint holders;
    struct arena *arena;
    struct map sets; /* The bytes of a set, to the set. */
};

struct label_pool *label_pool_new(size_t budget_bytes)
{
    struct label_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        must_memory(sizeof(*pool));
    atomic_init(&pool->holders, 1);
    pool->arena = arena_new(budget_bytes);
    return pool;
}

struct label_pool *label_pool_ref(struct label_pool *pool)
{
    (void)atomic_fetch_add_explicit(&pool->holders, 1, memory_order_relaxed); /* The old count. */
    return pool;
}

struct label_pool *label_pool_unref(struct label_pool *pool)
{
    if (pool != NULL && atomic_fetch_sub_explicit(&pool->holders, 1, memory_order_acq_rel) == 1) {
        map_done(&pool->sets);
        arena_free(pool->arena);
        free(pool);
    }
    return NULL;
}

size_t label_pool_count(const struct label_pool *pool)
{
    return pool->sets.count;
}

enum err label_pool_get(struct label_pool *pool, struct label *pairs, size_t count,
                        const struct labels **ret_labels, struct why *why)
{
    struct buf scratch CLEANUP(buf_done) = {0};

    TRY(labels_arrange(pairs, count, &count, why));
    size_t size = labels_size(pairs, count);
    struct labels *built = labels_build(buf_reserve(&scratch, size), pairs, count);
    struct labels *known = map_get(&pool->sets, (struct str){built->bytes, built->size});
    if (known == NULL) {
        known = arena_alloc(pool->arena, size);
        if (known == NULL)
            return arena_spent(pool->arena, "a pool of label sets", why);
        memcpy((void *)known, built, size);
        (void)map_put(&pool->sets, (struct str){known->bytes, known->size}, known); /* Was not. */
    }
    *ret_labels = known;
    return ERR_NONE;
}

/* One spelling, and what followed it last time: several senders may share a memo, each with a
 * sequence of its own. */
struct memo_row {
    struct str raw; /* In the memo's arena. */
    const struct labels *labels;
    struct memo_row *next; /* NULL: nothing yet. */
};

struct label_memo {
    size_t budget;
    struct label_pool *pool;
    struct arena *arena;
    struct map by_raw;      /* raw, to struct memo_row. */
    struct memo_row *first; /* Of the last message. */
    struct memo_row *last;  /* Found last in this one; NULL: it has just begun. */
    bool spent;             /* Start afresh at the next begin. */
};

static void memo_start(struct label_memo *memo)
{
    memo->pool = label_pool_new(memo->budget);
    memo->arena = arena_new(memo->budget);
}

static void memo_stop(struct label_memo *memo)
{
    map_done(&memo->by_raw);
    memo->arena = arena_free(memo->arena);
    memo->pool = label_pool_unref(memo->pool);
    memo->first = NULL;
    memo->last = NULL;
}

struct label_memo *label_memo_new(size_t budget_bytes)
{
    struct label_memo *memo = calloc(1, sizeof(*memo));

    if (memo == NULL)
        must_memory(sizeof(*memo));
    memo->budget = budget_bytes;
    memo_start(memo);
    return memo;
}

struct label_memo *label_memo_free(struct label_memo *memo)
{
    if (memo != NULL) {
        memo_stop(memo);
        free(memo);
    }
    return NULL;
}

struct label_pool *label_memo_begin(struct label_memo *memo)
{
    if (memo->spent) {
        memo_stop(memo);
        memo_start(memo);
        memo->spent = false;
    }
    memo->last = NULL;
    return memo->pool;
}

/* Notes what comes here in the sequence and moves on. */
static void remember(struct label_memo *memo, struct memo_row *row)
{
    if (memo->last == NULL)
        memo->first = row;
    else
        memo->last->next = row;
    memo->last = row;
}

static struct memo_row *expected(const struct label_memo *memo)
{
    return memo->last == NULL ? memo->first : memo->last->next;
}

const struct labels *label_memo_follow(struct label_memo *memo, struct str text, size_t *ret_size)
{
    struct memo_row *row = expected(memo);

    if (row == NULL || !str_starts(text, row->raw))
        return NULL;
    memo->last = row;
    *ret_size = row->raw.size;
    return row->labels;
}

const struct labels *label_memo_get(struct label_memo *memo, struct str raw)
{
    struct memo_row *row = expected(memo);

    if (row != NULL && str_eq(row->raw, raw)) {
        memo->last = row;
        return row->labels;
    }
    row = map_get(&memo->by_raw, raw);
    if (row == NULL)
        return NULL;
    remember(memo, row);
    return row->labels;
}

enum err label_memo_put(struct label_memo *memo, struct str raw, struct label *pairs, size_t count,
                        const struct labels **ret_labels, struct why *why)
{
    enum err err = label_pool_get(memo->pool, pairs, count, ret_labels, why);

    if (err == ERR_LIMIT)
        memo->spent = true;
    TRY(err);
    struct memo_row *row = ARENA_NEW(memo->arena, struct memo_row);
    struct str kept = row == NULL ? STR_NONE : arena_str(memo->arena, raw);
    if (kept.data == NULL) {
        memo->spent = true; /* This message still parses; the next starts a new memo. */
        return ERR_NONE;
    }
    *row = (struct memo_row){kept, *ret_labels, NULL};
    (void)map_put(&memo->by_raw, kept, row); /* label_memo_get did not find it. */
    remember(memo, row);
    return ERR_NONE;
}
