/* SPDX-License-Identifier: Apache-2.0 */
/* file - whole files and folders. Blocking; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* Appends the file to out. ERR_TOO_LARGE past limit_bytes; works on /proc, where sizes lie,
 * and on pipes. */
CHECKED enum err file_read(const char *path, size_t limit_bytes, struct buf *out, struct why *why);

/* As file_read, from a descriptor that stays open, from offset 0 (pread): for /proc files that are
 * read again and again. */
CHECKED enum err file_read_fd(int fd, const char *name, size_t limit_bytes, struct buf *out,
                              struct why *why);

/* Replaces path as a whole: a new file beside it, fsync, rename, fsync of the folder. */
CHECKED enum err file_write(const char *path, struct str content, int mode, struct why *why);

/* Makes the folder and those above it, mode 0750; an existing folder is fine. */
CHECKED enum err file_make_folder(const char *path, struct why *why);

/* Size in bytes. */
CHECKED enum err file_size(const char *path, uint64_t *ret_bytes, struct why *why);

/* Bytes free for unprivileged users, and in all, on the file system of path. */
CHECKED enum err file_system_space(const char *path, uint64_t *ret_free, uint64_t *ret_total,
                                   struct why *why);

/* Calls visit for each name in the folder except "." and "..", in byte order; stops at the first
 * error. At most 100,000 names, else ERR_LIMIT. */
CHECKED enum err file_each(const char *folder,
                           enum err (*visit)(void *self, const char *name, struct why *why),
                           void *self, struct why *why);

void file_closep(int *fd); /* For CLEANUP; -1 is nothing to close. */
