/* SPDX-License-Identifier: Apache-2.0 */
/* nearest - what a mistyped word was probably meant to be.
 *
 *     struct nearest nearest = nearest_begin(word);
 *     nearest_offer(&nearest, candidate);            (for each)
 *     struct str meant = nearest_found(&nearest);    (STR_NONE when nothing is close)
 *
 * Counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
 * A candidate that is much further than a slip of the fingers is not offered to the user. Words
 * over NEAREST_SIZE_MAX bytes are never close. Any thread. */
#pragma once
#include "base/str.h"

#define NEAREST_SIZE_MAX 64

struct nearest {
    struct str word;
    struct str best;
    size_t distance; /* Of best. */
};

struct nearest nearest_begin(struct str word);
void nearest_offer(struct nearest *nearest, struct str candidate);
struct str nearest_found(const struct nearest *nearest);

/* Edits from a to b; SIZE_MAX when one of them is too long to compare. */
size_t nearest_distance(struct str a, struct str b);
