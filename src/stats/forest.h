/* SPDX-License-Identifier: Apache-2.0 */
/* forest - which rows are unlike the others? An isolation forest (F. T. Liu and others, 2008).
 *
 * Built once from rows of numbers, then asked; a fixed seed gives the same forest everywhere. One
 * thread builds; read-only afterwards, then any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct forest;

struct forest_options {
    size_t trees;  /* 0: 100. */
    size_t sample; /* Rows a tree sees; 0: 256. */
    uint64_t seed;
};

/* rows is row after row, `columns` numbers each, without NaN; not kept. rows_count and columns are
 * above 0. */
struct forest *forest_new(const double *rows, size_t rows_count, size_t columns,
                          const struct forest_options *options);
struct forest *forest_free(struct forest *forest); /* Always returns NULL. */
void forest_freep(struct forest **forest);         /* For CLEANUP. */

/* 0 … 1: about 0.5 and below is ordinary, from 0.6 on unlike the others. row has `columns` numbers.
 */
double forest_score(const struct forest *forest, const double *row);
