/* SPDX-License-Identifier: Apache-2.0 */
/* sonde bench - did it get slower? Measured, compared, held against history. */
#include "cli/bench.h"
#include "cli/remote.h"

#include <unistd.h>

static const struct option_row rows[BENCH_OPTIONS_COUNT] = {
    [BENCH_VS] = {.name = "vs",
                  .type = OPTION_TEXT,
                  .value_name = "CMD2",
                  .flags = OPTION_FLAG_ONLY,
                  .help = "run: a second command, after the change; runs take turns."},
    [BENCH_RUNS] = {.name = "runs",
                    .type = OPTION_INTEGER,
                    .preset = "10",
                    .range = "1..100000",
                    .flags = OPTION_FLAG_ONLY,
                    .help = "run: how often each command is measured."},
    [BENCH_WARMUP] = {.name = "warmup",
                      .type = OPTION_INTEGER,
                      .preset = "1",
                      .range = "0..1000",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "run: how often each command is run unmeasured first."},
    [BENCH_TIMEOUT] = {.name = "timeout",
                       .type = OPTION_DURATION,
                       .preset = "10m",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "run: the longest that one run may take."},
    [BENCH_PIN] = {.name = "pin",
                   .type = OPTION_INTEGER,
                   .range = "0..1023",
                   .value_name = "CPU",
                   .flags = OPTION_FLAG_ONLY,
                   .help = "run: keeps the command on this processor."},
    [BENCH_SHELL] = {.name = "shell",
                     .type = OPTION_BOOL,
                     .preset = "false",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "run: hands the commands to sh -c, whose start is then part of them."},
    [BENCH_SAVE] = {.name = "save",
                    .type = OPTION_PATH,
                    .value_name = "FILE",
                    .flags = OPTION_FLAG_ONLY,
                    .help = "run: keeps the measurements as JSON for compare and gate."},
    [BENCH_COMMIT] = {.name = "commit",
                      .type = OPTION_TEXT,
                      .flags = OPTION_FLAG_ONLY,
                      .help = "run, gate: the commit that was measured; a CI's own is known."},
    [BENCH_ALPHA] = {.name = "alpha",
                     .type = OPTION_RATIO,
                     .preset = "5%",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "The share of comparisons without a difference that may be called "
                             "changed, over all metrics together."},
    [BENCH_MIN_CHANGE] = {.name = "min-change",
                          .type = OPTION_RATIO,
                          .preset = "2%",
                          .flags = OPTION_FLAG_ONLY,
                          .help = "A smaller change does not matter."},
    [BENCH_THRESHOLD] = {.name = "threshold",
                         .type = OPTION_RATIO,
                         .flags = OPTION_FLAG_ONLY,
                         .help = "From here on a change is a warning, from twice that critical. "
                                 "Without it: CPU 20 %, memory 15 %, time 25 %, throughput 20 %, "
                                 "error rate 5 %, else 10 %."},
    [BENCH_COLUMN] = {.name = "column",
                      .type = OPTION_TEXT,
                      .value_name = "NAME",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "changepoints: the column of the file. Without it: 'value', or the "
                              "only one, or the second; of the gate's history every metric."},
    [BENCH_HISTORY] = {.name = "history",
                       .type = OPTION_PATH,
                       .preset = ".sonde-bench.jsonl",
                       .value_name = "FILE",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "gate, changepoints: the file of earlier results, a line each."},
    [BENCH_SHARED] = {.name = "shared",
                      .type = OPTION_TEXT,
                      .value_name = "NAME",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "gate, changepoints: the history that the daemon at --url keeps by "
                              "that name, instead of a file."},
    [BENCH_BASELINE] = {.name = "baseline",
                        .type = OPTION_INTEGER,
                        .preset = "5",
                        .range = "1..100",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "gate: how many of the newest results are what is compared with."},
    [BENCH_FAIL_ON] = {.name = "fail-on",
                       .type = OPTION_CHOICE,
                       .preset = "warning",
                       .range = "info|warning|critical",
                       .flags = OPTION_FLAG_ONLY,
                       .help = "gate: the least severe degradation that fails it. info: any that "
                               "matters; warning: from the metric's threshold on; critical: from "
                               "twice that on."},
    [BENCH_RECORD] = {.name = "record",
                      .type = OPTION_BOOL,
                      .preset = "true",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "gate: appends a result that passed to the history."},
    [BENCH_FORMAT] = {.name = "format",
                      .type = OPTION_CHOICE,
                      .preset = "auto",
                      .range = "auto|text|github|gitlab",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "gate: how to annotate; auto asks the CI's environment."},
    [BENCH_REPORT] = {.name = "report",
                      .type = OPTION_PATH,
                      .value_name = "FILE",
                      .flags = OPTION_FLAG_ONLY,
                      .help = "gate: writes GitLab's code quality report there; in GitLab's CI "
                              "without it gl-code-quality-report.json."},
    [BENCH_RANGE] = {.name = "range",
                     .type = OPTION_DURATION,
                     .range = "4s..",
                     .flags = OPTION_FLAG_ONLY,
                     .help =
                         "create, compare NAME: of how long, up to now. Without it: an hour; as "
                         "long as the benchmark. What came before its end is not compared."},
    [BENCH_EVERY] = {.name = "every",
                     .type = OPTION_DURATION,
                     .range = "10s..",
                     .flags = OPTION_FLAG_ONLY,
                     .help = "create: the daemon compares by itself so often and keeps the "
                             "verdicts."},
    [BENCH_SERVICES] = {.name = "services",
                        .type = OPTION_BOOL,
                        .preset = "false",
                        .flags = OPTION_FLAG_ONLY,
                        .help = "create: durations and errors of every operation as well; without "
                                "expressions they are meant anyway."},
    [BENCH_REPLACE] = {.name = "replace",
                       .type = OPTION_BOOL,
                       .preset = "false",
                       .flags = OPTION_FLAG_ONLY,
                       .help =
                           "create: in the place of a benchmark that has the name; its verdicts "
                           "go with it."},
    [BENCH_URL] = {.name = "url",
                   .type = OPTION_TEXT,
                   .value_name = "URL",
                   .help = "The daemon to ask (also SONDE_URL). Default: " REMOTE_URL_DEFAULT "."},
    [BENCH_TOKEN] = {.name = "token",
                     .type = OPTION_TEXT,
                     .flags = OPTION_SECRET,
                     .help = "The token for a daemon that wants one."},
    [BENCH_CA_FILE] = {.name = "ca_file",
                       .type = OPTION_PATH,
                       .flags = OPTION_FLAG_ONLY,
                       .help = "PEM file of the authority that signed the daemon's certificate. "
                               "Default: the system's."},
};

static const struct command_action actions[] = {
    {"run", "[--vs CMD2] [--runs N] -- CMD [ARGUMENT ...]",
     "Measures a command, or two that take turns."},
    {"compare", "BEFORE [AFTER] | NAME",
     "Compares two saved results, the two in one file, or what is now with a benchmark."},
    {"changepoints", "[FILE.csv]", "Finds where a history changed; without a file, the gate's."},
    {"gate", "RESULT", "Holds a result against the history; fails when something got worse."},
    {"create", "NAME [METRIC=EXPRESSION ...]",
     "Keeps a stretch of a daemon's history by name, to hold later ones against."},
    {"list", "", "Lists the benchmarks that a daemon keeps."},
    {"remove", "NAME", "Forgets a benchmark."},
};

struct bench_judging bench_judging_of(const struct invocation *invocation)
{
    const struct options *options = invocation->options;

    return (struct bench_judging){
        .alpha = options_double(options, BENCH_ALPHA),
        .min_change = options_double(options, BENCH_MIN_CHANGE),
        .threshold =
            options_is_set(options, BENCH_THRESHOLD) ? options_double(options, BENCH_THRESHOLD) : 0,
    };
}

/* ---- compare ---- */

static enum exit_code tell_comparison(const struct invocation *invocation,
                                      const struct bench_result *before,
                                      const struct bench_result *after)
{
    struct bench_judging judging = bench_judging_of(invocation);
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    bench_compare(before, after, &judging, &comparison);
    if (comparison.count == 0) {
        struct why why = WHY_INIT;
        (void)fail(&why, ERR_INVALID, "the two results have no metric in common");
        return command_fail(invocation, &why);
    }
    if (invocation->json) {
        bench_comparison_write_json(&comparison, &json);
        buf_byte(&out, '\n');
    } else {
        bench_comparison_write_table(&comparison, &invocation->terminal, &out);
    }
    return command_print(invocation, &out,
                         bench_comparison_count(&comparison, VERDICT_DEGRADED) > 0 ? EXIT_FINDING
                                                                                   : EXIT_GOOD);
}

static enum exit_code compare(struct invocation *invocation)
{
    struct bench_results before CLEANUP(bench_results_done) = {0};
    struct bench_results after CLEANUP(bench_results_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count < 2 || invocation->arguments_count > 3)
        return command_usage(invocation, "sonde bench compare takes two files, or one of two "
                                         "results, or the name of a benchmark");
    if (invocation->arguments_count == 2 && access(invocation->arguments[1], F_OK) != 0 &&
        strpbrk(invocation->arguments[1], "/.") == NULL)
        return bench_compare_named(invocation);
    if (bench_results_read(invocation->arguments[1], &before, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    if (invocation->arguments_count == 3) {
        if (bench_results_read(invocation->arguments[2], &after, &why) != ERR_NONE)
            return command_fail(invocation, &why);
        return tell_comparison(invocation, &before.results[0], &after.results[0]);
    }
    if (before.count < 2)
        return command_usage(invocation, "%s holds one result; name a second file",
                             invocation->arguments[1]);
    return tell_comparison(invocation, &before.results[0], &before.results[1]);
}

/* ---- All. ---- */

static enum exit_code run(struct invocation *invocation)
{
    static enum exit_code (*const runs[])(struct invocation *) = {
        bench_run, compare, bench_changepoints, bench_gate, bench_create, bench_list, bench_remove};
    ptrdiff_t action = command_action_of(invocation);

    return action < 0 ? EXIT_USAGE : runs[action](invocation);
}

const struct command command_bench = {
    .name = "bench",
    .summary = "Measure commands, compare results, find changes, fail a build that got slower",
    .usage = "run|compare|changepoints|gate|create|list|remove ...",
    .description =
        "run measures a command: wall, user and system time, memory, page faults, context "
        "switches, instructions where the machine counts them, and whatever the command prints as "
        "lines 'name=value unit'. With --vs two commands take turns, so that a slow hour hits "
        "both, and each run is compared with its neighbour.\n\n"
        "A verdict is improved, degraded, stable or cannot tell. A change must be unlikely by "
        "chance over all metrics together, set most runs apart, and be large enough to matter. "
        "Stable means that the runs rule a large change out.\n\n"
        "gate compares with the newest results in a history file or a daemon, annotates for GitHub "
        "and "
        "GitLab, and fails when something got worse. A metric that jumps about by itself is told "
        "but fails nothing.\n\n"
        "create keeps a stretch of a daemon's history by name: durations and errors of every "
        "operation, or the numbers of PromQL expressions. compare NAME holds the newest stretch "
        "against it, as far as it came after the benchmark; while that is too short to compare, it "
        "says how long to wait and exits with 4.",
    .examples =
        "sonde bench run --runs 20 -- ./server --selftest\tTwenty runs after one to warm up.\n"
        "sonde bench run --vs './new' -- ./old\tOld against new, in turns.\n"
        "sonde bench run --save result.json -- ./bench\tKeeps the measurements.\n"
        "sonde bench compare before.json after.csv\tTwo saved results.\n"
        "sonde bench changepoints --json history.csv\tThe rows where a history changed.\n"
        "sonde bench changepoints --history bench/history.jsonl\tThe commits that changed what the "
        "gate has seen.\n"
        "sonde bench gate result.json --history bench/history.jsonl\tIn continuous integration.\n"
        "sonde bench gate result.json --shared checkout --url http://ci:7070\tThe same, the "
        "history "
        "kept by a daemon.\n"
        "sonde bench create calm load=node_load1 --range 30m\tThe last half hour by name.\n"
        "sonde bench compare calm\tIs it still so?\n",
    .options = rows,
    .options_count = BENCH_OPTIONS_COUNT,
    .actions = actions,
    .actions_count = ARRAY_COUNT(actions),
    .arguments_max = 4096,
    .run = run,
};
