/* SPDX-License-Identifier: Apache-2.0 */
/* Windows with edges: the samples of the lookback before the range (and, smoothed, behind it) are
 * at hand, and the values at the range's two ends are picked or interpolated from them.
 *
 *        lookback     (      range      ]   lookback
 *      x      x       |   x     x       |     x
 *             '--left-'                 '-right, smoothed only
 */
#include "query/promql_extended.h"

#include "query/promql_functions.h"

#include <stdio.h>

struct samples_view {
    const int64_t *times;
    const double *values;
    size_t count;
    int64_t start_ms;
    int64_t end_ms;
    bool smoothed;
    bool counter;
};

enum err extended_check(struct eval *eval, const struct node *node,
                        const struct function_row *function, enum extension extension)
{
    bool anchored = extension == EXTENSION_ANCHORED;
    unsigned wanted = anchored ? FUNCTION_ANCHORED : FUNCTION_SMOOTHED;
    char names[128] = "";
    size_t used = 0;
    size_t count;
    const struct function_row *rows = function_rows(&count);

    if (function->flags & wanted)
        return ERR_NONE;
    for (size_t i = 0; i < count; i++) {
        if (!(rows[i].flags & wanted))
            continue;
        int more = snprintf(names + used, sizeof(names) - used, "%s%s", used > 0 ? ", " : "",
                            rows[i].name);
        used += more < 0 ? 0 : (size_t)more;
        MUST(used < sizeof(names));
    }
    return eval_fail(eval, node, "%s modifier can only be used with: %s - not with %s",
                     anchored ? "anchored" : "smoothed", names, function->name);
}

/* The last sample at or before the start, but never the very last one. */
static size_t first_index(const struct samples_view *view)
{
    size_t i = 0;

    while (i + 1 < view->count && view->times[i] <= view->start_ms)
        i++;
    return i > 0 ? i - 1 : 0;
}

static size_t last_index(const struct samples_view *view)
{
    size_t i = 0;

    if (!view->smoothed)
        return view->count - 1;
    while (i + 1 < view->count && view->times[i] < view->end_ms)
        i++;
    return i;
}

/* The value between sample i and the next. A counter that fell in between counts from 0 to the
 * right of the left edge, and goes on growing to the left of the right edge. */
static double between(const struct samples_view *view, size_t i, int64_t at_ms, bool left_edge)
{
    double before = view->values[i];
    double after = view->values[i + 1];
    double share = (double)(at_ms - view->times[i]) / (double)(view->times[i + 1] - view->times[i]);

    if (view->counter && after < before) {
        if (left_edge)
            before = 0;
        else
            after += before;
    }
    return before + (after - before) * share;
}

static double increase(const struct samples_view *view)
{
    size_t first = first_index(view);
    size_t last = last_index(view);

    if (view->times[last] <= view->start_ms)
        return absent_value();
    double left = view->smoothed && view->times[first] < view->start_ms && first + 1 < view->count
                      ? between(view, first, view->start_ms, true)
                      : view->values[first];
    double right = view->smoothed && last > 0 && view->times[last] > view->end_ms
                       ? between(view, last - 1, view->end_ms, false)
                       : view->values[last];
    double result = right - left;
    double held = left;

    if (!view->counter)
        return result;
    for (size_t i = first; i <= last; i++) {
        if (view->times[i] <= view->start_ms || view->times[i] >= view->end_ms)
            continue;
        if (view->values[i] < held)
            result += held;
        held = view->values[i];
    }
    return right < held ? result + held : result;
}

static double extended_value(const struct function_row *function, struct samples_view *view)
{
    size_t first = first_index(view);
    struct window window = {
        .times = view->times + first,
        .values = view->values + first,
        .count = view->count - first,
    };

    if (function->window == window_changes)
        return window_changes(&window);
    if (function->window == window_resets) {
        size_t resets = 0;
        for (size_t i = 1; i < window.count; i++)
            resets += window.values[i] < window.values[i - 1];
        return (double)resets;
    }
    view->counter = function->window != window_delta;
    double result = increase(view);
    if (function->window == window_rate && !is_absent(result))
        result /= (double)(view->end_ms - view->start_ms) / 1000;
    return result;
}

enum err extended_run(struct eval *eval, const struct grid *grid,
                      const struct function_row *function, const struct matrix *matrix,
                      const struct run *run, double *values)
{
    bool smoothed = matrix->extension == EXTENSION_SMOOTHED;
    size_t low = 0;
    size_t high = 0;

    for (size_t i = 0; i < grid->steps; i++) {
        struct samples_view view = {.smoothed = smoothed};
        view.end_ms = matrix->fixed ? matrix->fixed_end_ms : grid_time(grid, i) - matrix->offset_ms;
        view.start_ms = view.end_ms - matrix->range_ms;
        int64_t newest_ms = view.end_ms + (smoothed ? matrix->lookback_ms : 0);
        while (high < run->count && run->times[high] <= newest_ms)
            high++;
        while (low < high && run->times[low] <= view.start_ms - matrix->lookback_ms)
            low++;
        view.times = run->times + low;
        view.values = run->values + low;
        view.count = high - low;
        values[i] = view.count == 0 ? absent_value() : extended_value(function, &view);
        TRY(eval_tick(eval, view.count));
    }
    return ERR_NONE;
}

/* --- the smoothed instant selector --- */

static double smoothed_at(const struct run *run, int64_t at_ms, int64_t lookback_ms)
{
    size_t next = 0;

    while (next < run->count && run->times[next] <= at_ms)
        next++;
    if (next == 0 || run->times[next - 1] <= at_ms - lookback_ms)
        return absent_value();
    struct samples_view view = {.times = run->times, .values = run->values, .count = run->count};
    if (run->times[next - 1] == at_ms || next == run->count ||
        run->times[next] > at_ms + lookback_ms)
        return run->values[next - 1];
    return between(&view, next - 1, at_ms, true);
}

/* Reads like a range of one lookback that knows both sides. */
enum err eval_smoothed(struct eval *eval, const struct grid *grid, const struct node *node,
                       struct operand *ret_value)
{
    struct duration lookback = {
        .kind = DURATION_NUMBER,
        .start = node->start,
        .seconds = (double)eval->query->lookback_ms / 1000,
    };
    struct node range = *node;
    struct matrix matrix;

    range.selector.range = &lookback;
    TRY(eval_matrix(eval, grid, &range, FIELD_LAST, false, &matrix));
    TRY(eval_columns(eval, grid, matrix.count, ret_value));
    for (size_t r = 0; r < matrix.count; r++) {
        struct column *column = &ret_value->columns[r];
        column->labels = matrix.runs[r].labels;
        for (size_t i = 0; i < grid->steps; i++) {
            int64_t at_ms =
                matrix.fixed ? matrix.fixed_end_ms : grid_time(grid, i) - matrix.offset_ms;
            column->values[i] = smoothed_at(&matrix.runs[r], at_ms, eval->query->lookback_ms);
        }
    }
    operand_compact(ret_value, grid);
    return ERR_NONE;
}
