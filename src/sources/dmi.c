/* SPDX-License-Identifier: Apache-2.0 */
/* dmi.c - the machine's maker, model and firmware, from /sys/class/dmi/id. */
#include "sources/source.h"

static const struct column columns[] = {
    {"node_dmi_info",
     "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
     "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
     "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
     "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if "
     "provided by DMI.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const keys[] = {
    "bios_date",      "bios_release",   "bios_vendor",     "bios_version",    "board_asset_tag",
    "board_name",     "board_serial",   "board_vendor",    "board_version",   "chassis_asset_tag",
    "chassis_serial", "chassis_vendor", "chassis_version", "product_family",  "product_name",
    "product_serial", "product_sku",    "product_uuid",    "product_version", "system_vendor",
};

static enum err dmi_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, 1, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static enum err dmi_collect(struct source *source, struct batch *out, struct why *why)
{
    struct source_text texts[ARRAY_COUNT(keys)];
    struct str values[ARRAY_COUNT(keys)];
    bool any = false;

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const char *file = strcmp(keys[i], "system_vendor") == 0 ? "sys_vendor" : keys[i];
        bool known = source_read_text(source, &texts[i], "sys/class/dmi/id/%s", file);
        values[i] = known ? source_text_str(&texts[i]) : STR("");
        any = any || known;
    }
    if (!any)
        return fail(why, ERR_UNSUPPORTED, "the firmware tells nothing about the machine");
    row_set(table_row(source->tables[0], values), 0, 1);
    return ERR_NONE;
}

const struct source_kind source_dmi = {
    .name = "dmi",
    .summary = "Maker, model and firmware of the machine.",
    .period_ms = 60000,
    .open = dmi_open,
    .collect = dmi_collect,
};
