/* SPDX-License-Identifier: Apache-2.0 */
/* exemplar - one measurement of the many that a series stands for, and the span that it was made
 * in. Plain data.
 *
 * Its pairs are those of Prometheus' exemplars: trace_id and span_id in lower-case hexadecimal, and
 * what else its sender says of it. */
#pragma once
#include "base/arena.h"
#include "model/label.h"

#define EXEMPLAR_PAIRS_MAX  16
#define EXEMPLAR_PAIR_BYTES 1024 /* Of all names and values; OpenMetrics allows 128 characters. */

#define EXEMPLAR_TRACE_ID STR("trace_id")
#define EXEMPLAR_SPAN_ID  STR("span_id")

struct exemplar {
    const struct labels *labels; /* Of the series. */
    int64_t time_ms;
    double value;
    const struct label *pairs; /* Sorted by name, each once. */
    size_t pairs_count;
};

/* Pairs while they are gathered; all zero: none. */
struct exemplar_pairs {
    struct label items[EXEMPLAR_PAIRS_MAX];
    size_t count;
    size_t bytes;
};

/* Adds one, whose texts are borrowed. It is left out when it is empty or no UTF-8, when its name is
 * there already, and when there is no room: so the important ones come first. */
void exemplar_add_pair(struct exemplar_pairs *pairs, struct str name, struct str value);

/* Copies the pairs into the arena and gives them to the exemplar. False: the arena is spent. */
bool exemplar_keep_pairs(struct exemplar *exemplar, const struct exemplar_pairs *pairs,
                         struct arena *arena);
