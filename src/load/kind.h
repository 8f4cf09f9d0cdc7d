/* SPDX-License-Identifier: Apache-2.0 */
/* kind - the types of test: each shapes the load in its own way and judges what came of it.
 *
 * One more is a file kind_<name>.c that ends in a struct kind, and a row in kinds.def. */
#pragma once
#include "base/err.h"
#include "load/judgement.h"
#include "load/outcome.h"
#include "load/plan.h"

struct kind {
    const char *name;
    const char *summary;   /* For help: one sentence. */
    int64_t length_ns;     /* Unless told otherwise. */
    double errors_allowed; /* A share of requests; more fails the test. */
    /* Appends the load over time to plan->pattern; level is the most of it: users, or arrivals a
     * second. */
    enum err (*shape)(struct plan *plan, double level, int64_t length_ns, struct why *why);
    /* What it showed. */
    void (*judge)(const struct outcome *outcome, struct judgement *judgement);
};

extern const struct kind *const kinds[];
extern const size_t kinds_count;

/* "smoke", "stress" …; NULL when there is none. */
const struct kind *kind_find(struct str name);

/* Numbers of its sentences: "113,620" and "54.2" a second; "240", "12.3", "0.053" ms. */
enum { KIND_TEXT_SIZE = 40 };
const char *kind_rate(char text[KIND_TEXT_SIZE], double value);
const char *kind_ms(char text[KIND_TEXT_SIZE], double value);

/* The kind's own verdict and the share of errors it allows. */
void kind_judge(const struct kind *kind, const struct outcome *outcome,
                struct judgement *judgement);
