/* SPDX-License-Identifier: Apache-2.0 */
/* self - the daemon's numbers about itself, gathered from whoever has some.
 *
 * Each part (hub, store, server, sources) gives a function that writes its counters into a report;
 * cli/daemon adds them to a `struct self`, and the source of the same name collects it like any
 * other source. One thread at a time. */
#pragma once
#include "model/batch.h"

#define SELF_PARTS_MAX 16

struct self_report {
    struct batch *batch;
    struct label_pool *pool;
    int64_t time_ms;
    bool with_infos;            /* Types and help texts are due: once in a while, not every time. */
    const struct label *labels; /* Added to every series; job and instance. */
    size_t label_count;
};

typedef enum err (*self_part)(void *part, struct self_report *report, struct why *why);

struct self {
    struct {
        self_part collect;
        void *part;
    } parts[SELF_PARTS_MAX];
    size_t count;
};

void self_add(struct self *self, self_part collect, void *part);
CHECKED enum err self_collect(const struct self *self, struct self_report *report, struct why *why);

struct self_metric {
    const char *name; /* Counters end in _total; units are in the name. */
    const char *help;
    enum metric_kind kind;
    const char *label;       /* NULL, or one more label … */
    const char *label_value; /* … and its value. */
};

CHECKED enum err self_write(struct self_report *report, const struct self_metric *metric,
                            double value, struct why *why);

/* The hub's own part; part is a struct hub. */
CHECKED enum err self_hub(void *part, struct self_report *report, struct why *why);
