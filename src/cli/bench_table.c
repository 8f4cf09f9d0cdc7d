/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_table.h"
#include "cli/grid.h"

static int style_of(const struct bench_row *row)
{
    static const int styles[VERDICT_KIND_COUNT] = {[VERDICT_CANNOT_TELL] = STYLE_DIM,
                                                   [VERDICT_STABLE] = STYLE_PLAIN,
                                                   [VERDICT_IMPROVED] = STYLE_GOOD,
                                                   [VERDICT_DEGRADED] = STYLE_BAD};

    bool changed = row->verdict.kind == VERDICT_IMPROVED || row->verdict.kind == VERDICT_DEGRADED;

    return changed && row->quarantined ? STYLE_DIM : styles[row->verdict.kind];
}

void bench_comparison_write_table(const struct bench_comparison *comparison,
                                  const struct terminal *terminal, struct buf *out)
{
    static const struct grid_column columns[] = {{.title = "Metric"},
                                                 {.title = "Before", .right = true},
                                                 {.title = "After", .right = true},
                                                 {.title = "Change"},
                                                 {.title = "Verdict", .shrink = true}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < comparison->count; i++) {
        const struct bench_row *row = &comparison->rows[i];
        grid_cell(grid, str_of(row->metric->name));
        buf_clear(&text);
        bench_write_median(&row->before, &row->before_interval, row->metric->unit, &text);
        grid_cell(grid, buf_view(&text));
        buf_clear(&text);
        bench_write_median(&row->after, &row->after_interval, row->metric->unit, &text);
        grid_cell(grid, buf_view(&text));
        buf_clear(&text);
        bench_row_write_change(row, &text);
        grid_cell(grid, buf_view(&text));
        grid_style(grid, style_of(row));
        buf_clear(&text);
        bench_row_write_verdict(row, &text);
        grid_cell(grid, buf_view(&text));
        grid_style(grid, style_of(row));
    }
    grid_write(grid, terminal, out);
    grid_free(grid);
    bench_comparison_write_notes(comparison, out);
}
