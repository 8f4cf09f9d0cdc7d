/* SPDX-License-Identifier: Apache-2.0 */
/* disk_info.c - what each disk is: model, serial number, file system, place in LVM.
 *
 * udev knows: /run/udev/data/b<major>:<minor> holds lines "E:KEY=value". Without udev the texts are
 * empty and the disks' numbers remain. */
#include "base/file.h"
#include "sources/disk_name.h"
#include "sources/source.h"

#include <stdio.h>

enum { INFO, FILESYSTEM, MAPPER, ATA }; /* Places in source->tables. */

static const char *const keys[] = {"device"};
static const struct column info_columns[] = {
    {"node_disk_info", "Info of /sys/block/<block_device>.", METRIC_GAUGE, NULL, NULL},
};
static const char *const info_keys[] = {"device", "major", "minor",  "path",
                                        "wwn",    "model", "serial", "revision"};
static const char *const info_words[] = {"ID_PATH", "ID_WWN", "ID_MODEL", "ID_SERIAL_SHORT",
                                         "ID_REVISION"};

static const struct column filesystem_columns[] = {
    {"node_disk_filesystem_info", "Info about disk filesystem.", METRIC_GAUGE, NULL, NULL},
};
static const char *const filesystem_keys[] = {"device", "type", "usage", "uuid", "version"};
static const char *const filesystem_words[] = {"ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID",
                                               "ID_FS_VERSION"};

static const struct column mapper_columns[] = {
    {"node_disk_device_mapper_info", "Info about disk device mapper.", METRIC_GAUGE, NULL, NULL},
};
static const char *const mapper_keys[] = {"device",  "name",    "uuid",
                                          "vg_name", "lv_name", "lv_layer"};
static const char *const mapper_words[] = {"DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME",
                                           "DM_LV_LAYER"};

static const struct column ata_columns[] = {
    {"node_disk_ata_write_cache", "ATA disk has a write cache.", METRIC_GAUGE, NULL, NULL},
    {"node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled.", METRIC_GAUGE,
     NULL, NULL},
    {"node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs).",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const ata_words[] = {"ID_ATA_WRITE_CACHE", "ID_ATA_WRITE_CACHE_ENABLED",
                                        "ID_ATA_ROTATION_RATE_RPM"};

static enum err disk_info_open(struct source *source, struct why *why)
{
    (void)source_table(source, info_columns, 1, info_keys, ARRAY_COUNT(info_keys));
    (void)source_table(source, filesystem_columns, 1, filesystem_keys,
                       ARRAY_COUNT(filesystem_keys));
    (void)source_table(source, mapper_columns, 1, mapper_keys, ARRAY_COUNT(mapper_keys));
    (void)source_table(source, ata_columns, ARRAY_COUNT(ata_columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

/* The value of a key in udev's lines, or "". */
static struct str property(struct str data, const char *key)
{
    struct scan text = scan_of(data);
    struct scan line;

    while (data.data != NULL && scan_line(&text, &line)) {
        if (scan_skip(&line, STR("E:")) && scan_skip(&line, str_of(key)) &&
            scan_skip(&line, STR("=")))
            return scan_rest(&line);
    }
    return STR("");
}

static void describe_ata(struct source *source, struct str name, struct str udev)
{
    if (property(udev, "ID_ATA").size == 0)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(ata_words); i++) {
        double value;
        if (str_to_double(property(udev, ata_words[i]), &value))
            row_set(table_row(source->tables[ATA], &name), i, value);
    }
}

/* One row of constant 1 whose keys, after `given` that are filled in, are these properties. */
static void describe(struct table *table, struct str *values, size_t given, struct str udev,
                     const char *const *words, size_t word_count)
{
    for (size_t i = 0; i < word_count; i++)
        values[given + i] = property(udev, words[i]);
    row_set(table_row(table, values), 0, 1);
}

static void describe_disk(struct source *source, struct str name, struct str major,
                          struct str minor, struct buf *udev_text)
{
    struct str values[TABLE_KEYS_MAX] = {name, major, minor};
    char path[64];
    struct why why = WHY_INIT;

    buf_clear(udev_text);
    (void)snprintf(path, sizeof(path), "%s/run/udev/data/b%.*s:%.*s", source->options->paths.root,
                   STR_ARG(major), STR_ARG(minor));
    /* Without udev the properties are empty, as node_exporter has them. */
    if (file_read(path, SOURCE_FILE_BYTES, udev_text, &why) != ERR_NONE)
        buf_clear(udev_text);
    struct str udev = buf_view(udev_text);
    describe(source->tables[INFO], values, 3, udev, info_words, ARRAY_COUNT(info_words));
    if (property(udev, "ID_FS_USAGE").size > 0)
        describe(source->tables[FILESYSTEM], values, 1, udev, filesystem_words,
                 ARRAY_COUNT(filesystem_words));
    if (property(udev, "DM_NAME").size > 0)
        describe(source->tables[MAPPER], values, 1, udev, mapper_words, ARRAY_COUNT(mapper_words));
    describe_ata(source, name, udev);
}

static enum err disk_info_collect(struct source *source, struct batch *out, struct why *why)
{
    struct buf udev_text CLEANUP(buf_done) = {0};
    struct scan text;
    struct scan line;

    TRY(source_read(source, &text, why, "proc/diskstats"));
    while (scan_line(&text, &line)) {
        struct str major = scan_word(&line);
        struct str minor = scan_word(&line);
        struct str name = scan_word(&line);
        if (disk_is_told(name))
            describe_disk(source, name, major, minor, &udev_text);
    }
    return ERR_NONE;
}

const struct source_kind source_disk_info = {
    .name = "disk_info",
    .summary = "Model, serial number and use of each disk.",
    .period_ms = 30000,
    .open = disk_info_open,
    .collect = disk_info_collect,
};
