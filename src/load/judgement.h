/* SPDX-License-Identifier: Apache-2.0 */
/* judgement - whether a run was good: its criteria one by one, and sentences about what it showed.
 * Texts live in the arena. One thread. */
#pragma once
#include "base/json.h"
#include "load/criterion.h"
#include "load/outcome.h"

struct witness;

enum { JUDGEMENT_CRITERIA_MAX = 100, JUDGEMENT_NOTES_MAX = 50 };

enum note_kind { NOTE_GOOD, NOTE_INFO, NOTE_WARNING, NOTE_BAD };

struct judgement_note {
    enum note_kind kind;
    const char *text;
};

struct judgement_figure {
    const char *key;   /* In JSON: "knee_rate". */
    const char *title; /* For people. */
    double value;
};

struct judgement_result {
    const struct criterion *criterion;
    double measured;
    bool holds;
};

struct judgement {
    struct arena *arena;
    bool failed;
    const char *failed_by; /* What it broke by that is no criterion; or NULL. */
    struct judgement_result results[JUDGEMENT_CRITERIA_MAX];
    size_t results_count;
    struct judgement_note notes[JUDGEMENT_NOTES_MAX];
    size_t notes_count;
    struct judgement_figure figures[JUDGEMENT_NOTES_MAX];
    size_t figures_count;
    const struct witness *witness; /* NULL: nobody watched the target. */
};

void judgement_init(struct judgement *judgement, struct arena *arena);

/* Holds the criteria against the outcome; a broken one fails the verdict. */
void judgement_judge(struct judgement *judgement, const struct criterion *criteria, size_t count,
                     const struct outcome *outcome);
/* What every run has to say about itself: saturation, drops, errors by name, early closes. */
void judgement_note_run(struct judgement *judgement, const struct outcome *outcome);

/* NOTE_BAD fails the verdict. Notes over the limit are dropped. */
void judgement_note(struct judgement *judgement, enum note_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
void judgement_figure(struct judgement *judgement, const char *key, const char *title,
                      double value);

/* "verdict", "criteria", "notes", "figures" into an open JSON object; or its notes alone. */
void judgement_add_json(const struct judgement *judgement, struct json *json);
void judgement_add_notes(const struct judgement *judgement, struct json *json);
