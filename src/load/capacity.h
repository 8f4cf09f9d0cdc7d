/* SPDX-License-Identifier: Apache-2.0 */
/* capacity - the search for the highest rate that is kept: which rate to probe next, and what is
 * known so far. It knows nothing of requests; whoever probes tells whether a rate was kept.
 *
 * From a low rate it climbs by doubling until a probe breaks, narrows the gap, and then probes both
 * ends of the gap again until two full probes of each agree. An end that turns out to be on the
 * wrong side moves the search there. Narrowing aims: a service that was asked for too much shows by
 * what it answered all the same where its capacity is, so just below and just above that are probed
 * first. Where that is not known, or proved wrong, the gap is halved on a logarithmic scale. Pure;
 * no allocation; one thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    CAPACITY_PROBES_MAX = 60,
    CAPACITY_VOTES = 2, /* Of three probes at most. */
    CAPACITY_AIMS_MAX = 6,
};
#define CAPACITY_GROWTH    2.0
#define CAPACITY_FALL      4.0 /* Downward, when already the first rate breaks. */
#define CAPACITY_PRECISION 0.03
#define CAPACITY_RATE_MAX  5e6

enum capacity_phase { CAPACITY_CLIMB, CAPACITY_NARROW, CAPACITY_CONFIRM };

/* What is to be done next. */
struct capacity_probe {
    double rate; /* A second. */
    enum capacity_phase phase;
    bool is_brief; /* Finding the magnitude: less than a full probe will do. */
    bool is_aimed;
};

/* What is known of one rate. */
struct capacity_level {
    double rate;
    unsigned kept, broken; /* Full probes. */
    bool briefly_kept;     /* By a brief one; counts while there is no full one. */
    double beyond;         /* What was answered a second when it broke, last; NAN: unknown. */
};

struct capacity {
    double start, least;
    struct capacity_level levels[CAPACITY_PROBES_MAX];
    size_t levels_count;
    size_t probes_count;
    size_t aims_count;
};

/* How sure one end of the answer is: so many of its full probes said so; 0 of 0: a brief one did.
 */
struct capacity_votes {
    unsigned agreed, count;
};

struct capacity_answer {
    double kept;   /* The highest rate that was kept below one that broke; NAN: none was. */
    double broken; /* The lowest rate that broke; NAN: none did. */
    double beyond; /* What was answered a second when that was asked for; NAN: unknown. */
    struct capacity_votes kept_votes, broken_votes;
    bool confirmed; /* The gap is narrow, and each end was decided by equal probes. */
};

/* start is the first rate, least the lowest that is worth probing: 0 < least <= start <=
 * CAPACITY_RATE_MAX. */
void capacity_init(struct capacity *capacity, double start, double least);
/* False: the search is over. Asks the same until it is told. */
bool capacity_next(const struct capacity *capacity, struct capacity_probe *ret_probe);
/* beyond: what was answered a second, where the rate was more than that; else NAN. */
void capacity_tell(struct capacity *capacity, const struct capacity_probe *probe, bool kept,
                   double beyond);
struct capacity_answer capacity_answer(const struct capacity *capacity);

const char *capacity_phase_name(enum capacity_phase phase); /* "climb", "narrow", "confirm". */
