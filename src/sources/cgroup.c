/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - CPU, memory, I/O and tasks of each cgroup: services and containers, under cAdvisor's
 * names. The label id is the cgroup's path, "/system.slice/ssh.service".
 *
 * Version 2 has one tree and all files of a cgroup in one folder. Version 1 has a tree a
 * controller; each is walked by itself, and the rows meet under their id. What a tree does not have
 * is left out. Cgroups over the bound are counted by the table that turns them away, deepest last.
 */
#include "sources/source.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CPU_USAGE,
    CPU_USER,
    CPU_SYSTEM,
    CFS_PERIODS,
    CFS_THROTTLED_PERIODS,
    CFS_THROTTLED_SECONDS,
    MEMORY_USAGE,
    MEMORY_WORKING_SET,
    MEMORY_CACHE,
    MEMORY_RSS,
    MEMORY_SWAP,
    MEMORY_LIMIT,
    OOM_EVENTS,
    READS_BYTES,
    WRITES_BYTES,
    READS,
    WRITES,
    THREADS,
    THREADS_MAX,
    PRESSURE_CPU_WAITING,
    PRESSURE_MEMORY_WAITING,
    PRESSURE_MEMORY_STALLED,
    PRESSURE_IO_WAITING,
    PRESSURE_IO_STALLED,
    COLUMNS
};

enum { DEPTH_MAX = 8, HZ = 100 };

#define COUNTER(name, help)                                 \
    {                                                       \
        "container_" name, help, METRIC_COUNTER, NULL, NULL \
    }
#define GAUGE(name, help)                                 \
    {                                                     \
        "container_" name, help, METRIC_GAUGE, NULL, NULL \
    }

static const struct column columns[COLUMNS] = {
    [CPU_USAGE] = COUNTER("cpu_usage_seconds_total", "CPU time that the cgroup used."),
    [CPU_USER] = COUNTER("cpu_user_seconds_total", "CPU time of it in user mode."),
    [CPU_SYSTEM] = COUNTER("cpu_system_seconds_total", "CPU time of it in the kernel."),
    [CFS_PERIODS] = COUNTER("cpu_cfs_periods_total", "Periods in which a CPU quota was enforced."),
    [CFS_THROTTLED_PERIODS] = COUNTER("cpu_cfs_throttled_periods_total",
                                      "Periods in which the cgroup had to stop for its quota."),
    [CFS_THROTTLED_SECONDS] =
        COUNTER("cpu_cfs_throttled_seconds_total", "Time that it was stopped for its quota."),
    [MEMORY_USAGE] = GAUGE("memory_usage_bytes", "Memory in use, with caches."),
    [MEMORY_WORKING_SET] =
        GAUGE("memory_working_set_bytes", "Memory in use without file pages not used lately."),
    [MEMORY_CACHE] = GAUGE("memory_cache", "Bytes of files in memory."),
    [MEMORY_RSS] = GAUGE("memory_rss", "Bytes of anonymous memory."),
    [MEMORY_SWAP] = GAUGE("memory_swap", "Bytes in swap."),
    [MEMORY_LIMIT] = GAUGE("spec_memory_limit_bytes", "Memory limit; none: not there."),
    [OOM_EVENTS] = COUNTER("oom_events_total", "Processes killed for want of memory."),
    [READS_BYTES] = COUNTER("fs_reads_bytes_total", "Bytes read from disks."),
    [WRITES_BYTES] = COUNTER("fs_writes_bytes_total", "Bytes written to disks."),
    [READS] = COUNTER("fs_reads_total", "Reads from disks."),
    [WRITES] = COUNTER("fs_writes_total", "Writes to disks."),
    [THREADS] = GAUGE("threads", "Tasks in the cgroup."),
    [THREADS_MAX] = GAUGE("threads_max", "Limit of tasks; none: not there."),
    [PRESSURE_CPU_WAITING] =
        COUNTER("pressure_cpu_waiting_seconds_total", "Time that some task waited for a CPU."),
    [PRESSURE_MEMORY_WAITING] =
        COUNTER("pressure_memory_waiting_seconds_total", "Time that some task waited for memory."),
    [PRESSURE_MEMORY_STALLED] =
        COUNTER("pressure_memory_stalled_seconds_total", "Time that all tasks waited for memory."),
    [PRESSURE_IO_WAITING] =
        COUNTER("pressure_io_waiting_seconds_total", "Time that some task waited for I/O."),
    [PRESSURE_IO_STALLED] =
        COUNTER("pressure_io_stalled_seconds_total", "Time that all tasks waited for I/O."),
};
static const char *const keys[] = {"id"};

/* One cgroup while it is read. */
struct cgroup {
    struct source *source;
    const char *tree; /* "sys/fs/cgroup/memory" */
    const char *path; /* Below the tree: "" or "/system.slice". */
    struct row *row;
};

typedef void (*take_cgroup)(struct cgroup *cgroup);

static enum err cgroup_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, COLUMNS, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static bool read_file(struct cgroup *cgroup, const char *name, struct scan *ret_text)
{
    return source_read(cgroup->source, ret_text, NULL, "%s%s/%s", cgroup->tree, cgroup->path,
                       name) == ERR_NONE;
}

/* A file that holds one number, or "max", which is none. */
static void take_number(struct cgroup *cgroup, const char *name, size_t column, double scale)
{
    struct scan text;
    uint64_t value;

    if (read_file(cgroup, name, &text) && scan_u64(&text, &value))
        row_set(cgroup->row, column, (double)value * scale);
}

struct word {
    const char *word;
    size_t column;
    double scale;
};

/* A file of lines "word number". */
static void take_words(struct cgroup *cgroup, const char *name, const struct word *words,
                       size_t count)
{
    struct scan text;
    struct scan line;
    uint64_t value;

    if (!read_file(cgroup, name, &text))
        return;
    while (scan_line(&text, &line)) {
        struct str word = scan_word(&line);
        for (size_t i = 0; i < count; i++) {
            if (str_eq(word, str_of(words[i].word)) && scan_u64(&line, &value))
                row_set(cgroup->row, words[i].column, (double)value * words[i].scale);
        }
    }
}

/* Memory in use less the file pages that nobody touched lately, as Kubernetes reckons. */
static void take_working_set(struct cgroup *cgroup, const char *inactive_word)
{
    const struct word word = {inactive_word, MEMORY_WORKING_SET, 1};
    struct cell *usage = cgroup->row == NULL ? NULL : &cgroup->row->cells[MEMORY_USAGE];

    if (usage == NULL || !usage->set)
        return;
    take_words(cgroup, "memory.stat", &word, 1);
    struct cell *inactive = &cgroup->row->cells[MEMORY_WORKING_SET];
    if (inactive->set)
        row_set(cgroup->row, MEMORY_WORKING_SET,
                usage->value > inactive->value ? usage->value - inactive->value : 0);
}

/* A limit of a page short of 2^63 means none. */
static void take_limit(struct cgroup *cgroup, const char *name, size_t column)
{
    struct scan text;
    uint64_t value;

    if (read_file(cgroup, name, &text) && scan_u64(&text, &value) && value < UINT64_C(1) << 62)
        row_set(cgroup->row, column, (double)value);
}

/* ---- Version 2. ---- */

static void take_pressure(struct cgroup *cgroup, const char *name, size_t some, size_t full)
{
    struct scan text;
    struct scan line;
    uint64_t total_us;

    if (!read_file(cgroup, name, &text))
        return;
    while (scan_line(&text, &line)) {
        size_t column = scan_skip(&line, STR("some ")) ? some : full;
        ptrdiff_t at = str_find_str(scan_rest(&line), STR("total="));
        if (at < 0 || column == COLUMNS)
            continue;
        line.at += at + 6;
        if (scan_u64(&line, &total_us))
            row_set(cgroup->row, column, (double)total_us / 1e6);
    }
}

/* "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=…", a line a device. */
static void take_io_stat(struct cgroup *cgroup)
{
    static const struct word words[] = {{"rbytes=", READS_BYTES, 1},
                                        {"wbytes=", WRITES_BYTES, 1},
                                        {"rios=", READS, 1},
                                        {"wios=", WRITES, 1}};
    double sums[COLUMNS] = {0};
    struct scan text;
    struct scan line;
    uint64_t value;

    if (!read_file(cgroup, "io.stat", &text))
        return;
    while (scan_line(&text, &line)) {
        for (struct str word = scan_word(&line); word.size > 0; word = scan_word(&line)) {
            struct scan part = scan_of(word);
            for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
                if (scan_skip(&part, str_of(words[i].word)) && scan_u64(&part, &value))
                    sums[words[i].column] += (double)value;
            }
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        row_set(cgroup->row, words[i].column, sums[words[i].column]);
}

static void take_unified(struct cgroup *cgroup)
{
    static const struct word cpu[] = {
        {"usage_usec", CPU_USAGE, 1e-6},
        {"user_usec", CPU_USER, 1e-6},
        {"system_usec", CPU_SYSTEM, 1e-6},
        {"nr_periods", CFS_PERIODS, 1},
        {"nr_throttled", CFS_THROTTLED_PERIODS, 1},
        {"throttled_usec", CFS_THROTTLED_SECONDS, 1e-6},
    };
    static const struct word memory[] = {{"file", MEMORY_CACHE, 1}, {"anon", MEMORY_RSS, 1}};
    static const struct word events[] = {{"oom_kill", OOM_EVENTS, 1}};

    take_words(cgroup, "cpu.stat", cpu, ARRAY_COUNT(cpu));
    take_number(cgroup, "memory.current", MEMORY_USAGE, 1);
    take_words(cgroup, "memory.stat", memory, ARRAY_COUNT(memory));
    take_working_set(cgroup, "inactive_file");
    take_number(cgroup, "memory.swap.current", MEMORY_SWAP, 1);
    take_limit(cgroup, "memory.max", MEMORY_LIMIT);
    take_words(cgroup, "memory.events", events, ARRAY_COUNT(events));
    take_io_stat(cgroup);
    take_number(cgroup, "pids.current", THREADS, 1);
    take_limit(cgroup, "pids.max", THREADS_MAX);
    take_pressure(cgroup, "cpu.pressure", PRESSURE_CPU_WAITING, COLUMNS);
    take_pressure(cgroup, "memory.pressure", PRESSURE_MEMORY_WAITING, PRESSURE_MEMORY_STALLED);
    take_pressure(cgroup, "io.pressure", PRESSURE_IO_WAITING, PRESSURE_IO_STALLED);
}

/* ---- Version 1, a controller each. ---- */

static void take_cpu(struct cgroup *cgroup)
{
    static const struct word words[] = {
        {"nr_periods", CFS_PERIODS, 1},
        {"nr_throttled", CFS_THROTTLED_PERIODS, 1},
        {"throttled_time", CFS_THROTTLED_SECONDS, 1e-9},
    };

    take_words(cgroup, "cpu.stat", words, ARRAY_COUNT(words));
}

static void take_cpuacct(struct cgroup *cgroup)
{
    static const struct word words[] = {{"user", CPU_USER, 1.0 / HZ},
                                        {"system", CPU_SYSTEM, 1.0 / HZ}};

    take_number(cgroup, "cpuacct.usage", CPU_USAGE, 1e-9);
    take_words(cgroup, "cpuacct.stat", words, ARRAY_COUNT(words));
}

static void take_memory(struct cgroup *cgroup)
{
    static const struct word words[] = {{"total_cache", MEMORY_CACHE, 1},
                                        {"total_rss", MEMORY_RSS, 1},
                                        {"total_swap", MEMORY_SWAP, 1}};
    static const struct word events[] = {{"oom_kill", OOM_EVENTS, 1}};

    take_number(cgroup, "memory.usage_in_bytes", MEMORY_USAGE, 1);
    take_words(cgroup, "memory.stat", words, ARRAY_COUNT(words));
    take_working_set(cgroup, "total_inactive_file");
    take_limit(cgroup, "memory.limit_in_bytes", MEMORY_LIMIT);
    take_words(cgroup, "memory.oom_control", events, ARRAY_COUNT(events));
}

/* "254:0 Read 4096", the device's sum in a line "Total 8192" at the end. */
static void take_blkio_file(struct cgroup *cgroup, const char *name, size_t reads, size_t writes)
{
    double sums[2] = {0};
    struct scan text;
    struct scan line;
    uint64_t value;

    if (!read_file(cgroup, name, &text))
        return;
    while (scan_line(&text, &line)) {
        (void)scan_word(&line); /* The device; all are summed. */
        struct str word = scan_word(&line);
        bool read = str_eq(word, STR("Read"));
        if ((read || str_eq(word, STR("Write"))) && scan_u64(&line, &value))
            sums[!read] += (double)value;
    }
    row_set(cgroup->row, reads, sums[0]);
    row_set(cgroup->row, writes, sums[1]);
}

static void take_blkio(struct cgroup *cgroup)
{
    take_blkio_file(cgroup, "blkio.throttle.io_service_bytes", READS_BYTES, WRITES_BYTES);
    take_blkio_file(cgroup, "blkio.throttle.io_serviced", READS, WRITES);
}

static void take_pids(struct cgroup *cgroup)
{
    take_number(cgroup, "pids.current", THREADS, 1);
    take_limit(cgroup, "pids.max", THREADS_MAX);
}

static const struct {
    const char *controller;
    take_cgroup take;
} controllers[] = {
    {"cpu", take_cpu},     {"cpuacct", take_cpuacct}, {"memory", take_memory},
    {"blkio", take_blkio}, {"pids", take_pids},
};

/* ---- The walk. ---- */

struct walk {
    struct source *source;
    const char *tree;
    take_cgroup take;
    size_t left; /* Cgroups that may still be told. */
};

static void walk_below(struct walk *walk, const char *path, int depth);

static void visit(struct walk *walk, const char *path, int depth)
{
    struct str id = path[0] == '\0' ? STR("/") : str_of(path);

    if (walk->left == 0 || !str_is_utf8(id))
        return;
    walk->left--;
    struct cgroup cgroup = {walk->source, walk->tree, path,
                            table_row(walk->source->tables[0], &id)};
    walk->take(&cgroup);
    if (depth < DEPTH_MAX)
        walk_below(walk, path, depth + 1);
}

static void walk_below(struct walk *walk, const char *path, int depth)
{
    char full[PATH_MAX];
    char child[PATH_MAX];

    int size = snprintf(full, sizeof(full), "%s%s%s", walk->source->options->paths.sys,
                        walk->tree + strlen("sys"), path);
    DIR *folder = size < 0 || size >= PATH_MAX ? NULL : opendir(full);
    if (folder == NULL)
        return; /* Gone meanwhile. */
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        size = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        if (size > 0 && size < PATH_MAX)
            visit(walk, child, depth);
    }
    (void)closedir(folder); /* Nothing was written. */
}

static enum err cgroup_collect(struct source *source, struct batch *out, struct why *why)
{
    struct walk walk = {.source = source, .left = source->options->cgroups_max};
    char tree[64];
    int64_t ignored;
    struct source_text text;
    bool any = false;

    if (source_read_text(source, &text, "sys/fs/cgroup/cgroup.controllers")) {
        walk.tree = "sys/fs/cgroup";
        walk.take = take_unified;
        visit(&walk, "", 0);
        return ERR_NONE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(controllers); i++) {
        (void)snprintf(tree, sizeof(tree), "sys/fs/cgroup/%s", controllers[i].controller);
        if (!source_read_i64(source, &ignored, "%s/cgroup.clone_children", tree))
            continue;
        any = true;
        walk.tree = tree;
        walk.take = controllers[i].take;
        walk.left = source->options->cgroups_max;
        visit(&walk, "", 0);
    }
    return any ? ERR_NONE : fail(why, ERR_UNSUPPORTED, "no cgroups are mounted at /sys/fs/cgroup");
}

const struct source_kind source_cgroup = {
    .name = "cgroup",
    .summary = "CPU, memory, I/O and tasks of each service and container.",
    .period_ms = 5000,
    .open = cgroup_open,
    .collect = cgroup_collect,
};
