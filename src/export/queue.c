/* SPDX-License-Identifier: Apache-2.0 */
/* One table. A row is an export request of OTLP as it goes over the wire, a few hundred KiB at
 * most; requests of a signal may be joined by putting their bytes one behind the other, which is
 * how protobuf merges messages.
 *
 *     queue(id, signal, items, crc, body)
 *
 * Ids are never used twice (AUTOINCREMENT), so a reader that remembers the last one it has seen
 * misses nothing. Rows go when they are forgotten: in the writer's next transaction, because a
 * database has one writer. */
#include "export/queue.h"

#include "base/crc.h"
#include "store/db.h"

#include <pthread.h>
#include <stdlib.h>

enum { QUEUE_VERSION = 1 };

static const char SCHEMA[] =
    "CREATE TABLE queue(id INTEGER PRIMARY KEY AUTOINCREMENT, signal INTEGER NOT NULL,"
    " items INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX queue_by_signal ON queue(signal, id);";

struct staged {
    enum otlp_signal signal;
    uint64_t items;
    struct buf body;
};

struct forgotten {
    enum otlp_signal signal;
    int64_t first_id;
    int64_t last_id;
};

struct queue {
    struct db db; /* The writer's. */
    sqlite3_stmt *put;
    sqlite3_stmt *size;
    sqlite3_stmt *forget;
    uint64_t bytes_max;
    struct staged *staged; /* The writer's, since its last commit. */
    size_t staged_count;
    size_t staged_capacity;
    pthread_mutex_t lock; /* Of what follows. */
    struct queue_stats stats[OTLP_SIGNAL_COUNT];
    struct forgotten *forgotten;
    size_t forgotten_count;
    size_t forgotten_capacity;
};

struct queue_reader {
    struct queue *queue;
    struct db db;
    sqlite3_stmt *find;
};

static void lock(struct queue *queue)
{
    int code = pthread_mutex_lock(&queue->lock);

    MUST(code == 0);
}

static void unlock(struct queue *queue)
{
    int code = pthread_mutex_unlock(&queue->lock);

    MUST(code == 0);
}

static void *grown(void *items, size_t *capacity, size_t size)
{
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = reallocarray(items, *capacity, size);
    if (items == NULL)
        must_memory(*capacity * size);
    return items;
}

/* ---- Opening. ---- */

static enum err count_rows(struct queue *queue, struct why *why)
{
    sqlite3_stmt *count;
    bool row = false;

    TRY(db_prepare(&queue->db,
                   "SELECT signal, sum(items), sum(length(body)) FROM queue GROUP BY signal",
                   &count, why));
    enum err err = db_step(&queue->db, count, &row, why);
    while (err == ERR_NONE && row) {
        int64_t signal = sqlite3_column_int64(count, 0);
        if (signal >= 0 && signal < OTLP_SIGNAL_COUNT) {
            queue->stats[signal].items = (uint64_t)sqlite3_column_int64(count, 1);
            queue->stats[signal].bytes = (uint64_t)sqlite3_column_int64(count, 2);
        }
        err = db_step(&queue->db, count, &row, why);
    }
    (void)sqlite3_finalize(count); /* Repeats the error just told. */
    return err;
}

static enum err prepare(struct queue *queue, struct why *why)
{
    TRY(db_prepare(&queue->db, "INSERT INTO queue(signal, items, crc, body) VALUES(?1, ?2, ?3, ?4)",
                   &queue->put, why));
    TRY(db_prepare(&queue->db,
                   "SELECT ifnull(sum(items), 0), ifnull(sum(length(body)), 0) FROM queue"
                   " WHERE signal = ?1 AND id BETWEEN ?2 AND ?3",
                   &queue->size, why));
    TRY(db_prepare(&queue->db, "DELETE FROM queue WHERE signal = ?1 AND id BETWEEN ?2 AND ?3",
                   &queue->forget, why));
    return count_rows(queue, why);
}

enum err queue_open(const char *path, uint64_t bytes_max, struct queue **ret_queue, struct why *why)
{
    struct queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL)
        must_memory(sizeof(*queue));
    queue->bytes_max = bytes_max;
    int code = pthread_mutex_init(&queue->lock, NULL);
    MUST(code == 0);
    enum err err = db_open(path, DB_WRITE, SCHEMA, QUEUE_VERSION, &queue->db, why);
    if (err == ERR_NONE)
        err = prepare(queue, why);
    if (err != ERR_NONE) {
        queue_close(queue);
        return err;
    }
    *ret_queue = queue;
    return ERR_NONE;
}

static void clear_staged(struct queue *queue)
{
    for (size_t i = 0; i < queue->staged_count; i++)
        buf_done(&queue->staged[i].body);
    queue->staged_count = 0;
}

struct queue *queue_close(struct queue *queue)
{
    bool put;

    if (queue == NULL)
        return NULL;
    clear_staged(queue);
    if (queue->forget != NULL)
        (void)queue_commit(queue, &put, NULL); /* Failing, what has arrived is sent again. */
    (void)sqlite3_finalize(queue->put);        /* These repeat errors already told. */
    (void)sqlite3_finalize(queue->size);
    (void)sqlite3_finalize(queue->forget);
    if (queue->db.handle != NULL)
        db_close(&queue->db);
    free(queue->staged);
    free(queue->forgotten);
    (void)pthread_mutex_destroy(&queue->lock); /* Fails only while it is locked. */
    free(queue);
    return NULL;
}

/* ---- Writing. ---- */

void queue_put(struct queue *queue, enum otlp_signal signal, uint64_t items, struct buf *body)
{
    if (queue->staged_count == queue->staged_capacity)
        queue->staged = grown(queue->staged, &queue->staged_capacity, sizeof(*queue->staged));
    queue->staged[queue->staged_count++] = (struct staged){signal, items, *body};
    *body = (struct buf){0};
}

/* The range of ids is one signal's own, but ids of other signals lie between. */
static enum err forget_rows(struct queue *queue, const struct forgotten *range,
                            struct queue_stats *gone, struct why *why)
{
    sqlite3_stmt *both[] = {queue->size, queue->forget};
    bool row;

    for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
        (void)sqlite3_reset(both[i]); /* Numbers always bind. */
        (void)sqlite3_bind_int64(both[i], 1, range->signal);
        (void)sqlite3_bind_int64(both[i], 2, range->first_id);
        (void)sqlite3_bind_int64(both[i], 3, range->last_id);
    }
    TRY(db_step(&queue->db, queue->size, &row, why));
    gone[range->signal].items += (uint64_t)sqlite3_column_int64(queue->size, 0);
    gone[range->signal].bytes += (uint64_t)sqlite3_column_int64(queue->size, 1);
    (void)sqlite3_reset(queue->size);
    return db_finish(&queue->db, queue->forget, why);
}

static enum err put_row(struct queue *queue, const struct staged *staged, struct why *why)
{
    (void)sqlite3_bind_int64(queue->put, 1, staged->signal); /* Numbers always bind. */
    (void)sqlite3_bind_int64(queue->put, 2, (int64_t)staged->items);
    (void)sqlite3_bind_int64(queue->put, 3, crc32c(0, staged->body.data, staged->body.size));
    (void)db_bind_blob(queue->put, 4, buf_view(&staged->body));
    return db_finish(&queue->db, queue->put, why);
}

/* Within a transaction; what there is no room for is counted in `dropped`. */
static enum err put_rows(struct queue *queue, struct queue_stats *added, struct why *why)
{
    for (size_t i = 0; i < queue->staged_count; i++) {
        const struct staged *staged = &queue->staged[i];
        struct queue_stats *sum = &added[staged->signal];
        uint64_t taken = queue->stats[staged->signal].bytes + sum->bytes;
        if (taken + staged->body.size > queue->bytes_max) {
            sum->dropped_items += staged->items;
            continue;
        }
        TRY(put_row(queue, staged, why));
        sum->bytes += staged->body.size;
        sum->items += staged->items;
    }
    return ERR_NONE;
}

static enum err change(struct queue *queue, const struct forgotten *ranges, size_t count,
                       struct queue_stats *added, struct queue_stats *gone, struct why *why)
{
    enum err err = ERR_NONE;

    TRY(db_run(&queue->db, "BEGIN IMMEDIATE", why));
    for (size_t i = 0; err == ERR_NONE && i < count; i++)
        err = forget_rows(queue, &ranges[i], gone, why);
    if (err == ERR_NONE)
        err = put_rows(queue, added, why);
    if (err == ERR_NONE)
        err = db_run(&queue->db, "COMMIT", why);
    if (err != ERR_NONE)
        db_rollback(&queue->db);
    return err;
}

static void take_stock(struct queue *queue, enum err err, const struct queue_stats *added,
                       const struct queue_stats *gone)
{
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        struct queue_stats *stats = &queue->stats[i];
        if (err != ERR_NONE)
            continue;
        stats->bytes += added[i].bytes - gone[i].bytes;
        stats->items += added[i].items - gone[i].items;
        stats->dropped_items += added[i].dropped_items;
    }
    for (size_t i = 0; err != ERR_NONE && i < queue->staged_count; i++)
        queue->stats[queue->staged[i].signal].dropped_items += queue->staged[i].items;
}

enum err queue_commit(struct queue *queue, bool *ret_put, struct why *why)
{
    struct queue_stats added[OTLP_SIGNAL_COUNT] = {{0}};
    struct queue_stats gone[OTLP_SIGNAL_COUNT] = {{0}};

    *ret_put = queue->staged_count > 0;
    lock(queue);
    struct forgotten *ranges = queue->forgotten;
    size_t count = queue->forgotten_count;
    queue->forgotten = NULL;
    queue->forgotten_count = queue->forgotten_capacity = 0;
    unlock(queue);
    if (count + queue->staged_count == 0)
        return ERR_NONE;
    enum err err = change(queue, ranges, count, added, gone, why);
    lock(queue);
    take_stock(queue, err, added, gone);
    unlock(queue);
    for (size_t i = 0; err != ERR_NONE && i < count; i++) /* Next time. */
        queue_forget(queue, ranges[i].signal, ranges[i].first_id, ranges[i].last_id);
    free(ranges);
    clear_staged(queue);
    return err;
}

void queue_read_stats(struct queue *queue, enum otlp_signal signal, struct queue_stats *ret_stats)
{
    lock(queue);
    *ret_stats = queue->stats[signal];
    unlock(queue);
}

void queue_forget(struct queue *queue, enum otlp_signal signal, int64_t first_id, int64_t last_id)
{
    lock(queue);
    if (queue->forgotten_count == queue->forgotten_capacity)
        queue->forgotten =
            grown(queue->forgotten, &queue->forgotten_capacity, sizeof(*queue->forgotten));
    queue->forgotten[queue->forgotten_count++] = (struct forgotten){signal, first_id, last_id};
    unlock(queue);
}

/* ---- Reading. ---- */

enum err queue_reader_open(struct queue *queue, struct queue_reader **ret_reader, struct why *why)
{
    struct queue_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        must_memory(sizeof(*reader));
    reader->queue = queue;
    enum err err = db_open(queue->db.path, DB_READ, NULL, QUEUE_VERSION, &reader->db, why);
    if (err == ERR_NONE)
        err = db_prepare(&reader->db,
                         "SELECT id, items, crc, body FROM queue WHERE signal = ?1 AND id > ?2"
                         " ORDER BY id LIMIT ?3",
                         &reader->find, why);
    if (err != ERR_NONE) {
        queue_reader_close(reader);
        return err;
    }
    *ret_reader = reader;
    return ERR_NONE;
}

struct queue_reader *queue_reader_close(struct queue_reader *reader)
{
    if (reader == NULL)
        return NULL;
    (void)sqlite3_finalize(reader->find); /* Repeats an error already told. */
    if (reader->db.handle != NULL)
        db_close(&reader->db);
    free(reader);
    return NULL;
}

static void take_row(struct queue_reader *reader, enum otlp_signal signal, struct buf *out,
                     struct queue_rows *rows)
{
    struct str body = db_blob(reader->find, 3);
    uint64_t items = (uint64_t)sqlite3_column_int64(reader->find, 1);

    rows->last_id = sqlite3_column_int64(reader->find, 0);
    if (rows->first_id == 0)
        rows->first_id = rows->last_id;
    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(reader->find, 2)) {
        lock(reader->queue);
        reader->queue->stats[signal].dropped_items += items;
        unlock(reader->queue);
        return;
    }
    rows->items += items;
    rows->rows++;
    buf_str(out, body);
}

enum err queue_read(struct queue_reader *reader, enum otlp_signal signal, int64_t after_id,
                    size_t rows_max, size_t bytes_min, struct buf *out, struct queue_rows *ret_rows,
                    struct why *why)
{
    struct queue_rows rows = {0};
    bool row = false;

    (void)sqlite3_reset(reader->find); /* Numbers always bind. */
    (void)sqlite3_bind_int64(reader->find, 1, signal);
    (void)sqlite3_bind_int64(reader->find, 2, after_id);
    (void)sqlite3_bind_int64(reader->find, 3, (int64_t)rows_max);
    enum err err = db_step(&reader->db, reader->find, &row, why);
    while (err == ERR_NONE && row) {
        take_row(reader, signal, out, &rows);
        if (out->size >= bytes_min)
            break;
        err = db_step(&reader->db, reader->find, &row, why);
    }
    (void)sqlite3_reset(reader->find); /* Ends its snapshot. */
    *ret_rows = rows;
    return err;
}
