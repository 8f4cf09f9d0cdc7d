/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - processes by group, under process-exporter's names.
 *
 * A group is all processes of one name; kernel threads are one group. Its counters add up what its
 * members used since they were first seen (all they ever used, for those already there when sonde
 * started), so they do not fall when a member ends. A member that changes its name takes what it
 * used before along in no group's counters but those of the old one. Groups over the bound are
 * counted in the group "other". A group without members stays for a while with zero of them, so
 * that what is restarted goes on where it was. */
#include "base/clock.h"
#include "base/map.h"
#include "sources/process_table.h"
#include "sources/source.h"

#include <stdlib.h>

#define EMPTY_NS (600 * CLOCK_NS_PER_S) /* How long a group without members is kept. */
#define OTHER    "other"

enum {
    PROCS,
    CPU_USER,
    CPU_SYSTEM,
    MEMORY_RESIDENT,
    MEMORY_VIRTUAL,
    MEMORY_SWAPPED,
    THREADS,
    OPEN_FDS,
    WORST_FD_RATIO,
    SWITCHES_VOLUNTARY,
    SWITCHES_NONVOLUNTARY,
    READ_BYTES,
    WRITE_BYTES,
    FAULTS_MAJOR,
    FAULTS_MINOR,
    OLDEST_START,
    STATE_RUNNING,
    STATE_SLEEPING,
    STATE_WAITING,
    STATE_ZOMBIE,
    STATE_OTHER,
    COLUMNS
};

#define GROUP(name) "namedprocess_namegroup_" name

static const struct column columns[COLUMNS] = {
    [PROCS] = {GROUP("num_procs"), "number of processes in this group", METRIC_GAUGE, NULL, NULL},
    [CPU_USER] = {GROUP("cpu_seconds_total"), "Cpu user usage in seconds", METRIC_COUNTER, "mode",
                  "user"},
    [CPU_SYSTEM] = {GROUP("cpu_seconds_total"), "Cpu user usage in seconds", METRIC_COUNTER, "mode",
                    "system"},
    [MEMORY_RESIDENT] = {GROUP("memory_bytes"), "number of bytes of memory in use", METRIC_GAUGE,
                         "memtype", "resident"},
    [MEMORY_VIRTUAL] = {GROUP("memory_bytes"), "number of bytes of memory in use", METRIC_GAUGE,
                        "memtype", "virtual"},
    [MEMORY_SWAPPED] = {GROUP("memory_bytes"), "number of bytes of memory in use", METRIC_GAUGE,
                        "memtype", "swapped"},
    [THREADS] = {GROUP("num_threads"), "Number of threads", METRIC_GAUGE, NULL, NULL},
    [OPEN_FDS] = {GROUP("open_filedesc"), "number of open file descriptors for this group",
                  METRIC_GAUGE, NULL, NULL},
    [WORST_FD_RATIO] = {GROUP("worst_fd_ratio"),
                        "the worst (closest to 1) ratio between open fds and max fds among all "
                        "procs in this group",
                        METRIC_GAUGE, NULL, NULL},
    [SWITCHES_VOLUNTARY] = {GROUP("context_switches_total"), "Context switches", METRIC_COUNTER,
                            "ctxswitchtype", "voluntary"},
    [SWITCHES_NONVOLUNTARY] = {GROUP("context_switches_total"), "Context switches", METRIC_COUNTER,
                               "ctxswitchtype", "nonvoluntary"},
    [READ_BYTES] = {GROUP("read_bytes_total"), "number of bytes read by this group", METRIC_COUNTER,
                    NULL, NULL},
    [WRITE_BYTES] = {GROUP("write_bytes_total"), "number of bytes written by this group",
                     METRIC_COUNTER, NULL, NULL},
    [FAULTS_MAJOR] = {GROUP("major_page_faults_total"), "Major page faults", METRIC_COUNTER, NULL,
                      NULL},
    [FAULTS_MINOR] = {GROUP("minor_page_faults_total"), "Minor page faults", METRIC_COUNTER, NULL,
                      NULL},
    [OLDEST_START] = {GROUP("oldest_start_time_seconds"),
                      "start time in seconds since 1970/01/01 of oldest process in group",
                      METRIC_GAUGE, NULL, NULL},
    [STATE_RUNNING] = {GROUP("states"),
                       "Number of processes in states Running, Sleeping, Waiting, "
                       "Zombie, or Other",
                       METRIC_GAUGE, "state", "Running"},
    [STATE_SLEEPING] = {GROUP("states"),
                        "Number of processes in states Running, Sleeping, Waiting, "
                        "Zombie, or Other",
                        METRIC_GAUGE, "state", "Sleeping"},
    [STATE_WAITING] = {GROUP("states"),
                       "Number of processes in states Running, Sleeping, Waiting, "
                       "Zombie, or Other",
                       METRIC_GAUGE, "state", "Waiting"},
    [STATE_ZOMBIE] = {GROUP("states"),
                      "Number of processes in states Running, Sleeping, Waiting, "
                      "Zombie, or Other",
                      METRIC_GAUGE, "state", "Zombie"},
    [STATE_OTHER] = {GROUP("states"),
                     "Number of processes in states Running, Sleeping, Waiting, "
                     "Zombie, or Other",
                     METRIC_GAUGE, "state", "Other"},
};
static const char *const keys[] = {"groupname"};

struct group {
    char name[PROCESS_NAME_BYTES];
    double value[COLUMNS];
    bool counted[COLUMNS]; /* Some member could tell. */
    int64_t seen_ns;       /* When it last had a member. */
};

struct groups {
    struct group **items;
    size_t count;
    size_t max;
    struct map by_name;
    struct group other;
    int64_t now_ns;
};

static enum err process_open(struct source *source, struct why *why)
{
    if (source->options->processes == NULL)
        return fail(why, ERR_UNSUPPORTED, "there is no table of processes");
    struct groups *groups = calloc(1, sizeof(*groups));
    if (groups == NULL)
        must_memory(sizeof(*groups));
    groups->max = source->options->groups_max;
    groups->items = calloc(groups->max == 0 ? 1 : groups->max, sizeof(struct group *));
    if (groups->items == NULL)
        must_memory(groups->max * sizeof(struct group *));
    memcpy(groups->other.name, OTHER, sizeof(OTHER));
    source->state = groups;
    (void)source_table(source, columns, COLUMNS, keys, ARRAY_COUNT(keys)); /* tables[0] */
    return ERR_NONE;
}

static void process_close(struct source *source)
{
    struct groups *groups = source->state;

    if (groups == NULL)
        return;
    for (size_t i = 0; i < groups->count; i++)
        free(groups->items[i]);
    free(groups->items);
    map_done(&groups->by_name);
    free(groups);
}

static struct group *group_of(struct groups *groups, struct str name)
{
    struct group *group = map_get(&groups->by_name, name);

    if (group != NULL)
        return group;
    if (groups->count == groups->max)
        return &groups->other;
    group = calloc(1, sizeof(*group));
    if (group == NULL)
        must_memory(sizeof(*group));
    memcpy(group->name, name.data, name.size);
    groups->items[groups->count++] = group;
    (void)map_put(&groups->by_name, str_of(group->name), group); /* Was not there. */
    return group;
}

static void add(struct group *group, size_t column, double value)
{
    if (isnan(value))
        return;
    group->value[column] += value;
    group->counted[column] = true;
}

/* Adds what a counter gained. Its first reading is the gain when `whole` says so; a reading that
 * fell (another process under the same pid was met between) gains nothing. */
static void gain(struct group *group, size_t column, double now, double before, bool whole)
{
    if (isnan(now))
        return;
    if (whole)
        add(group, column, now);
    else
        add(group, column, isnan(before) || now < before ? 0 : now - before);
}

static size_t state_column(char state)
{
    switch (state) {
    case 'R':
        return STATE_RUNNING;
    case 'S':
    case 'I': /* An idle kernel thread. */
        return STATE_SLEEPING;
    case 'D':
        return STATE_WAITING;
    case 'Z':
        return STATE_ZOMBIE;
    default:
        return STATE_OTHER;
    }
}

static void gain_all(struct group *group, const struct process_entry *process, bool whole)
{
    const struct process_counters *now = &process->counters;
    const struct process_counters *before = &process->before;

    gain(group, CPU_USER, now->user_s, before->user_s, whole);
    gain(group, CPU_SYSTEM, now->system_s, before->system_s, whole);
    gain(group, SWITCHES_VOLUNTARY, now->voluntary_switches, before->voluntary_switches, whole);
    gain(group, SWITCHES_NONVOLUNTARY, now->nonvoluntary_switches, before->nonvoluntary_switches,
         whole);
    gain(group, READ_BYTES, now->read_bytes, before->read_bytes, whole);
    gain(group, WRITE_BYTES, now->written_bytes, before->written_bytes, whole);
    gain(group, FAULTS_MAJOR, now->major_faults, before->major_faults, whole);
    gain(group, FAULTS_MINOR, now->minor_faults, before->minor_faults, whole);
}

static void visit(void *self, const struct process_entry *process)
{
    struct groups *groups = self;
    struct group *group = group_of(groups, process_group(process));

    group->seen_ns = groups->now_ns;
    add(group, PROCS, 1);
    add(group, MEMORY_RESIDENT, process->rss_bytes);
    add(group, MEMORY_VIRTUAL, process->vms_bytes);
    add(group, MEMORY_SWAPPED, process->swap_bytes);
    add(group, THREADS, process->threads);
    add(group, OPEN_FDS, process->fds);
    add(group, state_column(process->state), 1);
    if (!isnan(process->fds) && process->fds_limit > 0) {
        double ratio = process->fds / process->fds_limit;
        if (ratio > group->value[WORST_FD_RATIO])
            group->value[WORST_FD_RATIO] = ratio;
        group->counted[WORST_FD_RATIO] = true;
    }
    if (group->value[OLDEST_START] == 0 || process->start_time_s < group->value[OLDEST_START])
        group->value[OLDEST_START] = process->start_time_s;
    gain_all(group, process, process->fresh && process->whole);
}

static bool is_counter(size_t column)
{
    return columns[column].kind == METRIC_COUNTER;
}

/* Gauges start from nothing at each look; counters go on. */
static void start_round(struct group *group)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        if (is_counter(i))
            continue;
        group->value[i] = 0;
        group->counted[i] = i >= STATE_RUNNING || i == PROCS || i == THREADS ||
                            i == MEMORY_RESIDENT || i == MEMORY_VIRTUAL || i == OLDEST_START;
    }
}

static void tell(struct source *source, const struct group *group)
{
    struct str name = str_of(group->name);
    struct row *row = table_row(source->tables[0], &name);

    for (size_t i = 0; i < COLUMNS; i++) {
        if (group->counted[i])
            row_set(row, i, group->value[i]);
    }
}

static void drop_empty(struct groups *groups)
{
    size_t kept = 0;

    for (size_t i = 0; i < groups->count; i++) {
        struct group *group = groups->items[i];
        if (groups->now_ns - group->seen_ns < EMPTY_NS) {
            groups->items[kept++] = group;
            continue;
        }
        (void)map_remove(&groups->by_name, str_of(group->name)); /* It is the group. */
        free(group);
    }
    groups->count = kept;
}

static enum err process_collect(struct source *source, struct batch *out, struct why *why)
{
    struct groups *groups = source->state;

    TRY(process_table_refresh(source->options->processes, why));
    groups->now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < groups->count; i++)
        start_round(groups->items[i]);
    start_round(&groups->other);
    process_table_each(source->options->processes, visit, groups);
    drop_empty(groups);
    for (size_t i = 0; i < groups->count; i++)
        tell(source, groups->items[i]);
    if (groups->other.seen_ns != 0)
        tell(source, &groups->other);
    return ERR_NONE;
}

const struct source_kind source_process = {
    .name = "process",
    .summary = "Processes by name: CPU, memory, threads, descriptors, I/O.",
    .open = process_open,
    .collect = process_collect,
    .close = process_close,
};
