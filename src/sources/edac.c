/* SPDX-License-Identifier: Apache-2.0 */
/* edac.c - errors that the memory controllers corrected, and those they could not. */
#include "sources/source.h"

#include <stdio.h>

#define EDAC "sys/devices/system/edac/mc"

static const struct column controller_columns[] = {
    {"node_edac_correctable_errors_total", "Total correctable memory errors.", METRIC_COUNTER, NULL,
     NULL},
    {"node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.", METRIC_COUNTER,
     NULL, NULL},
};
static const char *const controller_keys[] = {"controller"};
static const struct column csrow_columns[] = {
    {"node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.",
     METRIC_COUNTER, NULL, NULL},
    {"node_edac_csrow_uncorrectable_errors_total",
     "Total uncorrectable memory errors for this csrow.", METRIC_COUNTER, NULL, NULL},
};
static const char *const csrow_keys[] = {"controller", "csrow"};

/* A file for each column: of a controller, of errors without a row, of a row. */
static const char *const count_files[] = {"ce_count", "ue_count"};
static const char *const unknown_files[] = {"ce_noinfo_count", "ue_noinfo_count"};

enum { CSROWS_MAX = 64 };

static enum err edac_open(struct source *source, struct why *why)
{
    (void)source_table(source, controller_columns, 2, controller_keys, 1); /* tables[0] */
    (void)source_table(source, csrow_columns, 2, csrow_keys, 2);           /* tables[1] */
    return ERR_NONE;
}

static void take_csrows(struct source *source, const char *name, struct str controller)
{
    char number[8];
    int64_t value;

    for (int row = 0; row < CSROWS_MAX; row++) {
        int size = snprintf(number, sizeof(number), "%d", row);
        struct str values[] = {controller, {number, (size_t)size}};
        for (size_t i = 0; i < ARRAY_COUNT(count_files); i++) {
            if (!source_read_i64(source, &value, EDAC "/%s/csrow%d/%s", name, row, count_files[i]))
                return; /* Rows are numbered without gaps. */
            row_set(table_row(source->tables[1], values), i, (double)value);
        }
    }
}

static enum err visit(struct source *source, const char *name, struct why *why)
{
    struct scan scan = scan_of(str_of(name));
    int64_t value;

    if (!scan_skip(&scan, STR("mc")) || scan.at == scan.end || *scan.at < '0' || *scan.at > '9')
        return ERR_NONE;
    struct str values[] = {scan_rest(&scan), STR("unknown")};
    for (size_t i = 0; i < ARRAY_COUNT(count_files); i++) {
        if (source_read_i64(source, &value, EDAC "/%s/%s", name, count_files[i]))
            row_set(table_row(source->tables[0], values), i, (double)value);
        if (source_read_i64(source, &value, EDAC "/%s/%s", name, unknown_files[i]))
            row_set(table_row(source->tables[1], values), i, (double)value);
    }
    take_csrows(source, name, values[0]);
    return ERR_NONE;
}

static enum err edac_collect(struct source *source, struct batch *out, struct why *why)
{
    return source_each(source, visit, why, EDAC);
}

const struct source_kind source_edac = {
    .name = "edac",
    .summary = "Errors of the main memory.",
    .period_ms = 15000,
    .open = edac_open,
    .collect = edac_collect,
};
