/* SPDX-License-Identifier: Apache-2.0 */
/* Space-Saving: a new key, when all places are taken, takes over the place of the rarest one along
 * with its count, which is then what the newcomer may have been overcounted by. The counts always
 * add up to no more than the total, so the least is at most total / capacity.
 *
 * Places are in a heap with the rarest at the top, and in a map by key. Merging: a key that one
 * sketch does not hold came there no more often than its least count; that much is added to count
 * and to over. Any `capacity` of such sums still add up to no more than both totals together, so
 * the bounds hold for the largest ones, which are kept.
 *
 *     | version, 1 byte (1) | capacity | total | entries | each: size, key, count, over |  varints
 */
#include "sketch/topk.h"

#include "base/map.h"

#include <stdlib.h>

#define VERSION 1

struct place {
    struct str key; /* Owned. */
    uint64_t count;
    uint64_t over;
    uint32_t heap_index;
};

struct topk {
    uint32_t capacity;
    uint32_t count;
    uint64_t total;
    struct place **heap; /* The rarest first; capacity of them. */
    struct map map;
};

struct topk *topk_new(uint32_t capacity)
{
    struct topk *sketch = calloc(1, sizeof *sketch);

    MUST(capacity >= 1 && capacity <= TOPK_CAPACITY_MAX);
    if (sketch == NULL)
        must_memory(sizeof *sketch);
    sketch->capacity = capacity;
    sketch->heap = calloc(capacity, sizeof(struct place *));
    if (sketch->heap == NULL)
        must_memory(capacity * sizeof(struct place *));
    return sketch;
}

static void place_free(struct place *place)
{
    free((void *)place->key.data);
    free(place);
}

struct topk *topk_free(struct topk *sketch)
{
    if (sketch == NULL)
        return NULL;
    for (uint32_t i = 0; i < sketch->count; i++)
        place_free(sketch->heap[i]);
    free(sketch->heap);
    map_done(&sketch->map);
    free(sketch);
    return NULL;
}

void topk_freep(struct topk **sketch)
{
    *sketch = topk_free(*sketch);
}

/* ---- heap ---- */

static void heap_set(struct topk *sketch, uint32_t index, struct place *place)
{
    sketch->heap[index] = place;
    place->heap_index = index;
}

static void heap_up(struct topk *sketch, uint32_t index)
{
    struct place *place = sketch->heap[index];

    while (index > 0 && sketch->heap[(index - 1) / 2]->count > place->count) {
        heap_set(sketch, index, sketch->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_set(sketch, index, place);
}

static void heap_down(struct topk *sketch, uint32_t index)
{
    struct place *place = sketch->heap[index];

    for (;;) {
        uint32_t child = 2 * index + 1;

        if (child >= sketch->count)
            break;
        if (child + 1 < sketch->count &&
            sketch->heap[child + 1]->count < sketch->heap[child]->count)
            child++;
        if (sketch->heap[child]->count >= place->count)
            break;
        heap_set(sketch, index, sketch->heap[child]);
        index = child;
    }
    heap_set(sketch, index, place);
}

/* ---- adding ---- */

static struct str key_copy(struct str key)
{
    char *data = malloc(key.size + 1);

    if (data == NULL)
        must_memory(key.size + 1);
    if (key.size > 0)
        memcpy(data, key.data, key.size);
    data[key.size] = '\0'; /* For debuggers. */
    return (struct str){data, key.size};
}

/* A new place; there is room for it. */
static void place_add(struct topk *sketch, struct str key, uint64_t count, uint64_t over)
{
    struct place *place = calloc(1, sizeof *place);

    if (place == NULL)
        must_memory(sizeof *place);
    MUST(sketch->count < sketch->capacity);
    place->key = key_copy(key);
    place->count = count;
    place->over = over;
    (void)map_put(&sketch->map, place->key, place); /* It was not there. */
    sketch->heap[sketch->count++] = place;
    heap_up(sketch, sketch->count - 1);
}

/* The rarest key goes, and a new one takes its place. */
static void place_take(struct topk *sketch, struct str key, uint64_t weight)
{
    struct place *place = sketch->heap[0];

    (void)map_remove(&sketch->map, place->key); /* It is this place. */
    free((void *)place->key.data);
    place->key = key_copy(key);
    place->over = place->count;
    place->count += weight;
    (void)map_put(&sketch->map, place->key, place);
    heap_down(sketch, 0);
}

void topk_add(struct topk *sketch, struct str key, uint64_t weight)
{
    struct place *place;

    if (weight == 0)
        return;
    if (key.size > TOPK_KEY_SIZE_MAX)
        key.size = TOPK_KEY_SIZE_MAX;
    sketch->total += weight;
    place = map_get(&sketch->map, key);
    if (place != NULL) {
        place->count += weight;
        heap_down(sketch, place->heap_index);
    } else if (sketch->count < sketch->capacity) {
        place_add(sketch, key, weight, 0);
    } else {
        place_take(sketch, key, weight);
    }
}

/* How often a key that the sketch does not hold may have come. */
static uint64_t unseen_max(const struct topk *sketch)
{
    return sketch->count < sketch->capacity ? 0 : sketch->heap[0]->count;
}

/* The sums of two sketches, before the largest are kept. */
struct sums {
    struct topk_entry *entries;
    size_t count;
};

static void sums_collect(struct sums *sums, const struct topk *a, const struct topk *b)
{
    uint64_t a_unseen = unseen_max(a);
    uint64_t b_unseen = unseen_max(b);

    for (uint32_t i = 0; i < a->count; i++) {
        const struct place *place = a->heap[i];
        const struct place *other = map_get(&b->map, place->key);
        uint64_t count = other != NULL ? other->count : b_unseen;
        uint64_t over = other != NULL ? other->over : b_unseen;

        sums->entries[sums->count++] =
            (struct topk_entry){place->key, place->count + count, place->over + over};
    }
    for (uint32_t i = 0; i < b->count; i++) {
        const struct place *place = b->heap[i];

        if (map_get(&a->map, place->key) == NULL)
            sums->entries[sums->count++] =
                (struct topk_entry){place->key, place->count + a_unseen, place->over + a_unseen};
    }
}

static int entry_compare(const void *a, const void *b)
{
    const struct topk_entry *x = a;
    const struct topk_entry *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return str_compare(x->key, y->key);
}

void topk_merge(struct topk *sketch, const struct topk *from)
{
    uint32_t capacity = sketch->capacity < from->capacity ? sketch->capacity : from->capacity;
    struct topk *merged = topk_new(capacity);
    size_t size = ((size_t)sketch->count + from->count + 1) * sizeof(struct topk_entry);
    struct sums sums = {.entries = malloc(size)};
    struct topk old = *sketch;

    if (sums.entries == NULL)
        must_memory(size);
    sums_collect(&sums, sketch, from);
    qsort(sums.entries, sums.count, sizeof sums.entries[0], entry_compare);
    merged->total = sketch->total + from->total;
    for (size_t i = 0; i < sums.count && i < capacity; i++)
        place_add(merged, sums.entries[i].key, sums.entries[i].count, sums.entries[i].over);
    free(sums.entries);
    *sketch = *merged;
    *merged = old;
    topk_free(merged);
}

/* ---- asking ---- */

uint64_t topk_total(const struct topk *sketch)
{
    return sketch->total;
}

uint32_t topk_count(const struct topk *sketch)
{
    return sketch->count;
}

uint32_t topk_capacity(const struct topk *sketch)
{
    return sketch->capacity;
}

static struct topk_entry *entries_sorted(const struct topk *sketch)
{
    size_t size = ((size_t)sketch->count + 1) * sizeof(struct topk_entry);
    struct topk_entry *entries = malloc(size);

    if (entries == NULL)
        must_memory(size);
    for (uint32_t i = 0; i < sketch->count; i++)
        entries[i] = (struct topk_entry){sketch->heap[i]->key, sketch->heap[i]->count,
                                         sketch->heap[i]->over};
    qsort(entries, sketch->count, sizeof entries[0], entry_compare);
    return entries;
}

size_t topk_best(const struct topk *sketch, struct topk_entry *entries, size_t size)
{
    struct topk_entry *all = entries_sorted(sketch);
    size_t count = sketch->count < size ? sketch->count : size;

    memcpy(entries, all, count * sizeof entries[0]);
    free(all);
    return count;
}

/* ---- bytes ---- */

void topk_write(const struct topk *sketch, struct buf *out)
{
    struct topk_entry *entries = entries_sorted(sketch);

    buf_byte(out, VERSION);
    buf_varint(out, sketch->capacity);
    buf_varint(out, sketch->total);
    buf_varint(out, sketch->count);
    for (uint32_t i = 0; i < sketch->count; i++) {
        buf_varint(out, entries[i].key.size);
        buf_str(out, entries[i].key);
        buf_varint(out, entries[i].count);
        buf_varint(out, entries[i].over);
    }
    free(entries);
}

static enum err entry_read(struct str *rest, struct topk *sketch, uint64_t number, struct why *why)
{
    uint64_t size, count, over;
    struct str key;

    if (!buf_take_varint(rest, &size) || size > TOPK_KEY_SIZE_MAX || size > rest->size)
        return fail(why, ERR_CORRUPT, "top-k sketch: key %llu is cut off or too long",
                    (unsigned long long)number);
    key = (struct str){rest->data, (size_t)size};
    rest->data += size;
    rest->size -= (size_t)size;
    if (!buf_take_varint(rest, &count) || !buf_take_varint(rest, &over) || count == 0 ||
        over > count || count > sketch->total)
        return fail(why, ERR_CORRUPT, "top-k sketch: the count of key %llu is wrong",
                    (unsigned long long)number);
    if (map_get(&sketch->map, key) != NULL)
        return fail(why, ERR_CORRUPT, "top-k sketch: key %llu is there twice",
                    (unsigned long long)number);
    place_add(sketch, key, count, over);
    return ERR_NONE;
}

enum err topk_read(struct str bytes, struct topk **ret_sketch, struct why *why)
{
    CLEANUP(topk_freep) struct topk *sketch = NULL;
    uint64_t capacity, total, count;

    if (bytes.size == 0)
        return fail(why, ERR_CORRUPT, "top-k sketch: no bytes");
    if (bytes.data[0] != VERSION)
        return fail(why, ERR_UNSUPPORTED, "top-k sketch of version %u; this program knows %d",
                    (uint8_t)bytes.data[0], VERSION);
    bytes.data++;
    bytes.size--;
    if (!buf_take_varint(&bytes, &capacity) || capacity == 0 || capacity > TOPK_CAPACITY_MAX ||
        !buf_take_varint(&bytes, &total) || !buf_take_varint(&bytes, &count) || count > capacity)
        return fail(why, ERR_CORRUPT, "top-k sketch: its head is cut off or out of bounds");
    sketch = topk_new((uint32_t)capacity);
    sketch->total = total;
    for (uint64_t i = 0; i < count; i++)
        TRY(entry_read(&bytes, sketch, i, why));
    if (bytes.size > 0)
        return fail(why, ERR_CORRUPT, "top-k sketch: %zu bytes too many", bytes.size);

    *ret_sketch = TAKE(sketch);
    return ERR_NONE;
}
