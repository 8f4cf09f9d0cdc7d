/* SPDX-License-Identifier: Apache-2.0 */
/* What a search came to: the gap that the answer lies in, how sure both of its ends are, every
 * probe, and what broke. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/load_capacity.h"
#include "document/document.h"
#include "load/witness.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REQUESTS_SHORT = 100, /* Fewer in a full probe cannot tell 3 % from nothing. */
    SHORT_TIMES = 4,      /* A full probe is to last so many times the P99 at rest. */
    DOCUMENT_BYTES_MAX = 4 << 20,
};

static const char *const end_names[] = {[HUNT_IS_DONE] = "done",
                                        [HUNT_TIME] = "time",
                                        [HUNT_PROBES] = "probes",
                                        [HUNT_INTERRUPTED] = "interrupted"};

/* ---- The answer. ---- */

/* Why the rate that broke did, as most of its probes say. Those in which the generator was too busy
 * say nothing of the target, and count only where there are no others. */
static const struct capacity_step *limit_of(const struct hunt *hunt, double rate)
{
    const struct capacity_step *last[CAPACITY_LIMIT_CONNECTIONS + 1] = {NULL};
    size_t counts[CAPACITY_LIMIT_CONNECTIONS + 1] = {0};
    enum capacity_limit most = CAPACITY_LIMIT_TARGET;

    for (size_t i = 0; i < hunt->steps_count; i++) {
        const struct capacity_step *step = &hunt->steps[i];
        if (step->rate != rate)
            continue;
        counts[step->limit]++;
        last[step->limit] = step;
    }
    if (counts[CAPACITY_LIMIT_CONNECTIONS] > counts[most])
        most = CAPACITY_LIMIT_CONNECTIONS;
    return last[counts[most] > 0 ? most : CAPACITY_LIMIT_GENERATOR];
}

static const struct capacity_step *kept_step(const struct hunt *hunt, double rate)
{
    const struct capacity_step *found = NULL;

    for (size_t i = 0; i < hunt->steps_count; i++) {
        if (hunt->steps[i].rate == rate && hunt->steps[i].limit == CAPACITY_LIMIT_NONE)
            found = &hunt->steps[i];
    }
    return found;
}

static void mark_limit(struct document *document, const struct capacity_step *broken)
{
    if (broken == NULL)
        return;
    document_mark(document, STATUS_INFO, "At %s/s: %s.", rate_text(broken->rate).text,
                  broken->reason);
    if (broken->limit == CAPACITY_LIMIT_GENERATOR)
        document_mark(document, STATUS_WARNING,
                      "The generator itself was the limit there: the target may keep more. Use "
                      "more threads, or another machine.");
    if (broken->limit == CAPACITY_LIMIT_CONNECTIONS)
        document_mark(document, STATUS_WARNING,
                      "All %u connections were in use while answers took no longer than at rest: "
                      "the target may keep more. Give more with --connections.",
                      broken->connections);
}

/* What the daemon says of the rate that broke. */
static void mark_notes(struct document *document, const struct judgement *judgement)
{
    static const enum status marks[] = {STATUS_GOOD, STATUS_INFO, STATUS_WARNING, STATUS_BAD};

    for (size_t i = 0; i < judgement->notes_count; i++)
        document_mark(document, marks[judgement->notes[i].kind], "%s", judgement->notes[i].text);
}

/* Too short to see a backlog grow: behind the first answers, or out of so few requests? */
static bool is_short(const struct hunt *hunt)
{
    double length_s = (double)hunt->length_ns / (double)CLOCK_NS_PER_S;

    return hunt->rest.p99_ms / 1000 * SHORT_TIMES > length_s ||
           capacity_answer(&hunt->capacity).kept * length_s < REQUESTS_SHORT;
}

/* "2 of 3 probes"; "a brief probe". */
static void write_votes(const struct capacity_votes *votes, struct buf *out)
{
    if (votes->count == 0)
        buf_text(out, "a brief probe");
    else
        buf_printf(out, "%u of %u probe%s", votes->agreed, votes->count,
                   votes->count == 1 ? "" : "s");
}

static double half_gap(const struct capacity_answer *answer)
{
    return (answer->broken - answer->kept) / (answer->broken + answer->kept);
}

/* Both ends, and what each of them rests on. */
static void mark_gap(struct document *document, const struct capacity_answer *answer)
{
    struct buf kept CLEANUP(buf_done) = {0};
    struct buf broken CLEANUP(buf_done) = {0};

    write_votes(&answer->kept_votes, &kept);
    write_votes(&answer->broken_votes, &broken);
    document_mark(document, answer->confirmed ? STATUS_GOOD : STATUS_WARNING,
                  "%s requests a second are kept (%s), %s are not (%s): the capacity is %s ± %.1f "
                  "%%%s.",
                  rate_text(answer->kept).text, buf_cstr(&kept), rate_text(answer->broken).text,
                  buf_cstr(&broken), rate_text((answer->kept + answer->broken) / 2).text,
                  half_gap(answer) * 100,
                  answer->confirmed ? "" : "; the search ended before both were confirmed");
    if (!isnan(answer->beyond))
        document_mark(document, STATUS_INFO, "Asked for %s/s, it answered %s/s.",
                      rate_text(answer->broken).text, rate_text(answer->beyond).text);
}

static void mark_answer(struct document *document, const struct hunt *hunt,
                        const struct capacity_answer *answer)
{
    if (isnan(answer->kept) && isnan(answer->broken))
        document_mark(document, STATUS_BAD, "%s before the first probe was over.",
                      hunt->end == HUNT_INTERRUPTED ? "Interrupted" : "The time was over");
    else if (isnan(answer->kept))
        document_mark(document, STATUS_BAD, "No rate was kept, not even %s/s.",
                      rate_text(answer->broken).text);
    else if (isnan(answer->broken))
        document_mark(document, STATUS_WARNING, "At least %s requests a second: nothing broke.",
                      rate_text(answer->kept).text);
    else
        mark_gap(document, answer);
}

static void mark_end(struct document *document, const struct hunt *hunt)
{
    if (hunt->end == HUNT_INTERRUPTED)
        document_mark(document, STATUS_WARNING, "The search was interrupted after %.0f s.",
                      hunt_seconds(hunt));
    if (hunt->end == HUNT_TIME)
        document_mark(document, STATUS_WARNING,
                      "The search ended after %.0f s, because the next probe would not have ended "
                      "within %.0f s. Give a longer --within, or begin closer with --rate.",
                      hunt_seconds(hunt), (double)hunt->limit_ns / (double)CLOCK_NS_PER_S);
    if (hunt->end == HUNT_PROBES)
        document_mark(document, STATUS_WARNING,
                      "The search ended after %zu probes, which contradict each other.",
                      hunt->steps_count);
    if (is_short(hunt))
        document_mark(document, STATUS_WARNING,
                      "Probes were short for this rate or these latencies, so a backlog that "
                      "grows slowly may have been missed. Give a longer --duration.");
}

static void add_answer(struct document *document, const struct hunt *hunt)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    const struct capacity_step *kept = kept_step(hunt, answer.kept);

    document_section(document, "capacity", "Capacity");
    mark_answer(document, hunt, &answer);
    mark_limit(document, limit_of(hunt, answer.broken));
    mark_notes(document, &hunt->broken.judgement);
    mark_end(document, hunt);
    document_number(document, "rate", "Kept", answer.kept, UNIT_RPS);
    document_number(document, "broken_rate", "Broken", answer.broken, UNIT_RPS);
    if (kept != NULL) {
        document_number(document, "p50_ms", "Median", kept->p50_ms, UNIT_MS);
        document_number(document, "p99_ms", "P99", kept->p99_ms, UNIT_MS);
    }
    document_number(document, "rest_p99_ms", "P99 at rest", hunt->rest.p99_ms, UNIT_MS);
}

static void add_steps(struct document *document, const struct hunt *hunt)
{
    static const struct column columns[] = {
        {"rate", "Rate", UNIT_RPS, false},           {"phase", "Phase", UNIT_NONE, true},
        {"seconds", "Took", UNIT_SECONDS, false},    {"answered", "Answered", UNIT_RATIO, false},
        {"error_rate", "Errors", UNIT_RATIO, false}, {"p50_ms", "Median", UNIT_MS, false},
        {"p95_ms", "P95", UNIT_MS, false},           {"p99_ms", "P99", UNIT_MS, false},
        {"verdict", "Verdict", UNIT_NONE, true},
    };
    struct table *table = document_table(document, "steps", "Steps", columns, ARRAY_COUNT(columns));

    for (size_t i = 0; i < hunt->steps_count; i++) {
        const struct capacity_step *step = &hunt->steps[i];
        bool kept = step->limit == CAPACITY_LIMIT_NONE;
        table_add_row(table, kept                                   ? STATUS_GOOD
                             : step->limit == CAPACITY_LIMIT_TARGET ? STATUS_BAD
                                                                    : STATUS_WARNING);
        table_number(table, step->rate);
        table_text(table, capacity_phase_name(hunt->phases[i]));
        table_number(table, step->seconds);
        table_number(table, step->answered);
        table_number(table, step->error_rate);
        table_number(table, step->p50_ms);
        table_number(table, step->p95_ms);
        table_number(table, step->p99_ms);
        table_text(table, kept ? "kept" : step->reason);
    }
}

static int compare_steps(const void *a, const void *b)
{
    double left = ((const struct capacity_step *)a)->rate;
    double right = ((const struct capacity_step *)b)->rate;

    return (left > right) - (left < right);
}

static void add_chart(struct document *document, const struct hunt *hunt)
{
    struct capacity_step steps[HUNT_STEPS_MAX];
    double x[HUNT_STEPS_MAX], p50[HUNT_STEPS_MAX], p99[HUNT_STEPS_MAX];

    if (hunt->steps_count < 2)
        return;
    memcpy(steps, hunt->steps, hunt->steps_count * sizeof(*steps));
    qsort(steps, hunt->steps_count, sizeof(*steps), compare_steps);
    for (size_t i = 0; i < hunt->steps_count; i++) {
        x[i] = steps[i].rate;
        p50[i] = steps[i].p50_ms;
        p99[i] = steps[i].p99_ms;
    }
    struct chart *chart =
        document_chart(document, "latency", "Latency by rate", CHART_LINE, UNIT_MS);
    chart_series(chart, "median", x, p50, hunt->steps_count);
    chart_series(chart, "P99", x, p99, hunt->steps_count);
}

/* What a daemon saw of the target at the rate that broke. */
static void add_target(struct document *document, const struct load_run *broken)
{
    const struct witness *witness = broken->judgement.witness;
    char at[64];

    if (witness == NULL)
        return;
    (void)snprintf(at, sizeof(at), " at %s/s", rate_text(broken->level).text);
    witness_document(witness, at, document);
    witness_document_slowest(witness, &broken->outcome, document);
}

static struct document *hunt_document(const struct hunt *hunt)
{
    struct document *document =
        document_new(hunt->title == NULL ? "Capacity" : hunt->title, DOCUMENT_BYTES_MAX);

    document_set_time(document, hunt->started_ms);
    add_answer(document, hunt);
    add_steps(document, hunt);
    add_chart(document, hunt);
    add_target(document, &hunt->broken);
    return document;
}

/* ---- Forms. ---- */

static void put_step(struct json *json, const struct capacity_step *step, enum capacity_phase phase)
{
    json_open(json, '{');
    json_put_double(json, "rate", step->rate);
    json_put_text(json, "phase", capacity_phase_name(phase));
    json_put_bool(json, "kept", step->limit == CAPACITY_LIMIT_NONE);
    json_put_text(json, "limit", capacity_limit_name(step->limit));
    json_put_text(json, "reason", step->reason);
    json_put_double(json, "duration_s", step->seconds);
    json_put_u64(json, "requests", step->requests);
    json_put_u64(json, "connections", step->connections);
    json_put_double(json, "answered", step->answered);
    json_put_double(json, "error_rate", step->error_rate);
    json_put_double(json, "p50_ms", step->p50_ms);
    json_put_double(json, "p95_ms", step->p95_ms);
    json_put_double(json, "p99_ms", step->p99_ms);
    json_close(json, '}');
}

static void put_votes(struct json *json, const char *key, const struct capacity_votes *votes)
{
    json_key(json, key);
    json_open(json, '{');
    json_put_u64(json, "agreed", votes->agreed);
    json_put_u64(json, "count", votes->count);
    json_close(json, '}');
}

static void put_answer(struct json *json, const struct hunt *hunt)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    const struct capacity_step *broken = limit_of(hunt, answer.broken);

    json_put_double(json, "rate", answer.kept);
    json_put_double(json, "highest_kept", answer.kept);
    json_put_double(json, "lowest_broken", answer.broken);
    json_put_bool(json, "confirmed", answer.confirmed);
    json_put_double(json, "uncertainty", half_gap(&answer));
    put_votes(json, "kept_probes", &answer.kept_votes);
    put_votes(json, "broken_probes", &answer.broken_votes);
    json_put_double(json, "answered_beyond", answer.beyond);
    json_put_text(json, "limit",
                  capacity_limit_name(broken == NULL ? CAPACITY_LIMIT_NONE : broken->limit));
    json_put_text(json, "reason", broken == NULL ? "" : broken->reason);
    json_put_double(json, "rest_p99_ms", hunt->rest.p99_ms);
}

/* As a plain run has it; about the rate that broke. */
static void put_target(struct json *json, const struct hunt *hunt)
{
    const struct judgement *judgement = &hunt->broken.judgement;

    if (!hunt->broken.is_explained)
        return;
    json_put_double(json, "explained_rate", hunt->broken.level);
    judgement_add_notes(judgement, json);
    if (judgement->witness == NULL)
        return;
    json_key(json, "target");
    json_add_raw(json, witness_json(judgement->witness));
}

static void write_json(const struct hunt *hunt, struct buf *out)
{
    struct json json = json_begin(out);
    char text[CLOCK_TEXT_SIZE];

    json_open(&json, '{');
    json_put_text(&json, "title", hunt->title);
    json_put_str(&json, "started", (struct str){text, clock_text(text, hunt->started_ms)});
    json_key(&json, "capacity");
    json_open(&json, '{');
    put_answer(&json, hunt);
    json_close(&json, '}');
    json_put_bool(&json, "probes_short", is_short(hunt));
    json_put_bool(&json, "interrupted", hunt->end == HUNT_INTERRUPTED);
    json_put_text(&json, "ended", end_names[hunt->end]);
    json_put_double(&json, "elapsed_s", hunt_seconds(hunt));
    json_put_double(&json, "within_s", (double)hunt->limit_ns / (double)CLOCK_NS_PER_S);
    put_target(&json, hunt);
    json_key(&json, "steps");
    json_open(&json, '[');
    for (size_t i = 0; i < hunt->steps_count; i++)
        put_step(&json, &hunt->steps[i], hunt->phases[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_junit(const struct hunt *hunt, struct buf *out)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    bool failed = isnan(answer.kept);

    buf_printf(out,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite "
               "name=\"capacity\" tests=\"1\" failures=\"%d\">\n  <testcase classname=\"load\" "
               "name=\"",
               failed);
    document_escape(out, str_of(hunt->title == NULL ? "capacity" : hunt->title));
    if (failed)
        buf_text(out, "\">\n    <failure message=\"no rate was kept\"/>\n");
    else
        buf_printf(out, "\">\n    <system-out>%s requests a second are kept</system-out>\n",
                   rate_text(answer.kept).text);
    buf_text(out, "  </testcase>\n</testsuite>\n</testsuites>\n");
}

static enum err write_form(const struct hunt *hunt, enum document_form form, struct buf *out,
                           struct why *why)
{
    struct document *document CLEANUP(document_freep) = hunt_document(hunt);
    const struct terminal *terminal = &hunt->load->invocation->terminal;
    const struct document_look page = {
        .colour = form == FORM_CONSOLE && terminal->color,
        .width = terminal->tty ? (size_t)terminal->columns : 0,
    };

    return document_write(document, form, &page, out, why);
}

static enum err write_file(const struct hunt *hunt, struct str path, struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};

    if (str_ends(path, STR(".json")))
        write_json(hunt, &out);
    else if (str_ends(path, STR(".xml")))
        write_junit(hunt, &out);
    else
        TRY(write_form(hunt,
                       str_ends(path, STR(".csv"))  ? FORM_CSV
                       : str_ends(path, STR(".md")) ? FORM_MARKDOWN
                                                    : FORM_HTML,
                       &out, why));
    const char *name = arena_printf(hunt->load->arena, "%.*s", STR_ARG(path));
    if (name == NULL)
        return arena_spent(hunt->load->arena, "the reports", why);
    return file_write(name, buf_view(&out), 0644, why);
}

enum exit_code hunt_tell(const struct hunt *hunt)
{
    const struct invocation *invocation = hunt->load->invocation;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    const struct str *items;
    size_t count = options_list(invocation->options, LOAD_REPORT, &items);

    for (size_t i = 0; i < count; i++) {
        if (write_file(hunt, items[i], &why) != ERR_NONE)
            return command_fail(invocation, &why);
    }
    if (invocation->json)
        write_json(hunt, &out);
    else if (write_form(hunt, FORM_CONSOLE, &out, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out,
                         isnan(capacity_answer(&hunt->capacity).kept) ? EXIT_FINDING : EXIT_GOOD);
}
