/* SPDX-License-Identifier: Apache-2.0 */
/* A tree splits a small sample of the rows at a random place of a random column, and again, until
 * rows stand alone. What is unlike the others stands alone after few splits. The mean depth over
 * all trees, in units of the depth that a failed search in a binary tree of that size has, gives
 * the score 2^(-depth / usual).
 *
 * A tree is an array of nodes, children as indices; a leaf remembers how many rows ended there and
 * adds the depth that splitting those on would have had. */
#include "stats/forest.h"
#include "base/must.h"
#include "stats/random.h"

#include <math.h>
#include <stdlib.h>

enum {
    FOREST_TREES = 100,
    FOREST_SAMPLE = 256,
};

struct forest_node {
    double split;    /* Below goes left. */
    uint32_t column; /* Of an inner node. */
    uint32_t left;   /* Index; right is left + 1. 0: a leaf. */
    uint32_t rows;   /* Of a leaf. */
};

struct forest {
    struct forest_node *nodes; /* Tree after tree, nodes_each apart. */
    size_t nodes_each;
    size_t trees;
    size_t columns;
    double usual_depth;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        must_memory((uint64_t)count * size);
    return memory;
}

/* Mean depth of a failed search among `rows` keys: 2 H(rows - 1) - 2 (rows - 1) / rows. */
static double search_depth(double rows)
{
    if (rows < 2)
        return 0;
    double n = rows - 1;
    double harmonic = 0;
    if (n < 20) {
        for (double k = n; k >= 1; k--)
            harmonic += 1 / k;
    } else {
        harmonic = log(n) + 0.57721566490153286 + 1 / (2 * n) - 1 / (12 * n * n);
    }
    return 2 * harmonic - 2 * n / rows;
}

struct growing {
    const double *rows;
    size_t columns;
    size_t depth_max;
    struct random random;
    struct forest_node *nodes;
    uint32_t used;
};

/* A column in which these rows differ, its ends in *low and *high; columns when there is none. */
static size_t choose_column(struct growing *growing, const size_t *chosen, size_t count,
                            double *low, double *high)
{
    size_t first = random_below(&growing->random, growing->columns);

    for (size_t off = 0; off < growing->columns; off++) {
        size_t column = (first + off) % growing->columns;
        *low = INFINITY;
        *high = -INFINITY;
        for (size_t i = 0; i < count; i++) {
            double value = growing->rows[chosen[i] * growing->columns + column];
            *low = fmin(*low, value);
            *high = fmax(*high, value);
        }
        if (*low < *high)
            return column;
    }
    return growing->columns;
}

static void grow(struct growing *growing, uint32_t at, size_t *chosen, size_t count, size_t depth)
{
    double low;
    double high;
    size_t column = growing->columns;

    if (count > 1 && depth < growing->depth_max)
        column = choose_column(growing, chosen, count, &low, &high);
    if (column == growing->columns) {
        growing->nodes[at] = (struct forest_node){.rows = (uint32_t)count};
        return;
    }
    double split = low + (high - low) * (1 - random_unit(&growing->random)); /* In (low, high]. */
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (growing->rows[chosen[i] * growing->columns + column] < split) {
            size_t swap = chosen[i];
            chosen[i] = chosen[left];
            chosen[left++] = swap;
        }
    }
    uint32_t child = growing->used;
    growing->used += 2;
    growing->nodes[at] =
        (struct forest_node){.split = split, .column = (uint32_t)column, .left = child};
    grow(growing, child, chosen, left, depth + 1);
    grow(growing, child + 1, chosen + left, count - left, depth + 1);
}

struct forest *forest_new(const double *rows, size_t rows_count, size_t columns,
                          const struct forest_options *options)
{
    struct forest *forest = allocate(1, sizeof(*forest));
    size_t wanted = options->sample == 0 ? FOREST_SAMPLE : options->sample;
    size_t sample = wanted < rows_count ? wanted : rows_count;
    size_t *order = allocate(rows_count, sizeof(*order));
    struct growing growing = {.rows = rows,
                              .columns = columns,
                              .depth_max = (size_t)ceil(log2((double)sample)) + 1,
                              .random = random_begin(options->seed)};

    MUST(rows_count > 0 && columns > 0);
    forest->trees = options->trees == 0 ? FOREST_TREES : options->trees;
    forest->columns = columns;
    forest->nodes_each = 2 * sample;
    forest->usual_depth = search_depth((double)sample);
    forest->nodes = allocate(forest->trees * forest->nodes_each, sizeof(*forest->nodes));
    for (size_t i = 0; i < rows_count; i++)
        order[i] = i;
    for (size_t tree = 0; tree < forest->trees; tree++) {
        for (size_t i = 0; i < sample; i++) {
            size_t other = i + random_below(&growing.random, rows_count - i);
            size_t swap = order[i];
            order[i] = order[other];
            order[other] = swap;
        }
        growing.nodes = forest->nodes + tree * forest->nodes_each;
        growing.used = 1;
        grow(&growing, 0, order, sample, 0);
    }
    free(order);
    return forest;
}

struct forest *forest_free(struct forest *forest)
{
    if (forest != NULL)
        free(forest->nodes);
    free(forest);
    return NULL;
}

void forest_freep(struct forest **forest)
{
    forest_free(*forest);
}

double forest_score(const struct forest *forest, const double *row)
{
    double depth = 0;

    if (forest->usual_depth <= 0)
        return 0.5; /* One row is like itself. */
    for (size_t tree = 0; tree < forest->trees; tree++) {
        const struct forest_node *nodes = forest->nodes + tree * forest->nodes_each;
        const struct forest_node *node = nodes;
        for (; node->left != 0; depth++)
            node = nodes + node->left + (row[node->column] >= node->split);
        depth += search_depth(node->rows);
    }
    return exp2(-depth / (double)forest->trees / forest->usual_depth);
}
