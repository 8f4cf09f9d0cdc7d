/* SPDX-License-Identifier: Apache-2.0 */
/* column - a run of numbers of one series in few bytes, and back, bit for bit.
 *
 * Pure: bytes in, bytes out; no files, no clock, no global state. Any thread; an encoder belongs
 * to one thread at a time. Every double survives: NaN payloads, -0.0, infinities, subnormals.
 * A column does not know how many rows it has; whoever keeps it keeps the count beside it.
 * Layout of the bytes: at the top of column.c.
 *
 * All decoders are bounded: any bytes either decode or give ERR_CORRUPT. They cannot notice every
 * flipped bit; whoever keeps columns on disk checks a checksum first. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows in one column; asking for more, or for none, is a bug (MUST). */
#define COLUMN_ROWS_MAX 65536

/* "The series had no sample in this row": a NaN that no source sends. A run of them costs a few
 * bytes, so series of one scrape can share one time column though some come late or pause. */
#define COLUMN_ABSENT_BITS UINT64_C(0x7ff8005ab5e27000)

/* What a reader often needs instead of the rows. "Numbers" are the rows that are not NaN.
 * Without numbers all doubles here are NaN. `sum` is as if added without rounding, to within a last
 * digit. `increase` is a counter's: the sum of all rises between neighbouring numbers, plus the
 * value itself where it fell (a reset), as Prometheus' increase() counts before extrapolating. It
 * is NaN, and resets_count 0, for what falls in more than one row of 16: that is no counter. */
struct column_stats {
    uint32_t numbers_count; /* Rows that are not NaN. */
    uint32_t absent_count;  /* Rows that are COLUMN_ABSENT_BITS. */
    uint32_t nan_count;     /* Rows that are any other NaN (stale markers among them). */
    uint32_t resets_count;  /* Falls between neighbouring numbers. */
    double first, last;     /* The first and the last number. */
    double min, max;
    double sum;
    double increase;
};

/* How long the encoder may think. FAST is for the writer's path, BEST for compaction. */
enum column_effort {
    COLUMN_FAST,
    COLUMN_BEST,
};

/* Scratch memory, reusable for any number of columns (about 52 bytes a row of the longest). */
struct column_encoder;
struct column_encoder *column_encoder_new(void);
struct column_encoder *column_encoder_free(struct column_encoder *encoder); /* Returns NULL. */
void column_encoder_freep(struct column_encoder **encoder);                 /* For CLEANUP. */

/* Appends the column of values[0 .. count) to out; ret_stats may be NULL. Cannot fail. */
void column_encode(struct column_encoder *encoder, const double *values, size_t count,
                   enum column_effort effort, struct buf *out, struct column_stats *ret_stats);

/* bytes is exactly what one column_encode appended, count what it was told. */
CHECKED enum err column_decode(struct str bytes, size_t count, double *values, struct why *why);

/* Only rows first .. first + n, n >= 1, within count; values has room for n. Much cheaper than all
 * of a long column: it starts at the nearest of a few restart points. */
CHECKED enum err column_decode_range(struct str bytes, size_t count, size_t first, size_t n,
                                     double *values, struct why *why);

/* The stats that the encoder saw. Columns of COLUMN_STATS_ROWS rows or more carry them at their
 * start: bytes may then be just the first COLUMN_HEAD_SIZE_MAX. Shorter columns carry none and are
 * decoded for it, which is as quick; bytes must then be the whole column. */
#define COLUMN_STATS_ROWS    256
#define COLUMN_HEAD_SIZE_MAX 96
CHECKED enum err column_stats_read(struct str bytes, size_t count, struct column_stats *ret_stats,
                                   struct why *why);

/* Integers, any int64: meant for times in ms (or ns), one column shared by all series of a scrape;
 * rows at an even pace cost nothing, late ones about a byte. Need not be sorted. */
void time_column_encode(struct column_encoder *encoder, const int64_t *times, size_t count,
                        struct buf *out);
CHECKED enum err time_column_decode(struct str bytes, size_t count, int64_t *times,
                                    struct why *why);
CHECKED enum err time_column_decode_range(struct str bytes, size_t count, size_t first, size_t n,
                                          int64_t *times, struct why *why);
