/* SPDX-License-Identifier: Apache-2.0 */
/* command - one row a command: what it is called, what it takes, how it is told, how it runs.
 *
 * A command is one file that ends in a `struct command`, and one row in commands.def. The same rows
 * make --help, the shell completions and the manual page. One thread, at start. */
#pragma once
#include "base/err.h"
#include "base/option.h"
#include "cli/terminal.h"

/* How every command ends; the manual page tells these. */
enum exit_code {
    EXIT_GOOD = 0,        /* Done, and nothing was found wrong. */
    EXIT_FINDING = 1,     /* Done, and the answer is no, or something needs attention. */
    EXIT_USAGE = 2,       /* The command line or the configuration is wrong. */
    EXIT_UNREACHABLE = 3, /* The daemon cannot be reached. */
    EXIT_REFUSED = 4, /* It was refused or failed: permissions, files, limits, the daemon's no. */
};

struct invocation {
    const struct command *command;
    struct options
        *options; /* The command's rows, then the common ones, then (all_settings) ours. */
    const char **arguments; /* What was no flag. */
    size_t arguments_count;
    bool json;
    struct terminal terminal; /* Of standard output. */
};

struct command_action {
    const char *name;
    const char *usage; /* What follows the name: "FOLDER". */
    const char *summary;
};

struct command {
    const char *name;
    const char *summary;     /* One line, no full stop. */
    const char *usage;       /* What follows the name: "EXPR [--range 1h]". */
    const char *description; /* Paragraphs, separated by an empty line. */
    const char *examples;    /* Lines "command\texplanation\n". */
    const struct option_row *options;
    size_t options_count;
    const struct command_action *actions; /* The first argument is one of these. */
    size_t actions_count;
    bool all_settings; /* Takes every setting (settings.def) as a flag. */
    size_t arguments_max;
    enum exit_code (*run)(struct invocation *invocation);
};

extern const struct command *const commands[];
extern const size_t commands_count;

/* The options that every command has; they stand behind the command's own. */
enum common_option { COMMON_HELP, COMMON_JSON, COMMON_COLOR, COMMON_COUNT };

extern const struct option_row common_options[COMMON_COUNT];

/* Finds the command, reads its flags and runs it. */
enum exit_code command_main(int argc, char **argv);

/* NULL when there is none of that name. */
const struct command *command_find(struct str name);

/* Index of the first argument among the command's actions. On a missing or unknown one says so on
 * standard error, with the nearest, and returns -1. */
ptrdiff_t command_action_of(const struct invocation *invocation);

/* Says on standard error what went wrong, and the next step; with --json as JSON on standard
 * output too. Returns the exit code that suits why->err. */
enum exit_code command_fail(const struct invocation *invocation, const struct why *why);

/* A usage error: the sentence, and where to read more. Returns EXIT_USAGE. */
enum exit_code command_usage(const struct invocation *invocation, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Writes out to standard output; EXIT_REFUSED when that fails (a full disk behind a redirect). */
enum exit_code command_print(const struct invocation *invocation, struct buf *out,
                             enum exit_code code);

/* For commands whose actions each make one text: prints what the writer of the named action makes.
 * One writer an action, in their order. */
enum exit_code command_print_action(const struct invocation *invocation,
                                    void (*const writers[])(struct buf *out));
