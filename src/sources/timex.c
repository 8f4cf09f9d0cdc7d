/* SPDX-License-Identifier: Apache-2.0 */
/* timex.c - how well the kernel's clock is steered, by adjtimex(2), which any user may ask.
 *
 * Frequencies are parts per million with 16 binary places; offset and jitter are nanoseconds when
 * STA_NANO is set, else microseconds. */
#include "sources/source.h"

#include <errno.h>
#include <sys/timex.h>

#define PPM_FRACTION (1e6 * 65536)

static const struct column columns[] = {
    {"node_timex_offset_seconds", "Time offset in between local system and reference clock.",
     METRIC_GAUGE, NULL, NULL},
    {"node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.", METRIC_GAUGE,
     NULL, NULL},
    {"node_timex_maxerror_seconds", "Maximum error in seconds.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_estimated_error_seconds", "Estimated error in seconds.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_status", "Value of the status array bits.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_loop_time_constant", "Phase-locked loop time constant.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_tick_seconds", "Seconds between clock ticks.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_pps_frequency_hertz", "Pulse per second frequency.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_pps_jitter_seconds", "Pulse per second jitter.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_pps_shift_seconds", "Pulse per second interval duration.", METRIC_GAUGE, NULL,
     NULL},
    {"node_timex_pps_stability_hertz",
     "Pulse per second stability, average of recent frequency changes.", METRIC_GAUGE, NULL, NULL},
    {"node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events.",
     METRIC_COUNTER, NULL, NULL},
    {"node_timex_pps_calibration_total", "Pulse per second count of calibration intervals.",
     METRIC_COUNTER, NULL, NULL},
    {"node_timex_pps_error_total", "Pulse per second count of calibration errors.", METRIC_COUNTER,
     NULL, NULL},
    {"node_timex_pps_stability_exceeded_total",
     "Pulse per second count of stability limit exceeded events.", METRIC_COUNTER, NULL, NULL},
    {"node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", METRIC_GAUGE, NULL,
     NULL},
    {"node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
     METRIC_GAUGE, NULL, NULL},
};

static enum err timex_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err timex_collect(struct source *source, struct batch *out, struct why *why)
{
    struct timex timex = {0};

    int state = adjtimex(&timex);
    if (state < 0 && (errno == EPERM || errno == ENOSYS))
        return fail(why, ERR_UNSUPPORTED, "adjtimex is not allowed here");
    if (state < 0)
        return fail_errno(why, errno, "adjtimex");
    double divisor = (timex.status & STA_NANO) != 0 ? 1e9 : 1e6;
    const double values[] = {
        (double)timex.offset / divisor,
        1 + (double)timex.freq / PPM_FRACTION,
        (double)timex.maxerror / 1e6,
        (double)timex.esterror / 1e6,
        timex.status,
        (double)timex.constant,
        (double)timex.tick / 1e6,
        (double)timex.ppsfreq / PPM_FRACTION,
        (double)timex.jitter / divisor,
        timex.shift,
        (double)timex.stabil / PPM_FRACTION,
        (double)timex.jitcnt,
        (double)timex.calcnt,
        (double)timex.errcnt,
        (double)timex.stbcnt,
        timex.tai,
        state == TIME_ERROR ? 0 : 1,
    };
    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        row_set(source_row(source->tables[0]), i, values[i]);
    return ERR_NONE;
}

const struct source_kind source_timex = {
    .name = "timex",
    .summary = "How well the clock is synchronised.",
    .open = timex_open,
    .collect = timex_collect,
};
