/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "io/loop.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

struct seen {
    int times;
    struct process_result result;
    struct buf output;
    struct buf errors;
    char text[PROCESS_TEXT_SIZE];
};

static void finished(void *self, const struct process_result *result)
{
    struct seen *seen = self;

    seen->times++;
    seen->result = *result;
    buf_str(&seen->output, result->output);
    buf_str(&seen->errors, result->errors);
    process_result_text(result, seen->text);
}

static void seen_done(struct seen *seen)
{
    buf_done(&seen->output);
    buf_done(&seen->errors);
}

/* Runs `sh -c script` to its end. */
static struct seen run(const char *script, const struct process_options *how)
{
    const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
    struct process_options options = how == NULL ? (struct process_options){0} : *how;
    struct loop *loop = NULL;
    struct process *process = NULL;
    struct seen seen = {0};
    struct why why = WHY_INIT;

    options.arguments = arguments;
    EXPECT(loop_open(NULL, &loop, &why) == ERR_NONE);
    EXPECT(process_start(loop, &options, finished, &seen, &process, &why) == ERR_NONE);
    int64_t end_ns = clock_monotonic_ns() + 20 * CLOCK_NS_PER_S;
    while (seen.times == 0 && clock_monotonic_ns() < end_ns)
        EXPECT(loop_once(loop, 100 * CLOCK_NS_PER_MS, &why) == ERR_NONE);
    EXPECT(seen.times == 1);
    loop_close(loop);
    return seen;
}

TEST(output_errors_and_exit_code_are_told)
{
    struct seen seen = run("echo out; echo err >&2; exit 3", NULL);

    EXPECT(str_eq(buf_view(&seen.output), STR("out\n")));
    EXPECT(str_eq(buf_view(&seen.errors), STR("err\n")));
    EXPECT(seen.result.exit_code == 3 && seen.result.signal == 0);
    EXPECT(!seen.result.timed_out && !seen.result.output_cut);
    EXPECT_TEXT(seen.text, "exited with 3");
    seen_done(&seen);
}

TEST(output_over_its_limit_is_cut_and_the_program_goes_on)
{
    struct seen seen = run("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890; "
                           "i=$((i+1)); done; exit 0",
                           &(struct process_options){.output_bytes_max = 1000});

    EXPECT(seen.output.size == 1000);
    EXPECT(seen.result.output_cut);
    EXPECT(seen.result.exit_code == 0);
    seen_done(&seen);
}

TEST(a_megabyte_arrives_whole)
{
    struct seen seen = run("head -c 1000000 /dev/zero", NULL);

    EXPECT(seen.output.size == 1000000);
    EXPECT(!seen.result.output_cut);
    seen_done(&seen);
}

TEST(who_takes_too_long_is_asked_to_end_and_then_ended)
{
    struct process_options options = {.timeout_ns = 50 * CLOCK_NS_PER_MS,
                                      .grace_ns = 100 * CLOCK_NS_PER_MS};
    struct seen seen = run("echo begun; exec sleep 30", &options);

    EXPECT(seen.result.timed_out && seen.result.signal == SIGTERM);
    EXPECT(str_eq(buf_view(&seen.output), STR("begun\n")));
    EXPECT(strncmp(seen.text, "was stopped after ", 18) == 0);
    seen_done(&seen);
    seen = run("trap '' TERM; while :; do sleep 30; done", &options);
    EXPECT(seen.result.timed_out && seen.result.signal == SIGKILL);
    seen_done(&seen);
}

TEST(what_a_program_leaves_behind_in_its_group_is_killed)
{
    struct seen seen = run("sleep 300 & echo $!", NULL);
    uint64_t pid = 0;

    EXPECT(str_to_u64(str_trim(buf_view(&seen.output)), &pid));
    EXPECT(seen.result.duration_ns < 5 * CLOCK_NS_PER_S); /* The open pipe did not hold us. */
    int64_t end_ns = clock_monotonic_ns() + 5 * CLOCK_NS_PER_S;
    char path[64], state[512] = {0};
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", (unsigned)pid);
    do { /* Gone, or a zombie that init has not reaped yet. */
        FILE *file = fopen(path, "r");
        state[0] = '\0';
        if (file != NULL) {
            if (fgets(state, sizeof(state), file) == NULL)
                state[0] = '\0';
            (void)fclose(file);
        }
    } while (state[0] != '\0' && strstr(state, ") Z ") == NULL && clock_monotonic_ns() < end_ns);
    EXPECT(state[0] == '\0' || strstr(state, ") Z ") != NULL);
    seen_done(&seen);
}

TEST(the_child_has_no_descriptor_of_ours_and_no_blocked_signal)
{
    sigset_t blocked;
    int leak = open("/dev/null", O_RDONLY); /* Without O_CLOEXEC, as a library may do. */

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    EXPECT(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
    struct seen seen = run("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status", NULL);
    EXPECT(sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0);
    /* 0, 1, 2 and that of ls itself. */
    EXPECT(str_starts(buf_view(&seen.output), STR("4\nSigBlk:\t0000000000000000\n")));
    close(leak);
    seen_done(&seen);
}

TEST(the_environment_may_be_chosen)
{
    static const char *const environment[] = {"SONDE_TEST=yes", NULL};
    struct seen seen =
        run("echo $SONDE_TEST$HOME", &(struct process_options){.environment = environment});

    EXPECT(str_eq(buf_view(&seen.output), STR("yes\n")));
    seen_done(&seen);
}

TEST(a_program_that_is_not_there_is_an_error_at_once)
{
    const char *const arguments[] = {"/no/such/program", NULL};
    const char *const directory[] = {"/tmp", NULL};
    struct loop *loop = NULL;
    struct process *process;
    struct why why = WHY_INIT;

    ASSERT(loop_open(NULL, &loop, &why) == ERR_NONE);
    EXPECT(process_start(loop, &(struct process_options){.arguments = arguments}, finished, NULL,
                         &process, &why) == ERR_NOT_FOUND);
    EXPECT(strstr(why.text, "/no/such/program") != NULL);
    EXPECT(process_start(loop, &(struct process_options){.arguments = directory}, finished, NULL,
                         &process, &why) == ERR_DENIED);
    loop_close(loop);
}

TEST(a_killed_process_is_not_heard_of_again)
{
    const char *const arguments[] = {"sleep", "300", NULL};
    struct loop *loop = NULL;
    struct process *process;
    struct seen seen = {0};
    struct why why = WHY_INIT;

    ASSERT(loop_open(NULL, &loop, &why) == ERR_NONE);
    ASSERT(process_start(loop, &(struct process_options){.arguments = arguments}, finished, &seen,
                         &process, &why) == ERR_NONE);
    EXPECT(process_kill(process) == NULL);
    EXPECT(loop_once(loop, 10 * CLOCK_NS_PER_MS, &why) == ERR_NONE);
    EXPECT(seen.times == 0);
    loop_close(loop);
}

TEST_MAIN
