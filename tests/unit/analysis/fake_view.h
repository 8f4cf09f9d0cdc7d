/* SPDX-License-Identifier: Apache-2.0 */
/* fake_view - made-up series behind the store's read contract, so that a judgement can be tested
 * with numbers that one can count on fingers.
 *
 *     struct fake_view *fake = fake_new();
 *     fake_add(fake, "node_load1", "instance", "a", NULL);    // then samples, oldest first
 *     fake_sample(fake, 1000, 2.5);
 */
#pragma once
#include "base/arena.h"
#include "model/label.h"
#include "store/store_read.h"

#include <stdarg.h>

#define FAKE_SERIES_MAX  64
#define FAKE_SAMPLES_MAX 8192

struct fake_series {
    const struct labels *labels;
    int64_t times_ms[FAKE_SAMPLES_MAX];
    double values[FAKE_SAMPLES_MAX];
    struct str *sketches; /* NULL until fake_sketch. */
    size_t count;
};

struct fake_view {
    struct store_view view; /* First: the vtable's self. */
    struct arena *arena;
    struct fake_series *series[FAKE_SERIES_MAX];
    size_t count;
};

static bool fake_matches(const struct labels *labels, const struct matcher *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct matcher *matcher = &matchers[i];
        struct str value = labels_get(labels, matcher->name);
        bool is_regex = matcher->op == MATCH_REGEX || matcher->op == MATCH_NOT_REGEX;
        bool is_negative = matcher->op == MATCH_NOT_EQUAL || matcher->op == MATCH_NOT_REGEX;
        if (value.data == NULL)
            value = STR("");
        bool is_match =
            is_regex ? matcher->match(matcher->regex, value) : str_eq(value, matcher->value);
        if (is_match == is_negative)
            return false;
    }
    return true;
}

static enum err fake_select(struct store_view *view, const struct matcher *matchers, size_t count,
                            int64_t from_ms, int64_t to_ms, struct arena *arena,
                            struct series_set *ret_set, struct why *why)
{
    struct fake_view *fake = (struct fake_view *)view;
    struct series *items = ARENA_ARRAY(arena, FAKE_SERIES_MAX, struct series);
    size_t found = 0;

    for (size_t i = 0; i < fake->count; i++) {
        if (fake_matches(fake->series[i]->labels, matchers, count))
            items[found++] = (struct series){fake->series[i]->labels, i};
    }
    for (size_t i = 1; i < found; i++) {
        for (size_t j = i; j > 0 && labels_compare(items[j].labels, items[j - 1].labels) < 0; j--) {
            struct series swap = items[j];
            items[j] = items[j - 1];
            items[j - 1] = swap;
        }
    }
    *ret_set = (struct series_set){items, found};
    return ERR_NONE;
}

static enum err fake_read(struct store_view *view, const struct series_set *set,
                          const struct read_request *request, struct arena *arena,
                          struct samples *ret_samples, struct why *why)
{
    struct fake_view *fake = (struct fake_view *)view;

    for (size_t i = 0; i < set->count; i++) {
        const struct fake_series *series = fake->series[set->items[i].id];
        size_t first = 0;
        size_t end;
        while (first < series->count && series->times_ms[first] < request->from_ms)
            first++;
        for (end = first; end < series->count && series->times_ms[end] <= request->to_ms;)
            end++;
        ret_samples[i] = (struct samples){
            .time_ms = series->times_ms + first,
            .value = series->values + first,
            .sketch = series->sketches == NULL ? NULL : series->sketches + first,
            .count = end - first,
        };
    }
    return ERR_NONE;
}

static enum err fake_instant(struct store_view *view, const struct series_set *set, int64_t at_ms,
                             int64_t lookback_ms, struct arena *arena, int64_t *ret_time_ms,
                             double *ret_value, struct why *why)
{
    struct fake_view *fake = (struct fake_view *)view;

    for (size_t i = 0; i < set->count; i++) {
        const struct fake_series *series = fake->series[set->items[i].id];
        ret_time_ms[i] = INT64_MIN;
        for (size_t j = series->count; j-- > 0;) {
            if (series->times_ms[j] > at_ms)
                continue;
            if (series->times_ms[j] > at_ms - lookback_ms) {
                ret_time_ms[i] = series->times_ms[j];
                ret_value[i] = series->values[j];
            }
            break;
        }
    }
    return ERR_NONE;
}

static void fake_release(struct store_view *view)
{
}

static const struct store_view_ops fake_ops = {
    .select = fake_select,
    .read = fake_read,
    .instant = fake_instant,
    .release = fake_release,
};

static struct fake_view *fake_new(void)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct fake_view *fake = ARENA_NEW(arena, struct fake_view);

    fake->arena = arena;
    fake->view.ops = &fake_ops;
    return fake;
}

static void fake_free(struct fake_view *fake)
{
    arena_free(fake->arena);
}

/* Begins a series; pairs of name and value, ended by NULL. */
static __attribute__((sentinel)) void fake_add(struct fake_view *fake, const char *name, ...)
{
    struct label pairs[LABEL_COUNT_MAX] = {{LABEL_NAME, str_of(name)}};
    size_t count = 1;
    va_list list;

    va_start(list, name);
    for (const char *key = va_arg(list, const char *); key != NULL;
         key = va_arg(list, const char *))
        pairs[count++] = (struct label){str_of(key), str_of(va_arg(list, const char *))};
    va_end(list);
    MUST(labels_arrange(pairs, count, &count, NULL) == ERR_NONE && fake->count < FAKE_SERIES_MAX);
    struct fake_series *series = ARENA_NEW(fake->arena, struct fake_series);
    series->labels =
        labels_build(arena_alloc(fake->arena, labels_size(pairs, count)), pairs, count);
    fake->series[fake->count++] = series;
}

/* To the series begun last. */
static void fake_sample(struct fake_view *fake, int64_t time_ms, double value)
{
    struct fake_series *series = fake->series[fake->count - 1];

    MUST(series->count < FAKE_SAMPLES_MAX);
    series->times_ms[series->count] = time_ms;
    series->values[series->count++] = value;
}

/* A line from one value to another, a sample each step_ms. */
static __attribute__((unused)) void fake_line(struct fake_view *fake, int64_t from_ms,
                                              int64_t to_ms, int64_t step_ms, double first,
                                              double last)
{
    for (int64_t at = from_ms; at <= to_ms; at += step_ms)
        fake_sample(fake, at,
                    first + (last - first) * (double)(at - from_ms) / (double)(to_ms - from_ms));
}
