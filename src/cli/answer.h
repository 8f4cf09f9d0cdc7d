/* SPDX-License-Identifier: Apache-2.0 */
/* answer - what a query came to, wherever it was answered: by a daemon (Prometheus' JSON) or by the
 * evaluator here. Lives in the arena it was read into. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "query/promql.h"

struct answer_series {
    struct str name; /* node_load1{instance="a"} */
    const struct label *labels;
    size_t labels_count;
    int64_t *times_ms;
    double *values;
    size_t count;
};

struct answer {
    enum promql_type type;
    struct answer_series *series; /* A scalar is one series of one point. */
    size_t series_count;
    struct str text; /* Of a string. */
    struct str *notes;
    size_t notes_count;
};

CHECKED enum err answer_from_json(struct str body, struct arena *arena, struct answer *ret_answer,
                                  struct why *why);
CHECKED enum err answer_from_result(const struct promql_result *result, struct arena *arena,
                                    struct answer *ret_answer, struct why *why);
