/* SPDX-License-Identifier: Apache-2.0 */
/* A child is followed by three descriptors: its pidfd and the ends of two pipes. It is done when
 * the pidfd says so.
 *
 * At that moment the child is a zombie, so its process group's number cannot belong to anyone
 * else: what is left of the group is killed first, then the child is reaped. The pipes are read as
 * far as they go and closed; a grandchild that escaped from the group cannot keep us waiting. */
#include "io/process.h"

#include "base/buf.h"
#include "base/clock.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_MAGIC      UINT32_C(0x50524f43)
#define TIMEOUT_DEFAULT_NS (10 * CLOCK_NS_PER_S)
#define GRACE_DEFAULT_NS   (2 * CLOCK_NS_PER_S)

enum { OUTPUT_DEFAULT_BYTES = 1 << 20, READ_BYTES = 16 * 1024, READS_PER_EVENT = 16 };

struct output {
    struct loop_watch watch;
    struct process *process;
    struct buf bytes;
};

struct process {
    uint32_t magic;
    struct loop *loop;
    pid_t pid;
    struct loop_watch exit; /* The pidfd. */
    struct output streams[2];
    struct loop_timer timer;
    size_t output_bytes_max;
    int64_t timeout_ns;
    int64_t grace_ns;
    int64_t started_ns;
    bool timed_out;
    bool output_cut;
    void (*finished)(void *self, const struct process_result *result);
    void *self;
};

/* ---- The end. ---- */

static void close_watch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->active)
        return;
    int fd = watch->fd;
    loop_watch_stop(loop, watch);
    close(fd);
}

static void forget(struct process *process)
{
    loop_timer_stop(process->loop, &process->timer);
    close_watch(process->loop, &process->exit);
    for (size_t i = 0; i < ARRAY_COUNT(process->streams); i++) {
        close_watch(process->loop, &process->streams[i].watch);
        buf_done(&process->streams[i].bytes);
    }
    process->magic = 0;
    free(process);
}

/* Kills what is left of the group, then takes the child's status. */
static void reap(struct process *process, siginfo_t *ret_info)
{
    (void)kill(-process->pid, SIGKILL); /* Nobody left is as good. */
    *ret_info = (siginfo_t){0};
    while (waitid(P_PID, (id_t)process->pid, ret_info, WEXITED) < 0 && errno == EINTR) {
    }
}

/* ---- Output. ---- */

/* True while there may be more. */
static bool read_some(struct output *output)
{
    struct process *process = output->process;
    char piece[READ_BYTES];
    ssize_t got = read(output->watch.fd, piece, sizeof(piece));

    if (got < 0)
        return errno == EINTR;
    if (got == 0) {
        close_watch(process->loop, &output->watch);
        return false;
    }
    size_t room = process->output_bytes_max - output->bytes.size;
    size_t kept = (size_t)got < room ? (size_t)got : room;
    buf_append(&output->bytes, piece, kept);
    process->output_cut = process->output_cut || kept < (size_t)got;
    return true;
}

static void output_ready(struct loop_watch *watch, uint32_t events)
{
    struct output *output = CONTAINER_OF(watch, struct output, watch);

    (void)events; /* Hang-up is seen as the end of the stream. */
    for (int i = 0; i < READS_PER_EVENT && watch->active && read_some(output); i++) {
    }
}

static void exited(struct loop_watch *watch, uint32_t events)
{
    struct process *process = CONTAINER_OF(watch, struct process, exit);
    siginfo_t info;

    (void)events; /* Only readability is waited for. */
    MUST_BE(process, PROCESS_MAGIC);
    reap(process, &info);
    for (size_t i = 0; i < ARRAY_COUNT(process->streams); i++) {
        struct output *output = &process->streams[i];
        /* Bounded by the pipe's size: all writers are dead. An escaped one is cut off here. */
        for (int reads = 0; reads < READS_PER_EVENT && output->watch.active && read_some(output);
             reads++) {
        }
    }
    bool by_signal = info.si_code != CLD_EXITED;
    struct process_result result = {
        .exit_code = by_signal ? -1 : info.si_status,
        .signal = by_signal ? info.si_status : 0,
        .timed_out = process->timed_out,
        .output_cut = process->output_cut,
        .output = buf_view(&process->streams[0].bytes),
        .errors = buf_view(&process->streams[1].bytes),
        .duration_ns = loop_now_ns(process->loop) - process->started_ns,
    };
    process->finished(process->self, &result);
    forget(process);
}

/* ---- Time. ---- */

static void overdue(struct loop_timer *timer)
{
    struct process *process = CONTAINER_OF(timer, struct process, timer);
    int signal_number = process->timed_out ? SIGKILL : SIGTERM;

    process->timed_out = true;
    (void)kill(-process->pid, signal_number); /* Not reaped yet, so it is there. */
    if (signal_number == SIGTERM)
        loop_timer_start(process->loop, timer, loop_now_ns(process->loop) + process->grace_ns,
                         overdue);
}

/* ---- Start. ---- */

/* Input from nowhere, output to the pipes, no other descriptor, default signals, own group. */
static int spawn(const struct process_options *options, const int outputs[2], pid_t *ret_pid)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *const *environment =
        options->environment == NULL ? environ : (char *const *)(uintptr_t)options->environment;

    /* These fail for lack of memory only. */
    MUST(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    MUST(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0);
    MUST(posix_spawn_file_actions_adddup2(&actions, outputs[0], 1) == 0);
    MUST(posix_spawn_file_actions_adddup2(&actions, outputs[1], 2) == 0);
    MUST(posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0);
    (void)sigemptyset(&none); /* Cannot fail. */
    (void)sigfillset(&all);   /* Cannot fail. */
    MUST(posix_spawnattr_setsigmask(&attributes, &none) == 0);
    MUST(posix_spawnattr_setsigdefault(&attributes, &all) == 0);
    MUST(posix_spawnattr_setpgroup(&attributes, 0) == 0);
    MUST(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                   POSIX_SPAWN_SETPGROUP) == 0);
    int error = posix_spawnp(ret_pid, options->arguments[0], &actions, &attributes,
                             (char *const *)(uintptr_t)options->arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static struct process *process_new(struct loop *loop, const struct process_options *options)
{
    struct process *process = calloc(1, sizeof(*process));

    if (process == NULL)
        must_memory(sizeof(*process));
    process->magic = PROCESS_MAGIC;
    process->loop = loop;
    process->timeout_ns = options->timeout_ns == 0 ? TIMEOUT_DEFAULT_NS : options->timeout_ns;
    process->grace_ns = options->grace_ns == 0 ? GRACE_DEFAULT_NS : options->grace_ns;
    process->output_bytes_max =
        options->output_bytes_max == 0 ? OUTPUT_DEFAULT_BYTES : options->output_bytes_max;
    process->started_ns = loop_now_ns(loop);
    return process;
}

/* A pipe whose reading end is watched; the writing end is for the child. */
static enum err open_stream(struct process *process, struct output *output, int *ret_write_fd,
                            struct why *why)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return fail_errno(why, errno, "making a pipe");
    output->process = process;
    /* Ours alone: the child writes as it is used to. Cannot fail on a fresh pipe. */
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    enum err err =
        loop_watch_start(process->loop, &output->watch, fds[0], EPOLLIN, output_ready, why);
    if (err != ERR_NONE) {
        close(fds[0]);
        close(fds[1]);
        return err;
    }
    *ret_write_fd = fds[1];
    return ERR_NONE;
}

static enum err start(struct process *process, const struct process_options *options,
                      int write_fds[2], struct why *why)
{
    for (size_t i = 0; i < ARRAY_COUNT(process->streams); i++)
        TRY(open_stream(process, &process->streams[i], &write_fds[i], why));
    int error = spawn(options, write_fds, &process->pid);
    if (error != 0)
        return fail_errno(why, error, "running %s", options->arguments[0]);
    /* Not reaped yet, so the number is still its own. */
    int pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    enum err err =
        pid_fd < 0 ? fail_errno(why, errno, "watching %s", options->arguments[0])
                   : loop_watch_start(process->loop, &process->exit, pid_fd, EPOLLIN, exited, why);
    if (err != ERR_NONE) {
        siginfo_t info;
        reap(process, &info);
        if (pid_fd >= 0)
            close(pid_fd);
    }
    return err;
}

enum err process_start(struct loop *loop, const struct process_options *options,
                       void (*finished)(void *self, const struct process_result *result),
                       void *self, struct process **ret_process, struct why *why)
{
    struct process *process = process_new(loop, options);
    int write_fds[2] = {-1, -1};

    process->finished = finished;
    process->self = self;
    enum err err = start(process, options, write_fds, why);
    for (size_t i = 0; i < ARRAY_COUNT(write_fds); i++) {
        if (write_fds[i] >= 0)
            close(write_fds[i]);
    }
    if (err != ERR_NONE) {
        forget(process);
        return err;
    }
    loop_timer_start(loop, &process->timer, process->started_ns + process->timeout_ns, overdue);
    *ret_process = process;
    return ERR_NONE;
}

struct process *process_kill(struct process *process)
{
    siginfo_t info;

    if (process == NULL)
        return NULL;
    MUST_BE(process, PROCESS_MAGIC);
    reap(process, &info); /* SIGKILL: it is gone in no time. */
    forget(process);
    return NULL;
}

struct str process_errors(const struct process *process)
{
    MUST_BE(process, PROCESS_MAGIC);
    return buf_view(&process->streams[1].bytes);
}

void process_end(struct process *process)
{
    MUST_BE(process, PROCESS_MAGIC);
    loop_timer_stop(process->loop, &process->timer);
    overdue(&process->timer);
}

void process_result_text(const struct process_result *result, char text[PROCESS_TEXT_SIZE])
{
    if (result->timed_out)
        (void)snprintf(text, PROCESS_TEXT_SIZE, "was stopped after %.1f s",
                       (double)result->duration_ns / 1e9);
    else if (result->signal != 0)
        (void)snprintf(text, PROCESS_TEXT_SIZE, "was ended by signal %d (%s)", result->signal,
                       strsignal(result->signal));
    else
        (void)snprintf(text, PROCESS_TEXT_SIZE, "exited with %d", result->exit_code);
}
