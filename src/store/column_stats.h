/* SPDX-License-Identifier: Apache-2.0 */
/* column_stats - what a column remembers about its rows, computed and as bytes.
 *
 * Private to the column modules. Layout: at the top of column.c. Pure. */
#pragma once
#include "store/column.h"

/* How the integers of a decimal column become numbers. */
struct stats_scale {
    const int64_t *rows; /* For writing only. */
    size_t rows_count;
    int64_t first;
    uint64_t divisor;
    unsigned exponent;
};

/* From the doubles themselves. */
void stats_of_values(const double *values, size_t count, struct column_stats *ret_stats);
/* All rows are this. */
void stats_of_constant(double value, size_t count, struct column_stats *ret_stats);

/* Appends the stats as flags and doubles. */
void stats_write_raw(const struct column_stats *stats, struct buf *out);
/* From the rows of a decimal column without wide mantissas whose patches are all NaN; absent and
 * nan of them are. False, with nothing written: a sum was too large. */
bool stats_write_rows(const struct stats_scale *scale, size_t absent, size_t nan, struct buf *out,
                      struct column_stats *ret_stats);

/* Takes stats off the front of *rest. scale is NULL where only raw stats make sense. */
CHECKED enum err stats_read(struct str *rest, size_t count, const struct stats_scale *scale,
                            struct column_stats *ret_stats, struct why *why);
