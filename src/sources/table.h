/* SPDX-License-Identifier: Apache-2.0 */
/* table - the series of one subject: a row per thing (a disk, a CPU), a column per metric.
 *
 * A source fills rows by name; the table keeps what is dear to make: the label sets, made once, and
 * the last values, so that what is read rarely can be sent at every tick. A thing that is not seen
 * in a round leaves with a stale marker, and so does a value that is not set again.
 *
 *     table_begin(disks);
 *     row = table_row(disks, &device);
 *     row_set(row, DISK_READS, 17);
 *     ... later the runner: table_write(disks, ...)
 *
 * Belongs to one thread. Rows over TABLE_ROWS_MAX are turned away and counted. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

#define TABLE_ROWS_MAX 4096
#define TABLE_KEYS_MAX 24

struct column {
    const char *name; /* Of the metric. */
    const char *help;
    enum metric_kind kind;
    const char *label; /* One more label that the rows do not name, or NULL. */
    const char *value; /* Of that label. */
};

struct cell {
    const struct labels *labels; /* NULL until first sent. */
    double value;
    bool set;    /* In this round. */
    bool active; /* Was sent last time, so that leaving is told. */
};

struct row {
    size_t column_count; /* Cells made so far. */
    struct cell *cells;
    char *key; /* The keys' values, a NUL behind each. */
    size_t key_size;
    uint32_t round; /* In which it was last seen. */
};

struct table;

/* Where the samples of a tick go. */
struct table_target {
    struct label_pool *pool;  /* Held by batch. */
    const struct label *base; /* Labels of every series. */
    size_t base_count;
    struct batch *batch;
    int64_t time_ms;
    bool describe; /* Send the names' kinds and helps too. */
};

/* keys are the names of the labels that tell rows apart; keys and columns stay the caller's and
 * must outlive the table. */
struct table *table_new(const struct column *columns, size_t column_count, const char *const *keys,
                        size_t key_count);
struct table *table_free(struct table *table); /* Always returns NULL. */

/* A column whose name is found out at run time: texts are copied. Returns its index. */
size_t table_add_column(struct table *table, const struct column *column);
size_t table_column_count(const struct table *table);
/* Name of a column; for finding one's own place again. */
const char *table_column_name(const struct table *table, size_t column);

/* A new round: rows not asked for until table_write are gone. */
void table_begin(struct table *table);
/* Nothing is known any more: every row goes with a stale marker at the next table_write. */
void table_forget(struct table *table);

/* The row with these key values (key_count of them), empty when first asked for in this round.
 * NULL when there are too many rows. */
struct row *table_row(struct table *table, const struct str *values);

/* Ignores a NULL row. */
void row_set(struct row *row, size_t column, double value);

/* Sends every value that is set, and stale markers. A series whose labels are not admissible, or
 * for which the pool has no room, is left out and counted as refused. ERR_LIMIT: the batch is full.
 */
CHECKED enum err table_write(struct table *table, const struct table_target *target,
                             struct why *why);

size_t table_series_count(const struct table *table); /* Sent last time. */
uint64_t table_refused(const struct table *table);    /* Rows and series turned away. */
