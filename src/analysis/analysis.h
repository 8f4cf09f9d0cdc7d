/* SPDX-License-Identifier: Apache-2.0 */
/* analysis - the seam for judging: series in, findings out.
 *
 * An analysis is one file with a `const struct analysis_kind` and one row in analyses.def. It asks
 * PromQL through the view it is lent, keeps no handle, and does nothing to the world. What it must
 * remember between two looks (since when, how often) is its own state, made by open. One thread at
 * a time per state. */
#pragma once
#include "analysis/finding.h"

#include <stdatomic.h>

struct store_view;

struct analysis_input {
    struct store_view *view;
    int64_t now_ms;
    int64_t timeout_ms;           /* Of each question; 0: as the language's own. */
    const atomic_bool *cancelled; /* May be NULL. */
    struct arena *arena;          /* What findings point to lives here. */
};

struct analysis_kind {
    const char *name;
    const char *summary;
    /* NULL: needs no state. */
    void *(*open)(void);
    void (*close)(void *state);
    /* Appends to list. */
    enum err (*run)(void *state, const struct analysis_input *input, struct finding_list *list,
                    struct why *why);
};

extern const struct analysis_kind *const analyses[];
extern const size_t analyses_count;
