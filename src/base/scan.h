/* SPDX-License-Identifier: Apache-2.0 */
/* scan - yes or no questions to long arrays of numbers, asked several numbers at a time.
 *
 * They look at all of the array whatever they find: for what is rarely true. Pure; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Loops that gain from newer instructions are compiled twice and chosen when the program starts. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define SCAN_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define SCAN_CLONES
#endif

/* Whether one of them has just these bits; so that one NaN can be told from another. */
bool scan_holds_bits(const double *values, size_t count, uint64_t bits);

/* Whether one is less than the one before it. */
bool scan_falls(const double *values, size_t count);
