/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/config.h"
#include "test.h"

#include <unistd.h>

static const char *const nothing[] = {NULL};

/* The configuration of that text, with that environment. */
static struct config *config_of(const char *text, const char *const *environment)
{
    char path[] = "/tmp/sonde-config-XXXXXX";
    int fd CLEANUP(file_closep) = mkstemp(path);
    struct config *config = NULL;

    if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
        config = config_new(path, NULL, environment);
    (void)unlink(path); /* Read already. */
    return config;
}

/* The sentence without the name of the temporary file. */
static const char *complaint(const struct config *config, size_t index)
{
    const char *text = config->problems[index].why.text;
    const char *place = strchr(text, ':');

    return strncmp(text, "/tmp/", 5) == 0 && place != NULL ? place : text;
}

TEST(keys_of_sections_become_settings_with_their_origin)
{
    struct config *config CLEANUP(config_freep) = config_of(
        "listen: 127.0.0.1:9\nretention:\n  raw: 2d\nhosts: [a.example, b.example]\n", nothing);
    struct buf origin CLEANUP(buf_done) = {0};
    const struct str *hosts;
    struct why why = WHY_INIT;

    ASSERT(config != NULL);
    EXPECT(config_check(config, &why) == ERR_NONE);
    EXPECT(options_ms(config->options, SETTING_RETENTION_RAW) == INT64_C(2) * 86400000);
    ASSERT(options_list(config->options, SETTING_HOSTS, &hosts) == 2);
    EXPECT(str_eq(hosts[1], STR("b.example")));
    config_write_origin(config, SETTING_RETENTION_RAW, &origin);
    EXPECT(str_ends(buf_view(&origin), STR(":3")));
}

TEST(every_mistake_is_told_at_once)
{
    struct config *config CLEANUP(config_freep) =
        config_of("lisen: 1\nretention: {rwa: 1d, raw: soon}\nretension: {raw: 1d}\n"
                  "token: abc\nlog: loud\n",
                  nothing);
    struct why why = WHY_INIT;

    ASSERT(config != NULL);
    EXPECT(config_check(config, &why) == ERR_INVALID);
    ASSERT(config->problems_count == 6);
    EXPECT_TEXT(complaint(config, 0), ":1:8: lisen: unknown key");
    EXPECT_TEXT(config->problems[0].why.hint, "did you mean 'listen'?");
    EXPECT_TEXT(complaint(config, 1), ":2:18: retention.rwa: unknown key");
    EXPECT_TEXT(config->problems[1].why.hint, "did you mean 'retention.raw'?");
    EXPECT(strstr(complaint(config, 2), "'soon' is not a duration") != NULL);
    EXPECT_TEXT(config->problems[3].why.hint, "did you mean 'retention'?");
    EXPECT(strstr(complaint(config, 4), "a secret does not belong") != NULL);
    EXPECT(strstr(complaint(config, 5), "this key holds further keys") != NULL);
}

TEST(the_environment_wins_over_the_file_and_the_profile_over_the_default)
{
    static const char *const environment[] = {"SONDE_LISTEN=:1", "SONDE_PROFILE=production", NULL};
    struct config *config CLEANUP(config_freep) = config_of("listen: ':2'\n", environment);

    ASSERT(config != NULL);
    EXPECT(str_eq(options_text(config->options, SETTING_LISTEN), STR(":1")));
    EXPECT_NEAR(options_double(config->options, SETTING_SAMPLING_RATIO), 0.01, 1e-12);
    EXPECT(options_origin(config->options, SETTING_SAMPLING_RATIO)->source == OPTION_FROM_PROFILE);
}

TEST(a_value_in_the_file_wins_over_the_profile)
{
    struct config *config CLEANUP(config_freep) =
        config_of("profile: production\nsampling: {ratio: 50%}\n", nothing);

    ASSERT(config != NULL);
    EXPECT_NEAR(options_double(config->options, SETTING_SAMPLING_RATIO), 0.5, 1e-12);
}

TEST(collectors_and_targets_are_read_whole)
{
    struct config *config CLEANUP(config_freep) =
        config_of("collectors:\n"
                  "  - {name: a, command: 'echo x 1', every: 5s}\n"
                  "  - {name: b, command: [/bin/echo, y 2], timeout: 1s}\n"
                  "scrape:\n"
                  "  - {url: 'http://127.0.0.1:9/metrics', labels: {job: pg}}\n",
                  nothing);
    struct why why = WHY_INIT;

    ASSERT(config != NULL && config_check(config, &why) == ERR_NONE);
    ASSERT(config->collectors_count == 2 && config->targets_count == 1);
    EXPECT_TEXT(config->collectors[0].command[2], "echo x 1");
    EXPECT(config->collectors[0].period_ms == 5000);
    EXPECT_TEXT(config->collectors[1].command[1], "y 2");
    EXPECT(config->collectors[1].command[2] == NULL);
    EXPECT(config->collectors[1].timeout_ms == 1000);
    EXPECT(str_eq(config->targets[0].labels[0].value, STR("pg")));
}

TEST(a_collector_without_a_command_is_refused)
{
    struct config *config CLEANUP(config_freep) =
        config_of("collectors:\n  - name: a\n  - {name: b, command: x, evry: 1s}\n", nothing);

    ASSERT(config != NULL && config->problems_count == 2);
    EXPECT_TEXT(complaint(config, 0), ":2:5: collectors[0]: the key 'command' is missing");
    EXPECT_TEXT(config->problems[1].why.hint, "did you mean 'every'?");
}

TEST(a_missing_file_is_named)
{
    struct config *config CLEANUP(config_freep) = config_new("/nonexistent/x.yaml", NULL, nothing);
    struct why why = WHY_INIT;

    EXPECT(config_check(config, &why) == ERR_NOT_FOUND);
    EXPECT(strstr(why.text, "/nonexistent/x.yaml") != NULL);
}

TEST_MAIN
