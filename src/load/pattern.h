/* SPDX-License-Identifier: Apache-2.0 */
/* pattern - how much load at what time: users, or arrivals a second, as a line over time.
 *
 * Whatever the shape (constant, ramp, step, spike, wave, random, or stages of these one after the
 * other), it is a row of straight pieces. So the level at a time, the area under the line up to a
 * time, and the time at which an area is reached all have exact answers, and a schedule of arrivals
 * does not drift. A struct pattern may be embedded; built by one thread, then read by any. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct pattern_piece {
    int64_t start_ns; /* Since the start of the pattern. */
    int64_t length_ns;
    double from, to; /* Levels at both ends. */
    double area;     /* Level × seconds before this piece. */
};

struct pattern {
    struct pattern_piece *pieces;
    size_t count;
    size_t capacity;
};

enum {
    PATTERN_PIECES_MAX = 10000,
    PATTERN_WAVE_PIECES = 64, /* Of one period. */
};
#define PATTERN_LEVEL_MAX 1e9

void pattern_done(struct pattern *pattern);

/* ---- Shapes, each appended behind what is there. ERR_LIMIT: too many pieces. ---- */

CHECKED enum err pattern_line(struct pattern *pattern, double from, double to, int64_t length_ns,
                              struct why *why);
/* `steps` equal levels from `from` to `to`, together length_ns long. */
CHECKED enum err pattern_steps(struct pattern *pattern, double from, double to, size_t steps,
                               int64_t length_ns, struct why *why);
/* The base, then the peak, then the base again: a quarter, a quarter and a half of the length. */
CHECKED enum err pattern_spike(struct pattern *pattern, double base, double peak, int64_t length_ns,
                               struct why *why);
/* A sine between low and high that starts at the middle and rises. */
CHECKED enum err pattern_wave(struct pattern *pattern, double low, double high, int64_t period_ns,
                              int64_t length_ns, struct why *why);
/* A new level between low and high each step_ns; the same for the same seed. */
CHECKED enum err pattern_random(struct pattern *pattern, double low, double high, int64_t step_ns,
                                int64_t length_ns, uint64_t seed, struct why *why);

/* Reads stages as people write them, separated by commas:
 *     "50 for 30s, ramp 50..200 over 1m, spike 200..2000 over 40s, wave 50..150 every 20s for 2m"
 *     "step 10..100 in 10 over 5m", "random 10..90 every 5s for 1m", "ramp 100..0 over 10s"
 * `ramp-up`, `ramp-down` and `constant` are also understood. ERR_INVALID names the stage. */
CHECKED enum err pattern_parse(struct str text, struct pattern *pattern, struct why *why);

/* ---- Questions. ---- */

int64_t pattern_length_ns(const struct pattern *pattern);
/* Before the start the first level, after the end 0. */
double pattern_level(const struct pattern *pattern, int64_t at_ns);
double pattern_peak(const struct pattern *pattern);
/* Level × seconds up to at_ns. */
double pattern_area(const struct pattern *pattern, int64_t at_ns);
/* The time at which the area is reached; INT64_MAX: never. *hint is where the search begins, 0 at
 * first: areas asked for in rising order are found in constant time. */
int64_t pattern_time_of(const struct pattern *pattern, double area, size_t *hint);
