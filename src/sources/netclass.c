/* SPDX-License-Identifier: Apache-2.0 */
/* netclass.c - how each network device is set up and whether it is up, from /sys/class/net.
 *
 * Some thirty small files a device, so they are not read every second. What a device has no answer
 * to (the carrier of one that is down) is left out. */
#include "sources/source.h"

#include <stdio.h>

enum { UP = 16, SPEED = 17 };

#define PROPERTY(what)                                                                   \
    {                                                                                    \
        "node_network_" what, "Network device property: " what, METRIC_GAUGE, NULL, NULL \
    }
#define COUNT(what)                                                                        \
    {                                                                                      \
        "node_network_" what, "Network device property: " what, METRIC_COUNTER, NULL, NULL \
    }

static const struct column columns[] = {
    PROPERTY("address_assign_type"),
    PROPERTY("carrier"),
    COUNT("carrier_changes_total"),
    COUNT("carrier_up_changes_total"),
    COUNT("carrier_down_changes_total"),
    PROPERTY("device_id"),
    PROPERTY("dormant"),
    PROPERTY("flags"),
    PROPERTY("iface_id"),
    PROPERTY("iface_link"),
    PROPERTY("iface_link_mode"),
    PROPERTY("mtu_bytes"),
    PROPERTY("name_assign_type"),
    PROPERTY("net_dev_group"),
    PROPERTY("transmit_queue_length"),
    PROPERTY("protocol_type"),
    [UP] = {"node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", METRIC_GAUGE, NULL,
            NULL},
    [SPEED] = PROPERTY("speed_bytes"),
};

/* The files of the columns before UP. */
static const char *const files[] = {
    "addr_assign_type",
    "carrier",
    "carrier_changes",
    "carrier_up_count",
    "carrier_down_count",
    "dev_id",
    "dormant",
    "flags",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "netdev_group",
    "tx_queue_len",
    "type",
};
static const char *const keys[] = {"device"};

static const struct column info_columns[] = {
    {"node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const info_keys[] = {"device", "address",   "broadcast",
                                        "duplex", "operstate", "ifalias"};

static enum err netclass_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1);             /* tables[0] */
    (void)source_table(source, info_columns, 1, info_keys, ARRAY_COUNT(info_keys)); /* [1] */
    return ERR_NONE;
}

static enum err visit_device(struct source *source, const char *name, struct why *why)
{
    struct source_text texts[ARRAY_COUNT(info_keys)] = {0};
    struct str values[ARRAY_COUNT(info_keys)] = {str_of(name)};
    int64_t value;

    /* A file beside the devices, as bonding_masters, has no interface number. */
    if (!source_read_i64(source, &value, "sys/class/net/%s/ifindex", name))
        return ERR_NONE;
    struct row *row = table_row(source->tables[0], values);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        if (source_read_i64(source, &value, "sys/class/net/%s/%s", name, files[i]))
            row_set(row, i, (double)value);
    }
    for (size_t i = 1; i < ARRAY_COUNT(info_keys); i++) {
        if (source_read_text(source, &texts[i], "sys/class/net/%s/%s", name, info_keys[i]))
            values[i] = source_text_str(&texts[i]);
        else
            values[i] = STR("");
    }
    row_set(row, UP, str_eq(values[4], STR("up")));
    if (source_read_i64(source, &value, "sys/class/net/%s/speed", name))
        row_set(row, SPEED, (double)value * 1000 * 1000 / 8); /* The file has Mbit/s. */
    row_set(table_row(source->tables[1], values), 0, 1);
    return ERR_NONE;
}

static enum err netclass_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit_device, why, "sys/class/net");
}

const struct source_kind source_netclass = {
    .name = "netclass",
    .summary = "State and settings of each network device.",
    .period_ms = 5000,
    .open = netclass_open,
    .collect = netclass_collect,
};
