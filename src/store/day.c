/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a day file:
 *
 *   pending  one row per kind and commit: what a sender was told yes for, until it is sealed
 *   blocks   sealed rows, found by (kind, step, group, min_ms); rowids rise with time
 *   groups   the roster of each group that has blocks here
 *   meta     what else is to be known of the file as a whole
 *
 * A seal inserts blocks and deletes pending rows in one transaction of this one file, so a crash
 * leaves either the one or the other. */
#include "store/day.h"

#include "base/clock.h"
#include "base/crc.h"
#include "store/summaries.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DAY_VERSION = 1,
    PATH_SIZE = 4096,
    IDLE_READERS_MAX = 4,
};

static const char SCHEMA[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE pending(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, min_ms INTEGER NOT NULL,"
    " max_ms INTEGER NOT NULL, rows INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE blocks(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, step_ms INTEGER NOT NULL,"
    " group_id INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL,"
    " rows INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX blocks_by_group ON blocks(kind, step_ms, group_id, min_ms);"
    "CREATE TABLE groups(id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL);";

struct day_reader {
    struct day *day;
    struct db db;
    sqlite3_stmt *find;
    sqlite3_stmt *find_pending; /* NULL until it is first wanted. */
    sqlite3_stmt *find_after;   /* The same. */
    sqlite3_stmt *found;        /* One of them: what day_reader_next steps. */
    struct day_reader *next;
};

static void lock(struct day *day)
{
    int code = pthread_mutex_lock(&day->lock);

    MUST(code == 0);
}

static void unlock(struct day *day)
{
    int code = pthread_mutex_unlock(&day->lock);

    MUST(code == 0);
}

struct day *day_new(const char *folder, const char *name, int32_t from_day, int32_t to_day,
                    int64_t step_ms)
{
    struct day *day = calloc(1, sizeof(*day));
    char path[PATH_SIZE];

    if (day == NULL)
        must_memory(sizeof(*day));
    int size = snprintf(path, sizeof(path), "%s/%s", folder, name);
    MUST(size > 0 && size < (int)sizeof(path)); /* The catalog, longer, was opened before. */
    day->path = strdup(path);
    if (day->path == NULL)
        must_memory(sizeof(path));
    day->from_day = from_day;
    day->to_day = to_day;
    day->step_ms = step_ms;
    day->oldest_ms = DAY_UNASKED;
    day->span_summaries = summaries_new();
    day->event_summaries = summaries_new();
    atomic_init(&day->holders, 1);
    int code = pthread_mutex_init(&day->lock, NULL);
    MUST(code == 0);
    return day;
}

static struct day_reader *reader_close(struct day_reader *reader)
{
    (void)sqlite3_finalize(reader->find); /* Repeats an error already told. */
    (void)sqlite3_finalize(reader->find_pending);
    (void)sqlite3_finalize(reader->find_after);
    db_rollback(&reader->db);
    db_close(&reader->db);
    free(reader);
    return NULL;
}

struct day *day_ref(struct day *day)
{
    (void)atomic_fetch_add_explicit(&day->holders, 1, memory_order_relaxed); /* The old count. */
    return day;
}

struct day *day_unref(struct day *day)
{
    if (day == NULL || atomic_fetch_sub_explicit(&day->holders, 1, memory_order_acq_rel) > 1)
        return NULL;
    while (day->idle != NULL) {
        struct day_reader *reader = day->idle;
        day->idle = reader->next;
        reader_close(reader);
    }
    day_rest(day);
    free(day->waiting.marks);
    summaries_free(day->span_summaries);
    summaries_free(day->event_summaries);
    (void)pthread_mutex_destroy(&day->lock); /* Fails only while it is locked. */
    free(day->path);
    free(day);
    return NULL;
}

static enum err prepare(struct day *day, struct why *why)
{
    TRY(db_prepare(&day->db,
                   "INSERT INTO pending(kind, min_ms, max_ms, rows, crc, body)"
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                   &day->put_pending, why));
    TRY(db_prepare(&day->db,
                   "INSERT INTO blocks(kind, step_ms, group_id, min_ms, max_ms, rows, crc, body)"
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   &day->put_block, why));
    return db_prepare(&day->db, "INSERT OR REPLACE INTO groups VALUES(?1, ?2, ?3)", &day->put_group,
                      why);
}

enum err day_open(struct day *day, struct why *why)
{
    if (day->db.handle != NULL)
        return ERR_NONE;
    TRY(db_open(day->path, DB_WRITE, SCHEMA, DAY_VERSION, &day->db, why));
    enum err err = prepare(day, why);
    int64_t rolled = 0;
    if (err == ERR_NONE)
        err = db_number(&day->db, "SELECT count(*) FROM meta WHERE key = 'rolled'", &rolled, why);
    atomic_store(&day->rolled, rolled > 0);
    if (err != ERR_NONE)
        day_rest(day);
    return err;
}

void day_rest(struct day *day)
{
    /* Finalizing repeats errors that were told when they happened. */
    (void)sqlite3_finalize(day->put_pending);
    (void)sqlite3_finalize(day->put_block);
    (void)sqlite3_finalize(day->put_group);
    day->put_pending = day->put_block = day->put_group = NULL;
    day_rollback(day);
    if (day->db.handle != NULL)
        db_close(&day->db);
}

enum err day_begin(struct day *day, struct why *why)
{
    MUST(!day->writing);
    TRY(day_open(day, why));
    TRY(db_run(&day->db, "BEGIN IMMEDIATE", why));
    day->writing = true;
    return ERR_NONE;
}

enum err day_commit(struct day *day, struct why *why)
{
    MUST(day->writing);
    enum err err = db_run(&day->db, "COMMIT", why);
    if (err != ERR_NONE)
        day_rollback(day);
    day->writing = false;
    return err;
}

void day_rollback(struct day *day)
{
    db_rollback(&day->db);
    day->writing = false;
}

/* Binding fails only for a wrong column or a blob over SQLite's limit, which then is NULL and
 * turned away by NOT NULL; so each bind below is (void). */
/* Blocks are made of rows that were pending, so these tell of all that is new. */
static void note_oldest(struct day *day, int64_t min_ms)
{
    if (day->oldest_ms != DAY_UNASKED && min_ms < day->oldest_ms)
        day->oldest_ms = min_ms;
}

static enum err ask_oldest(struct db *db, int64_t *ret_ms, struct why *why)
{
    /* Summaries are about other rows. An empty file has no least: then it is the greatest. */
    static const char sql[] =
        "SELECT coalesce(min(least), 9223372036854775807) FROM ("
        " SELECT min(min_ms) AS least FROM blocks WHERE kind BETWEEN 1 AND 4"
        " UNION ALL SELECT min(min_ms) FROM pending WHERE kind IN (1, 2, 3, 4, 8))";

    static_assert(KIND_METRIC == 1 && KIND_EVENT == 4 && KIND_SPAN_WAITING == 8, "as above");
    return db_number(db, sql, ret_ms, why);
}

int64_t day_oldest_ms(struct day *day)
{
    struct db own = {0};
    struct db *db = &day->db;
    struct why why = WHY_INIT;
    int64_t oldest_ms = INT64_MAX;
    enum err err = ERR_NONE;

    if (day->oldest_ms != DAY_UNASKED)
        return day->oldest_ms;
    if (db->handle == NULL) {
        err = db_open(day->path, DB_READ, NULL, DAY_VERSION, &own, &why);
        db = &own;
    }
    if (err == ERR_NONE)
        err = ask_oldest(db, &oldest_ms, &why);
    db_close(&own);
    if (err != ERR_NONE ||
        oldest_ms == INT64_MAX) /* A file that cannot be read is told elsewhere. */
        return (int64_t)day->from_day * CLOCK_MS_PER_DAY;
    day->oldest_ms = oldest_ms;
    return oldest_ms;
}

enum err day_put_pending(struct day *day, enum day_kind kind, int64_t min_ms, int64_t max_ms,
                         size_t rows, struct str body, struct why *why)
{
    sqlite3_stmt *put = day->put_pending;

    note_oldest(day, min_ms);
    (void)sqlite3_bind_int64(put, 1, kind);
    (void)sqlite3_bind_int64(put, 2, min_ms);
    (void)sqlite3_bind_int64(put, 3, max_ms);
    (void)sqlite3_bind_int64(put, 4, (int64_t)rows);
    (void)sqlite3_bind_int64(put, 5, crc32c(0, body.data, body.size));
    (void)db_bind_blob(put, 6, body);
    return db_finish(&day->db, put, why);
}

enum err day_clear_pending(struct day *day, enum day_kind kind, struct why *why)
{
    char sql[64];

    if (kind == KIND_METRIC && atomic_load(&day->rolled))
        TRY(db_run(&day->db, "DELETE FROM meta WHERE key = 'rolled'", why));
    (void)snprintf(sql, sizeof(sql), "DELETE FROM pending WHERE kind = %d", (int)kind); /* Fits. */
    return db_run(&day->db, sql, why);
}

enum err day_mark_rolled(struct day *day, struct why *why)
{
    TRY(db_run(&day->db, "INSERT OR REPLACE INTO meta VALUES('rolled', 1)", why));
    atomic_store(&day->rolled, true);
    return ERR_NONE;
}

enum err day_put_block(struct day *day, enum day_kind kind, uint32_t group,
                       const struct block_info *info, struct str body, struct why *why)
{
    sqlite3_stmt *put = day->put_block;

    (void)sqlite3_bind_int64(put, 1, kind);
    (void)sqlite3_bind_int64(put, 2, day->step_ms);
    (void)sqlite3_bind_int64(put, 3, group);
    (void)sqlite3_bind_int64(put, 4, info->min_ms);
    (void)sqlite3_bind_int64(put, 5, info->max_ms);
    (void)sqlite3_bind_int64(put, 6, info->rows);
    (void)sqlite3_bind_int64(put, 7, info->crc);
    (void)db_bind_blob(put, 8, body);
    return db_finish(&day->db, put, why);
}

enum err day_put_group(struct day *day, uint32_t group, struct str roster, struct why *why)
{
    (void)sqlite3_bind_int64(day->put_group, 1, group);
    (void)sqlite3_bind_int64(day->put_group, 2, crc32c(0, roster.data, roster.size));
    (void)db_bind_blob(day->put_group, 3, roster);
    return db_finish(&day->db, day->put_group, why);
}

static enum err replay_row(struct day *day, sqlite3_stmt *row,
                           const struct day_pending_visitor *visitor, struct why *why)
{
    int64_t id = sqlite3_column_int64(row, 0);
    struct str body = db_blob(row, 3);

    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(row, 2))
        body = STR_NONE;
    return visitor->visit(visitor->self, id, (enum day_kind)sqlite3_column_int(row, 1), body, why);
}

enum err day_replay(struct day *day, const struct day_pending_visitor *visitor, struct why *why)
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(day_open(day, why));
    TRY(db_prepare(&day->db, "SELECT id, kind, crc, body FROM pending ORDER BY id", &statement,
                   why));
    enum err err = db_step(&day->db, statement, &row, why);
    while (err == ERR_NONE && row) {
        err = replay_row(day, statement, visitor, why);
        if (err == ERR_NONE)
            err = db_step(&day->db, statement, &row, why);
    }
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

static enum err reader_open(struct day *day, struct day_reader **ret_reader, struct why *why)
{
    if (access(day->path, R_OK) != 0)
        return fail_errno(why, errno, "%s", day->path);
    struct day_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        must_memory(sizeof(*reader));
    reader->day = day;
    enum err err = db_open(day->path, DB_READ, NULL, DAY_VERSION, &reader->db, why);
    if (err == ERR_NONE)
        err = db_prepare(&reader->db,
                         "SELECT id, min_ms, max_ms, rows, crc, body FROM blocks"
                         " WHERE kind = ?1 AND step_ms = ?2 AND group_id = ?3 AND min_ms <= ?4"
                         " AND max_ms >= ?5 ORDER BY min_ms",
                         &reader->find, why);
    if (err != ERR_NONE) {
        reader_close(reader);
        return err;
    }
    *ret_reader = reader;
    return ERR_NONE;
}

enum err day_reader_take(struct day *day, struct day_reader **ret_reader, struct why *why)
{
    struct day_reader *reader;

    lock(day);
    reader = day->idle;
    if (reader != NULL)
        day->idle = reader->next;
    unlock(day);
    if (reader == NULL)
        TRY(reader_open(day, &reader, why));
    enum err err = db_run(&reader->db, "BEGIN", why);
    if (err != ERR_NONE) {
        reader_close(reader);
        return err;
    }
    (void)day_ref(day); /* Held by the reader. */
    *ret_reader = reader;
    return ERR_NONE;
}

void day_reader_give(struct day_reader *reader)
{
    struct day *day = reader->day;
    unsigned idle = 0;

    (void)sqlite3_reset(reader->find); /* Repeats an error already told. */
    (void)sqlite3_reset(reader->find_pending);
    (void)sqlite3_reset(reader->find_after);
    db_rollback(&reader->db);
    lock(day);
    for (struct day_reader *other = day->idle; other != NULL; other = other->next)
        idle++;
    if (idle < IDLE_READERS_MAX) {
        reader->next = day->idle;
        day->idle = reader;
        reader = NULL;
    }
    unlock(day);
    if (reader != NULL)
        reader_close(reader);
    day_unref(day);
}

void day_reader_find(struct day_reader *reader, enum day_kind kind, uint32_t group, int64_t from_ms,
                     int64_t to_ms)
{
    /* Binding cannot fail for numbers; resetting repeats an error already told. */
    (void)sqlite3_reset(reader->find);
    (void)sqlite3_bind_int64(reader->find, 1, kind);
    (void)sqlite3_bind_int64(reader->find, 2, reader->day->step_ms);
    (void)sqlite3_bind_int64(reader->find, 3, group);
    (void)sqlite3_bind_int64(reader->find, 4, to_ms);
    (void)sqlite3_bind_int64(reader->find, 5, from_ms);
    reader->found = reader->find;
}

enum err day_reader_find_pending(struct day_reader *reader, enum day_kind kind, int64_t from_ms,
                                 int64_t to_ms, struct why *why)
{
    if (reader->find_pending == NULL)
        TRY(db_prepare(&reader->db,
                       "SELECT id, min_ms, max_ms, rows, crc, body FROM pending"
                       " WHERE (kind = ?1 OR kind = ?4) AND min_ms <= ?2 AND max_ms >= ?3"
                       " ORDER BY id",
                       &reader->find_pending, why));
    /* As above. */
    (void)sqlite3_reset(reader->find_pending);
    (void)sqlite3_bind_int64(reader->find_pending, 1, kind);
    (void)sqlite3_bind_int64(reader->find_pending, 2, to_ms);
    (void)sqlite3_bind_int64(reader->find_pending, 3, from_ms);
    (void)sqlite3_bind_int64(reader->find_pending, 4, kind == KIND_SPAN ? KIND_SPAN_WAITING : kind);
    reader->found = reader->find_pending;
    return ERR_NONE;
}

enum err day_reader_find_after(struct day_reader *reader, enum day_kind kind, int64_t id,
                               struct why *why)
{
    if (reader->find_after == NULL)
        TRY(db_prepare(&reader->db,
                       "SELECT id, min_ms, max_ms, rows, crc, body FROM blocks"
                       " WHERE kind = ?1 AND step_ms = ?2 AND group_id = 0 AND id > ?3 ORDER BY id",
                       &reader->find_after, why));
    /* As above. */
    (void)sqlite3_reset(reader->find_after);
    (void)sqlite3_bind_int64(reader->find_after, 1, kind);
    (void)sqlite3_bind_int64(reader->find_after, 2, reader->day->step_ms);
    (void)sqlite3_bind_int64(reader->find_after, 3, id);
    reader->found = reader->find_after;
    return ERR_NONE;
}

struct summaries *day_reader_summaries(const struct day_reader *reader, enum day_kind kind)
{
    return kind == KIND_EVENT_SUMMARY ? reader->day->event_summaries : reader->day->span_summaries;
}

enum err day_reader_next(struct day_reader *reader, struct day_block *ret_block, bool *ret_found,
                         struct why *why)
{
    TRY(db_step(&reader->db, reader->found, ret_found, why));
    if (*ret_found)
        *ret_block = (struct day_block){
            .id = sqlite3_column_int64(reader->found, 0),
            .min_ms = sqlite3_column_int64(reader->found, 1),
            .max_ms = sqlite3_column_int64(reader->found, 2),
            .rows = (uint32_t)sqlite3_column_int64(reader->found, 3),
            .crc = (uint32_t)sqlite3_column_int64(reader->found, 4),
            .body = db_blob(reader->found, 5),
        };
    return ERR_NONE;
}
