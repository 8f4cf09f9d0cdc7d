/* SPDX-License-Identifier: Apache-2.0 */
/* roster - the labels of a group's series, as the bytes of one row. Pure; any thread.
 *
 * Sixty-four label sets that arrived together resemble one another, so they are compressed
 * together: about ten bytes a series. The catalog keeps the roster of every group, and each day
 * file a copy for the groups it has blocks of, so that a lost catalog can be made anew.
 * Layout of the bytes: at the top of roster.c. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "model/label.h"

/* Appends the sets of slots 0 … count - 1 (at most GROUP_SERIES) to out. */
void roster_encode(const struct labels *const *sets, size_t count, struct buf *out);

struct roster_visitor {
    enum err (*visit)(void *self, unsigned slot, const struct labels *labels, struct why *why);
    void *self;
};

/* Shows each set in order of slots; a set lives until visit returns. ERR_CORRUPT. */
CHECKED enum err roster_decode(struct str bytes, const struct roster_visitor *visitor,
                               struct why *why);
