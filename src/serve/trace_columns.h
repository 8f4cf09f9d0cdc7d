/* SPDX-License-Identifier: Apache-2.0 */
/* trace_columns - a trace of a million spans for a page that draws it.
 *
 * Little-endian, each part aligned to 8 bytes:
 *
 *     "SPN1" | size of the text below, 4 bytes | JSON, filled up with spaces | columns
 *
 * The JSON tells {"trace_id", "start_ns" (text: more digits than JavaScript has), "spans", "marks",
 * "marks_are_cut", "repeated", "services": [names], "names": [names], "texts": [of marks],
 * "columns": [{"name", "type", "at", "count"}]}, with `at` counted from the end of the text.
 * Columns, by start and then longest first; times in ns since start_ns:
 *
 *     id          u8 * 8   as sent
 *     start       f64
 *     duration    f64      may be negative
 *     parent      i32      row; -1: none, -2: it has not arrived
 *     name        u32      index in names
 *     service     u32      index in services
 *     kind        u8       kind | status << 3 | 0x20: another span before it has the same id
 *     mark_row    i32      row of the span; -1: of none that is here
 *     mark_time   f64
 *     mark_text   u32      index in texts: an event's name, a log's body cut short
 *     mark_kind   u8       0: event, 1: exception, 64 + severity: log
 *
 * Any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "store/trace_read.h"

enum {
    TRACE_COLUMNS_SPANS_MAX = 4000000,
    TRACE_COLUMNS_MARKS_MAX = 100000, /* More events and logs are left out, and it says so. */
    TRACE_COLUMNS_TEXT_MAX = 256,     /* Bytes of a name or of a log; the rest is cut off. */
};

/* Appends nothing and sets *ret_found to false when there is no such trace. ERR_LIMIT. */
CHECKED enum err trace_columns_write(struct store_view *view,
                                     const uint8_t trace_id[TRACE_ID_BYTES], struct arena *arena,
                                     struct buf *out, bool *ret_found, struct why *why);
