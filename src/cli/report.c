/* SPDX-License-Identifier: Apache-2.0 */
/* sonde report - how the services did, as a document to read, to send or to keep. */
#include "base/file.h"
#include "cli/performance.h"
#include "document/document.h"

enum { OPTION_FORMAT = PERFORMANCE_OPTIONS_COUNT, OPTION_OUTPUT, OPTIONS_COUNT };

static const struct option_row rows[OPTIONS_COUNT] = {
    PERFORMANCE_ROWS,
    [OPTION_FORMAT] = {.name = "format",
                       .type = OPTION_CHOICE,
                       .range = "console|json|markdown|html|csv",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "The form. Default: by the ending of --output, else console."},
    [OPTION_OUTPUT] = {.name = "output",
                       .type = OPTION_PATH,
                       .value_name = "FILE",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "Writes to this file instead of standard output."},
};

static const char *const FORMS[] = {"console", "json", "markdown", "html", "csv"};

static const char *form_of_ending(struct str path)
{
    static const struct {
        struct str ending;
        const char *form;
    } endings[] = {
        {{".json", 5}, "json"}, {{".md", 3}, "markdown"}, {{".html", 5}, "html"},
        {{".htm", 4}, "html"},  {{".csv", 4}, "csv"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        struct str ending = endings[i].ending;
        if (path.size > ending.size &&
            str_eq_nocase((struct str){path.data + path.size - ending.size, ending.size}, ending))
            return endings[i].form;
    }
    return "console";
}

static enum exit_code run(struct invocation *invocation)
{
    const struct options *options = invocation->options;
    struct str output = options_text(options, OPTION_OUTPUT);
    bool to_terminal = output.data == NULL && invocation->terminal.color;
    struct performance_question question = {
        .form = invocation->json ? "json"
                : options_is_set(options, OPTION_FORMAT)
                    ? FORMS[options_i64(options, OPTION_FORMAT)]
                : output.data != NULL ? form_of_ending(output)
                                      : "console",
        .service = options_text(options, PERFORMANCE_SERVICE),
        .range_ms = options_is_set(options, PERFORMANCE_RANGE)
                        ? options_ms(options, PERFORMANCE_RANGE)
                        : INT64_C(3600) * 1000,
        .colour = to_terminal,
        .width = output.data == NULL && invocation->terminal.tty
                     ? (size_t)invocation->terminal.columns
                     : 0,
    };
    struct buf body CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (performance_ask(invocation, &question, &body, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    if (output.data == NULL)
        return command_print(invocation, &body, EXIT_GOOD);
    if (file_write(options_cstr(options, OPTION_OUTPUT), buf_view(&body), 0644, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return EXIT_GOOD;
}

const struct command command_report = {
    .name = "report",
    .summary = "Tell how the services did, as a document",
    .usage = "[--format html] [--output FILE]",
    .description =
        "Asks a running daemon how services and their operations did: counts, success rates, "
        "throughput, percentiles, and whether what was promised (sla.file) is kept.\n\n"
        "The HTML form is one page that needs nothing else: it can be mailed, printed and read on "
        "a phone. The JSON form is what 'sonde sla check' and 'sonde sla suggest' read.",
    .examples = "sonde report\tThe last hour, on the terminal.\n"
                "sonde report --range 1d --output today.html\tA page to keep.\n"
                "sonde report --service shop --format csv\tFor a spreadsheet.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .run = run,
};
