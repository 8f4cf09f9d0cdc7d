/* SPDX-License-Identifier: Apache-2.0 */
/* day - one file of rows: the blocks of a UTC day and what is pending for it, or the roll-ups of a
 * longer span.
 *
 * The writer's half (struct day) belongs to the writer thread. Readers borrow a day_reader, a
 * connection of their own with its statement ready; they see the file as it was when they took it.
 *
 * `kind` says what a row holds; each kind has its own bodies. Kinds live side by side in one file,
 * so that one commit makes a batch durable whatever it carried. */
#pragma once
#include "base/buf.h"
#include "store/block.h"
#include "store/db.h"

#include <pthread.h>
#include <stdatomic.h>

enum day_kind {
    KIND_METRIC = 1,
    KIND_SPAN = 2,
    KIND_PROFILE = 3,
    KIND_EVENT = 4,
    KIND_SPAN_SUMMARY = 5,  /* Of a block of spans: what it may hold; group 0. See traces.h. */
    KIND_SPAN_TERMS = 6,    /* The same of key=value pairs; the block's own group. */
    KIND_EVENT_SUMMARY = 7, /* As KIND_SPAN_SUMMARY, of a block of events. */
    KIND_SPAN_WAITING = 8,  /* Pending spans whose trace may still be sampled away. */
};

#define DAY_UNASKED INT64_MIN

struct day_reader;
struct summaries;

/* When pending rows that wait arrived: rows up to last_id did so at at_ms or before, a mark for
 * each second or so, oldest first. All zero: none waits. */
struct waiting_mark {
    int64_t last_id;
    int64_t at_ms;
    uint64_t items;
};
struct waiting {
    struct waiting_mark *marks;
    size_t count;
    size_t capacity;
    uint64_t items;
};

struct day {
    char *path;
    int32_t from_day; /* First UTC day, since 1970. */
    int32_t to_day;   /* Last one; from_day for raw samples. */
    int64_t step_ms;  /* 0: raw samples. */
    struct db db;     /* The writer's connection; closed when not needed. */
    sqlite3_stmt *put_pending;
    sqlite3_stmt *put_block;
    sqlite3_stmt *put_group;
    bool writing;          /* In a transaction. */
    int64_t touched_ms;    /* Writer's clock when it was last written. */
    int64_t written_ms;    /* When rows last arrived; from the file where this was before. */
    int64_t oldest_ms;     /* Time of the first row, once it was asked for; else DAY_UNASKED. */
    uint64_t pending_rows; /* Of metrics. */
    uint64_t pending_samples;
    uint64_t pending_items; /* Spans and events, */
    uint64_t pending_bytes; /* and what they take. */
    struct waiting waiting; /* Spans that wait for their verdict: see traces.h. */
    bool compacted;         /* Nothing was sealed since it was compacted. */
    _Atomic bool rolled;    /* Its roll-ups are complete. */
    _Atomic bool damaged;   /* A reader met bytes that it could not read. */
    _Atomic uint32_t holders;
    pthread_mutex_t lock; /* Of idle. */
    struct day_reader *idle;
    struct summaries *span_summaries; /* What readers remember, */
    struct summaries *event_summaries;
};

/* No file is touched. */
struct day *day_new(const char *folder, const char *name, int32_t from_day, int32_t to_day,
                    int64_t step_ms);
struct day *day_ref(struct day *day);
struct day *day_unref(struct day *day); /* Always NULL; the last one closes all connections. */

/* Writer. The time of its first row; the day's beginning where that cannot be told. */
int64_t day_oldest_ms(struct day *day);

/* Opens the writer's connection unless it is open; creates the file. */
CHECKED enum err day_open(struct day *day, struct why *why);
/* Closes it, moving the log into the file; what fails is told by the next open. */
void day_rest(struct day *day);

CHECKED enum err day_begin(struct day *day, struct why *why);
CHECKED enum err day_commit(struct day *day, struct why *why);
void day_rollback(struct day *day);

CHECKED enum err day_put_pending(struct day *day, enum day_kind kind, int64_t min_ms,
                                 int64_t max_ms, size_t rows, struct str body, struct why *why);
/* All of one kind. Of metrics it also takes back that the day is rolled up. */
CHECKED enum err day_clear_pending(struct day *day, enum day_kind kind, struct why *why);
CHECKED enum err day_mark_rolled(struct day *day, struct why *why);
CHECKED enum err day_put_block(struct day *day, enum day_kind kind, uint32_t group,
                               const struct block_info *info, struct str body, struct why *why);
/* The roster of a group, so that the file explains itself. */
CHECKED enum err day_put_group(struct day *day, uint32_t group, struct str roster, struct why *why);

struct day_pending_visitor {
    /* body.data is NULL where the row's checksum does not match. */
    enum err (*visit)(void *self, int64_t id, enum day_kind kind, struct str body, struct why *why);
    void *self;
};
/* In the order of writing. ERR_CORRUPT: the file cannot be read. */
CHECKED enum err day_replay(struct day *day, const struct day_pending_visitor *visitor,
                            struct why *why);

struct day_block {
    int64_t id;
    int64_t min_ms;
    int64_t max_ms;
    uint32_t rows;
    uint32_t crc;
    struct str body; /* Good until the next call. */
};

/* Reader. ERR_NOT_FOUND: the file is not there (any more). */
CHECKED enum err day_reader_take(struct day *day, struct day_reader **ret_reader, struct why *why);
void day_reader_give(struct day_reader *reader); /* Back to its day, or closed. */
/* Blocks that touch [from_ms, to_ms], for day_reader_next. */
void day_reader_find(struct day_reader *reader, enum day_kind kind, uint32_t group, int64_t from_ms,
                     int64_t to_ms);
/* The same of what is pending, in the order of writing; a row's id is not one of a block. */
CHECKED enum err day_reader_find_pending(struct day_reader *reader, enum day_kind kind,
                                         int64_t from_ms, int64_t to_ms, struct why *why);
/* Summaries (group 0 of the kind) whose id is larger, in the order of writing. */
CHECKED enum err day_reader_find_after(struct day_reader *reader, enum day_kind kind, int64_t id,
                                       struct why *why);
/* What the day's readers remember of the kind. */
struct summaries *day_reader_summaries(const struct day_reader *reader, enum day_kind kind);
/* The next block found, oldest first; false at the end. */
CHECKED enum err day_reader_next(struct day_reader *reader, struct day_block *ret_block,
                                 bool *ret_found, struct why *why);
