/* SPDX-License-Identifier: Apache-2.0 */
/* summaries - what the blocks of spans (or events) of a day may hold, told without opening them.
 *
 * Every block has a small row beside it, its summary. Readers read each summary once and remember
 * it, up to SUMMARIES_BYTES_MAX of sets for a day; past that a block is looked at when its time
 * fits. A summary never changes: who writes a block anew gives it a new number. Any thread. */
#pragma once
#include "model/span.h"
#include "store/day.h"
#include "store/terms.h"

#define SUMMARIES_BYTES_MAX ((size_t)16 << 20)

struct summary {
    uint32_t number; /* Of the block: its group. */
    uint32_t rows;
    uint32_t errors; /* Spans with that status. */
    int64_t duration_min_ns;
    int64_t duration_max_ns;
};

/* Appends the body of the row; layout in summaries.c. */
void summary_write(const struct summary *summary, const struct terms *traces, struct buf *out);

struct summaries *summaries_new(void);
struct summaries *summaries_free(struct summaries *summaries); /* Always returns NULL. */

struct summary_question {
    int64_t from_ms;
    int64_t to_ms;
    const uint8_t (*trace_ids)[TRACE_ID_BYTES]; /* Any of them may be in it. NULL: whatever. */
    size_t trace_ids_count;
    int64_t duration_min_ns;
    int64_t duration_max_ns;
    bool only_errors;
};

struct summary_matches {
    struct summary_match {
        uint32_t number;
        int64_t max_ms;
    } * items; /* Newest first. */
    size_t count;
    size_t capacity;
};
void summary_matches_done(struct summary_matches *matches);

/* The blocks that may answer, of what the reader's file has; kind is that of the summaries. A block
 * that the reader's snapshot does not have yet may be among them. ERR_CORRUPT. */
CHECKED enum err summaries_find(struct day_reader *reader, enum day_kind kind,
                                const struct summary_question *question,
                                struct summary_matches *matches, struct why *why);
