/* SPDX-License-Identifier: Apache-2.0 */
/* entropy.c - random bits that the kernel has in stock. */
#include "sources/kept.h"

static const struct column columns[] = {
    {"node_entropy_available_bits", "Bits of available entropy.", METRIC_GAUGE, NULL, NULL},
    {"node_entropy_pool_size_bits", "Bits of entropy pool.", METRIC_GAUGE, NULL, NULL},
};

static enum err entropy_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static enum err entropy_collect(struct source *source, struct batch *out, struct why *why)
{
    int64_t available;
    int64_t size;

    if (!source_read_i64(source, &available, "proc/sys/kernel/random/entropy_avail") ||
        !source_read_i64(source, &size, "proc/sys/kernel/random/poolsize"))
        return fail(why, ERR_UNSUPPORTED, "/proc/sys/kernel/random is not here");
    struct row *row = source_row(source->tables[0]);
    row_set(row, 0, (double)available);
    row_set(row, 1, (double)size);
    return ERR_NONE;
}

const struct source_kind source_entropy = {
    .name = "entropy",
    .summary = "Random bits in the kernel's pool.",
    .period_ms = 5000,
    .open = entropy_open,
    .collect = entropy_collect,
};
