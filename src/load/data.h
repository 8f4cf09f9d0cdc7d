/* SPDX-License-Identifier: Apache-2.0 */
/* data - rows from a file (CSV with a head, or JSON lines) that users take variables from.
 *
 * Read whole before the run, in the plan's arena. Users of all threads take rows at the same time;
 * the place in the file is one counter. */
#pragma once
#include "base/err.h"
#include "load/plan.h"

#include <stdatomic.h>

struct random;
struct session;

enum { DATA_BYTES_MAX = 64 << 20, DATA_COLUMNS_MAX = 100, DATA_FILES_MAX = 64 };

enum data_order {
    DATA_IN_TURN, /* One row after the other, from the start again at the end. */
    DATA_AT_RANDOM,
};

struct data {
    const char *path;
    enum data_order order;
    const struct str *columns; /* Names. */
    size_t columns_count;
    const size_t *variables; /* Of the plan, one a column: set by data_bind. */
    const struct str *cells; /* rows_count × columns_count. */
    size_t rows_count;
    size_t part, parts; /* Rows in turn are dealt out to the parts of the plan, in turn. */
    atomic_size_t next;
    struct data *also; /* The next of the plan's list. */
};

/* Into the plan's arena; by the ending of the path: .csv, or .jsonl / .ndjson. ERR_INVALID tells
 * the line. */
CHECKED enum err data_read(struct plan *plan, const char *path, struct data **ret_data,
                           struct why *why);
/* The column's index, or -1. */
ptrdiff_t data_find(const struct data *data, struct str column);

/* Puts the data into the plan: variables "<prefix>.<column>", or "<column>" without a prefix. */
CHECKED enum err data_bind(struct plan *plan, struct data *data, struct str prefix,
                           struct why *why);

/* The next row's index. Any thread. */
size_t data_next(struct data *data, struct random *random);
/* Sets the session's variables from the next row. */
void data_take(struct data *data, struct session *session, struct random *random);
