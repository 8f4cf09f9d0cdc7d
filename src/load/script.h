/* SPDX-License-Identifier: Apache-2.0 */
/* script - what a step does beyond sending the same bytes and counting the answer: what changes in
 * its request, what is asked of its answer, what is taken from it.
 *
 * Part of the plan: made before the run, read-only from then on. */
#pragma once
#include "base/buf.h"
#include "load/fault.h"
#include "load/template.h"

struct finder;
struct prompt;
struct session;

/* Where in an answer something is looked for. */
enum place {
    PLACE_JSON,   /* At a pointer of the body. */
    PLACE_HEADER, /* The first field of that name. */
    PLACE_REGEX,  /* In the body. */
    PLACE_BODY,   /* All of it. */
    PLACE_STATUS,
};

struct extract {
    enum place place;
    struct str at; /* Pointer or name. */
    struct finder *finder;
    size_t variable;
    bool has_preset; /* What it is when nothing is found; without, that is a failure. */
    struct str preset;
};

enum check_kind {
    CHECK_IS,       /* Equal to the wanted text. */
    CHECK_CONTAINS, /* … is in it. */
    CHECK_EXISTS,
    CHECK_WITHIN, /* The answer took at most wanted_ns. */
};

struct check {
    enum check_kind kind;
    enum place place;
    struct str at;
    struct finder *finder;
    struct template wanted;
    int64_t wanted_ns;
};

struct status_range {
    uint16_t from, to;
};

struct script {
    struct template target;
    struct template *headers; /* One for each header of the step. */
    struct template body;
    bool changes; /* The request is put together anew each time. */

    const struct prompt *prompt; /* Makes the body; or NULL. */
    bool is_stream;              /* The answer is a token stream (stream.h). */

    const struct extract *extracts;
    size_t extracts_count;
    const struct check *checks;
    size_t checks_count;
    const struct status_range *statuses; /* What is no failure; NONE: below 400. */
    size_t statuses_count;
    bool wants_head; /* Fields of the answer are looked at. */
    bool wants_body;
};

/* A complete answer, as far as the script wanted it. */
struct answer {
    unsigned status;
    struct str head; /* "name: value\n" lines. */
    struct str body;
    int64_t took_ns;
};

/* Compiles what the step's target, headers and body say as they stand, for a step whose request
 * changes. body_escape is how holes in the body are filled in. */
CHECKED enum err script_compile(struct plan *plan, struct step *step,
                                enum template_escape body_escape, struct why *why);
void script_done(struct script *script); /* Frees what is not in the plan's arena. */

bool script_status_is_good(const struct script *script, unsigned status);

/* Holds the checks, then takes what is to be taken into the session. FAULT_COUNT: all is well; else
 * FAULT_CHECK or FAULT_EXTRACT. */
enum fault script_look(const struct script *script, const struct answer *answer,
                       struct session *session, struct random *random);
