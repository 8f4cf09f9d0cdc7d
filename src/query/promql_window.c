/* SPDX-License-Identifier: Apache-2.0 */
/* Slides windows over runs of samples.
 *
 *     times   x  x  x  x  x  x  x  x
 *                (-----------|           one step's window: left-open, right-closed
 *                   (-----------|        the next: both ends only move right
 *
 * Series of one sender mostly share one array of times: then the ends found for the first hold for
 * the others, too. A window function sees its part of the arrays in place. Counter resets
 * are found once per run; each window gets the part of that list that falls into it, so rate()
 * costs a step only as much as it has resets, not samples. */
#include "query/promql_eval_priv.h"

#include "base/scan.h"
#include "query/promql_extended.h"
#include "query/promql_functions.h"
#include "query/promql_sketch.h"

enum { PARAMETERS_MAX = 2, SLID_KEPT = 8 };

/* Times that were slid over, and the bounds found, one per step. */
struct slid {
    const int64_t *times;
    size_t count;
    struct bounds *bounds;
};

struct slide {
    struct eval *eval;
    const struct grid *grid;
    const struct node *node;
    const struct function_row *function;
    struct matrix matrix;
    const struct node *matrix_node;
    double *parameters[PARAMETERS_MAX]; /* One per step. */
    size_t parameters_count;
    bool constant_parameters;
    uint32_t *resets;
    double *scratch;
    struct slid slid[SLID_KEPT];
    size_t slid_next; /* The one to be replaced. */
};

static enum err slide_arguments(struct slide *slide)
{
    const struct node_call *call = &slide->node->call;

    slide->constant_parameters = true;
    for (size_t i = 0; i < call->arguments_count; i++) {
        const struct node *argument = call->arguments[i];
        if (argument->type == PROMQL_MATRIX) {
            slide->matrix_node = node_unwrap(argument);
            TRY(eval_matrix(slide->eval, slide->grid, argument, slide->function->field,
                            slide->function->flags & FUNCTION_WEIGHTS, &slide->matrix));
            continue;
        }
        MUST(slide->parameters_count < PARAMETERS_MAX);
        if (node_unwrap(argument)->kind != NODE_NUMBER)
            slide->constant_parameters = false;
        TRY(eval_scalar(slide->eval, slide->grid, argument,
                        &slide->parameters[slide->parameters_count++]));
    }
    return ERR_NONE;
}

static enum err slide_buffers(struct slide *slide)
{
    size_t longest = 1;

    for (size_t i = 0; i < slide->matrix.count; i++)
        if (slide->matrix.runs[i].count > longest)
            longest = slide->matrix.runs[i].count;
    if (longest > UINT32_MAX)
        return eval_spent(slide->eval);
    slide->resets = ARENA_ARRAY_RAW(slide->eval->arena, longest, uint32_t);
    if (slide->resets == NULL)
        return eval_spent(slide->eval);
    return eval_numbers(slide->eval, longest, &slide->scratch);
}

/* Resets are rare: most stretches are only looked at, several values at a time. */
enum { RESET_STRETCH = 128 };

static size_t find_resets(const struct run *run, uint32_t *resets)
{
    size_t count = 0;

    for (size_t from = 1; from < run->count; from += RESET_STRETCH) {
        size_t end = run->count - from < RESET_STRETCH ? run->count : from + RESET_STRETCH;
        if (!scan_falls(run->values + from - 1, end - from + 1))
            continue;
        for (size_t i = from; i < end; i++) {
            resets[count] = (uint32_t)i;
            count += run->values[i] < run->values[i - 1];
        }
    }
    return count;
}

/* The list of resets is of the whole run; window functions want indices into the window. */
struct reset_cursor {
    size_t low;
    size_t high;
    size_t count;
    bool wanted;
};

static void window_at(const struct slide *slide, size_t step, struct window *window)
{
    int64_t eval_ms = grid_time(slide->grid, step);

    window->eval_ms = eval_ms;
    window->end_ms =
        slide->matrix.fixed ? slide->matrix.fixed_end_ms : eval_ms - slide->matrix.offset_ms;
    window->start_ms = window->end_ms - slide->matrix.range_ms;
}

static void slide_over(const struct slide *slide, const struct run *run, struct bounds *bounds)
{
    struct window window;
    size_t low = 0;
    size_t high = 0;

    for (size_t i = 0; i < slide->grid->steps; i++) {
        window_at(slide, i, &window);
        while (high < run->count && run->times[high] <= window.end_ms)
            high++;
        while (low < high && run->times[low] <= window.start_ms)
            low++;
        bounds[i] = (struct bounds){(uint32_t)low, (uint32_t)high};
    }
}

static enum err find_bounds(struct slide *slide, const struct run *run,
                            const struct bounds **ret_bounds)
{
    for (size_t i = 0; i < SLID_KEPT; i++) {
        const struct slid *known = &slide->slid[i];
        if (known->bounds != NULL && known->times == run->times && known->count == run->count) {
            *ret_bounds = known->bounds;
            return ERR_NONE;
        }
    }
    struct slid *slid = &slide->slid[slide->slid_next++ % SLID_KEPT];
    if (slid->bounds == NULL)
        slid->bounds = ARENA_ARRAY_RAW(slide->eval->arena, slide->grid->steps, struct bounds);
    if (slid->bounds == NULL)
        return eval_spent(slide->eval);
    slid->times = run->times;
    slid->count = run->count;
    slide_over(slide, run, slid->bounds);
    *ret_bounds = slid->bounds;
    return ERR_NONE;
}

static enum err slide_run(struct slide *slide, const struct run *run, double *values)
{
    const struct grid *grid = slide->grid;
    double parameters[PARAMETERS_MAX] = {0};
    struct window window = {
        .parameters = parameters,
        .scratch = slide->scratch,
        .weighed =
            slide->function->field == FIELD_COUNT && slide->matrix_node->kind == NODE_SELECTOR,
    };
    struct reset_cursor cursor = {.wanted = slide->function->flags & FUNCTION_RESETS};
    bool once = slide->matrix.fixed && slide->constant_parameters &&
                !(slide->function->flags & FUNCTION_EVAL_TIME);
    const struct bounds *bounds = NULL;
    uint64_t work = 0;

    TRY(find_bounds(slide, run, &bounds));
    if (cursor.wanted)
        cursor.count = find_resets(run, slide->resets);
    for (size_t i = 0; i < grid->steps; i++) {
        if (once && i > 0) {
            values[i] = values[0];
            continue;
        }
        size_t low = bounds[i].low;
        size_t high = bounds[i].high;
        window_at(slide, i, &window);
        window.count = high - low;
        if (window.count == 0) {
            values[i] = absent_value();
            continue;
        }
        window.times = run->times + low;
        window.values = run->values + low;
        window.weights = run->weights == NULL ? NULL : run->weights + low;
        window.base = low;
        if (cursor.wanted) {
            /* A drop at the window's first sample happened before the window. */
            while (cursor.low < cursor.count && slide->resets[cursor.low] <= low)
                cursor.low++;
            while (cursor.high < cursor.count && slide->resets[cursor.high] < high)
                cursor.high++;
            window.resets = slide->resets + cursor.low;
            window.resets_count = cursor.high > cursor.low ? cursor.high - cursor.low : 0;
        }
        for (size_t p = 0; p < slide->parameters_count; p++)
            parameters[p] = slide->parameters[p][i];
        values[i] = slide->function->window(&window);
        work += window.count;
    }
    return eval_tick(slide->eval, work);
}

/* --- what deserves a remark --- */

static bool looks_like_counter(const struct labels *labels)
{
    struct str name = labels_get(labels, LABEL_NAME);

    if (name.size == 0 || str_eq(labels_get(labels, STR("__type__")), STR("counter")))
        return true;
    return str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) ||
           str_ends(name, STR("_count")) || str_ends(name, STR("_bucket"));
}

static void note_counters(const struct slide *slide)
{
    for (size_t i = 0; i < slide->matrix.count; i++) {
        const struct labels *labels = slide->matrix.runs[i].labels;
        if (slide->matrix.runs[i].drop_name || slide->matrix.runs[i].sketches != NULL ||
            looks_like_counter(labels))
            continue;
        eval_note(slide->eval, false, slide->matrix_node,
                  "metric might not be a counter, name does not end in "
                  "_total/_sum/_count/_bucket: \"%.*s\"",
                  STR_ARG(labels_get(labels, LABEL_NAME)));
    }
}

static void note_quantiles(const struct slide *slide)
{
    for (size_t i = 0; i < slide->grid->steps && slide->matrix.count > 0; i++) {
        double quantile = slide->parameters[0][i];
        char text[STR_DOUBLE_SIZE];
        if (quantile >= 0 && quantile <= 1)
            continue;
        size_t size = str_from_double(text, quantile);
        eval_note(slide->eval, true, slide->node->call.arguments[0],
                  "quantile value should be between 0 and 1, got %.*s", (int)size, text);
    }
}

static enum err check_smoothing(const struct slide *slide)
{
    static const char *const names[] = {"smoothing", "trend"};

    for (size_t i = 0; i < slide->grid->steps && slide->matrix.count > 0; i++) {
        for (size_t p = 0; p < slide->parameters_count; p++) {
            double factor = slide->parameters[p][i];
            if (!(factor > 0 && factor < 1))
                return eval_fail(slide->eval, slide->node,
                                 "invalid %s factor. Expected: 0 < %s < 1, got: %f", names[p],
                                 p == 0 ? "sf" : "tf", factor);
        }
    }
    return ERR_NONE;
}

static enum err slide_sketches(struct slide *slide, enum sketch_fold fold, const struct run *run,
                               struct column *column)
{
    const struct bounds *bounds;

    TRY(find_bounds(slide, run, &bounds));
    return sketch_run(slide->eval, slide->grid, fold, &slide->matrix, run, bounds, column);
}

static enum err slide_all(struct slide *slide, struct operand *value)
{
    bool keeps_name = slide->function->flags & FUNCTION_KEEPS_NAME;
    enum sketch_fold fold = sketch_fold_of(slide->function);

    TRY(slide_buffers(slide));
    TRY(eval_columns(slide->eval, slide->grid, slide->matrix.count, value));
    for (size_t r = 0; r < slide->matrix.count; r++) {
        const struct run *run = &slide->matrix.runs[r];
        struct column *column = &value->columns[r];
        column->labels = run->labels;
        column->drop_name = run->drop_name || !keeps_name;
        if (fold != SKETCH_FOLD_NONE && run->sketches != NULL)
            TRY(slide_sketches(slide, fold, run, column));
        else if (slide->matrix.extension != EXTENSION_NONE)
            TRY(extended_run(slide->eval, slide->grid, slide->function, &slide->matrix, run,
                             column->values));
        else
            TRY(slide_run(slide, run, column->values));
    }
    operand_compact(value, slide->grid);
    return ERR_NONE;
}

enum err eval_windows(struct eval *eval, const struct grid *grid, const struct node *node,
                      struct operand *ret_value)
{
    struct slide slide = {
        .eval = eval, .grid = grid, .node = node, .function = node->call.function};

    TRY(slide_arguments(&slide));
    if (slide.matrix.extension != EXTENSION_NONE)
        TRY(extended_check(eval, node, slide.function, slide.matrix.extension));
    if (slide.function->flags & FUNCTION_QUANTILE)
        note_quantiles(&slide);
    else if (slide.parameters_count == PARAMETERS_MAX)
        TRY(check_smoothing(&slide));
    TRY(slide_all(&slide, ret_value));
    if (slide.function->flags & FUNCTION_COUNTER)
        note_counters(&slide);
    return ERR_NONE;
}
