/* SPDX-License-Identifier: Apache-2.0 */
/* thermal_zone.c - temperatures and what is done against them, from /sys/class/thermal. */
#include "sources/source.h"

static const struct column zone_columns[] = {
    {"node_thermal_zone_temp", "Zone temperature in Celsius", METRIC_GAUGE, NULL, NULL},
};
static const char *const zone_keys[] = {"zone", "type"};
static const struct column device_columns[] = {
    {"node_cooling_device_cur_state", "Current throttle state of the cooling device", METRIC_GAUGE,
     NULL, NULL},
    {"node_cooling_device_max_state", "Maximum throttle state of the cooling device", METRIC_GAUGE,
     NULL, NULL},
};
static const char *const device_keys[] = {"name", "type"};

static enum err thermal_zone_open(struct source *source, struct why *why)
{
    (void)source_table(source, zone_columns, 1, zone_keys, 2);     /* tables[0] */
    (void)source_table(source, device_columns, 2, device_keys, 2); /* tables[1] */
    return ERR_NONE;
}

static enum err visit(struct source *source, const char *name, struct why *why)
{
    struct scan scan = scan_of(str_of(name));
    struct source_text type;
    int64_t value;

    bool zone = scan_skip(&scan, STR("thermal_zone"));
    if (!zone && !scan_skip(&scan, STR("cooling_device")))
        return ERR_NONE;
    if (!source_read_text(source, &type, "sys/class/thermal/%s/type", name))
        return ERR_NONE;
    struct str values[] = {scan_rest(&scan), source_text_str(&type)};
    if (zone) {
        if (source_read_i64(source, &value, "sys/class/thermal/%s/temp", name))
            row_set(table_row(source->tables[0], values), 0, (double)value / 1000);
        return ERR_NONE;
    }
    if (source_read_i64(source, &value, "sys/class/thermal/%s/cur_state", name))
        row_set(table_row(source->tables[1], values), 0, (double)value);
    if (source_read_i64(source, &value, "sys/class/thermal/%s/max_state", name))
        row_set(table_row(source->tables[1], values), 1, (double)value);
    return ERR_NONE;
}

static enum err thermal_zone_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit, why, "sys/class/thermal");
}

const struct source_kind source_thermal_zone = {
    .name = "thermal_zone",
    .summary = "Temperatures, and the cooling that answers them.",
    .period_ms = 5000,
    .open = thermal_zone_open,
    .collect = thermal_zone_collect,
};
