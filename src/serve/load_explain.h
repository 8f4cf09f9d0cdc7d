/* SPDX-License-Identifier: Apache-2.0 */
/* load_explain - the report of a load and what this daemon saw of its target, as JSON: the schema
 * LoadTarget. Workers. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct arena;
struct node;
struct server;
struct store_view;

struct load_explain_question {
    const struct node *report; /* What `sonde load --json` prints. */
    bool is_here;              /* The target is on this machine, */
    bool generator_is_here;    /* and so was the generator. */
    bool only_counts;          /* Of spans: have those of the run all come? */
};

/* As the report itself tells. */
struct load_explain_question load_explain_question_of(const struct node *report);

/* Is it such a report, and one that says when it was? Those of older versions do not. */
bool load_explain_can(const struct node *report);

/* Have spans of the run come, and fewer than there were answers? Then more may be on their way. */
CHECKED enum err load_explain_waits(struct server *server, struct store_view *view,
                                    const struct node *report, struct arena *arena, bool *ret_waits,
                                    struct why *why);

/* Appends the answer. */
CHECKED enum err load_explain_write(struct server *server, struct store_view *view,
                                    const struct load_explain_question *question,
                                    struct arena *arena, struct buf *out, struct why *why);
