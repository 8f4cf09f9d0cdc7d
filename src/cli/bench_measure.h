/* SPDX-License-Identifier: Apache-2.0 */
/* bench_measure - runs a command once and says what it took. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

enum { BENCH_OUTPUT_BYTES_MAX = 4 << 20 }; /* Kept of each stream; the rest is read and dropped. */

struct bench_command {
    const char *const *arguments; /* NULL-terminated; the first is sought in PATH. */
    int cpu;                      /* To pin to; -1: any. */
    int64_t timeout_ns;
};

struct bench_usage {
    double wall_s, user_s, sys_s;
    double rss_bytes; /* Largest. */
    double faults_minor, faults_major;
    double switches_voluntary, switches_forced;
    double instructions; /* In user space, children included; NAN where counting is not allowed. */
    int exit_code;       /* -1 when a signal ended it. */
    int signal;
};

/* output and errors are what it wrote, appended. ERR_NOT_FOUND: no such program; ERR_TIMEOUT: it
 * was killed. */
CHECKED enum err bench_measure(const struct bench_command *command, struct bench_usage *ret_usage,
                               struct buf *output, struct buf *errors, struct why *why);

/* How quiet the machine is. */
struct bench_machine {
    double spin_noise;          /* Scatter of a fixed stretch of work, relative to its median. */
    double other_share;         /* Of all processors' time, taken by others while we measured. */
    double steal_share;         /* The same by the host of this virtual machine. */
    int64_t busy, steal, total; /* Ticks at the start. */
};

/* Before the first run (spins for some 50 ms), and after the last: own_s is the CPU time of the
 * runs. */
void bench_machine_begin(struct bench_machine *machine);
void bench_machine_end(struct bench_machine *machine, double own_s);
/* A line for each thing that makes figures doubtful. */
void bench_machine_write(const struct bench_machine *machine, struct buf *out);
