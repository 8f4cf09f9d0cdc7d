/* SPDX-License-Identifier: Apache-2.0 */
/* The bits of a double, read as an integer, are already in order for positive numbers and in
 * reverse for negative ones. Flipping the sign bit of the former and all bits of the latter makes
 * unsigned keys whose order is that of the numbers, and those can be sorted byte by byte, lowest
 * first. One reading counts all eight bytes; a byte that is the same everywhere (measurements of
 * one kind share their exponent) costs no pass.
 *
 * The lowest bytes of a measurement are mostly noise that the higher ones have already told apart.
 * So the highest few that differ are sorted by, and a pass of insertion mends the rest; where that
 * finds more to mend than it is worth, all bytes are sorted by after all. */
#include "stats/array.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    RADIX_BITS = 8,
    RADIX_SIZE = 1 << RADIX_BITS,
    RADIX_PASSES = (64 + RADIX_BITS - 1) / RADIX_BITS,
    INSERTION_MAX = 48, /* Below, insertion is faster than counting. */
    HIGH_PASSES = 4,
    MEND_PER_VALUE = 2,
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);

    if (memory == NULL)
        must_memory((uint64_t)count * size);
    return memory;
}

double *array_new(size_t count)
{
    return allocate(count, sizeof(double));
}

double *array_copy(const double *values, size_t count)
{
    double *copy = array_new(count);

    if (count > 0)
        memcpy(copy, values, count * sizeof(*values));
    return copy;
}

double *array_sorted(const double *values, size_t count)
{
    double *copy = array_copy(values, count);

    array_sort(copy, count);
    return copy;
}

double *array_free(double *values)
{
    free(values);
    return NULL;
}

void array_freep(double **values)
{
    free(*values);
}

uint64_t array_key(double value)
{
    uint64_t bits;

    value += 0.0; /* -0 becomes 0. */
    memcpy(&bits, &value, sizeof(bits));
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

double array_from_key(uint64_t key)
{
    uint64_t bits = key ^ (((key >> 63) - 1) | (UINT64_C(1) << 63));
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void sort_small(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double value = values[i] + 0.0;
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

static void count_bytes(const uint64_t *keys, size_t count, size_t counts[RADIX_PASSES][RADIX_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[i];
        for (int pass = 0; pass < RADIX_PASSES; pass++) {
            counts[pass][key & (RADIX_SIZE - 1)]++;
            key >>= RADIX_BITS;
        }
    }
}

static void scatter(const uint64_t *from, uint64_t *to, size_t count, int shift,
                    size_t places[RADIX_SIZE])
{
    size_t sum = 0;

    for (int i = 0; i < RADIX_SIZE; i++) {
        size_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[from[i] >> shift & (RADIX_SIZE - 1)]++] = from[i];
}

/* Sorts by the `wanted` highest bytes that differ; returns which of the two holds the result. */
static uint64_t *sort_by_bytes(uint64_t *from, uint64_t *to, size_t count, int wanted)
{
    size_t counts[RADIX_PASSES][RADIX_SIZE] = {0};
    bool differs[RADIX_PASSES];
    int differing = 0;

    count_bytes(from, count, counts);
    for (int pass = 0; pass < RADIX_PASSES; pass++) {
        differs[pass] = counts[pass][from[0] >> (pass * RADIX_BITS) & (RADIX_SIZE - 1)] != count;
        differing += differs[pass];
    }
    for (int pass = 0; pass < RADIX_PASSES; pass++) {
        if (!differs[pass] || differing-- > wanted)
            continue;
        scatter(from, to, count, pass * RADIX_BITS, counts[pass]);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* Insertion among nearly sorted keys; false when there was too much to do. */
static bool mend(uint64_t *keys, size_t count)
{
    size_t budget = MEND_PER_VALUE * count;

    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t at = i;
        if (keys[i - 1] <= key)
            continue;
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
        if (budget < i - at)
            return false;
        budget -= i - at;
    }
    return true;
}

void array_sort(double *values, size_t count)
{
    if (count <= INSERTION_MAX) {
        sort_small(values, count);
        return;
    }
    uint64_t *memory = malloc(2 * count * sizeof(*memory));
    if (memory == NULL)
        must_memory(2 * (uint64_t)count * sizeof(*memory));
    uint64_t *first = memory;
    uint64_t *second = memory + count;
    for (size_t i = 0; i < count; i++)
        first[i] = array_key(values[i]);
    uint64_t *sorted = sort_by_bytes(first, second, count, HIGH_PASSES);
    if (!mend(sorted, count))
        sorted = sort_by_bytes(sorted, sorted == first ? second : first, count, RADIX_PASSES);
    for (size_t i = 0; i < count; i++)
        values[i] = array_from_key(sorted[i]);
    free(memory);
}

/* Hoare's selection in Wirth's form: part around the value at the wanted place, go on in the part
 * that holds it. */
double array_select(double *values, size_t count, size_t index)
{
    ptrdiff_t wanted = (ptrdiff_t)index;
    ptrdiff_t low = 0;
    ptrdiff_t high = (ptrdiff_t)count - 1;

    MUST(index < count);
    while (low < high) {
        double pivot = values[wanted];
        ptrdiff_t i = low;
        ptrdiff_t j = high;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i > j)
                break;
            double swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        if (j < wanted)
            low = i;
        if (wanted < i)
            high = j;
    }
    return values[wanted];
}

size_t array_keep_numbers(double *values, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (values[i] == values[i])
            values[kept++] = values[i];
    }
    return kept;
}
