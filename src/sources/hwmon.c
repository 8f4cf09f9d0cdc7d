/* SPDX-License-Identifier: Apache-2.0 */
/* hwmon.c - temperatures, fans, voltages, currents, power: the sensors of /sys/class/hwmon.
 *
 * A chip's folder has files "<type><number>_<property>", as temp1_input, fan2_min, in0_label. The
 * type gives unit and scale, "input" is the measurement itself:
 *
 *   temp1_input 45000   ->  node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 45
 *   temp1_crit 100000   ->  node_hwmon_temp_crit_celsius{…} 100
 *   fan1_input 1200     ->  node_hwmon_fan_rpm{…} 1200
 *   temp1_crit_alarm 0  ->  node_hwmon_temp_crit_alarm{…} 0      a switch has no unit
 *
 * The chip is named by the device behind it: its bus or parent folder and its own. */
#include "sources/named_column.h"
#include "sources/source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORD_BYTES = 64, CHIP_BYTES = 160 };
enum { SENSORS, LABELS, CHIPS }; /* Places in source->tables. */

static const char *const sensor_keys[] = {"chip", "sensor"};
static const struct column label_columns[] = {
    {"node_hwmon_sensor_label", "Label for given chip and sensor", METRIC_GAUGE, NULL, NULL},
};
static const char *const label_keys[] = {"chip", "sensor", "label"};
static const struct column chip_columns[] = {
    {"node_hwmon_chip_names", "Annotation metric for human-readable chip names", METRIC_GAUGE, NULL,
     NULL},
};
static const char *const chip_keys[] = {"chip", "chip_name"};

static const struct {
    const char *type;
    const char *input_suffix; /* Behind node_hwmon_<type>, for the measurement. */
    const char *suffix;       /* Behind node_hwmon_<type>_<property>. */
    double scale;
    enum metric_kind kind;
} types[] = {
    {"temp", "_celsius", "_celsius", 1000, METRIC_GAUGE},
    {"fan", "_rpm", "_rpm", 1, METRIC_GAUGE},
    {"in", "_volts", "_volts", 1000, METRIC_GAUGE},
    {"cpu", "_volts", "_volts", 1000, METRIC_GAUGE},
    {"curr", "_amps", "_amps", 1000, METRIC_GAUGE},
    {"power", "_watt", "_watt", 1e6, METRIC_GAUGE},
    {"energy", "_joule_total", "_joule_total", 1e6, METRIC_COUNTER},
    {"humidity", "", "", 1000, METRIC_GAUGE},
    {"freq", "_freq_mhz", "_freq_mhz", 1e6, METRIC_GAUGE},
    {"pwm", "", "", 1, METRIC_GAUGE},
    {"intrusion", "", "", 1, METRIC_GAUGE},
};

/* Properties that are switches or choices, not measurements. */
static const char *const plain[] = {"alarm", "beep", "fault", "type", "enable", "div", "mode"};

struct hwmon {
    char folder[WORD_BYTES]; /* "hwmon0", while it is read. */
    char chip[CHIP_BYTES];
};

static enum err hwmon_open(struct source *source, struct why *why)
{
    struct hwmon *hwmon = calloc(1, sizeof(*hwmon));

    if (hwmon == NULL)
        must_memory(sizeof(*hwmon));
    source->state = hwmon;
    (void)source_table(source, NULL, 0, sensor_keys, 2);         /* tables[SENSORS] */
    (void)source_table(source, label_columns, 1, label_keys, 3); /* tables[LABELS] */
    (void)source_table(source, chip_columns, 1, chip_keys, 2);   /* tables[CHIPS] */
    return ERR_NONE;
}

static void hwmon_close(struct source *source)
{
    free(source->state);
}

/* "temp1_crit_alarm" becomes "temp", "1", "crit_alarm". */
static bool split(struct str file, struct str *type, struct str *sensor, struct str *property)
{
    size_t at = 0;

    while (at < file.size && file.data[at] >= 'a' && file.data[at] <= 'z')
        at++;
    *type = (struct str){file.data, at};
    while (at < file.size && file.data[at] >= '0' && file.data[at] <= '9')
        at++;
    *sensor = (struct str){file.data, at};
    if (at == type->size || type->size == 0 || (at < file.size && file.data[at] != '_'))
        return false;
    *property = at < file.size ? (struct str){file.data + at + 1, file.size - at - 1} : STR("");
    return true;
}

static bool is_plain(struct str property)
{
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (str_ends(property, str_of(plain[i])))
            return true;
    }
    return false;
}

static bool column_of(struct source *source, size_t type, struct str property, size_t *ret_column)
{
    char clean[WORD_BYTES];
    char name[3 * WORD_BYTES];
    char help[3 * WORD_BYTES];
    bool input = property.size == 0 || str_eq(property, STR("input"));
    const char *suffix = input ? types[type].input_suffix : types[type].suffix;

    named_column_clean(clean, sizeof(clean), property);
    (void)snprintf(name, sizeof(name), "node_hwmon_%s%s%s%s", types[type].type, input ? "" : "_",
                   input ? "" : clean, is_plain(property) ? "" : suffix);
    (void)snprintf(help, sizeof(help), "Hardware monitor for %s (%s)", types[type].type,
                   input ? "input" : clean);
    return named_column(source->tables[SENSORS], name, help,
                        is_plain(property) ? METRIC_GAUGE : types[type].kind, ret_column);
}

static enum err visit_file(struct source *source, const char *name, struct why *why)
{
    struct hwmon *hwmon = source->state;
    struct source_text text;
    struct str type;
    struct str sensor;
    struct str property;
    size_t column;
    int64_t value;

    if (!split(str_of(name), &type, &sensor, &property))
        return ERR_NONE;
    struct str values[] = {str_of(hwmon->chip), sensor, STR("")};
    if (str_eq(property, STR("label"))) {
        if (source_read_text(source, &text, "sys/class/hwmon/%s/%s", hwmon->folder, name)) {
            values[2] = source_text_str(&text);
            row_set(table_row(source->tables[LABELS], values), 0, 1);
        }
        return ERR_NONE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (!str_eq(type, str_of(types[i].type)))
            continue;
        if (source_read_i64(source, &value, "sys/class/hwmon/%s/%s", hwmon->folder, name) &&
            column_of(source, i, property, &column))
            row_set(table_row(source->tables[SENSORS], values), column,
                    (double)value / (is_plain(property) ? 1 : types[i].scale));
    }
    return ERR_NONE;
}

/* The device behind a chip: "/sys/devices/platform/coretemp.0" gives "platform_coretemp_0". */
static void name_chip(struct source *source)
{
    struct hwmon *hwmon = source->state;
    char path[PATH_MAX];
    char real[PATH_MAX];
    struct source_text text;

    int size = snprintf(path, sizeof(path), "%s/class/hwmon/%s/device", source->options->paths.sys,
                        hwmon->folder);
    if (size < (int)sizeof(path) && realpath(path, real) != NULL) {
        struct str device = str_of(real);
        size_t last = device.size;
        while (last > 0 && real[last - 1] != '/')
            last--;
        size_t before = last > 0 ? last - 1 : 0;
        while (before > 0 && real[before - 1] != '/')
            before--;
        named_column_clean(hwmon->chip, sizeof(hwmon->chip), str_of(real + before));
        return;
    }
    bool named = source_read_text(source, &text, "sys/class/hwmon/%s/name", hwmon->folder);
    named_column_clean(hwmon->chip, sizeof(hwmon->chip),
                       named ? source_text_str(&text) : str_of(hwmon->folder));
}

static enum err visit_chip(struct source *source, const char *name, struct why *why)
{
    struct hwmon *hwmon = source->state;
    struct source_text text;
    char clean[WORD_BYTES];

    if (snprintf(hwmon->folder, sizeof(hwmon->folder), "%s", name) >= (int)sizeof(hwmon->folder))
        return ERR_NONE;
    name_chip(source);
    if (source_read_text(source, &text, "sys/class/hwmon/%s/name", name)) {
        named_column_clean(clean, sizeof(clean), source_text_str(&text));
        struct str values[] = {str_of(hwmon->chip), str_of(clean)};
        row_set(table_row(source->tables[CHIPS], values), 0, 1);
    }
    return source_each(source, visit_file, why, "sys/class/hwmon/%s", name);
}

static enum err hwmon_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit_chip, why, "sys/class/hwmon");
}

const struct source_kind source_hwmon = {
    .name = "hwmon",
    .summary = "Temperatures, fans, voltages and power from the machine's sensors.",
    .period_ms = 5000,
    .open = hwmon_open,
    .collect = hwmon_collect,
    .close = hwmon_close,
};
