/* SPDX-License-Identifier: Apache-2.0 */
/* powersupplyclass.c - batteries and mains, from /sys/class/power_supply. The kernel says
 * millionths (µV, µA, µW, µWh, µAh) and tenths of a degree. */
#include "sources/source.h"

#define SUPPLY(name, file)                                                                   \
    {                                                                                        \
        "node_power_supply_" name, file " value of /sys/class/power_supply/<power_supply>.", \
            METRIC_GAUGE, NULL, NULL                                                         \
    }

static const struct column columns[] = {
    SUPPLY("capacity", "capacity"),
    SUPPLY("online", "online"),
    SUPPLY("present", "present"),
    SUPPLY("cyclecount", "cycle_count"),
    SUPPLY("time_to_empty_seconds", "time_to_empty_now"),
    SUPPLY("time_to_full_seconds", "time_to_full_now"),
    SUPPLY("current_ampere", "current_now"),
    SUPPLY("voltage_volt", "voltage_now"),
    SUPPLY("voltage_min_design", "voltage_min_design"),
    SUPPLY("voltage_max_design", "voltage_max_design"),
    SUPPLY("power_watt", "power_now"),
    SUPPLY("energy_watthour", "energy_now"),
    SUPPLY("energy_full", "energy_full"),
    SUPPLY("energy_full_design", "energy_full_design"),
    SUPPLY("charge_ampere", "charge_now"),
    SUPPLY("charge_full", "charge_full"),
    SUPPLY("charge_full_design", "charge_full_design"),
    SUPPLY("temp_celsius", "temp"),
};
static const struct {
    const char *file;
    double scale;
} files[] = {
    {"capacity", 1},
    {"online", 1},
    {"present", 1},
    {"cycle_count", 1},
    {"time_to_empty_now", 1},
    {"time_to_full_now", 1},
    {"current_now", 1e6},
    {"voltage_now", 1e6},
    {"voltage_min_design", 1e6},
    {"voltage_max_design", 1e6},
    {"power_now", 1e6},
    {"energy_now", 1e6},
    {"energy_full", 1e6},
    {"energy_full_design", 1e6},
    {"charge_now", 1e6},
    {"charge_full", 1e6},
    {"charge_full_design", 1e6},
    {"temp", 10},
};
static const char *const keys[] = {"power_supply"};

static const struct column info_columns[] = {
    {"node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.", METRIC_GAUGE,
     NULL, NULL},
};
static const char *const info_keys[] = {
    "power_supply", "capacity_level", "charge_type", "health",     "manufacturer", "model_name",
    "scope",        "serial_number",  "status",      "technology", "type",         "usb_type",
};

static enum err power_supply_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1);             /* tables[0] */
    (void)source_table(source, info_columns, 1, info_keys, ARRAY_COUNT(info_keys)); /* [1] */
    return ERR_NONE;
}

static enum err visit(struct source *source, const char *name, struct why *why)
{
    struct source_text texts[ARRAY_COUNT(info_keys)];
    struct str values[ARRAY_COUNT(info_keys)] = {str_of(name)};
    struct row *row = table_row(source->tables[0], values);
    int64_t value;

    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        if (source_read_i64(source, &value, "sys/class/power_supply/%s/%s", name, files[i].file))
            row_set(row, i, (double)value / files[i].scale);
    }
    for (size_t i = 1; i < ARRAY_COUNT(info_keys); i++)
        values[i] =
            source_read_text(source, &texts[i], "sys/class/power_supply/%s/%s", name, info_keys[i])
                ? source_text_str(&texts[i])
                : STR("");
    row_set(table_row(source->tables[1], values), 0, 1);
    return ERR_NONE;
}

static enum err power_supply_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit, why, "sys/class/power_supply");
}

const struct source_kind source_powersupplyclass = {
    .name = "powersupplyclass",
    .summary = "Batteries and mains.",
    .period_ms = 15000,
    .open = power_supply_open,
    .collect = power_supply_collect,
};
