/* SPDX-License-Identifier: Apache-2.0 */
/* Each group of series has a list of chunks, newest first; a chunk holds rows of one day:
 *
 *   group.newest ─► chunk (day 20412, open) ─► chunk (day 20412, full) ─► chunk (day 20411)
 *
 *   chunk:  count[64]          rows of each series, published with release
 *           times[rows]        milliseconds since the day began, of all series
 *           own_times[64][rows] of those whose times are others, where there are any
 *           values[64][rows]
 *           sketches[64][rows] where any series of the group has them
 *
 * Series of one group mostly come from one scrape, so their times are kept once; a series that
 * differs has those that it shared so far copied, and from then on a row of own_times.
 *
 * A row is written before its count is published and never changes, so a reader needs no lock.
 * Chunks of a series that run full are followed by new ones; memory of slots that nobody uses is
 * never touched.
 *
 * Sealing: the rows of a day are written to blocks in one transaction, and then its chunks are
 * marked with the epoch. A reader who entered up to that epoch may have opened its view of the
 * file before the transaction, so it goes on reading the chunk (and drops what it sees twice); a
 * later reader surely sees the blocks and passes the chunk by. When no earlier reader is left, the
 * chunk is taken out of its list, and freed when the readers of that moment are gone, too. */
#include "store/head.h"

#include "base/clock.h"

#include <stdlib.h>

static const uint64_t EPOCH_OPEN = UINT64_MAX;

struct head_blob {
    uint32_t size;
    char bytes[];
};

struct chunk {
    _Atomic(struct chunk *) next; /* Older. */
    _Atomic uint64_t sealed;      /* Epoch, or EPOCH_OPEN. */
    uint32_t group;
    int32_t day;
    uint32_t rows;        /* Capacity of each series. */
    uint32_t times_count; /* Writer: rows of the series that has most of the shared times. */
    uint32_t *times;
    double *values;
    _Atomic(uint32_t *) own_times;
    _Atomic uint64_t apart; /* A bit per series with times of its own. */
    _Atomic(struct head_blob **) sketches;
    _Atomic uint64_t unsorted; /* A bit per series whose times do not rise. */
    _Atomic uint16_t count[GROUP_SERIES];
};

static size_t chunk_size(uint32_t rows)
{
    return sizeof(struct chunk) + (size_t)rows * (GROUP_SERIES * sizeof(double) + sizeof(uint32_t));
}

static size_t own_times_size(uint32_t rows)
{
    return (size_t)GROUP_SERIES * rows * sizeof(uint32_t);
}

static struct chunk *chunk_new(uint32_t group, int32_t day, uint32_t rows)
{
    struct chunk *chunk = malloc(chunk_size(rows));

    if (chunk == NULL)
        must_memory(chunk_size(rows));
    *chunk = (struct chunk){.sealed = EPOCH_OPEN, .group = group, .day = day, .rows = rows};
    chunk->values = (double *)(void *)(chunk + 1);
    chunk->times = (uint32_t *)(void *)(chunk->values + (size_t)GROUP_SERIES * rows);
    return chunk;
}

static void chunk_free(void *memory)
{
    struct chunk *chunk = memory;
    struct head_blob **sketches = chunk->sketches;

    for (size_t i = 0; sketches != NULL && i < (size_t)GROUP_SERIES * chunk->rows; i++)
        free(sketches[i]);
    free(sketches);
    free(chunk->own_times);
    free(chunk);
}

static struct chunk *chunk_first(const struct group *group)
{
    return atomic_load_explicit(&((struct group *)group)->newest, memory_order_acquire);
}

static struct chunk *chunk_next(const struct chunk *chunk)
{
    return atomic_load_explicit(&((struct chunk *)chunk)->next, memory_order_acquire);
}

static uint64_t chunk_sealed(const struct chunk *chunk)
{
    return atomic_load_explicit(&((struct chunk *)chunk)->sealed, memory_order_acquire);
}

static uint32_t chunk_count(const struct chunk *chunk, unsigned slot)
{
    return atomic_load_explicit(&((struct chunk *)chunk)->count[slot], memory_order_acquire);
}

/* The times of a series, after its count was read: then those of all rows counted are there. */
static const uint32_t *chunk_times(const struct chunk *chunk, unsigned slot)
{
    struct chunk *at = (struct chunk *)chunk;

    if ((atomic_load_explicit(&at->apart, memory_order_acquire) >> slot & 1) == 0)
        return chunk->times;
    return atomic_load_explicit(&at->own_times, memory_order_acquire) + (size_t)slot * chunk->rows;
}

static struct head_row chunk_row(const struct chunk *chunk, unsigned slot, uint32_t index)
{
    size_t at = (size_t)slot * chunk->rows + index;
    struct head_blob **sketches =
        atomic_load_explicit(&((struct chunk *)chunk)->sketches, memory_order_acquire);
    struct head_row row = {
        .time_ms = (int64_t)chunk->day * CLOCK_MS_PER_DAY + chunk_times(chunk, slot)[index],
        .value = chunk->values[at],
    };

    if (sketches != NULL && sketches[at] != NULL)
        row.sketch = (struct str){sketches[at]->bytes, sketches[at]->size};
    return row;
}

void head_init(struct head *head, struct epoch *epoch)
{
    *head = (struct head){
        .epoch = epoch,
        .groups = paged_new(sizeof(struct group)),
        .chunk_rows = HEAD_CHUNK_ROWS_MAX / 2,
    };
}

void head_done(struct head *head)
{
    if (head->groups == NULL)
        return;
    for (uint32_t i = 0; i < paged_count(head->groups); i++) {
        for (struct chunk *chunk = chunk_first(head_group(head, i)); chunk != NULL;) {
            struct chunk *next = chunk_next(chunk);
            chunk_free(chunk);
            chunk = next;
        }
    }
    paged_free(head->groups);
    free(head->sealed);
    *head = (struct head){0};
}

struct group *head_add_group(struct head *head, uint32_t *ret_number)
{
    struct group *group = paged_next(head->groups);

    if (group == NULL)
        return NULL;
    group->first_day = group->roster_day = INT32_MAX;
    group->last_day = INT32_MIN;
    *ret_number = paged_count(head->groups);
    paged_publish(head->groups);
    return group;
}

static void chunk_keep_sketch(struct head *head, struct chunk *chunk, size_t at, struct str sketch)
{
    struct head_blob **sketches = chunk->sketches;

    if (sketches == NULL) {
        sketches = calloc((size_t)GROUP_SERIES * chunk->rows, sizeof(*sketches));
        if (sketches == NULL)
            must_memory((size_t)GROUP_SERIES * chunk->rows * sizeof(*sketches));
        head->chunk_bytes += (size_t)GROUP_SERIES * chunk->rows * sizeof(*sketches);
        atomic_store_explicit(&chunk->sketches, sketches, memory_order_release);
    }
    struct head_blob *blob = malloc(sizeof(*blob) + sketch.size);
    if (blob == NULL)
        must_memory(sketch.size);
    blob->size = (uint32_t)sketch.size;
    memcpy(blob->bytes, sketch.data, sketch.size);
    sketches[at] = blob;
}

/* The open chunk that has room for one more row. */
static struct chunk *chunk_with_room(struct head *head, uint32_t number, unsigned slot, int32_t day)
{
    struct group *group = head_group(head, number);
    struct chunk *first = atomic_load_explicit(&group->newest, memory_order_relaxed);

    for (struct chunk *chunk = first; chunk != NULL;
         chunk = atomic_load_explicit(&chunk->next, memory_order_relaxed)) {
        if (chunk->day == day &&
            atomic_load_explicit(&chunk->sealed, memory_order_relaxed) == EPOCH_OPEN &&
            atomic_load_explicit(&chunk->count[slot], memory_order_relaxed) < chunk->rows)
            return chunk;
    }
    struct chunk *chunk = chunk_new(number, day, head->chunk_rows);
    head->chunk_bytes += chunk_size(chunk->rows);
    atomic_init(&chunk->next, first);
    atomic_store_explicit(&group->newest, chunk, memory_order_release);
    return chunk;
}

/* Gives a series times of its own, beginning with the `count` that it has. */
static void set_apart(struct head *head, struct chunk *chunk, unsigned slot, uint32_t count)
{
    uint32_t *own = chunk->own_times;

    if (own == NULL) {
        own = malloc(own_times_size(chunk->rows));
        if (own == NULL)
            must_memory(own_times_size(chunk->rows));
        head->chunk_bytes += own_times_size(chunk->rows);
        atomic_store_explicit(&chunk->own_times, own, memory_order_release);
    }
    memcpy(own + (size_t)slot * chunk->rows, chunk->times, count * sizeof(*own));
    atomic_fetch_or_explicit(&chunk->apart, UINT64_C(1) << slot, memory_order_release);
}

static void put_time(struct head *head, struct chunk *chunk, unsigned slot, uint32_t index,
                     uint32_t time)
{
    uint64_t apart = atomic_load_explicit(&chunk->apart, memory_order_relaxed);

    if ((apart >> slot & 1) == 0) {
        if (index == chunk->times_count)
            chunk->times[chunk->times_count++] = time;
        if (chunk->times[index] == time)
            return;
        set_apart(head, chunk, slot, index);
    }
    chunk->own_times[(size_t)slot * chunk->rows + index] = time;
}

void head_append(struct head *head, uint32_t id, int32_t day, const struct head_row *row)
{
    unsigned slot = SLOT_OF(id);
    struct chunk *chunk = chunk_with_room(head, GROUP_OF(id), slot, day);
    uint16_t count = atomic_load_explicit(&chunk->count[slot], memory_order_relaxed);
    size_t at = (size_t)slot * chunk->rows + count;
    uint32_t time = (uint32_t)(row->time_ms - (int64_t)day * CLOCK_MS_PER_DAY);

    put_time(head, chunk, slot, count, time);
    chunk->values[at] = row->value;
    if (__builtin_expect(count > 0 && time <= chunk_times(chunk, slot)[count - 1], 0))
        atomic_fetch_or_explicit(&chunk->unsorted, UINT64_C(1) << slot, memory_order_relaxed);
    if (__builtin_expect(row->sketch.data != NULL, 0))
        chunk_keep_sketch(head, chunk, at, row->sketch);
    atomic_store_explicit(&chunk->count[slot], (uint16_t)(count + 1), memory_order_release);
}

bool head_find(const struct head *head, uint32_t id, int32_t day, int64_t time_ms,
               struct head_row *ret_row)
{
    uint32_t in_day = (uint32_t)(time_ms - (int64_t)day * CLOCK_MS_PER_DAY);
    unsigned slot = SLOT_OF(id);

    for (const struct chunk *chunk = chunk_first(head_group(head, GROUP_OF(id))); chunk != NULL;
         chunk = chunk_next(chunk)) {
        if (chunk->day != day || chunk_sealed(chunk) != EPOCH_OPEN)
            continue;
        for (uint32_t i = chunk_count(chunk, slot); i-- > 0;) {
            if (chunk_times(chunk, slot)[i] == in_day) {
                *ret_row = chunk_row(chunk, slot, i);
                return true;
            }
        }
    }
    return false;
}

/* Equal times keep their order of arrival, by index. */
struct sort_row {
    struct head_row row;
    size_t index;
};

static int by_time(const void *a, const void *b)
{
    const struct sort_row *left = a;
    const struct sort_row *right = b;

    if (left->row.time_ms != right->row.time_ms)
        return left->row.time_ms < right->row.time_ms ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static void *must_alloc(struct arena *arena, size_t count, size_t size)
{
    void *memory = arena_array(arena, count, size);

    MUST(memory != NULL);
    return memory;
}

/* Writes the sorted rows into series; the first of equal times stays. */
static void collect_rows(const struct sort_row *rows, size_t count, struct arena *arena,
                         struct block_series *series)
{
    int64_t *times = must_alloc(arena, count, sizeof(*times));
    double *values = must_alloc(arena, count, sizeof(*values));
    struct str *sketches = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && times[kept - 1] == rows[i].row.time_ms)
            continue;
        times[kept] = rows[i].row.time_ms;
        values[kept] = rows[i].row.value;
        if (rows[i].row.sketch.data != NULL) {
            if (sketches == NULL)
                sketches = must_alloc(arena, count, sizeof(*sketches));
            sketches[kept] = rows[i].row.sketch;
        }
        kept++;
    }
    series->count = kept;
    series->time_ms = times;
    series->values[0] = values;
    series->sketches = sketches;
}

static void collect_slot(struct chunk *const *chunks, size_t chunk_count_, unsigned slot,
                         struct arena *arena, struct block_series *series)
{
    size_t total = 0;
    size_t filled = 0;
    bool sorted = true;

    for (size_t i = 0; i < chunk_count_; i++)
        total += chunk_count(chunks[i], slot);
    *series = (struct block_series){.slot = (uint8_t)slot};
    if (total == 0)
        return;
    struct sort_row *rows = calloc(total, sizeof(*rows));
    if (rows == NULL)
        must_memory(total * sizeof(*rows));
    for (size_t i = 0; i < chunk_count_; i++) {
        for (uint32_t row = 0; row < chunk_count(chunks[i], slot); row++, filled++) {
            rows[filled] = (struct sort_row){chunk_row(chunks[i], slot, row), filled};
            sorted = sorted && (filled == 0 || by_time(&rows[filled - 1], &rows[filled]) < 0);
        }
    }
    if (!sorted)
        qsort(rows, total, sizeof(*rows), by_time);
    collect_rows(rows, total, arena, series);
    free(rows);
}

size_t head_collect(const struct head *head, uint32_t number, int32_t day, struct arena *arena,
                    struct block_series series[GROUP_SERIES])
{
    const struct group *group = head_group(head, number);
    size_t chunks_count = 0;
    size_t filled = 0;

    for (struct chunk *chunk = chunk_first(group); chunk != NULL; chunk = chunk_next(chunk))
        chunks_count += chunk->day == day && chunk_sealed(chunk) == EPOCH_OPEN;
    if (chunks_count == 0)
        return 0;
    struct chunk **chunks = must_alloc(arena, chunks_count, sizeof(*chunks));
    size_t at = chunks_count;
    for (struct chunk *chunk = chunk_first(group); chunk != NULL; chunk = chunk_next(chunk)) {
        if (chunk->day == day && chunk_sealed(chunk) == EPOCH_OPEN)
            chunks[--at] = chunk; /* Oldest first. */
    }
    for (unsigned slot = 0; slot < group->used; slot++) {
        collect_slot(chunks, chunks_count, slot, arena, &series[filled]);
        filled += series[filled].count > 0;
    }
    return filled;
}

bool head_has_rows(const struct head *head, uint32_t number, int32_t day)
{
    for (const struct chunk *chunk = chunk_first(head_group(head, number)); chunk != NULL;
         chunk = chunk_next(chunk)) {
        if (chunk->day == day && chunk_sealed(chunk) == EPOCH_OPEN)
            return true;
    }
    return false;
}

static void remember_sealed(struct head *head, struct chunk *chunk)
{
    if (head->sealed_count == head->sealed_capacity) {
        size_t capacity = head->sealed_capacity == 0 ? 64 : head->sealed_capacity * 2;
        head->sealed = reallocarray(head->sealed, capacity, sizeof(*head->sealed));
        if (head->sealed == NULL)
            must_memory(capacity * sizeof(*head->sealed));
        head->sealed_capacity = capacity;
    }
    head->sealed[head->sealed_count++] = chunk;
}

void head_sealed(struct head *head, int32_t day)
{
    uint64_t at = epoch_advance(head->epoch);

    for (uint32_t i = 0; i < paged_count(head->groups); i++) {
        for (struct chunk *chunk = chunk_first(head_group(head, i)); chunk != NULL;
             chunk = chunk_next(chunk)) {
            if (chunk->day != day || chunk_sealed(chunk) != EPOCH_OPEN)
                continue;
            atomic_store_explicit(&chunk->sealed, at, memory_order_release);
            remember_sealed(head, chunk);
        }
    }
    head_reclaim(head);
}

/* Takes chunk out of its group's list; readers at it can still go on from it. */
static void unlink_chunk(struct head *head, struct chunk *chunk)
{
    _Atomic(struct chunk *) *link = &head_group(head, chunk->group)->newest;

    while (*link != chunk)
        link = &(*link)->next;
    atomic_store_explicit(link, chunk_next(chunk), memory_order_release);
}

void head_reclaim(struct head *head)
{
    uint64_t oldest = epoch_oldest(head->epoch);
    size_t kept = 0;

    for (size_t i = 0; i < head->sealed_count; i++) {
        struct chunk *chunk = head->sealed[i];
        if (chunk->sealed >= oldest) {
            head->sealed[kept++] = chunk;
            continue;
        }
        unlink_chunk(head, chunk);
        head->chunk_bytes -= chunk_size(chunk->rows);
        if (chunk->own_times != NULL)
            head->chunk_bytes -= own_times_size(chunk->rows);
        if (chunk->sketches != NULL)
            head->chunk_bytes -= (size_t)GROUP_SERIES * chunk->rows * sizeof(struct head_blob *);
        epoch_retire(head->epoch, chunk, chunk_free);
    }
    head->sealed_count = kept;
    epoch_reclaim(head->epoch);
}

/* Whether a reader must look at chunk, see above. */
static bool chunk_for(const struct chunk *chunk, const struct epoch_reader *reader)
{
    return chunk_sealed(chunk) >= reader->entered;
}

void head_rows_done(struct head_rows *rows)
{
    free(rows->slices);
    *rows = (struct head_rows){0};
}

struct str head_slice_sketch(const struct head_slice *slice, size_t index)
{
    if (slice->sketches == NULL || slice->sketches[index] == NULL)
        return STR_NONE;
    return (struct str){slice->sketches[index]->bytes, slice->sketches[index]->size};
}

/* First of sorted times that is not below `least`. */
static uint32_t first_from(const uint32_t *times, uint32_t count, int64_t least)
{
    uint32_t low = 0;

    while (count > 0) {
        uint32_t half = count / 2;
        if ((int64_t)times[low + half] < least) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static struct head_slice *add_slice(struct head_rows *rows)
{
    if (rows->slice_count == rows->slice_capacity) {
        rows->slice_capacity = rows->slice_capacity == 0 ? 8 : rows->slice_capacity * 2;
        rows->slices = reallocarray(rows->slices, rows->slice_capacity, sizeof(*rows->slices));
        if (rows->slices == NULL)
            must_memory(rows->slice_capacity * sizeof(*rows->slices));
    }
    return &rows->slices[rows->slice_count++];
}

/* The part of one chunk; the count is read once: it grows meanwhile. The bit of `unsorted` is set
 * before the count that shows the row. */
static void slice_chunk(const struct chunk *chunk, unsigned slot, int64_t from_ms, int64_t to_ms,
                        struct head_rows *rows)
{
    int64_t day_ms = (int64_t)chunk->day * CLOCK_MS_PER_DAY;
    uint32_t count = chunk_count(chunk, slot);
    size_t at = (size_t)slot * chunk->rows;
    uint32_t first = 0;

    if (count == 0)
        return;
    const uint32_t *times = chunk_times(chunk, slot);
    uint64_t unsorted =
        atomic_load_explicit(&((struct chunk *)chunk)->unsorted, memory_order_relaxed);
    if ((unsorted >> slot & 1) != 0) {
        rows->sorted = false;
    } else {
        first = first_from(times, count, from_ms - day_ms);
        count = first_from(times, count, to_ms - day_ms + 1);
    }
    if (first >= count)
        return;
    struct head_blob **sketches =
        atomic_load_explicit(&((struct chunk *)chunk)->sketches, memory_order_acquire);
    *add_slice(rows) = (struct head_slice){
        .day_ms = day_ms,
        .times = times + first,
        .values = chunk->values + at + first,
        .sketches = sketches == NULL ? NULL : sketches + at + first,
        .count = count - first,
    };
    rows->count += count - first;
}

void head_read(const struct head *head, const struct epoch_reader *reader, uint32_t id,
               int64_t from_ms, int64_t to_ms, struct head_rows *rows)
{
    rows->slice_count = 0;
    rows->count = 0;
    rows->sorted = true;
    for (const struct chunk *chunk = chunk_first(head_group(head, GROUP_OF(id))); chunk != NULL;
         chunk = chunk_next(chunk)) {
        int64_t day_ms = (int64_t)chunk->day * CLOCK_MS_PER_DAY;
        if (chunk_for(chunk, reader) && day_ms <= to_ms && day_ms + CLOCK_MS_PER_DAY > from_ms)
            slice_chunk(chunk, SLOT_OF(id), from_ms, to_ms, rows);
    }
    for (size_t i = 0; i < rows->slice_count / 2; i++) { /* Newest chunk came first. */
        struct head_slice other = rows->slices[i];
        rows->slices[i] = rows->slices[rows->slice_count - 1 - i];
        rows->slices[rows->slice_count - 1 - i] = other;
    }
    for (size_t i = 1; i < rows->slice_count && rows->sorted; i++) {
        const struct head_slice *before = &rows->slices[i - 1];
        rows->sorted =
            head_slice_ms(before, before->count - 1) < head_slice_ms(&rows->slices[i], 0);
    }
}
