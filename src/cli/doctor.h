/* SPDX-License-Identifier: Apache-2.0 */
/* doctor - what this machine allows, one question a row of doctor_checks.def.
 *
 * A check tries the thing itself where that is possible (opens a counter, makes a map, flushes a
 * file) instead of believing a setting, and leaves nothing behind. */
#pragma once
#include "cli/config.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_LIMITED, /* Works in part. */
    DOCTOR_MISSING,
    DOCTOR_NOT_NEEDED, /* Absent, and nothing of ours wants it. */
    DOCTOR_STATE_COUNT
};

struct doctor_answer {
    enum doctor_state state;
    char text[256];   /* What was found. */
    char advice[320]; /* How to allow it; "" when all is well. */
};

struct doctor_check {
    const char *name;  /* For --json. */
    const char *title; /* For people. */
    const char *use;   /* What it is needed for. */
    void (*run)(const struct config *config, struct doctor_answer *answer);
};

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_checks_count;

/* Fill in an answer; advice may be NULL. */
void doctor_say(struct doctor_answer *answer, enum doctor_state state, const char *format, ...)
    PRINTF_LIKE(3, 4);
void doctor_advise(struct doctor_answer *answer, const char *format, ...) PRINTF_LIKE(2, 3);

/* A number in a file of /proc or /sys; false when it cannot be read. */
bool doctor_read_number(const char *path, int64_t *ret_number);
/* The first line of a small file, trimmed; "" when it cannot be read. */
void doctor_read_line(const char *path, char *text, size_t size);
