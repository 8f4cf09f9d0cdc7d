/* SPDX-License-Identifier: Apache-2.0 */
/* baseline - what is usual at this hour of the week.
 *
 * Values of weeks are sorted into the 168 hours of a week (UTC, Monday 0:00 first). An hour's
 * expectation is the median of what was there; its band reaches three scaled median absolute
 * deviations to both sides (Iglewicz and Hoaglin 1993, who call values beyond 3.5 of them
 * outliers). An hour with fewer than BASELINE_VALUES_MIN values takes those of the same hour on all
 * days, and then all values there are. Pure; any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    BASELINE_HOURS = 168,
    BASELINE_VALUES_MIN = 8,
};

enum baseline_reach {
    BASELINE_NONE,     /* Not even all values together are enough. */
    BASELINE_HOUR,     /* This hour of the week. */
    BASELINE_DAY_HOUR, /* This hour of every day. */
    BASELINE_ALL_HOURS,
};

struct baseline_band {
    enum baseline_reach reach;
    size_t count; /* Values it was learnt from. */
    double median;
    double low;
    double high;
};

struct baseline {
    struct baseline_band hours[BASELINE_HOURS];
};

/* values may hold NAN, which is passed by. */
void baseline_learn(const int64_t *times_ms, const double *values, size_t count,
                    struct baseline *ret_baseline);

/* 0 is Monday from 0:00 to 1:00 UTC. */
unsigned baseline_hour(int64_t time_ms);

enum baseline_verdict {
    BASELINE_UNKNOWN, /* No band, or no value. */
    BASELINE_USUAL,
    BASELINE_ABOVE,
    BASELINE_BELOW,
};
enum baseline_verdict baseline_judge(const struct baseline *baseline, int64_t time_ms,
                                     double value);
const char *baseline_verdict_name(enum baseline_verdict verdict); /* "above". */
const char *baseline_reach_name(enum baseline_reach reach);       /* "hour of the week". */
