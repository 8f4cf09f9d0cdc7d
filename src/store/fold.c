/* SPDX-License-Identifier: Apache-2.0 */
/* A step of the samples before:  [start, start + step)  becomes one row at  start + step - 1, so
 * that whoever asks for the window (t - 5m, t] at a whole minute t meets five one-minute rows. */
#include "base/clock.h"
#include "model/metric.h"
#include "sketch/quantile.h"
#include "store/rollup.h"
#include "store/store_read.h"

#include <math.h>

static int64_t step_end(int64_t time_ms, int64_t step_ms)
{
    int64_t step = time_ms / step_ms - (time_ms % step_ms < 0);

    return (step + 1) * step_ms - 1;
}

static size_t count_steps(const int64_t *time_ms, size_t count, int64_t step_ms)
{
    size_t steps = 0;
    int64_t end_ms = INT64_MIN;

    for (size_t i = 0; i < count; i++) {
        if (steps == 0 || time_ms[i] > end_ms) {
            end_ms = step_end(time_ms[i], step_ms);
            steps++;
        }
    }
    return steps;
}

/* Rows first … end - 1 of one step. */
static void fold_step(const double *values, size_t first, size_t end, struct fold_steps *steps,
                      size_t at)
{
    double least = NAN;
    double most = NAN;
    double sum = 0;
    size_t numbers = 0;

    for (size_t i = first; i < end; i++) {
        if (metric_is_stale(values[i]))
            continue;
        if (numbers == 0 || values[i] < least || isnan(least))
            least = values[i];
        if (numbers == 0 || values[i] > most || isnan(most))
            most = values[i];
        sum += values[i];
        numbers++;
    }
    steps->values[FIELD_LAST][at] = values[end - 1];
    steps->values[FIELD_MIN][at] = numbers == 0 ? metric_stale() : least;
    steps->values[FIELD_MAX][at] = numbers == 0 ? metric_stale() : most;
    steps->values[FIELD_SUM][at] = numbers == 0 ? metric_stale() : sum;
    steps->values[FIELD_COUNT][at] = numbers == 0 ? metric_stale() : (double)numbers;
}

static enum err merge_one(struct quantile **merged, struct str bytes, struct why *why)
{
    struct quantile *one CLEANUP(quantile_freep) = NULL;

    if (bytes.size == 0)
        return ERR_NONE; /* A plain sample among sketches: a stale marker. */
    TRY(quantile_read(bytes, &one, why));
    if (*merged == NULL)
        *merged = TAKE(one);
    else
        quantile_merge(*merged, one);
    return ERR_NONE;
}

/* The sketches of one step become one, and its number of observations the value. */
static enum err merge_step(const struct str *sketches, size_t first, size_t end,
                           struct arena *arena, struct fold_steps *steps, size_t at,
                           struct why *why)
{
    struct quantile *merged CLEANUP(quantile_freep) = NULL;
    struct buf bytes CLEANUP(buf_done) = {0};

    for (size_t i = first; i < end; i++)
        TRY(merge_one(&merged, sketches[i], why));
    steps->sketches[at] = STR_NONE;
    if (merged == NULL)
        return ERR_NONE;
    quantile_write(merged, &bytes);
    steps->sketches[at] = arena_str(arena, buf_view(&bytes));
    if (steps->sketches[at].data == NULL)
        return arena_spent(arena, "rolling up sketches", why);
    steps->values[FIELD_LAST][at] = (double)quantile_count(merged);
    return ERR_NONE;
}

enum err fold(const int64_t *time_ms, const double *values, const struct str *sketches,
              size_t count, int64_t step_ms, struct arena *arena, struct fold_steps *ret_steps,
              struct why *why)
{
    struct fold_steps steps = {.count = count_steps(time_ms, count, step_ms)};
    size_t at = 0;
    size_t end;
    bool good = true;

    *ret_steps = steps;
    if (count == 0)
        return ERR_NONE;
    steps.time_ms = ARENA_ARRAY(arena, steps.count, int64_t);
    for (size_t field = 0; field < BLOCK_FIELDS_MAX; field++) {
        steps.values[field] = ARENA_ARRAY(arena, steps.count, double);
        good = good && steps.values[field] != NULL;
    }
    if (sketches != NULL)
        steps.sketches = ARENA_ARRAY(arena, steps.count, struct str);
    if (!good || steps.time_ms == NULL || (sketches != NULL && steps.sketches == NULL))
        return arena_spent(arena, "rolling up", why);
    for (size_t first = 0; first < count; first = end, at++) {
        steps.time_ms[at] = step_end(time_ms[first], step_ms);
        for (end = first + 1; end < count && time_ms[end] <= steps.time_ms[at];)
            end++;
        fold_step(values, first, end, &steps, at);
        if (sketches != NULL)
            TRY(merge_step(sketches, first, end, arena, &steps, at, why));
    }
    *ret_steps = steps;
    return ERR_NONE;
}
