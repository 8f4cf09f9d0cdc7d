/* SPDX-License-Identifier: Apache-2.0 */
/* memory_view - a store view over arrays in memory, for tests of what asks the store.
 *
 * Series and samples are added by hand; samples of one series may come in any order, a later one
 * replaces an earlier one of the same time. */
#pragma once
#include "model/label.h"
#include "store/store_read.h"

#include <stdlib.h>

struct memory_series {
    struct labels *labels;
    int64_t *times;
    double *values;
    const struct str *sketches; /* One per sample where it is a series of sketches; not owned. */
    size_t count;
    size_t capacity;
    bool histogram; /* Stands for samples that the store cannot hold. */
};

struct memory_view {
    struct store_view view; /* First, so that it can be cast. */
    struct memory_series *series;
    size_t count;
    size_t capacity;
    bool histogram_selected; /* Some selector met a series marked so. */
};

static inline int memory_by_labels(const void *a, const void *b)
{
    return labels_compare(((const struct series *)a)->labels, ((const struct series *)b)->labels);
}

static inline bool memory_matches(const struct labels *labels, const struct matcher *matcher)
{
    struct str value = labels_get(labels, matcher->name);

    if (value.data == NULL)
        value = STR("");
    switch (matcher->op) {
    case MATCH_EQUAL:
        return str_eq(value, matcher->value);
    case MATCH_NOT_EQUAL:
        return !str_eq(value, matcher->value);
    case MATCH_REGEX:
        return matcher->match(matcher->regex, value);
    case MATCH_NOT_REGEX:
        return !matcher->match(matcher->regex, value);
    }
    return false;
}

static inline enum err memory_select(struct store_view *self, const struct matcher *matchers,
                                     size_t count, int64_t from_ms, int64_t to_ms,
                                     struct arena *arena, struct series_set *ret_set,
                                     struct why *why)
{
    struct memory_view *memory = (struct memory_view *)self;
    struct series *items = ARENA_ARRAY(arena, memory->count, struct series);
    size_t found = 0;

    (void)from_ms; /* More series than asked for are allowed. */
    (void)to_ms;
    if (items == NULL)
        return arena_spent(arena, "the selection", why);
    for (size_t i = 0; i < memory->count; i++) {
        bool matches = true;
        for (size_t m = 0; m < count && matches; m++)
            matches = memory_matches(memory->series[i].labels, &matchers[m]);
        if (!matches)
            continue;
        memory->histogram_selected |= memory->series[i].histogram;
        items[found++] = (struct series){memory->series[i].labels, i};
    }
    if (found > 1)
        qsort(items, found, sizeof(*items), memory_by_labels);
    *ret_set = (struct series_set){items, found};
    return ERR_NONE;
}

/* How many of the series' samples are at or before the time. */
static inline size_t memory_up_to(const struct memory_series *series, int64_t time_ms)
{
    size_t low = 0;
    size_t high = series->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (series->times[middle] <= time_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline enum err memory_read(struct store_view *self, const struct series_set *set,
                                   const struct read_request *request, struct arena *arena,
                                   struct samples *ret_samples, struct why *why)
{
    struct memory_view *memory = (struct memory_view *)self;

    for (size_t i = 0; i < set->count; i++) {
        const struct memory_series *series = &memory->series[set->items[i].id];
        size_t low = memory_up_to(series, request->from_ms - 1);
        size_t high = memory_up_to(series, request->to_ms);
        ret_samples[i] = (struct samples){0};
        if (low >= high)
            continue;
        ret_samples[i] =
            (struct samples){.time_ms = series->times + low,
                             .value = series->values + low,
                             .sketch = series->sketches == NULL ? NULL : series->sketches + low,
                             .count = high - low};
        if (request->field != FIELD_COUNT)
            continue;
        double *ones = ARENA_ARRAY(arena, high - low, double);
        if (ones == NULL)
            return arena_spent(arena, "the samples", why);
        for (size_t s = 0; s < high - low; s++) {
            uint64_t bits;
            memcpy(&bits, &series->values[low + s], sizeof(bits));
            ones[s] = bits == UINT64_C(0x7ff0000000000002) ? series->values[low + s] : 1;
        }
        ret_samples[i].value = ones;
    }
    return ERR_NONE;
}

static inline enum err memory_instant(struct store_view *self, const struct series_set *set,
                                      int64_t at_ms, int64_t lookback_ms, struct arena *arena,
                                      int64_t *ret_time_ms, double *ret_value, struct why *why)
{
    struct memory_view *memory = (struct memory_view *)self;

    (void)arena; /* Nothing is made. */
    (void)why;
    for (size_t i = 0; i < set->count; i++) {
        const struct memory_series *series = &memory->series[set->items[i].id];
        size_t next = memory_up_to(series, at_ms);
        ret_time_ms[i] = INT64_MIN;
        if (next == 0 || series->times[next - 1] <= at_ms - lookback_ms)
            continue;
        ret_time_ms[i] = series->times[next - 1];
        ret_value[i] = series->values[next - 1];
    }
    return ERR_NONE;
}

static const struct store_view_ops memory_view_ops = {
    .select = memory_select,
    .read = memory_read,
    .instant = memory_instant,
};

static inline void memory_view_init(struct memory_view *memory)
{
    *memory = (struct memory_view){.view = {.ops = &memory_view_ops}};
}

static inline void memory_view_done(struct memory_view *memory)
{
    for (size_t i = 0; i < memory->count; i++) {
        free(memory->series[i].labels);
        free(memory->series[i].times);
        free(memory->series[i].values);
    }
    free(memory->series);
    memory_view_init(memory);
}

static inline void *memory_grow(void *items, size_t *capacity, size_t size)
{
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = realloc(items, *capacity * size);
    if (items == NULL)
        must_memory(*capacity * size);
    return items;
}

/* The series with these pairs (which are arranged in place), made when there is none. */
static inline struct memory_series *memory_view_series(struct memory_view *memory,
                                                       struct label *pairs, size_t count)
{
    struct why why = WHY_INIT;

    MUST(labels_arrange(pairs, count, &count, &why) == ERR_NONE);
    struct labels *labels = labels_build(calloc(1, labels_size(pairs, count)), pairs, count);
    for (size_t i = 0; i < memory->count; i++) {
        if (labels_eq(memory->series[i].labels, labels)) {
            free(labels);
            return &memory->series[i];
        }
    }
    if (memory->count == memory->capacity)
        memory->series = memory_grow(memory->series, &memory->capacity, sizeof(*memory->series));
    memory->series[memory->count] = (struct memory_series){.labels = labels};
    return &memory->series[memory->count++];
}

static inline void memory_series_add(struct memory_series *series, int64_t time_ms, double value)
{
    size_t at = series->count;

    if (series->values == NULL || series->count == series->capacity) {
        size_t capacity = series->capacity;
        series->times = memory_grow(series->times, &capacity, sizeof(int64_t));
        series->values = memory_grow(series->values, &series->capacity, sizeof(double));
    }
    while (at > 0 && series->times[at - 1] >= time_ms)
        at--;
    if (at < series->count && series->times[at] == time_ms) {
        series->values[at] = value;
        return;
    }
    memmove(series->times + at + 1, series->times + at, (series->count - at) * sizeof(int64_t));
    memmove(series->values + at + 1, series->values + at, (series->count - at) * sizeof(double));
    series->times[at] = time_ms;
    series->values[at] = value;
    series->count++;
}
