/* SPDX-License-Identifier: Apache-2.0 */
/* One struct per process, found by pid. Each refresh walks /proc, reads stat of those that are due,
 * and drops those that the walk did not meet. A pid that came back with another start time is
 * another process.
 *
 * Who used no CPU time since its details were read has, with few exceptions, switched no context,
 * done no I/O and opened nothing: those are read again after DETAIL_IDLE_NS only. */
#include "sources/process_table.h"

#include "base/clock.h"
#include "sources/process_read.h"
#include "sources/users.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECONDS(count)  ((count)*CLOCK_NS_PER_S)
#define KERNEL_STAT_NS  SECONDS(5)
#define DETAIL_IDLE_NS  SECONDS(10)
#define LIMITS_NS       SECONDS(60)
#define STALE_NS        SECONDS(2)
#define STALE_DRIVEN_NS SECONDS(65) /* Somebody refreshes it, at a period of a minute at most. */
#define RATES_AFTER_NS  (CLOCK_NS_PER_S / 4) /* Rates over less time say little. */

struct process_table {
    pthread_mutex_t lock;
    char *proc_path;
    struct process_reader reader;
    bool readable; /* The reader is there. */
    struct users users;
    struct process_entry **items; /* Sorted by pid. */
    size_t count;
    size_t capacity;
    size_t refused;
    uint32_t round;
    int64_t refreshed_ns;
    int64_t refreshed_ms;
    bool driven; /* Somebody calls process_table_refresh; what it gains belongs to them. */
};

struct process_table *process_table_new(const char *proc_path, const char *root_path)
{
    struct process_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        must_memory(sizeof(*table));
    MUST(pthread_mutex_init(&table->lock, NULL) == 0);
    table->proc_path = strdup(proc_path);
    if (table->proc_path == NULL)
        must_memory(strlen(proc_path));
    users_init(&table->users, root_path);
    return table;
}

static void process_free(struct process_entry *process)
{
    free(process->command);
    free(process);
}

struct process_table *process_table_free(struct process_table *table)
{
    if (table == NULL)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        process_free(table->items[i]);
    free(table->items);
    users_done(&table->users);
    if (table->readable)
        process_reader_done(&table->reader);
    free(table->proc_path);
    (void)pthread_mutex_destroy(&table->lock); /* Nobody holds it. */
    free(table);
    return NULL;
}

/* Where pid is, or would be. */
static size_t place_of(const struct process_table *table, pid_t pid)
{
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->items[middle]->pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct process_entry *insert(struct process_table *table, size_t place, pid_t pid)
{
    struct process_entry *process = calloc(1, sizeof(*process));

    if (process == NULL)
        must_memory(sizeof(*process));
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 128 : table->capacity * 2;
        table->items = reallocarray(table->items, table->capacity, sizeof(struct process_entry *));
        if (table->items == NULL)
            must_memory(table->capacity * sizeof(struct process_entry *));
    }
    memmove(table->items + place + 1, table->items + place,
            (table->count - place) * sizeof(struct process_entry *));
    table->items[place] = process;
    table->count++;
    process->pid = pid;
    return process;
}

static void rates_from_now(struct process_entry *process, int64_t now_ns)
{
    process->rates_from = process->counters;
    process->rates_ns = now_ns;
}

/* A process that was not followed so far. */
static void meet(struct process_table *table, struct process_entry *process, int64_t now_ns)
{
    static const struct process_counters unknown = {0, 0, 0, 0, NAN, NAN, NAN, NAN};
    struct process_counters counters = process->counters;

    counters.voluntary_switches = unknown.voluntary_switches;
    counters.nonvoluntary_switches = unknown.nonvoluntary_switches;
    counters.read_bytes = unknown.read_bytes;
    counters.written_bytes = unknown.written_bytes;
    process->counters = counters;
    process->swap_bytes = process->fds = process->fds_limit = NAN;
    process->cpu_percent = process->voluntary_per_s = process->nonvoluntary_per_s = NAN;
    process->read_per_s = process->written_per_s = NAN;
    process->fresh = true;
    process->renamed = false;
    process->whole = table->refreshed_ns == 0 ||
                     process->start_time_s * 1000 >= (double)table->refreshed_ms - 1000;
    process_read_command(&table->reader, process);
    process_read_details(&table->reader, process);
    process_read_limits(&table->reader, process);
    process->detail_ns = process->limits_ns = process->stat_ns = now_ns;
    process->detail_cpu_s = process->counters.user_s + process->counters.system_s;
    process->before = process->counters;
    rates_from_now(process, now_ns);
}

static void measure(struct process_entry *process, int64_t now_ns)
{
    double seconds = (double)(now_ns - process->rates_ns) / 1e9;
    const struct process_counters *now = &process->counters;
    const struct process_counters *from = &process->rates_from;

    if (now_ns - process->rates_ns < RATES_AFTER_NS)
        return;
    process->cpu_percent =
        100 * (now->user_s + now->system_s - from->user_s - from->system_s) / seconds;
    process->voluntary_per_s = (now->voluntary_switches - from->voluntary_switches) / seconds;
    process->nonvoluntary_per_s =
        (now->nonvoluntary_switches - from->nonvoluntary_switches) / seconds;
    process->read_per_s = (now->read_bytes - from->read_bytes) / seconds;
    process->written_per_s = (now->written_bytes - from->written_bytes) / seconds;
    rates_from_now(process, now_ns);
}

/* False: it is gone. */
static bool look(struct process_table *table, struct process_entry *process, int64_t now_ns)
{
    uint64_t identity = process->start_ticks;
    bool known = process->stat_ns != 0;

    process->fresh = process->renamed = process->whole = false;
    process->before = process->counters;
    if (known && process->kernel && now_ns - process->stat_ns < KERNEL_STAT_NS)
        return true;
    if (!process_read_stat(&table->reader, process))
        return false;
    if (!known || process->start_ticks != identity) {
        meet(table, process, now_ns);
        return true;
    }
    process->stat_ns = now_ns;
    double cpu_s = process->counters.user_s + process->counters.system_s;
    if (cpu_s != process->detail_cpu_s || now_ns - process->detail_ns >= DETAIL_IDLE_NS) {
        process_read_details(&table->reader, process);
        process->detail_ns = now_ns;
        process->detail_cpu_s = cpu_s;
    }
    if (process->renamed)
        process_read_command(&table->reader, process);
    if (now_ns - process->limits_ns >= LIMITS_NS) {
        process_read_limits(&table->reader, process);
        process->limits_ns = now_ns;
    }
    measure(process, now_ns);
    return true;
}

static bool parse_pid(const char *name, pid_t *ret_pid)
{
    pid_t pid = 0;

    for (const char *at = name; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || pid > 100000000)
            return false;
        pid = pid * 10 + (*at - '0');
    }
    *ret_pid = pid;
    return pid > 0;
}

static void walk(struct process_table *table, DIR *folder, int64_t now_ns)
{
    pid_t pid;

    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (!parse_pid(entry->d_name, &pid))
            continue;
        size_t place = place_of(table, pid);
        struct process_entry *process = place < table->count ? table->items[place] : NULL;
        if (process == NULL || process->pid != pid) {
            if (table->count >= PROCESSES_MAX) {
                table->refused++;
                continue;
            }
            process = insert(table, place, pid);
        }
        if (look(table, process, now_ns))
            process->round = table->round;
    }
}

static void drop_missing(struct process_table *table)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i]->round == table->round)
            table->items[kept++] = table->items[i];
        else
            process_free(table->items[i]);
    }
    table->count = kept;
}

/* With the lock held. */
static enum err refresh(struct process_table *table, struct why *why)
{
    if (!table->readable) {
        TRY(process_reader_init(&table->reader, table->proc_path, why));
        table->readable = true;
    }
    int fd = openat(table->reader.proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            (void)close(fd); /* Nothing was written. */
        return fail(why, ERR_IO, "cannot list %s", table->proc_path);
    }
    int64_t now_ns = clock_monotonic_ns();
    table->round++;
    table->refused = 0;
    walk(table, folder, now_ns);
    (void)closedir(folder); /* As above. */
    drop_missing(table);
    table->refreshed_ns = now_ns;
    table->refreshed_ms = clock_now_ms();
    return ERR_NONE;
}

enum err process_table_refresh(struct process_table *table, struct why *why)
{
    MUST(pthread_mutex_lock(&table->lock) == 0);
    enum err err = refresh(table, why);
    table->driven = true;
    MUST(pthread_mutex_unlock(&table->lock) == 0);
    return err;
}

void process_table_each(struct process_table *table,
                        void (*visit)(void *self, const struct process_entry *process), void *self)
{
    MUST(pthread_mutex_lock(&table->lock) == 0);
    for (size_t i = 0; i < table->count; i++)
        visit(self, table->items[i]);
    MUST(pthread_mutex_unlock(&table->lock) == 0);
}

size_t process_table_count(struct process_table *table, size_t *ret_refused)
{
    MUST(pthread_mutex_lock(&table->lock) == 0);
    size_t count = table->count;
    if (ret_refused != NULL)
        *ret_refused = table->refused;
    MUST(pthread_mutex_unlock(&table->lock) == 0);
    return count;
}

bool process_sort_parse(struct str name, enum process_sort *ret_sort)
{
    static const char *const names[] = {
        [PROCESS_BY_CPU] = "cpu", [PROCESS_BY_RSS] = "rss",   [PROCESS_BY_IO] = "io",
        [PROCESS_BY_PID] = "pid", [PROCESS_BY_NAME] = "name", [PROCESS_BY_THREADS] = "threads",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq(name, str_of(names[i]))) {
            *ret_sort = (enum process_sort)i;
            return true;
        }
    }
    return false;
}

static double or_zero(double value)
{
    return isnan(value) ? 0 : value;
}

static double sort_value(const struct process_row *row, enum process_sort sort)
{
    switch (sort) {
    case PROCESS_BY_RSS:
        return row->rss_bytes;
    case PROCESS_BY_IO:
        return or_zero(row->read_per_s) + or_zero(row->written_per_s);
    case PROCESS_BY_THREADS:
        return row->threads;
    case PROCESS_BY_CPU:
    default:
        return or_zero(row->cpu_percent);
    }
}

static int compare_rows(const void *left, const void *right, void *self)
{
    enum process_sort sort = *(const enum process_sort *)self;
    const struct process_row *a = left;
    const struct process_row *b = right;

    if (sort == PROCESS_BY_NAME) {
        int order = str_compare(a->name, b->name);
        return order != 0 ? order : a->pid - b->pid;
    }
    double difference = sort == PROCESS_BY_PID ? 0 : sort_value(b, sort) - sort_value(a, sort);
    if (difference != 0)
        return difference > 0 ? 1 : -1;
    if (sort == PROCESS_BY_CPU && a->rss_bytes != b->rss_bytes)
        return b->rss_bytes > a->rss_bytes ? 1 : -1; /* Many use none: the large ones first. */
    return a->pid - b->pid;
}

static bool is_wanted(const struct process_entry *process, struct str user,
                      const struct process_query *options)
{
    if (process->kernel && !options->kernel)
        return false;
    return options->filter.size == 0 || str_find_str(str_of(process->name), options->filter) >= 0 ||
           str_find_str(str_of(process->command), options->filter) >= 0 ||
           str_find_str(user, options->filter) >= 0;
}

static bool fill_row(struct process_row *row, const struct process_entry *process, struct str user,
                     struct arena *arena)
{
    *row = (struct process_row){
        .pid = process->pid,
        .ppid = process->ppid,
        .name = arena_str(arena, str_of(process->name)),
        .command = arena_str(arena, str_of(process->command)),
        .user = arena_str(arena, user),
        .group = arena_str(arena, process_group(process)),
        .state = process->state,
        .cpu_percent = process->cpu_percent,
        .rss_bytes = process->rss_bytes,
        .vms_bytes = process->vms_bytes,
        .pss_bytes = NAN,
        .swap_bytes = process->swap_bytes,
        .threads = process->threads,
        .fds = process->fds,
        .voluntary_per_s = process->voluntary_per_s,
        .nonvoluntary_per_s = process->nonvoluntary_per_s,
        .read_per_s = process->read_per_s,
        .written_per_s = process->written_per_s,
        .start_time_s = process->start_time_s,
    };
    return row->name.data != NULL && row->command.data != NULL && row->user.data != NULL &&
           row->group.data != NULL;
}

/* With the lock held. */
static enum err read_rows(struct process_table *table, const struct process_query *options,
                          struct arena *arena, struct process_row **ret_rows, size_t *ret_count,
                          struct why *why)
{
    struct process_row *rows =
        ARENA_ARRAY(arena, table->count == 0 ? 1 : table->count, struct process_row);
    enum process_sort sort = options->sort;
    size_t count = 0;

    if (rows == NULL)
        return arena_spent(arena, "a table of processes", why);
    for (size_t i = 0; i < table->count; i++) {
        struct str user = users_name(&table->users, table->items[i]->uid);
        if (!is_wanted(table->items[i], user, options))
            continue;
        if (!fill_row(&rows[count++], table->items[i], user, arena))
            return arena_spent(arena, "a table of processes", why);
    }
    qsort_r(rows, count, sizeof(*rows), compare_rows, &sort);
    if (options->limit != 0 && count > options->limit)
        count = options->limit;
    for (size_t i = 0; options->pss && i < count; i++)
        rows[i].pss_bytes = process_read_pss(&table->reader, rows[i].pid);
    *ret_rows = rows;
    *ret_count = count;
    return ERR_NONE;
}

enum err process_table_read(struct process_table *table, const struct process_query *options,
                            struct arena *arena, struct process_row **ret_rows, size_t *ret_count,
                            int64_t *ret_time_ms, struct why *why)
{
    enum err err = ERR_NONE;

    MUST(pthread_mutex_lock(&table->lock) == 0);
    int64_t stale_ns = table->driven ? STALE_DRIVEN_NS : STALE_NS;
    if (table->refreshed_ns == 0 || clock_monotonic_ns() - table->refreshed_ns >= stale_ns)
        err = refresh(table, why);
    if (err == ERR_NONE)
        err = read_rows(table, options, arena, ret_rows, ret_count, why);
    *ret_time_ms = table->refreshed_ms;
    MUST(pthread_mutex_unlock(&table->lock) == 0);
    return err;
}
