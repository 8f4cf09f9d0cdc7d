/* SPDX-License-Identifier: Apache-2.0 */
/* verdict - did it get better, worse, neither, or can nobody tell?
 *
 * A change is only called one when three things agree: chance is an unlikely cause (p, corrected
 * for runs that resemble their neighbours and for how many metrics were looked at), most runs of
 * one side stand above most of the other (Cliff's delta), and it is large enough to matter. What is
 * not a change is only called stable when the runs rule out a large one. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "stats/compare.h"

enum verdict_kind {
    VERDICT_CANNOT_TELL,
    VERDICT_STABLE,
    VERDICT_IMPROVED,
    VERDICT_DEGRADED,
    VERDICT_KIND_COUNT
};

enum verdict_severity {
    VERDICT_INFO,     /* A change, below the metric's threshold. */
    VERDICT_WARNING,  /* At or above it. */
    VERDICT_CRITICAL, /* At or above twice the threshold. */
    VERDICT_SEVERITY_COUNT
};

enum verdict_reason {
    VERDICT_REASON_CHANGED,    /* All three agree. */
    VERDICT_REASON_SMALL,      /* A real change, too small to matter. */
    VERDICT_REASON_EXCLUDED,   /* No change seen, and the runs rule out one of the threshold. */
    VERDICT_REASON_FEW,        /* Too few runs for any p below alpha. */
    VERDICT_REASON_NOISE,      /* No change seen, but one of the threshold could hide. */
    VERDICT_REASON_CORRELATED, /* The same, because runs resemble their neighbours. */
};

struct verdict_options {
    double alpha;      /* Largest p, after adjustment over all metrics. */
    double min_change; /* Relative; below, a change does not matter. */
    double threshold;  /* Relative; from here on a change is a warning. */
    double min_cliff;
    bool higher_is_better;
};

#define VERDICT_ALPHA      0.05
#define VERDICT_MIN_CHANGE 0.02
#define VERDICT_THRESHOLD  0.10
#define VERDICT_MIN_CLIFF  0.15 /* Below, effects are called negligible. */
#define VERDICT_POWER      0.8
#define VERDICT_COUNT_MIN  4 /* Runs of each side. */

#define VERDICT_OPTIONS_DEFAULT                                                        \
    (struct verdict_options)                                                           \
    {                                                                                  \
        VERDICT_ALPHA, VERDICT_MIN_CHANGE, VERDICT_THRESHOLD, VERDICT_MIN_CLIFF, false \
    }

struct verdict_input {
    const double *before; /* In the order of time. */
    size_t before_count;
    const double *after;
    size_t after_count;
    struct verdict_options options;
};

struct verdict {
    enum verdict_kind kind;
    enum verdict_severity severity; /* Of a change. */
    enum verdict_reason reason;
    double before, after;            /* Medians. */
    double change;                   /* Of the medians, relative to before. */
    struct interval change_interval; /* 95 %, of the relative shift. */
    double shift;                    /* Hodges-Lehmann, relative. */
    bool by_means;                   /* Change, shift and interval are those of the means. */
    double p, p_adjusted, p_min;
    double cliff;
    double inflation;       /* Of the variance, by runs that resemble their neighbours. */
    double noise;           /* Scatter of single runs relative to the median, the larger side's. */
    double more_runs;       /* Needed of each side to see a change of the threshold; 0: enough. */
    bool before_many_hills; /* Several modes: a median hides that. */
    bool after_many_hills;
    enum compare_method method;
    size_t pairs; /* Judged by so many pairs of neighbours (verdict_paired.h); 0: by two samples. */
};

struct verdict verdict_judge(const struct verdict_input *input);

/* All metrics of one comparison: p values are adjusted together, so that more metrics do not make
 * more false alarms. */
void verdict_judge_all(const struct verdict_input *inputs, size_t count,
                       struct verdict *ret_verdicts);

const char *verdict_kind_name(enum verdict_kind kind);             /* "degraded". */
const char *verdict_severity_name(enum verdict_severity severity); /* "warning". */

/* Why, as a sentence without full stop: "34 more runs would show 10 %". */
void verdict_write_reason(const struct verdict *verdict, const struct verdict_options *options,
                          struct buf *out);
