/* SPDX-License-Identifier: Apache-2.0 */
/* diskstats.c - what each disk read, wrote and how long it took, from /proc/diskstats.
 *
 *    254  0 vda 67333 11181 4820738 60941 22916 9519 3478312 9809 0 10440 71440 8313 …
 *    major minor name, then the fields below; times in milliseconds, sizes in sectors of 512 bytes
 */
#include "sources/disk_name.h"
#include "sources/kept.h"

#include <assert.h>

enum { SECTOR_BYTES = 512, FIELDS = 17 };

static const struct column columns[] = {
    {"node_disk_reads_completed_total", "The total number of reads completed successfully.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_reads_merged_total", "The total number of reads merged.", METRIC_COUNTER, NULL,
     NULL},
    {"node_disk_read_bytes_total", "The total number of bytes read successfully.", METRIC_COUNTER,
     NULL, NULL},
    {"node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_writes_completed_total", "The total number of writes completed successfully.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_writes_merged_total", "The number of writes merged.", METRIC_COUNTER, NULL, NULL},
    {"node_disk_written_bytes_total", "The total number of bytes written successfully.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_write_time_seconds_total",
     "This is the total number of seconds spent by all writes.", METRIC_COUNTER, NULL, NULL},
    {"node_disk_io_now", "The number of I/Os currently in progress.", METRIC_GAUGE, NULL, NULL},
    {"node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", METRIC_COUNTER, NULL,
     NULL},
    {"node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_discards_completed_total", "The total number of discards completed successfully.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_discards_merged_total", "The total number of discards merged.", METRIC_COUNTER,
     NULL, NULL},
    {"node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_discard_time_seconds_total",
     "This is the total number of seconds spent by all discards.", METRIC_COUNTER, NULL, NULL},
    {"node_disk_flush_requests_total", "The total number of flush requests completed successfully",
     METRIC_COUNTER, NULL, NULL},
    {"node_disk_flush_requests_time_seconds_total",
     "This is the total number of seconds spent by all flush requests.", METRIC_COUNTER, NULL,
     NULL},
};
static_assert(ARRAY_COUNT(columns) == FIELDS, "a column for each field of /proc/diskstats");

/* What a field is multiplied by, in the order of the columns. */
static const double scales[FIELDS] = {
    1, 1, SECTOR_BYTES, 1e-3, 1, 1, SECTOR_BYTES, 1e-3, 1, 1e-3, 1e-3, 1, 1, 1, 1e-3, 1, 1e-3};
static const char *const keys[] = {"device"};

static enum err diskstats_open(struct source *source, struct why *why)
{
    (void)kept_new(source);
    (void)source_table(source, columns, FIELDS, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static enum err diskstats_collect(struct source *source, struct batch *out, struct why *why)
{
    struct scan text;
    struct scan line;
    uint64_t value;

    TRY(kept_read(source, "proc/diskstats", &text, why));
    while (scan_line(&text, &line)) {
        if (!scan_words(&line, 2))
            continue;
        struct str name = scan_word(&line);
        if (!disk_is_told(name))
            continue;
        struct row *row = table_row(source->tables[0], &name);
        for (size_t i = 0; i < FIELDS && scan_u64(&line, &value); i++)
            row_set(row, i, (double)value * scales[i]);
    }
    return ERR_NONE;
}

const struct source_kind source_diskstats = {
    .name = "diskstats",
    .summary = "Reads, writes, discards and flushes of each disk, and their time.",
    .open = diskstats_open,
    .collect = diskstats_collect,
    .close = kept_close,
};
