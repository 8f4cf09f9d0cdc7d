/* SPDX-License-Identifier: Apache-2.0 */
/* select - which series pass a list of matchers. Readers, inside epoch_enter … epoch_leave. */
#pragma once
#include "store/head.h"
#include "store/index.h"
#include "store/store_read.h"

struct select_request {
    const struct matcher *matchers;
    size_t count;
    int32_t from_day;
    int32_t to_day;
};

struct track_list {
    uint32_t *numbers; /* Rising. */
    size_t count;
};

/* Tracks that pass all matchers and may have rows in the days, in memory of arena. ERR_LIMIT. */
CHECKED enum err select_tracks(const struct index *index, const struct head *head,
                               const struct select_request *request, struct arena *arena,
                               struct track_list *ret_list, struct why *why);

/* Puts the numbers in the order of their labels; scratch has room for as many. */
void select_sort(const struct index *index, uint32_t *numbers, size_t count, uint32_t *scratch);
