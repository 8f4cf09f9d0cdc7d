/* SPDX-License-Identifier: Apache-2.0 */
/* report - numbers as a document to take away: the seam for its forms.
 *
 * Whoever asked questions gathers the answers in a `struct report_data`; a form writes it. A form
 * is one file with a `const struct report_kind` and one row in reports.def. Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct labels;

struct report_series {
    struct str name;             /* Of the figure or metric; never empty. */
    const struct labels *labels; /* NULL: none. */
    const int64_t *times_ms;
    const double *values;
    size_t count;
};

struct report_data {
    int64_t start_ms;
    int64_t end_ms;
    int64_t step_ms; /* 0: one moment. */
    const struct report_series *series;
    size_t count;
};

struct report_kind {
    const char *name; /* "csv" */
    const char *summary;
    const char *media_type;
    const char *suffix; /* Of a file name: ".csv". */
    /* Appends the document to out; what it needs meanwhile comes from the arena. */
    enum err (*write)(const struct report_data *data, struct arena *arena, struct buf *out,
                      struct why *why);
};

extern const struct report_kind *const reports[];
extern const size_t reports_count;

const struct report_kind *report_find(struct str name); /* NULL when there is none. */

/* Points in all series. */
size_t report_points_count(const struct report_data *data);
