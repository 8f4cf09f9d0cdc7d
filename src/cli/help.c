/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"
#include "cli/settings.h"
#include "sonde_version.h"

enum {
    COMMAND_CELLS = 16,
    FLAG_INDENT = 30,
};

static void heading(const struct terminal *terminal, struct buf *out, const char *text)
{
    terminal_styled(terminal, out, STYLE_BOLD, "\n%s\n", text);
}

static void named_line(const struct terminal *terminal, struct buf *out, struct str name,
                       size_t indent, struct str text)
{
    buf_text(out, "  ");
    terminal_style(terminal, out, STYLE_TITLE);
    buf_str(out, name);
    terminal_style(terminal, out, STYLE_PLAIN);
    size_t width = 2 + terminal_width(name);
    if (width + 1 > indent) {
        buf_byte(out, '\n');
        width = 0;
    }
    for (; width < indent; width++)
        buf_byte(out, ' ');
    terminal_wrap(terminal, out, text, indent);
    buf_byte(out, '\n');
}

static void write_option(const struct terminal *terminal, struct buf *out,
                         const struct option_row *row)
{
    struct buf name CLEANUP(buf_done) = {0};
    struct buf text CLEANUP(buf_done) = {0};
    const char *value = option_value_name(row);

    if ((row->flags & OPTION_SECRET) != 0)
        option_write_variable(row, "SONDE", &name);
    else
        option_write_flag(row, &name);
    buf_printf(&name, "%s%s", value[0] == '\0' ? "" : " ", value);
    buf_text(&text, row->help);
    if (row->type == OPTION_CHOICE)
        buf_printf(&text, " One of %s.", row->range);
    else if (row->range != NULL)
        buf_printf(&text, " Within %s.", row->range);
    if (row->preset != NULL && row->preset[0] != '\0' && row->type != OPTION_BOOL)
        buf_printf(&text, " Default: %s.", row->preset);
    else if (row->type == OPTION_BOOL && row->preset != NULL &&
             str_eq(str_of(row->preset), STR("true")))
        buf_text(&text, " Default: true.");
    named_line(terminal, out, buf_view(&name), FLAG_INDENT, buf_view(&text));
}

static void write_examples(const struct terminal *terminal, struct buf *out, const char *examples)
{
    struct str rest = str_of(examples);

    heading(terminal, out, "Examples");
    while (rest.size > 0) {
        struct str explanation = str_split(&rest, '\n');
        struct str example = str_split(&explanation, '\t');
        buf_printf(out, "  %.*s\n", STR_ARG(example));
        if (explanation.size > 0) {
            buf_text(out, "      ");
            terminal_style(terminal, out, STYLE_DIM);
            terminal_wrap(terminal, out, explanation, 6);
            terminal_style(terminal, out, STYLE_PLAIN);
            buf_byte(out, '\n');
        }
    }
}

void help_write_all(const struct terminal *terminal, struct buf *out)
{
    terminal_styled(terminal, out, STYLE_BOLD, "sonde " SONDE_VERSION);
    buf_text(out, " watches this machine and its programs, keeps what it sees, and answers.\n\n"
                  "Usage: sonde COMMAND [ARGUMENTS] [--flags]\n");
    heading(terminal, out, "Commands");
    for (size_t i = 0; i < commands_count; i++)
        named_line(terminal, out, str_of(commands[i]->name), COMMAND_CELLS,
                   str_of(commands[i]->summary));
    heading(terminal, out, "To begin");
    buf_text(out, "  sonde serve               then open http://127.0.0.1:7070\n"
                  "  sonde top                 this machine, live, in the terminal\n"
                  "  sonde doctor              what this machine allows\n"
                  "  sonde COMMAND --help      what a command takes, with examples\n"
                  "  sonde --version\n");
}

void help_write_command(const struct terminal *terminal, const struct command *command,
                        struct buf *out)
{
    terminal_styled(terminal, out, STYLE_BOLD, "sonde %s", command->name);
    buf_printf(out, " - %s\n\nUsage: sonde %s %s\n\n", command->summary, command->name,
               command->usage);
    terminal_wrap(terminal, out, str_of(command->description), 0);
    buf_byte(out, '\n');
    if (command->actions_count > 0) {
        heading(terminal, out, "What it can do");
        for (size_t i = 0; i < command->actions_count; i++) {
            const struct command_action *action = &command->actions[i];
            struct buf name CLEANUP(buf_done) = {0};
            buf_printf(&name, "%s%s%s", action->name, action->usage[0] == '\0' ? "" : " ",
                       action->usage);
            named_line(terminal, out, buf_view(&name), FLAG_INDENT, str_of(action->summary));
        }
    }
    heading(terminal, out, "Flags");
    for (size_t i = 0; i < command->options_count; i++)
        write_option(terminal, out, &command->options[i]);
    for (size_t i = 0; i < COMMON_COUNT; i++)
        write_option(terminal, out, &common_options[i]);
    if (command->all_settings) {
        heading(terminal, out, "Settings (flag; or a key of the configuration; or SONDE_…)");
        for (size_t i = 0; i < SETTING_COUNT; i++)
            write_option(terminal, out, &setting_rows[i]);
    }
    if (command->examples != NULL)
        write_examples(terminal, out, command->examples);
    buf_text(out, "\nExit codes: 0 done, 1 something was found, 2 wrong usage, "
                  "3 daemon not reached, 4 refused or failed.\n");
}
