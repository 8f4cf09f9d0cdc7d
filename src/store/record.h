/* SPDX-License-Identifier: Apache-2.0 */
/* record - what people and programs decided to keep by name: benchmarks, verdicts, runs of load.
 *
 * A record is a JSON text under a kind and a name, of one tenant; a file of its own beside the
 * days, that no retention touches. Few and small against measurements: each call opens the file,
 * does one thing and closes it. Any thread; writers wait for each other. Committed when the call
 * returns. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct store;

enum {
    RECORD_NAME_BYTES_MAX = 200,
    RECORD_BODY_BYTES_MAX = 16 << 20,
    RECORDS_MAX = 100000, /* Of a tenant. */
};

struct record {
    struct str kind; /* "benchmark". */
    struct str name; /* Unique in its kind; UTF-8. */
    int64_t time_ms; /* Since 1970: when it was made. */
    struct str body;
};

struct record_list {
    struct record *items; /* Newest first, then by name. */
    size_t count;
};

/* Adds or replaces; makes the tenant's folder where it is not there. ERR_INVALID: a name that is
 * empty or too long; ERR_TOO_LARGE: the body; ERR_LIMIT: too many records. */
CHECKED enum err store_record_put(struct store *store, const char *tenant,
                                  const struct record *record, struct why *why);

/* The same, but ERR_EXISTS when there is one of that kind and name, which stays as it is. */
CHECKED enum err store_record_add(struct store *store, const char *tenant,
                                  const struct record *record, struct why *why);

/* ERR_NOT_FOUND: no record of that name. It lives in the arena. */
CHECKED enum err store_record_get(struct store *store, const char *tenant, struct str kind,
                                  struct str name, struct arena *arena, struct record *ret_record,
                                  struct why *why);

struct record_question {
    struct str kind;
    struct str prefix; /* Of names; empty: all. */
    size_t limit;      /* The newest so many. */
    bool with_bodies;  /* Else they are STR_NONE. */
};
/* No folder, no file: an empty list. ERR_LIMIT: the arena's budget. */
CHECKED enum err store_record_list(struct store *store, const char *tenant,
                                   const struct record_question *question, struct arena *arena,
                                   struct record_list *ret_list, struct why *why);

/* ERR_NOT_FOUND: no record of that name. */
CHECKED enum err store_record_remove(struct store *store, const char *tenant, struct str kind,
                                     struct str name, struct why *why);

/* Removes all but the newest `keep` of those whose names begin with prefix. */
CHECKED enum err store_record_trim(struct store *store, const char *tenant, struct str kind,
                                   struct str prefix, size_t keep, struct why *why);
