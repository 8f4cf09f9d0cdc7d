/* SPDX-License-Identifier: Apache-2.0 */
#include "sonde/sonde.h"
#include "test.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sonde *recorded(void)
{
    struct sonde_options options;

    sonde_options_init(&options);
    options.service_name = "shop";
    struct sonde *sonde = sonde_open(&options);
    for (int i = 1; i <= 100; i++) {
        sonde_record(sonde_operation(sonde, "retrieval"), i * INT64_C(1000000), i > 95);
        sonde_record(sonde_operation(sonde, "rerank"), INT64_C(2000000), false);
    }
    return sonde;
}

struct told {
    char sentences[8][128];
    size_t count;
};

static void tell(void *self, const char *operation, const char *sentence)
{
    struct told *told = self;

    (void)operation; /* The sentence names it. */
    (void)snprintf(told->sentences[told->count++], sizeof(told->sentences[0]), "%s", sentence);
}

TEST(broken_promises_are_told_one_by_one)
{
    struct sonde *sonde = recorded();
    struct told told = {0};

    EXPECT(sonde_sla_check(sonde, NULL, NULL) == 0);
    EXPECT(sonde_sla_set(sonde, "retrieval", "max_p95_latency_ms", 50));
    EXPECT(sonde_sla_set(sonde, "rerank", "max_p95_latency_ms", 50));
    EXPECT(sonde_sla_set(sonde, NULL, "min_success_rate", 0.99));
    EXPECT(!sonde_sla_set(sonde, NULL, "max_p96_latency_ms", 1));
    EXPECT(!sonde_sla_set(sonde, NULL, "min_success_rate", -1));
    EXPECT(!sonde_sla_set(sonde, NULL, "min_success_rate", 99)); /* Percent. */
    ASSERT(sonde_sla_check(sonde, tell, &told) == 2);
    EXPECT_TEXT(told.sentences[0], "Overall success rate (97.5%) below target (99.0%)");
    EXPECT(strncmp(told.sentences[1], "Operation 'retrieval' P95 (9", 28) == 0);
    EXPECT(sonde_sla_set(sonde, NULL, "min_success_rate", NAN));
    EXPECT(sonde_sla_check(sonde, NULL, NULL) == 1);
    sonde_close(sonde);
}

TEST(every_form_tells_the_same)
{
    static const enum sonde_form forms[] = {SONDE_CONSOLE, SONDE_JSON, SONDE_MARKDOWN, SONDE_HTML,
                                            SONDE_CSV};
    struct sonde *sonde = recorded();

    EXPECT(sonde_sla_set(sonde, "retrieval", "max_p95_latency_ms", 50));
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t size = 0;
        char *text = sonde_report_text(sonde, forms[i], false, &size);
        ASSERT(text != NULL);
        EXPECT(size == strlen(text) && strstr(text, "retrieval") != NULL);
        EXPECT(forms[i] == SONDE_CSV || strstr(text, "exceeds target") != NULL);
        free(text);
    }
    sonde_close(sonde);
}

TEST(programs_are_told_every_statistic_of_every_operation)
{
    static const char *const keys[] = {
        "count",  "successes", "failures", "success_rate", "throughput_rps", "throughput_now_rps",
        "p50_ms", "p90_ms",    "p95_ms",   "p99_ms",       "p999_ms",        "throughput_peak_rps",
        "min_ms", "max_ms",    "mean_ms"};
    struct sonde *sonde = recorded();
    char *json = sonde_report_text(sonde, SONDE_JSON, false, NULL);
    char *csv = sonde_report_text(sonde, SONDE_CSV, false, NULL);

    ASSERT(json != NULL && csv != NULL);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *first = strstr(json, keys[i]);
        EXPECT(first != NULL && strstr(first + 1, keys[i]) != NULL); /* Overall and by operation. */
        EXPECT(strstr(csv, keys[i]) != NULL);
    }
    free(json);
    free(csv);
    sonde_close(sonde);
}

TEST(a_promise_of_what_nobody_called_is_told)
{
    struct sonde *sonde = recorded();

    EXPECT(sonde_sla_set(sonde, "rerank", "max_p95_latency_ms", 50));
    EXPECT(sonde_sla_set(sonde, "rerankng", "max_p95_latency_ms", 50));
    EXPECT(sonde_sla_check(sonde, NULL, NULL) == 0);
    char *text = sonde_report_text(sonde, SONDE_CONSOLE, false, NULL);
    ASSERT(text != NULL);
    EXPECT(strstr(text, "· No promise is broken, but not all could be judged.\n") != NULL);
    EXPECT(strstr(text, "· Operation 'rerankng' was not measured: no calls\n") != NULL);
    EXPECT(strstr(text, "✓ rerank ") != NULL);
    free(text);
    EXPECT(sonde_sla_set(sonde, "rerankng", "max_p95_latency_ms", NAN));
    text = sonde_report_text(sonde, SONDE_CONSOLE, false, NULL);
    ASSERT(text != NULL);
    EXPECT(strstr(text, "✓ Every promise is kept.\n") != NULL);
    free(text);
    sonde_close(sonde);
}

TEST(a_report_of_nothing_says_so)
{
    struct sonde *sonde = sonde_open(NULL);
    char *text = sonde_report_text(sonde, SONDE_CONSOLE, false, NULL);

    ASSERT(text != NULL);
    EXPECT(strstr(text, "Nothing has been recorded yet.") != NULL);
    free(text);
    EXPECT(sonde_report_text(NULL, SONDE_JSON, false, NULL) == NULL);
    sonde_close(sonde);
}

TEST(a_report_is_saved_as_a_whole)
{
    struct sonde *sonde = recorded();
    char path[] = "/tmp/sonde-test-report-XXXXXX";
    char line[64] = "";

    int fd = mkstemp(path);
    ASSERT(fd >= 0);
    (void)close(fd); /* Only its name is wanted. */
    EXPECT(sonde_report_save(sonde, SONDE_MARKDOWN, path));
    FILE *file = fopen(path, "r");
    ASSERT(file != NULL);
    EXPECT(fgets(line, sizeof(line), file) != NULL);
    EXPECT_TEXT(line, "# Performance of shop\n");
    (void)fclose(file); /* Only read. */
    (void)unlink(path); /* Ours. */
    EXPECT(!sonde_report_save(sonde, SONDE_JSON, "/nonexistent/x"));
    sonde_close(sonde);
}

TEST(counters_slowest_calls_and_the_distribution_are_told)
{
    struct sonde *sonde = recorded();
    struct sonde_timer timer;

    sonde_set_level(sonde, SONDE_DETAILED);
    sonde_timer_begin(&timer, sonde_operation(sonde, "answer"));
    sonde_timer_note(&timer, "user", "7");
    usleep(1000);
    EXPECT(sonde_timer_end(&timer) > 0);
    sonde_count_add(sonde_counter(sonde, "answers"), 41);
    sonde_gauge_set(sonde_gauge(sonde, "queue"), 2.5);
    char *text = sonde_report_text(sonde, SONDE_JSON, false, NULL);
    ASSERT(text != NULL);
    EXPECT(strstr(text, "{\"name\":\"answers\",\"kind\":\"counter\",\"value\":41}") != NULL);
    EXPECT(strstr(text, "{\"name\":\"queue\",\"kind\":\"gauge\",\"value\":2.5}") != NULL);
    EXPECT(strstr(text, "\"metadata\":\"user=7\"") != NULL);
    EXPECT(strstr(text, "{\"name\":\"100 – 200 ms\",\"value\":1}") != NULL);
    free(text);
    sonde_close(sonde);
}

TEST(no_memory_for_a_report_is_no_report)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("sanitizers need their own address space");
#endif
    struct sonde *sonde = recorded();
    int status = -1;

    EXPECT(sonde_sla_set(sonde, "retrieval", "max_p95_latency_ms", 50));
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        size_t size = 0;
        sonde_record(sonde_operation(sonde, "retrieval"), INT64_C(90000000), false);
        if (setrlimit(RLIMIT_AS, &none) != 0)
            _exit(2);
        while (malloc(4096) != NULL || malloc(16) != NULL)
            ;
        errno = 0;
        bool refused = sonde_report_text(sonde, SONDE_HTML, false, &size) == NULL &&
                       errno == ENOMEM && !sonde_report_save(sonde, SONDE_JSON, "/nonexistent/x");
        sonde_report_print(sonde, NULL);
        struct told told = {0};
        bool judged = sonde_sla_check(sonde, tell, &told) == 1 && told.sentences[0][0] != '\0';
        _exit(refused && judged ? 0 : 1);
    }
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    sonde_close(sonde);
}

TEST_MAIN
