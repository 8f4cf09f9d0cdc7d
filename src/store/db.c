/* SPDX-License-Identifier: Apache-2.0 */
/* Every file is in WAL mode with synchronous=FULL: a commit is one fsync of the log, readers keep
 * the state they began with, and a torn log is cut at the last whole commit by its checksums.
 * auto_vacuum=INCREMENTAL lets compaction give pages back without rewriting the file. */
#include "store/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_TIMEOUT_MS = 10000,
    APPLICATION_ID = 0x534f4e44, /* "SOND" */
};

enum err db_fail(struct db *db, int code, struct why *why)
{
    const char *text = db->handle == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db->handle);
    int system = db->handle == NULL ? 0 : sqlite3_system_errno(db->handle);

    switch (code & 0xff) {
    case SQLITE_FULL:
        return fail(why, ERR_FULL, "%s: no space left on the disk", db->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* Our statements are right: a table or a column is gone. */
        return fail(why, ERR_CORRUPT, "%s: %s", db->path, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(why, ERR_BUSY, "%s: locked by another process", db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail(why, ERR_DENIED, "%s: %s", db->path, text);
    case SQLITE_INTERRUPT:
        return fail(why, ERR_CANCELLED, "%s: cancelled", db->path);
    case SQLITE_NOMEM:
        must_memory(0);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (system != 0)
            return fail_errno(why, system, "%s", db->path);
        return fail(why, ERR_IO, "%s: %s", db->path, text);
    default:
        return fail(why, ERR_INTERNAL, "%s: %s (SQLite code %d)", db->path, text, code);
    }
}

enum err db_run(struct db *db, const char *sql, struct why *why)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? ERR_NONE : db_fail(db, code, why);
}

enum err db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret_statement, struct why *why)
{
    int code =
        sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);

    return code == SQLITE_OK ? ERR_NONE : db_fail(db, code, why);
}

enum err db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row, struct why *why)
{
    int code = sqlite3_step(statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        enum err err = db_fail(db, code, why);
        (void)sqlite3_reset(statement); /* Repeats the error just told. */
        return err;
    }
    *ret_row = code == SQLITE_ROW;
    return ERR_NONE;
}

enum err db_finish(struct db *db, sqlite3_stmt *statement, struct why *why)
{
    bool row;

    TRY(db_step(db, statement, &row, why));
    int code = sqlite3_reset(statement);
    return code == SQLITE_OK ? ERR_NONE : db_fail(db, code, why);
}

void db_rollback(struct db *db)
{
    if (db->handle != NULL && sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* Nothing more to undo. */
}

enum err db_number(struct db *db, const char *sql, int64_t *ret_number, struct why *why)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;

    TRY(db_prepare(db, sql, &statement, why));
    enum err err = db_step(db, statement, &row, why);
    if (err == ERR_NONE && !row)
        err = fail(why, ERR_INTERNAL, "%s: '%s' has no answer", db->path, sql);
    if (err == ERR_NONE)
        *ret_number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

static enum err start(struct db *db, enum db_mode mode, const char *schema, int version,
                      struct why *why)
{
    int64_t found;
    char sql[128];

    (void)sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS); /* Fails only on a bad handle. */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL); /* The same. */
    TRY(db_run(db, "PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY;", why));
    TRY(db_number(db, "PRAGMA user_version", &found, why));
    /* Only for a new file: said again, auto_vacuum is written again, and a full disk could not be
     * opened. */
    if (found == 0 && mode == DB_WRITE)
        TRY(db_run(db, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;", why));
    if (mode == DB_WRITE)
        TRY(db_run(db,
                   "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                   "PRAGMA journal_size_limit=1048576;",
                   why));
    if (found == 0 && mode == DB_WRITE) {
        (void)snprintf(sql, sizeof(sql), /* Fits. */
                       "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
                       version);
        TRY(db_run(db, "BEGIN IMMEDIATE", why));
        TRY(db_run(db, schema, why));
        return db_run(db, sql, why);
    }
    if (found != version) {
        (void)fail(why, ERR_CORRUPT, "%s: layout version %lld, this program knows %d", db->path,
                   (long long)found, version);
        hint(why, "a newer sonde wrote it, or the file is damaged");
        return ERR_CORRUPT;
    }
    return ERR_NONE;
}

enum err db_open(const char *path, enum db_mode mode, const char *schema, int version,
                 struct db *ret_db, struct why *why)
{
    struct db db = {.path = strdup(path)};
    int flags = mode == DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                 : SQLITE_OPEN_READWRITE; /* A reader of WAL shares its index. */

    if (db.path == NULL)
        must_memory(strlen(path));
    int code = sqlite3_open_v2(path, &db.handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    enum err err =
        code == SQLITE_OK ? start(&db, mode, schema, version, why) : db_fail(&db, code, why);
    if (err == ERR_NONE && mode == DB_READ)
        err = db_run(&db, "PRAGMA query_only=1", why);
    if (err != ERR_NONE) {
        db_rollback(&db);
        db_close(&db);
        return err;
    }
    *ret_db = db;
    return ERR_NONE;
}

void db_close(struct db *db)
{
    if (db->handle != NULL) {
        int code = sqlite3_close(db->handle);
        MUST(code == SQLITE_OK);
    }
    free(db->path);
    *db = (struct db){0};
}
