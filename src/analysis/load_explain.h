/* SPDX-License-Identifier: Apache-2.0 */
/* load_explain - what a machine and its services did while a load was put on them, and what of it
 * explains the figures of the load.
 *
 * The machine's figures during the run stand beside those just before it, with the processes that
 * used most of it. Spans that began within the run tell which operations answered, and what their
 * slow and failed traces have in common (trace_survey.h). Nothing is guessed: what is not measured
 * is NAN or missing, and a failed load may end with no finding at all. Lives in the arena. */
#pragma once
#include "analysis/trace_survey.h"

#define LOAD_FIGURES_MAX     16
#define LOAD_PROCESSES_MAX   6
#define LOAD_ENTRIES_MAX     3 /* Operations that are looked into. */
#define LOAD_FINDINGS_MAX    24
#define LOAD_NOTES_MAX       4
#define LOAD_FINDING_IDS_MAX 3

/* What the load says of itself. */
struct load_facts {
    int64_t from_ms; /* The run. */
    int64_t to_ms;
    bool is_here;        /* The target is on the machine whose figures the view has. */
    struct str instance; /* Label of that machine's series; STR_NONE: of all there are. */
    bool has_trace_run;  /* Requests carried trace ids that begin with trace_run, which is also
                            their parent. */
    uint8_t trace_run[SPAN_ID_BYTES];
    uint64_t requests;
    uint64_t failures;
    double quantile;   /* Which of the durations broke, or is looked at: 0.95. */
    double service_ms; /* That one, from the first byte sent to the last one back; NAN. */
    double generator_cores;
    bool has_failed;
    struct str slow;   /* The criterion about time that broke: "p95 < 300ms, measured 812 ms". */
    struct str errors; /* The same about errors. */
};

enum load_unit { LOAD_RATIO, LOAD_COUNT, LOAD_BYTES_RATE, LOAD_RATE };

struct load_figure {
    const char *key;   /* "cpu" */
    const char *title; /* "CPU in use" */
    enum load_unit unit;
    double before;
    double during;
    double peak;        /* The highest within 5 s. */
    struct str subject; /* Which device; STR_NONE. */
};

struct load_process {
    struct str name;
    double cores;
    double cores_before;
    double memory_bytes; /* At most, of all of that name. */
    double count;        /* How many of that name. */
};

/* An operation that answered the load, or was called from outside while it ran. */
struct load_entry {
    struct str service;
    struct str name;
    uint64_t spans;
    uint64_t errors;
    int64_t total_ns;
    bool was_surveyed;
    struct survey survey;
};

struct load_finding {
    struct finding finding; /* expr is PromQL of a machine's figure, TraceQL of traces. */
    bool is_cause;          /* It explains what the load failed by. */
    double weight;          /* Its share of the harm, 0 … 1. */
    uint8_t trace_ids[LOAD_FINDING_IDS_MAX][TRACE_ID_BYTES];
    size_t trace_ids_count;
};

struct load_explained {
    int64_t before_from_ms;
    double cores; /* Of the machine; NAN: unknown. */
    struct load_figure figures[LOAD_FIGURES_MAX];
    size_t figures_count;
    struct load_process processes[LOAD_PROCESSES_MAX];
    size_t processes_count;
    struct load_entry entries[LOAD_ENTRIES_MAX]; /* The most time first. */
    size_t entries_count;
    uint64_t spans;        /* That began within the run, of anything. */
    uint64_t entry_spans;  /* Of those, the ones that answered the load. */
    bool entries_are_ours; /* They name the load as their parent; else they are any from outside. */
    double entry_ms;       /* Their duration, at the quantile that was asked for; NAN. */
    bool has_senders;      /* Some program sent spans lately, within the run or before it. */
    struct load_finding findings[LOAD_FINDINGS_MAX]; /* Causes first, then by weight. */
    size_t findings_count;
    struct {
        bool is_warning;
        struct str text;
    } notes[LOAD_NOTES_MAX]; /* For the verdict. */
    size_t notes_count;
};

/* ERR_LIMIT, ERR_CANCELLED; what the store says. */
CHECKED enum err load_explain(struct store_view *view, const struct load_facts *facts,
                              struct arena *arena, struct load_explained *ret_explained,
                              struct why *why);
void load_explain_done(struct load_explained *explained); /* For CLEANUP. */

/* How many spans began within the run, how many of them answered the load, and whether anybody
 * sends any: are those that are sent in batches all there? The rest is untouched. */
CHECKED enum err load_explain_count(struct store_view *view, const struct load_facts *facts,
                                    struct arena *arena, struct load_explained *ret_explained,
                                    struct why *why);
