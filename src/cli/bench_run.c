/* SPDX-License-Identifier: Apache-2.0 */
/* sonde bench run. With two commands, each round runs both, and which goes first changes from round
 * to round: what the machine does in the meantime hits both alike. */
#include "analysis/bench_load.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/bench.h"
#include "cli/bench_measure.h"
#include "cli/grid.h"
#include "codec/json_tree.h"
#include "stats/array.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WORDS_MAX = 4096, /* Of a command: what the command line takes. */
    SIDES_MAX = 2,
    METRIC_LINE_MAX = 512,
    LOAD_ARENA_FACTOR = 64, /* A tree takes that many times its text at worst. */
};

struct side {
    struct buf text;                  /* The words of a command given as text, NUL-separated. */
    const char *words[WORDS_MAX + 1]; /* NULL-terminated. */
    struct str name;
    double cpu_s; /* Of all runs. */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- Commands. ---- */

/* Cuts at spaces; quotes and backslashes hold them. False when only a shell would understand it. */
static bool split_words(struct str text, struct side *side)
{
    size_t starts[WORDS_MAX];
    size_t count = 0;
    char quote = '\0';
    bool inside = false;

    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (quote == '\0' && strchr("|&;<>()$`*?[#~\n", byte) != NULL)
            return false;
        if (quote == '"' && (byte == '$' || byte == '`'))
            return false;
        if (quote == '\0' && (byte == ' ' || byte == '\t')) {
            if (inside)
                buf_byte(&side->text, '\0');
            inside = false;
            continue;
        }
        if (!inside) {
            if (count == WORDS_MAX)
                return false;
            starts[count++] = side->text.size;
            inside = true;
        }
        if (byte == quote) {
            quote = '\0';
        } else if (quote == '\0' && (byte == '"' || byte == '\'')) {
            quote = byte;
        } else {
            if (byte == '\\' && quote != '\'' && i + 1 < text.size)
                byte = text.data[++i];
            buf_byte(&side->text, (uint8_t)byte);
        }
    }
    buf_byte(&side->text, '\0');
    for (size_t i = 0; i < count; i++)
        side->words[i] = side->text.data + starts[i];
    side->words[count] = NULL;
    return count > 0 && quote == '\0';
}

static void use_shell(struct str text, struct side *side)
{
    buf_clear(&side->text);
    buf_str(&side->text, text);
    side->words[0] = "/bin/sh";
    side->words[1] = "-c";
    side->words[2] = buf_cstr(&side->text);
    side->words[3] = NULL;
}

/* One side of a comparison through a shell and one without would compare shells. */
static bool prepare_sides(struct invocation *invocation, struct side sides[SIDES_MAX],
                          struct buf *joined)
{
    struct str vs = options_text(invocation->options, BENCH_VS);
    bool shell = options_bool(invocation->options, BENCH_SHELL);
    bool one_word = invocation->arguments_count == 2;
    struct str first;

    for (size_t i = 1; i < invocation->arguments_count; i++)
        buf_printf(joined, "%s%s", i == 1 ? "" : " ", invocation->arguments[i]);
    first = buf_view(joined);
    sides[0].name = first;
    sides[1].name = vs;
    for (size_t i = 1; i < invocation->arguments_count; i++)
        sides[0].words[i - 1] = invocation->arguments[i];
    sides[0].words[invocation->arguments_count - 1] = NULL;
    if (one_word) /* "a command with spaces" in one word. */
        shell = !split_words(first, &sides[0]) || shell;
    if (vs.size > 0)
        shell = !split_words(vs, &sides[1]) || shell;
    if (shell && !one_word && !options_bool(invocation->options, BENCH_SHELL))
        return false;
    if (shell) {
        use_shell(first, &sides[0]);
        use_shell(vs, &sides[1]);
    }
    return true;
}

/* ---- What a run says. ---- */

static bool is_name(struct str text)
{
    bool letter = false;

    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool alpha = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        letter = letter || alpha;
        if (!alpha && !(byte >= '0' && byte <= '9') && strchr(".-/:", byte) == NULL)
            return false;
    }
    return letter && text.size <= 200;
}

/* A metric appears late or not in every run: its missing values are NAN. */
static void add_value(struct bench_result *result, struct str name, struct str unit, size_t run,
                      double value)
{
    struct bench_metric *metric = bench_result_metric(result, name, unit);

    if (metric == NULL || metric->count > run)
        return; /* Too many, or said twice: the first counts. */
    while (metric->count < run)
        if (!bench_metric_add(metric, NAN))
            return;
    (void)bench_metric_add(metric, value); /* Runs are fewer than values may be. */
}

/* Lines "name=value unit"; anything else is just output. */
static void read_user_metrics(struct str output, struct bench_result *result, size_t run)
{
    while (output.data != NULL) {
        struct str line = str_trim(str_split(&output, '\n'));
        ptrdiff_t equals = line.size > METRIC_LINE_MAX ? -1 : str_find(line, '=');
        double value;
        if (equals <= 0)
            continue;
        struct str name = str_trim((struct str){line.data, (size_t)equals});
        struct str rest =
            str_trim((struct str){line.data + equals + 1, line.size - (size_t)equals - 1});
        ptrdiff_t space = str_find(rest, ' ');
        struct str number = space < 0 ? rest : (struct str){rest.data, (size_t)space};
        struct str unit =
            space < 0 ? STR("")
                      : str_trim((struct str){rest.data + space, rest.size - (size_t)space});
        if (is_name(name) && unit.size <= 32 && str_to_double(number, &value) && isfinite(value))
            add_value(result, name, unit, run, value);
    }
}

/* A load's own time and memory say nothing about what it was put on: its figures stand alone. False
 * when the output is no load's. */
static bool read_load(struct str output, struct bench_result *result, size_t run)
{
    struct arena *arena CLEANUP(arena_freep) = NULL;
    const struct node *root;

    output = str_trim(output);
    if (output.size == 0 || output.data[0] != '{')
        return false;
    arena = arena_new(output.size * LOAD_ARENA_FACTOR);
    return json_read(output, "output", output.size, arena, &root, NULL) == ERR_NONE &&
           bench_load_is(root) && bench_load_add_run(root, result, run, NULL) == ERR_NONE;
}

static void keep_usage(const struct bench_usage *usage, struct bench_result *result, size_t run)
{
    const struct {
        const char *name;
        const char *unit;
        double value;
    } metrics[] = {
        {"wall", "s", usage->wall_s},
        {"user", "s", usage->user_s},
        {"sys", "s", usage->sys_s},
        {"rss", "B", usage->rss_bytes},
        {"page_faults_minor", "", usage->faults_minor},
        {"page_faults_major", "", usage->faults_major},
        {"context_switches_voluntary", "", usage->switches_voluntary},
        {"context_switches_forced", "", usage->switches_forced},
        {"instructions", "", usage->instructions},
    };

    for (size_t i = 0; i < ARRAY_COUNT(metrics); i++) {
        if (!isnan(metrics[i].value))
            add_value(result, str_of(metrics[i].name), str_of(metrics[i].unit), run,
                      metrics[i].value);
    }
}

/* ---- Running. ---- */

static enum err run_once(const struct invocation *invocation, struct side *side,
                         struct bench_result *result, size_t run, bool measured, struct why *why)
{
    bool pinned = options_is_set(invocation->options, BENCH_PIN);
    struct bench_command command = {
        .arguments = side->words,
        .cpu = pinned ? (int)options_i64(invocation->options, BENCH_PIN) : -1,
        .timeout_ns = options_ms(invocation->options, BENCH_TIMEOUT) * CLOCK_NS_PER_MS,
    };
    struct bench_usage usage = {0};
    struct buf output CLEANUP(buf_done) = {0};
    struct buf errors CLEANUP(buf_done) = {0};

    TRY(bench_measure(&command, &usage, &output, &errors, why));
    side->cpu_s += measured ? usage.user_s + usage.sys_s : 0;
    if (usage.exit_code != 0 && !interrupted) {
        size_t tail = errors.size > 300 ? errors.size - 300 : 0;
        enum err err = usage.signal != 0
                           ? fail(why, ERR_UNSUPPORTED, "'%.*s' was ended by signal %d",
                                  STR_ARG(side->name), usage.signal)
                           : fail(why, ERR_UNSUPPORTED, "'%.*s' exited with %d",
                                  STR_ARG(side->name), usage.exit_code);
        struct str last = str_trim(
            (struct str){errors.data == NULL ? "" : errors.data + tail, errors.size - tail});
        if (last.size > 0)
            hint(why, "it said: %.*s", (int)(last.size > 200 ? 200 : last.size), last.data);
        return err;
    }
    if (measured && !interrupted) {
        if (!read_load(buf_view(&output), result, run)) {
            keep_usage(&usage, result, run);
            read_user_metrics(buf_view(&output), result, run);
        }
    }
    return ERR_NONE;
}

static enum err run_all(const struct invocation *invocation, struct side sides[SIDES_MAX],
                        struct bench_results *results, struct why *why)
{
    size_t runs = (size_t)options_i64(invocation->options, BENCH_RUNS);
    size_t warmup = (size_t)options_i64(invocation->options, BENCH_WARMUP);
    bool progress = isatty(STDERR_FILENO) && !invocation->json;

    for (size_t round = 0; round < warmup + runs && !interrupted; round++) {
        size_t run = round < warmup ? 0 : round - warmup;
        if (progress)
            fprintf(stderr, "\rrun %zu of %zu ", round < warmup ? 0 : run + 1, runs);
        for (size_t k = 0; k < results->count && !interrupted; k++) {
            size_t side = round % 2 == 0 ? k : results->count - 1 - k;
            TRY(run_once(invocation, &sides[side], &results->results[side], run, round >= warmup,
                         why));
        }
    }
    if (progress)
        fprintf(stderr, "\r                        \r");
    return ERR_NONE;
}

/* ---- Telling. ---- */

static void write_single(const struct bench_result *result, const struct terminal *terminal,
                         struct buf *out)
{
    static const struct grid_column columns[] = {{.title = "Metric"},
                                                 {.title = "Median", .right = true},
                                                 {.title = "Lowest", .right = true},
                                                 {.title = "Highest", .right = true},
                                                 {.title = "Runs", .right = true}};
    struct grid *grid = grid_new(columns, ARRAY_COUNT(columns));
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < result->metrics_count; i++) {
        const struct bench_metric *metric = &result->metrics[i];
        double *values CLEANUP(array_freep) = array_copy(metric->values, metric->count);
        size_t count = array_keep_numbers(values, metric->count);
        struct describe answer = describe(values, count);
        struct interval interval = {NAN, NAN};
        if (!describe_median_interval(values, count, 0.95, &interval))
            interval = (struct interval){NAN, NAN};
        grid_cell(grid, str_of(metric->name));
        buf_clear(&text);
        bench_write_median(&answer, &interval, metric->unit, &text);
        grid_cell(grid, buf_view(&text));
        const double ends[] = {answer.min, answer.max};
        for (size_t k = 0; k < ARRAY_COUNT(ends); k++) {
            buf_clear(&text);
            bench_write_value(ends[k], metric->unit, &text);
            grid_cell(grid, buf_view(&text));
        }
        grid_cellf(grid, "%zu", answer.count);
    }
    grid_write(grid, terminal, out);
    grid_free(grid);
}

static void write_machine_json(const struct bench_machine *machine, struct json *json)
{
    json_open(json, '{');
    json_key(json, "spin_noise");
    json_add_double(json, machine->spin_noise);
    json_key(json, "other_share");
    json_add_double(json, machine->other_share);
    json_key(json, "steal_share");
    json_add_double(json, machine->steal_share);
    json_close(json, '}');
}

static void write_json(const struct bench_results *results,
                       const struct bench_comparison *comparison,
                       const struct bench_machine *machine, struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_key(&json, "results");
    json_open(&json, '[');
    for (size_t i = 0; i < results->count; i++)
        bench_result_write(&results->results[i], &json);
    json_close(&json, ']');
    if (results->count > 1) {
        json_key(&json, "comparison");
        bench_comparison_write_json(comparison, &json);
    }
    json_key(&json, "machine");
    write_machine_json(machine, &json);
    json_close(&json, '}');
    buf_byte(out, '\n');
}

static enum exit_code tell(const struct invocation *invocation, const struct bench_results *results,
                           const struct bench_machine *machine)
{
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    struct bench_judging judging = bench_judging_of(invocation);
    struct buf out CLEANUP(buf_done) = {0};

    if (results->count > 1)
        bench_compare(&results->results[0], &results->results[1], &judging, &comparison);
    if (invocation->json) {
        write_json(results, &comparison, machine, &out);
    } else {
        if (results->count > 1)
            bench_comparison_write_table(&comparison, &invocation->terminal, &out);
        else
            write_single(&results->results[0], &invocation->terminal, &out);
        bench_machine_write(machine, &out);
    }
    bool worse = bench_comparison_count(&comparison, VERDICT_DEGRADED) > 0;
    return command_print(invocation, &out, worse ? EXIT_FINDING : EXIT_GOOD);
}

static enum err save(const struct invocation *invocation, const struct bench_results *results,
                     struct why *why)
{
    const char *path = options_cstr(invocation->options, BENCH_SAVE);
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    if (path == NULL)
        return ERR_NONE;
    bench_results_write(results, &json);
    buf_byte(&out, '\n');
    return file_write(path, buf_view(&out), 0644, why);
}

static enum err check_pin(const struct invocation *invocation, struct why *why)
{
    cpu_set_t allowed;
    int64_t cpu = options_is_set(invocation->options, BENCH_PIN)
                      ? options_i64(invocation->options, BENCH_PIN)
                      : -1;

    if (cpu >= 0 && sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
        !CPU_ISSET((size_t)cpu, &allowed))
        return fail(why, ERR_INVALID, "--pin %d: there is no such processor to run on", (int)cpu);
    return ERR_NONE;
}

/* Whoever reads what was saved shall know whose runs stood side by side. */
static void join(struct bench_results *results)
{
    char session[64];
    int size = snprintf(session, sizeof(session), "%" PRId64 "-%d", clock_now_ms(), (int)getpid());

    bench_results_join(results, (struct str){session, (size_t)size}); /* It fits. */
}

static enum err measure_and_save(const struct invocation *invocation, struct side sides[SIDES_MAX],
                                 struct bench_results *results, struct bench_machine *machine,
                                 struct why *why)
{
    TRY(check_pin(invocation, why));
    for (int i = 0; i < SIDES_MAX && sides[i].name.size > 0; i++) {
        struct bench_result *result = bench_results_add(results, sides[i].name);
        struct str commit = options_text(invocation->options, BENCH_COMMIT);
        if (commit.size > 0 && i == 0) {
            free(result->commit);
            result->commit = strndup(commit.data, commit.size);
            if (result->commit == NULL)
                must_memory(commit.size);
        }
    }
    if (results->count > 1)
        join(results);
    bench_machine_begin(machine);
    TRY(run_all(invocation, sides, results, why));
    bench_machine_end(machine, sides[0].cpu_s + sides[1].cpu_s);
    for (size_t i = 0; i < results->count; i++)
        results->results[i].taken_share = fmax(machine->other_share, machine->steal_share);
    if (results->results[results->count - 1].metrics_count == 0)
        return fail(why, ERR_CANCELLED, "interrupted before the first run was complete");
    return save(invocation, results, why);
}

enum exit_code bench_run(struct invocation *invocation)
{
    struct side sides[SIDES_MAX] = {0};
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct bench_machine machine;
    struct buf joined CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    struct sigaction action = {.sa_handler = on_interrupt};

    if (invocation->arguments_count < 2)
        return command_usage(invocation, "sonde bench run needs a command after --");
    if (!prepare_sides(invocation, sides, &joined)) {
        buf_done(&sides[1].text);
        return command_usage(invocation, "the command of --vs needs a shell; give both as one "
                                         "word each, or say --shell");
    }
    (void)sigaction(SIGINT, &action, NULL); /* Without it an interrupt loses the runs so far. */
    enum err err = measure_and_save(invocation, sides, &results, &machine, &why);
    enum exit_code code =
        err == ERR_NONE ? tell(invocation, &results, &machine) : command_fail(invocation, &why);
    for (int i = 0; i < SIDES_MAX; i++)
        buf_done(&sides[i].text);
    return code;
}
