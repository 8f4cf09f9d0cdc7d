/* SPDX-License-Identifier: Apache-2.0 */
/* sonde bench gate. The newest results together are the baseline. Runs of one result resemble each
 * other more than they do those of the next day; the verdict heeds that, since it looks at how
 * neighbours resemble each other within the baseline.
 *
 * What days do to each other, the runs of one day cannot tell. Only results that passed are
 * recorded, so between them nothing real happened; a metric whose new median lies where the earlier
 * ones, by their scatter, let the next one be expected is flaky rather than worse: it is told, in
 * quarantine. */
#include "analysis/bench_unit.h"
#include "base/file.h"
#include "cli/bench.h"
#include "cli/bench_history.h"
#include "stats/array.h"
#include "stats/distribution.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FLAKY_WINDOW = 20,     /* Of the newest results. */
    SCATTER_COUNT_MIN = 4, /* Medians; fewer do not know their scatter. */
};

#define SCATTER_ALPHA  0.01
#define TAKEN_DOUBTFUL 0.1
#define GITLAB_REPORT  "gl-code-quality-report.json" /* As GitLab's own jobs name it. */

enum format { FORMAT_AUTO, FORMAT_TEXT, FORMAT_GITHUB, FORMAT_GITLAB };

/* ---- History. ---- */

static enum err newest(const struct bench_history *history, size_t keep,
                       struct bench_results *ret_results, struct why *why)
{
    size_t count = bench_history_count(history);

    for (size_t i = count > keep ? count - keep : 0; i < count; i++)
        TRY(bench_history_result(history, i, ret_results, why));
    return ERR_NONE;
}

/* The runs of the newest `wanted` results, one after the other. */
static void pool(const struct bench_results *history, size_t wanted,
                 struct bench_result *ret_baseline)
{
    size_t first = history->count > wanted ? history->count - wanted : 0;

    for (size_t i = first; i < history->count; i++) {
        const struct bench_result *result = &history->results[i];
        for (size_t k = 0; k < result->metrics_count; k++) {
            const struct bench_metric *from = &result->metrics[k];
            struct bench_metric *to =
                bench_result_metric(ret_baseline, str_of(from->name), str_of(from->unit));
            double factor;
            if (to == NULL || !bench_unit_factor(from->unit, to->unit, &factor))
                continue;
            for (size_t run = 0; run < from->count; run++) {
                if (!isnan(from->values[run]) && !bench_metric_add(to, factor * from->values[run]))
                    break; /* A million runs say enough. */
            }
        }
    }
}

/* ---- Quarantine. ---- */

/* Is the new median where the earlier ones, by their scatter, let the next one be expected? */
static bool within_scatter(const struct bench_results *history, const struct bench_row *row)
{
    double medians[FLAKY_WINDOW];
    size_t count = 0;

    for (size_t i = 0; i < history->count && count < FLAKY_WINDOW; i++) {
        const struct bench_result *result = &history->results[history->count - 1 - i];
        for (size_t k = 0; k < result->metrics_count; k++) {
            const struct bench_metric *metric = &result->metrics[k];
            double factor;
            if (strcmp(metric->name, row->metric->name) != 0 ||
                !bench_unit_factor(metric->unit, row->metric->unit, &factor))
                continue;
            double *values CLEANUP(array_freep) = array_copy(metric->values, metric->count);
            size_t kept = array_keep_numbers(values, metric->count);
            if (kept > 0)
                medians[count++] = factor * describe_median(values, kept);
        }
    }
    if (count < SCATTER_COUNT_MIN)
        return false;
    /* Where the median of one more day like these lies. */
    double reach = student_quantile(1 - SCATTER_ALPHA / 2, (double)count - 1) *
                   sqrt(describe_variance(medians, count) * (1 + 1 / (double)count));
    return fabs(row->after.median - describe_mean(medians, count)) <= reach;
}

/* ---- Annotating. ---- */

static enum format format_of(const struct invocation *invocation)
{
    enum format format = (enum format)options_i64(invocation->options, BENCH_FORMAT);

    if (format != FORMAT_AUTO)
        return format;
    if (getenv("GITHUB_ACTIONS") != NULL)
        return FORMAT_GITHUB;
    return getenv("GITLAB_CI") != NULL ? FORMAT_GITLAB : FORMAT_TEXT;
}

static const char *commit_of(const struct invocation *invocation, const struct bench_result *result)
{
    const char *flag = options_cstr(invocation->options, BENCH_COMMIT);
    const char *github = getenv("GITHUB_SHA");
    const char *gitlab = getenv("CI_COMMIT_SHA");

    if (flag != NULL)
        return flag;
    if (result->commit[0] != '\0')
        return result->commit;
    return github != NULL ? github : gitlab != NULL ? gitlab : "";
}

static void write_sentence(const struct bench_row *row, struct buf *out)
{
    buf_printf(out, "%s %s: ", row->metric->name, verdict_kind_name(row->verdict.kind));
    bench_write_median(&row->before, &row->before_interval, row->metric->unit, out);
    buf_text(out, " to ");
    bench_write_median(&row->after, &row->after_interval, row->metric->unit, out);
    buf_text(out, ", ");
    bench_row_write_change(row, out);
}

/* What a workflow command may not hold as it is. */
static void write_escaped(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%' || byte == '\r' || byte == '\n')
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)byte);
        else
            buf_byte(out, (uint8_t)byte);
    }
}

static void annotate_github(const struct bench_comparison *comparison, struct buf *out)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < comparison->count; i++) {
        const struct bench_row *row = &comparison->rows[i];
        bool worse = row->verdict.kind == VERDICT_DEGRADED;
        if (!worse && row->verdict.kind != VERDICT_IMPROVED)
            continue;
        const char *level = !worse || row->quarantined              ? "notice"
                            : row->verdict.severity == VERDICT_INFO ? "warning"
                                                                    : "error";
        buf_clear(&text);
        write_sentence(row, &text);
        buf_printf(out, "::%s title=Performance::", level);
        write_escaped(buf_view(&text), out);
        buf_byte(out, '\n');
    }
}

/* The table on the page of the workflow's run; nothing hangs on it. */
static void summarize_github(const struct bench_comparison *comparison)
{
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    struct buf out CLEANUP(buf_done) = {0};

    if (path == NULL)
        return;
    int fd CLEANUP(file_closep) = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    bench_comparison_write_markdown(comparison, &out);
    if (fd >= 0 && write(fd, out.data, out.size) < 0)
        return; /* The annotations say it, too. */
}

/* GitLab's code quality report: a list of findings. */
static enum err write_report(const struct invocation *invocation,
                             const struct bench_comparison *comparison, const char *history_path,
                             struct why *why)
{
    static const char *const severities[] = {"minor", "major", "critical"};
    const char *path = options_cstr(invocation->options, BENCH_REPORT);
    struct buf out CLEANUP(buf_done) = {0};
    struct buf text CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    if (path == NULL && format_of(invocation) == FORMAT_GITLAB)
        path = GITLAB_REPORT;
    if (path == NULL)
        return ERR_NONE;
    json_open(&json, '[');
    for (size_t i = 0; i < comparison->count; i++) {
        const struct bench_row *row = &comparison->rows[i];
        char fingerprint[32];
        if (row->verdict.kind != VERDICT_DEGRADED)
            continue;
        (void)snprintf(fingerprint, sizeof(fingerprint), "%016llx", /* Fits. */
                       (unsigned long long)str_hash(str_of(row->metric->name), 0));
        buf_clear(&text);
        write_sentence(row, &text);
        json_open(&json, '{');
        json_key(&json, "description");
        json_add_str(&json, buf_view(&text));
        json_key(&json, "check_name");
        json_add_text(&json, "sonde-bench");
        json_key(&json, "fingerprint");
        json_add_text(&json, fingerprint);
        json_key(&json, "severity");
        json_add_text(&json, row->quarantined ? "info" : severities[row->verdict.severity]);
        json_key(&json, "location");
        json_open(&json, '{');
        json_put_text(&json, "path", history_path);
        json_key(&json, "lines");
        json_add_raw(&json, STR("{\"begin\":1}"));
        json_close(&json, '}');
        json_close(&json, '}');
    }
    json_close(&json, ']');
    buf_byte(&out, '\n');
    return file_write(path, buf_view(&out), 0644, why);
}

/* ---- The gate. ---- */

struct gate {
    struct bench_history *kept;
    struct bench_results history; /* The newest of it. */
    struct bench_results current;
    struct bench_results baseline;
    struct bench_comparison comparison;
    size_t failures;
    size_t let_through; /* Got worse, but by less than fails. */
    bool recorded;
};

static void gate_done(struct gate *gate)
{
    bench_history_free(gate->kept);
    bench_comparison_done(&gate->comparison);
    bench_results_done(&gate->history);
    bench_results_done(&gate->current);
    bench_results_done(&gate->baseline);
}

static enum err gate_judge(const struct invocation *invocation, struct gate *gate, struct why *why)
{
    const struct options *options = invocation->options;
    struct bench_judging judging = bench_judging_of(invocation);
    size_t wanted = (size_t)options_i64(options, BENCH_BASELINE);
    enum verdict_severity least = (enum verdict_severity)options_i64(options, BENCH_FAIL_ON);

    TRY(bench_results_read(invocation->arguments[1], &gate->current, why));
    if (gate->current.count != 1) {
        enum err err = fail(why, ERR_INVALID, "%s holds %zu results; the gate judges one",
                            invocation->arguments[1], gate->current.count);
        hint(why, "sonde bench compare holds two results of one file against each other");
        return err;
    }
    TRY(bench_history_read(invocation, &gate->kept, why));
    TRY(newest(gate->kept, wanted > FLAKY_WINDOW ? wanted : FLAKY_WINDOW, &gate->history, why));
    struct bench_result *result = &gate->current.results[0];
    struct bench_result *baseline = bench_results_add(&gate->baseline, STR("baseline"));
    pool(&gate->history, wanted, baseline);
    bench_compare(baseline, result, &judging, &gate->comparison);
    for (size_t i = 0; i < gate->comparison.count; i++)
        gate->comparison.rows[i].quarantined =
            within_scatter(&gate->history, &gate->comparison.rows[i]);
    for (size_t i = 0; i < gate->comparison.count; i++) {
        const struct bench_row *row = &gate->comparison.rows[i];
        if (row->verdict.kind != VERDICT_DEGRADED || row->quarantined)
            continue;
        gate->failures += row->verdict.severity >= least;
        gate->let_through += row->verdict.severity < least;
    }
    TRY(write_report(invocation, &gate->comparison, bench_history_name(gate->kept), why));
    if (gate->failures == 0 && options_bool(options, BENCH_RECORD)) {
        TRY(bench_history_append(gate->kept, result, commit_of(invocation, result), why));
        gate->recorded = true;
    }
    return ERR_NONE;
}

static void tell_text(const struct invocation *invocation, const struct gate *gate, struct buf *out)
{
    enum format format = format_of(invocation);

    if (gate->history.count == 0) {
        buf_printf(out, "%s holds no results yet: nothing to compare with.\n",
                   bench_history_name(gate->kept));
    } else {
        bench_comparison_write_table(&gate->comparison, &invocation->terminal, out);
        if (format == FORMAT_GITHUB) {
            annotate_github(&gate->comparison, out);
            summarize_github(&gate->comparison);
        }
    }
    double taken = gate->current.results[0].taken_share;
    if (gate->failures > 0)
        buf_printf(out, "FAILED: %zu of %zu metrics got worse by too much.\n", gate->failures,
                   gate->comparison.count);
    if (gate->failures > 0 && taken > TAKEN_DOUBTFUL)
        buf_printf(out,
                   "Other programs took %.0f %% of the processors while this was measured: unless "
                   "that was the service under test, measure again.\n",
                   taken * 100);
    if (gate->failures == 0)
        buf_printf(out, "Passed%s.\n", gate->recorded ? ", and recorded in the history" : "");
    if (gate->failures == 0 && gate->let_through > 0)
        buf_printf(
            out,
            "%zu metric%s got worse by less than fails the gate; --fail-on info fails on any "
            "change that matters.\n",
            gate->let_through, gate->let_through == 1 ? "" : "s");
}

static void tell_json(const struct gate *gate, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_key(&json, "passed");
    json_add_bool(&json, gate->failures == 0);
    json_key(&json, "failures");
    json_add_u64(&json, gate->failures);
    json_key(&json, "let_through");
    json_add_u64(&json, gate->let_through);
    json_key(&json, "history");
    json_add_u64(&json, gate->history.count);
    json_key(&json, "taken_share");
    json_add_double(&json, gate->current.results[0].taken_share);
    json_key(&json, "recorded");
    json_add_bool(&json, gate->recorded);
    json_key(&json, "comparison");
    bench_comparison_write_json(&gate->comparison, &json);
    json_close(&json, '}');
    buf_byte(out, '\n');
}

enum exit_code bench_gate(struct invocation *invocation)
{
    struct gate gate CLEANUP(gate_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count != 2)
        return command_usage(invocation, "sonde bench gate takes one result");
    if (gate_judge(invocation, &gate, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->json)
        tell_json(&gate, &out);
    else
        tell_text(invocation, &gate, &out);
    return command_print(invocation, &out, gate.failures > 0 ? EXIT_FINDING : EXIT_GOOD);
}
