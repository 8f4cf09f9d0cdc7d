/* SPDX-License-Identifier: Apache-2.0 */
#include "export/queue.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];

static void fresh_path(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/sonde-queue-XXXXXX");
    int fd = mkstemp(path);
    MUST(fd >= 0 && close(fd) == 0 && unlink(path) == 0);
}

static void remove_files(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[80];

    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name); /* Perhaps it is not there. */
    }
}

static void put(struct queue *queue, enum otlp_signal signal, const char *text)
{
    struct buf body = {0};

    buf_text(&body, text);
    queue_put(queue, signal, 10, &body);
    EXPECT(body.size == 0);
}

static void commit(struct queue *queue)
{
    struct why why = WHY_INIT;
    bool any;

    EXPECT(queue_commit(queue, &any, &why) == ERR_NONE);
}

TEST(rows_are_read_in_order_joined_and_forgotten)
{
    struct queue *queue = NULL;
    struct queue_reader *reader = NULL;
    struct queue_rows rows;
    struct queue_stats stats;
    struct buf out = {0};
    struct why why = WHY_INIT;

    fresh_path();
    ASSERT(queue_open(path, 1000, &queue, &why) == ERR_NONE);
    ASSERT(queue_reader_open(queue, &reader, &why) == ERR_NONE);
    put(queue, OTLP_TRACES, "one");
    put(queue, OTLP_LOGS, "other");
    put(queue, OTLP_TRACES, "two");
    EXPECT(queue_read(reader, OTLP_TRACES, 0, 10, 100, &out, &rows, &why) == ERR_NONE);
    EXPECT(rows.rows == 0); /* Not committed yet. */
    commit(queue);
    EXPECT(queue_read(reader, OTLP_TRACES, 0, 10, 100, &out, &rows, &why) == ERR_NONE);
    EXPECT(rows.rows == 2 && rows.items == 20 && str_eq(buf_view(&out), STR("onetwo")));
    buf_clear(&out);
    int64_t last = rows.last_id;
    EXPECT(queue_read(reader, OTLP_TRACES, 0, 10, 1, &out, &rows, &why) == ERR_NONE);
    EXPECT(rows.rows == 1 && str_eq(buf_view(&out), STR("one"))); /* Enough bytes. */
    queue_forget(queue, OTLP_TRACES, 1, last);
    commit(queue);
    queue_read_stats(queue, OTLP_TRACES, &stats);
    EXPECT(stats.items == 0 && stats.bytes == 0);
    queue_read_stats(queue, OTLP_LOGS, &stats);
    EXPECT(stats.items == 10 && stats.bytes == 5); /* Its id lies between, and it stays. */
    put(queue, OTLP_TRACES, "three");
    commit(queue);
    buf_clear(&out);
    EXPECT(queue_read(reader, OTLP_TRACES, last, 10, 100, &out, &rows, &why) == ERR_NONE);
    EXPECT(rows.rows == 1); /* Ids are never used again. */
    buf_done(&out);
    queue_reader_close(reader);
    queue_close(queue);
    remove_files();
}

TEST(what_has_no_room_is_counted)
{
    struct queue *queue = NULL;
    struct queue_stats stats;
    struct why why = WHY_INIT;

    fresh_path();
    ASSERT(queue_open(path, 10, &queue, &why) == ERR_NONE);
    put(queue, OTLP_TRACES, "12345678");
    put(queue, OTLP_TRACES, "123");
    put(queue, OTLP_LOGS, "123");
    commit(queue);
    queue_read_stats(queue, OTLP_TRACES, &stats);
    EXPECT(stats.items == 10 && stats.bytes == 8 && stats.dropped_items == 10);
    queue_read_stats(queue, OTLP_LOGS, &stats);
    EXPECT(stats.items == 10 && stats.dropped_items == 0);
    queue_close(queue);
    remove_files();
}

TEST(what_was_committed_is_there_when_it_is_opened_again)
{
    struct queue *queue = NULL;
    struct queue_stats stats;
    struct why why = WHY_INIT;

    fresh_path();
    ASSERT(queue_open(path, 1000, &queue, &why) == ERR_NONE);
    put(queue, OTLP_METRICS, "kept");
    commit(queue);
    put(queue, OTLP_METRICS, "never committed");
    queue = queue_close(queue);
    ASSERT(queue_open(path, 1000, &queue, &why) == ERR_NONE);
    queue_read_stats(queue, OTLP_METRICS, &stats);
    EXPECT(stats.items == 10 && stats.bytes == 4);
    queue_close(queue);
    remove_files();
}

TEST_MAIN
