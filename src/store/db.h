/* SPDX-License-Identifier: Apache-2.0 */
/* db - one SQLite file, opened the way this store wants it.
 *
 * A connection and its statements belong to one thread at a time. Errors of SQLite become ours:
 * a full disk is ERR_FULL, a damaged file ERR_CORRUPT, a lock held too long ERR_BUSY. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <sqlite3.h>
#include <stdbool.h>

struct db {
    sqlite3 *handle;
    char *path;
};

enum db_mode {
    DB_WRITE, /* Creates the file; WAL, fsync at each commit. */
    DB_READ,  /* Must be there; never writes. */
};

/* schema is run when the file is new (DB_WRITE), and version is what its user_version must be.
 * ERR_CORRUPT: not a database, or of a version that this program does not know. */
CHECKED enum err db_open(const char *path, enum db_mode mode, const char *schema, int version,
                         struct db *ret_db, struct why *why);
/* Statements must be finished. All zero is closed already. */
void db_close(struct db *db);

CHECKED enum err db_run(struct db *db, const char *sql, struct why *why);
CHECKED enum err db_prepare(struct db *db, const char *sql, sqlite3_stmt **ret_statement,
                            struct why *why);
/* One step; *ret_row says whether there is a row. Resets the statement on error. */
CHECKED enum err db_step(struct db *db, sqlite3_stmt *statement, bool *ret_row, struct why *why);
/* Steps a statement that returns no rows, and resets it. */
CHECKED enum err db_finish(struct db *db, sqlite3_stmt *statement, struct why *why);

/* Undoes the open transaction, if there is one. */
void db_rollback(struct db *db);

/* What SQLite's code means here; the sentence names the file. */
enum err db_fail(struct db *db, int code, struct why *why);

/* The single number of a query such as "PRAGMA page_count". */
CHECKED enum err db_number(struct db *db, const char *sql, int64_t *ret_number, struct why *why);

static inline struct str db_blob(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);

    return (struct str){data, (size_t)sqlite3_column_bytes(statement, column)};
}

static inline int db_bind_blob(sqlite3_stmt *statement, int column, struct str blob)
{
    return sqlite3_bind_blob64(statement, column, blob.data == NULL ? "" : blob.data, blob.size,
                               SQLITE_STATIC);
}
