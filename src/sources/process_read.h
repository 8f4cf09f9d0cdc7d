/* SPDX-License-Identifier: Apache-2.0 */
/* process_read - reads the files of one /proc/<pid> folder into a struct process.
 *
 * A file that may not be read leaves NAN; a process that is gone answers false. One thread. */
#pragma once
#include "base/buf.h"
#include "sources/process_table.h"

struct process_reader {
    int proc_fd;   /* Of the folder /proc. */
    double tick_s; /* Of one clock tick. */
    double page_bytes;
    double boot_s; /* When the machine booted, since 1970. */
    struct buf scratch;
};

CHECKED enum err process_reader_init(struct process_reader *reader, const char *proc_path,
                                     struct why *why);
void process_reader_done(struct process_reader *reader);

/* pid is set; fills identity, name, state, CPU, memory, faults, threads. */
bool process_read_stat(struct process_reader *reader, struct process_entry *process);

/* Parts of it, for tests: the text of a stat file. */
bool process_parse_stat(const struct process_reader *reader, struct str text,
                        struct process_entry *process);

/* uid, swap, context switches, I/O, descriptors. */
void process_read_details(struct process_reader *reader, struct process_entry *process);
void process_read_limits(struct process_reader *reader, struct process_entry *process);
void process_read_command(struct process_reader *reader, struct process_entry *process);
double process_read_pss(struct process_reader *reader, pid_t pid); /* NAN: not permitted. */
