/* SPDX-License-Identifier: Apache-2.0 */
/* time.c - the machine's clock, its time zone, and the clock source behind it. */
#include "base/clock.h"
#include "sources/source.h"

#include <stdio.h>
#include <time.h>

enum { NOW, ZONE, CURRENT, AVAILABLE }; /* Places in source->tables. */

static const struct column now_columns[] = {
    {"node_time_seconds", "System time in seconds since epoch (1970).", METRIC_GAUGE, NULL, NULL},
};
static const struct column zone_columns[] = {
    {"node_time_zone_offset_seconds", "System time zone offset in seconds.", METRIC_GAUGE, NULL,
     NULL},
};
static const char *const zone_keys[] = {"time_zone"};
static const struct column current_columns[] = {
    {"node_time_clocksource_current_info",
     "Current clocksource read from '/sys/devices/system/clocksource'.", METRIC_GAUGE, NULL, NULL},
};
static const struct column available_columns[] = {
    {"node_time_clocksource_available_info",
     "Available clocksources read from '/sys/devices/system/clocksource'.", METRIC_GAUGE, NULL,
     NULL},
};
static const char *const source_keys[] = {"device", "clocksource"};

static enum err time_open(struct source *source, struct why *why)
{
    (void)source_table(source, now_columns, 1, NULL, 0);
    (void)source_table(source, zone_columns, 1, zone_keys, 1);
    (void)source_table(source, current_columns, 1, source_keys, 2);
    (void)source_table(source, available_columns, 1, source_keys, 2);
    return ERR_NONE;
}

static void tell_sources(struct source *source, int device)
{
    struct source_text text;
    char number[16];
    struct str values[2];

    int size = snprintf(number, sizeof(number), "%d", device);
    values[0] = (struct str){number, (size_t)size};
    if (source_read_text(source, &text,
                         "sys/devices/system/clocksource/clocksource%d/current_clocksource",
                         device)) {
        values[1] = source_text_str(&text);
        row_set(table_row(source->tables[CURRENT], values), 0, 1);
    }
    if (source_read_text(source, &text,
                         "sys/devices/system/clocksource/clocksource%d/available_clocksource",
                         device)) {
        struct scan scan = scan_of(source_text_str(&text));
        for (values[1] = scan_word(&scan); values[1].size > 0; values[1] = scan_word(&scan))
            row_set(table_row(source->tables[AVAILABLE], values), 0, 1);
    }
}

static enum err time_collect(struct source *source, struct batch *out, struct why *why)
{
    int64_t now_ns = clock_now_ns();
    time_t seconds = (time_t)(now_ns / CLOCK_NS_PER_S);
    struct tm local;

    row_set(source_row(source->tables[NOW]), 0, (double)now_ns / 1e9);
    if (localtime_r(&seconds, &local) != NULL) {
        struct str zone = str_of(local.tm_zone);
        row_set(table_row(source->tables[ZONE], &zone), 0, (double)local.tm_gmtoff);
    }
    tell_sources(source, 0); /* Linux has just this one. */
    return ERR_NONE;
}

const struct source_kind source_time = {
    .name = "time",
    .summary = "The clock, its time zone and its source.",
    .open = time_open,
    .collect = time_collect,
};
