/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/tcp names the inode of the listening socket; the process that has a descriptor of that
 * inode is its owner. */
#include "cli/port_owner.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TABLE_BYTES_MAX = 16 << 20,
    STATE_LISTEN = 0x0a,
    LINK_BYTES = 64,
};

/* "  0: 0100007F:1B9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 …" */
static unsigned long inode_in_table(const char *path, uint16_t port)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (file_read(path, TABLE_BYTES_MAX, &text, NULL) != ERR_NONE)
        return 0;
    for (char *line = strchr(buf_cstr(&text), '\n'); line != NULL; line = strchr(line + 1, '\n')) {
        unsigned local_port, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %lu", &local_port,
                   &state, &inode) == 3 &&
            state == STATE_LISTEN && local_port == port)
            return inode;
    }
    return 0;
}

static bool has_descriptor(const char *pid, const char *link_wanted)
{
    char path[300];
    char link[LINK_BYTES];
    bool found = false;
    struct dirent *entry;

    (void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    while (!found && (entry = readdir(folder)) != NULL) {
        ssize_t size = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);
        if (size <= 0)
            continue;
        link[size] = '\0';
        found = strcmp(link, link_wanted) == 0;
    }
    (void)closedir(folder); /* Only read from. */
    return found;
}

static void read_name(const char *pid, char name[PORT_OWNER_NAME_BYTES])
{
    struct buf text CLEANUP(buf_done) = {0};
    char path[300];

    (void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    (void)snprintf(name, PORT_OWNER_NAME_BYTES, "?");
    if (file_read(path, PORT_OWNER_NAME_BYTES, &text, NULL) == ERR_NONE) {
        struct str trimmed = str_trim(buf_view(&text));
        (void)snprintf(name, PORT_OWNER_NAME_BYTES, "%.*s", STR_ARG(trimmed));
    }
}

bool port_owner_find(uint16_t port, pid_t *ret_pid, char name[PORT_OWNER_NAME_BYTES])
{
    char link_wanted[LINK_BYTES];
    bool found = false;
    struct dirent *entry;

    unsigned long inode = inode_in_table("/proc/net/tcp", port);
    if (inode == 0)
        inode = inode_in_table("/proc/net/tcp6", port);
    DIR *proc = inode == 0 ? NULL : opendir("/proc");
    if (proc == NULL)
        return false;
    (void)snprintf(link_wanted, sizeof(link_wanted), "socket:[%lu]", inode);
    while (!found && (entry = readdir(proc)) != NULL) {
        int64_t pid;
        if (!str_to_i64(str_of(entry->d_name), &pid) || !has_descriptor(entry->d_name, link_wanted))
            continue;
        found = true;
        *ret_pid = (pid_t)pid;
        read_name(entry->d_name, name);
    }
    (void)closedir(proc); /* Only read from. */
    return found;
}
