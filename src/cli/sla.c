/* SPDX-License-Identifier: Apache-2.0 */
/* sonde sla - is what was promised kept, and what could be promised?
 *
 * Two things meet: measurements (a saved report, or the daemon's) and promises (a YAML file, or
 * those that the report was already held against). The argument is either; what is in it tells. */
#include "base/file.h"
#include "base/json.h"
#include "cli/performance.h"
#include "codec/json_tree.h"
#include "report/performance.h"

enum {
    OPTION_LIVE_DATA = PERFORMANCE_OPTIONS_COUNT,
    OPTION_TARGETS,
    OPTION_JOURNEYS,
    OPTION_STRICT,
    OPTION_LATENCY_FACTOR,
    OPTION_THROUGHPUT_FACTOR,
    OPTIONS_COUNT
};

static const struct option_row rows[OPTIONS_COUNT] = {
    PERFORMANCE_ROWS,
    [OPTION_LIVE_DATA] = {.name = "live",
                          .type = OPTION_BOOL,
                          .preset = "false",
                          .flags = OPTION_FLAG_ONLY,
                          .help = "Measures at a running daemon, whatever the file says."},
    [OPTION_TARGETS] = {.name = "targets",
                        .type = OPTION_PATH,
                        .value_name = "FILE",
                        .flags = OPTION_FLAG_ONLY,
                        .help =
                            "check: the promises, in YAML or JSON, when the argument is a report."},
    [OPTION_JOURNEYS] = {.name = "journeys",
                         .type = OPTION_PATH,
                         .value_name = "FILE",
                         .flags = OPTION_FLAG_ONLY,
                         .help = "check: also holds the user journeys of this file."},
    [OPTION_STRICT] = {.name = "strict",
                       .type = OPTION_BOOL,
                       .preset = "false",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "check: what nobody called counts as broken."},
    [OPTION_LATENCY_FACTOR] = {.name = "latency-factor",
                               .type = OPTION_NUMBER,
                               .preset = "1.2",
                               .range = "0.01..1000",
                               .flags = OPTION_FLAG_ONLY,
                               .help = "suggest: promises so many times the latency measured."},
    [OPTION_THROUGHPUT_FACTOR] = {.name = "throughput-factor",
                                  .type = OPTION_NUMBER,
                                  .preset = "0.8",
                                  .range = "0..1000",
                                  .flags = OPTION_FLAG_ONLY,
                                  .help =
                                      "suggest: promises so many times the throughput measured."},
};

enum { ACTION_CHECK, ACTION_SUGGEST };

static const struct command_action actions[] = {
    [ACTION_CHECK] = {"check", "[FILE]", "Are the promises kept? Exit code 1 when one is broken."},
    [ACTION_SUGGEST] = {"suggest", "[REPORT.json]", "Writes promises that the measured keeps."},
};

#define ARENA_BYTES_MAX  ((size_t)512 << 20)
#define FILE_BYTES_MAX   ((size_t)64 << 20)
#define RANGE_DEFAULT_MS (INT64_C(3600) * 1000)

struct inquiry {
    struct invocation *invocation;
    struct arena *arena;
    struct promises promises;
    bool is_promised; /* By a file. */
    struct services services;
    struct verdict own; /* What the report itself says. */
};

/* ---- Gathering. ---- */

static enum err read_whole(struct inquiry *inquiry, const char *path, struct str *ret_text,
                           struct why *why)
{
    struct buf text CLEANUP(buf_done) = {0};

    TRY(file_read(path, FILE_BYTES_MAX, &text, why));
    *ret_text = arena_str(inquiry->arena, buf_view(&text));
    return ret_text->data == NULL ? arena_spent(inquiry->arena, path, why) : ERR_NONE;
}

/* Both may be JSON; a report has sections. */
static bool is_report(const struct inquiry *inquiry, struct str text)
{
    const struct node *root;
    size_t at = 0;

    while (at < text.size && strchr(" \t\r\n", text.data[at]) != NULL)
        at++;
    return at < text.size && text.data[at] == '{' &&
           json_read(text, "", FILE_BYTES_MAX, inquiry->arena, &root, NULL) == ERR_NONE &&
           node_get(root, "sections") != NULL;
}

static enum err take_report(struct inquiry *inquiry, struct str json, const char *name,
                            struct why *why)
{
    return performance_read(json, name, inquiry->arena, &inquiry->services, &inquiry->own, why);
}

static bool is_report_for_people(const char *name)
{
    static const char *const endings[] = {".csv", ".html", ".htm", ".md", ".txt"};
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending != NULL && i < ARRAY_COUNT(endings); i++) {
        if (strcmp(ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static enum err take_promises(struct inquiry *inquiry, struct str yaml, const char *name,
                              struct why *why)
{
    inquiry->is_promised = true;
    enum err err = promises_read(yaml, name, inquiry->arena, &inquiry->promises, why);
    if (err == ERR_INVALID && is_report_for_people(name))
        hint(why, "of reports only those in JSON can be read: save it as .json");
    return err;
}

static enum err measure_live(struct inquiry *inquiry, struct why *why)
{
    const struct options *options = inquiry->invocation->options;
    struct str service = options_text(options, PERFORMANCE_SERVICE);
    int64_t range_ms = inquiry->promises.from_range_ms;
    struct buf body CLEANUP(buf_done) = {0};

    if (service.data == NULL)
        service = inquiry->promises.from_service;
    if (options_is_set(options, PERFORMANCE_RANGE) || range_ms == 0)
        range_ms = options_is_set(options, PERFORMANCE_RANGE)
                       ? options_ms(options, PERFORMANCE_RANGE)
                       : RANGE_DEFAULT_MS;
    const struct performance_question question = {
        .form = "json", .service = service, .range_ms = range_ms};
    TRY(performance_ask(inquiry->invocation, &question, &body, why));
    return take_report(inquiry, buf_view(&body), "the daemon's report", why);
}

/* A report that the promises name lies beside them. */
static enum err measure_named_report(struct inquiry *inquiry, const char *beside, struct why *why)
{
    struct str report = inquiry->promises.from_report;
    const char *slash = strrchr(beside, '/');
    struct buf path CLEANUP(buf_done) = {0};
    struct str text;

    if (report.data[0] != '/' && slash != NULL)
        buf_append(&path, beside, (size_t)(slash - beside) + 1);
    buf_str(&path, report);
    TRY(read_whole(inquiry, buf_cstr(&path), &text, why));
    return take_report(inquiry, text, buf_cstr(&path), why);
}

static enum err add_files(struct inquiry *inquiry, struct why *why)
{
    const char *targets = options_cstr(inquiry->invocation->options, OPTION_TARGETS);
    const char *journeys = options_cstr(inquiry->invocation->options, OPTION_JOURNEYS);
    struct promises more;
    struct str text;

    if (targets != NULL) {
        TRY(read_whole(inquiry, targets, &text, why));
        TRY(take_promises(inquiry, text, targets, why));
    }
    if (journeys == NULL)
        return ERR_NONE;
    TRY(read_whole(inquiry, journeys, &text, why));
    TRY(promises_read(text, journeys, inquiry->arena, &more, why));
    TRY(promises_add_journeys(&inquiry->promises, &more, inquiry->arena, why));
    inquiry->is_promised = true;
    return ERR_NONE;
}

static enum err gather(struct inquiry *inquiry, struct why *why)
{
    struct invocation *invocation = inquiry->invocation;
    const char *file = invocation->arguments_count > 1 ? invocation->arguments[1] : NULL;
    bool is_live = options_bool(invocation->options, OPTION_LIVE_DATA);
    bool measured = false;
    struct str text;

    if (file != NULL) {
        TRY(read_whole(inquiry, file, &text, why));
        measured = is_report(inquiry, text);
        TRY(measured ? take_report(inquiry, text, file, why)
                     : take_promises(inquiry, text, file, why));
    }
    TRY(add_files(inquiry, why));
    if (measured && !is_live)
        return ERR_NONE;
    if (file != NULL && !is_live && inquiry->promises.from_report.data != NULL)
        return measure_named_report(inquiry, file, why);
    return measure_live(inquiry, why);
}

/* ---- Telling. ---- */

/* Is enough known, and all of it good? */
static bool is_kept(const struct inquiry *inquiry, const struct verdict *verdict)
{
    bool is_strict = options_bool(inquiry->invocation->options, OPTION_STRICT);

    return verdict->broken_count == 0 && inquiry->services.all.numbers.measure.count > 0 &&
           verdict->judged_count > 0 && !(is_strict && verdict->unmeasured_count > 0);
}

static void write_json(const struct inquiry *inquiry, const struct verdict *verdict,
                       struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_bool(&json, "kept", is_kept(inquiry, verdict));
    json_put_u64(&json, "broken_count", verdict->broken_count);
    json_put_u64(&json, "unmeasured_count", verdict->unmeasured_count);
    json_put_u64(&json, "calls", inquiry->services.all.numbers.measure.count);
    json_key(&json, "lines");
    json_open(&json, '[');
    for (size_t i = 0; i < verdict->count; i++) {
        json_open(&json, '{');
        json_put_text(&json, "status", promises_status_name(verdict->lines[i].status));
        json_put_str(&json, "sentence", verdict->lines[i].sentence);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_text(const struct inquiry *inquiry, const struct verdict *verdict,
                       struct buf *out)
{
    static const int styles[] = {
        [STATUS_NONE] = STYLE_PLAIN,      [STATUS_GOOD] = STYLE_GOOD, [STATUS_INFO] = STYLE_DIM,
        [STATUS_WARNING] = STYLE_WARNING, [STATUS_BAD] = STYLE_BAD,
    };
    const struct terminal *terminal = &inquiry->invocation->terminal;
    uint64_t calls = inquiry->services.all.numbers.measure.count;

    for (size_t i = 0; i < verdict->count; i++) {
        const struct verdict_line *line = &verdict->lines[i];
        terminal_styled(terminal, out, styles[line->status], "%s", document_mark_of(line->status));
        buf_byte(out, ' ');
        terminal_text(out, line->sentence);
        buf_byte(out, '\n');
    }
    if (calls == 0 || verdict->judged_count == 0)
        buf_text(out, "Nothing was measured, so nothing can be said to be kept.\n");
    else if (verdict->broken_count > 0)
        buf_printf(out, "%zu %s broken.\n", verdict->broken_count,
                   verdict->broken_count == 1 ? "promise is" : "promises are");
    else if (verdict->unmeasured_count > 0)
        buf_printf(out, "No promise is broken over %llu calls; %zu could not be judged.\n",
                   (unsigned long long)calls, verdict->unmeasured_count);
    else
        buf_printf(out, "Every promise is kept, over %llu calls.\n", (unsigned long long)calls);
}

static enum exit_code check(struct inquiry *inquiry)
{
    struct verdict verdict = inquiry->own;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (inquiry->is_promised && promises_judge(&inquiry->promises, &inquiry->services,
                                               inquiry->arena, &verdict, &why) != ERR_NONE)
        return command_fail(inquiry->invocation, &why);
    if (verdict.count == 0 && verdict.judged_count == 0 && !promises_any(&inquiry->promises))
        return command_usage(inquiry->invocation,
                             "nothing was promised: name a file of promises ('sonde sla suggest' "
                             "writes one)");
    if (inquiry->invocation->json)
        write_json(inquiry, &verdict, &out);
    else
        write_text(inquiry, &verdict, &out);
    return command_print(inquiry->invocation, &out,
                         is_kept(inquiry, &verdict) ? EXIT_GOOD : EXIT_FINDING);
}

static enum exit_code suggest(struct inquiry *inquiry)
{
    const struct options *options = inquiry->invocation->options;
    struct buf out CLEANUP(buf_done) = {0};

    promises_suggest(&inquiry->services, options_double(options, OPTION_LATENCY_FACTOR),
                     options_double(options, OPTION_THROUGHPUT_FACTOR), &out);
    bool any = inquiry->services.all.numbers.measure.count > 0;
    return command_print(inquiry->invocation, &out, any ? EXIT_GOOD : EXIT_FINDING);
}

static enum exit_code run(struct invocation *invocation)
{
    ptrdiff_t action = command_action_of(invocation);
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES_MAX);
    struct inquiry inquiry = {
        .invocation = invocation, .arena = arena, .promises = {.overall = SLA_TARGETS_NONE}};
    struct why why = WHY_INIT;

    if (action < 0)
        return EXIT_USAGE;
    if (gather(&inquiry, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return action == ACTION_CHECK ? check(&inquiry) : suggest(&inquiry);
}

const struct command command_sla = {
    .name = "sla",
    .summary = "Check promises, or suggest some",
    .usage = "check|suggest [FILE]",
    .description =
        "check holds measurements against promises and says in a sentence what is broken; its exit "
        "code is 1 then, or when nothing was measured. FILE is a file of promises in YAML or JSON, "
        "which may name where to measure (from: {service: shop, range: 15m} or from: {report: "
        "FILE.json}), "
        "or a report in JSON saved by libsonde, the Python package or 'sonde report'. Without a "
        "file the daemon's own promises (sla.file) are checked.\n\n"
        "suggest measures and writes promises: latencies with room above, throughput with room "
        "below.",
    .examples = "sonde sla check promises.yaml\tAgainst the running daemon; for a pipeline.\n"
                "sonde sla check report.json --targets promises.yaml\tAgainst a saved report.\n"
                "sonde sla check --live --journeys journeys.yaml\tUser journeys.\n"
                "sonde sla suggest --range 1d > promises.yaml\tA baseline to start from.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 2,
    .run = run,
};
