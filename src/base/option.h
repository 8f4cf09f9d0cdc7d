/* SPDX-License-Identifier: Apache-2.0 */
/* option - one row says all about a setting: name, type, default, range and help.
 *
 * The row serves the key in the configuration file ("retention.raw"), the flag ("--retention-raw"),
 * the environment variable ("SONDE_RETENTION_RAW"), --help and the manual. `struct options` holds
 * the values of one table of rows, each with its origin; a value from a stronger source replaces
 * one from a weaker, in the order of enum option_source.
 *
 * Built by one thread; read-only afterwards, then any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,     /* Any text. */
    OPTION_PATH,     /* A file or folder; "~/" is the home folder. */
    OPTION_BOOL,     /* true, false, yes, no, on, off; a flag alone means true, --no-FLAG false. */
    OPTION_INTEGER,  /* Range "1..64", either end may be left out. */
    OPTION_NUMBER,   /* The same with a fraction. */
    OPTION_SIZE,     /* Bytes: 4096, 64KiB, 16MiB, 2GiB, 1TiB; kB, MB, GB, TB are decimal. */
    OPTION_DURATION, /* 250ms, 15s, 1m30s, 2h, 7d, 1w, 1y; kept in milliseconds. */
    OPTION_RATIO,    /* 0.1 or 10%; kept as 0 … 1. */
    OPTION_CHOICE,   /* Range "one|two|three"; kept as the index. */
    OPTION_LIST,     /* Texts, separated by commas on one line. */
    OPTION_ADDRESS,  /* HOST:PORT, [IPV6]:PORT, :PORT. */
    OPTION_TYPE_COUNT
};

enum option_flag {
    OPTION_SECRET = 1,    /* From the environment only (or a *_file option beside it); not shown. */
    OPTION_LIVE = 2,      /* A reload of the configuration may change it while running. */
    OPTION_FLAG_ONLY = 4, /* Makes sense on the command line alone. */
};

struct option_row {
    const char *name;       /* Lower case; dots separate levels, underscores words. */
    const char *preset;     /* Default, as text; NULL: none. */
    const char *range;      /* "1..64", "a|b", or NULL: any. */
    const char *value_name; /* What help calls the value; NULL: by type. */
    const char *help;       /* One sentence with its full stop. */
    enum option_type type;
    unsigned flags;
};

enum option_source {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_PROFILE,
    OPTION_FROM_FILE,
    OPTION_FROM_ENVIRONMENT,
    OPTION_FROM_FLAG,
};

struct option_origin {
    enum option_source source;
    const char *name;      /* Of the file, variable, profile or flag; outlives the options. */
    uint32_t line, column; /* In a file; from 1, or 0. */
};

struct options;

/* rows has static storage. Every preset must be valid by its own row: checked with MUST. */
struct options *options_new(const struct option_row *rows, size_t count);
struct options *options_free(struct options *options); /* Always returns NULL. */
void options_freep(struct options **options);          /* For CLEANUP. */

/* Sets one value, checked against type and range. A weaker source than the one that set it changes
 * nothing, but is checked all the same. ERR_INVALID says what was expected. */
CHECKED enum err options_set(struct options *options, size_t index, struct str text,
                             const struct option_origin *origin, struct why *why);
/* The same for a list whose items are known one by one (and so may hold commas). */
CHECKED enum err options_set_list(struct options *options, size_t index, const struct str *items,
                                  size_t count, const struct option_origin *origin,
                                  struct why *why);

/* Index of the row of that name, or -1. */
ptrdiff_t options_find(const struct options *options, struct str name);
/* The name that was probably meant, or NULL. */
const char *options_nearest(const struct options *options, struct str name);

/* Takes every variable PREFIX_NAME that has a row. Variables that look like a mistyped row are
 * appended to complaints, a line each; others with the prefix belong to somebody else. */
CHECKED enum err options_read_environment(struct options *options, const char *prefix,
                                          const char *const *environment, struct buf *complaints,
                                          struct why *why);

/* Takes "--name value", "--name=value", "--flag" and "--no-flag"; "--" ends them. What is no flag
 * is moved to the front of arguments; their count is *ret_rest. ERR_INVALID names the flag and the
 * nearest one. */
CHECKED enum err options_read_flags(struct options *options, const char **arguments, size_t count,
                                    size_t *ret_rest, struct why *why);

size_t options_count(const struct options *options);
const struct option_row *options_row(const struct options *options, size_t index);
const struct option_origin *options_origin(const struct options *options, size_t index);
bool options_is_set(const struct options *options, size_t index); /* Has it any value? */

/* The value. The type must be the row's. Unset texts are STR_NONE, unset numbers 0. */
struct str options_text(const struct options *options, size_t index); /* TEXT PATH CHOICE ADDRESS */
const char *options_cstr(const struct options *options, size_t index); /* The same, or NULL. */
bool options_bool(const struct options *options, size_t index);
int64_t options_i64(const struct options *options, size_t index);   /* INTEGER SIZE CHOICE. */
int64_t options_ms(const struct options *options, size_t index);    /* DURATION. */
double options_double(const struct options *options, size_t index); /* NUMBER RATIO. */
size_t options_list(const struct options *options, size_t index, const struct str **ret_items);

/* The value as text, as the configuration file would say it; a secret is "(hidden)". */
void options_write(const struct options *options, size_t index, struct buf *out);

/* "--retention-raw", "SONDE_RETENTION_RAW" (prefix "SONDE"), "DURATION". */
void option_write_flag(const struct option_row *row, struct buf *out);
void option_write_variable(const struct option_row *row, const char *prefix, struct buf *out);
const char *option_value_name(const struct option_row *row); /* "" for a bool. */
const char *option_source_name(enum option_source source);   /* "default", "file", … */

/* "64KiB" and the like; false when it is no size. Shared with others who read sizes. */
bool option_parse_size(struct str text, int64_t *ret_bytes);
bool option_parse_bool(struct str text, bool *ret_value);
bool option_parse_ratio(struct str text, double *ret_ratio);
