/* SPDX-License-Identifier: Apache-2.0 */
/* sonde doctor - asks every check and every source, and says how to allow what is not allowed. */
#include "cli/doctor.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/doctor_list.h"
#include "sources/sources.h"

#include <stdio.h>
#include <unistd.h>

const struct doctor_check doctor_checks[] = {
#define ROW(identifier, title, use) {#identifier, title, use, doctor_##identifier},
#include "cli/doctor_checks.def"
#undef ROW
};
const size_t doctor_checks_count = ARRAY_COUNT(doctor_checks);

static const struct state {
    const char *name;
    int style;
} states[DOCTOR_STATE_COUNT] = {
    [DOCTOR_OK] = {"ok", STYLE_GOOD},
    [DOCTOR_LIMITED] = {"limited", STYLE_WARNING},
    [DOCTOR_MISSING] = {"missing", STYLE_BAD},
    [DOCTOR_NOT_NEEDED] = {"absent", STYLE_DIM},
};

/* ---- For the checks. ---- */

void doctor_say(struct doctor_answer *answer, enum doctor_state state, const char *format, ...)
{
    va_list arguments;

    answer->state = state;
    va_start(arguments, format);
    (void)vsnprintf(answer->text, sizeof(answer->text), format, arguments); /* Cut is fine. */
    va_end(arguments);
}

void doctor_advise(struct doctor_answer *answer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(answer->advice, sizeof(answer->advice), format, arguments); /* Cut is fine. */
    va_end(arguments);
}

void doctor_read_line(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");

    text[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(text, (int)size, file) == NULL)
        text[0] = '\0';
    (void)fclose(file); /* Only read from. */
    text[strcspn(text, "\r\n")] = '\0';
}

bool doctor_read_number(const char *path, int64_t *ret_number)
{
    char line[64];

    doctor_read_line(path, line, sizeof(line));
    return str_to_i64(str_trim(str_of(line)), ret_number);
}

/* ---- Sources: each looks once. ---- */

static void ask_source(const struct sources *sources, size_t index, struct doctor_answer *answer)
{
    struct source_status status;

    sources_status((struct sources *)sources, index, &status);
    switch (status.state) {
    case SOURCE_RUNNING:
        doctor_say(answer, DOCTOR_OK, "%s", status.summary);
        break;
    case SOURCE_FAILED:
        doctor_say(answer, DOCTOR_MISSING, "%s", status.error);
        break;
    default:
        doctor_say(answer, DOCTOR_NOT_NEEDED, "%s",
                   status.error[0] == '\0' ? status.summary : status.error);
    }
}

static enum err look_once(struct sources **ret_sources, struct why *why)
{
    const struct sources_options options = {.period_ms = 1000};
    struct batch *batch CLEANUP(batch_freep) = batch_new("default", "doctor", 16 << 20);

    TRY(sources_open(&options, NULL, ret_sources, why));
    return sources_tick(*ret_sources, clock_now_ms(), batch, why);
}

/* ---- The two ways to tell. ---- */

static void write_line(const struct terminal *terminal, struct buf *out, const char *title,
                       const struct doctor_answer *answer)
{
    const struct state *state = &states[answer->state];

    terminal_style(terminal, out, state->style);
    terminal_fit(terminal, out, str_of(state->name), 9, false);
    terminal_style(terminal, out, STYLE_BOLD);
    terminal_fit(terminal, out, str_of(title), 34, false);
    terminal_style(terminal, out, STYLE_PLAIN);
    terminal_text(out, str_of(answer->text));
    buf_byte(out, '\n');
    if (answer->advice[0] == '\0')
        return;
    buf_text(out, "         ");
    terminal_style(terminal, out, STYLE_DIM);
    terminal_wrap(terminal, out, str_of(answer->advice), 9);
    terminal_style(terminal, out, STYLE_PLAIN);
    buf_byte(out, '\n');
}

static void add_json(struct json *json, const char *name, const char *use,
                     const struct doctor_answer *answer)
{
    json_open(json, '{');
    json_put_text(json, "name", name);
    json_put_text(json, "state", states[answer->state].name);
    json_put_text(json, "found", answer->text);
    if (use != NULL) {
        json_put_text(json, "needed_for", use);
        json_put_text(json, "advice", answer->advice);
    }
    json_close(json, '}');
}

struct counts {
    size_t of[DOCTOR_STATE_COUNT];
};

static void tell_checks(const struct doctor_answer *answers, const struct terminal *terminal,
                        struct json *json, struct buf *out, struct counts *counts)
{
    for (size_t i = 0; i < doctor_checks_count; i++) {
        counts->of[answers[i].state]++;
        if (json != NULL)
            add_json(json, doctor_checks[i].name, doctor_checks[i].use, &answers[i]);
        else
            write_line(terminal, out, doctor_checks[i].title, &answers[i]);
    }
}

static void tell_sources(const struct sources *sources, const struct terminal *terminal,
                         struct json *json, struct buf *out)
{
    for (size_t i = 0; sources != NULL && i < sources_count(sources); i++) {
        struct doctor_answer answer = {0};
        struct source_status status;
        sources_status((struct sources *)sources, i, &status);
        ask_source(sources, i, &answer);
        if (json != NULL)
            add_json(json, status.name, NULL, &answer);
        else
            write_line(terminal, out, status.name, &answer);
    }
}

static void tell_json(const struct doctor_answer *answers, const struct sources *sources,
                      struct buf *out, struct counts *counts)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_key(&json, "checks");
    json_open(&json, '[');
    tell_checks(answers, NULL, &json, out, counts);
    json_close(&json, ']');
    json_key(&json, "sources");
    json_open(&json, '[');
    tell_sources(sources, NULL, &json, out);
    json_close(&json, ']');
    json_put_bool(&json, "ok", counts->of[DOCTOR_MISSING] + counts->of[DOCTOR_LIMITED] == 0);
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void tell_people(const struct doctor_answer *answers, const struct sources *sources,
                        const struct terminal *terminal, struct buf *out, struct counts *counts)
{
    terminal_styled(terminal, out, STYLE_BOLD, "What this machine allows\n");
    tell_checks(answers, terminal, NULL, out, counts);
    terminal_styled(terminal, out, STYLE_BOLD, "\nSources\n");
    tell_sources(sources, terminal, NULL, out);
    buf_printf(out, "\n%zu ok, %zu limited, %zu missing. ", counts->of[DOCTOR_OK],
               counts->of[DOCTOR_LIMITED], counts->of[DOCTOR_MISSING]);
    buf_text(out, "sonde runs without what is limited or missing, and shows less.\n");
}

static enum exit_code run(struct invocation *invocation)
{
    struct config *config CLEANUP(config_freep) =
        config_new(NULL, invocation->options, (const char *const *)environ);
    struct doctor_answer answers[ARRAY_COUNT(doctor_checks)] = {0};
    struct sources *sources = NULL;
    struct buf out CLEANUP(buf_done) = {0};
    struct counts counts = {0};
    struct why why = WHY_INIT;

    for (size_t i = 0; i < doctor_checks_count; i++)
        doctor_checks[i].run(config, &answers[i]);
    enum err err = look_once(&sources, &why);
    if (err == ERR_NONE && invocation->json)
        tell_json(answers, sources, &out, &counts);
    else if (err == ERR_NONE)
        tell_people(answers, sources, &invocation->terminal, &out, &counts);
    sources = sources_close(sources);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out,
                         counts.of[DOCTOR_MISSING] + counts.of[DOCTOR_LIMITED] == 0 ? EXIT_GOOD
                                                                                    : EXIT_FINDING);
}

static const struct option_row rows[] = {
    {.name = "data",
     .type = OPTION_PATH,
     .flags = OPTION_FLAG_ONLY,
     .help = "The data folder to judge. Default: the one that sonde serve would use."},
    {.name = "listen",
     .type = OPTION_ADDRESS,
     .flags = OPTION_FLAG_ONLY,
     .help = "The address to judge. Default: the one that sonde serve would use."},
};

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Tell what this machine allows, and how to allow more",
    .usage = "[--data DIR] [--listen ADDR:PORT]",
    .description =
        "Tries what sonde wants from this machine: profiling, BPF, pressure information, limits, "
        "ports, clocks and disks, and lets every source look once. Each line is ok, limited or "
        "missing, with the sentence how to allow it. Nothing is changed.",
    .examples = "sonde doctor\tAs the user who will run the daemon.\n"
                "sonde doctor --json\tFor programs.\n",
    .options = rows,
    .options_count = ARRAY_COUNT(rows),
    .run = run,
};
