/* SPDX-License-Identifier: Apache-2.0 */
/* sonde serve - the daemon's command line: configuration, one friendly line, and the way out. */
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/daemon.h"
#include "cli/service.h"
#include "sonde_version.h"

#include <unistd.h>

enum { OPTION_CONFIG, OPTIONS_COUNT };

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_CONFIG] = {.name = "config",
                       .type = OPTION_PATH,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "The configuration file. Default: SONDE_CONFIG, "
                               "/etc/sonde/sonde.yaml or ~/.config/sonde/sonde.yaml."},
};

static struct config *read_config(void *self)
{
    const struct invocation *invocation = self;

    return config_new(options_cstr(invocation->options, OPTION_CONFIG), invocation->options,
                      (const char *const *)environ);
}

/* Everything that is wrong, at once, on standard error. True when it can be used all the same. */
static bool tell_problems(const struct config *config)
{
    struct terminal terminal;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    terminal_init(&terminal, STDERR_FILENO, TERMINAL_COLOR_AUTO);
    config_write_problems(config, &terminal, &out);
    if (terminal_write(&terminal, buf_view(&out), &why) != ERR_NONE)
        return false; /* Nobody is left to tell. */
    return config_check(config, &why) == ERR_NONE;
}

/* The folder must exist and take a file before anything else starts, so that the complaint is about
 * the folder and not about a database in it. */
static enum err prepare_folder(const struct config *config, struct why *why)
{
    const char *path = config_data_path(config);
    enum err err = file_make_folder(path, why);

    if (err == ERR_NONE && access(path, W_OK | X_OK) != 0)
        err = fail(why, ERR_DENIED, "the data folder %s cannot be written by this user", path);
    if (err != ERR_NONE)
        hint(why, "give it to this user, or choose another: sonde serve --data FOLDER");
    return err;
}

static enum exit_code serve(struct invocation *invocation, struct daemon *daemon)
{
    struct buf line CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    buf_printf(&line, "sonde " SONDE_VERSION " watches this machine: %s\n", daemon_url(daemon));
    enum exit_code code = command_print(invocation, &line, EXIT_GOOD);
    enum err err = daemon_run(daemon, &why);
    daemon_close(daemon);
    if (err != ERR_NONE)
        return command_fail(invocation, &why);
    log_line(LOG_INFO, "daemon", "ended");
    return code;
}

static enum exit_code run(struct invocation *invocation)
{
    struct config *config = read_config(invocation);
    struct daemon *daemon = NULL;
    struct why why = WHY_INIT;

    if (!tell_problems(config)) {
        config_free(config);
        return EXIT_USAGE;
    }
    log_setup((enum log_level)options_i64(config->options, SETTING_LOG_LEVEL),
              options_i64(config->options, SETTING_LOG_FORMAT) == 1);
    service_prepare();
    enum err err = prepare_folder(config, &why);
    if (err != ERR_NONE) {
        config_free(config);
        return command_fail(invocation, &why);
    }
    struct daemon_options options = {
        .config = config,
        .reload = read_config,
        .reload_self = invocation,
    };
    if (daemon_open(&options, &daemon, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return serve(invocation, daemon);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "Watch this machine and answer over HTTP",
    .usage = "[--listen ADDR:PORT] [--data DIR] [--config FILE] [--profile NAME]",
    .description =
        "Looks at the host and its processes every second, takes in what other programs send, "
        "keeps "
        "it in the data folder and answers over HTTP: the dashboard, Prometheus' query API and "
        "live "
        "streams.\n\n"
        "It listens on this machine only, unless told otherwise, and needs no configuration. "
        "SIGTERM and SIGINT end it after answering and committing what is in flight; SIGHUP reads "
        "the configuration and the certificate again.",
    .examples =
        "sonde serve\tThen open http://127.0.0.1:7070.\n"
        "sonde serve --data /srv/sonde --retention-raw 90d\tKeep more, elsewhere.\n"
        "sonde serve --listen 0.0.0.0:7070 --token-file /etc/sonde/tokens\tFor a team, with "
        "tokens.\n"
        "SONDE_PROFILE=production sonde serve\tSettings come from the environment too.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .all_settings = true,
    .run = run,
};
