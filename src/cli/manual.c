/* SPDX-License-Identifier: Apache-2.0 */
/* sonde manual - the manual page and the configuration reference, from the tables that the program
 * itself reads, so that they cannot say anything else. docs/manual holds their output; a test holds
 * the two together. */
#include "cli/command.h"
#include "cli/settings.h"
#include "sonde_version.h"

/* ---- roff ---- */

/* A backslash, a leading dot or quote, and minus signs need care in roff. */
static void roff_text(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool begins = i == 0 || text.data[i - 1] == '\n';
        if (begins && (byte == '.' || byte == '\''))
            buf_text(out, "\\&");
        if (byte == '\\')
            buf_text(out, "\\e");
        else if (byte == '-')
            buf_text(out, "\\-");
        else if (byte == '~')
            buf_text(out, "\\(ti");
        else if (byte == '^')
            buf_text(out, "\\(ha");
        else if (byte == '\'')
            buf_text(out, "\\(aq");
        else if (byte == '`')
            buf_text(out, "\\(ga");
        else
            buf_byte(out, (uint8_t)byte);
    }
}

/* Sentences begin on new lines; paragraphs are separated by .PP. */
static void roff_paragraphs(struct buf *out, const char *text, const char *separator)
{
    struct str rest = str_of(text);

    while (rest.data != NULL) {
        struct str line = str_split(&rest, '\n');
        if (line.size == 0) {
            buf_printf(out, "%s\n", separator);
            continue;
        }
        roff_text(out, line);
        buf_byte(out, '\n');
    }
}

static void roff_option(struct buf *out, const struct option_row *row)
{
    struct buf flag CLEANUP(buf_done) = {0};
    const char *value = option_value_name(row);
    bool secret = (row->flags & OPTION_SECRET) != 0;

    if (secret)
        option_write_variable(row, "SONDE", &flag);
    else
        option_write_flag(row, &flag);
    buf_text(out, ".TP\n\\fB");
    roff_text(out, buf_view(&flag));
    buf_text(out, "\\fR");
    if (value[0] != '\0')
        buf_printf(out, "%s\\fI%s\\fR", secret ? "=" : " ", value);
    buf_byte(out, '\n');
    roff_text(out, str_of(row->help));
    buf_byte(out, '\n');
    if (row->range != NULL) {
        buf_text(out, row->type == OPTION_CHOICE ? "One of " : "Within ");
        roff_text(out, str_of(row->range));
        buf_text(out, ".\n");
    }
    if (row->preset != NULL && row->preset[0] != '\0' && row->type != OPTION_BOOL) {
        buf_text(out, "Default: ");
        roff_text(out, str_of(row->preset));
        buf_text(out, ".\n");
    }
}

static void roff_command(struct buf *out, const struct command *command)
{
    buf_printf(out, ".SS \"sonde ");
    roff_text(out, str_of(command->name));
    buf_byte(out, ' ');
    roff_text(out, str_of(command->usage));
    buf_text(out, "\"\n");
    roff_paragraphs(out, command->description, ".PP");
    for (size_t i = 0; i < command->actions_count; i++) {
        const struct command_action *action = &command->actions[i];
        buf_printf(out, ".TP\n\\fB%s\\fR", action->name);
        if (action->usage[0] != '\0') {
            buf_text(out, " \\fI");
            roff_text(out, str_of(action->usage));
            buf_text(out, "\\fR");
        }
        buf_byte(out, '\n');
        roff_text(out, str_of(action->summary));
        buf_byte(out, '\n');
    }
    for (size_t i = 0; i < command->options_count; i++)
        roff_option(out, &command->options[i]);
    if (command->examples == NULL)
        return;
    buf_text(out, ".PP\nExamples:\n");
    for (struct str rest = str_of(command->examples); rest.size > 0;) {
        struct str explanation = str_split(&rest, '\n');
        struct str example = str_split(&explanation, '\t');
        buf_text(out, ".TP\n\\fB");
        roff_text(out, example);
        buf_text(out, "\\fR\n");
        roff_text(out, explanation.size > 0 ? explanation : STR("\\&"));
        buf_byte(out, '\n');
    }
}

static void write_page(struct buf *out)
{
    buf_text(out, ".\\\" Made by 'sonde manual page' from the program's own tables.\n"
                  ".TH SONDE 1 \"\" \"sonde " SONDE_VERSION "\" \"User Commands\"\n"
                  ".SH NAME\n"
                  "sonde \\- watches a machine and its programs, keeps what it sees, and answers\n"
                  ".SH SYNOPSIS\n");
    for (size_t i = 0; i < commands_count; i++) {
        buf_text(out, i == 0 ? "" : ".br\n");
        buf_text(out, "\\fBsonde ");
        roff_text(out, str_of(commands[i]->name));
        buf_text(out, "\\fR ");
        roff_text(out, str_of(commands[i]->usage));
        buf_byte(out, '\n');
    }
    buf_text(out,
             ".SH DESCRIPTION\n"
             "One program is the daemon, which looks at the host, its processes and what other "
             "programs tell it,\nkeeps it in a folder and answers over HTTP,\nand the command "
             "line, which asks the daemon or the machine itself.\n"
             ".PP\n"
             "A clean beginning: \\fBsonde serve\\fR, then open http://127.0.0.1:7070.\n"
             ".SH COMMANDS\n");
    for (size_t i = 0; i < commands_count; i++)
        roff_command(out, commands[i]);
    buf_text(out, ".SH COMMON OPTIONS\n");
    for (size_t i = 0; i < COMMON_COUNT; i++)
        roff_option(out, &common_options[i]);
    buf_text(out,
             ".SH SETTINGS\n"
             "Each setting is a key of the configuration file (\\fBretention.raw\\fR, or "
             "\\fBraw\\fR below \\fBretention\\fR),\nan environment variable "
             "(\\fBSONDE_RETENTION_RAW\\fR) and a flag of \\fBsonde serve\\fR.\nFlags win over the "
             "environment, the environment over the file, the file over the profile,\nand the "
             "profile over the default.\n");
    for (size_t i = 0; i < setting_sections_count; i++) {
        buf_text(out, ".SS \"");
        roff_text(out, str_of(setting_sections[i].title));
        buf_text(out, "\"\n");
        roff_text(out, str_of(setting_sections[i].about));
        buf_byte(out, '\n');
        for (size_t j = 0; j < SETTING_COUNT; j++) {
            if (setting_section_of(j) == &setting_sections[i])
                roff_option(out, &setting_rows[j]);
        }
    }
    buf_text(
        out,
        ".SH EXIT STATUS\n"
        ".TP\n0\nDone, and nothing was found wrong.\n"
        ".TP\n1\nDone, and the answer is no, or something needs attention.\n"
        ".TP\n2\nThe command line or the configuration is wrong.\n"
        ".TP\n3\nThe daemon cannot be reached.\n"
        ".TP\n4\nIt was refused or failed: permissions, files, limits, or the daemon's no.\n"
        ".SH SIGNALS\n"
        "\\fBsonde serve\\fR finishes what is in flight, commits and ends on SIGTERM and SIGINT; "
        "a second one ends it at once.\nOn SIGHUP it reads its configuration and certificate "
        "again and takes over what can change while running.\n"
        ".SH FILES\n"
        ".TP\n/etc/sonde/sonde.yaml, ~/.config/sonde/sonde.yaml\nThe configuration, the first "
        "that is there.\n"
        ".TP\n/var/lib/sonde, ~/.local/share/sonde\nThe data, one folder a tenant.\n");
}

/* ---- Markdown ---- */

/* A bar would end the cell of a Markdown table. */
static void markdown_cell(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<')
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)*text);
    }
}

static const char *type_name(const struct option_row *row)
{
    static const char *const names[OPTION_TYPE_COUNT] = {
        [OPTION_TEXT] = "text",          [OPTION_PATH] = "path",
        [OPTION_BOOL] = "true or false", [OPTION_INTEGER] = "integer",
        [OPTION_NUMBER] = "number",      [OPTION_SIZE] = "size",
        [OPTION_DURATION] = "duration",  [OPTION_RATIO] = "ratio",
        [OPTION_CHOICE] = "choice",      [OPTION_LIST] = "list",
        [OPTION_ADDRESS] = "address",
    };

    return names[row->type];
}

static void markdown_row(struct buf *out, const struct option_row *row)
{
    buf_printf(out, "| `%s` | ", row->name);
    markdown_cell(out, row->type == OPTION_CHOICE ? row->range : type_name(row));
    if (row->range != NULL && row->type != OPTION_CHOICE)
        buf_printf(out, ", %s", row->range);
    buf_printf(out, " | %s | ", row->preset == NULL || row->preset[0] == '\0' ? "" : row->preset);
    markdown_cell(out, row->help);
    buf_text(out, (row->flags & OPTION_LIVE) != 0 ? " *Live.*" : "");
    buf_text(out, " |\n");
}

static void write_configuration(struct buf *out)
{
    buf_text(
        out,
        "# Configuration\n\n"
        "<!-- Made by 'sonde manual configuration' from the program's own tables. -->\n\n"
        "`sonde serve` needs no configuration. What should differ from the defaults is a key "
        "of a YAML file, an environment variable, or a flag:\n\n"
        "```yaml\n"
        "# /etc/sonde/sonde.yaml                 SONDE_RETENTION_RAW=14d   --retention-raw 14d\n"
        "retention:\n"
        "  raw: 14d\n"
        "```\n\n"
        "Flags win over the environment, the environment over the file, the file over the "
        "profile, and the profile over the default. `sonde check-config` shows every value "
        "with its origin and names mistakes with line, column and the nearest key.\n\n"
        "The file is the one named by `--config` or `SONDE_CONFIG`, else "
        "`/etc/sonde/sonde.yaml`, else `~/.config/sonde/sonde.yaml`. Settings marked *Live* "
        "change on SIGHUP (`systemctl reload sonde`); the others need a restart, and the "
        "daemon says so.\n\n"
        "Sizes are written as `64KiB`, `16MiB`, `2GiB`; durations as `250ms`, `15s`, `1m30s`, "
        "`2h`, `7d`; ratios as `0.1` or `10%`; lists as `[a, b]`, or `a,b` in flags and "
        "variables. Secrets are read from files of their own or from the environment and are "
        "never shown.\n");
    for (size_t i = 0; i < setting_sections_count; i++) {
        buf_printf(out, "\n## %s\n\n%s\n\n| key | values | default | |\n|---|---|---|---|\n",
                   setting_sections[i].title, setting_sections[i].about);
        for (size_t j = 0; j < SETTING_COUNT; j++) {
            if (setting_section_of(j) == &setting_sections[i])
                markdown_row(out, &setting_rows[j]);
        }
    }
    buf_text(out, "\n## Profiles\n\nA profile gives some settings other defaults.\n\n"
                  "| profile | setting | value |\n|---|---|---|\n");
#define ROW(profile, setting, value) buf_text(out, "| " profile " | `" setting "` | " value " |\n");
#include "cli/profiles.def"
#undef ROW
    buf_text(
        out,
        "\n## Collectors of your own\n\n"
        "Programs that print Prometheus text, run on a schedule. A command is a list of words, "
        "or one line for `/bin/sh`.\n\n"
        "```yaml\n"
        "collectors:\n"
        "  - name: backup_age\n"
        "    command: [/usr/local/bin/backup-age, --prometheus]\n"
        "    every: 60s     # default 60s\n"
        "    timeout: 10s   # default 10s\n"
        "```\n\n"
        "## Scrape targets\n\n"
        "```yaml\n"
        "scrape:\n"
        "  - url: http://127.0.0.1:9187/metrics\n"
        "    every: 15s     # default 15s\n"
        "    timeout: 10s   # default 10s\n"
        "    labels: {job: postgres}\n"
        "```\n");
}

static const struct command_action actions[] = {
    {"page", "", "The manual page, as roff: sonde manual page | man -l -"},
    {"configuration", "", "Every setting, as Markdown."},
};

static enum exit_code run(struct invocation *invocation)
{
    static void (*const writers[])(struct buf * out) = {write_page, write_configuration};

    return command_print_action(invocation, writers);
}

const struct command command_manual = {
    .name = "manual",
    .summary = "Print the manual page or the configuration reference",
    .usage = "page|configuration",
    .description = "Prints documents that are made from the program's own tables.",
    .examples = "sonde manual page | man -l -\tRead it.\n"
                "sonde manual configuration > configuration.md\tKeep it.\n",
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 1,
    .run = run,
};
