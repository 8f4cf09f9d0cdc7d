/* SPDX-License-Identifier: Apache-2.0 */
/* sonde db - what an operator does to the data folder: look, check, back up, restore, compact. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/quantity.h"
#include "store/maintain.h"
#include "store/store.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FINDINGS_MAX = 1000 };

enum { OPTION_DATA, OPTION_CONFIG, OPTION_QUIET, OPTIONS_COUNT };

static const struct option_row rows[OPTIONS_COUNT] = {
    [OPTION_DATA] = {.name = "data",
                     .type = OPTION_PATH,
                     .flags = OPTION_FLAG_ONLY,
                     .help = "The data folder. Default: the one that sonde serve would use."},
    [OPTION_CONFIG] = {.name = "config",
                       .type = OPTION_PATH,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "The configuration file that names the data folder."},
    [OPTION_QUIET] = {.name = "quiet",
                      .type = OPTION_BOOL,
                      .preset = "false",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "No progress on standard error."},
};

/* The one thing that a signal handler can reach. */
static _Atomic bool interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

struct db_job {
    const struct invocation *invocation;
    const char *folder;   /* Of the data. */
    const char *argument; /* The action's own, or NULL. */
    bool progress;
    size_t progress_cells; /* Of the line that stands on standard error. */
    struct maintain maintain;
    struct maintain_result result;
    struct buf findings; /* Lines. */
    uint64_t findings_count;
    bool decoded; /* Only then the samples in blocks are counted. */
};

/* ---- Progress. ---- */

static void show_progress(struct db_job *job, struct str line)
{
    size_t cells = terminal_width(line);
    struct buf out CLEANUP(buf_done) = {0};

    buf_byte(&out, '\r');
    terminal_text(&out, line);
    for (size_t i = cells; i < job->progress_cells; i++)
        buf_byte(&out, ' ');
    if (line.size == 0)
        buf_byte(&out, '\r');
    job->progress_cells = cells;
    if (write(STDERR_FILENO, out.data, out.size) < 0)
        job->progress = false; /* Nobody looks. */
}

static void on_progress(void *self, const char *file, size_t done, size_t total)
{
    struct db_job *job = self;
    char line[160];

    if (!job->progress)
        return;
    const char *slash = strrchr(file, '/');
    (void)snprintf(line, sizeof(line), "%zu of %zu  %s", done + 1, total,
                   slash == NULL ? file : slash + 1);
    show_progress(job, str_of(line));
}

static void on_finding(void *self, const char *sentence)
{
    struct db_job *job = self;

    if (job->findings_count++ >= FINDINGS_MAX)
        return; /* The count tells the rest. */
    buf_text(&job->findings, sentence);
    buf_byte(&job->findings, '\n');
}

/* ---- Telling. ---- */

static const struct count {
    const char *name;  /* For JSON. */
    const char *title; /* For people. */
    size_t offset;
    enum unit unit;
} counts[] = {
#define COUNT(name, title, member, unit)                            \
    {                                                               \
        name, title, offsetof(struct maintain_result, member), unit \
    }
    COUNT("tenants", "Tenants", tenants, UNIT_NONE),
    COUNT("files", "Files", files, UNIT_NONE),
    COUNT("bytes", "Size", bytes, UNIT_BYTES),
    COUNT("series", "Series", series, UNIT_NONE),
    COUNT("blocks", "Blocks", blocks, UNIT_NONE),
    COUNT("samples", "Samples", samples, UNIT_NONE),
    COUNT("pending_samples", "Not sealed yet", pending, UNIT_NONE),
    COUNT("rollup_steps", "Roll-up steps", steps, UNIT_NONE),
#undef COUNT
};

static uint64_t count_of(const struct maintain_result *result, const struct count *count)
{
    uint64_t value;

    memcpy(&value, (const char *)result + count->offset, sizeof(value));
    return value;
}

static bool is_known(const struct db_job *job, const struct count *count)
{
    return job->decoded || count->offset != offsetof(struct maintain_result, samples);
}

static void add_findings(struct json *json, const struct db_job *job)
{
    json_put_u64(json, "findings_count", job->findings_count);
    json_key(json, "findings");
    json_open(json, '[');
    for (struct str rest = buf_view(&job->findings); rest.size > 0;)
        json_add_str(json, str_split(&rest, '\n'));
    json_close(json, ']');
}

static void write_json(const struct db_job *job, const char *action, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_text(&json, "action", action);
    json_put_text(&json, "folder", job->folder);
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        json_key(&json, counts[i].name);
        if (is_known(job, &counts[i]))
            json_add_u64(&json, count_of(&job->result, &counts[i]));
        else
            json_add_null(&json);
    }
    json_key(&json, "oldest_ms");
    if (job->result.oldest_ms == INT64_MAX)
        json_add_null(&json);
    else
        json_add_i64(&json, job->result.oldest_ms);
    json_key(&json, "newest_ms");
    if (job->result.oldest_ms == INT64_MAX)
        json_add_null(&json);
    else
        json_add_i64(&json, job->result.newest_ms);
    add_findings(&json, job);
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static void write_counts(const struct db_job *job, const struct terminal *terminal, struct buf *out)
{
    char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        uint64_t value = count_of(&job->result, &counts[i]);
        if (!is_known(job, &counts[i]))
            continue;
        terminal_fit(terminal, out, str_of(counts[i].title), 16, false);
        if (counts[i].unit == UNIT_BYTES)
            quantity_write(out, (double)value, UNIT_BYTES, 3);
        else
            buf_printf(out, "%" PRIu64, value);
        buf_byte(out, '\n');
    }
    uint64_t samples = job->result.samples + job->result.pending;
    if (job->decoded && samples > 0) {
        terminal_fit(terminal, out, STR("Bytes/sample"), 16, false);
        buf_printf(out, "%.2f\n", (double)job->result.bytes / (double)samples);
    }
    if (job->result.oldest_ms == INT64_MAX)
        return;
    size_t from_size = clock_text(from, job->result.oldest_ms);
    size_t to_size = clock_text(to, job->result.newest_ms);
    terminal_fit(terminal, out, STR("From, to"), 16, false);
    buf_printf(out, "%.*s, %.*s\n", (int)from_size, from, (int)to_size, to);
}

static void write_findings(const struct db_job *job, const struct terminal *terminal,
                           struct buf *out)
{
    for (struct str rest = buf_view(&job->findings); rest.size > 0;) {
        terminal_styled(terminal, out, STYLE_BAD, "damaged: ");
        terminal_text(out, str_split(&rest, '\n'));
        buf_byte(out, '\n');
    }
    if (job->findings_count > FINDINGS_MAX)
        buf_printf(out, "... and %" PRIu64 " more\n", job->findings_count - FINDINGS_MAX);
}

/* ---- Actions. ---- */

static enum err do_stats(struct db_job *job, struct why *why)
{
    return store_look(job->folder, &job->maintain, &job->result, why);
}

static enum err do_check(struct db_job *job, struct why *why)
{
    job->decoded = true;
    return store_check(job->folder, &job->maintain, &job->result, why);
}

static enum err do_backup(struct db_job *job, struct why *why)
{
    TRY(store_backup(job->folder, job->argument, &job->maintain, &job->result, why));
    return store_look(job->argument, &job->maintain, &job->result, why);
}

static enum err do_restore(struct db_job *job, struct why *why)
{
    enum err err = store_restore(job->argument, job->folder, &job->maintain, &job->result, why);

    if (err == ERR_BUSY)
        hint(why, "stop the daemon first, as in: systemctl stop sonde");
    else if (err == ERR_EXISTS)
        hint(why, "nothing is ever overwritten: move the folder away, or restore into another with "
                  "--data");
    TRY(err);
    return store_look(job->folder, &job->maintain, &job->result, why);
}

static enum err do_compact(struct db_job *job, struct why *why)
{
    struct store_options options = store_options_default;
    struct store *store = NULL;

    options.path = job->folder;
    if (access(job->folder, F_OK) != 0)
        return fail(why, ERR_NOT_FOUND, "there is no data folder %s", job->folder);
    enum err err = store_open(&options, &store, why);
    if (err == ERR_BUSY)
        hint(why, "a daemon has the folder open and compacts by itself; stop it to do all at once");
    TRY(err);
    err = store_compact(store, why);
    store_close(store);
    TRY(err);
    return store_look(job->folder, &job->maintain, &job->result, why);
}

static const struct command_action actions[] = {
    {"stats", "", "What is kept: files, size, series, samples, from when to when."},
    {"check", "",
     "Verifies every page, checksum and column; ends with 1 when something is damaged."},
    {"backup", "FOLDER", "Copies everything into a new folder, also while the daemon runs."},
    {"restore", "FOLDER", "Copies a backup into an empty data folder; the daemon must be stopped."},
    {"compact", "", "Merges small blocks and gives space back; the daemon must be stopped."},
};

static const struct {
    enum err (*run)(struct db_job *job, struct why *why);
    const char *done; /* The good end, for people. */
    bool takes_folder;
} workers[] = {
    {do_stats, NULL, false},
    {do_check, "All good: every page, checksum and column was read.", false},
    {do_backup, "The backup is complete.", true},
    {do_restore, "Restored. Start the daemon with this data folder.", true},
    {do_compact, "Compacted.", false},
};

static enum exit_code tell(struct db_job *job, size_t action)
{
    const struct terminal *terminal = &job->invocation->terminal;
    struct buf out CLEANUP(buf_done) = {0};

    if (job->invocation->json) {
        write_json(job, actions[action].name, &out);
    } else {
        write_counts(job, terminal, &out);
        write_findings(job, terminal, &out);
        if (job->findings_count > 0)
            buf_text(&out, "Set the damaged files aside and restore them from a backup.\n");
        else if (workers[action].done != NULL)
            terminal_styled(terminal, &out, STYLE_GOOD, "%s\n", workers[action].done);
    }
    return command_print(job->invocation, &out, job->findings_count > 0 ? EXIT_FINDING : EXIT_GOOD);
}

static enum exit_code run(struct invocation *invocation)
{
    struct config *config CLEANUP(config_freep) =
        config_new(options_cstr(invocation->options, OPTION_CONFIG), invocation->options,
                   (const char *const *)environ);
    ptrdiff_t action = command_action_of(invocation);
    struct db_job job = {
        .invocation = invocation,
        .folder = config_data_path(config),
        .argument = invocation->arguments_count > 1 ? invocation->arguments[1] : NULL,
        .progress = isatty(STDERR_FILENO) && !options_bool(invocation->options, OPTION_QUIET),
        .maintain = {.progress = on_progress, .finding = on_finding, .cancel = &interrupted},
    };
    struct why why = WHY_INIT;

    if (action < 0)
        return EXIT_USAGE;
    if (workers[action].takes_folder != (job.argument != NULL))
        return command_usage(invocation, "sonde db %s %s", actions[action].name,
                             job.argument == NULL ? "needs a folder"
                                                  : "takes no folder; --data "
                                                    "names the data");
    if (config_check(config, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    job.maintain.self = &job;
    (void)signal(SIGINT, on_interrupt); /* Without it an interrupt ends us at once. */
    enum err err = workers[action].run(&job, &why);
    if (job.progress && job.progress_cells > 0)
        show_progress(&job, STR(""));
    enum exit_code code =
        err == ERR_NONE ? tell(&job, (size_t)action) : command_fail(invocation, &why);
    buf_done(&job.findings);
    return code;
}

const struct command command_db = {
    .name = "db",
    .summary = "Look at, check, back up, restore and compact the data",
    .usage = "stats|check|backup|restore|compact [FOLDER] [--data DIR]",
    .description = "Works on the data folder. stats, check and backup also work while the daemon "
                   "runs; restore "
                   "and compact say so when it has to be stopped. Nothing is ever overwritten.",
    .examples = "sonde db stats\tWhat is kept, and how small it is.\n"
                "sonde db check\tAfter a power cut, or before a backup.\n"
                "sonde db backup /backup/sonde-monday\tWhile the daemon runs.\n"
                "sonde db restore /backup/sonde-monday --data /srv/sonde\tInto an empty folder.\n",
    .options = rows,
    .options_count = OPTIONS_COUNT,
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 2,
    .run = run,
};
