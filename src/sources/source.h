/* SPDX-License-Identifier: Apache-2.0 */
/* source - the seam for noticing things: one new file with a `const struct source_kind`, one row in
 * sources.def.
 *
 * A source reads something at its period and puts what it saw into tables (sources/table.h), whose
 * last values the runner sends at every tick, or straight into the batch it was lent. It never
 * logs, waits or starts threads. All calls come from one thread, the sampler. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "model/batch.h"
#include "sources/scan.h"
#include "sources/table.h"

#define SOURCE_TABLES_MAX 8
#define SOURCE_FILE_BYTES (8u << 20) /* Of any one file that a source reads. */

struct source;
struct process_table;

struct source_kind {
    const char *name;    /* As in `collector="…"`, options and messages. */
    const char *summary; /* One sentence. */
    int64_t period_ms;   /* How often it looks; 0: at every tick. */

    /* Prepares source->state and tables. ERR_UNSUPPORTED: this machine has nothing of the kind now;
     * asked again once a minute. May be NULL. */
    enum err (*open)(struct source *source, struct why *why);

    /* Looks once. ERR_UNSUPPORTED: nothing of the kind now. On an error the tables' series end. */
    enum err (*collect)(struct source *source, struct batch *out, struct why *why);

    /* Accepts a half-opened source; the tables are freed by the runner. May be NULL. */
    void (*close)(struct source *source);
};

/* Where the kernel's files are: tests point these at folders of their own. */
struct source_paths {
    const char *proc; /* "/proc" */
    const char *sys;  /* "/sys" */
    const char *root; /* "" : before "/etc/os-release" and the like. */
};

struct source_options {
    struct source_paths paths;
    const struct label *base; /* Labels that every series gets: job, instance. */
    size_t base_count;
    const char *textfile_folder;     /* NULL: none. */
    size_t cgroups_max;              /* Cgroups told apart; further ones are counted only. */
    size_t groups_max;               /* Process groups told apart; further ones are "other". */
    struct process_table *processes; /* Shared with who asks for rows; may be NULL. */
};

struct source {
    const struct source_kind *kind;
    const struct source_options *options;
    void *state; /* The source's own. */
    struct table *tables[SOURCE_TABLES_MAX];
    size_t table_count;
    struct buf *scratch; /* For reading files; shared by all sources of the runner. */
    int64_t time_ms;     /* Of this round: the time that its samples carry. */
};

/* A table of the source's, begun anew by the runner before each collect and freed after close. */
struct table *source_table(struct source *source, const struct column *columns, size_t column_count,
                           const char *const *keys, size_t key_count);

/* A table without keys has one row: this. */
struct row *source_row(struct table *table);

/* Reads "proc/stat" or "sys/class/net/eth0/mtu" (below the options' paths) or, with a leading '/',
 * a file below root. The text lives in source->scratch until the next read. ERR_UNSUPPORTED when
 * the file is not there. */
CHECKED enum err source_read(struct source *source, struct scan *ret_text, struct why *why,
                             const char *format, ...) PRINTF_LIKE(4, 5);

/* As source_read from a descriptor that stays open between rounds: *fd is -1 at first, and the
 * source closes it with file_closep(). */
CHECKED enum err source_read_kept(struct source *source, int *fd, const char *name,
                                  struct scan *ret_text, struct why *why);

/* A small file, as sysfs has them, trimmed, into the caller's room; false when it cannot be read.
 */
#define SOURCE_TEXT_BYTES 512
struct source_text {
    char text[SOURCE_TEXT_BYTES];
    size_t size;
};
bool source_read_text(struct source *source, struct source_text *ret_text, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool source_read_i64(struct source *source, int64_t *ret_value, const char *format, ...)
    PRINTF_LIKE(3, 4);

static inline struct str source_text_str(const struct source_text *text)
{
    return (struct str){text->text, text->size};
}

/* Calls visit for the names in a folder (paths as in source_read) in byte order, hidden ones left
 * out. A folder that is not there is ERR_UNSUPPORTED. */
CHECKED enum err source_each(struct source *source,
                             enum err (*visit)(struct source *source, const char *name,
                                               struct why *why),
                             struct why *why, const char *format, ...) PRINTF_LIKE(4, 5);

/* The registry: every row of sources.def. */
size_t source_kind_count(void);
const struct source_kind *source_kind_at(size_t index);
const struct source_kind *source_kind_find(const char *name); /* NULL when there is none. */

/* Opening and closing without a runner, for it and for tests. */
CHECKED enum err source_open(struct source *source, const struct source_kind *kind,
                             const struct source_options *options, struct buf *scratch,
                             struct why *why);
void source_close(struct source *source);
/* Begins the tables and collects. On an error the tables are forgotten. */
CHECKED enum err source_collect(struct source *source, int64_t time_ms, struct batch *out,
                                struct why *why);
