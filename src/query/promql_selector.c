/* SPDX-License-Identifier: Apache-2.0 */
/* From selectors and subqueries to columns and runs of samples.
 *
 * An instant selector shows at each step the newest sample that is not older than the lookback:
 *
 *        lookback        step
 *     (------------------|          left-open, right-closed
 *          x   x   x                the last x counts, unless it is a stale marker
 *
 * Steps rise, so one index walks the samples once for all steps. A range selector reads all
 * samples that any window can see once; promql_window.c slides over them. */
#include "query/promql_eval_priv.h"

#include "base/scan.h"
#include "query/promql_sketch.h"

/* Roll-ups may stand in for raw samples when a step or a range holds at least this many of them. */
enum { ROLLUPS_PER_STEP = 10, ROLLUPS_PER_RANGE = 60 };

struct look {
    bool fixed;
    int64_t fixed_ms; /* With the offset already taken off. */
    int64_t offset_ms;
};

static enum err resolve(struct eval *eval, const struct grid *grid, const struct moment *moment,
                        struct look *ret_look)
{
    struct look look = {.fixed = moment->at != AT_NONE};

    if (moment->offset != NULL)
        TRY(eval_duration(eval, grid, moment->offset, &look.offset_ms));
    look.fixed_ms = moment->at == AT_START ? eval->query->start_ms
                    : moment->at == AT_END ? eval->query->end_ms
                                           : moment->at_ms;
    look.fixed_ms -= look.offset_ms;
    *ret_look = look;
    return ERR_NONE;
}

static int64_t first_time(const struct look *look, const struct grid *grid)
{
    return look->fixed ? look->fixed_ms : grid->start_ms - look->offset_ms;
}

static int64_t last_time(const struct look *look, const struct grid *grid)
{
    return look->fixed ? look->fixed_ms : grid->end_ms - look->offset_ms;
}

static enum err select_series(struct eval *eval, const struct node *node, int64_t from_ms,
                              int64_t to_ms, struct series_set *ret_set)
{
    const struct node_selector *selector = &node->selector;
    struct store_view *view = eval->query->source;

    TRY(view->ops->select(view, selector->matchers, selector->matchers_count, from_ms, to_ms,
                          eval->arena, ret_set, eval->why));
    if (ret_set->count <= eval->query->series_max)
        return ERR_NONE;
    (void)fail_at(eval->why, ERR_LIMIT, node->start,
                  "a selector finds %zu series; %zu are allowed in one query", ret_set->count,
                  eval->query->series_max); /* Returned below. */
    hint(eval->why, "narrow it with more labels");
    return ERR_LIMIT;
}

static enum err read_samples(struct eval *eval, const struct series_set *set,
                             const struct read_request *request, struct samples **ret_samples)
{
    struct store_view *view = eval->query->source;
    struct samples *samples = ARENA_ARRAY(eval->arena, set->count, struct samples);
    uint64_t total = 0;

    if (samples == NULL)
        return eval_spent(eval);
    TRY(view->ops->read(view, set, request, eval->arena, samples, eval->why));
    for (size_t i = 0; i < set->count; i++)
        total += samples[i].count;
    *ret_samples = samples;
    return eval_count(eval, total);
}

/* --- instant selectors --- */

/* The sketches of the newest samples, whose values are in the columns already. */
static enum err select_sketches(struct eval *eval, const struct grid *grid,
                                const struct series_set *set, const struct look *look,
                                struct operand *value)
{
    const struct grid once = {.steps = grid->steps}; /* Every step at the fixed time. */
    struct read_request request = {
        .from_ms = first_time(look, grid) - eval->query->lookback_ms + 1,
        .to_ms = last_time(look, grid),
        .field = FIELD_LAST,
    };
    struct samples *samples;

    TRY(read_samples(eval, set, &request, &samples));
    for (size_t s = 0; s < set->count; s++)
        TRY(sketch_fill(eval, look->fixed ? &once : grid, &samples[s], first_time(look, grid),
                        &value->columns[s]));
    return ERR_NONE;
}

/* One moment for all steps. */
static enum err select_moment(struct eval *eval, const struct grid *grid,
                              const struct series_set *set, int64_t at_ms, bool want_times,
                              struct operand *value)
{
    struct store_view *view = eval->query->source;
    int64_t *times = ARENA_ARRAY(eval->arena, set->count, int64_t);
    double *values;

    TRY(eval_numbers(eval, set->count, &values));
    if (times == NULL)
        return eval_spent(eval);
    TRY(view->ops->instant(view, set, at_ms, eval->query->lookback_ms, eval->arena, times, values,
                           eval->why));
    TRY(eval_count(eval, set->count));
    for (size_t s = 0; s < set->count; s++) {
        struct column *column = &value->columns[s];
        double shown = times[s] == INT64_MIN ? absent_value() : values[s];
        if (want_times && !is_absent(shown))
            shown = (double)times[s] / 1000;
        for (size_t i = 0; i < grid->steps; i++)
            column->values[i] = shown;
    }
    return ERR_NONE;
}

static void fill_column(const struct grid *grid, const struct samples *samples, int64_t offset_ms,
                        int64_t lookback_ms, bool want_times, double *values)
{
    int64_t time_ms = grid->start_ms - offset_ms;
    size_t next = 0;

    for (size_t i = 0; i < grid->steps; i++, time_ms += grid->step_ms) {
        while (next < samples->count && samples->time_ms[next] <= time_ms)
            next++;
        if (next == 0 || samples->time_ms[next - 1] <= time_ms - lookback_ms) {
            values[i] = absent_value();
            continue;
        }
        double value = samples->value[next - 1];
        values[i] =
            want_times && !is_absent(value) ? (double)samples->time_ms[next - 1] / 1000 : value;
    }
}

static enum err select_steps(struct eval *eval, const struct grid *grid,
                             const struct series_set *set, const struct look *look, bool want_times,
                             struct operand *value)
{
    int64_t lookback_ms = eval->query->lookback_ms;
    struct read_request request = {
        .from_ms = first_time(look, grid) - lookback_ms + 1,
        .to_ms = last_time(look, grid),
        .step_ms = grid->step_ms / ROLLUPS_PER_STEP,
        .field = FIELD_LAST,
    };
    struct samples *samples;

    TRY(read_samples(eval, set, &request, &samples));
    for (size_t s = 0; s < set->count; s++)
        fill_column(grid, &samples[s], look->offset_ms, lookback_ms, want_times,
                    value->columns[s].values);
    return ERR_NONE;
}

enum err eval_selector(struct eval *eval, const struct grid *grid, const struct node *node,
                       bool want_times, struct operand *ret_value)
{
    const struct node_selector *selector = &node->selector;
    int64_t lookback_ms = eval->query->lookback_ms;
    struct look look;
    struct series_set set;

    if (selector->extension == EXTENSION_SMOOTHED)
        return eval_smoothed(eval, grid, node, ret_value);
    TRY(resolve(eval, grid, &selector->moment, &look));
    int64_t from_ms = first_time(&look, grid) - lookback_ms + 1;
    int64_t to_ms = last_time(&look, grid);
    TRY(select_series(eval, node, from_ms, to_ms, &set));
    TRY(eval_columns(eval, grid, set.count, ret_value));
    for (size_t s = 0; s < set.count; s++)
        ret_value->columns[s].labels = set.items[s].labels;
    if (look.fixed || grid->steps == 1)
        TRY(select_moment(eval, grid, &set, to_ms, want_times, ret_value));
    else
        TRY(select_steps(eval, grid, &set, &look, want_times, ret_value));
    if (eval->wants_sketches && !want_times)
        TRY(select_sketches(eval, grid, &set, &look, ret_value));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

/* --- ranges --- */

/* A run without stale markers: windows do not see them. weights may be NULL. */
static enum err make_run(struct eval *eval, const struct samples *samples, const double *weights,
                         struct run *run)
{
    double *kept_weights = NULL;
    struct str *kept_sketches = NULL;

    run->sketches = samples->sketch;
    run->times = samples->time_ms;
    run->values = samples->value;
    run->weights = weights;
    run->count = samples->count;
    if (!scan_holds_bits(samples->value, samples->count, ABSENT_BITS))
        return ERR_NONE;
    int64_t *times = ARENA_ARRAY(eval->arena, samples->count, int64_t);
    double *values;
    TRY(eval_numbers(eval, samples->count, &values));
    if (weights != NULL)
        TRY(eval_numbers(eval, samples->count, &kept_weights));
    if (samples->sketch != NULL)
        kept_sketches = ARENA_ARRAY(eval->arena, samples->count, struct str);
    if (times == NULL || (samples->sketch != NULL && kept_sketches == NULL))
        return eval_spent(eval);
    run->count = 0;
    for (size_t i = 0; i < samples->count; i++) {
        if (is_absent(samples->value[i]))
            continue;
        times[run->count] = samples->time_ms[i];
        if (weights != NULL)
            kept_weights[run->count] = weights[i];
        if (kept_sketches != NULL)
            kept_sketches[run->count] = samples->sketch[i];
        values[run->count++] = samples->value[i];
    }
    run->times = times;
    run->values = values;
    run->weights = kept_weights;
    run->sketches = kept_sketches;
    return ERR_NONE;
}

/* How many samples the values stand for, row by row, of all series where any has roll-ups; else
 * *ret_counts is NULL. */
static enum err read_weights(struct eval *eval, const struct series_set *set,
                             const struct read_request *request, const struct samples *sums,
                             struct samples **ret_counts)
{
    struct read_request counts_request = *request;
    bool any = false;

    *ret_counts = NULL;
    for (size_t i = 0; i < set->count; i++)
        any = any || sums[i].folded_step_ms > 0;
    if (!any)
        return ERR_NONE;
    counts_request.field = FIELD_COUNT;
    TRY(read_samples(eval, set, &counts_request, ret_counts));
    for (size_t i = 0; i < set->count; i++)
        if ((*ret_counts)[i].count != sums[i].count)
            return fail(eval->why, ERR_INTERNAL, "a series has %zu sums and %zu counts",
                        sums[i].count, (*ret_counts)[i].count);
    return ERR_NONE;
}

static enum err select_range(struct eval *eval, const struct grid *grid, const struct node *node,
                             enum field field, bool want_weights, struct matrix *matrix)
{
    const struct node_selector *selector = &node->selector;
    struct look look;
    struct series_set set;
    struct samples *samples;
    struct samples *counts = NULL;

    TRY(resolve(eval, grid, &selector->moment, &look));
    TRY(eval_duration(eval, grid, selector->range, &matrix->range_ms));
    if (matrix->range_ms <= 0)
        return eval_fail(eval, node, "duration must be greater than 0");
    matrix->fixed = look.fixed;
    matrix->fixed_end_ms = look.fixed_ms;
    matrix->offset_ms = look.offset_ms;
    matrix->extension = selector->extension;
    matrix->lookback_ms = eval->query->lookback_ms;
    struct read_request request = {
        .from_ms = first_time(&look, grid) - matrix->range_ms + 1,
        .to_ms = last_time(&look, grid),
        .step_ms = matrix->range_ms / ROLLUPS_PER_RANGE,
        .field = field,
    };
    if (selector->extension != EXTENSION_NONE)
        request.from_ms -= matrix->lookback_ms;
    if (selector->extension == EXTENSION_SMOOTHED)
        request.to_ms += matrix->lookback_ms;
    TRY(select_series(eval, node, request.from_ms, request.to_ms, &set));
    TRY(read_samples(eval, &set, &request, &samples));
    if (want_weights)
        TRY(read_weights(eval, &set, &request, samples, &counts));
    matrix->runs = ARENA_ARRAY(eval->arena, set.count, struct run);
    if (matrix->runs == NULL)
        return eval_spent(eval);
    for (size_t s = 0; s < set.count; s++) {
        struct run *run = &matrix->runs[matrix->count];
        *run = (struct run){.labels = set.items[s].labels};
        TRY(make_run(eval, &samples[s], counts == NULL ? NULL : counts[s].value, run));
        if (run->count > 0)
            matrix->count++;
    }
    return ERR_NONE;
}

/* --- subqueries --- */

/* The steps lie on multiples of the resolution, whatever the question's own steps. */
static enum err subquery_grid(struct eval *eval, const struct grid *outer, const struct node *node,
                              const struct look *look, int64_t range_ms, struct grid *ret_frame)
{
    int64_t step_ms = PROMQL_SUBQUERY_STEP_MS;
    struct grid grid = {0};

    if (node->subquery.step != NULL)
        TRY(eval_duration(eval, outer, node->subquery.step, &step_ms));
    if (step_ms <= 0)
        return eval_fail(eval, node, "duration must be greater than 0");
    int64_t open_ms = first_time(look, outer) - range_ms;
    int64_t close_ms = last_time(look, outer);
    grid.step_ms = step_ms;
    grid.start_ms = open_ms / step_ms * step_ms;
    if (grid.start_ms <= open_ms)
        grid.start_ms += step_ms;
    if (grid.start_ms <= close_ms)
        grid.steps = (size_t)((close_ms - grid.start_ms) / step_ms) + 1;
    if (grid.steps > PROMQL_SUBQUERY_STEPS_MAX) {
        (void)fail_at(eval->why, ERR_LIMIT, node->start, "a subquery has %zu steps; %d are allowed",
                      grid.steps, PROMQL_SUBQUERY_STEPS_MAX); /* Returned below. */
        hint(eval->why, "use a larger resolution: [range:resolution]");
        return ERR_LIMIT;
    }
    if (grid.steps > 0)
        grid.end_ms = grid_time(&grid, grid.steps - 1);
    *ret_frame = grid;
    return ERR_NONE;
}

static enum err run_of_column(struct eval *eval, const struct grid *grid,
                              const struct column *column, struct run *run)
{
    int64_t *times = ARENA_ARRAY(eval->arena, grid->steps, int64_t);

    if (times == NULL)
        return eval_spent(eval);
    *run = (struct run){.labels = column->labels,
                        .drop_name = column->drop_name,
                        .times = times,
                        .values = column->values};
    for (size_t i = 0; i < grid->steps; i++) {
        if (is_absent(column->values[i]))
            continue;
        times[run->count] = grid_time(grid, i);
        column->values[run->count++] = column->values[i];
    }
    return ERR_NONE;
}

static enum err eval_subquery(struct eval *eval, const struct grid *grid, const struct node *node,
                              struct matrix *matrix)
{
    struct look look;
    struct grid inner;
    struct operand value;

    TRY(resolve(eval, grid, &node->subquery.moment, &look));
    TRY(eval_duration(eval, grid, node->subquery.range, &matrix->range_ms));
    if (matrix->range_ms <= 0)
        return eval_fail(eval, node, "duration must be greater than 0");
    matrix->fixed = look.fixed;
    matrix->fixed_end_ms = look.fixed_ms;
    matrix->offset_ms = look.offset_ms;
    TRY(subquery_grid(eval, grid, node, &look, matrix->range_ms, &inner));
    if (inner.steps == 0)
        return ERR_NONE;
    TRY(eval_vector(eval, &inner, node->subquery.expression, &value));
    matrix->runs = ARENA_ARRAY(eval->arena, value.count, struct run);
    if (matrix->runs == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < value.count; c++) {
        TRY(run_of_column(eval, &inner, &value.columns[c], &matrix->runs[matrix->count]));
        if (matrix->runs[matrix->count].count > 0)
            matrix->count++;
    }
    return ERR_NONE;
}

enum err eval_matrix(struct eval *eval, const struct grid *grid, const struct node *node,
                     enum field field, bool want_weights, struct matrix *ret_matrix)
{
    *ret_matrix = (struct matrix){0};
    node = node_unwrap(node);
    if (node->kind == NODE_SUBQUERY)
        return eval_subquery(eval, grid, node, ret_matrix);
    MUST(node->kind == NODE_SELECTOR && node->selector.range != NULL);
    return select_range(eval, grid, node, field, want_weights, ret_matrix);
}
