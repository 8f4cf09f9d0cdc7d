/* SPDX-License-Identifier: Apache-2.0 */
/* All of these walk the same way: every folder with a catalog is a tenant, every name that ends in
 * .db one of its files, days before the catalog. Files are opened for reading, beside a daemon
 * that may be writing them; each is seen as of one moment. */
#include "store/maintain.h"

#include "base/crc.h"
#include "base/file.h"
#include "store/block.h"
#include "store/catalog.h"
#include "store/day.h"
#include "store/pending.h"
#include "store/record_file.h"
#include "store/roster.h"
#include "store/traces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, SENTENCE_SIZE = 1024, BACKUP_PAGES = 256, FILE_VERSION = 1 };

static const size_t CHECK_ARENA_BYTES = (size_t)1 << 30;

/* --- the walk -------------------------------------------------------------------------------- */

struct walk {
    const char *folder;
    const struct maintain *maintain;
    struct maintain_result result;
    char **files; /* "tenant/name.db". */
    size_t count;
    size_t capacity;
    char tenant[NAME_MAX + 1]; /* While it is listed. */
};

static void walk_add(struct walk *walk, const char *name)
{
    char *path;

    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity == 0 ? 64 : walk->capacity * 2;
        walk->files = reallocarray(walk->files, walk->capacity, sizeof(char *));
        if (walk->files == NULL)
            must_memory(walk->capacity * sizeof(char *));
    }
    if (asprintf(&path, "%s/%s", walk->tenant, name) < 0)
        must_memory(0);
    walk->files[walk->count++] = path;
}

static enum err list_file(void *self, const char *name, struct why *why)
{
    struct walk *walk = self;

    (void)why; /* Other files are no trouble. */
    if (str_ends(str_of(name), STR(".db")) && strcmp(name, CATALOG_FILE) != 0)
        walk_add(walk, name);
    return ERR_NONE;
}

static enum err list_tenant(void *self, const char *name, struct why *why)
{
    struct walk *walk = self;
    char path[PATH_SIZE];
    struct stat info;

    if (snprintf(path, sizeof(path), "%s/%s/" CATALOG_FILE, walk->folder, name) >=
        (int)sizeof(path))
        return fail(why, ERR_INVALID, "the name of %s is too long", walk->folder);
    if (stat(path, &info) != 0)
        return ERR_NONE;                                             /* No tenant. */
    (void)snprintf(walk->tenant, sizeof(walk->tenant), "%s", name);  /* A name in a folder fits. */
    (void)snprintf(path, sizeof(path), "%s/%s", walk->folder, name); /* Shorter than before. */
    TRY(file_each(path, list_file, walk, why));
    walk_add(walk, CATALOG_FILE);
    walk->result.tenants++;
    return ERR_NONE;
}

static enum err walk_begin(struct walk *walk, const char *folder, const struct maintain *maintain,
                           struct why *why)
{
    *walk = (struct walk){.folder = folder, .maintain = maintain};
    walk->result.oldest_ms = INT64_MAX;
    walk->result.newest_ms = INT64_MIN;
    return file_each(folder, list_tenant, walk, why);
}

static void walk_end(struct walk *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        free(walk->files[i]);
    free(walk->files);
}

static void found(struct walk *walk, const char *file, const char *format, ...) PRINTF_LIKE(3, 4);

static void found(struct walk *walk, const char *file, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    int size = snprintf(sentence, sizeof(sentence), "%s: ", file);
    va_start(arguments, format);
    if (size > 0 && size < SENTENCE_SIZE)
        (void)vsnprintf(sentence + size, sizeof(sentence) - (size_t)size, format, arguments);
    va_end(arguments);
    walk->result.findings++;
    if (walk->maintain->finding != NULL)
        walk->maintain->finding(walk->maintain->self, sentence);
}

static enum err walk_step(const struct walk *walk, size_t index, struct why *why)
{
    const struct maintain *maintain = walk->maintain;

    if (maintain->cancel != NULL && atomic_load((_Atomic bool *)maintain->cancel))
        return fail(why, ERR_CANCELLED, "cancelled after %zu of %zu files", index, walk->count);
    if (maintain->progress != NULL)
        maintain->progress(maintain->self, walk->files[index], index, walk->count);
    return ERR_NONE;
}

static bool is_catalog(const char *file)
{
    return str_ends(str_of(file), STR("/" CATALOG_FILE));
}

/* --- counting -------------------------------------------------------------------------------- */

static enum err count_days(struct walk *walk, struct db *db, struct why *why)
{
    int64_t number;

    TRY(db_number(db, "SELECT count(*) FROM blocks", &number, why));
    walk->result.blocks += (uint64_t)number;
    TRY(db_number(db, "SELECT ifnull(sum(rows), 0) FROM pending", &number, why));
    walk->result.pending += (uint64_t)number;
    TRY(db_number(db, "SELECT ifnull(min(min_ms), 9223372036854775807) FROM blocks", &number, why));
    if (number < walk->result.oldest_ms)
        walk->result.oldest_ms = number;
    TRY(db_number(db, "SELECT ifnull(max(max_ms), -9223372036854775807) FROM blocks", &number,
                  why));
    if (number > walk->result.newest_ms)
        walk->result.newest_ms = number;
    return ERR_NONE;
}

/* Calls visit for each row of a query until one fails. */
static enum err each_row(struct db *db, const char *sql,
                         enum err (*visit)(void *self, sqlite3_stmt *row, struct why *why),
                         void *self, struct why *why)
{
    sqlite3_stmt *statement;
    bool row = false;

    TRY(db_prepare(db, sql, &statement, why));
    enum err err = db_step(db, statement, &row, why);
    while (err == ERR_NONE && row) {
        err = visit(self, statement, why);
        if (err == ERR_NONE)
            err = db_step(db, statement, &row, why);
    }
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

/* --- checking -------------------------------------------------------------------------------- */

struct check {
    struct walk *walk;
    const char *file;
    struct arena *arena;
};

/* Every column of the block, decoded; counts its rows. */
static enum err decode_block(struct check *check, const struct block *block, uint64_t *ret_rows,
                             struct why *why)
{
    double *values = ARENA_ARRAY(check->arena, BLOCK_ROWS_MAX, double);
    int64_t *times = ARENA_ARRAY(check->arena, BLOCK_ROWS_MAX, int64_t);
    struct str *sketches = ARENA_ARRAY(check->arena, BLOCK_ROWS_MAX, struct str);

    MUST(values != NULL && times != NULL && sketches != NULL);
    for (unsigned i = 0; i < block->times_count; i++) {
        TRY(block_read_times(block, i, times, why));
        for (uint32_t row = 1; row < block->times[i].rows; row++) {
            if (times[row] <= times[row - 1])
                return fail(why, ERR_CORRUPT, "times do not rise at row %u", row);
        }
    }
    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        uint32_t rows = block_rows(block, slot);
        for (unsigned field = 0; rows > 0 && field < block->field_count; field++) {
            TRY(block_read_field(block, slot, field, 0, rows, values, why));
            for (uint32_t row = 0; field == 0 && row < rows; row++)
                *ret_rows += !sample_is_absent(values[row]);
        }
        if (block->entries[slot].sketches.bytes.data != NULL)
            TRY(block_read_sketches(block, slot, check->arena, sketches, why));
    }
    return ERR_NONE;
}

static enum err check_block(void *self, sqlite3_stmt *row, struct why *why)
{
    struct check *check = self;
    struct why reason = WHY_INIT;
    struct block block;
    uint64_t rows = 0;

    (void)why; /* Damage is a finding. */
    arena_clear(check->arena);
    enum err err =
        block_parse(db_blob(row, 4), (uint32_t)sqlite3_column_int64(row, 3), &block, &reason);
    if (err == ERR_NONE)
        err = decode_block(check, &block, &rows, &reason);
    if (err != ERR_NONE)
        found(check->walk, check->file, "block %lld of group %lld: %s",
              (long long)sqlite3_column_int64(row, 0), (long long)sqlite3_column_int64(row, 2),
              reason.text);
    if (sqlite3_column_int64(row, 1) == 0)
        check->walk->result.samples += rows;
    else
        check->walk->result.steps += rows;
    return ERR_NONE;
}

static enum err ignore_sample(void *self, const struct pending_row *row, struct str sketch,
                              struct why *why)
{
    (void)self; /* That it could be read is all that is asked. */
    (void)row;
    (void)sketch;
    (void)why;
    return ERR_NONE;
}

static enum err check_pending(void *self, sqlite3_stmt *row, struct why *why)
{
    static const struct pending_visitor visitor = {ignore_sample, NULL};
    struct check *check = self;
    struct str body = db_blob(row, 2);
    struct why reason = WHY_INIT;

    (void)why; /* Damage is a finding. */
    enum err err = ERR_NONE;
    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(row, 1))
        err = fail(&reason, ERR_CORRUPT, "the checksum does not match");
    else
        err = pending_decode(body, &visitor, &reason);
    if (err != ERR_NONE)
        found(check->walk, check->file, "pending row %lld: %s",
              (long long)sqlite3_column_int64(row, 0), reason.text);
    return ERR_NONE;
}

static enum err count_series(void *self, unsigned slot, const struct labels *labels,
                             struct why *why)
{
    struct check *check = self;

    (void)slot; /* All of them count. */
    (void)labels;
    (void)why;
    check->walk->result.series += is_catalog(check->file);
    return ERR_NONE;
}

static enum err check_roster(void *self, sqlite3_stmt *row, struct why *why)
{
    struct check *check = self;
    const struct roster_visitor visitor = {count_series, check};
    struct str body = db_blob(row, 2);
    struct why reason = WHY_INIT;

    (void)why; /* Damage is a finding. */
    enum err err = ERR_NONE;
    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(row, 1))
        err = fail(&reason, ERR_CORRUPT, "the checksum does not match");
    else
        err = roster_decode(body, &visitor, &reason);
    if (err != ERR_NONE)
        found(check->walk, check->file, "labels of group %lld: %s",
              (long long)sqlite3_column_int64(row, 0), reason.text);
    return ERR_NONE;
}

static enum err check_page(void *self, sqlite3_stmt *row, struct why *why)
{
    struct check *check = self;
    const char *text = (const char *)sqlite3_column_text(row, 0);

    (void)why; /* Damage is a finding. */
    if (text != NULL && strcmp(text, "ok") != 0)
        found(check->walk, check->file, "%s", text);
    return ERR_NONE;
}

/* Blocks and pending rows of spans and events, unpacked to the last value. */
static enum err check_traces(void *self, sqlite3_stmt *row, struct why *why)
{
    struct check *check = self;
    struct str body = db_blob(row, 3);
    struct why reason = WHY_INIT;

    (void)why; /* Damage is a finding. */
    arena_clear(check->arena);
    enum err err = ERR_NONE;
    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(row, 2))
        err = fail(&reason, ERR_CORRUPT, "the checksum does not match");
    else
        err = traces_check((enum day_kind)sqlite3_column_int(row, 1), body, check->arena, &reason);
    if (err != ERR_NONE)
        found(check->walk, check->file, "row %lld of spans or events: %s",
              (long long)sqlite3_column_int64(row, 0), reason.text);
    return ERR_NONE;
}

static bool is_records(const char *file)
{
    return str_ends(str_of(file), STR("/" RECORD_FILE));
}

static enum err check_rows(struct check *check, struct db *db, struct why *why)
{
    TRY(each_row(db, "PRAGMA integrity_check(20)", check_page, check, why));
    if (is_records(check->file))
        return ERR_NONE;
    TRY(each_row(db, "SELECT id, crc, body FROM groups", check_roster, check, why));
    if (is_catalog(check->file))
        return ERR_NONE;
    TRY(each_row(db, "SELECT id, step_ms, group_id, crc, body FROM blocks WHERE kind = 1",
                 check_block, check, why));
    TRY(each_row(db, "SELECT id, crc, body FROM pending WHERE kind = 1", check_pending, check,
                 why));
    TRY(each_row(db, "SELECT id, kind, crc, body FROM blocks WHERE kind > 1", check_traces, check,
                 why));
    TRY(each_row(db, "SELECT id, kind, crc, body FROM pending WHERE kind > 1", check_traces, check,
                 why));
    return count_days(check->walk, db, why);
}

static enum err look_rows(struct check *check, struct db *db, struct why *why)
{
    if (is_records(check->file))
        return ERR_NONE;
    if (is_catalog(check->file))
        return each_row(db, "SELECT id, crc, body FROM groups", check_roster, check, why);
    return count_days(check->walk, db, why);
}

static enum err visit_file(struct walk *walk, size_t index, bool whole, struct why *why)
{
    struct check check = {walk, walk->files[index], arena_new(CHECK_ARENA_BYTES)};
    struct why reason = WHY_INIT;
    char path[PATH_SIZE];
    struct db db = {0};
    struct stat info;

    (void)snprintf(path, sizeof(path), "%s/%s", walk->folder, walk->files[index]); /* Fitted. */
    enum err err = db_open(path, DB_READ, NULL, FILE_VERSION, &db, &reason);
    if (err == ERR_NONE)
        err = db_run(&db, "BEGIN", &reason);
    if (err == ERR_NONE)
        err = whole ? check_rows(&check, &db, &reason) : look_rows(&check, &db, &reason);
    db_rollback(&db);
    db_close(&db);
    arena_free(check.arena);
    if (err != ERR_NONE && access(path, F_OK) != 0)
        return ERR_NONE; /* Retention removed it meanwhile. */
    walk->result.files++;
    if (stat(path, &info) == 0)
        walk->result.bytes += (uint64_t)info.st_blocks * 512;
    if (err == ERR_CORRUPT) {
        found(walk, walk->files[index], "%s", reason.text);
        return ERR_NONE;
    }
    if (err != ERR_NONE && why != NULL)
        *why = reason;
    return err;
}

static enum err visit_all(const char *folder, const struct maintain *maintain, bool whole,
                          struct maintain_result *ret_result, struct why *why)
{
    struct walk walk;
    enum err err = walk_begin(&walk, folder, maintain, why);

    for (size_t i = 0; i < walk.count && err == ERR_NONE; i++) {
        err = walk_step(&walk, i, why);
        if (err == ERR_NONE)
            err = visit_file(&walk, i, whole, why);
    }
    walk_end(&walk);
    TRY(err);
    *ret_result = walk.result;
    return ERR_NONE;
}

enum err store_check(const char *folder, const struct maintain *maintain,
                     struct maintain_result *ret_result, struct why *why)
{
    return visit_all(folder, maintain, true, ret_result, why);
}

enum err store_look(const char *folder, const struct maintain *maintain,
                    struct maintain_result *ret_result, struct why *why)
{
    return visit_all(folder, maintain, false, ret_result, why);
}

/* --- copying --------------------------------------------------------------------------------- */

static enum err copy_pages(struct db *from, const char *to_path, struct why *why)
{
    struct db to = {.path = strdup(to_path)};
    int code;

    if (to.path == NULL)
        must_memory(strlen(to_path));
    code = sqlite3_open_v2(to_path, &to.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *backup =
        code == SQLITE_OK ? sqlite3_backup_init(to.handle, "main", from->handle, "main") : NULL;
    if (backup != NULL) {
        while ((code = sqlite3_backup_step(backup, BACKUP_PAGES)) == SQLITE_OK)
            continue;
        int finished = sqlite3_backup_finish(backup);
        code = code == SQLITE_DONE ? finished : code;
    } else if (code == SQLITE_OK) {
        code = sqlite3_errcode(to.handle);
    }
    enum err err = code == SQLITE_OK ? ERR_NONE : db_fail(&to, code, why);
    db_close(&to);
    return err;
}

static enum err copy_file(struct walk *walk, size_t index, const char *to, struct why *why)
{
    char from_path[PATH_SIZE];
    char to_path[PATH_SIZE];
    struct db db;
    struct stat info;

    (void)snprintf(from_path, sizeof(from_path), "%s/%s", walk->folder, walk->files[index]);
    if (snprintf(to_path, sizeof(to_path), "%s/%s", to, walk->files[index]) >= (int)sizeof(to_path))
        return fail(why, ERR_INVALID, "the name of %s is too long", to);
    *strrchr(to_path, '/') = '\0';
    TRY(file_make_folder(to_path, why));
    (void)snprintf(to_path, sizeof(to_path), "%s/%s", to, walk->files[index]); /* As before. */
    enum err err = db_open(from_path, DB_READ, NULL, FILE_VERSION, &db, why);
    if (err != ERR_NONE && access(from_path, F_OK) != 0)
        return ERR_NONE; /* Retention removed it meanwhile. */
    TRY(err);
    /* One transaction: the file as of one moment, and no step starts anew when it changes. */
    err = db_run(&db, "BEGIN; SELECT count(*) FROM sqlite_schema", why);
    if (err == ERR_NONE)
        err = copy_pages(&db, to_path, why);
    db_rollback(&db);
    db_close(&db);
    TRY(err);
    walk->result.files++;
    if (stat(to_path, &info) == 0)
        walk->result.bytes += (uint64_t)info.st_size;
    return ERR_NONE;
}

static enum err any_name(void *self, const char *name, struct why *why)
{
    if (strcmp(name, "lock") == 0)
        return ERR_NONE;
    return fail(why, ERR_EXISTS, "%s is not empty: there is '%s'", (const char *)self, name);
}

/* Makes the folder; ERR_EXISTS unless it is empty. */
static enum err make_empty(const char *folder, struct why *why)
{
    TRY(file_make_folder(folder, why));
    enum err err = file_each(folder, any_name, (void *)folder, why);
    if (err == ERR_EXISTS)
        hint(why, "choose a new folder, or move what is there away");
    return err;
}

static enum err copy_all(const char *folder, const char *to, const struct maintain *maintain,
                         struct maintain_result *ret_result, struct why *why)
{
    struct walk walk;
    enum err err = walk_begin(&walk, folder, maintain, why);

    if (err == ERR_NONE && walk.count == 0)
        err = fail(why, ERR_NOT_FOUND, "%s has no tenant's catalog in it", folder);
    for (size_t i = 0; i < walk.count && err == ERR_NONE; i++) {
        err = walk_step(&walk, i, why);
        if (err == ERR_NONE)
            err = copy_file(&walk, i, to, why);
    }
    walk_end(&walk);
    TRY(err);
    *ret_result = walk.result;
    return ERR_NONE;
}

enum err store_backup(const char *folder, const char *to, const struct maintain *maintain,
                      struct maintain_result *ret_result, struct why *why)
{
    TRY(make_empty(to, why));
    return copy_all(folder, to, maintain, ret_result, why);
}

/* Whether a process has the data folder open. */
static enum err check_unused(const char *folder, struct why *why)
{
    char path[PATH_SIZE];
    int fd CLEANUP(file_closep) = -1;

    if (snprintf(path, sizeof(path), "%s/lock", folder) >= (int)sizeof(path))
        return fail(why, ERR_INVALID, "the name of %s is too long", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_NONE;
    (void)fail(why, ERR_BUSY, "a process has the data folder %s open", folder);
    hint(why, "stop it first");
    return ERR_BUSY;
}

struct move {
    const char *from;
    const char *to;
};

static enum err move_one(void *self, const char *name, struct why *why)
{
    const struct move *move = self;
    char from[PATH_SIZE];
    char to[PATH_SIZE];

    if (snprintf(from, sizeof(from), "%s/%s", move->from, name) >= (int)sizeof(from) ||
        snprintf(to, sizeof(to), "%s/%s", move->to, name) >= (int)sizeof(to))
        return fail(why, ERR_INVALID, "the name of %s is too long", move->to);
    return rename(from, to) == 0 ? ERR_NONE : fail_errno(why, errno, "%s", to);
}

static enum err move_tenants(const char *from, const char *to, struct why *why)
{
    struct move move = {from, to};

    TRY(file_each(from, move_one, &move, why));
    return rmdir(from) == 0 ? ERR_NONE : fail_errno(why, errno, "%s", from);
}

enum err store_restore(const char *backup, const char *folder, const struct maintain *maintain,
                       struct maintain_result *ret_result, struct why *why)
{
    char aside[PATH_SIZE];

    TRY(check_unused(folder, why));
    TRY(make_empty(folder, why));
    if (snprintf(aside, sizeof(aside), "%s.restoring", folder) >= (int)sizeof(aside))
        return fail(why, ERR_INVALID, "the name of %s is too long", folder);
    TRY(make_empty(aside, why));
    TRY(copy_all(backup, aside, maintain, ret_result, why));
    return move_tenants(aside, folder, why);
}
