/* SPDX-License-Identifier: Apache-2.0 */
/* maintain - what an operator does to a data folder: check, back up, restore, look at.
 *
 * These work on folders, not on an open store, and so also while a daemon has the folder open
 * (restore excepted). Blocking; any thread, one call at a time. */
#pragma once
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

struct maintain {
    /* File number `done` of `total` is about to be worked on. May be NULL. */
    void (*progress)(void *self, const char *file, size_t done, size_t total);
    /* Something is damaged: which file, what, and where. May be NULL. */
    void (*finding)(void *self, const char *sentence);
    void *self;
    const _Atomic bool *cancel; /* May be NULL: ERR_CANCELLED. */
};

struct maintain_result {
    uint64_t tenants;
    uint64_t files;
    uint64_t bytes; /* Of files. */
    uint64_t series;
    uint64_t blocks;
    uint64_t samples;  /* In blocks, roll-ups not counted. */
    uint64_t steps;    /* Rows of roll-ups. */
    uint64_t pending;  /* Samples not sealed yet. */
    uint64_t findings; /* Of check. */
    int64_t oldest_ms; /* INT64_MAX when there is nothing. */
    int64_t newest_ms;
};

/* Verifies every page, checksum and column. Damage is a finding, not an error; ERR_NOT_FOUND: the
 * folder is not there. */
CHECKED enum err store_check(const char *folder, const struct maintain *maintain,
                             struct maintain_result *ret_result, struct why *why);

/* As store_check counts, without decoding: quick. */
CHECKED enum err store_look(const char *folder, const struct maintain *maintain,
                            struct maintain_result *ret_result, struct why *why);

/* Copies every tenant into the folder `to`, which must be new or empty; each file as of one moment,
 * the catalog last, so that it knows every series of the days. ERR_EXISTS. */
CHECKED enum err store_backup(const char *folder, const char *to, const struct maintain *maintain,
                              struct maintain_result *ret_result, struct why *why);

/* Copies a backup into the data folder, which must be new or empty: it never overwrites. It appears
 * there as a whole or not at all. ERR_EXISTS; ERR_BUSY: a process has the folder open. */
CHECKED enum err store_restore(const char *backup, const char *folder,
                               const struct maintain *maintain, struct maintain_result *ret_result,
                               struct why *why);
