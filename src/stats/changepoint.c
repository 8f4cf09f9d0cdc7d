/* SPDX-License-Identifier: Apache-2.0 */
/* A history is described twice: as stretches of constant level and as stretches of sloping line.
 * The better description, by an information criterion that expects neighbours to resemble each
 * other, says where the changes are.
 *
 *  1. Clip to the running median +- 4 MAD, so that single wild values cannot buy a stretch.
 *  2. Scale by sd^0.7 noise^0.3. Dividing by the noise alone sees a change in every slow wave,
 *     dividing by the whole deviation hides a change between far-off levels. The noise is read from
 *     second differences, which neither level nor slope moves.
 *  3. Best partition by residual squares plus a penalty a stretch (PELT: R. Killick and others,
 *     2012: a beginning that is already too dear for what follows is never looked at again).
 *  4. Drop the smallest jump until all are worth seeing, measured by the scatter within stretches.
 *  5. Choose levels or lines.
 *  6. Keep what holds against chance: a Mann-Whitney test of the stretches at either side, its
 *     variance inflated for neighbours' resemblance; or, where stretches are too short for any
 *     rank test, a step that stands out among all the steps this series makes by itself.
 */
#include "stats/changepoint.h"
#include "base/must.h"
#include "stats/array.h"
#include "stats/compare.h"

#include <math.h>
#include <stdlib.h>

enum {
    CLIP_WINDOW = 5, /* At each side. */
    CLIP_MADS = 4,
    STEP_WINDOW = 3, /* A step: the median of so many after, less that of so many before. */
    STEPS_MIN = 5,
};

enum shape { SHAPE_LEVEL, SHAPE_LINE };

static const size_t stretch_min[] = {[SHAPE_LEVEL] = 2, [SHAPE_LINE] = 3};
static const double shape_parameters[] = {[SHAPE_LEVEL] = 1, [SHAPE_LINE] = 2};

void changepoint_freep(struct changepoint **changes)
{
    free(*changes);
}

/* ---- Making it comparable. ---- */

static double median_around(const double *values, size_t count, size_t at)
{
    double window[2 * CLIP_WINDOW + 1];
    size_t low = at < CLIP_WINDOW ? 0 : at - CLIP_WINDOW;
    size_t high = at + CLIP_WINDOW + 1 > count ? count : at + CLIP_WINDOW + 1;

    for (size_t i = low; i < high; i++)
        window[i - low] = values[i];
    array_sort(window, high - low);
    return describe_quantile_sorted(window, high - low, 0.5);
}

static void clip(const double *values, size_t count, double *ret_clipped)
{
    double *middle CLEANUP(array_freep) = array_new(count);
    double *off CLEANUP(array_freep) = array_new(count);

    for (size_t i = 0; i < count; i++) {
        middle[i] = median_around(values, count, i);
        off[i] = fabs(values[i] - middle[i]);
    }
    double reach = CLIP_MADS * describe_median(off, count);
    for (size_t i = 0; i < count; i++)
        ret_clipped[i] =
            reach > 0 ? fmax(middle[i] - reach, fmin(middle[i] + reach, values[i])) : values[i];
}

/* Deviation of the noise alone; of white noise a second difference has six times the variance. */
static double noise_of(const double *values, size_t count)
{
    double *bends CLEANUP(array_freep) = array_new(count);

    for (size_t i = 2; i < count; i++)
        bends[i - 2] = fabs(values[i] - 2 * values[i - 1] + values[i - 2]);
    return DESCRIBE_MAD_SCALE * describe_median(bends, count - 2) / sqrt(6);
}

/* Clipped, about 0, scaled; false for a constant. */
static bool prepare(const double *values, size_t count, double *ret_prepared)
{
    clip(values, count, ret_prepared);
    double noise = noise_of(ret_prepared, count);
    double deviation = sqrt(describe_variance(ret_prepared, count));
    double centre = describe_mean(ret_prepared, count);
    double scale = noise > 0 ? pow(deviation, 0.7) * pow(noise, 0.3) : deviation;

    for (size_t i = 0; i < count; i++)
        ret_prepared[i] = (ret_prepared[i] - centre) / scale;
    return scale > 0 && isfinite(scale);
}

/* ---- The cost of a stretch, from sums up to each place. ---- */

struct sums {
    double *y;
    double *yy;
    double *ty;
    enum shape shape;
};

static void sums_done(struct sums *sums)
{
    array_free(sums->y);
    array_free(sums->yy);
    array_free(sums->ty);
}

static void sums_init(struct sums *sums, const double *values, size_t count, enum shape shape)
{
    *sums = (struct sums){array_new(count + 1), array_new(count + 1), array_new(count + 1), shape};
    for (size_t i = 0; i < count; i++) {
        sums->y[i + 1] = sums->y[i] + values[i];
        sums->yy[i + 1] = sums->yy[i] + values[i] * values[i];
        sums->ty[i + 1] = sums->ty[i] + (double)i * values[i];
    }
}

struct fit {
    double mean;
    double slope;
    double centre; /* In time. */
    double squares;
};

static struct fit fit_stretch(const struct sums *sums, size_t low, size_t high)
{
    double n = (double)(high - low);
    double y = sums->y[high] - sums->y[low];
    struct fit fit = {
        .mean = y / n,
        .centre = ((double)low + (double)high - 1) / 2,
        .squares = sums->yy[high] - sums->yy[low] - y * y / n,
    };
    double spread = n * (n * n - 1) / 12; /* Of the times about their centre. */

    if (sums->shape == SHAPE_LINE && spread > 0) {
        double shared = sums->ty[high] - sums->ty[low] - fit.centre * y;
        fit.slope = shared / spread;
        fit.squares -= fit.slope * shared;
    }
    fit.squares = fmax(fit.squares, 0);
    return fit;
}

static double fit_at(const struct fit *fit, double time)
{
    return fit->mean + fit->slope * (time - fit->centre);
}

/* ---- Partitions. ---- */

/* Borders: 0, the changes, count. */
struct partition {
    size_t *borders;
    size_t stretches;
};

static void partition_done(struct partition *partition)
{
    free(partition->borders);
}

static size_t *indices_new(size_t count)
{
    size_t *indices = calloc(count, sizeof(*indices));

    if (indices == NULL)
        must_memory(count * sizeof(*indices));
    return indices;
}

static void partition_read(struct partition *partition, const size_t *previous, size_t count)
{
    size_t stretches = 0;

    for (size_t end = count; end > 0; end = previous[end])
        stretches++;
    partition->borders = indices_new(stretches + 1);
    partition->stretches = stretches;
    for (size_t end = count, at = stretches; end > 0; end = previous[end])
        partition->borders[at--] = end;
}

static void partition_drop(struct partition *partition, size_t border)
{
    for (size_t i = border; i < partition->stretches; i++)
        partition->borders[i] = partition->borders[i + 1];
    partition->stretches--;
}

/* PELT. open holds the beginnings that can still be the last border of something best. */
static void partition_find(struct partition *partition, const struct sums *sums, size_t count,
                           double penalty)
{
    double *best CLEANUP(array_freep) = array_new(count + 1);
    double *cost CLEANUP(array_freep) = array_new(count + 1);
    size_t *previous = indices_new(count + 1);
    size_t *open = indices_new(count + 1);
    size_t open_count = 0;
    size_t shortest = stretch_min[sums->shape];

    best[0] = -penalty;
    for (size_t end = 1; end <= count; end++) {
        best[end] = INFINITY;
        if (end >= shortest && !isinf(best[end - shortest]))
            open[open_count++] = end - shortest;
        for (size_t i = 0; i < open_count; i++) {
            cost[i] = best[open[i]] + fit_stretch(sums, open[i], end).squares;
            if (cost[i] + penalty < best[end]) {
                best[end] = cost[i] + penalty;
                previous[end] = open[i];
            }
        }
        size_t kept = 0;
        for (size_t i = 0; i < open_count; i++) {
            if (cost[i] <= best[end])
                open[kept++] = open[i];
        }
        open_count = kept;
    }
    partition_read(partition, previous, count);
    free(previous);
    free(open);
}

static void residuals(const struct partition *partition, const struct sums *sums,
                      const double *values, double *ret_rest)
{
    for (size_t k = 0; k < partition->stretches; k++) {
        struct fit fit = fit_stretch(sums, partition->borders[k], partition->borders[k + 1]);
        for (size_t i = partition->borders[k]; i < partition->borders[k + 1]; i++)
            ret_rest[i] = values[i] - fit_at(&fit, (double)i);
    }
}

/* How far the description jumps at a border. */
static double jump_at(const struct partition *partition, const struct sums *sums, size_t border)
{
    const size_t *borders = partition->borders;
    struct fit left = fit_stretch(sums, borders[border - 1], borders[border]);
    struct fit right = fit_stretch(sums, borders[border], borders[border + 1]);

    return fabs(fit_at(&right, (double)borders[border]) -
                fit_at(&left, (double)borders[border] - 1));
}

static void drop_small_jumps(struct partition *partition, const struct sums *sums, size_t count,
                             double jump_min)
{
    while (partition->stretches > 1) {
        double squares = 0;
        size_t weakest = 1;
        for (size_t k = 0; k < partition->stretches; k++)
            squares += fit_stretch(sums, partition->borders[k], partition->borders[k + 1]).squares;
        double used = (double)partition->stretches * shape_parameters[sums->shape];
        double within = sqrt(squares / fmax((double)count - used, 1));
        for (size_t k = 2; k < partition->stretches; k++) {
            if (jump_at(partition, sums, k) < jump_at(partition, sums, weakest))
                weakest = k;
        }
        if (jump_at(partition, sums, weakest) >= jump_min * within)
            return;
        partition_drop(partition, weakest);
    }
}

static double correlation_of(const double *rest, const struct partition *partition, bool across)
{
    double square = 0;
    double product = 0;

    for (size_t k = 0; k < partition->stretches; k++) {
        for (size_t i = partition->borders[k]; i < partition->borders[k + 1]; i++) {
            square += rest[i] * rest[i];
            if (i > (across ? 0 : partition->borders[k]))
                product += rest[i] * rest[i - 1];
        }
    }
    return square > 0 ? product / square : 0;
}

/* Schwarz' criterion on what an AR(1) could not foresee. */
static double criterion(const struct partition *partition, const struct sums *sums,
                        const double *values, size_t count)
{
    double *rest CLEANUP(array_freep) = array_new(count);
    double squares = 0;
    double n = (double)count;

    residuals(partition, sums, values, rest);
    double r = fmax(-0.99, fmin(correlation_of(rest, partition, true), 0.99));
    for (size_t i = 1; i < count; i++)
        squares += (rest[i] - r * rest[i - 1]) * (rest[i] - r * rest[i - 1]);
    double parameters = (double)partition->stretches * shape_parameters[sums->shape] +
                        (double)(partition->stretches - 1);
    return n * log(fmax(squares / n, 1e-300)) + parameters * log(n);
}

/* ---- Holding each change against chance. ---- */

static double step_at(const double *values, size_t count, size_t at)
{
    size_t before = at < STEP_WINDOW ? at : STEP_WINDOW;
    size_t after = count - at < STEP_WINDOW ? count - at : STEP_WINDOW;

    return describe_median(values + at, after) - describe_median(values + at - before, before);
}

/* The usual size of a step away from all borders; infinite when too few are away. */
static double usual_step(const double *values, size_t count, const struct partition *partition)
{
    double *steps CLEANUP(array_freep) = array_new(count);
    size_t steps_count = 0;
    size_t border = 1;

    for (size_t at = 1; at < count; at++) {
        while (border < partition->stretches && at > partition->borders[border] + STEP_WINDOW)
            border++;
        if (border < partition->stretches && at + STEP_WINDOW >= partition->borders[border])
            continue;
        steps[steps_count++] = step_at(values, count, at);
    }
    return steps_count < STEPS_MIN ? INFINITY
                                   : DESCRIBE_MAD_SCALE * describe_mad(steps, steps_count);
}

static double step_size(const double *values, size_t count, size_t border, double usual)
{
    double largest = 0;

    for (size_t at = border - 1; at <= border + 1 && at < count; at++)
        largest = at == 0 ? largest : fmax(largest, fabs(step_at(values, count, at)));
    return usual > 0 ? largest / usual : INFINITY;
}

/* Both stretches less the line of one of them: were there no change, both would scatter about 0. */
static double p_about(const struct fit *fit, const double *values, const size_t border[3],
                      double inflation)
{
    size_t count = border[2] - border[0];
    size_t left = border[1] - border[0];
    double *rest CLEANUP(array_freep) = array_new(count);

    for (size_t i = 0; i < count; i++)
        rest[i] = values[border[0] + i] - fit_at(fit, (double)(border[0] + i));
    struct mann_whitney test =
        compare_mann_whitney(rest, left, rest + left, count - left, COMPARE_AUTO);
    return compare_inflate(test, count, inflation).p;
}

static double p_at(const struct partition *partition, const struct sums *sums, const double *values,
                   size_t border, double inflation)
{
    const size_t *at = partition->borders + border - 1;
    struct fit left = fit_stretch(sums, at[0], at[1]);
    struct fit right = fit_stretch(sums, at[1], at[2]);
    double p = p_about(&left, values, at, inflation);

    return sums->shape == SHAPE_LEVEL ? p : fmin(p, p_about(&right, values, at, inflation));
}

#define ROUNDING 1e-24 /* Of squares: a few units in the last of sixteen digits. */

static double inflation_of(const struct partition *partition, const struct sums *sums,
                           const double *values, size_t count)
{
    double *rest CLEANUP(array_freep) = array_new(count);

    residuals(partition, sums, values, rest);
    if (describe_variance(rest, count) <= ROUNDING * describe_variance(values, count))
        return 1; /* What rounding leaves over resembles itself. */
    double r = correlation_of(rest, partition, false);
    if (r <= 1.28 / sqrt((double)count)) /* What one in ten series without any shows. */
        return 1;
    r = fmin(r, 0.99);
    return (1 + r) / (1 - r);
}

/* The least certain goes first; its neighbours are then judged anew. */
static void drop_chance(struct partition *partition, const struct sums *sums, const double *values,
                        size_t count, const struct changepoint_options *options)
{
    double inflation = inflation_of(partition, sums, values, count);
    double usual = usual_step(values, count, partition);

    while (partition->stretches > 1) {
        double worst = -1;
        size_t weakest = 0;
        for (size_t k = 1; k < partition->stretches; k++) {
            if (step_size(values, count, partition->borders[k], usual) >= options->step_min)
                continue;
            double p = p_at(partition, sums, values, k, inflation);
            if (p > worst) {
                worst = p;
                weakest = k;
            }
        }
        if (worst <= options->alpha)
            return;
        partition_drop(partition, weakest);
    }
}

/* ---- All of it. ---- */

static size_t report(const struct partition *partition, const struct sums *sums,
                     const double *prepared, const double *values, size_t count,
                     struct changepoint **ret_changes)
{
    size_t changes_count = partition->stretches - 1;
    double inflation = inflation_of(partition, sums, prepared, count);
    double usual = usual_step(prepared, count, partition);
    const size_t *borders = partition->borders;

    if (changes_count == 0)
        return 0;
    struct changepoint *changes = calloc(changes_count, sizeof(*changes));
    if (changes == NULL)
        must_memory(changes_count * sizeof(*changes));
    for (size_t k = 1; k < partition->stretches; k++) {
        changes[k - 1] = (struct changepoint){
            .index = borders[k],
            .before = describe_median(values + borders[k - 1], borders[k] - borders[k - 1]),
            .after = describe_median(values + borders[k], borders[k + 1] - borders[k]),
            .p = p_at(partition, sums, prepared, k, inflation),
            .step = step_size(prepared, count, borders[k], usual),
        };
    }
    *ret_changes = changes;
    return changes_count;
}

size_t changepoint_find(const double *values, size_t count,
                        const struct changepoint_options *options, struct changepoint **ret_changes)
{
    double *prepared CLEANUP(array_freep) = array_new(count);
    struct sums levels CLEANUP(sums_done) = {0};
    struct sums lines CLEANUP(sums_done) = {0};
    struct partition by_level CLEANUP(partition_done) = {0};
    struct partition by_line CLEANUP(partition_done) = {0};

    *ret_changes = NULL;
    if (count < CHANGEPOINT_COUNT_MIN || !prepare(values, count, prepared))
        return 0;
    sums_init(&levels, prepared, count, SHAPE_LEVEL);
    sums_init(&lines, prepared, count, SHAPE_LINE);
    partition_find(&by_level, &levels, count, options->penalty_level * log((double)count));
    partition_find(&by_line, &lines, count, options->penalty_line * log((double)count));
    drop_small_jumps(&by_level, &levels, count, options->jump_min);
    drop_small_jumps(&by_line, &lines, count, options->jump_min);
    bool level = criterion(&by_level, &levels, prepared, count) <=
                 criterion(&by_line, &lines, prepared, count);
    struct partition *chosen = level ? &by_level : &by_line;
    const struct sums *sums = level ? &levels : &lines;
    drop_chance(chosen, sums, prepared, count, options);
    return report(chosen, sums, prepared, values, count, ret_changes);
}
