/* SPDX-License-Identifier: Apache-2.0 */
/* top_view - draws what a live view shows: the machine in a few lines, then processes or groups.
 * Pure: from figures and rows to text. One thread. */
#pragma once
#include "cli/terminal.h"
#include "cli/top_host.h"
#include "sources/process_table.h"

struct top_state {
    enum process_sort sort;
    bool groups; /* Processes of one name as one row. */
    bool kernel; /* Kernel threads too. */
    bool paused;
    bool help;
    bool typing; /* The filter is being typed. */
    char filter[64];
    size_t scroll; /* First row shown. */
    int64_t period_ms;
    const char *from; /* "this machine", or the daemon's address. */
};

struct top_rows {
    const struct process_row *items;
    size_t count;
    size_t total; /* Before the filter. */
    int64_t time_ms;
};

/* Lines of the frame, separated by '\n', no more than the terminal has rows. Corrects scroll. */
void top_view_write(const struct top_host *host, const struct top_rows *rows,
                    struct top_state *state, const struct terminal *terminal, struct buf *out);

/* The rows as groups: sums per group, in an array of the arena. */
CHECKED enum err top_view_group(const struct top_rows *rows, enum process_sort sort,
                                struct arena *arena, struct top_rows *ret_groups, struct why *why);

/* Largest first, as process_table sorts; for rows that came from elsewhere. */
void top_view_sort(struct process_row *rows, size_t count, enum process_sort sort);
