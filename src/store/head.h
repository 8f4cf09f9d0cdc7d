/* SPDX-License-Identifier: Apache-2.0 */
/* head - the newest committed rows of each series, in memory to be asked; the same rows lie in
 * `pending` to survive a crash.
 *
 * One writer appends and seals. Readers look inside epoch_enter … epoch_leave and never wait.
 * Layout, and why a seal loses nothing for a reader: at the top of head.c. */
#pragma once
#include "base/str.h"
#include "store/block.h"
#include "store/epoch.h"
#include "store/paged.h"

#define HEAD_CHUNK_ROWS_MIN 8
#define HEAD_CHUNK_ROWS_MAX 256

struct chunk;
struct head_blob;

struct group {
    uint32_t spill;            /* Group that takes the next series when this one is full; 0. */
    uint8_t used;              /* Slots taken. */
    bool dirty;                /* Its labels are not in the catalog yet. */
    _Atomic int32_t first_day; /* Days that it may have blocks of, as the catalog knows. */
    _Atomic int32_t last_day;
    int32_t roster_day; /* Day file that last got its roster, and of how many series. */
    uint8_t roster_used;
    uint32_t tracks[GROUP_SERIES]; /* Numbers in the index. */
    _Atomic(struct chunk *) newest;
};

struct head {
    struct epoch *epoch;
    struct paged *groups;
    struct chunk **sealed; /* Not yet taken out of their lists. */
    size_t sealed_count;
    size_t sealed_capacity;
    uint32_t chunk_rows; /* Capacity of the next chunks. */
    size_t chunk_bytes;  /* Memory of all chunks. */
};

/* One row as a reader gets it. */
struct head_row {
    int64_t time_ms;
    double value;
    struct str sketch; /* data is NULL for a plain sample; good until epoch_leave. */
};

void head_init(struct head *head, struct epoch *epoch);
void head_done(struct head *head);

/* Writer. A new, empty group; NULL when there are too many. ret_number counts from 0. */
struct group *head_add_group(struct head *head, uint32_t *ret_number);
static inline struct group *head_group(const struct head *head, uint32_t number)
{
    return paged_at(head->groups, number);
}

/* Writer. Adds a committed row of the series with this id; day is the UTC day of time_ms. */
void head_append(struct head *head, uint32_t id, int32_t day, const struct head_row *row);
/* Writer. Whether there is a row at that time, and which. */
bool head_find(const struct head *head, uint32_t id, int32_t day, int64_t time_ms,
               struct head_row *ret_row);

/* Writer. The open rows of a group and day, sorted, equal times once (the first kept): fills
 * series[0 .. return), in memory of arena (NULL budget is not expected: MUST). */
size_t head_collect(const struct head *head, uint32_t group, int32_t day, struct arena *arena,
                    struct block_series series[GROUP_SERIES]);
/* Writer. Whether head_collect would find anything. */
bool head_has_rows(const struct head *head, uint32_t group, int32_t day);
/* Writer. The collected rows of all groups and that day are in blocks now. */
void head_sealed(struct head *head, int32_t day);
/* Writer. Frees what readers have left. */
void head_reclaim(struct head *head);

/* Rows of one chunk that lie in the time asked for. */
struct head_slice {
    int64_t day_ms; /* Added to each of times. */
    const uint32_t *times;
    const double *values;
    struct head_blob **sketches; /* NULL where there are none. */
    uint32_t count;
};

/* What a series has in the head: slices, oldest chunk first. All zero is empty. Good until
 * epoch_leave. */
struct head_rows {
    struct head_slice *slices;
    size_t slice_count;
    size_t slice_capacity;
    size_t count; /* Rows of all slices. */
    bool sorted;  /* Times rise from the first row to the last. */
};
void head_rows_done(struct head_rows *rows);

/* Reader. Replaces rows by those in [from_ms, to_ms]; where not sorted, a few outside may be among
 * them, and equal times. */
void head_read(const struct head *head, const struct epoch_reader *reader, uint32_t id,
               int64_t from_ms, int64_t to_ms, struct head_rows *rows);

static inline int64_t head_slice_ms(const struct head_slice *slice, size_t index)
{
    return slice->day_ms + slice->times[index];
}

/* data is NULL for a plain sample. */
struct str head_slice_sketch(const struct head_slice *slice, size_t index);
