/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a block:
 *
 *   u8      version, 1
 *   u8      fields per series, 1 … 5
 *   varint  columns of times, 1 … 64
 *   varint  series, 1 … 64
 *   per column of times:  varint rows, varint size
 *   per series:           u8 slot (bit 6: has sketches), u8 column of times,
 *                         per field, then for sketches: varint size, u32 crc-32c;
 *                         a field of size 0 is the same as the first (a counter's max is its last)
 *   the columns of times, one behind the other
 *   ---- up to here the row's crc; behind it each column has its own, so that reading one series
 *        need not touch the others ----
 *   per series: its fields, then its sketches
 *
 * Series of one scrape have equal times. One that came late or paused is told to use a longer
 * column of times, with absent rows in its values, as long as that wastes less than a quarter;
 * otherwise it brings a column of its own. So times that have nothing in common cost what they
 * must, and never more. */
#include "store/block.h"

#include "base/crc.h"
#include "store/column_blob.h"
#include "store/varint.h"

#include <stdlib.h>

enum {
    VERSION = 1,
    SKETCH_BIT = 0x40,
    SLOT_MASK = 0x3f,
};

struct plan {
    const struct block_series *series[GROUP_SERIES]; /* Longest first. */
    uint8_t times_of[GROUP_SERIES];
    size_t count;
    const struct block_series *times[GROUP_SERIES]; /* Whose times a column holds. */
    size_t times_count;
};

static int longest_first(const void *a, const void *b)
{
    const struct block_series *left = *(const struct block_series *const *)a;
    const struct block_series *right = *(const struct block_series *const *)b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return (int)left->slot - (int)right->slot;
}

/* Whether every time of series stands in those of wide, which is not much longer. */
static bool times_cover(const struct block_series *wide, const struct block_series *series)
{
    size_t at = 0;

    if (wide->count == series->count)
        return wide->time_ms == series->time_ms ||
               memcmp(wide->time_ms, series->time_ms, wide->count * sizeof(int64_t)) == 0;
    if (series->count < wide->count - wide->count / 4)
        return false;
    for (size_t i = 0; i < series->count; i++) {
        while (at < wide->count && wide->time_ms[at] < series->time_ms[i])
            at++;
        if (at == wide->count || wide->time_ms[at] != series->time_ms[i])
            return false;
    }
    return true;
}

static void plan_times(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        size_t at = 0;
        while (at < plan->times_count && !times_cover(plan->times[at], plan->series[i]))
            at++;
        if (at == plan->times_count)
            plan->times[plan->times_count++] = plan->series[i];
        plan->times_of[i] = (uint8_t)at;
    }
}

static struct plan plan_make(const struct block_series *series, size_t count,
                             struct block_info *info)
{
    struct plan plan = {0};

    *info = (struct block_info){.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    for (size_t i = 0; i < count; i++) {
        const struct block_series *one = &series[i];
        if (one->count == 0)
            continue;
        MUST(one->count <= BLOCK_ROWS_MAX && one->slot < GROUP_SERIES);
        plan.series[plan.count++] = one;
        info->samples += one->count;
        if (one->time_ms[0] < info->min_ms)
            info->min_ms = one->time_ms[0];
        if (one->time_ms[one->count - 1] > info->max_ms)
            info->max_ms = one->time_ms[one->count - 1];
    }
    MUST(plan.count > 0 && plan.count <= GROUP_SERIES);
    qsort(plan.series, plan.count, sizeof(plan.series[0]), longest_first);
    info->rows = (uint32_t)plan.series[0]->count;
    plan_times(&plan);
    return plan;
}

/* Spreads the rows of series over the times of wide; values points to them or into scratch. */
static const double *spread(const struct block_series *wide, const struct block_series *series,
                            size_t field, double *scratch)
{
    size_t from = 0;

    if (wide->count == series->count)
        return series->values[field];
    for (size_t i = 0; i < wide->count; i++) {
        bool here = from < series->count && series->time_ms[from] == wide->time_ms[i];
        scratch[i] = here ? series->values[field][from] : sample_absent();
        from += here;
    }
    return scratch;
}

static void spread_sketches(const struct block_series *wide, const struct block_series *series,
                            struct str *scratch)
{
    size_t from = 0;

    for (size_t i = 0; i < wide->count; i++) {
        bool here = from < series->count && series->time_ms[from] == wide->time_ms[i];
        scratch[i] = here ? series->sketches[from] : STR_NONE;
        from += here;
    }
}

/* Says in head what was appended to columns since `from`. */
static void head_part(struct buf *head, const struct buf *columns, size_t from)
{
    buf_varint(head, columns->size - from);
    buf_u32(head, crc32c(0, columns->data + from, columns->size - from));
}

static bool same_as_first(const struct block_series *series, size_t field)
{
    return field > 0 &&
           memcmp(series->values[field], series->values[0], series->count * sizeof(double)) == 0;
}

static void encode_series(struct column_encoder *encoder, const struct plan *plan, size_t index,
                          size_t field_count, enum column_effort effort, struct buf *head,
                          struct buf *columns)
{
    const struct block_series *series = plan->series[index];
    const struct block_series *wide = plan->times[plan->times_of[index]];
    double *scratch = malloc(wide->count * (sizeof(double) + sizeof(struct str)));

    if (scratch == NULL)
        must_memory(wide->count * sizeof(double));
    buf_byte(head, (uint8_t)(series->slot | (series->sketches != NULL ? SKETCH_BIT : 0)));
    buf_byte(head, plan->times_of[index]);
    for (size_t field = 0; field < field_count; field++) {
        size_t from = columns->size;
        if (!same_as_first(series, field))
            column_encode(encoder, spread(wide, series, field, scratch), wide->count, effort,
                          columns, NULL);
        head_part(head, columns, from);
    }
    if (series->sketches != NULL) {
        size_t from = columns->size;
        spread_sketches(wide, series, (struct str *)(void *)scratch);
        blob_column_encode(encoder, (struct str *)(void *)scratch, wide->count, effort, columns);
        head_part(head, columns, from);
    }
    free(scratch);
}

void block_encode(struct column_encoder *encoder, const struct block_series *series, size_t count,
                  size_t field_count, enum column_effort effort, struct buf *out,
                  struct block_info *ret_info)
{
    struct buf head CLEANUP(buf_done) = {0};
    struct buf times CLEANUP(buf_done) = {0};
    struct buf columns CLEANUP(buf_done) = {0};
    struct plan plan = plan_make(series, count, ret_info);

    MUST(field_count >= 1 && field_count <= BLOCK_FIELDS_MAX);
    buf_byte(&head, VERSION);
    buf_byte(&head, (uint8_t)field_count);
    buf_varint(&head, plan.times_count);
    buf_varint(&head, plan.count);
    for (size_t i = 0; i < plan.times_count; i++) {
        size_t from = times.size;
        time_column_encode(encoder, plan.times[i]->time_ms, plan.times[i]->count, &times);
        buf_varint(&head, plan.times[i]->count);
        buf_varint(&head, times.size - from);
    }
    for (size_t i = 0; i < plan.count; i++)
        encode_series(encoder, &plan, i, field_count, effort, &head, &columns);
    buf_str(&head, buf_view(&times));
    ret_info->crc = crc32c(0, head.data, head.size);
    buf_str(out, buf_view(&head));
    buf_str(out, buf_view(&columns));
}

static enum err corrupt(struct why *why)
{
    return fail(why, ERR_CORRUPT, "a block's directory does not fit its bytes");
}

static void parse_part(struct varint_reader *reader, struct block_part *part)
{
    part->bytes = (struct str){NULL, (size_t)varint_read_most(reader, UINT32_MAX)};
    part->crc = varint_u32(reader);
}

static bool parse_entry(struct varint_reader *reader, struct block *block, uint8_t *ret_slot)
{
    uint8_t slot = varint_byte(reader);
    uint8_t times = varint_byte(reader);
    struct block_entry *entry = &block->entries[slot & SLOT_MASK];

    if (slot > (SLOT_MASK | SKETCH_BIT) || times >= block->times_count || entry->present)
        return false;
    entry->present = true;
    entry->times = times;
    for (size_t i = 0; i < block->field_count; i++)
        parse_part(reader, &entry->fields[i]);
    if ((slot & SKETCH_BIT) != 0)
        parse_part(reader, &entry->sketches);
    *ret_slot = slot;
    return !reader->failed;
}

enum err block_parse(struct str bytes, uint32_t crc, struct block *ret_block, struct why *why)
{
    struct varint_reader reader = varint_begin(bytes);
    struct block block = {0};
    uint8_t slots[GROUP_SERIES];

    uint8_t version = varint_byte(&reader);
    block.field_count = varint_byte(&reader);
    block.times_count = (size_t)varint_read_most(&reader, GROUP_SERIES);
    size_t series_count = (size_t)varint_read_most(&reader, GROUP_SERIES);
    if (version != VERSION || block.field_count < 1 || block.field_count > BLOCK_FIELDS_MAX ||
        block.times_count < 1 || series_count < 1)
        return corrupt(why);
    for (size_t i = 0; i < block.times_count; i++) {
        block.times[i].rows = (uint32_t)varint_read_most(&reader, BLOCK_ROWS_MAX);
        block.times[i].bytes.size = (size_t)varint_read_most(&reader, UINT32_MAX);
        if (block.times[i].rows == 0)
            return corrupt(why);
    }
    for (size_t i = 0; i < series_count; i++) {
        if (!parse_entry(&reader, &block, &slots[i]))
            return corrupt(why);
    }
    for (size_t i = 0; i < block.times_count; i++)
        block.times[i].bytes = varint_bytes(&reader, block.times[i].bytes.size);
    if (reader.failed ||
        crc32c(0, bytes.data, (size_t)((const char *)reader.at - bytes.data)) != crc)
        return fail(why, ERR_CORRUPT, "the checksum of a block's directory does not match");
    for (size_t i = 0; i < series_count; i++) {
        struct block_entry *entry = &block.entries[slots[i] & SLOT_MASK];
        for (size_t field = 0; field < block.field_count; field++)
            entry->fields[field].bytes = varint_bytes(&reader, entry->fields[field].bytes.size);
        if ((slots[i] & SKETCH_BIT) != 0)
            entry->sketches.bytes = varint_bytes(&reader, entry->sketches.bytes.size);
    }
    if (reader.failed || varint_left(&reader) > 0)
        return corrupt(why);
    *ret_block = block;
    return ERR_NONE;
}

enum err block_read_times(const struct block *block, unsigned times, int64_t *time_ms,
                          struct why *why)
{
    return time_column_decode(block->times[times].bytes, block->times[times].rows, time_ms, why);
}

static enum err check_part(const struct block_part *part, struct why *why)
{
    if (crc32c(0, part->bytes.data, part->bytes.size) != part->crc)
        return fail(why, ERR_CORRUPT, "the checksum of a column does not match");
    return ERR_NONE;
}

enum err block_read_field(const struct block *block, unsigned slot, unsigned field, size_t first,
                          size_t count, double *values, struct why *why)
{
    const struct block_part *part = &block->entries[slot].fields[field];
    uint32_t rows = block_rows(block, slot);

    if (part->bytes.size == 0)
        part = &block->entries[slot].fields[0];
    MUST(field < block->field_count && count >= 1 && first + count <= rows);
    TRY(check_part(part, why));
    if (count == rows)
        return column_decode(part->bytes, rows, values, why);
    return column_decode_range(part->bytes, rows, first, count, values, why);
}

enum err block_read_sketches(const struct block *block, unsigned slot, struct arena *arena,
                             struct str *sketches, struct why *why)
{
    const struct block_part *part = &block->entries[slot].sketches;

    TRY(check_part(part, why));
    return blob_column_decode(part->bytes, block_rows(block, slot), arena, sketches, why);
}
