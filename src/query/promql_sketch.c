/* SPDX-License-Identifier: Apache-2.0 */
/* Windows over sketches merge much and overlap much: a window of an hour asked each second shares
 * all but a second with the one before. Sketches can be merged and not taken apart, so the window
 * is kept as a queue made of two stacks:
 *
 *         low       middle           high
 *     ─────┼──────────┼────────────────┼────     segments of samples, cut where windows begin or
 * end │ front[i] │      back      │ │ = i … middle merged       │
 *
 * A window is front[low] and back merged. It grows by merging into back; when its beginning comes
 * to the middle, all of it becomes the front. So each segment is merged about three times, however
 * many windows it is part of. */
#include "query/promql_sketch.h"

#include "base/buf.h"
#include "base/must.h"
#include "sketch/quantile.h"

#include <stdlib.h>

enum sketch_fold sketch_fold_of(const struct function_row *function)
{
    if (function->window == window_rate)
        return SKETCH_FOLD_RATE;
    if (function->window == window_increase || function->window == window_sum)
        return SKETCH_FOLD_SUM;
    return function->window == window_avg ? SKETCH_FOLD_AVG : SKETCH_FOLD_NONE;
}

static void merge_into(struct quantile **into, const struct quantile *sketch)
{
    if (sketch == NULL)
        return;
    if (*into == NULL)
        *into = quantile_new(0, 0);
    quantile_merge(*into, sketch);
}

static enum err keep(struct eval *eval, const struct quantile *sketch, struct str *ret_bytes)
{
    struct buf bytes CLEANUP(buf_done) = {0};

    *ret_bytes = STR_NONE;
    if (sketch == NULL)
        return ERR_NONE;
    quantile_write(sketch, &bytes);
    *ret_bytes = arena_str(eval->arena, buf_view(&bytes));
    return ret_bytes->data == NULL ? eval_spent(eval) : ERR_NONE;
}

static enum err make_places(struct eval *eval, const struct grid *grid, struct column *column)
{
    column->sketches = ARENA_ARRAY(eval->arena, grid->steps, struct str);
    return column->sketches == NULL ? eval_spent(eval) : ERR_NONE;
}

/* ---- Windows. ---- */

struct queue {
    struct eval *eval;
    const struct run *run;
    size_t *cuts; /* Rising indices of samples; segment i is cuts[i] … cuts[i + 1] - 1. */
    size_t cuts_count;
    struct quantile **segments; /* Of the back, for when it becomes the front; malloc, as are … */
    struct quantile **front;
    struct quantile *back;
    size_t low;
    size_t middle;
    size_t high;
};

static void queue_done(struct queue *queue)
{
    for (size_t i = 0; i < queue->cuts_count; i++) {
        quantile_free(queue->segments[i]);
        quantile_free(queue->front[i]);
    }
    free(queue->segments);
    free(queue->front);
    quantile_free(queue->back);
}

/* Where windows begin and end, each place once. Both lists rise, so they are merged. */
static enum err find_cuts(struct queue *queue, const struct grid *grid, const struct bounds *bounds)
{
    size_t low = 0;
    size_t high = 0;

    queue->cuts = ARENA_ARRAY(queue->eval->arena, 2 * grid->steps, size_t);
    if (queue->cuts == NULL)
        return eval_spent(queue->eval);
    while (low < grid->steps || high < grid->steps) {
        bool from_low =
            high == grid->steps || (low < grid->steps && bounds[low].low <= bounds[high].high);
        size_t cut = from_low ? bounds[low++].low : bounds[high++].high;
        if (queue->cuts_count == 0 || queue->cuts[queue->cuts_count - 1] != cut)
            queue->cuts[queue->cuts_count++] = cut;
    }
    return ERR_NONE;
}

static enum err queue_init(struct queue *queue, const struct grid *grid,
                           const struct bounds *bounds)
{
    size_t count;

    TRY(find_cuts(queue, grid, bounds));
    count = queue->cuts_count;
    queue->segments = calloc(count + 1, sizeof(struct quantile *));
    queue->front = calloc(count + 1, sizeof(struct quantile *));
    if (queue->segments == NULL || queue->front == NULL)
        must_memory(2 * count * sizeof(struct quantile *));
    return ERR_NONE;
}

static enum err read_segment(struct queue *queue, size_t segment)
{
    const struct run *run = queue->run;

    for (size_t i = queue->cuts[segment]; i < queue->cuts[segment + 1]; i++) {
        struct quantile *one CLEANUP(quantile_freep) = NULL;
        if (run->sketches[i].size == 0)
            continue;
        TRY(quantile_read(run->sketches[i], &one, queue->eval->why));
        if (queue->segments[segment] == NULL)
            queue->segments[segment] = TAKE(one);
        else
            quantile_merge(queue->segments[segment], one);
    }
    return eval_tick(queue->eval, queue->cuts[segment + 1] - queue->cuts[segment]);
}

/* Everything from low on becomes the front. */
static void turn_over(struct queue *queue)
{
    struct quantile *before = NULL;

    for (size_t i = queue->high; i-- > queue->low;) {
        struct quantile *segment = TAKE(queue->segments[i]);
        merge_into(&segment, before);
        queue->front[i] = segment;
        before = segment;
    }
    queue->middle = queue->high;
    queue->back = quantile_free(queue->back);
}

static void drop_below(struct queue *queue, size_t low)
{
    for (; queue->low < low; queue->low++) {
        queue->front[queue->low] = quantile_free(queue->front[queue->low]);
        queue->segments[queue->low] = quantile_free(queue->segments[queue->low]);
    }
}

/* The window's sketch in *ret_sketch, owned by the caller; NULL: it holds none. */
static enum err slide_to(struct queue *queue, const struct bounds *bounds,
                         struct quantile **ret_sketch)
{
    size_t low = queue->low;

    while (queue->cuts[low] < bounds->low)
        low++;
    if (low > queue->high) { /* Between two windows that do not touch. */
        drop_below(queue, queue->high);
        queue->low = queue->middle = queue->high = low;
        queue->back = quantile_free(queue->back);
    }
    while (queue->cuts[queue->high] < bounds->high) {
        TRY(read_segment(queue, queue->high));
        merge_into(&queue->back, queue->segments[queue->high]);
        queue->high++;
    }
    drop_below(queue, low);
    if (queue->low >= queue->middle)
        turn_over(queue);
    *ret_sketch = NULL;
    if (bounds->low == bounds->high)
        return ERR_NONE;
    merge_into(ret_sketch, queue->front[queue->low]);
    merge_into(ret_sketch, queue->back);
    return eval_tick(queue->eval, 8);
}

static double fold_values(enum sketch_fold fold, const struct matrix *matrix, const struct run *run,
                          const struct bounds *bounds)
{
    double sum = 0;

    if (bounds->low == bounds->high)
        return absent_value();
    for (size_t i = bounds->low; i < bounds->high; i++)
        sum += run->values[i];
    if (fold == SKETCH_FOLD_RATE)
        return sum * 1000 / (double)matrix->range_ms;
    return fold == SKETCH_FOLD_AVG ? sum / (double)(bounds->high - bounds->low) : sum;
}

enum err sketch_run(struct eval *eval, const struct grid *grid, enum sketch_fold fold,
                    const struct matrix *matrix, const struct run *run, const struct bounds *bounds,
                    struct column *column)
{
    struct queue queue CLEANUP(queue_done) = {.eval = eval, .run = run};

    for (size_t i = 0; i < grid->steps; i++) {
        column->values[i] = fold_values(fold, matrix, run, &bounds[i]);
        TRY(eval_tick(eval, bounds[i].high - bounds[i].low));
    }
    if (!eval->wants_sketches)
        return ERR_NONE;
    TRY(make_places(eval, grid, column));
    TRY(queue_init(&queue, grid, bounds));
    for (size_t i = 0; i < grid->steps; i++) {
        struct quantile *sketch CLEANUP(quantile_freep) = NULL;
        TRY(slide_to(&queue, &bounds[i], &sketch));
        TRY(keep(eval, sketch, &column->sketches[i]));
    }
    return ERR_NONE;
}

/* ---- Selectors. ---- */

enum err sketch_fill(struct eval *eval, const struct grid *grid, const struct samples *samples,
                     int64_t start_ms, struct column *column)
{
    size_t next = 0;

    if (samples->sketch == NULL)
        return ERR_NONE;
    TRY(make_places(eval, grid, column));
    for (size_t i = 0; i < grid->steps; i++) {
        int64_t time_ms = start_ms + (int64_t)i * grid->step_ms;
        while (next < samples->count && samples->time_ms[next] <= time_ms)
            next++;
        if (next > 0 && !is_absent(column->values[i]))
            column->sketches[i] = samples->sketch[next - 1];
    }
    return ERR_NONE;
}

/* ---- Merging columns. ---- */

/* How much one observation of the sketch counts: 1, but for rates and what was multiplied. */
static double scale_of(const struct quantile *sketch, double value)
{
    uint64_t count = quantile_count(sketch);

    return count == 0 ? 0 : value / (double)count;
}

struct merging {
    struct quantile *sketch;
    double scale;
    bool mixed; /* With plain numbers, or of another scale. */
};

static enum err merge_column_step(struct eval *eval, const struct column *column, size_t step,
                                  struct merging *merging)
{
    struct quantile *one CLEANUP(quantile_freep) = NULL;

    if (is_absent(column->values[step]))
        return ERR_NONE;
    TRY(sketch_at(eval, column, step, &one));
    if (one == NULL) {
        merging->mixed = true;
        return ERR_NONE;
    }
    double scale = scale_of(one, column->values[step]);
    if (merging->scale == 0)
        merging->scale = scale;
    if (scale != 0 && fabs(scale - merging->scale) > 1e-9 * fabs(merging->scale))
        merging->mixed = true;
    merge_into(&merging->sketch, one);
    return eval_tick(eval, 8);
}

static enum err merge_group_step(struct eval *eval, const struct operand *input,
                                 const uint32_t *members, size_t count, size_t step,
                                 struct str *ret_bytes, bool *mixed)
{
    struct merging merging = {0};
    enum err err = ERR_NONE;

    for (size_t m = 0; m < count && err == ERR_NONE; m++)
        err = merge_column_step(eval, &input->columns[members[m]], step, &merging);
    *mixed |= merging.mixed;
    if (err == ERR_NONE && !merging.mixed)
        err = keep(eval, merging.sketch, ret_bytes);
    quantile_free(merging.sketch);
    return err;
}

enum err sketch_groups(struct eval *eval, const struct grid *grid, const struct node *node,
                       const struct operand *input, const struct groups *groups,
                       struct operand *result)
{
    uint32_t *members = ARENA_ARRAY(eval->arena, input->count + 1, uint32_t);
    bool mixed = false;

    if (members == NULL)
        return eval_spent(eval);
    for (size_t g = 0; g < groups->count; g++) {
        size_t count = 0;
        bool any = false;
        for (size_t c = 0; c < input->count; c++) {
            if (groups->group_of[c] != g)
                continue;
            members[count++] = (uint32_t)c;
            any = any || input->columns[c].sketches != NULL;
        }
        if (!any)
            continue;
        TRY(make_places(eval, grid, &result->columns[g]));
        for (size_t i = 0; i < grid->steps; i++)
            TRY(merge_group_step(eval, input, members, count, i, &result->columns[g].sketches[i],
                                 &mixed));
    }
    if (mixed)
        eval_note(eval, true, node,
                  "sketches were left out that met plain numbers or rates over another time");
    return ERR_NONE;
}

enum err sketch_join(struct eval *eval, const struct grid *grid, struct column *into,
                     const struct column *from)
{
    if (from->sketches == NULL)
        return ERR_NONE;
    if (into->sketches == NULL)
        TRY(make_places(eval, grid, into));
    for (size_t i = 0; i < grid->steps; i++) {
        if (is_absent(into->values[i]) && !is_absent(from->values[i]))
            into->sketches[i] = from->sketches[i];
    }
    return ERR_NONE;
}

/* ---- Reading. ---- */

enum err sketch_argument(struct eval *eval, const struct grid *grid, const struct node *node,
                         struct sketch_split *ret_split)
{
    bool wanted = eval->wants_sketches;
    struct operand input;

    eval->wants_sketches = true;
    enum err err = eval_vector(eval, grid, node, &input);
    eval->wants_sketches = wanted;
    TRY(err);
    *ret_split = (struct sketch_split){{.type = PROMQL_VECTOR}, {.type = PROMQL_VECTOR}};
    ret_split->sketched.columns = ARENA_ARRAY(eval->arena, input.count + 1, struct column);
    ret_split->plain.columns = ARENA_ARRAY(eval->arena, input.count + 1, struct column);
    if (ret_split->sketched.columns == NULL || ret_split->plain.columns == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < input.count; c++) {
        struct operand *part =
            input.columns[c].sketches != NULL ? &ret_split->sketched : &ret_split->plain;
        part->columns[part->count++] = input.columns[c];
    }
    return ERR_NONE;
}

enum err sketch_at(struct eval *eval, const struct column *column, size_t step,
                   struct quantile **ret_sketch)
{
    *ret_sketch = NULL;
    if (column->sketches == NULL || is_absent(column->values[step]) ||
        column->sketches[step].size == 0)
        return ERR_NONE;
    return quantile_read(column->sketches[step], ret_sketch, eval->why);
}
