/* SPDX-License-Identifier: Apache-2.0 */
/* What a run, or a sweep of runs, came to: on standard output, and in the files asked for by their
 * endings. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/load.h"
#include "document/document.h"
#include "load/outcome_write.h"
#include "load/witness.h"

#include <math.h>
#include <stdio.h>

enum { SWEEP_BYTES_MAX = 16 << 20 };

static double milliseconds(double ns)
{
    return ns / (double)CLOCK_NS_PER_MS;
}

/* ---- A sweep as a document. ---- */

static const struct column sweep_columns[] = {
    {"level", "Load", UNIT_NONE, true},      {"rate", "Rate", UNIT_RPS, false},
    {"errors", "Errors", UNIT_RATIO, false}, {"p50_ms", "Median", UNIT_MS, false},
    {"p95_ms", "P95", UNIT_MS, false},       {"p99_ms", "P99", UNIT_MS, false},
    {"max_ms", "Max", UNIT_MS, false},       {"verdict", "Verdict", UNIT_NONE, true},
};

static const struct column stream_columns[] = {
    {"level", "Load", UNIT_NONE, true},
    {"ttft_p50_ms", "TTFT median", UNIT_MS, false},
    {"ttft_p95_ms", "TTFT P95", UNIT_MS, false},
    {"tpot_p50_ms", "TPOT median", UNIT_MS, false},
    {"itl_p99_ms", "ITL P99", UNIT_MS, false},
    {"e2e_p95_ms", "E2E P95", UNIT_MS, false},
    {"tokens_per_second", "Tokens/s", UNIT_NONE, false},
    {"goodput", "Goodput", UNIT_RPS, false},
};

static void write_level(const struct load_run *run, char text[32])
{
    (void)snprintf(text, 32, run->level_is_rate ? "%.6g/s" : "%.6g users", run->level);
}

static void add_runs(struct document *document, const struct load_run *runs, size_t count)
{
    struct table *table =
        document_table(document, "levels", "By load", sweep_columns, ARRAY_COUNT(sweep_columns));

    for (size_t i = 0; i < count; i++) {
        const struct tally *total = &runs[i].outcome.total;
        char text[32];
        write_level(&runs[i], text);
        table_add_row(table, runs[i].judgement.failed ? STATUS_BAD : STATUS_GOOD);
        table_text(table, text);
        table_number(table, outcome_rate(&runs[i].outcome));
        table_number(table, outcome_error_rate(&runs[i].outcome));
        table_number(table, milliseconds(histogram_at(&total->latency, 0.5)));
        table_number(table, milliseconds(histogram_at(&total->latency, 0.95)));
        table_number(table, milliseconds(histogram_at(&total->latency, 0.99)));
        table_number(table,
                     total->latency.count == 0 ? NAN : milliseconds((double)total->latency.max_ns));
        table_text(table, runs[i].judgement.failed ? "failed" : "passed");
    }
}

static double a_second(const struct outcome *outcome, uint64_t count)
{
    return outcome->duration_s > 0 ? (double)count / outcome->duration_s : NAN;
}

static void add_streams(struct document *document, const struct load_run *runs, size_t count)
{
    if (runs[0].outcome.streams == NULL)
        return;
    struct table *table = document_table(document, "tokens", "Token streams by load",
                                         stream_columns, ARRAY_COUNT(stream_columns));
    for (size_t i = 0; i < count; i++) {
        const struct stream_tally *streams = runs[i].outcome.streams;
        char text[32];
        write_level(&runs[i], text);
        table_add_row(table, STATUS_NONE);
        table_text(table, text);
        table_number(table, milliseconds(histogram_at(&streams->ttft, 0.5)));
        table_number(table, milliseconds(histogram_at(&streams->ttft, 0.95)));
        table_number(table, milliseconds(histogram_at(&streams->tpot, 0.5)));
        table_number(table, milliseconds(histogram_at(&streams->gap, 0.99)));
        table_number(table, milliseconds(histogram_at(&streams->e2e, 0.95)));
        table_number(table, a_second(&runs[i].outcome, streams->tokens_out));
        table_number(table, a_second(&runs[i].outcome, streams->good));
    }
}

static void add_charts(struct document *document, const struct load_run *runs, size_t count)
{
    double x[LOAD_LEVELS_MAX], rate[LOAD_LEVELS_MAX], p50[LOAD_LEVELS_MAX], p95[LOAD_LEVELS_MAX];
    double ttft[LOAD_LEVELS_MAX];
    bool streams = runs[0].outcome.streams != NULL;

    for (size_t i = 0; i < count; i++) {
        const struct outcome *outcome = &runs[i].outcome;
        x[i] = runs[i].level;
        rate[i] = outcome_rate(outcome);
        p50[i] = milliseconds(histogram_at(&outcome->total.latency, 0.5));
        p95[i] = milliseconds(histogram_at(&outcome->total.latency, 0.95));
        ttft[i] = streams ? milliseconds(histogram_at(&outcome->streams->ttft, 0.95)) : NAN;
    }
    struct chart *chart =
        document_chart(document, "latency", "Latency by load", CHART_LINE, UNIT_MS);
    chart_series(chart, "median", x, p50, count);
    chart_series(chart, "p95", x, p95, count);
    if (streams)
        chart_series(chart, "p95 to the first token", x, ttft, count);
    chart = document_chart(document, "rate", "Requests a second by load", CHART_LINE, UNIT_RPS);
    chart_series(chart, "finished", x, rate, count);
}

/* What a daemon saw of the level that broke. */
static void add_targets(struct document *document, const struct load_run *runs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct witness *witness = runs[i].judgement.witness;
        char text[32], at[64];
        if (witness == NULL)
            continue;
        write_level(&runs[i], text);
        (void)snprintf(at, sizeof(at), " at %s", text);
        witness_document(witness, at, document);
        witness_document_slowest(witness, &runs[i].outcome, document);
    }
}

static struct document *sweep_document(const struct load_run *runs, size_t count)
{
    static const enum status marks[] = {STATUS_GOOD, STATUS_INFO, STATUS_WARNING, STATUS_BAD};
    struct document *document =
        document_new(runs[0].plan->title == NULL ? "Load" : runs[0].plan->title, SWEEP_BYTES_MAX);

    document_set_time(document, runs[0].outcome.started_ms);
    document_section(document, "sweep", "Sweep");
    add_runs(document, runs, count);
    add_streams(document, runs, count);
    if (count > 1)
        add_charts(document, runs, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < runs[i].judgement.notes_count; j++) {
            const struct judgement_note *note = &runs[i].judgement.notes[j];
            char text[32];
            write_level(&runs[i], text);
            if (note->kind >= NOTE_WARNING || runs[i].is_explained)
                document_mark(document, marks[note->kind], "%s: %s", text, note->text);
        }
    }
    add_targets(document, runs, count);
    return document;
}

/* ---- Forms. ---- */

static void write_json(const struct load_run *runs, size_t count, struct buf *out)
{
    if (!runs[0].has_level) {
        outcome_write_json(&runs[0].outcome, &runs[0].judgement, out);
        return;
    }
    buf_printf(out, "{\"sweep\":\"%s\",\"levels\":[", runs[0].level_is_rate ? "rate" : "users");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s{\"level\":%.17g,\"run\":", i > 0 ? "," : "", runs[i].level);
        outcome_write_json(&runs[i].outcome, &runs[i].judgement, out);
        buf_byte(out, '}');
    }
    buf_text(out, "]}\n");
}

static void write_junit(const struct load_run *runs, size_t count, struct buf *out)
{
    if (!runs[0].has_level) {
        outcome_write_junit(&runs[0].outcome, &runs[0].judgement, out);
        return;
    }
    buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < count; i++)
        outcome_write_junit_suite(&runs[i].outcome, &runs[i].judgement, out);
    buf_text(out, "</testsuites>\n");
}

static enum err write_form(const struct load *load, const struct load_run *runs, size_t count,
                           enum document_form form, struct buf *out, struct why *why)
{
    struct document *document CLEANUP(document_freep) =
        runs[0].has_level ? sweep_document(runs, count)
                          : outcome_document(&runs[0].outcome, &runs[0].judgement);
    const struct terminal *terminal = &load->invocation->terminal;
    const struct document_look look = {
        .colour = form == FORM_CONSOLE && terminal->color,
        .width = terminal->tty ? (size_t)terminal->columns : 0,
    };

    return document_write(document, form, &look, out, why);
}

static enum err write_report(const struct load *load, const struct load_run *runs, size_t count,
                             struct str path, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (str_ends(path, STR(".json")))
        write_json(runs, count, &out);
    else if (str_ends(path, STR(".xml")))
        write_junit(runs, count, &out);
    else if (str_ends(path, STR(".csv")) && !runs[0].has_level)
        outcome_write_csv(&runs[0].outcome, &out);
    else
        TRY(write_form(load, runs, count,
                       str_ends(path, STR(".csv"))  ? FORM_CSV
                       : str_ends(path, STR(".md")) ? FORM_MARKDOWN
                                                    : FORM_HTML,
                       &out, why));
    const char *name = arena_printf(load->arena, "%.*s", STR_ARG(path));
    if (name == NULL)
        return arena_spent(load->arena, "the reports", why);
    return file_write(name, buf_view(&out), 0644, why);
}

enum err load_report_check(const struct load *load, struct why *why)
{
    static const char *const endings[] = {".html", ".md", ".json", ".csv", ".xml"};
    const struct str *items;
    size_t count = options_list(load->invocation->options, LOAD_REPORT, &items);

    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < ARRAY_COUNT(endings); j++)
            known = known || str_ends(items[i], str_of(endings[j]));
        if (!known)
            return fail(why, ERR_INVALID,
                        "--report: '%.*s' ends in none of .html, .md, .json, .csv, .xml",
                        STR_ARG(items[i]));
    }
    return ERR_NONE;
}

enum exit_code load_report_tell(struct load *load, struct load_run *runs, size_t count)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    const struct str *items;
    size_t reports = options_list(load->invocation->options, LOAD_REPORT, &items);
    bool failed = false;

    for (size_t i = 0; i < count; i++)
        failed = failed || runs[i].judgement.failed;
    for (size_t i = 0; i < reports; i++) {
        if (write_report(load, runs, count, items[i], &why) != ERR_NONE)
            return command_fail(load->invocation, &why);
    }
    if (load->invocation->json)
        write_json(runs, count, &out);
    else if (write_form(load, runs, count, FORM_CONSOLE, &out, &why) != ERR_NONE)
        return command_fail(load->invocation, &why);
    return command_print(load->invocation, &out, failed ? EXIT_FINDING : EXIT_GOOD);
}
