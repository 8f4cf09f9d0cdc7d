/* SPDX-License-Identifier: Apache-2.0 */
/* sonde check-config - is the configuration right, and what does it come to? */
#include "base/json.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/grid.h"

#include <unistd.h>

enum { OPTION_CONFIG, OPTION_CHANGED, OPTIONS_COUNT };

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_CONFIG] = {.name = "config",
                       .type = OPTION_PATH,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "The configuration file; the same as naming it as the argument."},
    [OPTION_CHANGED] = {.name = "changed",
                        .type = OPTION_BOOL,
                        .preset = "false",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "Shows only what is not at its default."},
};

static void write_json(const struct config *config, struct buf *out)
{
    struct json json = json_begin(out);
    struct buf text CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    json_open(&json, '{');
    json_put_bool(&json, "ok", config_check(config, &why) == ERR_NONE);
    json_put_text(&json, "file", config->path);
    json_key(&json, "problems");
    json_open(&json, '[');
    for (size_t i = 0; i < config->problems_count; i++) {
        json_open(&json, '{');
        json_put_text(&json, "severity", config->problems[i].warning ? "warning" : "error");
        json_put_text(&json, "message", config->problems[i].why.text);
        json_put_text(&json, "hint", config->problems[i].why.hint);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_key(&json, "settings");
    json_open(&json, '[');
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        json_open(&json, '{');
        json_put_text(&json, "name", setting_rows[i].name);
        json_key(&json, "value");
        buf_clear(&text);
        options_write(config->options, i, &text);
        json_add_text(&json, options_is_set(config->options, i) ? buf_cstr(&text) : NULL);
        json_put_text(&json, "source",
                      option_source_name(options_origin(config->options, i)->source));
        json_key(&json, "origin");
        buf_clear(&text);
        config_write_origin(config, i, &text);
        json_add_text(&json, buf_cstr(&text));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_put_u64(&json, "collectors", config->collectors_count);
    json_put_u64(&json, "scrape", config->targets_count);
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_text(const struct config *config, const struct terminal *terminal, bool changed,
                       struct buf *out)
{
    static const struct grid_column columns[] = {
        {.title = "Setting"}, {.title = "Value", .shrink = true}, {.title = "From"}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    struct buf text CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (changed && options_origin(config->options, i)->source == OPTION_FROM_DEFAULT)
            continue;
        grid_cell(grid, str_of(setting_rows[i].name));
        buf_clear(&text);
        options_write(config->options, i, &text);
        grid_cell(grid, buf_view(&text));
        buf_clear(&text);
        config_write_origin(config, i, &text);
        grid_cell(grid, buf_view(&text));
    }
    grid_write(grid, terminal, out);
    grid_free(grid);
    buf_printf(out, "\n%zu collectors, %zu scrape targets.\n", config->collectors_count,
               config->targets_count);
    config_write_problems(config, terminal, out);
    if (config_check(config, &why) != ERR_NONE)
        return;
    terminal_styled(terminal, out, STYLE_GOOD, "The configuration is right");
    if (config->path == NULL)
        buf_text(out, " (no file was read).\n");
    else
        buf_printf(out, " (%s).\n", config->path);
}

static enum exit_code run(struct invocation *invocation)
{
    const char *path = invocation->arguments_count > 0
                           ? invocation->arguments[0]
                           : options_cstr(invocation->options, OPTION_CONFIG);
    struct config *config CLEANUP(config_freep) =
        config_new(path, invocation->options, (const char *const *)environ);
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->json)
        write_json(config, &out);
    else
        write_text(config, &invocation->terminal, options_bool(invocation->options, OPTION_CHANGED),
                   &out);
    return command_print(invocation, &out,
                         config_check(config, &why) == ERR_NONE ? EXIT_GOOD : EXIT_FINDING);
}

const struct command command_check_config = {
    .name = "check-config",
    .summary = "Check the configuration and show what it comes to",
    .usage = "[FILE] [--settings ...]",
    .description =
        "Reads the configuration as 'sonde serve' would, with the same flags and environment, "
        "reports every mistake with its file, line and column and the nearest valid key, and shows "
        "each setting with where its value comes from. Secrets are never shown.",
    .examples = "sonde check-config /etc/sonde/sonde.yaml\tBefore a restart or a reload.\n"
                "sonde check-config --changed\tOnly what differs from the defaults.\n"
                "sonde check-config --profile production --json\tFor programs.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .all_settings = true,
    .arguments_max = 1,
    .run = run,
};
