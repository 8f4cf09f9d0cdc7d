/* SPDX-License-Identifier: Apache-2.0 */
/* Per series, for six labels: a track of 48 bytes, 24 bytes of pair numbers, about 12 bytes of hash
 * table (no keys are stored: an entry is compared with the track itself), and 4 bytes in each of
 * the six postings, doubled at worst. A label's text is kept once, however many series carry it.
 *
 *   keys   "__name__" "cpu" "mode" …              each: its text, the numbers of its pairs
 *   pairs  (mode, "idle") (mode, "user") …        each: key, text, the numbers of its tracks
 *   tracks 0 1 2 …                                each: id, pair numbers, last time and value
 *
 * Readers meet arrays that never move (paged) and lists and tables that are replaced as a whole
 * when they grow: the old one stays readable until its readers have left (epoch). An entry is
 * published last, with release, after everything it leads to. */
#include "store/index.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST = 64, TEXT_SIZE_MAX = UINT16_MAX, LISTS_ROOM = 4096 };

static const size_t TEXTS_BUDGET = (size_t)1 << 40; /* Bounded by the limit of series. */

/* Open addressing; an entry is 0, or the high half of the hash over the number + 1. */
struct index_table {
    uint32_t mask;
    uint32_t count;
    _Atomic uint64_t entries[];
};

static struct index_table *table_new(uint32_t capacity)
{
    size_t size = sizeof(struct index_table) + capacity * sizeof(uint64_t);
    struct index_table *table = calloc(1, size);

    if (table == NULL)
        must_memory(size);
    table->mask = capacity - 1;
    return table;
}

static void table_place(struct index_table *table, uint64_t hash, uint32_t number)
{
    uint32_t at = (uint32_t)(hash >> 32) & table->mask;
    uint64_t entry = (hash >> 32 << 32) | (number + 1);

    while (atomic_load_explicit(&table->entries[at], memory_order_relaxed) != 0)
        at = (at + 1) & table->mask;
    atomic_store_explicit(&table->entries[at], entry, memory_order_release);
    table->count++;
}

static bool table_is_full(const struct index_table *table)
{
    return (table->count + 1) * 4 > (table->mask + 1) * 3;
}

/* A table of twice the size with the same entries. */
static struct index_table *table_grown(const struct index_table *table)
{
    struct index_table *grown = table_new((table->mask + 1) * 2);

    for (uint32_t i = 0; i <= table->mask; i++) {
        uint64_t entry = table->entries[i];
        if (entry != 0)
            table_place(grown, entry, (uint32_t)entry - 1);
    }
    return grown;
}

/* Walks the numbers whose hash has the same high half. */
struct table_walk {
    const struct index_table *table;
    uint32_t at;
    uint32_t high;
};

static struct table_walk walk_begin(const struct index_table *table, uint64_t hash)
{
    uint32_t high = (uint32_t)(hash >> 32);

    return (struct table_walk){table, high & table->mask, high};
}

static uint32_t walk_next(struct table_walk *walk)
{
    for (;;) {
        uint64_t entry = atomic_load_explicit((_Atomic uint64_t *)&walk->table->entries[walk->at],
                                              memory_order_acquire);
        if (entry == 0)
            return INDEX_NONE;
        walk->at = (walk->at + 1) & walk->table->mask;
        if (entry >> 32 == walk->high)
            return (uint32_t)entry - 1;
    }
}

/* Adds to a table that readers see, replacing it when it is full. */
static void table_add(struct index *index, _Atomic(struct index_table *) *table, uint64_t hash,
                      uint32_t number)
{
    struct index_table *now = atomic_load_explicit(table, memory_order_relaxed);

    if (table_is_full(now)) {
        struct index_table *grown = table_grown(now);
        atomic_store_explicit(table, grown, memory_order_release);
        epoch_retire(index->epoch, now, free);
        now = grown;
    }
    table_place(now, hash, number);
}

static struct str text_of(const char *text)
{
    uint16_t size;

    memcpy(&size, text, sizeof(size));
    return (struct str){text + sizeof(size), size};
}

static const char *text_keep(struct index *index, struct str text)
{
    uint16_t size = (uint16_t)text.size;

    MUST(text.size <= TEXT_SIZE_MAX);
    char *kept = arena_alloc(index->texts, sizeof(size) + text.size);
    if (kept == NULL)
        must_memory(text.size);
    memcpy(kept, &size, sizeof(size));
    memcpy(kept + sizeof(size), text.data, text.size);
    return kept;
}

/* One by one, each would be rounded up to the arena's alignment. */
static const uint32_t *list_keep(struct index *index, const uint32_t *numbers, uint32_t count)
{
    if (index->lists_room < count) {
        index->lists = arena_array(index->texts, LISTS_ROOM, sizeof(*index->lists));
        if (index->lists == NULL)
            must_memory(LISTS_ROOM * sizeof(*index->lists));
        index->lists_room = LISTS_ROOM;
    }
    uint32_t *kept = index->lists;
    for (uint32_t i = 0; i < count; i++)
        kept[i] = numbers[i];
    index->lists += count;
    index->lists_room -= count;
    return kept;
}

const uint32_t *posting_read(const struct posting *posting, uint32_t *ret_count)
{
    struct posting *at = (struct posting *)posting;

    /* The count first: whichever list is read afterwards has at least as many. */
    *ret_count = atomic_load_explicit(&at->count, memory_order_acquire);
    return atomic_load_explicit(&at->items, memory_order_acquire);
}

static void posting_add(struct index *index, struct posting *posting, uint32_t number)
{
    uint32_t count = posting->count;

    if (count == posting->capacity) {
        uint32_t capacity = count < 2 ? count + 1 : count * 2;
        uint32_t *old = posting->items;
        uint32_t *items = malloc(capacity * sizeof(*items));
        if (items == NULL)
            must_memory(capacity * sizeof(*items));
        if (count > 0)
            memcpy(items, old, count * sizeof(*items));
        atomic_store_explicit(&posting->items, items, memory_order_release);
        posting->capacity = capacity;
        if (old != NULL)
            epoch_retire(index->epoch, old, free);
        items[count] = number;
    } else {
        posting->items[count] = number;
    }
    atomic_store_explicit(&posting->count, count + 1, memory_order_release);
}

void index_init(struct index *index, struct epoch *epoch)
{
    *index = (struct index){
        .epoch = epoch,
        .texts = arena_new(TEXTS_BUDGET),
        .tracks = paged_new(sizeof(struct track)),
        .pairs = paged_new(sizeof(struct pair)),
        .keys = paged_new(sizeof(struct label_key)),
        .track_table = table_new(TABLE_FIRST),
    };
    atomic_init(&index->pair_table, table_new(TABLE_FIRST));
    atomic_init(&index->key_table, table_new(TABLE_FIRST));
}

void index_done(struct index *index)
{
    if (index->tracks == NULL)
        return;
    for (uint32_t i = 0; i < paged_count(index->pairs); i++)
        free(index_pair(index, i)->tracks.items);
    for (uint32_t i = 0; i < paged_count(index->keys); i++)
        free(((struct label_key *)paged_at(index->keys, i))->pairs.items);
    paged_free(index->tracks);
    paged_free(index->pairs);
    paged_free(index->keys);
    free(index->track_table);
    free(index->pair_table);
    free(index->key_table);
    arena_free(index->texts);
    *index = (struct index){0};
}

struct str index_key_text(const struct index *index, uint32_t key)
{
    return text_of(((const struct label_key *)paged_at(index->keys, key))->text);
}

struct str index_pair_value(const struct index *index, uint32_t pair)
{
    return text_of(index_pair(index, pair)->value);
}

uint32_t index_key(const struct index *index, struct str name)
{
    struct index_table *table =
        atomic_load_explicit(&((struct index *)index)->key_table, memory_order_acquire);
    struct table_walk walk = walk_begin(table, str_hash(name, 0));
    uint32_t key = walk_next(&walk);

    while (key != INDEX_NONE && !str_eq(index_key_text(index, key), name))
        key = walk_next(&walk);
    return key;
}

static uint64_t pair_hash(uint32_t key, struct str value)
{
    return str_hash(value, key + 1);
}

uint32_t index_pair_find(const struct index *index, uint32_t key, struct str value)
{
    struct index_table *table =
        atomic_load_explicit(&((struct index *)index)->pair_table, memory_order_acquire);
    struct table_walk walk = walk_begin(table, pair_hash(key, value));
    uint32_t pair = walk_next(&walk);

    while (pair != INDEX_NONE &&
           (index_pair(index, pair)->name != key || !str_eq(index_pair_value(index, pair), value)))
        pair = walk_next(&walk);
    return pair;
}

static enum err index_full(const char *what, struct why *why)
{
    return fail(why, ERR_LIMIT, "a tenant holds at most %d %s", PAGED_ITEMS * PAGED_PAGES_MAX,
                what);
}

static enum err key_get(struct index *index, struct str name, uint32_t *ret_key, struct why *why)
{
    *ret_key = index_key(index, name);
    if (*ret_key != INDEX_NONE)
        return ERR_NONE;
    struct label_key *key = paged_next(index->keys);
    if (key == NULL)
        return index_full("label names", why);
    *ret_key = paged_count(index->keys);
    key->text = text_keep(index, name);
    paged_publish(index->keys);
    table_add(index, &index->key_table, str_hash(name, 0), *ret_key);
    return ERR_NONE;
}

static enum err pair_get(struct index *index, struct label label, uint32_t *ret_pair,
                         struct why *why)
{
    uint32_t key_number;

    TRY(key_get(index, label.name, &key_number, why));
    *ret_pair = index_pair_find(index, key_number, label.value);
    if (*ret_pair != INDEX_NONE)
        return ERR_NONE;
    struct pair *pair = paged_next(index->pairs);
    if (pair == NULL)
        return index_full("label values", why);
    struct label_key *key = paged_at(index->keys, key_number);
    *ret_pair = paged_count(index->pairs);
    pair->value = text_keep(index, label.value);
    pair->name = key_number;
    pair->ordinal = key->pairs.count;
    paged_publish(index->pairs);
    table_add(index, &index->pair_table, pair_hash(key_number, label.value), *ret_pair);
    posting_add(index, &key->pairs, *ret_pair);
    return ERR_NONE;
}

static bool track_is(const struct index *index, const struct track *track,
                     const struct labels *labels)
{
    struct label label;
    size_t at = 0;

    if (track->pair_count != labels->count)
        return false;
    for (uint32_t i = 0; labels_next(labels, &at, &label); i++) {
        if (!str_eq(label.value, index_pair_value(index, track->pairs[i])) ||
            !str_eq(label.name, index_key_text(index, index_pair(index, track->pairs[i])->name)))
            return false;
    }
    return true;
}

uint32_t index_find(const struct index *index, const struct labels *labels)
{
    struct table_walk walk = walk_begin(index->track_table, labels->hash);
    uint32_t number = walk_next(&walk);

    while (number != INDEX_NONE && !track_is(index, index_track(index, number), labels))
        number = walk_next(&walk);
    return number;
}

static void track_table_add(struct index *index, uint64_t hash, uint32_t number)
{
    if (table_is_full(index->track_table)) {
        struct index_table *grown = table_grown(index->track_table);
        free(index->track_table);
        index->track_table = grown;
    }
    table_place(index->track_table, hash, number);
}

enum err index_add(struct index *index, const struct labels *labels, uint32_t id,
                   uint32_t *ret_number, struct why *why)
{
    uint32_t numbers[LABEL_COUNT_MAX];
    struct label label;
    uint32_t count = 0;
    struct track *track = paged_next(index->tracks);

    if (track == NULL)
        return index_full("series", why);
    *track = (struct track){.id = id, .metric = INDEX_NONE, .tail_ms = INT64_MIN};
    for (size_t at = 0; count < LABEL_COUNT_MAX && labels_next(labels, &at, &label); count++) {
        TRY(pair_get(index, label, &numbers[count], why));
        if (str_eq(label.name, LABEL_NAME))
            track->metric = numbers[count];
    }
    track->pairs = list_keep(index, numbers, count);
    track->pair_count = (uint16_t)count;
    atomic_init(&track->last_ms, INT64_MIN);
    *ret_number = paged_count(index->tracks);
    paged_publish(index->tracks);
    track_table_add(index, labels->hash, *ret_number);
    for (uint32_t i = 0; i < count; i++)
        posting_add(index, &index_pair(index, numbers[i])->tracks, *ret_number);
    return ERR_NONE;
}

uint32_t index_track_pair(const struct index *index, const struct track *track, uint32_t key)
{
    for (uint32_t i = 0; i < track->pair_count; i++) {
        if (index_pair(index, track->pairs[i])->name == key)
            return track->pairs[i];
    }
    return INDEX_NONE;
}

struct labels *index_labels(const struct index *index, const struct track *track,
                            struct arena *arena)
{
    struct label labels[LABEL_COUNT_MAX];

    for (uint32_t i = 0; i < track->pair_count; i++) {
        const struct pair *pair = index_pair(index, track->pairs[i]);
        labels[i] = (struct label){index_key_text(index, pair->name), text_of(pair->value)};
    }
    void *memory = arena_alloc(arena, labels_size(labels, track->pair_count));
    return memory == NULL ? NULL : labels_build(memory, labels, track->pair_count);
}

int index_compare(const struct index *index, const struct track *a, const struct track *b)
{
    uint32_t shared = a->pair_count < b->pair_count ? a->pair_count : b->pair_count;

    for (uint32_t i = 0; i < shared; i++) {
        if (a->pairs[i] == b->pairs[i])
            continue;
        const struct pair *left = index_pair(index, a->pairs[i]);
        const struct pair *right = index_pair(index, b->pairs[i]);
        if (left->name != right->name)
            return str_compare(index_key_text(index, left->name),
                               index_key_text(index, right->name));
        return str_compare(text_of(left->value), text_of(right->value));
    }
    return (int)a->pair_count - (int)b->pair_count;
}

/* While the writer changes the two, the time is INT64_MAX; the value is written between. */
bool track_last(const struct track *track, int64_t *ret_ms, uint64_t *ret_bits)
{
    struct track *at = (struct track *)track;

    for (int attempt = 0; attempt < 1000; attempt++) {
        int64_t before = atomic_load(&at->last_ms);
        uint64_t bits = atomic_load(&at->last_bits);
        if (before == INT64_MIN)
            return false;
        if (before != INT64_MAX && atomic_load(&at->last_ms) == before) {
            *ret_ms = before;
            *ret_bits = bits;
            return true;
        }
    }
    return false; /* Changed a thousand times meanwhile: the caller asks the rows instead. */
}

void track_set_last(struct track *track, int64_t time_ms, uint64_t bits)
{
    atomic_store_explicit(&track->last_ms, INT64_MAX, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&track->last_bits, bits, memory_order_relaxed);
    atomic_store_explicit(&track->last_ms, time_ms, memory_order_release);
}

size_t index_bytes(const struct index *index)
{
    uint32_t pairs = paged_count(index->pairs);
    size_t bytes = arena_used(index->texts) + index_count(index) * sizeof(struct track) +
                   pairs * sizeof(struct pair) +
                   (index->track_table->mask + (size_t)1) * sizeof(uint64_t);

    for (uint32_t i = 0; i < pairs; i++)
        bytes += index_pair(index, i)->tracks.capacity * sizeof(uint32_t);
    return bytes;
}
