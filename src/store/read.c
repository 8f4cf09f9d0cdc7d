/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ranges: group by group, so that each block is fetched once for all of its series.
 *
 * The usual series has its rows in blocks that follow one another and then in the head; its values
 * are decoded straight into the answer, and its times are those of its neighbours, built once and
 * shared. A series with absent rows, or with rows that overlap or came late, gets times of its own,
 * sorted, of equal times the first kept. */
#include "store/view_priv.h"

#include "base/scan.h"

#include <stdlib.h>

struct reading {
    struct view *view;
    const struct read_request *request;
    struct arena *arena; /* Of the answer. */
    struct fetch fetch;
    struct head_rows head; /* Of the series being read. */
    /* Times built last, and what they were built from. */
    const int64_t *times;
    size_t times_count;
    uint8_t *times_from; /* Per fetched block, its column of times; UINT8_MAX: not in it. */
    size_t times_head;   /* How many of the last came from the head. */
};

/* The part of a block that one series brings. */
struct stretch {
    const int64_t *times;
    size_t first;
    size_t count;
};

static enum err out_of_arena(const struct reading *reading, struct why *why)
{
    return arena_spent(reading->arena, "the samples of an answer", why);
}

static enum err find_span(struct reading *reading, struct fetched *item, unsigned slot,
                          struct stretch *ret_span, struct why *why)
{
    uint32_t rows = block_rows(&item->block, slot);

    *ret_span = (struct stretch){0};
    if (rows == 0)
        return ERR_NONE;
    TRY(fetch_times(&reading->fetch, item, slot, &ret_span->times, why));
    ret_span->first = times_lower(ret_span->times, rows, reading->request->from_ms);
    size_t end = rows;
    if (reading->request->to_ms < ret_span->times[rows - 1])
        end = times_lower(ret_span->times, rows, reading->request->to_ms + 1);
    ret_span->count = end > ret_span->first ? end - ret_span->first : 0;
    return ERR_NONE;
}

static void read_head(struct reading *reading, uint32_t id)
{
    head_read(&reading->view->tenant->head, &reading->view->epoch, id, reading->request->from_ms,
              reading->request->to_ms, &reading->head);
}

static unsigned field_of(const struct block *block, enum field field)
{
    return block->field_count == 1 ? 0 : (unsigned)field;
}

/* One series being put together. */
struct assembly {
    uint32_t id;
    struct stretch *spans; /* Per fetched block. */
    size_t rows;           /* Of blocks, then of the head. */
    double *values;
    int64_t folded_until_ms; /* Behind the last row of a roll-up; and its step. */
    int64_t folded_step_ms;
    struct str *sketches; /* NULL where there are none. */
    bool plain; /* Blocks and head follow one another without overlap, nothing is absent. */
};

static void note_folded(struct assembly *assembly, int64_t step_ms, int64_t last_ms)
{
    if (step_ms == 0)
        return;
    if (step_ms > assembly->folded_step_ms)
        assembly->folded_step_ms = step_ms;
    if (last_ms >= assembly->folded_until_ms)
        assembly->folded_until_ms = last_ms + 1;
}

static enum err find_spans(struct reading *reading, struct assembly *assembly, struct why *why)
{
    int64_t last_ms = INT64_MIN;

    assembly->plain = true;
    for (size_t i = 0; i < reading->fetch.count; i++) {
        struct stretch *span = &assembly->spans[i];
        TRY(find_span(reading, &reading->fetch.items[i], SLOT_OF(assembly->id), span, why));
        if (span->count == 0)
            continue;
        assembly->plain = assembly->plain && span->times[span->first] > last_ms;
        last_ms = span->times[span->first + span->count - 1];
        note_folded(assembly, reading->fetch.items[i].step_ms, last_ms);
        assembly->rows += span->count;
    }
    if (reading->head.count > 0)
        assembly->plain = assembly->plain && reading->head.sorted &&
                          head_slice_ms(&reading->head.slices[0], 0) > last_ms;
    assembly->rows += reading->head.count;
    return ERR_NONE;
}

/* What a raw row counts for: nothing where it is a marker, which stays one. */
static double row_count(double value)
{
    return metric_is_stale(value) ? value : 1;
}

static void fold_count(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = sample_is_absent(values[i]) ? values[i] : row_count(values[i]);
}

static enum err read_values(struct reading *reading, struct assembly *assembly, struct why *why)
{
    size_t at = 0;

    for (size_t i = 0; i < reading->fetch.count; i++) {
        const struct stretch *span = &assembly->spans[i];
        const struct block *block = &reading->fetch.items[i].block;
        if (span->count == 0)
            continue;
        TRY(block_read_field(block, SLOT_OF(assembly->id), field_of(block, reading->request->field),
                             span->first, span->count, assembly->values + at, why));
        if (block->entries[SLOT_OF(assembly->id)].fields[0].bytes.size > 0 && assembly->plain)
            assembly->plain =
                !scan_holds_bits(assembly->values + at, span->count, COLUMN_ABSENT_BITS);
        if (reading->request->field == FIELD_COUNT && block->field_count == 1)
            fold_count(assembly->values + at, span->count);
        at += span->count;
    }
    for (size_t i = 0; i < reading->head.slice_count; i++) {
        const struct head_slice *slice = &reading->head.slices[i];
        memcpy(assembly->values + at, slice->values, slice->count * sizeof(double));
        if (reading->request->field == FIELD_COUNT)
            fold_count(assembly->values + at, slice->count);
        at += slice->count;
    }
    return ERR_NONE;
}

static bool has_sketches(const struct reading *reading, unsigned slot)
{
    for (size_t i = 0; i < reading->fetch.count; i++) {
        if (reading->fetch.items[i].block.entries[slot].sketches.bytes.data != NULL)
            return true;
    }
    return reading->head.count > 0 && reading->head.slices[0].sketches != NULL &&
           head_slice_sketch(&reading->head.slices[0], 0).data != NULL;
}

static enum err read_sketches(struct reading *reading, struct assembly *assembly, struct why *why)
{
    unsigned slot = SLOT_OF(assembly->id);
    size_t at = 0;

    if (!has_sketches(reading, slot))
        return ERR_NONE;
    assembly->sketches = ARENA_ARRAY(reading->arena, assembly->rows, struct str);
    if (assembly->sketches == NULL)
        return out_of_arena(reading, why);
    for (size_t i = 0; i < reading->fetch.count; i++) {
        const struct stretch *span = &assembly->spans[i];
        const struct block *block = &reading->fetch.items[i].block;
        if (span->count > 0 && block->entries[slot].sketches.bytes.data != NULL) {
            struct str *all = ARENA_ARRAY(reading->arena, block_rows(block, slot), struct str);
            if (all == NULL)
                return out_of_arena(reading, why);
            TRY(block_read_sketches(block, slot, reading->arena, all, why));
            memcpy(assembly->sketches + at, all + span->first, span->count * sizeof(*all));
        }
        at += span->count;
    }
    for (size_t i = 0; i < reading->head.slice_count; i++) {
        const struct head_slice *slice = &reading->head.slices[i];
        for (size_t row = 0; row < slice->count; row++, at++) {
            assembly->sketches[at] = arena_str(reading->arena, head_slice_sketch(slice, row));
            if (assembly->sketches[at].data == NULL)
                return out_of_arena(reading, why);
        }
    }
    return ERR_NONE;
}

/* Whether the times built last are those of this series, too. */
static bool times_fit(const struct reading *reading, const struct assembly *assembly)
{
    size_t head_at = reading->times_count - reading->times_head;

    if (reading->times == NULL || reading->times_count != assembly->rows ||
        reading->times_head != reading->head.count)
        return false;
    for (size_t i = 0; i < reading->fetch.count; i++) {
        const struct fetched *item = &reading->fetch.items[i];
        uint8_t from = assembly->spans[i].count == 0
                           ? UINT8_MAX
                           : item->block.entries[SLOT_OF(assembly->id)].times;
        if (reading->times_from[i] != from)
            return false;
    }
    uint64_t different = 0;
    for (size_t i = 0; i < reading->head.slice_count; i++) {
        const struct head_slice *slice = &reading->head.slices[i];
        for (size_t row = 0; row < slice->count; row++)
            different |=
                (uint64_t)(reading->times[head_at + row] - slice->day_ms) ^ slice->times[row];
        head_at += slice->count;
    }
    return different == 0;
}

static enum err build_times(struct reading *reading, const struct assembly *assembly,
                            int64_t **ret_times, struct why *why)
{
    int64_t *times = ARENA_ARRAY_RAW(reading->arena, assembly->rows, int64_t);
    size_t at = 0;

    if (times == NULL)
        return out_of_arena(reading, why);
    for (size_t i = 0; i < reading->fetch.count; i++) {
        const struct stretch *span = &assembly->spans[i];
        if (span->count > 0)
            memcpy(times + at, span->times + span->first, span->count * sizeof(*times));
        at += span->count;
    }
    for (size_t i = 0; i < reading->head.slice_count; i++) {
        const struct head_slice *slice = &reading->head.slices[i];
        for (size_t row = 0; row < slice->count; row++)
            times[at + row] = head_slice_ms(slice, row);
        at += slice->count;
    }
    *ret_times = times;
    return ERR_NONE;
}

static void remember_times(struct reading *reading, const struct assembly *assembly,
                           const int64_t *times)
{
    reading->times = times;
    reading->times_count = assembly->rows;
    reading->times_head = reading->head.count;
    for (size_t i = 0; i < reading->fetch.count; i++)
        reading->times_from[i] =
            assembly->spans[i].count == 0
                ? UINT8_MAX
                : reading->fetch.items[i].block.entries[SLOT_OF(assembly->id)].times;
}

struct sort_row {
    int64_t time_ms;
    size_t from;
};

static int by_time_then_place(const void *a, const void *b)
{
    const struct sort_row *left = a;
    const struct sort_row *right = b;

    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return left->from < right->from ? -1 : left->from > right->from;
}

/* Sorts rows that are not plain, drops absent ones, repetitions, and what was not asked for. */
static enum err tidy(struct reading *reading, struct assembly *assembly, int64_t *times,
                     struct why *why)
{
    struct sort_row *rows = calloc(assembly->rows, sizeof(*rows));
    double *values = ARENA_ARRAY(reading->arena, assembly->rows, double);
    struct str *sketches = NULL;
    size_t present = 0;
    size_t kept = 0;

    if (rows == NULL)
        must_memory(assembly->rows * sizeof(*rows));
    if (assembly->sketches != NULL)
        sketches = ARENA_ARRAY(reading->arena, assembly->rows, struct str);
    if (values == NULL || (assembly->sketches != NULL && sketches == NULL)) {
        free(rows);
        return out_of_arena(reading, why);
    }
    for (size_t i = 0; i < assembly->rows; i++) {
        if (!sample_is_absent(assembly->values[i]) && times[i] >= reading->request->from_ms &&
            times[i] <= reading->request->to_ms)
            rows[present++] = (struct sort_row){times[i], i};
    }
    qsort(rows, present, sizeof(*rows), by_time_then_place);
    for (size_t i = 0; i < present; i++) {
        if (kept > 0 && times[kept - 1] == rows[i].time_ms)
            continue;
        times[kept] = rows[i].time_ms;
        values[kept] = assembly->values[rows[i].from];
        if (sketches != NULL)
            sketches[kept] = assembly->sketches[rows[i].from];
        kept++;
    }
    free(rows);
    assembly->values = values;
    assembly->sketches = sketches;
    assembly->rows = kept;
    return ERR_NONE;
}

static void give(const struct assembly *assembly, const int64_t *times, struct samples *ret_samples)
{
    *ret_samples = (struct samples){
        .time_ms = times,
        .value = assembly->values,
        .sketch = assembly->sketches,
        .count = assembly->rows,
        .folded_until_ms = assembly->folded_until_ms,
        .folded_step_ms = assembly->folded_step_ms,
    };
}

static enum err read_series(struct reading *reading, uint32_t id, struct stretch *spans,
                            struct samples *ret_samples, struct why *why)
{
    struct assembly assembly = {.id = id, .spans = spans};
    int64_t *times = NULL;

    *ret_samples = (struct samples){0};
    read_head(reading, id);
    TRY(find_spans(reading, &assembly, why));
    if (assembly.rows == 0)
        return ERR_NONE;
    assembly.values = ARENA_ARRAY_RAW(reading->arena, assembly.rows, double);
    if (assembly.values == NULL)
        return out_of_arena(reading, why);
    TRY(read_values(reading, &assembly, why));
    TRY(read_sketches(reading, &assembly, why));
    if (assembly.plain && times_fit(reading, &assembly)) {
        give(&assembly, reading->times, ret_samples);
        return ERR_NONE;
    }
    TRY(build_times(reading, &assembly, &times, why));
    if (assembly.plain)
        remember_times(reading, &assembly, times);
    else
        TRY(tidy(reading, &assembly, times, why));
    give(&assembly, times, ret_samples);
    return ERR_NONE;
}

static enum err read_group(struct reading *reading, const struct place *places, size_t count,
                           struct samples *ret_samples, struct why *why)
{
    size_t blocks = reading->fetch.count;

    reading->times = NULL;
    reading->times_from = arena_alloc(reading->fetch.arena, blocks + 1);
    struct stretch *spans = ARENA_ARRAY(reading->fetch.arena, blocks + 1, struct stretch);
    if (reading->times_from == NULL || spans == NULL)
        return arena_spent(reading->fetch.arena, "reading a group", why);
    for (size_t i = 0; i < count; i++)
        TRY(read_series(reading, places[i].id, spans, &ret_samples[places[i].index], why));
    return ERR_NONE;
}

static enum err read_places(struct reading *reading, const struct place *places, size_t count,
                            struct samples *ret_samples, struct why *why)
{
    struct source_part parts[SOURCE_PARTS_MAX];
    size_t part_count = view_parts(reading->view, reading->request, parts);
    size_t end;

    for (size_t from = 0; from < count; from = end) {
        uint32_t group = GROUP_OF(places[from].id);
        for (end = from + 1; end < count && GROUP_OF(places[end].id) == group;)
            end++;
        TRY(view_cancelled(reading->view, why));
        fetch_clear(&reading->fetch);
        for (size_t i = 0; i < part_count; i++)
            TRY(fetch_blocks(&reading->fetch, group, &parts[i], why));
        TRY(read_group(reading, places + from, end - from, ret_samples, why));
    }
    return ERR_NONE;
}

enum err view_read(struct store_view *self, const struct series_set *set,
                   const struct read_request *request, struct arena *arena,
                   struct samples *ret_samples, struct why *why)
{
    struct reading reading = {.view = view_of(self), .request = request, .arena = arena};
    struct place *places;

    TRY(view_places(reading.view, set, arena, &places, why));
    fetch_init(&reading.fetch, reading.view, arena);
    enum err err = read_places(&reading, places, set->count, ret_samples, why);
    fetch_done(&reading.fetch);
    head_rows_done(&reading.head);
    return err;
}
