/* SPDX-License-Identifier: Apache-2.0 */
/* block - the samples of one group of series over some time, as the bytes of one row.
 *
 * Pure: no files. A group is up to 64 series that arrive together, so that most share one column
 * of times. Any thread; a writer or a reader belongs to one at a time.
 * Layout of the bytes: at the top of block.c. */
#pragma once
#include "base/arena.h"
#include "store/column.h"

#define GROUP_SERIES 64
#define GROUP_OF(id) ((id) / GROUP_SERIES)
#define SLOT_OF(id)  ((id) % GROUP_SERIES)

#define BLOCK_ROWS_MAX   16384 /* Of one series in one block. */
#define BLOCK_FIELDS_MAX 5     /* Columns of values per series: 1 for samples, 5 for roll-ups. */

/* One series to be written: `count` rows, times strictly rising. */
struct block_series {
    uint8_t slot;
    size_t count;
    const int64_t *time_ms;
    const double *values[BLOCK_FIELDS_MAX];
    const struct str *sketches; /* NULL, or one a row. */
};

struct block_info {
    int64_t min_ms;
    int64_t max_ms;
    uint64_t samples; /* Rows of all series together. */
    uint32_t rows;    /* Of the longest column. */
    uint32_t crc;     /* Of the head of the bytes. */
};

/* Appends the block of series[0 .. count), 1 … GROUP_SERIES of them, each with field_count columns.
 * No series has more than BLOCK_ROWS_MAX rows; those without rows are left out. */
void block_encode(struct column_encoder *encoder, const struct block_series *series, size_t count,
                  size_t field_count, enum column_effort effort, struct buf *out,
                  struct block_info *ret_info);

/* A block to be read; bytes stay borrowed. */
struct block_part {
    struct str bytes;
    uint32_t crc;
};

struct block_entry {
    bool present;
    uint8_t times; /* Which column of times. */
    struct block_part fields[BLOCK_FIELDS_MAX];
    struct block_part sketches; /* data is NULL where there are none. */
};

struct block {
    size_t field_count;
    size_t times_count;
    struct {
        struct str bytes;
        uint32_t rows;
    } times[GROUP_SERIES];
    struct block_entry entries[GROUP_SERIES]; /* By slot. */
};

/* crc is what block_info said. ERR_CORRUPT. */
CHECKED enum err block_parse(struct str bytes, uint32_t crc, struct block *ret_block,
                             struct why *why);

/* Rows of the series in `slot`, absent ones included; 0 when it is not in the block. */
static inline uint32_t block_rows(const struct block *block, unsigned slot)
{
    const struct block_entry *entry = &block->entries[slot];

    return entry->present ? block->times[entry->times].rows : 0;
}

/* Times of column `times`, all its rows. */
CHECKED enum err block_read_times(const struct block *block, unsigned times, int64_t *time_ms,
                                  struct why *why);
/* Rows first … first + count of one field of a present series; COLUMN_ABSENT_BITS where it has no
 * sample. Checks the column's checksum. */
CHECKED enum err block_read_field(const struct block *block, unsigned slot, unsigned field,
                                  size_t first, size_t count, double *values, struct why *why);
/* All rows' sketches, in memory of arena. Only where entry.sketches.bytes.data is not NULL. */
CHECKED enum err block_read_sketches(const struct block *block, unsigned slot, struct arena *arena,
                                     struct str *sketches, struct why *why);

static inline bool sample_is_absent(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits == COLUMN_ABSENT_BITS;
}

static inline double sample_absent(void)
{
    uint64_t bits = COLUMN_ABSENT_BITS;
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}
