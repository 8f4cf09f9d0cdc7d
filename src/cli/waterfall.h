/* SPDX-License-Identifier: Apache-2.0 */
/* waterfall - one trace drawn into a terminal: a row a span, or a row for siblings of one name.
 *
 *     GET /orders  shop          █────────────────────────────────█   1.00 s
 *     ├─ SELECT  shop              ████████████                       400 ms
 *     ├─ SELECT ×50  shop                       ▒▒▒▒▒▒▒               150 ms
 *
 * Solid is where the request waited for the span's own work, light where it worked beside that or
 * waited itself. One thread. */
#pragma once
#include "analysis/trace_path.h"
#include "cli/terminal.h"

struct waterfall {
    const struct trace_tree *tree;
    const struct trace_path *path; /* Of the whole trace. */
    bool fold;                     /* Siblings of one operation into one row. */
    size_t rows_max;
};

/* Returns how many spans stand in no row because of rows_max. */
size_t waterfall_write(const struct waterfall *waterfall, const struct terminal *terminal,
                       struct buf *out);
