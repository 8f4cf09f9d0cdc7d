/* SPDX-License-Identifier: Apache-2.0 */
/* process - runs a program, catches what it prints, and sees that it ends.
 *
 * The child gets /dev/null as input, a process group of its own and no descriptor of ours. What it
 * leaves behind in its group is killed when it exits. Loop thread only. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct process;

struct process_options {
    const char *const *arguments;   /* NULL-terminated; the first is the program, sought in PATH. */
    const char *const *environment; /* NULL-terminated "NAME=value"; NULL: ours. */
    int64_t timeout_ns;             /* Then SIGTERM to the group; 0: 10 s. */
    int64_t grace_ns;               /* After SIGTERM, then SIGKILL; 0: 2 s. */
    size_t output_bytes_max;        /* Of each stream; the rest is read and dropped. 0: 1 MiB. */
};

struct process_result {
    int exit_code; /* -1 when a signal ended it. */
    int signal;    /* Or 0. */
    bool timed_out;
    bool output_cut;   /* More came than was kept. */
    struct str output; /* What it printed; valid during the call. */
    struct str errors; /* What it complained. */
    int64_t duration_ns;
};

/* Starts it. finished(self, result) is called once, after which the process is gone.
 * ERR_NOT_FOUND: no such program; ERR_DENIED: it may not be run. */
CHECKED enum err process_start(struct loop *loop, const struct process_options *options,
                               void (*finished)(void *self, const struct process_result *result),
                               void *self, struct process **ret_process, struct why *why);

/* Kills the group and forgets it; finished is not called. NULL is fine; returns NULL. Not from
 * within finished. */
struct process *process_kill(struct process *process);

/* What it complained so far; valid until control returns to the loop. */
struct str process_errors(const struct process *process);

/* SIGTERM to the group, and SIGKILL after the grace; finished follows. */
void process_end(struct process *process);

/* "exited with 3", "ended by signal 9 (Killed)", "took longer than 10 s": for a log. */
#define PROCESS_TEXT_SIZE 96
void process_result_text(const struct process_result *result, char text[PROCESS_TEXT_SIZE]);
