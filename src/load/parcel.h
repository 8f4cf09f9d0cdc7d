/* SPDX-License-Identifier: Apache-2.0 */
/* parcel - all that a plan is made of, so that another machine can make the same plan: what was
 * asked for, the files that were read, the variables of the environment that were looked up.
 *
 * It is filled while a plan is made here, written, sent, read there; a plan made from what came
 * by the wire (parcel_read) finds its files and variables in the parcel and nowhere else: an agent
 * never reads a file of its own because somebody names it. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

enum { PARCEL_ITEMS_MAX = 4096, PARCEL_LIST_MAX = 1000 /* Values of one flag. */ };
#define PARCEL_BYTES_MAX ((size_t)192 << 20) /* Of the whole, as it is written. */

enum parcel_kind {
    PARCEL_SETTING,  /* A flag and its value. */
    PARCEL_ITEM,     /* … and one of its values, where it is a list. */
    PARCEL_FILE,     /* A path and what was in it. */
    PARCEL_VARIABLE, /* Of the environment. */
    PARCEL_KIND_COUNT
};

struct parcel_item {
    enum parcel_kind kind;
    struct str name; /* Ended by NUL as well. */
    struct str text; /* The same. */
};

/* Figures that no flag says. */
struct parcel_figures {
    uint64_t target;      /* enum load_target of the command line. */
    uint64_t level_kind;  /* 0: no level of a sweep or search; 1: users; 2: a rate. */
    double level;         /* … which. */
    uint64_t probe_ns;    /* Of a search. */
    uint64_t connections; /* … */
    uint64_t seed;
    uint64_t trace_run;   /* As plan.h has it. */
    uint64_t part, parts; /* Which part of the load is the agent's. */
};

struct parcel {
    struct parcel_figures figures;
    struct parcel_item *items;
    size_t items_count;
    size_t bytes; /* Of all names and texts. */
    bool arrived; /* It came from elsewhere. */
    int *fds;     /* Files that had to become ones of the kernel's. */
    size_t fds_count;
};

struct parcel *parcel_new(void);
struct parcel *parcel_free(struct parcel *parcel); /* Always returns NULL. */
void parcel_freep(struct parcel **parcel);         /* For CLEANUP. */

/* Copies both. ERR_LIMIT: more than fits into a parcel. */
CHECKED enum err parcel_put(struct parcel *parcel, enum parcel_kind kind, struct str name,
                            struct str text, struct why *why);
/* The first of that kind and name, or NULL. */
const struct parcel_item *parcel_find(const struct parcel *parcel, enum parcel_kind kind,
                                      struct str name);

/* ---- For those who make a plan. parcel NULL: no parcel, only this machine. ---- */

/* As file_read. */
CHECKED enum err parcel_file(struct parcel *parcel, const char *path, size_t limit_bytes,
                             struct buf *out, struct why *why);
/* Where the file can be opened by those who want a path; lives as long as the parcel and path. */
CHECKED enum err parcel_path(struct parcel *parcel, const char *path, size_t limit_bytes,
                             char ret_path[64], struct why *why);
/* As getenv. ERR_LIMIT. */
CHECKED enum err parcel_variable(struct parcel *parcel, const char *name, const char **ret_value,
                                 struct why *why);

/* ---- The wire. ---- */

void parcel_write(const struct parcel *parcel, struct buf *out);
/* ERR_CORRUPT, ERR_LIMIT. */
CHECKED enum err parcel_read(struct str bytes, struct parcel **ret_parcel, struct why *why);
