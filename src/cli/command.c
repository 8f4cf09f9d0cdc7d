/* SPDX-License-Identifier: Apache-2.0 */
/* From words to a running command. Every flag is a row of an option table, so this file knows how
 * to tell and to take flags, and no flag in particular but the common ones. */
#include "cli/command.h"
#include "base/json.h"
#include "base/nearest.h"
#include "cli/help.h"
#include "cli/settings.h"
#include "sonde_version.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROW(identifier) extern const struct command command_##identifier;
#include "cli/commands.def"
#undef ROW

const struct command *const commands[] = {
#define ROW(identifier) &command_##identifier,
#include "cli/commands.def"
#undef ROW
};
const size_t commands_count = ARRAY_COUNT(commands);

const struct option_row common_options[COMMON_COUNT] = {
    [COMMON_HELP] = {.name = "help",
                     .type = OPTION_BOOL,
                     .preset = "false",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Tells what the command does and takes."},
    [COMMON_JSON] = {.name = "json",
                     .type = OPTION_BOOL,
                     .preset = "false",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "Answers in JSON, for programs."},
    [COMMON_COLOR] = {.name = "color",
                      .type = OPTION_CHOICE,
                      .preset = "auto",
                      .range = "auto|always|never",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "Colour: auto is on a terminal, unless NO_COLOR is set."},
};

const struct command *command_find(struct str name)
{
    for (size_t i = 0; i < commands_count; i++) {
        if (str_eq(str_of(commands[i]->name), name))
            return commands[i];
    }
    return NULL;
}

/* ---- Saying. ---- */

static enum exit_code code_of(enum err err)
{
    switch (err) {
    case ERR_NONE:
        return EXIT_GOOD;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_UPSTREAM:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_REFUSED;
    }
}

static void complain(const char *text, const char *next_step)
{
    struct terminal terminal;
    struct buf out CLEANUP(buf_done) = {0};

    terminal_init(&terminal, STDERR_FILENO, TERMINAL_COLOR_AUTO);
    terminal_styled(&terminal, &out, STYLE_BAD, "sonde: ");
    terminal_text(&out, str_of(text));
    buf_byte(&out, '\n');
    if (next_step[0] != '\0') {
        buf_text(&out, "       ");
        terminal_text(&out, str_of(next_step));
        buf_byte(&out, '\n');
    }
    if (terminal_write(&terminal, buf_view(&out), NULL) != ERR_NONE)
        return; /* Nobody is left to tell. */
}

enum exit_code command_fail(const struct invocation *invocation, const struct why *why)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    complain(why->text, why->hint);
    if (!invocation->json)
        return code_of(why->err);
    json_open(&json, '{');
    json_key(&json, "error");
    json_open(&json, '{');
    json_put_text(&json, "code", err_code(why->err));
    json_put_text(&json, "message", why->text);
    json_put_text(&json, "hint", why->hint);
    json_close(&json, '}');
    json_close(&json, '}');
    buf_byte(&out, '\n');
    return command_print(invocation, &out, code_of(why->err));
}

enum exit_code command_usage(const struct invocation *invocation, const char *format, ...)
{
    char text[WHY_TEXT_SIZE];
    char next_step[WHY_HINT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments); /* Cut is fine. */
    va_end(arguments);
    (void)snprintf(next_step, sizeof(next_step), "sonde %s --help tells what it takes",
                   invocation->command->name);
    complain(text, next_step);
    return EXIT_USAGE;
}

enum exit_code command_print(const struct invocation *invocation, struct buf *out,
                             enum exit_code code)
{
    struct why why = WHY_INIT;
    enum err err = terminal_write(&invocation->terminal, buf_view(out), &why);

    if (err == ERR_NONE || err == ERR_CLOSED)
        return code; /* Whoever closed the pipe has read enough. */
    complain(why.text, why.hint);
    return EXIT_REFUSED;
}

ptrdiff_t command_action_of(const struct invocation *invocation)
{
    const struct command *command = invocation->command;
    struct str word = invocation->arguments_count == 0 ? STR("") : str_of(invocation->arguments[0]);
    struct nearest nearest = nearest_begin(word);
    struct buf names CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < command->actions_count; i++) {
        if (str_eq(word, str_of(command->actions[i].name)))
            return (ptrdiff_t)i;
        nearest_offer(&nearest, str_of(command->actions[i].name));
        buf_printf(&names, "%s%s", i == 0 ? "" : ", ", command->actions[i].name);
    }
    struct str meant = nearest_found(&nearest);
    if (word.size == 0)
        (void)command_usage(invocation, "sonde %s needs to be told what: %s", command->name,
                            buf_cstr(&names));
    else if (meant.data != NULL)
        (void)command_usage(invocation, "sonde %s cannot '%.*s'; did you mean '%.*s'?",
                            command->name, STR_ARG(word), STR_ARG(meant));
    else
        (void)command_usage(invocation, "sonde %s cannot '%.*s', only: %s", command->name,
                            STR_ARG(word), buf_cstr(&names));
    return -1;
}

/* ---- Running. ---- */

static enum exit_code say_help(const struct terminal *terminal, const struct command *command)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct invocation invocation = {.terminal = *terminal};

    if (command == NULL)
        help_write_all(terminal, &out);
    else
        help_write_command(terminal, command, &out);
    return command_print(&invocation, &out, EXIT_GOOD);
}

static enum exit_code say_version(const struct terminal *terminal)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct invocation invocation = {.terminal = *terminal};

    buf_text(&out, "sonde " SONDE_VERSION "\n");
    return command_print(&invocation, &out, EXIT_GOOD);
}

static enum exit_code unknown_command(const char *word)
{
    struct nearest nearest = nearest_begin(str_of(word));
    char text[WHY_TEXT_SIZE];
    char next_step[WHY_HINT_SIZE];

    for (size_t i = 0; i < commands_count; i++)
        nearest_offer(&nearest, str_of(commands[i]->name));
    struct str meant = nearest_found(&nearest);
    (void)snprintf(text, sizeof(text), "there is no %s '%s'", word[0] == '-' ? "flag" : "command",
                   word);
    (void)snprintf(next_step, sizeof(next_step), "sonde --help lists the commands");
    if (meant.data != NULL)
        (void)snprintf(next_step, sizeof(next_step), "did you mean 'sonde %.*s'?", STR_ARG(meant));
    complain(text, next_step);
    return EXIT_USAGE;
}

/* All rows that the command takes, in one array: its own, the common ones, and the settings. */
static struct option_row *gather_rows(const struct command *command, size_t *ret_count)
{
    size_t count =
        command->options_count + COMMON_COUNT + (command->all_settings ? SETTING_COUNT : 0);
    struct option_row *rows = calloc(count, sizeof(*rows));
    struct option_row *at = rows;

    if (rows == NULL)
        must_memory(count * sizeof(*rows));
    for (size_t i = 0; i < command->options_count; i++)
        *at++ = command->options[i];
    for (size_t i = 0; i < COMMON_COUNT; i++)
        *at++ = common_options[i];
    if (command->all_settings) {
        for (size_t i = 0; i < SETTING_COUNT; i++)
            *at++ = setting_rows[i];
    }
    *ret_count = count;
    return rows;
}

static void free_rows(struct option_row **rows)
{
    free(*rows);
}

static enum exit_code run_command(const struct command *command, const char **words, size_t count)
{
    size_t rows_count;
    struct option_row *rows CLEANUP(free_rows) = gather_rows(command, &rows_count);
    struct options *options CLEANUP(options_freep) = options_new(rows, rows_count);
    struct invocation invocation = {.command = command, .options = options, .arguments = words};
    struct why why = WHY_INIT;
    size_t common = command->options_count;

    terminal_init(&invocation.terminal, STDOUT_FILENO, TERMINAL_COLOR_AUTO);
    if (options_read_flags(options, words, count, &invocation.arguments_count, &why) != ERR_NONE) {
        if (why.hint[0] == '\0')
            hint(&why, "sonde %s --help tells what it takes", command->name);
        return command_fail(&invocation, &why);
    }
    enum terminal_color color =
        (enum terminal_color)options_i64(options, common + COMMON_COLOR); /* The same order. */
    terminal_init(&invocation.terminal, STDOUT_FILENO, color);
    if (options_bool(options, common + COMMON_HELP))
        return say_help(&invocation.terminal, command);
    invocation.json = options_bool(options, common + COMMON_JSON);
    if (invocation.arguments_count > command->arguments_max)
        return command_usage(&invocation, "sonde %s does not know what to do with '%s'",
                             command->name, invocation.arguments[command->arguments_max]);
    return command->run(&invocation);
}

enum exit_code command_main(int argc, char **argv)
{
    struct terminal terminal;

    /* Only the character set; numbers are written the same everywhere. */
    (void)setlocale(LC_CTYPE, "");  /* A missing locale leaves plain ASCII. */
    (void)signal(SIGPIPE, SIG_IGN); /* A closed pipe is an answer of write. */
    terminal_init(&terminal, STDOUT_FILENO, TERMINAL_COLOR_AUTO);
    if (argc < 2) {
        (void)say_help(&terminal, NULL);
        return EXIT_USAGE;
    }
    struct str word = str_of(argv[1]);
    if (str_eq(word, STR("--version")) || str_eq(word, STR("-V")))
        return say_version(&terminal);
    if (str_eq(word, STR("--help")) || str_eq(word, STR("-h")) || str_eq(word, STR("help"))) {
        const struct command *command = argc > 2 ? command_find(str_of(argv[2])) : NULL;
        return argc > 2 && command == NULL ? unknown_command(argv[2])
                                           : say_help(&terminal, command);
    }
    const struct command *command = command_find(word);
    if (command == NULL)
        return unknown_command(argv[1]);
    return run_command(command, (const char **)argv + 2, (size_t)argc - 2);
}

enum exit_code command_print_action(const struct invocation *invocation,
                                    void (*const writers[])(struct buf *out))
{
    ptrdiff_t action = command_action_of(invocation);
    struct buf out CLEANUP(buf_done) = {0};

    if (action < 0)
        return EXIT_USAGE;
    writers[action](&out);
    return command_print(invocation, &out, EXIT_GOOD);
}
