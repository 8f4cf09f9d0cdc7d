/* SPDX-License-Identifier: Apache-2.0 */
/* load_capacity - a search for the highest rate that is kept, as far as it has come, and how it is
 * told. One thread, beside the drivers of its probes. */
#pragma once
#include "cli/load.h"
#include "load/capacity.h"
#include "load/capacity_step.h"

enum { HUNT_STEPS_MAX = CAPACITY_PROBES_MAX * 2 };

/* Why it is over. */
enum hunt_end {
    HUNT_IS_DONE,
    HUNT_TIME,   /* It was to end by then. */
    HUNT_PROBES, /* No more of them are done. */
    HUNT_INTERRUPTED,
};

struct hunt {
    struct load *load;
    const atomic_int *interrupts;
    const char *title;
    struct capacity capacity;
    struct capacity_rest rest;
    struct capacity_course course;
    struct capacity_step steps[HUNT_STEPS_MAX];
    enum capacity_phase phases[HUNT_STEPS_MAX];
    size_t steps_count;
    struct load_run run;    /* The one under way. */
    struct load_run broken; /* One at the lowest rate that broke; without a plan: none yet. */
    unsigned connections;
    int64_t length_ns;
    int64_t started_ms;
    int64_t start_ns; /* Monotonic. */
    int64_t end_ns;   /* 0: it goes on. */
    int64_t limit_ns; /* How long it may last. */
    enum hunt_end end;
};

double hunt_seconds(const struct hunt *hunt); /* From its start to its end, or to now. */

/* "12.5", "397.4", "43620": four digits, and all before the point. */
struct rate_text {
    char text[32];
};
struct rate_text rate_text(double rate);

/* load_capacity_progress: how far it is, while it goes on. */
/* What stands above a probe that is shown: what is asked, and between which rates. In the arena. */
const char *hunt_caption(const struct hunt *hunt, const struct capacity_probe *probe);
void hunt_tell_step(const struct hunt *hunt, const struct capacity_step *step);

/* load_capacity_report: what is known at its end, on standard output and in files. */
enum exit_code hunt_tell(const struct hunt *hunt);
