/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/<pid>/stat is one line; the name stands in brackets and may hold brackets and blanks
 * itself, so the fields are counted from the last ')':
 *
 *   1 pid  2 (name)  3 state  4 ppid  9 flags  10 minflt  12 majflt  14 utime  15 stime
 *   20 num_threads  22 starttime  23 vsize  24 rss (pages) */
#include "sources/process_read.h"

#include "base/file.h"
#include "sources/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STAT_FIELDS = 24,
    FILE_BYTES = 64 * 1024,
    PATH_BYTES = 64,
    KERNEL_THREAD = 0x00200000, /* PF_KTHREAD of the kernel's sched.h. */
};

static bool read_at(struct process_reader *reader, pid_t pid, const char *name, struct str *ret)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
    int fd CLEANUP(file_closep) = openat(reader->proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    buf_clear(&reader->scratch);
    while (reader->scratch.size < FILE_BYTES) {
        char *room = buf_reserve(&reader->scratch, 4096);
        ssize_t size = read(fd, room, 4096);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        reader->scratch.size += (size_t)size;
        if (size < 2048) /* These files come in one piece; only long ones need another look. */
            break;
    }
    *ret = buf_view(&reader->scratch);
    return ret->size > 0;
}

static double read_boot_time(int proc_fd)
{
    int fd CLEANUP(file_closep) = openat(proc_fd, "stat", O_RDONLY | O_CLOEXEC);
    struct buf text CLEANUP(buf_done) = {0};
    struct scan lines;
    struct scan line;
    uint64_t seconds;

    if (fd < 0 || file_read_fd(fd, "/proc/stat", 8u << 20, &text, NULL) != ERR_NONE)
        return NAN;
    lines = scan_of(buf_view(&text));
    while (scan_line(&lines, &line)) {
        if (scan_skip(&line, STR("btime ")) && scan_u64(&line, &seconds))
            return (double)seconds;
    }
    return NAN;
}

enum err process_reader_init(struct process_reader *reader, const char *proc_path, struct why *why)
{
    *reader = (struct process_reader){.proc_fd = -1};
    reader->proc_fd = open(proc_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->proc_fd < 0)
        return fail(why, ERR_UNSUPPORTED, "%s is not here", proc_path);
    reader->tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
    reader->page_bytes = (double)sysconf(_SC_PAGESIZE);
    reader->boot_s = read_boot_time(reader->proc_fd);
    return ERR_NONE;
}

void process_reader_done(struct process_reader *reader)
{
    file_closep(&reader->proc_fd);
    buf_done(&reader->scratch);
}

/* Bytes that are no UTF-8 would be refused as a label further on. */
static void copy_name(char *name, struct str text)
{
    size_t size = text.size < PROCESS_NAME_BYTES - 1 ? text.size : PROCESS_NAME_BYTES - 1;

    memcpy(name, text.data, size);
    name[size] = '\0';
    if (str_is_utf8((struct str){name, size}))
        return;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)name[i] >= 0x80)
            name[i] = '?';
    }
}

bool process_parse_stat(const struct process_reader *reader, struct str text,
                        struct process_entry *process)
{
    uint64_t field[STAT_FIELDS + 1] = {0};
    const char *open = memchr(text.data, '(', text.size);
    const char *close = memrchr(text.data, ')', text.size);
    char name[PROCESS_NAME_BYTES];

    if (open == NULL || close == NULL || close < open)
        return false;
    struct scan scan = {close + 1, text.data + text.size};
    struct str state = scan_word(&scan);
    if (state.size != 1)
        return false;
    for (int i = 4; i <= STAT_FIELDS; i++) {
        int64_t value;
        if (!scan_i64(&scan, &value))
            return false;
        field[i] = (uint64_t)value;
    }
    copy_name(name, (struct str){open + 1, (size_t)(close - open - 1)});
    process->renamed = strcmp(name, process->name) != 0;
    memcpy(process->name, name, sizeof(name));
    process->state = state.data[0];
    process->ppid = (pid_t)field[4];
    process->kernel = (field[9] & KERNEL_THREAD) != 0;
    process->counters.minor_faults = (double)field[10];
    process->counters.major_faults = (double)field[12];
    process->counters.user_s = (double)field[14] * reader->tick_s;
    process->counters.system_s = (double)field[15] * reader->tick_s;
    process->threads = (double)field[20];
    process->start_ticks = field[22];
    process->start_time_s = reader->boot_s + (double)field[22] * reader->tick_s;
    process->vms_bytes = (double)field[23];
    process->rss_bytes = (double)field[24] * reader->page_bytes;
    return true;
}

bool process_read_stat(struct process_reader *reader, struct process_entry *process)
{
    struct str text;

    return read_at(reader, process->pid, "stat", &text) &&
           process_parse_stat(reader, text, process);
}

static void take_status(struct process_entry *process, struct scan lines)
{
    struct scan line;
    uint64_t value;

    while (scan_line(&lines, &line)) {
        if (scan_skip(&line, STR("Uid:")) && scan_u64(&line, &value))
            process->uid = (uint32_t)value;
        else if (scan_skip(&line, STR("VmSwap:")) && scan_u64(&line, &value))
            process->swap_bytes = (double)value * 1024;
        else if (scan_skip(&line, STR("voluntary_ctxt_switches:")) && scan_u64(&line, &value))
            process->counters.voluntary_switches = (double)value;
        else if (scan_skip(&line, STR("nonvoluntary_ctxt_switches:")) && scan_u64(&line, &value))
            process->counters.nonvoluntary_switches = (double)value;
    }
}

static void take_io(struct process_entry *process, struct scan lines)
{
    struct scan line;
    uint64_t value;

    while (scan_line(&lines, &line)) {
        if (scan_skip(&line, STR("read_bytes:")) && scan_u64(&line, &value))
            process->counters.read_bytes = (double)value;
        else if (scan_skip(&line, STR("write_bytes:")) && scan_u64(&line, &value))
            process->counters.written_bytes = (double)value;
    }
}

/* Since Linux 6.2 the size of /proc/<pid>/fd is the count; before, its names have to be counted. */
static double count_fds(struct process_reader *reader, pid_t pid)
{
    char path[PATH_BYTES];
    struct stat info;
    double count = 0;

    (void)snprintf(path, sizeof(path), "%d/fd", (int)pid);
    int fd = openat(reader->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NAN;
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        (void)close(fd); /* Nothing was written. */
        return (double)info.st_size;
    }
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        (void)close(fd); /* As above. */
        return NAN;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    (void)closedir(folder); /* As above. */
    return count;
}

void process_read_details(struct process_reader *reader, struct process_entry *process)
{
    struct str text;

    if (read_at(reader, process->pid, "status", &text))
        take_status(process, scan_of(text));
    if (process->kernel)
        return;
    if (read_at(reader, process->pid, "io", &text))
        take_io(process, scan_of(text));
    process->fds = count_fds(reader, process->pid);
}

void process_read_limits(struct process_reader *reader, struct process_entry *process)
{
    struct str text;
    struct scan line;
    uint64_t value;

    process->fds_limit = NAN;
    if (process->kernel || !read_at(reader, process->pid, "limits", &text))
        return;
    struct scan lines = scan_of(text);
    while (scan_line(&lines, &line)) {
        if (scan_skip(&line, STR("Max open files")) && scan_u64(&line, &value))
            process->fds_limit = (double)value;
    }
}

void process_read_command(struct process_reader *reader, struct process_entry *process)
{
    struct str text = STR("");

    if (!process->kernel && !read_at(reader, process->pid, "cmdline", &text))
        text = STR("");
    size_t size = text.size < PROCESS_COMMAND_BYTES ? text.size : PROCESS_COMMAND_BYTES;
    free(process->command);
    process->command = malloc(size + 1);
    if (process->command == NULL)
        must_memory(size + 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        process->command[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c; /* NUL parts the words. */
    }
    while (size > 0 && process->command[size - 1] == ' ')
        size--;
    process->command[size] = '\0';
}

double process_read_pss(struct process_reader *reader, pid_t pid)
{
    struct str text;
    struct scan line;
    uint64_t value;

    if (!read_at(reader, pid, "smaps_rollup", &text))
        return NAN;
    struct scan lines = scan_of(text);
    while (scan_line(&lines, &line)) {
        if (scan_skip(&line, STR("Pss:")) && scan_u64(&line, &value))
            return (double)value * 1024;
    }
    return NAN;
}
