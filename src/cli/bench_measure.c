/* SPDX-License-Identifier: Apache-2.0 */
/* The child waits at a pipe until everything is in place: the counter attached, the clock read. It
 * then becomes the program, and a second pipe, closed by that very act, tells whether it could. Its
 * end is seen on a pidfd; what its children still hold open is not waited for. wait4 tells what it
 * used. */
#include "cli/bench_measure.h"
#include "base/clock.h"
#include "base/file.h"
#include "stats/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_READ, PIPE_WRITE };
enum { SPIN_ROUNDS = 25, SPIN_STEPS = 400000 };

struct child {
    pid_t pid;
    int pidfd;
    int output, errors;   /* Read ends; -1 when at their end. */
    int start, exec_fail; /* Our ends. */
    int counter;          /* -1: none. */
};

static int close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* Nothing was written to it. */
    return -1;
}

static void child_done(struct child *child)
{
    child->output = close_fd(child->output);
    child->errors = close_fd(child->errors);
    child->start = close_fd(child->start);
    child->exec_fail = close_fd(child->exec_fail);
    child->counter = close_fd(child->counter);
    child->pidfd = close_fd(child->pidfd);
}

/* ---- Starting. ---- */

_Noreturn static void become(const struct bench_command *command, const int start[2],
                             const int exec_fail[2], const int output[2], const int errors[2])
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cpu_set_t cpus;
    char go;

    (void)dup2(nothing, STDIN_FILENO); /* A closed input is as good. */
    (void)signal(SIGPIPE, SIG_DFL);
    if (dup2(output[PIPE_WRITE], STDOUT_FILENO) < 0 || dup2(errors[PIPE_WRITE], STDERR_FILENO) < 0)
        _exit(126);
    if (command->cpu >= 0) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)command->cpu, &cpus);
        (void)sched_setaffinity(0, sizeof(cpus), &cpus); /* Checked before the first run. */
    }
    if (read(start[PIPE_READ], &go, 1) != 1)
        _exit(126); /* Whoever measures has gone. */
    (void)execvp(command->arguments[0], (char *const *)(void *)(size_t)command->arguments);
    int error = errno;
    ssize_t told = write(exec_fail[PIPE_WRITE], &error, sizeof(error));
    _exit(told == (ssize_t)sizeof(error) ? 127 : 126);
}

/* Counts what the process and its children run in user space, from its exec on. */
static int count_instructions(pid_t pid)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attributes),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .disabled = 1,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .enable_on_exec = 1,
    };

    return (int)syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void close_pair(int pair[2])
{
    pair[PIPE_READ] = close_fd(pair[PIPE_READ]);
    pair[PIPE_WRITE] = close_fd(pair[PIPE_WRITE]);
}

static enum err child_start(const struct bench_command *command, struct child *child,
                            struct why *why)
{
    int pipes[4][2] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}; /* start, exec, output, errors */
    int error = 0;

    *child = (struct child){-1, -1, -1, -1, -1, -1, -1};
    for (int i = 0; i < 4 && error == 0; i++)
        error = pipe2(pipes[i], O_CLOEXEC) == 0 ? 0 : errno;
    if (error == 0) {
        child->pid = fork();
        error = child->pid < 0 ? errno : 0;
    }
    if (error == 0 && child->pid == 0)
        become(command, pipes[0], pipes[1], pipes[2], pipes[3]);
    if (error != 0) {
        for (int i = 0; i < 4; i++)
            close_pair(pipes[i]);
        return fail_errno(why, error, "cannot start '%s'", command->arguments[0]);
    }
    child->start = pipes[0][PIPE_WRITE];
    child->exec_fail = pipes[1][PIPE_READ];
    child->output = pipes[2][PIPE_READ];
    child->errors = pipes[3][PIPE_READ];
    (void)close_fd(pipes[0][PIPE_READ]);
    for (int i = 1; i < 4; i++)
        (void)close_fd(pipes[i][PIPE_WRITE]);
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    child->counter = count_instructions(child->pid);
    return ERR_NONE;
}

/* ---- Watching. ---- */

/* -1 at the end of the stream. */
static int drain(int fd, struct buf *out)
{
    char bytes[16384];
    ssize_t size = read(fd, bytes, sizeof(bytes));

    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN))
        return close_fd(fd);
    if (size > 0 && out->size < BENCH_OUTPUT_BYTES_MAX)
        buf_append(out, bytes, (size_t)size);
    return fd;
}

/* False when the time was up first. */
static bool watch(struct child *child, const struct bench_command *command, int64_t start_ns,
                  struct buf *output, struct buf *errors)
{
    for (;;) {
        struct pollfd fds[3] = {
            {child->pidfd, POLLIN, 0}, {child->output, POLLIN, 0}, {child->errors, POLLIN, 0}};
        int64_t left_ns = start_ns + command->timeout_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            return false;
        int64_t left_ms = left_ns / CLOCK_NS_PER_MS + 1;
        (void)poll(fds, 3, left_ms > 60000 ? 60000 : (int)left_ms); /* Asked again anyway. */
        if (fds[1].revents != 0)
            child->output = drain(child->output, output);
        if (fds[2].revents != 0)
            child->errors = drain(child->errors, errors);
        if (fds[0].revents != 0 && fds[1].revents == 0 && fds[2].revents == 0)
            return true;
    }
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void read_usage(struct child *child, int status, const struct rusage *used,
                       struct bench_usage *ret_usage)
{
    uint64_t instructions = 0;
    bool counted = child->counter >= 0 && read(child->counter, &instructions,
                                               sizeof(instructions)) == sizeof(instructions);

    ret_usage->user_s = seconds_of(used->ru_utime);
    ret_usage->sys_s = seconds_of(used->ru_stime);
    ret_usage->rss_bytes = (double)used->ru_maxrss * 1024;
    ret_usage->faults_minor = (double)used->ru_minflt;
    ret_usage->faults_major = (double)used->ru_majflt;
    ret_usage->switches_voluntary = (double)used->ru_nvcsw;
    ret_usage->switches_forced = (double)used->ru_nivcsw;
    ret_usage->instructions = counted && instructions > 0 ? (double)instructions : NAN;
    ret_usage->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ret_usage->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

enum err bench_measure(const struct bench_command *command, struct bench_usage *ret_usage,
                       struct buf *output, struct buf *errors, struct why *why)
{
    struct child child CLEANUP(child_done) = {-1, -1, -1, -1, -1, -1, -1};
    struct rusage used;
    int status = 0;
    int error = 0;

    TRY(child_start(command, &child, why));
    int64_t start_ns = clock_monotonic_ns();
    if (write(child.start, "", 1) != 1)
        error = errno;
    bool ended = child.pidfd >= 0 && watch(&child, command, start_ns, output, errors);
    int64_t end_ns = clock_monotonic_ns();
    if (!ended)
        (void)kill(child.pid, SIGKILL); /* It may have just ended. */
    while (wait4(child.pid, &status, 0, &used) < 0) {
        if (errno != EINTR)
            return fail_errno(why, errno, "cannot wait for '%s'", command->arguments[0]);
    }
    if (error == 0 && read(child.exec_fail, &error, sizeof(error)) != (ssize_t)sizeof(error))
        error = 0; /* Closed by the exec: it ran. */
    if (error != 0)
        return fail_errno(why, error, "cannot run '%s'", command->arguments[0]);
    if (!ended)
        return fail(why, ERR_TIMEOUT, "'%s' took longer than %.3g s", command->arguments[0],
                    (double)command->timeout_ns / 1e9);
    ret_usage->wall_s = (double)(end_ns - start_ns) / 1e9;
    read_usage(&child, status, &used, ret_usage);
    return ERR_NONE;
}

/* ---- The machine. ---- */

static void read_ticks(int64_t *ret_busy, int64_t *ret_steal, int64_t *ret_total)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    long long t[8] = {0};

    *ret_busy = *ret_steal = *ret_total = 0;
    if (file_read("/proc/stat", 1 << 20, &text, &why) != ERR_NONE)
        return; /* Nothing is then said about others. */
    if (sscanf(buf_cstr(&text), "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &t[0], &t[1], &t[2],
               &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
        return;
    for (int i = 0; i < 8; i++)
        *ret_total += t[i];
    *ret_steal = t[7];
    *ret_busy = *ret_total - t[3] - t[4] - t[7]; /* Less idle, waiting for disks, stolen. */
}

/* The same work again and again: what differs is the machine. */
static double spin_noise(void)
{
    double took[SPIN_ROUNDS];
    volatile uint64_t sink = 1;

    for (int round = 0; round < SPIN_ROUNDS; round++) {
        int64_t start_ns = clock_monotonic_ns();
        for (int i = 0; i < SPIN_STEPS; i++)
            sink = sink * UINT64_C(6364136223846793005) + 1;
        took[round] = (double)(clock_monotonic_ns() - start_ns);
    }
    double median = describe_median(took, SPIN_ROUNDS);
    return median > 0 ? (describe_quantile(took, SPIN_ROUNDS, 0.9) - median) / median : 0;
}

void bench_machine_begin(struct bench_machine *machine)
{
    *machine = (struct bench_machine){.spin_noise = spin_noise()};
    read_ticks(&machine->busy, &machine->steal, &machine->total);
}

void bench_machine_end(struct bench_machine *machine, double own_s)
{
    int64_t busy;
    int64_t steal;
    int64_t total;

    read_ticks(&busy, &steal, &total);
    double ticks = (double)(total - machine->total);
    double own = own_s * (double)sysconf(_SC_CLK_TCK);
    machine->other_share = ticks > 0 ? fmax((double)(busy - machine->busy) - own, 0) / ticks : 0;
    machine->steal_share = ticks > 0 ? (double)(steal - machine->steal) / ticks : 0;
}

void bench_machine_write(const struct bench_machine *machine, struct buf *out)
{
    struct buf governor CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (machine->spin_noise > 0.05)
        buf_printf(out, "The same work takes up to %.0f %% longer from one moment to the next.\n",
                   machine->spin_noise * 100);
    if (machine->other_share > 0.1)
        buf_printf(out, "Other programs used %.0f %% of the processors meanwhile.\n",
                   machine->other_share * 100);
    if (machine->steal_share > 0.01)
        buf_printf(out, "The host of this virtual machine took %.0f %% of the time for others.\n",
                   machine->steal_share * 100);
    if (file_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", 64, &governor, &why) ==
            ERR_NONE &&
        !str_eq(str_trim(buf_view(&governor)), STR("performance")))
        buf_printf(out, "The processors' speed varies (governor '%.*s').\n",
                   STR_ARG(str_trim(buf_view(&governor))));
}
