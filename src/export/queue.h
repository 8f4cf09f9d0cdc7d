/* SPDX-License-Identifier: Apache-2.0 */
/* queue - what is still to be sent, on disk: in order, bounded, there again after a crash.
 *
 * The hub's writer thread puts; what it commits is durable before senders hear yes. One other
 * thread reads with a queue_reader and says what has arrived with queue_forget, which goes with the
 * next commit: so after a crash something may be sent again, and nothing is left out. What finds no
 * room is counted and not kept. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "codec/otlp.h"

struct queue;
struct queue_reader;

/* Creates the file, or counts what is in it. bytes_max is for each signal. ERR_CORRUPT: it is no
 * queue. */
CHECKED enum err queue_open(const char *path, uint64_t bytes_max, struct queue **ret_queue,
                            struct why *why);
struct queue *queue_close(struct queue *queue); /* Forgets what has arrived; always returns NULL. */

/* Writer. Takes the message, *body is empty afterwards; items are what it holds, for the counts. */
void queue_put(struct queue *queue, enum otlp_signal signal, uint64_t items, struct buf *body);
/* What was put is on disk now and can be read; *ret_put says whether there was any. On error it is
 * counted as dropped. */
CHECKED enum err queue_commit(struct queue *queue, bool *ret_put, struct why *why);

struct queue_stats {
    uint64_t bytes; /* Waiting, what is under way included. */
    uint64_t items;
    uint64_t dropped_items; /* No room, or they could not be written. */
};
void queue_read_stats(struct queue *queue, enum otlp_signal signal, struct queue_stats *ret_stats);

/* Any thread: rows first … last of the signal have arrived or were refused for good. */
void queue_forget(struct queue *queue, enum otlp_signal signal, int64_t first_id, int64_t last_id);

/* Reader: a connection of its own. */
CHECKED enum err queue_reader_open(struct queue *queue, struct queue_reader **ret_reader,
                                   struct why *why);
struct queue_reader *queue_reader_close(struct queue_reader *reader); /* Always returns NULL. */

struct queue_rows {
    int64_t first_id;
    int64_t last_id; /* 0: there were none. */
    uint64_t items;
    size_t rows;
};

/* Appends the rows behind after_id to out, as one message: at most rows_max, and no more once it
 * has bytes_min. Rows that fail their checksum are left out and counted as dropped. */
CHECKED enum err queue_read(struct queue_reader *reader, enum otlp_signal signal, int64_t after_id,
                            size_t rows_max, size_t bytes_min, struct buf *out,
                            struct queue_rows *ret_rows, struct why *why);
