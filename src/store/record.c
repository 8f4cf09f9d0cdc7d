/* SPDX-License-Identifier: Apache-2.0 */
/* One table in a file of its own, records.db, in the tenant's folder. The days and the catalog
 * belong to the writer's connections; this file belongs to whoever comes. One process has the data
 * folder, so a lock of ours lets one writer after the other in. */
#include "store/record.h"

#include "store/catalog.h"
#include "store/db.h"
#include "store/record_file.h"
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { VERSION = 1, PATH_SIZE = 4096 };

static const char SCHEMA[] =
    "CREATE TABLE records(kind TEXT NOT NULL, name TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;"
    "CREATE INDEX records_by_time ON records(kind, time_ms DESC, name);";

/* ---- The file. ---- */

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

static void lock(void)
{
    int code = pthread_mutex_lock(&writing);

    MUST(code == 0);
}

static void unlock(void)
{
    int code = pthread_mutex_unlock(&writing);

    MUST(code == 0);
}

static enum err path_of(struct store *store, const char *tenant, const char *file, char *ret_path,
                        struct why *why)
{
    int size = snprintf(ret_path, PATH_SIZE, "%s/%s/%s", store_path(store), tenant, file);

    if (size >= PATH_SIZE || strchr(tenant, '/') != NULL || tenant[0] == '.')
        return fail(why, ERR_INVALID, "'%s' is not the name of a tenant", tenant);
    return ERR_NONE;
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum err open_to_write(struct store *store, const char *tenant, struct db *ret_db,
                              struct why *why)
{
    char path[PATH_SIZE];

    TRY(path_of(store, tenant, CATALOG_FILE, path, why));
    if (!is_there(path))
        return fail(why, ERR_NOT_FOUND, "there is no tenant '%s'", tenant);
    TRY(path_of(store, tenant, RECORD_FILE, path, why));
    return db_open(path, DB_WRITE, SCHEMA, VERSION, ret_db, why);
}

/* ret_db->handle is NULL when nothing was ever kept. The lock keeps a file that a writer is just
 * making from being seen half made; one that a crash left so is finished here. */
static enum err open_to_read(struct store *store, const char *tenant, struct db *ret_db,
                             struct why *why)
{
    char path[PATH_SIZE];

    *ret_db = (struct db){0};
    TRY(path_of(store, tenant, RECORD_FILE, path, why));
    if (!is_there(path))
        return ERR_NONE;
    lock();
    enum err err = db_open(path, DB_WRITE, SCHEMA, VERSION, ret_db, why);
    unlock();
    return err;
}

static enum err no_record(struct str kind, struct str name, struct why *why)
{
    return fail(why, ERR_NOT_FOUND, "there is no %.*s '%.*s'", STR_ARG(kind), STR_ARG(name));
}

/* ---- Statements. Binding fails only for a text too long, which step reports. ---- */

static void bind(sqlite3_stmt *statement, int column, struct str text)
{
    (void)sqlite3_bind_text64(statement, column, text.data == NULL ? "" : text.data, text.size,
                              SQLITE_STATIC, SQLITE_UTF8);
}

static struct str text_at(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return (struct str){text, (size_t)sqlite3_column_bytes(row, column)};
}

/* The end of all names that begin with prefix: no UTF-8 text has a byte FF. */
static struct str end_of(struct str prefix, char *buffer)
{
    memcpy(buffer, prefix.data == NULL ? "" : prefix.data, prefix.size);
    buffer[prefix.size] = '\xff';
    return (struct str){buffer, prefix.size + 1};
}

/* ---- Putting and removing. ---- */

static enum err check(const struct record *record, struct why *why)
{
    if (record->name.size == 0 || record->name.size > RECORD_NAME_BYTES_MAX)
        return fail(why, ERR_INVALID, "the name of a %.*s has 1 to %d bytes", STR_ARG(record->kind),
                    RECORD_NAME_BYTES_MAX);
    if (record->body.size > RECORD_BODY_BYTES_MAX)
        return fail(why, ERR_TOO_LARGE, "the %.*s '%.*s' has %zu bytes, at most %d are kept",
                    STR_ARG(record->kind), STR_ARG(record->name), record->body.size,
                    RECORD_BODY_BYTES_MAX);
    return ERR_NONE;
}

static enum err put(struct db *db, const struct record *record, bool replace, struct why *why)
{
    const char *sql = replace ? "INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3, ?4)"
                              : "INSERT OR IGNORE INTO records VALUES(?1, ?2, ?3, ?4)";
    sqlite3_stmt *statement;
    int64_t count;

    TRY(db_number(db, "SELECT count(*) FROM records", &count, why));
    if (count >= RECORDS_MAX)
        return fail(why, ERR_LIMIT, "there are %lld records already, the limit", (long long)count);
    TRY(db_prepare(db, sql, &statement, why));
    bind(statement, 1, record->kind);
    bind(statement, 2, record->name);
    (void)sqlite3_bind_int64(statement, 3, record->time_ms);
    (void)db_bind_blob(statement, 4, record->body);
    enum err err = db_finish(db, statement, why);
    bool ignored = sqlite3_changes(db->handle) == 0;
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    if (err == ERR_NONE && ignored)
        return fail(why, ERR_EXISTS, "there is a %.*s '%.*s' already", STR_ARG(record->kind),
                    STR_ARG(record->name));
    return err;
}

static enum err keep(struct store *store, const char *tenant, const struct record *record,
                     bool replace, struct why *why)
{
    struct db db = {0};

    TRY(check(record, why));
    lock();
    enum err err = open_to_write(store, tenant, &db, why);
    if (err == ERR_NONE)
        err = put(&db, record, replace, why);
    db_close(&db);
    unlock();
    return err;
}

enum err store_record_put(struct store *store, const char *tenant, const struct record *record,
                          struct why *why)
{
    return keep(store, tenant, record, true, why);
}

enum err store_record_add(struct store *store, const char *tenant, const struct record *record,
                          struct why *why)
{
    return keep(store, tenant, record, false, why);
}

/* Runs a statement of kind and three more values; tells how many rows went. */
static enum err erase_rows(struct db *db, const char *sql, struct str kind, struct str from,
                           struct str to, size_t keep, int *ret_count, struct why *why)
{
    sqlite3_stmt *statement;

    TRY(db_prepare(db, sql, &statement, why));
    bind(statement, 1, kind);
    bind(statement, 2, from);
    bind(statement, 3, to);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)keep);
    enum err err = db_finish(db, statement, why);
    *ret_count = sqlite3_changes(db->handle);
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

static enum err erase(struct store *store, const char *tenant, const char *sql, struct str kind,
                      struct str from, struct str to, size_t keep, int *ret_count, struct why *why)
{
    struct db db = {0};

    lock();
    enum err err = open_to_write(store, tenant, &db, why);
    if (err == ERR_NONE)
        err = erase_rows(&db, sql, kind, from, to, keep, ret_count, why);
    db_close(&db);
    unlock();
    return err;
}

enum err store_record_remove(struct store *store, const char *tenant, struct str kind,
                             struct str name, struct why *why)
{
    int count;

    TRY(erase(store, tenant,
              "DELETE FROM records WHERE kind = ?1 AND name BETWEEN ?2 AND ?3 AND ?4 = 0", kind,
              name, name, 0, &count, why));
    return count == 0 ? no_record(kind, name, why) : ERR_NONE;
}

enum err store_record_trim(struct store *store, const char *tenant, struct str kind,
                           struct str prefix, size_t keep, struct why *why)
{
    char end[RECORD_NAME_BYTES_MAX + 1];
    int count;

    MUST(prefix.size <= RECORD_NAME_BYTES_MAX);
    return erase(store, tenant,
                 "DELETE FROM records WHERE kind = ?1 AND name IN (SELECT name FROM records"
                 " WHERE kind = ?1 AND name >= ?2 AND name < ?3"
                 " ORDER BY time_ms DESC, name LIMIT -1 OFFSET ?4)",
                 kind, prefix, end_of(prefix, end), keep, &count, why);
}

/* ---- Reading. ---- */

struct reading {
    struct arena *arena;
    struct record *items;
    size_t count;
    size_t capacity;
    bool with_bodies;
};

static enum err keep_row(struct reading *reading, struct str kind, sqlite3_stmt *row,
                         struct why *why)
{
    if (reading->count == reading->capacity) {
        size_t capacity = reading->capacity == 0 ? 16 : reading->capacity * 2;
        struct record *items = ARENA_ARRAY(reading->arena, capacity, struct record);
        if (items == NULL)
            return arena_spent(reading->arena, "the records", why);
        if (reading->count > 0)
            memcpy(items, reading->items, reading->count * sizeof(*items));
        reading->items = items;
        reading->capacity = capacity;
    }
    struct record *record = &reading->items[reading->count];
    *record = (struct record){.kind = kind,
                              .name = arena_str(reading->arena, text_at(row, 0)),
                              .time_ms = sqlite3_column_int64(row, 1)};
    if (reading->with_bodies)
        record->body = arena_str(reading->arena, db_blob(row, 2));
    if (record->name.data == NULL || (reading->with_bodies && record->body.data == NULL))
        return arena_spent(reading->arena, "the records", why);
    reading->count++;
    return ERR_NONE;
}

static enum err read_rows(struct db *db, const struct record_question *question, struct str to,
                          struct reading *reading, struct why *why)
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(db_prepare(db,
                   "SELECT name, time_ms, body FROM records WHERE kind = ?1 AND name >= ?2"
                   " AND name < ?3 ORDER BY time_ms DESC, name LIMIT ?4",
                   &statement, why));
    bind(statement, 1, question->kind);
    bind(statement, 2, question->prefix);
    bind(statement, 3, to);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)question->limit);
    enum err err = db_step(db, statement, &row, why);
    while (err == ERR_NONE && row) {
        err = keep_row(reading, question->kind, statement, why);
        if (err == ERR_NONE)
            err = db_step(db, statement, &row, why);
    }
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

static enum err read_between(struct store *store, const char *tenant,
                             const struct record_question *question, struct str to,
                             struct reading *reading, struct why *why)
{
    enum err err = ERR_NONE;
    struct db db;

    TRY(open_to_read(store, tenant, &db, why));
    if (db.handle != NULL)
        err = read_rows(&db, question, to, reading, why);
    db_close(&db);
    return err;
}

enum err store_record_get(struct store *store, const char *tenant, struct str kind, struct str name,
                          struct arena *arena, struct record *ret_record, struct why *why)
{
    const struct record_question question = {kind, name, 1, true};
    struct reading reading = {.arena = arena, .with_bodies = true};
    char end[RECORD_NAME_BYTES_MAX + 1];

    if (name.size == 0 || name.size >= RECORD_NAME_BYTES_MAX)
        return no_record(kind, name, why);
    memcpy(end, name.data, name.size);
    end[name.size] = '\0'; /* The next text in the order of bytes. */
    TRY(read_between(store, tenant, &question, (struct str){end, name.size + 1}, &reading, why));
    if (reading.count == 0)
        return no_record(kind, name, why);
    *ret_record = reading.items[0];
    return ERR_NONE;
}

enum err store_record_list(struct store *store, const char *tenant,
                           const struct record_question *question, struct arena *arena,
                           struct record_list *ret_list, struct why *why)
{
    struct reading reading = {.arena = arena, .with_bodies = question->with_bodies};
    char end[RECORD_NAME_BYTES_MAX + 1];

    MUST(question->prefix.size <= RECORD_NAME_BYTES_MAX);
    TRY(read_between(store, tenant, question, end_of(question->prefix, end), &reading, why));
    *ret_list = (struct record_list){reading.items, reading.count};
    return ERR_NONE;
}
