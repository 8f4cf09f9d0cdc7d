/* SPDX-License-Identifier: Apache-2.0 */
/* capacity_step - was a rate kept? Watches one probe of a capacity search and judges it.
 *
 * A rate is kept when the target answers as fast as it is asked (what is under way does not grow),
 * nothing asked for stays unanswered, and every criterion holds. One thread. */
#pragma once
#include "load/criterion.h"
#include "load/outcome.h"

enum { CAPACITY_COURSE_MAX = 256 };
#define CAPACITY_ANSWERED_LEAST 0.99 /* Of the rate. */
#define CAPACITY_ERRORS_MOST    0.01 /* Of the requests, unless a criterion speaks of errors. */
#define CAPACITY_SLOWER_MOST    10.0 /* Times the P99 of the gentlest probe … */
#define CAPACITY_SLOW_LEAST_MS  50.0 /* … but never less than this. */

/* How much was under way, interval by interval. */
struct capacity_course {
    double times_s[CAPACITY_COURSE_MAX];
    double under_way[CAPACITY_COURSE_MAX];
    size_t count;
};

/* The gentlest probe so far, which stands for the target at rest. rate 0: none yet. */
struct capacity_rest {
    double rate;
    double p99_ms;
    double service_p50_ms;
};

enum capacity_limit {
    CAPACITY_LIMIT_NONE, /* It was kept. */
    CAPACITY_LIMIT_TARGET,
    CAPACITY_LIMIT_GENERATOR,
    CAPACITY_LIMIT_CONNECTIONS, /* All were in use, and answers took no longer than at rest. */
};

struct capacity_step {
    double rate; /* Asked for. */
    double seconds;
    double answered; /* Share of the rate that was answered while it lasted, 0 … 1. */
    double error_rate;
    uint64_t requests;
    double p50_ms, p95_ms, p99_ms;
    unsigned connections;
    enum capacity_limit limit;
    char reason[200]; /* Why it broke; "" when kept. */
};

/* After each interval of the run. True: it is so clearly too much that the rest would only pile up
 * work. */
bool capacity_course_add(struct capacity_course *course, const struct outcome *outcome, double rate,
                         double settle_s);

/* Judges the finished run; the gentlest one that answered at all becomes `rest`. Without criteria
 * on time the P99 is held against rest. ret_step->rate is rate. */
void capacity_step_judge(const struct outcome *outcome, const struct capacity_course *course,
                         double rate, const struct criterion *criteria, size_t criteria_count,
                         struct capacity_rest *rest, struct capacity_step *ret_step);

/* What the target answered a second, and well, where that was less than the rate asked for; NAN:
 * it answered all of it, or nothing of it, or the limit was not the target. */
double capacity_step_beyond(const struct capacity_step *step);

/* Is it a promise about errors; about time? */
bool capacity_is_of_errors(const struct criterion *criterion);
bool capacity_is_of_time(const struct criterion *criterion);
/* Can it decide a search? What grows with the rate by itself cannot. */
bool capacity_takes(const struct criterion *criterion);

const char *capacity_limit_name(enum capacity_limit limit); /* "none", "target" … */
