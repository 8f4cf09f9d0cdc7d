/* SPDX-License-Identifier: Apache-2.0 */
/* Every figure is the sum of the samples of a metric that a row of `inputs` lets in, taken as it is
 * or, for counters, as its growth per second. What is made of several figures is worked out at the
 * end of the round. */
#include "cli/top_host.h"

#include <math.h>
#include <stdlib.h>

enum input {
    IN_CPU_ALL,
    IN_CPU_IDLE,
    IN_CPU_USER,
    IN_CPU_SYSTEM,
    IN_CPU_IOWAIT,
    IN_CPU_STEAL,
    IN_MEMORY_TOTAL,
    IN_MEMORY_AVAILABLE,
    IN_MEMORY_CACHED,
    IN_SWAP_TOTAL,
    IN_SWAP_FREE,
    IN_DISK_READ,
    IN_DISK_WRITE,
    IN_NET_IN,
    IN_NET_OUT,
    IN_PRESSURE_CPU,
    IN_PRESSURE_MEMORY,
    IN_PRESSURE_IO,
    IN_LOAD1,
    IN_LOAD5,
    IN_LOAD15,
    IN_RUNNING,
    IN_BLOCKED,
    IN_BOOT_TIME,
    IN_COUNT
};

/* Traffic that is counted again elsewhere: loopback, bridges, the host's end of containers. */
static bool is_real_device(struct str device)
{
    static const char *const skipped[] = {"lo",  "veth", "docker", "br-",  "virbr",
                                          "dm-", "md",   "loop",   "zram", "ram"};

    for (size_t i = 0; i < ARRAY_COUNT(skipped); i++) {
        if (str_starts(device, str_of(skipped[i])))
            return false;
    }
    return true;
}

static const struct {
    const char *metric;
    const char *mode; /* Of a CPU; NULL: any. */
    bool counter;
    bool devices; /* Only real ones. */
} inputs[IN_COUNT] = {
    [IN_CPU_ALL] = {"node_cpu_seconds_total", NULL, true, false},
    [IN_CPU_IDLE] = {"node_cpu_seconds_total", "idle", true, false},
    [IN_CPU_USER] = {"node_cpu_seconds_total", "user", true, false},
    [IN_CPU_SYSTEM] = {"node_cpu_seconds_total", "system", true, false},
    [IN_CPU_IOWAIT] = {"node_cpu_seconds_total", "iowait", true, false},
    [IN_CPU_STEAL] = {"node_cpu_seconds_total", "steal", true, false},
    [IN_MEMORY_TOTAL] = {"node_memory_MemTotal_bytes", NULL, false, false},
    [IN_MEMORY_AVAILABLE] = {"node_memory_MemAvailable_bytes", NULL, false, false},
    [IN_MEMORY_CACHED] = {"node_memory_Cached_bytes", NULL, false, false},
    [IN_SWAP_TOTAL] = {"node_memory_SwapTotal_bytes", NULL, false, false},
    [IN_SWAP_FREE] = {"node_memory_SwapFree_bytes", NULL, false, false},
    [IN_DISK_READ] = {"node_disk_read_bytes_total", NULL, true, true},
    [IN_DISK_WRITE] = {"node_disk_written_bytes_total", NULL, true, true},
    [IN_NET_IN] = {"node_network_receive_bytes_total", NULL, true, true},
    [IN_NET_OUT] = {"node_network_transmit_bytes_total", NULL, true, true},
    [IN_PRESSURE_CPU] = {"node_pressure_cpu_waiting_seconds_total", NULL, true, false},
    [IN_PRESSURE_MEMORY] = {"node_pressure_memory_waiting_seconds_total", NULL, true, false},
    [IN_PRESSURE_IO] = {"node_pressure_io_waiting_seconds_total", NULL, true, false},
    [IN_LOAD1] = {"node_load1", NULL, false, false},
    [IN_LOAD5] = {"node_load5", NULL, false, false},
    [IN_LOAD15] = {"node_load15", NULL, false, false},
    [IN_RUNNING] = {"node_procs_running", NULL, false, false},
    [IN_BLOCKED] = {"node_procs_blocked", NULL, false, false},
    [IN_BOOT_TIME] = {"node_boot_time_seconds", NULL, false, false},
};

enum { DISKS_MAX = 256, DEVICE_BYTES = 32 };

struct disk {
    char name[DEVICE_BYTES];
    double before, now;
};

struct top_host {
    double sums[IN_COUNT];   /* Of this round; NaN: nothing was fed. */
    double before[IN_COUNT]; /* Of the last round. */
    int64_t time_ms;
    size_t cpus_now, cpus;
    struct disk disks[DISKS_MAX];
    size_t disks_count;
    double figures[TOP_FIGURE_COUNT];
    float history[TOP_FIGURE_COUNT][TOP_HISTORY];
    size_t rounds;
};

static void forget(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = NAN;
}

struct top_host *top_host_new(void)
{
    struct top_host *host = calloc(1, sizeof(*host));

    if (host == NULL)
        must_memory(sizeof(*host));
    forget(host->sums, IN_COUNT);
    forget(host->before, IN_COUNT);
    forget(host->figures, TOP_FIGURE_COUNT);
    return host;
}

struct top_host *top_host_free(struct top_host *host)
{
    free(host);
    return NULL;
}

/* How busy a disk is: the growth of its I/O time. The busiest one is what hurts. */
static void feed_disk(struct top_host *host, struct str device, double value)
{
    struct disk *disk = NULL;

    if (device.size == 0 || device.size >= DEVICE_BYTES || !is_real_device(device))
        return;
    for (size_t i = 0; i < host->disks_count && disk == NULL; i++) {
        if (str_eq(str_of(host->disks[i].name), device))
            disk = &host->disks[i];
    }
    if (disk == NULL) {
        if (host->disks_count == DISKS_MAX)
            return;
        disk = &host->disks[host->disks_count++];
        memcpy(disk->name, device.data, device.size);
        disk->before = NAN;
    }
    disk->now = value;
}

void top_host_feed(struct top_host *host, struct str metric,
                   struct str (*label_get)(const void *self, struct str name), const void *self,
                   double value)
{
    if (!str_starts(metric, STR("node_")) || isnan(value))
        return;
    if (str_eq(metric, STR("node_disk_io_time_seconds_total"))) {
        feed_disk(host, label_get(self, STR("device")), value);
        return;
    }
    for (size_t i = 0; i < IN_COUNT; i++) {
        if (!str_eq(metric, str_of(inputs[i].metric)))
            continue;
        if (inputs[i].mode != NULL && !str_eq(label_get(self, STR("mode")), str_of(inputs[i].mode)))
            continue;
        if (inputs[i].devices && !is_real_device(label_get(self, STR("device"))))
            continue;
        host->sums[i] = isnan(host->sums[i]) ? value : host->sums[i] + value;
        host->cpus_now += i == IN_CPU_IDLE;
    }
}

static double input(const struct top_host *host, enum input index, double seconds)
{
    if (!inputs[index].counter)
        return host->sums[index];
    double growth = host->sums[index] - host->before[index];
    /* A counter that fell has begun anew, or a device has gone: nobody knows the rate. */
    return growth >= 0 && seconds > 0 ? growth / seconds : NAN;
}

static double busiest_disk(struct top_host *host, double seconds)
{
    double most = NAN;

    for (size_t i = 0; i < host->disks_count; i++) {
        double busy = (host->disks[i].now - host->disks[i].before) / seconds;
        if (busy >= 0)
            most = fmax(most, fmin(busy, 1));
        host->disks[i].before = host->disks[i].now;
    }
    return most;
}

static void work_out(struct top_host *host, double seconds)
{
    double *f = host->figures;
    double all = input(host, IN_CPU_ALL, seconds);
    double total = host->sums[IN_MEMORY_TOTAL];

    f[TOP_CPU_USER] = input(host, IN_CPU_USER, seconds) / all;
    f[TOP_CPU_SYSTEM] = input(host, IN_CPU_SYSTEM, seconds) / all;
    f[TOP_CPU_IOWAIT] = input(host, IN_CPU_IOWAIT, seconds) / all;
    f[TOP_CPU_STEAL] = input(host, IN_CPU_STEAL, seconds) / all;
    f[TOP_CPU] = fmax(0, 1 - input(host, IN_CPU_IDLE, seconds) / all - f[TOP_CPU_IOWAIT]);
    if (isnan(all))
        f[TOP_CPU] = NAN;
    f[TOP_MEMORY_TOTAL_BYTES] = total;
    f[TOP_MEMORY_USED_BYTES] = total - host->sums[IN_MEMORY_AVAILABLE];
    f[TOP_MEMORY] = f[TOP_MEMORY_USED_BYTES] / total;
    f[TOP_MEMORY_CACHED_BYTES] = host->sums[IN_MEMORY_CACHED];
    f[TOP_SWAP_TOTAL_BYTES] = host->sums[IN_SWAP_TOTAL];
    f[TOP_SWAP_USED_BYTES] = host->sums[IN_SWAP_TOTAL] - host->sums[IN_SWAP_FREE];
    f[TOP_DISK_READ] = input(host, IN_DISK_READ, seconds);
    f[TOP_DISK_WRITE] = input(host, IN_DISK_WRITE, seconds);
    f[TOP_DISK_BUSY] = busiest_disk(host, seconds);
    f[TOP_NET_IN] = input(host, IN_NET_IN, seconds);
    f[TOP_NET_OUT] = input(host, IN_NET_OUT, seconds);
    f[TOP_PRESSURE_CPU] = input(host, IN_PRESSURE_CPU, seconds);
    f[TOP_PRESSURE_MEMORY] = input(host, IN_PRESSURE_MEMORY, seconds);
    f[TOP_PRESSURE_IO] = input(host, IN_PRESSURE_IO, seconds);
    f[TOP_LOAD1] = host->sums[IN_LOAD1];
    f[TOP_LOAD5] = host->sums[IN_LOAD5];
    f[TOP_LOAD15] = host->sums[IN_LOAD15];
    f[TOP_RUNNING] = host->sums[IN_RUNNING];
    f[TOP_BLOCKED] = host->sums[IN_BLOCKED];
    f[TOP_BOOT_TIME_S] = host->sums[IN_BOOT_TIME];
}

void top_host_finish(struct top_host *host, int64_t time_ms)
{
    double seconds = (double)(time_ms - host->time_ms) / 1e3;

    work_out(host, seconds);
    host->cpus = host->cpus_now;
    host->cpus_now = 0;
    memcpy(host->before, host->sums, sizeof(host->before));
    forget(host->sums, IN_COUNT);
    host->time_ms = time_ms;
    for (size_t i = 0; i < TOP_FIGURE_COUNT; i++)
        host->history[i][host->rounds % TOP_HISTORY] = (float)host->figures[i];
    host->rounds++;
}

double top_host_figure(const struct top_host *host, enum top_figure figure)
{
    return host->figures[figure];
}

size_t top_host_cpus(const struct top_host *host)
{
    return host->cpus;
}

size_t top_host_history(const struct top_host *host, enum top_figure figure,
                        double values[TOP_HISTORY])
{
    size_t count = host->rounds < TOP_HISTORY ? host->rounds : TOP_HISTORY;

    for (size_t i = 0; i < count; i++)
        values[i] = (double)host->history[figure][(host->rounds - count + i) % TOP_HISTORY];
    return count;
}

const char *top_figure_name(enum top_figure figure)
{
    static const char *const names[TOP_FIGURE_COUNT] = {
        [TOP_CPU] = "cpu_ratio",
        [TOP_CPU_USER] = "cpu_user_ratio",
        [TOP_CPU_SYSTEM] = "cpu_system_ratio",
        [TOP_CPU_IOWAIT] = "cpu_iowait_ratio",
        [TOP_CPU_STEAL] = "cpu_steal_ratio",
        [TOP_MEMORY] = "memory_ratio",
        [TOP_MEMORY_USED_BYTES] = "memory_used_bytes",
        [TOP_MEMORY_TOTAL_BYTES] = "memory_total_bytes",
        [TOP_MEMORY_CACHED_BYTES] = "memory_cached_bytes",
        [TOP_SWAP_USED_BYTES] = "swap_used_bytes",
        [TOP_SWAP_TOTAL_BYTES] = "swap_total_bytes",
        [TOP_DISK_READ] = "disk_read_bytes_per_s",
        [TOP_DISK_WRITE] = "disk_written_bytes_per_s",
        [TOP_DISK_BUSY] = "disk_busy_ratio",
        [TOP_NET_IN] = "network_received_bytes_per_s",
        [TOP_NET_OUT] = "network_sent_bytes_per_s",
        [TOP_PRESSURE_CPU] = "pressure_cpu_ratio",
        [TOP_PRESSURE_MEMORY] = "pressure_memory_ratio",
        [TOP_PRESSURE_IO] = "pressure_io_ratio",
        [TOP_LOAD1] = "load1",
        [TOP_LOAD5] = "load5",
        [TOP_LOAD15] = "load15",
        [TOP_RUNNING] = "processes_running",
        [TOP_BLOCKED] = "processes_blocked",
        [TOP_BOOT_TIME_S] = "boot_time_s",
    };

    return names[figure];
}
