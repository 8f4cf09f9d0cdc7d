/* SPDX-License-Identifier: Apache-2.0 */
/* trace_features - which key=value pairs are in how many traces of two groups, and which of them
 * tell the groups apart.
 *
 * A trace has a pair once, however many of its spans carry it. Statements and URLs count with their
 * values taken out, and a failed span counts as status=error. Everything lives in the arena that
 * was handed in. One thread. */
#pragma once
#include "analysis/trace_tree.h"
#include "base/buf.h"
#include "base/map.h"

#define TRACE_FEATURES_MAX       100000 /* Different pairs; further ones are counted. */
#define TRACE_FEATURE_BYTES_MAX  200    /* Longer values tell little and are left out. */
#define TRACE_FEATURES_SHOWN_MAX 100

struct trace_feature {
    bool of_resource;
    struct str service;
    struct str key;
    struct str value;
    uint32_t traces[2];  /* Of either group that have it. */
    uint32_t last_trace; /* Number of the trace that was counted last. */
    double p;            /* Fisher's, two-sided. */
    double odds_ratio;   /* Above 1: rather in group 1. */
    double p_adjusted;   /* Over all that were tested, after Benjamini and Hochberg. */
};

struct trace_features {
    struct arena *arena;
    struct trace_feature *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t left_out;
    uint32_t traces[2]; /* Of either group. */
    struct map by_key;
    struct buf key;
};

void trace_features_init(struct trace_features *features, struct arena *arena);
void trace_features_done(struct trace_features *features); /* For CLEANUP. */

/* group is 0 or 1. ERR_LIMIT: the arena is spent. */
CHECKED enum err trace_features_add(struct trace_features *features, int group,
                                    const struct span *spans, size_t count, struct why *why);

/* Those whose adjusted p is at most 0.05, most telling first, at most TRACE_FEATURES_SHOWN_MAX.
 * *ret_tested: how many could have come out significant and so were tested. */
CHECKED enum err trace_features_telling(struct trace_features *features,
                                        const struct trace_feature **ret_items, size_t *ret_count,
                                        size_t *ret_tested, struct why *why);

/* Share in group 1 less share in group 0: -1 … 1. */
double trace_feature_difference(const struct trace_features *features,
                                const struct trace_feature *feature);
