/* SPDX-License-Identifier: Apache-2.0 */
/* textfile.c - a folder of *.prom files that other programs write, with node_exporter's meaning.
 *
 * Each file is Prometheus text without times. One that cannot be read is left out as a whole, with
 * node_textfile_scrape_error at 1, and named with line and column in the source's error; the others
 * are taken. Files are written whole and renamed into place by those who do it right. */
#include "base/file.h"
#include "base/log.h"
#include "codec/prometheus.h"
#include "sources/source.h"
#include "sources/staleness.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_MAX = 1000, MEMO_BYTES = 32 << 20 };

static const struct column error_columns[] = {
    {"node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise",
     METRIC_GAUGE, NULL, NULL},
};
static const struct column mtime_columns[] = {
    {"node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.", METRIC_GAUGE,
     NULL, NULL},
};
static const char *const mtime_keys[] = {"file"};

struct textfile {
    struct label_memo *memo;
    struct staleness staleness;
    struct buf text;
    struct batch *out; /* While a folder is read. */
    size_t files;
    bool failed;
    struct why first_why;     /* Of the first file that could not be read. */
    char told[WHY_TEXT_SIZE]; /* What was logged last, so that it is said once. */
};

static enum err textfile_open(struct source *source, struct why *why)
{
    struct textfile *textfile = calloc(1, sizeof(*textfile));

    if (textfile == NULL)
        must_memory(sizeof(*textfile));
    textfile->memo = label_memo_new(MEMO_BYTES);
    source->state = textfile;
    (void)source_table(source, error_columns, 1, NULL, 0);       /* tables[0] */
    (void)source_table(source, mtime_columns, 1, mtime_keys, 1); /* tables[1] */
    return ERR_NONE;
}

static void textfile_close(struct source *source)
{
    struct textfile *textfile = source->state;

    if (textfile == NULL)
        return;
    label_memo_free(textfile->memo);
    staleness_done(&textfile->staleness);
    buf_done(&textfile->text);
    free(textfile);
}

static enum err read_file(struct source *source, const char *path, struct why *why)
{
    struct textfile *textfile = source->state;
    struct prometheus_options options = {
        .now_ms = source->time_ms,
        .base = source->options->base,
        .base_count = source->options->base_count,
        .describe = true,
    };
    size_t before = textfile->out->samples.count;
    struct stat info;

    buf_clear(&textfile->text);
    TRY(file_read(path, SOURCE_FILE_BYTES, &textfile->text, why));
    enum err err = prometheus_read(buf_view(&textfile->text), path, &options, textfile->memo,
                                   textfile->out, why);
    for (size_t i = before; err == ERR_NONE && i < textfile->out->samples.count; i++) {
        if (textfile->out->samples.items[i].time_ms != source->time_ms)
            err = fail(why, ERR_INVALID,
                       "%s: a sample carries a time, which is not read from files", path);
    }
    if (err != ERR_NONE) {
        textfile->out->samples.count = before;
        return err;
    }
    struct str name = str_of(path);
    if (stat(path, &info) == 0)
        row_set(table_row(source->tables[1], &name), 0,
                (double)info.st_mtim.tv_sec + (double)info.st_mtim.tv_nsec / 1e9);
    return ERR_NONE;
}

static enum err visit_file(void *self, const char *name, struct why *why)
{
    struct source *source = self;
    struct textfile *textfile = source->state;
    struct why file_why = WHY_INIT;
    char path[PATH_MAX];

    if (!str_ends(str_of(name), STR(".prom")))
        return ERR_NONE;
    if (++textfile->files > FILES_MAX)
        return fail(why, ERR_LIMIT, "more than %d files in %s", FILES_MAX,
                    source->options->textfile_folder);
    int size = snprintf(path, sizeof(path), "%s/%s", source->options->textfile_folder, name);
    if (size < 0 || size >= (int)sizeof(path))
        return ERR_NONE;
    if (read_file(source, path, &file_why) != ERR_NONE) {
        if (!textfile->failed)
            textfile->first_why = file_why;
        textfile->failed = true;
    }
    return ERR_NONE;
}

/* Says it once, and again when it is something else. */
static void tell_failure(struct textfile *textfile)
{
    if (!textfile->failed) {
        textfile->told[0] = '\0';
        return;
    }
    if (strcmp(textfile->told, textfile->first_why.text) != 0)
        log_line(LOG_WARNING, "textfile", "%s", textfile->first_why.text);
    (void)snprintf(textfile->told, sizeof(textfile->told), "%s", textfile->first_why.text);
}

static enum err textfile_collect(struct source *source, struct batch *out, struct why *why)
{
    struct textfile *textfile = source->state;
    size_t first = out->samples.count;
    size_t first_pool = out->pools.count;

    textfile->out = out;
    textfile->files = 0;
    textfile->failed = false;
    if (source->options->textfile_folder != NULL &&
        file_each(source->options->textfile_folder, visit_file, source, &textfile->first_why) !=
            ERR_NONE)
        textfile->failed = true;
    tell_failure(textfile);
    row_set(source_row(source->tables[0]), 0, textfile->failed);
    return staleness_update(&textfile->staleness, out, first, first_pool, source->time_ms, why);
}

const struct source_kind source_textfile = {
    .name = "textfile",
    .summary = "Metrics from *.prom files in a folder.",
    .period_ms = 5000,
    .open = textfile_open,
    .collect = textfile_collect,
    .close = textfile_close,
};
