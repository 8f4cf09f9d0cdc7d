/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.c - space and inodes of what is mounted.
 *
 * The list of mounts is read again only when the kernel says that it changed. Kernel file systems
 * and those below /dev, /proc, /sys and container storage are left out. A file system behind a
 * network may answer late or never; it is asked by a thread of its own, and counts as a device
 * error while it is silent. The first answer may come a tick later. */
#include "base/file.h"
#include "sources/mounts.h"
#include "sources/slow_mount.h"
#include "sources/source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/statvfs.h>

enum { AVAIL, DEVICE_ERROR, FILES, FILES_FREE, FREE, READONLY, SIZE };

static const struct column columns[] = {
    [AVAIL] = {"node_filesystem_avail_bytes",
               "Filesystem space available to non-root users in bytes.", METRIC_GAUGE, NULL, NULL},
    [DEVICE_ERROR] = {"node_filesystem_device_error",
                      "Whether an error occurred while getting statistics for the given device.",
                      METRIC_GAUGE, NULL, NULL},
    [FILES] = {"node_filesystem_files", "Filesystem total file nodes.", METRIC_GAUGE, NULL, NULL},
    [FILES_FREE] = {"node_filesystem_files_free", "Filesystem total free file nodes.", METRIC_GAUGE,
                    NULL, NULL},
    [FREE] = {"node_filesystem_free_bytes", "Filesystem free space in bytes.", METRIC_GAUGE, NULL,
              NULL},
    [READONLY] = {"node_filesystem_readonly", "Filesystem read-only status.", METRIC_GAUGE, NULL,
                  NULL},
    [SIZE] = {"node_filesystem_size_bytes", "Filesystem size in bytes.", METRIC_GAUGE, NULL, NULL},
};
static const char *const keys[] = {"device", "fstype", "mountpoint"};

struct filesystem {
    int fd; /* Of the list of mounts. */
    struct mounts mounts;
    struct slow_mount *slow[SLOW_MOUNTS_MAX]; /* Of the first mounts behind a network. */
    size_t slow_count;
};

static enum err filesystem_open(struct source *source, struct why *why)
{
    struct filesystem *filesystem = calloc(1, sizeof(*filesystem));

    if (filesystem == NULL)
        must_memory(sizeof(*filesystem));
    filesystem->fd = -1;
    source->state = filesystem;
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static void forget_slow(struct filesystem *filesystem)
{
    for (size_t i = 0; i < filesystem->slow_count; i++)
        filesystem->slow[i] = slow_mount_free(filesystem->slow[i]);
    filesystem->slow_count = 0;
}

static void filesystem_close(struct source *source)
{
    struct filesystem *filesystem = source->state;

    if (filesystem != NULL) {
        file_closep(&filesystem->fd);
        forget_slow(filesystem);
        mounts_done(&filesystem->mounts);
    }
    free(filesystem);
}

static bool mounts_changed(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLPRI};

    return fd < 0 || poll(&poll_fd, 1, 0) != 0;
}

static enum err read_mounts(struct source *source, struct why *why)
{
    struct filesystem *filesystem = source->state;
    struct scan text;

    if (!mounts_changed(filesystem->fd))
        return ERR_NONE;
    /* As the first process sees them, else as we do. */
    if (source_read_kept(source, &filesystem->fd, "proc/1/mounts", &text, why) != ERR_NONE)
        TRY(source_read_kept(source, &filesystem->fd, "proc/self/mounts", &text, why));
    mounts_parse(&filesystem->mounts, scan_rest(&text));
    forget_slow(filesystem); /* They are met anew, in the order of the new list. */
    return ERR_NONE;
}

/* Space of a mount; *slow counts those behind a network that were asked so far. */
static bool ask(struct filesystem *filesystem, const struct mount *mount, size_t *slow,
                struct statvfs *ret_space)
{
    if (!mount->network)
        return statvfs(mount->point, ret_space) == 0;
    size_t index = (*slow)++;
    if (index >= SLOW_MOUNTS_MAX)
        return false;
    if (index == filesystem->slow_count)
        filesystem->slow[filesystem->slow_count++] = slow_mount_new(mount->point);
    return filesystem->slow[index] != NULL && slow_mount_ask(filesystem->slow[index], ret_space);
}

static void tell(struct row *row, const struct mount *mount, const struct statvfs *space)
{
    double block = (double)space->f_frsize;

    row_set(row, DEVICE_ERROR, 0);
    row_set(row, READONLY, mount->readonly);
    row_set(row, SIZE, (double)space->f_blocks * block);
    row_set(row, FREE, (double)space->f_bfree * block);
    row_set(row, AVAIL, (double)space->f_bavail * block);
    row_set(row, FILES, (double)space->f_files);
    row_set(row, FILES_FREE, (double)space->f_ffree);
}

static enum err filesystem_collect(struct source *source, struct batch *out, struct why *why)
{
    struct filesystem *filesystem = source->state;
    struct statvfs space;
    size_t slow = 0;

    TRY(read_mounts(source, why));
    for (size_t i = 0; i < filesystem->mounts.count; i++) {
        const struct mount *mount = &filesystem->mounts.items[i];
        struct str values[] = {str_of(mount->device), str_of(mount->type), str_of(mount->point)};
        struct row *row = table_row(source->tables[0], values);
        if (ask(filesystem, mount, &slow, &space)) {
            tell(row, mount, &space);
            continue;
        }
        row_set(row, DEVICE_ERROR, 1);
        row_set(row, READONLY, mount->readonly);
    }
    return ERR_NONE;
}

const struct source_kind source_filesystem = {
    .name = "filesystem",
    .summary = "Space and inodes of each mounted file system.",
    .open = filesystem_open,
    .collect = filesystem_collect,
    .close = filesystem_close,
};
