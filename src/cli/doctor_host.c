/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, ports, clocks and disks. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/doctor_list.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

enum {
    FILES_WANTED = 21000, /* http.connections_max and some for ourselves. */
    LOCKED_WANTED = 8 << 20,
    TASKS_WANTED = 64,
    FLUSH_ROUNDS = 16,
    FLUSH_BYTES = 4096,
    CLOCK_ROUNDS = 2000,
    PATH_BYTES = PATH_MAX,
};

/* ---- Limits. ---- */

/* setrlimit up to the hard limit is ours to do; the daemon does so at start. */
static void judge_limit(struct doctor_answer *answer, int resource, const char *name, rlim_t wanted,
                        const char *unit_file)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) != 0) {
        doctor_say(answer, DOCTOR_LIMITED, "cannot be read: %s", strerror(errno));
        return;
    }
    if (limit.rlim_max == RLIM_INFINITY) {
        doctor_say(answer, DOCTOR_OK, "unlimited");
        return;
    }
    doctor_say(answer, limit.rlim_max >= wanted ? DOCTOR_OK : DOCTOR_LIMITED,
               "%" PRIu64 " (now %" PRIu64 ")", (uint64_t)limit.rlim_max, (uint64_t)limit.rlim_cur);
    if (limit.rlim_max < wanted)
        doctor_advise(answer,
                      "%s=%" PRIu64 " in the systemd unit, or %s in "
                      "/etc/security/limits.conf",
                      unit_file, (uint64_t)wanted, name);
}

void doctor_open_files(const struct config *config, struct doctor_answer *answer)
{
    judge_limit(answer, RLIMIT_NOFILE, "nofile", FILES_WANTED, "LimitNOFILE");
}

void doctor_locked_memory(const struct config *config, struct doctor_answer *answer)
{
    judge_limit(answer, RLIMIT_MEMLOCK, "memlock", LOCKED_WANTED, "LimitMEMLOCK");
}

void doctor_tasks(const struct config *config, struct doctor_answer *answer)
{
    judge_limit(answer, RLIMIT_NPROC, "nproc", TASKS_WANTED, "TasksMax");
}

/* ---- Ports. ---- */

/* 0 when the address can be bound now, else errno. SO_REUSEADDR as the daemon sets it, so that
 * connections that linger do not count. */
static int try_bind(const char *host, const char *port)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    int on = 1;

    if (getaddrinfo(host, port, &wanted, &found) != 0)
        return EADDRNOTAVAIL;
    int fd CLEANUP(file_closep) = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? errno : 0;
    if (result == 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
                        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0))
        result = errno;
    freeaddrinfo(found);
    return result;
}

static void judge_port(struct doctor_answer *answer, const char *host, const char *port,
                       const char *advice)
{
    int error = try_bind(host, port);

    if (error == 0) {
        doctor_say(answer, DOCTOR_OK, "free");
    } else if (error == EADDRINUSE) {
        doctor_say(answer, DOCTOR_LIMITED, "somebody listens there already");
        doctor_advise(answer, "%s ('ss -ltnp sport = :%s' names it)", advice, port);
    } else {
        doctor_say(answer, DOCTOR_MISSING, "cannot listen: %s", strerror(error));
        doctor_advise(answer, "ports below 1024 need CAP_NET_BIND_SERVICE");
    }
}

void doctor_port_sonde(const struct config *config, struct doctor_answer *answer)
{
    struct str address = options_text(config->options, SETTING_LISTEN);
    char host[256] = "";
    char port[8] = "";
    size_t colon = address.size;

    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    struct str name = {address.data, colon == 0 ? 0 : colon - 1};
    if (str_starts(name, STR("[")) && name.size >= 2)
        name = (struct str){name.data + 1, name.size - 2};
    (void)snprintf(host, sizeof(host), "%.*s", STR_ARG(name));
    (void)snprintf(port, sizeof(port), "%.*s", (int)(address.size - colon), address.data + colon);
    judge_port(answer, host[0] == '\0' ? NULL : host, port,
               "it may be a sonde that runs; else choose another with --listen");
}

void doctor_port_otlp_grpc(const struct config *config, struct doctor_answer *answer)
{
    judge_port(answer, "127.0.0.1", "4317", "another collector receives OTLP here");
}

void doctor_port_otlp_http(const struct config *config, struct doctor_answer *answer)
{
    judge_port(answer, "127.0.0.1", "4318", "another collector receives OTLP here");
}

/* ---- Clocks. ---- */

void doctor_clock_sync(const struct config *config, struct doctor_answer *answer)
{
    struct timex timex = {0};
    int state = adjtimex(&timex);

    if (state < 0) {
        doctor_say(answer, DOCTOR_LIMITED, "the kernel does not tell: %s", strerror(errno));
        return;
    }
    if (state == TIME_ERROR || (timex.status & STA_UNSYNC) != 0) {
        doctor_say(answer, DOCTOR_LIMITED, "the kernel says it is not");
        doctor_advise(answer, "install chrony or enable systemd-timesyncd; in a container the host "
                              "is in charge");
        return;
    }
    doctor_say(answer, DOCTOR_OK, "within %.1f ms", (double)timex.maxerror / 1e3);
}

void doctor_clock_source(const struct config *config, struct doctor_answer *answer)
{
    char name[64];
    struct timespec resolution = {0};
    int64_t start = clock_monotonic_ns();

    for (int i = 0; i < CLOCK_ROUNDS; i++)
        (void)clock_now_ns(); /* Only its cost is of interest. */
    double cost_ns = (double)(clock_monotonic_ns() - start) / CLOCK_ROUNDS;
    doctor_read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", name,
                     sizeof(name));
    (void)clock_getres(CLOCK_MONOTONIC, &resolution); /* Cannot fail for this clock. */
    doctor_say(answer, cost_ns < 500 ? DOCTOR_OK : DOCTOR_LIMITED,
               "%s, %.0f ns a reading, resolution %ld ns", name[0] == '\0' ? "unknown" : name,
               cost_ns, resolution.tv_nsec);
    if (cost_ns >= 500)
        doctor_advise(answer, "a slow clock source; where the hardware allows, boot with "
                              "clocksource=tsc");
}

void doctor_entropy(const struct config *config, struct doctor_answer *answer)
{
    char bytes[16];

    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) == (ssize_t)sizeof(bytes)) {
        doctor_say(answer, DOCTOR_OK, "ready");
        return;
    }
    doctor_say(answer, DOCTOR_MISSING, "the kernel has none yet: %s", strerror(errno));
    doctor_advise(answer, "wait a moment after boot, or give the virtual machine a virtio-rng");
}

/* ---- Disks. ---- */

/* The data folder, or the nearest folder above it that exists. */
static const char *existing_folder(const struct config *config, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s", config_data_path(config));
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return ".";
        if (slash == path)
            return "/";
        *slash = '\0';
    }
    return path;
}

void doctor_data_folder(const struct config *config, struct doctor_answer *answer)
{
    char buffer[PATH_BYTES];
    const char *data = config_data_path(config);
    const char *folder = existing_folder(config, buffer);
    struct stat status;

    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode)) {
        doctor_say(answer, DOCTOR_MISSING, "%s is not a folder", folder);
        doctor_advise(answer, "choose another with --data");
    } else if (access(folder, W_OK) != 0) {
        doctor_say(answer, DOCTOR_MISSING, "%s cannot be written: %s", folder, strerror(errno));
        doctor_advise(answer, "give it to this user (chown), or choose another with --data");
    } else if (strcmp(folder, data) == 0) {
        doctor_say(answer, DOCTOR_OK, "%s", data);
    } else {
        doctor_say(answer, DOCTOR_OK, "%s will be made", data);
    }
}

void doctor_disk_space(const struct config *config, struct doctor_answer *answer)
{
    char buffer[PATH_BYTES];
    uint64_t free_bytes, total_bytes;
    struct why why = WHY_INIT;
    uint64_t wanted = (uint64_t)options_i64(config->options, SETTING_STORE_FREE_MIN);

    if (file_system_space(existing_folder(config, buffer), &free_bytes, &total_bytes, &why) !=
        ERR_NONE) {
        doctor_say(answer, DOCTOR_LIMITED, "%s", why.text);
        return;
    }
    enum doctor_state state = free_bytes < wanted              ? DOCTOR_MISSING
                              : free_bytes < UINT64_C(1) << 30 ? DOCTOR_LIMITED
                                                               : DOCTOR_OK;
    doctor_say(answer, state, "%.1f GiB free of %.1f GiB", (double)free_bytes / 0x1p30,
               (double)total_bytes / 0x1p30);
    if (state != DOCTOR_OK)
        doctor_advise(answer, "make room, lower retention.raw or set retention.size");
}

static int by_time(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;

    return (one > two) - (one < two);
}

void doctor_disk_flush(const struct config *config, struct doctor_answer *answer)
{
    static const char block[FLUSH_BYTES];
    char buffer[PATH_BYTES];
    int64_t times[FLUSH_ROUNDS];

    /* An unnamed file: nothing is left behind however this ends. */
    int fd CLEANUP(file_closep) =
        open(existing_folder(config, buffer), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        doctor_say(answer, DOCTOR_LIMITED, "cannot be tried: %s", strerror(errno));
        return;
    }
    for (int i = 0; i < FLUSH_ROUNDS; i++) {
        int64_t start = clock_monotonic_ns();
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block) || fdatasync(fd) != 0) {
            doctor_say(answer, DOCTOR_MISSING, "failed: %s", strerror(errno));
            return;
        }
        times[i] = clock_monotonic_ns() - start;
    }
    qsort(times, FLUSH_ROUNDS, sizeof(times[0]), by_time);
    double median_ms = (double)times[FLUSH_ROUNDS / 2] / 1e6;
    doctor_say(answer, median_ms < 50 ? DOCTOR_OK : DOCTOR_LIMITED,
               "%.2f ms a flush (slowest of %d: %.2f ms)", median_ms, FLUSH_ROUNDS,
               (double)times[FLUSH_ROUNDS - 1] / 1e6);
    if (median_ms >= 50)
        doctor_advise(answer,
                      "senders wait this long for each acknowledgement; a faster disk helps");
}

void doctor_libcurl(const struct config *config, struct doctor_answer *answer)
{
    void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);

    if (library == NULL) {
        doctor_say(answer, DOCTOR_MISSING, "libcurl.so.4 cannot be loaded");
        doctor_advise(answer, "apt install libcurl4");
        return;
    }
    (void)dlclose(library); /* Loaded again when it is used. */
    doctor_say(answer, DOCTOR_OK, "can be loaded");
}
