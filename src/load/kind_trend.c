/* SPDX-License-Identifier: Apache-2.0 */
/* One series for each measure, from the intervals of the run. Neighbouring intervals resemble each
 * other, which the test heeds; the number of measures is heeded by asking for a smaller p. */
#include "load/kind_trend.h"

#include "stats/trend.h"

#include <math.h>
#include <stdlib.h>

#define P_LEAST      0.0125 /* 5 % over four measures. */
#define CHANGE_LEAST 0.1
#define SETTLE_SHARE 0.1 /* Of the run, left out: caches fill, connections open. */

static double median_of(const struct outcome_point *point)
{
    return point->p50_ms;
}

static double p95_of(const struct outcome_point *point)
{
    return point->p95_ms;
}

static double errors_of(const struct outcome_point *point)
{
    return point->requests == 0 ? NAN : (double)point->failures / (double)point->requests;
}

static double rate_of(const struct outcome_point *point)
{
    return (double)point->requests / point->length_s;
}

static const struct measure_row {
    const char *name;
    double (*of)(const struct outcome_point *point);
    bool bad_when_falling;
    double least; /* A change below this is nothing, whatever its share. */
} measures[] = {
    {"Median latency (ms)", median_of, false, 0.5},
    {"P95 latency (ms)", p95_of, false, 1},
    {"Error rate", errors_of, false, 0.001},
    {"Requests a second", rate_of, true, 1},
};

static void judge_measure(const struct measure_row *row, const struct outcome *outcome,
                          double *times, double *values, struct judgement *judgement)
{
    size_t count = 0;

    /* The last interval is a remainder. */
    for (size_t i = 0; i + 1 < outcome->points_count; i++) {
        const struct outcome_point *point = &outcome->points[i];
        double value = row->of(point);
        if (point->time_s < outcome->duration_s * SETTLE_SHARE || isnan(value))
            continue;
        times[count] = point->time_s;
        values[count++] = value;
    }
    struct trend found = trend(times, values, count);
    if (!found.enough) {
        judgement_note(judgement, NOTE_WARNING,
                       "%s: not enough data to say whether it climbs; run it for longer.",
                       row->name);
        return;
    }
    double from = found.line.intercept + found.line.slope * times[0];
    double to = found.line.intercept + found.line.slope * times[count - 1];
    double change = to - from;
    bool certain =
        found.p < P_LEAST && fabs(change) > CHANGE_LEAST * fabs(from) && fabs(change) > row->least;
    bool bad = row->bad_when_falling ? change < 0 : change > 0;
    if (certain)
        judgement_note(judgement, bad ? NOTE_BAD : NOTE_INFO,
                       "%s %s over the run: from %.4g to %.4g (p = %.2g).", row->name,
                       change > 0 ? "climbs" : "falls", from, to, found.p);
    else
        judgement_note(judgement, NOTE_GOOD, "%s: no trend to worry about.", row->name);
}

void kind_judge_trends(const struct outcome *outcome, struct judgement *judgement)
{
    double *memory = calloc(2 * outcome->points_count + 2, sizeof(*memory));

    if (memory == NULL)
        must_memory(2 * outcome->points_count * sizeof(*memory));
    for (size_t i = 0; i < ARRAY_COUNT(measures); i++)
        judge_measure(&measures[i], outcome, memory, memory + outcome->points_count + 1, judgement);
    free(memory);
}
