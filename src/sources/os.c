/* SPDX-License-Identifier: Apache-2.0 */
/* os.c - which distribution this is, from os-release: lines of KEY=value, quoted as in a shell. */
#include "sources/source.h"

#include <stdlib.h>

static const struct column info_columns[] = {
    {"node_os_info",
     "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
     "image_version, "
     "name, pretty_name, variant, variant_id, version, version_codename, version_id.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const info_keys[] = {
    "build_id",    "id",      "id_like",    "image_id", "image_version",    "name",
    "pretty_name", "variant", "variant_id", "version",  "version_codename", "version_id",
};
enum { ID = 1, ID_LIKE = 2, NAME = 5, VERSION_ID = 11 };

static const struct column version_columns[] = {
    {"node_os_version", "Metric containing the major.minor part of the OS version.", METRIC_GAUGE,
     NULL, NULL},
};
static const char *const version_keys[] = {"id", "id_like", "name"};

static enum err os_open(struct source *source, struct why *why)
{
    (void)source_table(source, info_columns, 1, info_keys, ARRAY_COUNT(info_keys)); /* tables[0] */
    (void)source_table(source, version_columns, 1, version_keys, ARRAY_COUNT(version_keys));
    return ERR_NONE;
}

static struct str unquote(struct str value)
{
    value = str_trim(value);
    if (value.size >= 2 && (value.data[0] == '"' || value.data[0] == '\'') &&
        value.data[value.size - 1] == value.data[0])
        return (struct str){value.data + 1, value.size - 2};
    return value;
}

static void tell_version(struct source *source, const struct str *values)
{
    struct str names[] = {values[ID], values[ID_LIKE], values[NAME]};
    struct str version = values[VERSION_ID];
    struct str major = str_split(&version, '.');
    struct str minor = version.data == NULL ? STR("") : str_split(&version, '.');
    double number;

    struct str text = {major.data, major.size + (minor.size > 0 ? minor.size + 1 : 0)};
    if (text.size > 0 && str_to_double(text, &number))
        row_set(table_row(source->tables[1], names), 0, number);
}

static enum err os_collect(struct source *source, struct batch *out, struct why *why)
{
    struct str values[ARRAY_COUNT(info_keys)];
    struct scan text;
    struct scan line;
    struct str key;

    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        values[i] = STR("");
    if (source_read(source, &text, why, "/etc/os-release") != ERR_NONE)
        TRY(source_read(source, &text, why, "/usr/lib/os-release"));
    while (scan_line(&text, &line)) {
        if (!scan_until(&line, '=', &key))
            continue;
        for (size_t i = 0; i < ARRAY_COUNT(info_keys); i++) {
            if (str_eq_nocase(key, str_of(info_keys[i])))
                values[i] = unquote(scan_rest(&line));
        }
    }
    row_set(table_row(source->tables[0], values), 0, 1);
    tell_version(source, values);
    return ERR_NONE;
}

const struct source_kind source_os = {
    .name = "os",
    .summary = "Name and version of the distribution.",
    .period_ms = 60000,
    .open = os_open,
    .collect = os_collect,
};
