/* SPDX-License-Identifier: Apache-2.0 */
/* array - doubles in a row: made, sorted, selected from.
 *
 * Everything in stats reads `const double *values, size_t count`. Values are numbers: what may hold
 * NaN passes array_keep_numbers first. Infinities are fine where only ranks matter. Pure; any
 * thread. */
#pragma once
#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

double *array_new(size_t count);                          /* Zeroed; free with array_free. */
double *array_copy(const double *values, size_t count);   /* The same, filled. */
double *array_sorted(const double *values, size_t count); /* A copy in ascending order. */
double *array_free(double *values);                       /* Always returns NULL. */
void array_freep(double **values);                        /* For CLEANUP. */

/* Ascending, in linear time (a radix sort). -0 and 0 are equal and end as 0. */
void array_sort(double *values, size_t count);

/* The value that would stand at `index` if the array were sorted; reorders values. count > index.
 */
double array_select(double *values, size_t count, size_t index);

/* Moves what is not NaN to the front, in order; returns how many. */
size_t array_keep_numbers(double *values, size_t count);

/* A double as an unsigned integer of the same order, and back: for bisecting over all doubles. */
uint64_t array_key(double value);
double array_from_key(uint64_t key);
