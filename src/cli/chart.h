/* SPDX-License-Identifier: Apache-2.0 */
/* chart - series over time, drawn into a terminal: Braille dots, axes with units and times, a
 * legend that tells series apart by colour or, without colour, by mark. One thread. */
#pragma once
#include "cli/quantity.h"
#include "cli/terminal.h"

struct chart_series {
    struct str name;
    const int64_t *times_ms; /* Rising. */
    const double *values;    /* NaN is a gap. */
    size_t count;
};

struct chart {
    const struct chart_series *series;
    size_t count;
    int64_t from_ms, to_ms;
    int64_t step_ms; /* Points further apart than two steps are not joined. */
    enum unit unit;
    int rows; /* Of the plot; 0: by the terminal's height. */
};

#define CHART_SERIES_MAX 24 /* Drawn; the legend says how many there are. */

void chart_write(const struct chart *chart, const struct terminal *terminal, struct buf *out);
