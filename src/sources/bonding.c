/* SPDX-License-Identifier: Apache-2.0 */
/* bonding.c - network devices bound together: how many, and how many of them work. */
#include "sources/source.h"

static const struct column columns[] = {
    {"node_bonding_slaves", "Number of configured slaves per bonding interface.", METRIC_GAUGE,
     NULL, NULL},
    {"node_bonding_active", "Number of active slaves per bonding interface.", METRIC_GAUGE, NULL,
     NULL},
};
static const char *const keys[] = {"master"};

static enum err bonding_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, 1); /* tables[0] */
    return ERR_NONE;
}

static void take_master(struct source *source, struct str master)
{
    struct source_text members;
    struct source_text state;
    double count = 0;
    double active = 0;

    if (!source_read_text(source, &members, "sys/class/net/%.*s/bonding/slaves", STR_ARG(master)))
        return;
    struct scan scan = scan_of(source_text_str(&members));
    for (struct str name = scan_word(&scan); name.size > 0; name = scan_word(&scan)) {
        count++;
        /* Newer kernels call the link lower_, older ones slave_. */
        bool known = source_read_text(source, &state,
                                      "sys/class/net/%.*s/lower_%.*s/bonding_slave/mii_status",
                                      STR_ARG(master), STR_ARG(name)) ||
                     source_read_text(source, &state,
                                      "sys/class/net/%.*s/slave_%.*s/bonding_slave/mii_status",
                                      STR_ARG(master), STR_ARG(name));
        active += known && str_eq(source_text_str(&state), STR("up"));
    }
    struct row *row = table_row(source->tables[0], &master);
    row_set(row, 0, count);
    row_set(row, 1, active);
}

static enum err bonding_collect(struct source *source, struct batch *out, struct why *why)
{
    struct source_text masters;

    if (!source_read_text(source, &masters, "sys/class/net/bonding_masters"))
        return fail(why, ERR_UNSUPPORTED, "no network devices are bound together");
    struct scan scan = scan_of(source_text_str(&masters));
    for (struct str name = scan_word(&scan); name.size > 0; name = scan_word(&scan))
        take_master(source, name);
    return ERR_NONE;
}

const struct source_kind source_bonding = {
    .name = "bonding",
    .summary = "Members of bound network devices, and how many work.",
    .period_ms = 5000,
    .open = bonding_open,
    .collect = bonding_collect,
};
