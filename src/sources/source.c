/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/source.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROW(name) extern const struct source_kind source_##name;
#include "sources/sources.def"
#undef ROW

static const struct source_kind *const kinds[] = {
#define ROW(name) &source_##name,
#include "sources/sources.def"
#undef ROW
};

size_t source_kind_count(void)
{
    return ARRAY_COUNT(kinds);
}

const struct source_kind *source_kind_at(size_t index)
{
    return kinds[index];
}

const struct source_kind *source_kind_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

struct table *source_table(struct source *source, const struct column *columns, size_t column_count,
                           const char *const *keys, size_t key_count)
{
    MUST(source->table_count < SOURCE_TABLES_MAX);
    struct table *table = table_new(columns, column_count, keys, key_count);
    source->tables[source->table_count++] = table;
    return table;
}

struct row *source_row(struct table *table)
{
    return table_row(table, NULL);
}

/* "proc/…" and "sys/…" go below their mount points, "/…" below the root. */
static bool full_path(const struct source *source, char path[PATH_MAX], const char *format,
                      va_list arguments)
{
    char name[PATH_MAX];
    const struct source_paths *paths = &source->options->paths;

    int size = vsnprintf(name, sizeof(name), format, arguments);
    if (size < 0 || size >= (int)sizeof(name))
        return false;
    if (strncmp(name, "proc/", 5) == 0)
        size = snprintf(path, PATH_MAX, "%s%s", paths->proc, name + 4);
    else if (strncmp(name, "sys/", 4) == 0)
        size = snprintf(path, PATH_MAX, "%s%s", paths->sys, name + 3);
    else
        size = snprintf(path, PATH_MAX, "%s%s", paths->root, name);
    return size >= 0 && size < PATH_MAX;
}

static bool full_path_of(const struct source *source, char path[PATH_MAX], const char *format, ...)
    PRINTF_LIKE(3, 4);

static bool full_path_of(const struct source *source, char path[PATH_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    bool ok = full_path(source, path, format, arguments);
    va_end(arguments);
    return ok;
}

static enum err open_file(const char *path, int *ret_fd, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return fail(why, ERR_UNSUPPORTED, "%s is not here", path);
    if (fd < 0)
        return fail_errno(why, errno, "cannot open %s", path);
    *ret_fd = fd;
    return ERR_NONE;
}

static enum err read_whole(struct source *source, int fd, const char *path, struct scan *ret_text,
                           struct why *why)
{
    buf_clear(source->scratch);
    TRY(file_read_fd(fd, path, SOURCE_FILE_BYTES, source->scratch, why));
    *ret_text = scan_of(buf_view(source->scratch));
    return ERR_NONE;
}

enum err source_read(struct source *source, struct scan *ret_text, struct why *why,
                     const char *format, ...)
{
    int fd CLEANUP(file_closep) = -1;
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    bool fits = full_path(source, path, format, arguments);
    va_end(arguments);
    if (!fits)
        return fail(why, ERR_LIMIT, "a path is longer than %d bytes", PATH_MAX);
    TRY(open_file(path, &fd, why));
    return read_whole(source, fd, path, ret_text, why);
}

enum err source_read_kept(struct source *source, int *fd, const char *name, struct scan *ret_text,
                          struct why *why)
{
    if (*fd < 0) {
        char path[PATH_MAX];
        if (!full_path_of(source, path, "%s", name))
            return fail(why, ERR_LIMIT, "a path is longer than %d bytes", PATH_MAX);
        TRY(open_file(path, fd, why));
    }
    enum err err = read_whole(source, *fd, name, ret_text, why);
    if (err != ERR_NONE)
        file_closep(fd); /* What was behind it may be gone; the next round opens it again. */
    return err;
}

static bool read_small(struct source *source, struct source_text *out, const char *format,
                       va_list arguments)
{
    char path[PATH_MAX];

    if (!full_path(source, path, format, arguments))
        return false;
    int fd CLEANUP(file_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, out->text, sizeof(out->text));
    if (size < 0)
        return false;
    struct str trimmed = str_trim((struct str){out->text, (size_t)size});
    memmove(out->text, trimmed.data, trimmed.size);
    out->size = trimmed.size;
    return true;
}

bool source_read_text(struct source *source, struct source_text *ret_text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    bool ok = read_small(source, ret_text, format, arguments);
    va_end(arguments);
    return ok;
}

bool source_read_i64(struct source *source, int64_t *ret_value, const char *format, ...)
{
    struct source_text text;
    va_list arguments;

    va_start(arguments, format);
    bool ok = read_small(source, &text, format, arguments);
    va_end(arguments);
    if (!ok)
        return false;
    struct scan scan = scan_of(source_text_str(&text));
    uint64_t hex;
    if (scan_skip(&scan, STR("0x"))) {
        if (!scan_hex(&scan, &hex))
            return false;
        *ret_value = (int64_t)hex;
        return true;
    }
    return scan_i64(&scan, ret_value);
}

struct visit {
    struct source *source;
    enum err (*visit)(struct source *source, const char *name, struct why *why);
};

static enum err visit_name(void *self, const char *name, struct why *why)
{
    struct visit *visit = self;

    return name[0] == '.' ? ERR_NONE : visit->visit(visit->source, name, why);
}

enum err source_each(struct source *source,
                     enum err (*visit)(struct source *source, const char *name, struct why *why),
                     struct why *why, const char *format, ...)
{
    struct visit self = {source, visit};
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    bool fits = full_path(source, path, format, arguments);
    va_end(arguments);
    if (!fits)
        return fail(why, ERR_LIMIT, "a path is longer than %d bytes", PATH_MAX);
    if (access(path, F_OK) != 0)
        return fail(why, ERR_UNSUPPORTED, "%s is not here", path);
    return file_each(path, visit_name, &self, why);
}

enum err source_open(struct source *source, const struct source_kind *kind,
                     const struct source_options *options, struct buf *scratch, struct why *why)
{
    *source = (struct source){.kind = kind, .options = options, .scratch = scratch};
    enum err err = kind->open == NULL ? ERR_NONE : kind->open(source, why);
    if (err != ERR_NONE)
        source_close(source);
    return err;
}

void source_close(struct source *source)
{
    if (source->kind != NULL && source->kind->close != NULL)
        source->kind->close(source);
    for (size_t i = 0; i < source->table_count; i++)
        table_free(source->tables[i]);
    source->table_count = 0;
    source->state = NULL;
}

enum err source_collect(struct source *source, int64_t time_ms, struct batch *out, struct why *why)
{
    source->time_ms = time_ms;
    for (size_t i = 0; i < source->table_count; i++)
        table_begin(source->tables[i]);
    enum err err = source->kind->collect(source, out, why);
    for (size_t i = 0; err != ERR_NONE && i < source->table_count; i++)
        table_forget(source->tables[i]);
    return err;
}
