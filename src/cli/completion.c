/* SPDX-License-Identifier: Apache-2.0 */
/* sonde completion - what a shell needs to finish our words, made from the tables.
 *
 * Each shell gets the same three lists: the commands, the actions of each command, the flags of
 * each command. Choices are offered behind the flags that take them; file names behind the rest. */
#include "cli/command.h"
#include "cli/settings.h"

/* Calls visit with every option that the command takes. */
static void each_option(const struct command *command,
                        void (*visit)(const struct option_row *row, struct buf *out),
                        struct buf *out)
{
    for (size_t i = 0; i < command->options_count; i++)
        visit(&command->options[i], out);
    for (size_t i = 0; i < COMMON_COUNT; i++)
        visit(&common_options[i], out);
    for (size_t i = 0; command->all_settings && i < SETTING_COUNT; i++) {
        if ((setting_rows[i].flags & OPTION_SECRET) == 0)
            visit(&setting_rows[i], out);
    }
}

static void write_choices(const struct option_row *row, struct buf *out)
{
    for (struct str rest = str_of(row->range); rest.data != NULL;) {
        struct str choice = str_split(&rest, '|');
        buf_printf(out, "%.*s%s", STR_ARG(choice), rest.data == NULL ? "" : " ");
    }
}

static void flag_word(const struct option_row *row, struct buf *out)
{
    buf_byte(out, ' ');
    option_write_flag(row, out);
}

/* ---- bash ---- */

static void bash_choice(const struct option_row *row, struct buf *out)
{
    if (row->type != OPTION_CHOICE)
        return;
    buf_text(out, "        ");
    option_write_flag(row, out);
    buf_text(out, ") COMPREPLY=($(compgen -W \"");
    write_choices(row, out);
    buf_text(out, "\" -- \"$word\")); return ;;\n");
}

static void write_bash(struct buf *out)
{
    buf_text(out, "# bash completion for sonde: source <(sonde completion bash)\n"
                  "_sonde() {\n"
                  "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    local command=${COMP_WORDS[1]} words=\n"
                  "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                  "        COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; i < commands_count; i++)
        buf_printf(out, "%s ", commands[i]->name);
    buf_text(out, "--help --version\" -- \"$word\"))\n"
                  "        return\n"
                  "    fi\n"
                  "    case $command in\n");
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = commands[i];
        buf_printf(out, "    %s) words=\"", command->name);
        for (size_t j = 0; j < command->actions_count; j++)
            buf_printf(out, "%s ", command->actions[j].name);
        each_option(command, flag_word, out);
        buf_text(out, "\"\n        case $before in\n");
        each_option(command, bash_choice, out);
        buf_text(out, "        esac ;;\n");
    }
    buf_text(out, "    esac\n"
                  "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                  "    [ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- \"$word\"))\n"
                  "}\n"
                  "complete -F _sonde sonde\n");
}

/* ---- zsh ---- */

/* Brackets, colons and quotes mean something to _arguments. */
static void zsh_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buf_text(out, "'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            buf_printf(out, "\\%c", *text);
        else
            buf_byte(out, (uint8_t)*text);
    }
}

static void zsh_option(const struct option_row *row, struct buf *out)
{
    buf_text(out, " \\\n            '");
    option_write_flag(row, out);
    buf_text(out, row->type == OPTION_BOOL ? "[" : "=[");
    zsh_text(out, row->help);
    buf_byte(out, ']');
    if (row->type == OPTION_CHOICE) {
        buf_printf(out, ":%s:(", row->name);
        write_choices(row, out);
        buf_byte(out, ')');
    } else if (row->type == OPTION_PATH) {
        buf_printf(out, ":%s:_files", row->name);
    } else if (row->type != OPTION_BOOL) {
        buf_printf(out, ":%s: ", row->name);
    }
    buf_byte(out, '\'');
}

static void write_zsh(struct buf *out)
{
    buf_text(out, "#compdef sonde\n"
                  "# zsh completion for sonde: sonde completion zsh > \"${fpath[1]}/_sonde\"\n"
                  "_sonde() {\n"
                  "    local -a names\n"
                  "    if (( CURRENT == 2 )); then\n"
                  "        names=(");
    for (size_t i = 0; i < commands_count; i++) {
        buf_printf(out, "\n            '%s:", commands[i]->name);
        zsh_text(out, commands[i]->summary);
        buf_byte(out, '\'');
    }
    buf_text(out, ")\n"
                  "        _describe command names\n"
                  "        return\n"
                  "    fi\n"
                  "    local command=${words[2]}\n"
                  "    shift words; (( CURRENT-- ))\n"
                  "    case $command in\n");
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = commands[i];
        buf_printf(out, "    %s) _arguments", command->name);
        if (command->actions_count > 0) {
            buf_text(out, " '1:action:(");
            for (size_t j = 0; j < command->actions_count; j++)
                buf_printf(out, "%s%s", j == 0 ? "" : " ", command->actions[j].name);
            buf_text(out, ")'");
        }
        each_option(command, zsh_option, out);
        buf_text(out, " \\\n            '*:file:_files' ;;\n");
    }
    buf_text(out, "    esac\n}\n_sonde \"$@\"\n");
}

/* ---- fish ---- */

static void fish_text(struct buf *out, const char *text)
{
    buf_byte(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)*text);
    }
    buf_byte(out, '\'');
}

static void fish_option(const struct command *command, const struct option_row *row,
                        struct buf *out)
{
    struct buf flag CLEANUP(buf_done) = {0};

    option_write_flag(row, &flag);
    buf_printf(out, "complete -c sonde -n '__fish_seen_subcommand_from %s' -l %s", command->name,
               buf_cstr(&flag) + 2);
    if (row->type == OPTION_CHOICE) {
        buf_text(out, " -x -a '");
        write_choices(row, out);
        buf_byte(out, '\'');
    } else if (row->type != OPTION_BOOL) {
        buf_text(out, " -r");
    }
    buf_text(out, " -d ");
    fish_text(out, row->help);
    buf_byte(out, '\n');
}

static void write_fish(struct buf *out)
{
    buf_text(out, "# fish completion for sonde: sonde completion fish | source\n");
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = commands[i];
        buf_printf(out, "complete -c sonde -n __fish_use_subcommand -f -a %s -d ", command->name);
        fish_text(out, command->summary);
        buf_byte(out, '\n');
        for (size_t j = 0; j < command->actions_count; j++) {
            buf_printf(out, "complete -c sonde -n '__fish_seen_subcommand_from %s' -f -a %s -d ",
                       command->name, command->actions[j].name);
            fish_text(out, command->actions[j].summary);
            buf_byte(out, '\n');
        }
        for (size_t j = 0; j < command->options_count; j++)
            fish_option(command, &command->options[j], out);
        for (size_t j = 0; j < COMMON_COUNT; j++)
            fish_option(command, &common_options[j], out);
        for (size_t j = 0; command->all_settings && j < SETTING_COUNT; j++) {
            if ((setting_rows[j].flags & OPTION_SECRET) == 0)
                fish_option(command, &setting_rows[j], out);
        }
    }
}

static const struct command_action actions[] = {
    {"bash", "", "For bash: source <(sonde completion bash)."},
    {"zsh", "", "For zsh: into a file _sonde in a folder of $fpath."},
    {"fish", "", "For fish: sonde completion fish | source."},
};

static enum exit_code run(struct invocation *invocation)
{
    static void (*const writers[])(struct buf * out) = {write_bash, write_zsh, write_fish};

    return command_print_action(invocation, writers);
}

const struct command command_completion = {
    .name = "completion",
    .summary = "Print what a shell needs to complete sonde's words",
    .usage = "bash|zsh|fish",
    .description = "Prints a completion script on standard output.",
    .examples = "source <(sonde completion bash)\tFor this shell; put the line into ~/.bashrc to "
                "keep it.\n"
                "sonde completion fish > ~/.config/fish/completions/sonde.fish\tFor fish.\n",
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 1,
    .run = run,
};
