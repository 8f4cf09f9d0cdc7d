/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    READ_SIZE = 8192,
    NAMES_MAX = 100000,
};

void file_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* Nothing was written that a failed close could lose. */
    *fd = -1;
}

enum err file_read_fd(int fd, const char *name, size_t limit_bytes, struct buf *out,
                      struct why *why)
{
    off_t offset = 0;

    for (;;) {
        char *room = buf_reserve(out, READ_SIZE);
        ssize_t size = pread(fd, room, out->capacity - out->size, offset);
        if (size < 0 && errno == ESPIPE) /* A pipe, such as a shell's <(command). */
            size = read(fd, room, out->capacity - out->size);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return fail_errno(why, errno, "cannot read %s", name);
        if (size == 0)
            return ERR_NONE;
        out->size += (size_t)size;
        offset += size;
        if ((uint64_t)offset > limit_bytes)
            return fail(why, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, limit_bytes);
    }
}

enum err file_read(const char *path, size_t limit_bytes, struct buf *out, struct why *why)
{
    int fd CLEANUP(file_closep) = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail_errno(why, errno, "cannot open %s", path);
    return file_read_fd(fd, path, limit_bytes, out, why);
}

static enum err write_all(int fd, const char *path, struct str content, struct why *why)
{
    while (content.size > 0) {
        ssize_t size = write(fd, content.data, content.size);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return fail_errno(why, errno, "cannot write %s", path);
        content.data += size;
        content.size -= (size_t)size;
    }
    if (fsync(fd) != 0)
        return fail_errno(why, errno, "cannot flush %s", path);
    return ERR_NONE;
}

static enum err sync_folder_of(const char *path, struct why *why)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof(folder), "%.*s",
                   slash == NULL   ? 1
                   : slash == path ? 1
                                   : (int)(slash - path),
                   slash == NULL ? "." : path);
    int fd CLEANUP(file_closep) = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return fail_errno(why, errno, "cannot flush the folder %s", folder);
    return ERR_NONE;
}

enum err file_write(const char *path, struct str content, int mode, struct why *why)
{
    char fresh[PATH_MAX];

    if (snprintf(fresh, sizeof(fresh), "%s.new-%d", path, (int)getpid()) >= (int)sizeof(fresh))
        return fail(why, ERR_INVALID, "the path %s is too long", path);
    int fd CLEANUP(file_closep) =
        open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return fail_errno(why, errno, "cannot create %s", fresh);
    enum err err = write_all(fd, fresh, content, why);
    if (err == ERR_NONE && rename(fresh, path) != 0)
        err = fail_errno(why, errno, "cannot rename %s to %s", fresh, path);
    if (err != ERR_NONE) {
        (void)unlink(fresh); /* The first error is the one to report. */
        return err;
    }
    return sync_folder_of(path, why);
}

enum err file_make_folder(const char *path, struct why *why)
{
    char partial[PATH_MAX];
    size_t size = strlen(path);
    struct stat status;

    if (size == 0 || size >= sizeof(partial))
        return fail(why, ERR_INVALID, "'%s' is no usable folder name", path);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0750) != 0 && errno != EEXIST)
            return fail_errno(why, errno, "cannot make the folder %s", partial);
    }
    if (stat(path, &status) != 0)
        return fail_errno(why, errno, "cannot look at %s", path);
    if (!S_ISDIR(status.st_mode))
        return fail(why, ERR_EXISTS, "%s exists and is not a folder", path);
    return ERR_NONE;
}

enum err file_size(const char *path, uint64_t *ret_bytes, struct why *why)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return fail_errno(why, errno, "cannot look at %s", path);
    *ret_bytes = (uint64_t)status.st_size;
    return ERR_NONE;
}

enum err file_system_space(const char *path, uint64_t *ret_free, uint64_t *ret_total,
                           struct why *why)
{
    struct statvfs status;

    if (statvfs(path, &status) != 0)
        return fail_errno(why, errno, "cannot measure the file system of %s", path);
    *ret_free = (uint64_t)status.f_bavail * status.f_frsize;
    *ret_total = (uint64_t)status.f_blocks * status.f_frsize;
    return ERR_NONE;
}

struct names {
    char **items;
    size_t count;
    size_t capacity;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static void names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        names->items = reallocarray(names->items, names->capacity, sizeof(*names->items));
        if (names->items == NULL)
            must_memory(names->capacity * sizeof(*names->items));
    }
    char *copy = strdup(name);
    if (copy == NULL)
        must_memory(strlen(name) + 1);
    names->items[names->count++] = copy;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err names_read(struct names *names, const char *folder, struct why *why)
{
    DIR *stream = opendir(folder);
    struct dirent *entry;

    if (stream == NULL)
        return fail_errno(why, errno, "cannot list %s", folder);
    while (names->count < NAMES_MAX && (entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names_add(names, entry->d_name);
    }
    (void)closedir(stream); /* Only read from. */
    if (names->count == NAMES_MAX)
        return fail(why, ERR_LIMIT, "%s holds more than %d names", folder, NAMES_MAX);
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), by_bytes);
    return ERR_NONE;
}

enum err file_each(const char *folder,
                   enum err (*visit)(void *self, const char *name, struct why *why), void *self,
                   struct why *why)
{
    struct names names CLEANUP(names_done) = {0};

    TRY(names_read(&names, folder, why));
    for (size_t i = 0; i < names.count; i++)
        TRY(visit(self, names.items[i], why));
    return ERR_NONE;
}
