/* SPDX-License-Identifier: Apache-2.0 */
/* A line is "device point type options 0 0"; blanks, tabs, newlines and backslashes inside a word
 * are written as octal, "\\040". */
#include "sources/mounts.h"

#include "sources/scan.h"

#include <stdlib.h>

static const char *const types_left_out[] = {
    "autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",   "configfs",
    "debugfs",    "devpts",      "devtmpfs",  "fusectl",  "hugetlbfs", "iso9660",
    "mqueue",     "nsfs",        "overlay",   "proc",     "procfs",    "pstore",
    "rpc_pipefs", "securityfs",  "selinuxfs", "squashfs", "sysfs",     "tracefs",
};

static const char *const points_left_out[] = {"/dev", "/proc", "/run", "/sys"};
static const char *const storage_left_out[] = {"/var/lib/docker/", "/var/lib/containers/storage/"};

static const char *const network_types[] = {"nfs",   "nfs4",      "cifs",  "smb3",   "ceph",
                                            "9p",    "afs",       "ncpfs", "lustre", "gfs2",
                                            "ocfs2", "glusterfs", "beegfs"};

static bool is_one_of(struct str text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(text, str_of(words[i])))
            return true;
    }
    return false;
}

static bool is_below(struct str point, const char *folder)
{
    size_t size = strlen(folder);

    return str_starts(point, str_of(folder)) && (point.size == size || point.data[size] == '/');
}

static bool is_left_out(struct str point, struct str type)
{
    if (is_one_of(type, types_left_out, ARRAY_COUNT(types_left_out)))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(points_left_out); i++) {
        if (is_below(point, points_left_out[i]))
            return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(storage_left_out); i++) {
        if (str_starts(point, str_of(storage_left_out[i])))
            return true;
    }
    return false;
}

static bool is_octal(const char *at)
{
    for (int i = 0; i < 3; i++) {
        if (at[i] < '0' || at[i] > '7')
            return false;
    }
    return true;
}

static char *unescape(struct str word)
{
    char *text = malloc(word.size + 1);
    size_t used = 0;

    if (text == NULL)
        must_memory(word.size + 1);
    for (size_t i = 0; i < word.size;) {
        const char *at = word.data + i;
        if (*at == '\\' && word.size - i >= 4 && is_octal(at + 1)) {
            text[used++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            i += 4;
        } else {
            text[used++] = *at;
            i++;
        }
    }
    text[used] = '\0';
    return text;
}

static void mount_done(struct mount *mount)
{
    free(mount->device);
    free(mount->type);
    free(mount->point);
}

void mounts_done(struct mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++)
        mount_done(&mounts->items[i]);
    free(mounts->items);
    *mounts = (struct mounts){0};
}

static bool is_known(const struct mounts *mounts, const struct mount *mount)
{
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *other = &mounts->items[i];
        if (strcmp(other->point, mount->point) == 0 && strcmp(other->device, mount->device) == 0 &&
            strcmp(other->type, mount->type) == 0)
            return true;
    }
    return false;
}

static bool has_option(struct str options, struct str wanted)
{
    while (options.data != NULL) {
        if (str_eq(str_split(&options, ','), wanted))
            return true;
    }
    return false;
}

static bool mount_parse(struct scan *line, struct mount *ret_mount)
{
    struct str device = scan_word(line);
    struct str point = scan_word(line);
    struct str type = scan_word(line);
    struct str options = scan_word(line);

    if (options.size == 0 || is_left_out(point, type))
        return false;
    *ret_mount = (struct mount){
        .device = unescape(device),
        .type = unescape(type),
        .point = unescape(point),
        .readonly = has_option(options, STR("ro")),
        .network = is_one_of(type, network_types, ARRAY_COUNT(network_types)) ||
                   str_starts(type, STR("fuse")),
    };
    return true;
}

void mounts_parse(struct mounts *mounts, struct str text)
{
    struct scan lines = scan_of(text);
    struct scan line;
    struct mount mount;

    mounts_done(mounts);
    while (mounts->count < MOUNTS_MAX && scan_line(&lines, &line)) {
        if (!mount_parse(&line, &mount))
            continue;
        if (is_known(mounts, &mount)) {
            mount_done(&mount);
            continue;
        }
        mounts->items = reallocarray(mounts->items, mounts->count + 1, sizeof(*mounts->items));
        if (mounts->items == NULL)
            must_memory(sizeof(*mounts->items));
        mounts->items[mounts->count++] = mount;
    }
}
