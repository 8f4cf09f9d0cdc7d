/* SPDX-License-Identifier: Apache-2.0 */
/* process_table - the processes of this machine, looked at again and again.
 *
 * A refresh reads /proc/<pid>/stat of every process; what costs more (I/O, context switches, swap,
 * descriptors) is read again only for those that used CPU time since, and for the others now and
 * then. Kernel threads are looked at every few seconds. Sizes of private memory (PSS) make the
 * kernel walk page tables, so they are read on demand only.
 *
 * The sampler refreshes; any thread may read rows: a lock guards both. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <math.h>
#include <stdbool.h>
#include <sys/types.h>

#define PROCESSES_MAX         32768 /* Followed at once; further ones are counted only. */
#define PROCESS_NAME_BYTES    16    /* As the kernel keeps it, with NUL. */
#define PROCESS_COMMAND_BYTES 512   /* Of the command line; the rest is cut. */
#define PROCESS_KERNEL_GROUP  "kernel"

/* What a process counts since it started. Unknown to us: NAN. */
struct process_counters {
    double user_s;
    double system_s;
    double minor_faults;
    double major_faults;
    double voluntary_switches;
    double nonvoluntary_switches;
    double read_bytes;
    double written_bytes;
};

struct process_entry {
    pid_t pid;
    pid_t ppid;
    uint64_t start_ticks; /* With pid: its identity. */
    uint32_t uid;
    bool kernel;
    char state; /* As in /proc: R S D Z T … */
    char name[PROCESS_NAME_BYTES];
    char *command; /* Of PROCESS_COMMAND_BYTES at most; "" for kernel threads. */
    struct process_counters counters;
    struct process_counters before; /* At the last refresh that could tell. */
    double threads;
    double rss_bytes;
    double vms_bytes;
    double swap_bytes; /* NAN: unknown. */
    double fds;        /* NAN: not permitted. */
    double fds_limit;  /* NAN: unknown. */
    double cpu_percent;
    double voluntary_per_s;
    double nonvoluntary_per_s;
    double read_per_s;
    double written_per_s;
    double start_time_s; /* Since 1970. */
    bool fresh;          /* First seen at this refresh. */
    bool whole;          /* All that it counted is news: it started since the one before, or this
                          * was the first refresh of all. */
    bool renamed;        /* Its name is another than at the refresh before. */

    int64_t stat_ns; /* When these were last read: monotonic. */
    int64_t detail_ns;
    int64_t limits_ns;
    int64_t rates_ns;    /* What the per-second figures are measured from. */
    double detail_cpu_s; /* CPU time when the details were read. */
    struct process_counters rates_from;
    uint32_t round;
};

struct process_table;

struct process_table *process_table_new(const char *proc_path, const char *root_path);
struct process_table *process_table_free(struct process_table *table); /* Returns NULL. */

/* Looks at all processes once. ERR_UNSUPPORTED: /proc is not there. */
CHECKED enum err process_table_refresh(struct process_table *table, struct why *why);

/* Calls visit for every process while holding the lock: be brief. dead ones are not visited. */
void process_table_each(struct process_table *table,
                        void (*visit)(void *self, const struct process_entry *process), void *self);

/* How many there are; and how many were not followed for want of room, at the last refresh. */
size_t process_table_count(struct process_table *table, size_t *ret_refused);

enum process_sort {
    PROCESS_BY_CPU,
    PROCESS_BY_RSS,
    PROCESS_BY_IO,
    PROCESS_BY_PID,
    PROCESS_BY_NAME,
    PROCESS_BY_THREADS,
};

/* "cpu", "rss", "io", "pid", "name", "threads". */
bool process_sort_parse(struct str name, enum process_sort *ret_sort);

struct process_query {
    enum process_sort sort; /* Largest first; pid and name ascending. */
    size_t limit;           /* 0: all. */
    bool kernel;            /* Kernel threads too. */
    bool pss;               /* Read PSS of the rows that are returned. */
    struct str filter;      /* Only whose name, command line or user contains it; may be empty. */
};

/* A number that may not be read is NAN. Texts live in the arena. */
struct process_row {
    pid_t pid;
    pid_t ppid;
    struct str name;
    struct str command;
    struct str user; /* A number when the user has no name. */
    struct str group;
    char state;
    double cpu_percent; /* Of one CPU, since the refresh before. */
    double rss_bytes;
    double vms_bytes;
    double pss_bytes;
    double swap_bytes;
    double threads;
    double fds;
    double voluntary_per_s;
    double nonvoluntary_per_s;
    double read_per_s;
    double written_per_s;
    double start_time_s;
};

/* Refreshes first when nobody did for two seconds, so that it serves without a sampler too. */
CHECKED enum err process_table_read(struct process_table *table,
                                    const struct process_query *options, struct arena *arena,
                                    struct process_row **ret_rows, size_t *ret_count,
                                    int64_t *ret_time_ms, struct why *why);

/* The group that a process belongs to: its name, or PROCESS_KERNEL_GROUP. */
static inline struct str process_group(const struct process_entry *process)
{
    return str_of(process->kernel ? PROCESS_KERNEL_GROUP : process->name);
}
