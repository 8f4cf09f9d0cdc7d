/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a set are those of the labels of a remote-write series:
 *
 *   per pair:  0x0a, size of what follows; 0x0a, name size, name; 0x12, value size, value
 *
 * with sizes as varints. Prometheus and its like spell series just so. What a memo must keep to
 * know such a sender's series again is then the set alone, and a series costs half the memory. */
#include "model/label.h"

#include "base/arena.h"
#include "base/hash_set.h"

#include <stdlib.h>

enum { PAIR_KEY = 0x0a, NAME_KEY = 0x0a, VALUE_KEY = 0x12, SIZE_BITS = 7, SIZE_MORE = 0x80 };

static uint32_t read_size(const uint8_t **at)
{
    uint32_t size = *(*at)++;

    if (size < SIZE_MORE)
        return size;
    size &= SIZE_MORE - 1;
    for (unsigned shift = SIZE_BITS;; shift += SIZE_BITS) {
        uint32_t byte = *(*at)++;
        size |= (byte & (SIZE_MORE - 1)) << shift;
        if (byte < SIZE_MORE)
            return size;
    }
}

static struct str read_text(const uint8_t **at)
{
    (*at)++; /* Its key. */
    uint32_t size = read_size(at);
    struct str text = {(const char *)*at, size};

    *at += size;
    return text;
}

bool labels_next(const struct labels *labels, size_t *at, struct label *ret_label)
{
    const uint8_t *start = (const uint8_t *)labels->bytes;
    const uint8_t *cursor = start + *at + 1;

    if (*at >= labels->size)
        return false;
    (void)read_size(&cursor); /* Of the pair, whose texts tell their own. */
    ret_label->name = read_text(&cursor);
    ret_label->value = read_text(&cursor);
    *at = (size_t)(cursor - start);
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

static size_t size_of_size(size_t size)
{
    size_t bytes = 1;

    for (; size >= SIZE_MORE; size >>= SIZE_BITS)
        bytes++;
    return bytes;
}

static size_t size_of_text(struct str text)
{
    return 1 + size_of_size(text.size) + text.size;
}

static size_t size_of_pair(const struct label *pair)
{
    return size_of_text(pair->name) + size_of_text(pair->value);
}

size_t labels_size(const struct label *pairs, size_t count)
{
    size_t size = sizeof(struct labels);

    for (size_t i = 0; i < count; i++) {
        size_t pair = size_of_pair(&pairs[i]);
        size += 1 + size_of_size(pair) + pair;
    }
    return size;
}

static char *write_head(char *at, int key, size_t size)
{
    *at++ = (char)key;
    for (; size >= SIZE_MORE; size >>= SIZE_BITS)
        *at++ = (char)(size | SIZE_MORE);
    *at++ = (char)size;
    return at;
}

static char *write_text(char *at, int key, struct str text)
{
    at = write_head(at, key, text.size);
    memcpy(at, text.data, text.size);
    return at + text.size;
}

struct labels *labels_build(void *memory, const struct label *pairs, size_t count)
{
    struct labels *labels = memory;
    char *at = labels->bytes;

    for (size_t i = 0; i < count; i++) {
        at = write_head(at, PAIR_KEY, size_of_pair(&pairs[i]));
        at = write_text(at, NAME_KEY, pairs[i].name);
        at = write_text(at, VALUE_KEY, pairs[i].value);
    }
    labels->count = (uint32_t)count;
    labels->size = (uint32_t)(at - labels->bytes);
    labels->hash = str_hash(labels_bytes(labels), 0);
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
    struct hash_set sets; /* Those that are found here: a memo knows most of its own itself. */
    size_t count;         /* Of all sets. */
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
        hash_set_done(&pool->sets);
        arena_free(pool->arena);
        free(pool);
    }
    return NULL;
}

size_t label_pool_count(const struct label_pool *pool)
{
    return pool->count;
}

static const struct labels *pool_find(const struct label_pool *pool, const struct labels *wanted)
{
    struct hash_set_walk walk = hash_set_walk(&pool->sets, wanted->hash);
    const struct labels *known;

    while ((known = hash_set_next(&walk)) != NULL && !labels_eq(known, wanted))
        continue;
    return known;
}

/* A copy that lives as long as the pool, or NULL: the budget is spent. */
static const struct labels *pool_keep(struct label_pool *pool, const struct labels *built)
{
    size_t size = sizeof(*built) + built->size;
    void *kept = arena_alloc(pool->arena, size);

    if (kept == NULL)
        return NULL;
    memcpy(kept, built, size);
    pool->count++;
    return kept;
}

static enum err pool_spent(const struct label_pool *pool, struct why *why)
{
    return arena_spent(pool->arena, "a pool of label sets", why);
}

/* Arranges the pairs and builds their set in scratch. */
static enum err build_set(struct label *pairs, size_t count, struct buf *scratch,
                          const struct labels **ret_built, struct why *why)
{
    TRY(labels_arrange(pairs, count, &count, why));
    *ret_built = labels_build(buf_reserve(scratch, labels_size(pairs, count)), pairs, count);
    return ERR_NONE;
}

enum err label_pool_get(struct label_pool *pool, struct label *pairs, size_t count,
                        const struct labels **ret_labels, struct why *why)
{
    struct buf scratch CLEANUP(buf_done) = {0};
    const struct labels *built;

    TRY(build_set(pairs, count, &scratch, &built, why));
    const struct labels *known = pool_find(pool, built);
    if (known == NULL) {
        known = pool_keep(pool, built);
        if (known == NULL)
            return pool_spent(pool, why);
        hash_set_add(&pool->sets, known);
    }
    *ret_labels = known;
    return ERR_NONE;
}

/* One spelling, and what followed it last time: several senders may share a memo, each with a
 * sequence of its own. */
struct memo_row {
    uint64_t hash; /* Of the spelling. */
    const struct labels *labels;
    struct memo_row *next; /* NULL: nothing yet. */
    uint32_t size;         /* Of raw; 0: it is spelled as the set's bytes are. */
    char raw[];
};

struct label_memo {
    size_t budget;
    struct label_pool *pool;
    struct arena *arena;    /* Of the rows. */
    struct hash_set rows;   /* By their spelling. */
    struct memo_row *first; /* Of the last message. */
    struct memo_row *last;  /* Found last in this one; NULL: it has just begun. */
    bool spent;             /* Start afresh at the next begin. */
};

static struct str raw_of(const struct memo_row *row)
{
    return row->size == 0 ? labels_bytes(row->labels) : (struct str){row->raw, row->size};
}

static void memo_start(struct label_memo *memo)
{
    memo->pool = label_pool_new(2 * memo->budget); /* See label_memo_put. */
    memo->arena = arena_new(memo->budget);
}

static void memo_stop(struct label_memo *memo)
{
    hash_set_done(&memo->rows);
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

    if (row == NULL || !str_starts(text, raw_of(row)))
        return NULL;
    memo->last = row;
    *ret_size = raw_of(row).size;
    return row->labels;
}

static struct memo_row *find_row(const struct label_memo *memo, struct str raw, uint64_t hash)
{
    struct hash_set_walk walk = hash_set_walk(&memo->rows, hash);
    const struct memo_row *row;

    while ((row = hash_set_next(&walk)) != NULL && !str_eq(raw_of(row), raw))
        continue;
    return (struct memo_row *)row;
}

const struct labels *label_memo_get(struct label_memo *memo, struct str raw)
{
    struct memo_row *row = expected(memo);

    if (row != NULL && str_eq(raw_of(row), raw)) {
        memo->last = row;
        return row->labels;
    }
    row = find_row(memo, raw, str_hash(raw, 0));
    if (row == NULL)
        return NULL;
    remember(memo, row);
    return row->labels;
}

/* The set equal to built. One that is spelled as its bytes are is found by its row; only others
 * are entered in the pool, too. */
static enum err memo_set(struct label_memo *memo, struct str raw, const struct labels *built,
                         const struct labels **ret_labels, struct why *why)
{
    const struct memo_row *row = find_row(memo, labels_bytes(built), built->hash);
    const struct labels *known = row != NULL ? row->labels : pool_find(memo->pool, built);

    if (known == NULL) {
        known = pool_keep(memo->pool, built);
        if (known == NULL)
            return pool_spent(memo->pool, why);
        if (!str_eq(raw, labels_bytes(built)))
            hash_set_add(&memo->pool->sets, known);
    }
    *ret_labels = known;
    return ERR_NONE;
}

/* NULL: the budget is spent. */
static struct memo_row *row_new(struct label_memo *memo, struct str raw,
                                const struct labels *labels)
{
    size_t size = str_eq(raw, labels_bytes(labels)) ? 0 : raw.size;
    struct memo_row *row = arena_alloc(memo->arena, offsetof(struct memo_row, raw) + size);

    if (row == NULL)
        return NULL;
    row->hash = str_hash(raw, 0);
    row->labels = labels;
    row->size = (uint32_t)size;
    memcpy(row->raw, raw.data, size);
    return row;
}

enum err label_memo_put(struct label_memo *memo, struct str raw, struct label *pairs, size_t count,
                        const struct labels **ret_labels, struct why *why)
{
    struct buf scratch CLEANUP(buf_done) = {0};
    const struct labels *built;

    TRY(build_set(pairs, count, &scratch, &built, why));
    enum err err = memo_set(memo, raw, built, ret_labels, why);
    /* A message that crosses the budget still parses: refused is only one that alone is over it. */
    if (arena_used(memo->pool->arena) >= memo->budget)
        memo->spent = true;
    TRY(err);
    struct memo_row *row = row_new(memo, raw, *ret_labels);
    if (row == NULL) {
        memo->spent = true; /* This message still parses; the next starts a new memo. */
        return ERR_NONE;
    }
    hash_set_add(&memo->rows, row); /* label_memo_get did not find it. */
    remember(memo, row);
    return ERR_NONE;
}
