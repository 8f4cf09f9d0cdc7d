/* SPDX-License-Identifier: Apache-2.0 */
/* load - what the parts of `sonde load` share: what was asked for, and the runs that come of it.
 * One thread, beside the drivers of a run. */
#pragma once
#include "cli/command.h"
#include "cli/load_options.h"
#include "load/engine.h"
#include "load/judgement.h"
#include "load/kind.h"
#include "load/scenario.h"

enum {
    LOAD_PLAN_BYTES_MAX = 512 << 20,
    LOAD_BODY_BYTES_MAX = 64 << 20,
    LOAD_LEVELS_MAX = 64,
    LOAD_ARGUMENTS_MAX = 512,
};

/* What is to be loaded. */
enum load_target { LOAD_TARGET_URL, LOAD_TARGET_LLM, LOAD_TARGET_FILE };

struct load_view;
struct parcel;

struct load {
    const struct invocation *invocation;
    enum load_target target;
    const char *where; /* The URL, or the file. */
    struct arena *arena;
    bool progress; /* Somebody looks at standard error. */
    bool tells;    /* Some program does. */
    bool aborts;
    struct load_view *view; /* NULL: a line is enough. */
    struct buf secret;      /* That agents share; empty: none. */
    struct str daemon;      /* Who watches the target; STR_NONE: nobody. */
    bool daemon_is_named;   /* By whoever started this; else it was found. */
};

/* One run: the only one, or one level of a sweep. */
struct load_run {
    struct load *load;
    bool has_level;
    bool level_is_rate;
    double level;
    int64_t probe_ns; /* Of a probe of a search: how long, whatever was told; 0: as told. */
    unsigned probe_connections; /* … and how many; 0: as told. */
    const char *caption;        /* … and which one it is, for those who look; or NULL. */
    struct plan *plan;
    struct parcel *parcel;   /* What it is made of, for agents; or NULL. */
    const struct kind *kind; /* Of the test; NULL: a plain run. */
    struct criterion criteria[JUDGEMENT_CRITERIA_MAX];
    size_t criteria_count;
    struct judgement judgement;
    struct outcome outcome;
    size_t told;       /* Intervals, to a program. */
    bool is_explained; /* The daemon was asked about it, whatever it said. */
};

/* load_plan: from flags and files to a finished plan. */
CHECKED enum err load_plan_make(struct load_run *run, struct why *why);
bool load_is_told(const struct load *load, enum load_option option); /* On the command line. */
/* Bytes as people write them: \r, \n, \t, \0, \\, \xHH; in the plan's arena. */
CHECKED enum err load_unescape(struct plan *plan, struct str text, struct str *ret_bytes,
                               struct why *why);
/* Headers of the command line behind those given. */
CHECKED enum err load_read_headers(const struct load *load, struct plan *plan, struct step *step,
                                   const struct http_header *more, size_t more_count,
                                   struct why *why);
/* Where the URL's host is reached, when --connect-to says so. */
CHECKED enum err load_read_connect_to(const struct load *load, struct plan *plan,
                                      struct origin *origin, struct why *why);

/* load_agents: other machines, where --agents names them. */
CHECKED enum err load_agents_check(struct load *load, struct why *why);
CHECKED enum err load_read_secret(const struct load *load, struct buf *out, struct why *why);
/* Before load_plan_make: a parcel that takes up what the plan is made of. */
CHECKED enum err load_pack(struct load_run *run, struct why *why);
/* On the other side: the flags, and the URL or file, which lives as long as the parcel. */
CHECKED enum err load_unpack(const struct parcel *parcel, struct options *options,
                             const char **ret_where, struct why *why);
/* Here, or by the agents. */
CHECKED enum err load_engine_run(struct load_run *run, const struct engine_watch *watch,
                                 struct why *why);

/* load_agent: `sonde load agent`. */
enum exit_code load_agent(struct load *load, const atomic_int *interrupts);

/* load_llm: the plan of `sonde load llm URL`. */
CHECKED enum err load_llm_plan(struct load_run *run, struct why *why);

/* load_report: what was asked for in files, and on standard output. */
CHECKED enum err load_report_check(const struct load *load, struct why *why);
enum exit_code load_report_tell(struct load *load, struct load_run *runs, size_t count);

/* load_witness: the daemon that watches the target. */
struct str load_daemon_url(const struct load *load); /* Named, or where one may be. */
/* Is there one? Before the first run. ERR_UPSTREAM: the one that was named does not answer. */
CHECKED enum err load_witness_find(struct load *load, struct why *why);
/* Of the levels of a sweep, the lowest whose promises broke; the only run, where there is one;
 * NULL: none broke. */
struct load_run *load_witness_choose(struct load_run *runs, size_t count);
/* The plan's requests carry trace ids, where somebody looks for them. Before load_plan_make. */
void load_witness_trace(const struct load *load, struct plan *plan);
/* What it saw, into the judgement; a note where it does not say. Waits a few seconds for spans that
 * are sent in batches, or until *interrupts grows. */
void load_witness_ask(struct load_run *run, const atomic_int *interrupts);

/* load_keep: to a daemon. ERR_UPSTREAM: there is none. */
CHECKED enum err load_keep(const struct load_run *runs, size_t count, struct why *why);

/* load_view: the terminal while a run goes on. */
struct load_view *load_view_open(const struct load *load); /* NULL: there is no place for it. */
struct load_view *load_view_close(struct load_view *view); /* Always returns NULL. */
void load_view_show(struct load_view *view, const struct load_run *run,
                    const struct outcome *outcome);
bool load_view_attend(struct load_view *view); /* Did somebody ask to end? */
/* load_line: the same in one line on standard error. */
void load_line_show(const struct outcome *outcome);
void load_line_clear(void);
/* A JSON line for each interval from `from` on; returns how many there are. */
size_t load_line_tell(const struct outcome *outcome, size_t from);

/* load: what every run shares with the one who is shown it. */
void load_open_view(struct load_run *run);
void load_show(struct load_run *run, const struct outcome *outcome);
void load_clear_line(const struct load_run *run);
void load_attend(const struct load_run *run);
void load_run_done(struct load_run *run);

/* load_capacity: `sonde load --capacity`. */
enum exit_code load_capacity(struct load *load, const atomic_int *interrupts);

/* load_import: `sonde load import FORM SOURCE`. */
enum exit_code load_import(struct invocation *invocation);
