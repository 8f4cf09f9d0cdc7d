/* SPDX-License-Identifier: Apache-2.0 */
/* Many narrow buckets become few ranges that a person reads: 1, 2 and 5 of each power of ten, or
 * powers of ten alone where that would be too many lines. A bucket counts where its value lies. */
#include "document/document_priv.h"

#include <math.h>

enum {
    STEPS_MIN = -21, /* 1e-7 ms, a tenth of a nanosecond; less counts there too. */
    STEPS_MAX = 32,  /* 5e10 ms, a year and a half; more counts there too. */
    STEPS_COUNT = STEPS_MAX - STEPS_MIN + 1,
    LINES_MAX = 18, /* More, and powers of ten are told. */
};

/* Where step begins: …, 0.1, 0.2, 0.5, 1, 2, 5, … */
static double begin_of(int step)
{
    static const double within[] = {1, 2, 5};
    int decade = step >= 0 ? step / 3 : -((2 - step) / 3);

    return within[step - 3 * decade] * pow(10, decade);
}

/* The last step that begins at or below the value. */
static int step_of(double value)
{
    int step = value > 0 ? (int)floor(log10(value)) * 3 : STEPS_MIN;

    step = step < STEPS_MIN ? STEPS_MIN : step > STEPS_MAX ? STEPS_MAX : step;
    while (step < STEPS_MAX && begin_of(step + 1) <= value)
        step++;
    return step;
}

struct scale {
    const char *name;
    double in_ms;
};

static const struct scale *scale_of(double value_ms)
{
    static const struct scale scales[] = {{"s", 1e3}, {"ms", 1}, {"µs", 1e-3}, {"ns", 1e-6}};
    size_t i = 0;

    while (i + 1 < ARRAY_COUNT(scales) && value_ms < scales[i].in_ms * 0.9999)
        i++;
    return &scales[i];
}

/* To three digits: bounds may be powers of the square root of two. */
static double in_scale(double value_ms, const struct scale *scale)
{
    double value = value_ms / scale->in_ms;
    double unit = value > 0 ? pow(10, floor(log10(value)) - 2) : 1;

    return unit < 1 ? round(value / unit) * unit : round(value);
}

/* "1 – 2 ms", "500 µs – 1 ms"; without an end: "over 5 s". */
static void name_range(struct buf *out, double begin_ms, double end_ms)
{
    const struct scale *begin = scale_of(begin_ms);
    const struct scale *end = isfinite(end_ms) ? scale_of(end_ms) : begin;

    if (!isfinite(end_ms)) {
        buf_printf(out, "over %g %s", in_scale(begin_ms, begin), begin->name);
        return;
    }
    buf_printf(out, "%g", in_scale(begin_ms, begin));
    if (begin != end && begin_ms > 0)
        buf_printf(out, " %s", begin->name);
    buf_printf(out, " – %g %s", in_scale(end_ms, end), end->name);
}

void document_ranges(struct document *document, const char *key, const char *title,
                     const double *bounds_ms, const double *counts, size_t count)
{
    size_t first = 0;
    size_t end = count;

    while (first < end && !(counts[first] > 0))
        first++;
    while (end > first && !(counts[end - 1] > 0))
        end--;
    if (first == end)
        return;
    struct chart *chart = document_chart(document, key, title, CHART_BAR, UNIT_COUNT);
    for (size_t i = first; i < end; i++) {
        struct buf name CLEANUP(buf_done) = {0};
        name_range(&name, i == 0 ? 0 : bounds_ms[i - 1], i + 1 == count ? INFINITY : bounds_ms[i]);
        chart_bar(chart, buf_cstr(&name), counts[i]);
    }
}

void document_distribution(struct document *document, const char *key, const char *title,
                           const double *values_ms, const double *counts, size_t count)
{
    double steps[STEPS_COUNT] = {0};
    double bounds_ms[STEPS_COUNT];
    double sums[STEPS_COUNT] = {0};
    int first = STEPS_MAX;
    int last = STEPS_MIN;
    size_t ranges = 0;

    for (size_t i = 0; i < count; i++) {
        if (!(counts[i] > 0) || !isfinite(values_ms[i]))
            continue;
        int step = step_of(values_ms[i]);
        steps[step - STEPS_MIN] += counts[i];
        first = step < first ? step : first;
        last = step > last ? step : last;
    }
    int width = last - first < LINES_MAX ? 1 : 3;
    for (int step = STEPS_MIN; step <= STEPS_MAX; step++) {
        sums[ranges] += steps[step - STEPS_MIN];
        if ((step + 1 - STEPS_MIN) % width == 0)
            bounds_ms[ranges++] = begin_of(step + 1);
    }
    document_ranges(document, key, title, bounds_ms, sums, ranges);
}
