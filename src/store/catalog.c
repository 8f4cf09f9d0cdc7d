/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: groups (labels of 64 series a row), infos (type, unit and help of a metric), meta. */
#include "store/catalog.h"

#include "base/crc.h"

#include <stdio.h>

enum { CATALOG_VERSION = 1, PATH_SIZE = 4096 };

static const char SCHEMA[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE groups(id INTEGER PRIMARY KEY, first_day INTEGER NOT NULL,"
    " last_day INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE infos(name TEXT PRIMARY KEY, kind INTEGER NOT NULL, unit TEXT NOT NULL,"
    " help TEXT NOT NULL) WITHOUT ROWID;";

static enum err prepare(struct catalog *catalog, struct why *why)
{
    struct db *db = &catalog->db;

    TRY(db_prepare(db, "INSERT OR REPLACE INTO groups VALUES(?1, ?2, ?3, ?4, ?5)",
                   &catalog->put_group, why));
    TRY(db_prepare(db, "UPDATE groups SET first_day = ?2, last_day = ?3 WHERE id = ?1",
                   &catalog->put_days, why));
    return db_prepare(db, "INSERT OR REPLACE INTO infos VALUES(?1, ?2, ?3, ?4)", &catalog->put_info,
                      why);
}

enum err catalog_open(const char *folder, struct catalog *ret_catalog, struct why *why)
{
    struct catalog catalog = {0};
    char path[PATH_SIZE];

    if (snprintf(path, sizeof(path), "%s/%s", folder, CATALOG_FILE) >= (int)sizeof(path))
        return fail(why, ERR_INVALID, "%s: the path is too long", folder);
    TRY(db_open(path, DB_WRITE, SCHEMA, CATALOG_VERSION, &catalog.db, why));
    enum err err = prepare(&catalog, why);
    if (err != ERR_NONE) {
        catalog_close(&catalog);
        return err;
    }
    *ret_catalog = catalog;
    return ERR_NONE;
}

void catalog_close(struct catalog *catalog)
{
    /* Finalizing repeats errors that were told when they happened. */
    (void)sqlite3_finalize(catalog->put_group);
    (void)sqlite3_finalize(catalog->put_days);
    (void)sqlite3_finalize(catalog->put_info);
    db_rollback(&catalog->db);
    db_close(&catalog->db);
    *catalog = (struct catalog){0};
}

enum err catalog_begin(struct catalog *catalog, struct why *why)
{
    return db_run(&catalog->db, "BEGIN IMMEDIATE", why);
}

enum err catalog_commit(struct catalog *catalog, struct why *why)
{
    return db_run(&catalog->db, "COMMIT", why);
}

void catalog_rollback(struct catalog *catalog)
{
    db_rollback(&catalog->db);
}

/* Binding fails only for a wrong number or a text too long, which step then reports as NULL in a
 * NOT NULL column; so each of the binds below is (void). */
enum err catalog_put_group(struct catalog *catalog, const struct catalog_group *group,
                           struct why *why)
{
    sqlite3_stmt *put = catalog->put_group;

    (void)sqlite3_bind_int64(put, 1, group->number);
    (void)sqlite3_bind_int64(put, 2, group->first_day);
    (void)sqlite3_bind_int64(put, 3, group->last_day);
    (void)sqlite3_bind_int64(put, 4, crc32c(0, group->roster.data, group->roster.size));
    (void)db_bind_blob(put, 5, group->roster);
    return db_finish(&catalog->db, put, why);
}

enum err catalog_put_days(struct catalog *catalog, const struct catalog_group *group,
                          struct why *why)
{
    (void)sqlite3_bind_int64(catalog->put_days, 1, group->number);
    (void)sqlite3_bind_int64(catalog->put_days, 2, group->first_day);
    (void)sqlite3_bind_int64(catalog->put_days, 3, group->last_day);
    return db_finish(&catalog->db, catalog->put_days, why);
}

static void bind_text(sqlite3_stmt *statement, int column, struct str text)
{
    (void)sqlite3_bind_text64(statement, column, text.data == NULL ? "" : text.data, text.size,
                              SQLITE_STATIC, SQLITE_UTF8);
}

enum err catalog_put_info(struct catalog *catalog, const struct metric_info *info, struct why *why)
{
    bind_text(catalog->put_info, 1, info->name);
    (void)sqlite3_bind_int64(catalog->put_info, 2, info->kind);
    bind_text(catalog->put_info, 3, info->unit);
    bind_text(catalog->put_info, 4, info->help);
    return db_finish(&catalog->db, catalog->put_info, why);
}

static struct str column_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return (struct str){text, (size_t)sqlite3_column_bytes(statement, column)};
}

static enum err load_group(struct catalog *catalog, sqlite3_stmt *row,
                           const struct catalog_visitor *visitor, struct why *why)
{
    struct catalog_group group = {
        .number = (uint32_t)sqlite3_column_int64(row, 0),
        .first_day = sqlite3_column_int(row, 1),
        .last_day = sqlite3_column_int(row, 2),
        .roster = db_blob(row, 4),
    };

    if (crc32c(0, group.roster.data, group.roster.size) != (uint32_t)sqlite3_column_int64(row, 3))
        return fail(why, ERR_CORRUPT, "%s: the checksum of group %u does not match",
                    catalog->db.path, group.number);
    return visitor->group(visitor->self, &group, why);
}

static enum err load_info(struct catalog *catalog, sqlite3_stmt *row,
                          const struct catalog_visitor *visitor, struct why *why)
{
    int64_t kind = sqlite3_column_int64(row, 1);
    struct metric_info info = {
        .name = column_text(row, 0),
        .kind = kind >= 0 && kind < METRIC_KIND_COUNT ? (enum metric_kind)kind : METRIC_UNKNOWN,
        .unit = column_text(row, 2),
        .help = column_text(row, 3),
    };

    (void)catalog; /* The shape of load_group, for load_rows. */
    return visitor->info(visitor->self, &info, why);
}

static enum err load_rows(struct catalog *catalog, const char *sql,
                          enum err (*load)(struct catalog *, sqlite3_stmt *,
                                           const struct catalog_visitor *, struct why *),
                          const struct catalog_visitor *visitor, struct why *why)
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(db_prepare(&catalog->db, sql, &statement, why));
    enum err err = db_step(&catalog->db, statement, &row, why);
    while (err == ERR_NONE && row) {
        err = load(catalog, statement, visitor, why);
        if (err == ERR_NONE)
            err = db_step(&catalog->db, statement, &row, why);
    }
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

enum err catalog_load(struct catalog *catalog, const struct catalog_visitor *visitor,
                      struct why *why)
{
    TRY(load_rows(catalog, "SELECT id, first_day, last_day, crc, body FROM groups ORDER BY id",
                  load_group, visitor, why));
    return load_rows(catalog, "SELECT name, kind, unit, help FROM infos", load_info, visitor, why);
}
