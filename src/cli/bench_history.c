/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_history.h"
#include "analysis/bench_unit.h"
#include "base/clock.h"
#include "base/file.h"
#include "stats/array.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bench_history {
    const struct invocation *invocation;
    const char *name;
    struct buf path; /* At the daemon; empty: a file. */
    struct buf text;
    struct str *lines; /* Of the text. */
    size_t count;
};

void bench_history_free(struct bench_history *history)
{
    if (history == NULL)
        return;
    buf_done(&history->path);
    buf_done(&history->text);
    free(history->lines);
    free(history);
}

const char *bench_history_name(const struct bench_history *history)
{
    return history->name;
}

size_t bench_history_count(const struct bench_history *history)
{
    return history->count;
}

/* ---- Reading. ---- */

static struct bench_history *history_new(const struct invocation *invocation)
{
    struct bench_history *history = calloc(1, sizeof(*history));
    const char *shared = options_cstr(invocation->options, BENCH_SHARED);

    if (history == NULL ||
        (history->lines = calloc(BENCH_HISTORY_LINES_MAX, sizeof(*history->lines))) == NULL)
        must_memory(BENCH_HISTORY_LINES_MAX * sizeof(*history->lines));
    history->invocation = invocation;
    history->name = shared != NULL ? shared : options_cstr(invocation->options, BENCH_HISTORY);
    if (shared != NULL) {
        buf_text(&history->path, "/histories");
        bench_write_name(&history->path, shared);
    }
    return history;
}

static enum err read_text(struct bench_history *history, struct why *why)
{
    enum err err;

    if (history->path.size > 0)
        return bench_ask(history->invocation, NULL, buf_cstr(&history->path), STR_NONE,
                         &history->text, why);
    err = file_read(history->name, BENCH_FILE_BYTES_MAX, &history->text, why);
    return err == ERR_NOT_FOUND ? ERR_NONE : err; /* The first time. */
}

static enum err cut_lines(struct bench_history *history, struct why *why)
{
    struct str rest = buf_view(&history->text);

    while (rest.size > 0) {
        struct str line = str_trim(str_split(&rest, '\n'));
        if (line.size == 0)
            continue;
        if (history->count == BENCH_HISTORY_LINES_MAX)
            return fail(why, ERR_LIMIT, "%s: more than %d lines; keep the newest", history->name,
                        BENCH_HISTORY_LINES_MAX);
        history->lines[history->count++] = line;
    }
    return ERR_NONE;
}

enum err bench_history_read(const struct invocation *invocation, struct bench_history **ret_history,
                            struct why *why)
{
    struct bench_history *history = history_new(invocation);
    enum err err = read_text(history, why);

    if (err == ERR_NONE)
        err = cut_lines(history, why);
    if (err != ERR_NONE) {
        bench_history_free(history);
        return err;
    }
    *ret_history = history;
    return ERR_NONE;
}

static enum err parse(const struct bench_history *history, size_t i,
                      struct bench_results *ret_results, struct why *why)
{
    char name[512];

    (void)snprintf(name, sizeof(name), "%s:%zu", history->name, i + 1); /* Cut is fine. */
    return bench_results_parse(history->lines[i], name, ret_results, why);
}

enum err bench_history_result(const struct bench_history *history, size_t i,
                              struct bench_results *ret_results, struct why *why)
{
    struct bench_results one CLEANUP(bench_results_done) = {0};

    TRY(parse(history, i, &one, why));
    /* Moved over whole. */
    struct bench_result *added = bench_results_add(ret_results, STR(""));
    struct bench_result swap = *added;
    *added = one.results[0];
    one.results[0] = swap;
    return ERR_NONE;
}

/* ---- As a series. ---- */

/* The median of the metric's runs becomes value number i of its namesake. */
static void add_median(struct bench_result *series, const struct bench_metric *metric, size_t i)
{
    double *values CLEANUP(array_freep) = array_copy(metric->values, metric->count);
    size_t kept = array_keep_numbers(values, metric->count);
    struct bench_metric *to =
        bench_result_metric(series, str_of(metric->name), str_of(metric->unit));
    double factor;

    if (kept == 0 || to == NULL || !bench_unit_factor(metric->unit, to->unit, &factor))
        return;
    while (to->count < i)
        (void)bench_metric_add(to, NAN); /* Fewer than lines. */
    if (to->count == i)
        (void)bench_metric_add(to, factor * describe_median(values, kept));
}

enum err bench_history_medians(const struct bench_history *history, struct bench_result *ret_result,
                               struct why *why)
{
    for (size_t i = 0; i < history->count; i++) {
        struct bench_results one CLEANUP(bench_results_done) = {0};
        char number[24];
        TRY(parse(history, i, &one, why));
        const struct bench_result *result = &one.results[0];
        (void)snprintf(number, sizeof(number), "#%zu", i); /* Fits. */
        bench_result_add_label(ret_result,
                               str_of(result->commit[0] != '\0' ? result->commit : number));
        for (size_t k = 0; k < result->metrics_count; k++)
            add_median(ret_result, &result->metrics[k], i);
    }
    return ERR_NONE;
}

/* ---- Appending. ---- */

static void write_line(const struct bench_result *result, const char *commit, struct buf *out)
{
    struct json json = json_begin(out);
    char time[CLOCK_TEXT_SIZE];

    clock_text(time, clock_now_ms());
    json_open(&json, '{');
    json_key(&json, "time");
    json_add_text(&json, time);
    json_key(&json, "commit");
    json_add_text(&json, commit);
    json_key(&json, "results");
    json_open(&json, '[');
    bench_result_write(result, &json);
    json_close(&json, ']');
    json_close(&json, '}');
}

enum err bench_history_append(struct bench_history *history, const struct bench_result *result,
                              const char *commit, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct buf answer CLEANUP(buf_done) = {0};

    write_line(result, commit, &out);
    if (history->path.size > 0)
        return bench_ask(history->invocation, "POST", buf_cstr(&history->path), buf_view(&out),
                         &answer, why);
    buf_byte(&out, '\n');
    int fd CLEANUP(file_closep) =
        open(history->name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail_errno(why, errno, "cannot open %s", history->name);
    if (write(fd, out.data, out.size) != (ssize_t)out.size)
        return fail_errno(why, errno, "cannot append to %s", history->name);
    return ERR_NONE;
}
