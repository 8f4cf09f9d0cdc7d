/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles and fractions of classic histograms: series that differ in `le` only are the cumulative
 * buckets of one histogram, `le` being a bucket's inclusive upper bound.
 *
 *     count    ____________ 11
 *             |       ____| 7        le 0.2    within a bucket observations are taken as
 *             |  ____|    |          le 0.1    spread evenly
 *             |_|    |    |
 *            0      0.1  0.2    1
 *
 * Series of sketches are what native histograms are elsewhere: the same functions read them, and
 * those that only native histograms have (promql_sketch.h). */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"
#include "query/promql_sketch.h"
#include "sketch/quantile.h"

#include <stdlib.h>

struct bucket {
    double bound;
    double count;
};

/* A bucket's series: which histogram it belongs to, and its bound. */
struct bucket_column {
    uint32_t histogram;
    double bound;
    const double *values;
};

struct histograms {
    struct bucket_column *columns; /* Sorted by histogram, then bound. */
    size_t columns_count;
    struct column *results; /* Labels of each histogram. */
    size_t count;
    struct bucket *scratch; /* Room for the largest. */
};

static int by_histogram(const void *a, const void *b)
{
    const struct bucket_column *left = a;
    const struct bucket_column *right = b;

    if (left->histogram != right->histogram)
        return left->histogram < right->histogram ? -1 : 1;
    return (left->bound > right->bound) - (left->bound < right->bound);
}

static enum err collect(struct eval *eval, const struct node *node, const struct operand *input,
                        struct histograms *histograms)
{
    const struct str bound_name = STR("le");
    struct label_table table;

    *histograms = (struct histograms){0};
    histograms->columns = ARENA_ARRAY(eval->arena, input->count, struct bucket_column);
    histograms->results = ARENA_ARRAY(eval->arena, input->count, struct column);
    histograms->scratch = ARENA_ARRAY(eval->arena, input->count, struct bucket);
    if (!label_table_init(&table, input->count, eval->arena) || histograms->columns == NULL ||
        histograms->results == NULL || histograms->scratch == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < input->count; c++) {
        struct label_edit edit;
        struct bucket_column *column = &histograms->columns[histograms->columns_count];
        struct str bound = labels_get(input->columns[c].labels, bound_name);
        bool is_bound = bound.size > 0 && str_to_double(bound, &column->bound);
        if (!is_bound || isnan(column->bound)) {
            eval_note(eval, true, node,
                      "bucket label \"le\" is missing or has a malformed value of \"%.*s\"",
                      STR_ARG(bound));
            continue;
        }
        label_edit_from(&edit, input->columns[c].labels);
        label_edit_remove(&edit, &bound_name, 1);
        const struct labels *labels = label_edit_build(&edit, eval->arena);
        if (labels == NULL)
            return eval_spent(eval);
        column->histogram = label_table_put(&table, labels);
        column->values = input->columns[c].values;
        histograms->results[column->histogram].labels = table.keys[column->histogram];
        histograms->columns_count++;
    }
    histograms->count = table.count;
    qsort(histograms->columns, histograms->columns_count, sizeof(*histograms->columns),
          by_histogram);
    return ERR_NONE;
}

/* The buckets of one step, equal bounds added up; `end` is behind the last column. */
static size_t gather(const struct histograms *histograms, size_t first, size_t end, size_t step)
{
    struct bucket *buckets = histograms->scratch;
    size_t count = 0;

    for (size_t c = first; c < end; c++) {
        const struct bucket_column *column = &histograms->columns[c];
        if (is_absent(column->values[step]))
            continue;
        if (count > 0 && buckets[count - 1].bound == column->bound)
            buckets[count - 1].count += column->values[step];
        else
            buckets[count++] = (struct bucket){column->bound, column->values[step]};
    }
    return count;
}

/* --- quantile --- */

struct repair {
    bool forced; /* Some bucket held less than the one below it. */
};

/* Cumulative counts must not fall. Tiny differences come from rounding and are smoothed away
 * silently; larger ones are repaired and remarked on. */
static void make_monotonic(struct bucket *buckets, size_t count, struct repair *repair)
{
    const double tolerance = 1e-12;
    double before = buckets[0].count;

    for (size_t i = 1; i < count; i++) {
        double now = buckets[i].count;
        if (now == before)
            continue;
        double larger = fmax(fabs(now), fabs(before));
        if (fabs(now - before) <= tolerance * larger) {
            buckets[i].count = before;
            continue;
        }
        if (now < before) {
            buckets[i].count = before;
            repair->forced = true;
            continue;
        }
        before = now;
    }
}

static double quantile_in(struct bucket *buckets, size_t count, double quantile,
                          struct repair *repair)
{
    if (isnan(quantile))
        return (double)NAN;
    if (quantile < 0)
        return -(double)INFINITY;
    if (quantile > 1)
        return (double)INFINITY;
    if (count < 2 || !isinf(buckets[count - 1].bound) || buckets[count - 1].bound < 0)
        return (double)NAN;
    make_monotonic(buckets, count, repair);
    double observations = buckets[count - 1].count;
    if (observations == 0 || isnan(observations))
        return (double)NAN;
    double rank = quantile * observations;
    size_t b = 0;
    while (b + 1 < count && !(buckets[b].count >= rank))
        b++;
    if (b == count - 1)
        return buckets[count - 2].bound;
    if (b == 0 && buckets[0].bound <= 0)
        return buckets[0].bound;
    double start = b == 0 ? 0 : buckets[b - 1].bound;
    double below = b == 0 ? 0 : buckets[b - 1].count;
    double within = buckets[b].count - below;
    return start + (buckets[b].bound - start) * ((rank - below) / within);
}

static void note_quantile(struct eval *eval, const struct node *node, double quantile)
{
    char text[STR_DOUBLE_SIZE];

    if (quantile >= 0 && quantile <= 1)
        return;
    size_t size = str_from_double(text, quantile);
    eval_note(eval, true, node, "quantile value should be between 0 and 1, got %.*s", (int)size,
              text);
}

static size_t histogram_end(const struct histograms *histograms, size_t first)
{
    size_t end = first;

    while (end < histograms->columns_count &&
           histograms->columns[end].histogram == histograms->columns[first].histogram)
        end++;
    return end;
}

static enum err start_results(struct eval *eval, const struct grid *grid,
                              const struct histograms *histograms, struct operand *ret_value)
{
    TRY(eval_columns(eval, grid, histograms->count, ret_value));
    for (size_t h = 0; h < histograms->count; h++) {
        ret_value->columns[h].labels = histograms->results[h].labels;
        ret_value->columns[h].drop_name = true;
        for (size_t i = 0; i < grid->steps; i++)
            ret_value->columns[h].values[i] = absent_value();
    }
    return ERR_NONE;
}

static enum err classic_quantiles(struct eval *eval, const struct grid *grid,
                                  const struct node *node, const struct operand *input,
                                  const double *quantile, struct operand *ret_value)
{
    struct histograms histograms;
    struct repair repair = {0};
    size_t end;

    TRY(collect(eval, node->call.arguments[1], input, &histograms));
    TRY(start_results(eval, grid, &histograms, ret_value));
    for (size_t first = 0; first < histograms.columns_count; first = end) {
        end = histogram_end(&histograms, first);
        struct column *column = &ret_value->columns[histograms.columns[first].histogram];
        for (size_t i = 0; i < grid->steps; i++) {
            size_t count = gather(&histograms, first, end, i);
            TRY(eval_tick(eval, count));
            if (count > 0)
                column->values[i] = quantile_in(histograms.scratch, count, quantile[i], &repair);
        }
        if (repair.forced)
            eval_note(eval, false, node->call.arguments[1],
                      "input to histogram_quantile needed to be fixed for monotonicity for metric "
                      "name \"%.*s\"",
                      STR_ARG(labels_get(column->labels, LABEL_NAME)));
        repair.forced = false;
    }
    return ERR_NONE;
}

/* --- sketches --- */

/* What is read from a sketch; `value` is its observations as scaled, parameters are the step's. */
typedef double sketch_reader(const struct quantile *sketch, double value, const double *parameters);

static double read_quantile(const struct quantile *sketch, double value, const double *parameters)
{
    double quantile = parameters[0];

    (void)value;
    if (isnan(quantile) || quantile_count(sketch) == 0)
        return (double)NAN;
    if (quantile < 0 || quantile > 1)
        return quantile < 0 ? -(double)INFINITY : (double)INFINITY;
    return quantile_at(sketch, quantile);
}

static double read_fraction(const struct quantile *sketch, double value, const double *parameters)
{
    double count = (double)quantile_count(sketch);

    (void)value;
    if (count == 0 || isnan(parameters[0]) || isnan(parameters[1]))
        return (double)NAN;
    if (parameters[0] >= parameters[1])
        return 0;
    double below = isinf(parameters[0]) ? 0 : quantile_count_below(sketch, parameters[0]);
    double upto = isinf(parameters[1]) ? count : quantile_count_below(sketch, parameters[1]);
    return (upto - below) / count;
}

static double read_count(const struct quantile *sketch, double value, const double *parameters)
{
    (void)sketch, (void)parameters;
    return value;
}

static double read_avg(const struct quantile *sketch, double value, const double *parameters)
{
    (void)value, (void)parameters;
    return quantile_count(sketch) == 0 ? (double)NAN : quantile_mean(sketch);
}

static double read_sum(const struct quantile *sketch, double value, const double *parameters)
{
    (void)parameters;
    return quantile_count(sketch) == 0 ? 0 : quantile_mean(sketch) * value;
}

/* Each bucket counts as what lies in the middle of it, by ratio. */
static double read_stdvar(const struct quantile *sketch, double value, const double *parameters)
{
    struct quantile_walk walk = QUANTILE_WALK_INIT;
    struct quantile_bucket bucket;
    double mean = quantile_mean(sketch);
    double sum = 0;

    (void)value, (void)parameters;
    while (quantile_next(sketch, &walk, &bucket)) {
        double middle = copysign(sqrt(bucket.lower * bucket.upper), bucket.lower + bucket.upper);
        sum += (double)bucket.count * (middle - mean) * (middle - mean);
    }
    return quantile_count(sketch) == 0 ? (double)NAN : sum / (double)quantile_count(sketch);
}

static double read_stddev(const struct quantile *sketch, double value, const double *parameters)
{
    return sqrt(read_stdvar(sketch, value, parameters));
}

enum { READER_PARAMETERS_MAX = 2 };

/* Appends to ret_value one column for each of sketched; parameters are of `count` arguments, one
 * number per step each. */
static enum err read_sketches(struct eval *eval, const struct grid *grid,
                              const struct operand *sketched, sketch_reader *reader,
                              double *const *parameters, size_t count, struct operand *ret_value)
{
    struct operand results;
    struct column *both =
        ARENA_ARRAY(eval->arena, sketched->count + ret_value->count + 1, struct column);

    TRY(eval_columns(eval, grid, sketched->count, &results));
    if (both == NULL)
        return eval_spent(eval);
    for (size_t c = 0; c < sketched->count; c++) {
        struct column *column = &results.columns[c];
        column->labels = sketched->columns[c].labels;
        column->drop_name = true;
        for (size_t i = 0; i < grid->steps; i++) {
            struct quantile *sketch CLEANUP(quantile_freep) = NULL;
            double now[READER_PARAMETERS_MAX] = {0};
            for (size_t p = 0; p < count; p++)
                now[p] = parameters[p][i];
            TRY(sketch_at(eval, &sketched->columns[c], i, &sketch));
            TRY(eval_tick(eval, 8));
            column->values[i] = sketch == NULL
                                    ? absent_value()
                                    : reader(sketch, sketched->columns[c].values[i], now);
        }
    }
    if (ret_value->count > 0)
        memcpy(both, ret_value->columns, ret_value->count * sizeof(*both));
    if (results.count > 0)
        memcpy(both + ret_value->count, results.columns, results.count * sizeof(*both));
    ret_value->columns = both;
    ret_value->count += results.count;
    return ERR_NONE;
}

enum err call_histogram_quantile(struct eval *eval, const struct grid *grid,
                                 const struct node *node, struct operand *ret_value)
{
    struct sketch_split input;
    double *quantile;

    TRY(eval_scalar(eval, grid, node->call.arguments[0], &quantile));
    TRY(sketch_argument(eval, grid, node->call.arguments[1], &input));
    for (size_t i = 0; i < grid->steps && input.plain.count + input.sketched.count > 0; i++)
        note_quantile(eval, node->call.arguments[0], quantile[i]);
    TRY(classic_quantiles(eval, grid, node, &input.plain, quantile, ret_value));
    TRY(read_sketches(eval, grid, &input.sketched, read_quantile, &quantile, 1, ret_value));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

/* --- fraction --- */

/* How many observations are at or below the value. */
static double rank_of(const struct bucket *buckets, size_t count, double value)
{
    double below = 0;
    double start = buckets[0].bound > 0 ? 0 : -(double)INFINITY;

    for (size_t b = 0; b < count; b++) {
        if (value < buckets[b].bound) {
            if (value <= start)
                return below;
            if (isinf(start) || isinf(buckets[b].bound))
                return isinf(start) ? buckets[b].count : below;
            return below +
                   (buckets[b].count - below) * ((value - start) / (buckets[b].bound - start));
        }
        below = buckets[b].count;
        start = buckets[b].bound;
    }
    return below;
}

static double fraction_in(struct bucket *buckets, size_t count, double lower, double upper)
{
    struct repair repair = {0};

    if (count < 2 || !isinf(buckets[count - 1].bound) || isnan(lower) || isnan(upper))
        return (double)NAN;
    make_monotonic(buckets, count, &repair);
    double observations = buckets[count - 1].count;
    if (observations == 0 || isnan(observations))
        return (double)NAN;
    if (lower >= upper)
        return 0;
    return (rank_of(buckets, count, upper) - rank_of(buckets, count, lower)) / observations;
}

static enum err classic_fractions(struct eval *eval, const struct grid *grid,
                                  const struct node *node, const struct operand *input,
                                  double *const limits[READER_PARAMETERS_MAX],
                                  struct operand *ret_value)
{
    struct histograms histograms;
    size_t end;

    TRY(collect(eval, node->call.arguments[2], input, &histograms));
    TRY(start_results(eval, grid, &histograms, ret_value));
    for (size_t first = 0; first < histograms.columns_count; first = end) {
        end = histogram_end(&histograms, first);
        struct column *column = &ret_value->columns[histograms.columns[first].histogram];
        for (size_t i = 0; i < grid->steps; i++) {
            size_t count = gather(&histograms, first, end, i);
            TRY(eval_tick(eval, count));
            if (count > 0)
                column->values[i] =
                    fraction_in(histograms.scratch, count, limits[0][i], limits[1][i]);
        }
    }
    return ERR_NONE;
}

enum err call_histogram_fraction(struct eval *eval, const struct grid *grid,
                                 const struct node *node, struct operand *ret_value)
{
    struct sketch_split input;
    double *limits[READER_PARAMETERS_MAX];

    TRY(eval_scalar(eval, grid, node->call.arguments[0], &limits[0]));
    TRY(eval_scalar(eval, grid, node->call.arguments[1], &limits[1]));
    TRY(sketch_argument(eval, grid, node->call.arguments[2], &input));
    TRY(classic_fractions(eval, grid, node, &input.plain, limits, ret_value));
    TRY(read_sketches(eval, grid, &input.sketched, read_fraction, limits, READER_PARAMETERS_MAX,
                      ret_value));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

/* Plain numbers are no histograms, so nothing of them is left. */
static enum err read_all(struct eval *eval, const struct grid *grid, const struct node *node,
                         sketch_reader *reader, struct operand *ret_value)
{
    struct sketch_split input;

    TRY(sketch_argument(eval, grid, node->call.arguments[0], &input));
    TRY(read_sketches(eval, grid, &input.sketched, reader, NULL, 0, ret_value));
    operand_compact(ret_value, grid);
    return ERR_NONE;
}

enum err call_histogram_avg(struct eval *eval, const struct grid *grid, const struct node *node,
                            struct operand *ret_value)
{
    return read_all(eval, grid, node, read_avg, ret_value);
}

enum err call_histogram_count(struct eval *eval, const struct grid *grid, const struct node *node,
                              struct operand *ret_value)
{
    return read_all(eval, grid, node, read_count, ret_value);
}

enum err call_histogram_stddev(struct eval *eval, const struct grid *grid, const struct node *node,
                               struct operand *ret_value)
{
    return read_all(eval, grid, node, read_stddev, ret_value);
}

enum err call_histogram_stdvar(struct eval *eval, const struct grid *grid, const struct node *node,
                               struct operand *ret_value)
{
    return read_all(eval, grid, node, read_stdvar, ret_value);
}

enum err call_histogram_sum(struct eval *eval, const struct grid *grid, const struct node *node,
                            struct operand *ret_value)
{
    return read_all(eval, grid, node, read_sum, ret_value);
}
