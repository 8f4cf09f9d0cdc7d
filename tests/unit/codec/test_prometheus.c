/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/prometheus.h"

#include "test.h"

static const struct prometheus_options plain = {.now_ms = 1000, .describe = true};

struct reading {
    struct label_memo *memo;
    struct batch *batch;
    struct why why;
    enum err err;
};

static struct reading read_with(const char *text, const struct prometheus_options *options)
{
    struct reading reading = {
        .memo = label_memo_new(1 << 20),
        .batch = batch_new("default", "test", 1 << 20),
        .why = WHY_INIT,
    };

    reading.err =
        prometheus_read(str_of(text), "test", options, reading.memo, reading.batch, &reading.why);
    return reading;
}

static void done(struct reading *reading)
{
    batch_free(reading->batch);
    label_memo_free(reading->memo);
}

static const char *series_text(const struct labels *labels)
{
    static char text[1024];
    struct buf buf = {0};

    labels_write(&buf, labels);
    (void)snprintf(text, sizeof(text), "%s", buf_cstr(&buf));
    buf_done(&buf);
    return text;
}

TEST(a_page_of_the_older_format_is_read_whole)
{
    struct reading reading =
        read_with("# HELP http_requests_total The \\\\ and the \\n line.\n"
                  "# TYPE http_requests_total counter\n"
                  "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
                  "http_requests_total{ method = \"get\" , code=\"400\", }  3\n"
                  "\n"
                  "# just a comment\n"
                  "metric_without_labels 12.47\r\n"
                  "inf{le=\"+Inf\"} +Inf\n"
                  "nothing NaN\n"
                  "small -1.7560473e+07 -3982045",
                  &plain);

    ASSERT(reading.err == ERR_NONE);
    ASSERT(reading.batch->samples.count == 6);
    const struct sample *sample = reading.batch->samples.items;
    EXPECT_TEXT(series_text(sample[0].labels), "http_requests_total{code=\"200\",method=\"post\"}");
    EXPECT(sample[0].value == 1027 && sample[0].time_ms == 1395066363000);
    EXPECT_TEXT(series_text(sample[1].labels), "http_requests_total{code=\"400\",method=\"get\"}");
    EXPECT(sample[1].value == 3 && sample[1].time_ms == 1000);
    EXPECT(sample[2].value == 12.47);
    EXPECT(isinf(sample[3].value) && sample[3].value > 0);
    EXPECT(isnan(sample[4].value));
    EXPECT(sample[5].value == -1.7560473e+07 && sample[5].time_ms == -3982045);
    ASSERT(reading.batch->infos.count == 1);
    const struct metric_info *info = reading.batch->infos.items;
    EXPECT(str_eq(info->name, STR("http_requests_total")) && info->kind == METRIC_COUNTER);
    EXPECT(str_eq(info->help, STR("The \\ and the \n line.")));
    done(&reading);
}

TEST(openmetrics_has_seconds_units_exemplars_and_totals)
{
    struct prometheus_options options = {
        .format = PROMETHEUS_OPENMETRICS, .now_ms = 1000, .describe = true};
    struct reading reading =
        read_with("# TYPE wait_seconds counter\n"
                  "# UNIT wait_seconds seconds\n"
                  "# HELP wait_seconds Time.\n"
                  "wait_seconds_total{a=\"x # y}\"} 1.5 1395066363.25 # {trace_id=\"}\"} 0.5 1.0\n"
                  "wait_seconds_total{a=\"x # y}\"} 2\n"
                  "plain 3 # {} 1\n"
                  "# EOF\n",
                  &options);

    ASSERT(reading.err == ERR_NONE);
    ASSERT(reading.batch->samples.count == 3);
    const struct sample *sample = reading.batch->samples.items;
    EXPECT_TEXT(series_text(sample[0].labels), "wait_seconds_total{a=\"x # y}\"}");
    EXPECT(sample[0].value == 1.5 && sample[0].time_ms == 1395066363250);
    EXPECT(sample[1].labels == sample[0].labels);
    EXPECT(sample[2].value == 3);
    ASSERT(reading.batch->infos.count == 1);
    EXPECT(str_eq(reading.batch->infos.items[0].name, STR("wait_seconds_total")));
    EXPECT(str_eq(reading.batch->infos.items[0].unit, STR("seconds")));
    done(&reading);
}

TEST(escapes_and_brackets_inside_label_values_are_kept)
{
    struct reading reading =
        read_with("a{x=\"C:\\\\DIR\\\\F\",y=\"say \\\"}\\\" \\n\",z=\"}{,=\"} 1\n"
                  "a{x=\"C:\\\\DIR\\\\F\",y=\"say \\\"}\\\" \\n\",z=\"}{,=\"} 2\n",
                  &plain);

    ASSERT(reading.err == ERR_NONE);
    ASSERT(reading.batch->samples.count == 2);
    const struct labels *labels = reading.batch->samples.items[0].labels;
    EXPECT(str_eq(labels_get(labels, STR("x")), STR("C:\\DIR\\F")));
    EXPECT(str_eq(labels_get(labels, STR("y")), STR("say \"}\" \n")));
    EXPECT(str_eq(labels_get(labels, STR("z")), STR("}{,=")));
    EXPECT(labels == reading.batch->samples.items[1].labels);
    done(&reading);
}

TEST(errors_name_line_and_column)
{
    static const struct {
        const char *text;
        const char *where;
        const char *expected;
    } cases[] = {
        {"ok 1\nbad{a=\"x\" 1\n", "line 2, column 11", "',' or '}'"},
        {"bad{a=x} 1", "line 1, column 7", "'\"'"},
        {"bad{a=\"x} 1", "line 1, column 12", "at the end of the label's value"},
        {"bad{a=\"\\q\"} 1", "line 1, column 9", "behind '\\'"},
        {"bad{1=\"x\"} 1", "line 1, column 5", "a label's name"},
        {"1bad 1", "line 1, column 1", "a metric's name"},
        {"bad one", "line 1, column 5", "a number"},
        {"bad", "line 1, column 4", "a number"},
        {"bad 1 2 3", "line 1, column 9", "the end of the line"},
        {"bad 1 soon", "line 1, column 7", "a time in milliseconds"},
        {"bad{a=\"\xff\"} 1", "line 1, column 8", "UTF-8"},
        {"bad{a=\"x\"} 1 }", "line 1, column 14", "a time in milliseconds"},
        {"# TYPE 1x counter\n", "line 1, column 8", "a metric's name"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reading reading = read_with(cases[i].text, &plain);
        EXPECT(reading.err == ERR_INVALID);
        bool named = strstr(reading.why.text, cases[i].where) != NULL &&
                     strstr(reading.why.text, cases[i].expected) != NULL;
        EXPECT(named);
        if (!named)
            printf("# %s -> %s\n", cases[i].text, reading.why.text);
        done(&reading);
    }
}

TEST(a_repeated_page_is_resolved_without_parsing_and_gives_the_same_series)
{
    static const char page[] = "a{x=\"1\"} 1\nb 2\nc{y=\"}\"} 3\n";
    struct label_memo *memo = label_memo_new(1 << 20);
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct why why = WHY_INIT;

    for (int i = 0; i < 3; i++)
        ASSERT(prometheus_read(str_of(page), "test", &plain, memo, batch, &why) == ERR_NONE);
    ASSERT(batch->samples.count == 9);
    for (size_t i = 0; i < 6; i++)
        EXPECT(batch->samples.items[i].labels == batch->samples.items[i + 3].labels);
    batch_free(batch);
    label_memo_free(memo);
}

TEST(base_labels_win_and_what_they_hide_is_kept_as_exported)
{
    struct label base[] = {{STR("instance"), STR("host:1")}, {STR("job"), STR("node")}};
    struct prometheus_options options = {.base = base, .base_count = 2};
    struct reading reading = read_with("up{job=\"mine\",z=\"1\"} 1\n", &options);

    ASSERT(reading.err == ERR_NONE);
    EXPECT_TEXT(series_text(reading.batch->samples.items[0].labels),
                "up{exported_job=\"mine\",instance=\"host:1\",job=\"node\",z=\"1\"}");
    done(&reading);
}

TEST(too_many_labels_are_refused_with_the_line)
{
    struct buf text = {0};

    buf_text(&text, "ok 1\nmany{");
    for (int i = 0; i < 70; i++)
        buf_printf(&text, "l%d=\"v\",", i);
    buf_text(&text, "} 1\n");
    struct reading reading = read_with(buf_cstr(&text), &plain);
    EXPECT(reading.err == ERR_LIMIT);
    EXPECT(strstr(reading.why.text, "line 2") != NULL);
    done(&reading);
    buf_done(&text);
}

TEST(numbers_are_read_exactly)
{
    static const char *const numbers[] = {
        "0",
        "1",
        "-1",
        "0.1",
        "123456789012345",
        "1234567890123456",
        "1e300",
        "4.9e-324",
        "0.1e1",
        "1.0",
        ".5",
        "5.",
        "-0",
        "0x10",
        "1e+21",
        "3.14159",
        "99999.9999999999",
        "0.30000000000000004",
    };
    char line[128];

    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        (void)snprintf(line, sizeof(line), "x %s\n", numbers[i]);
        struct reading reading = read_with(line, &plain);
        EXPECT(reading.err == ERR_NONE);
        double wanted = strtod(numbers[i], NULL);
        EXPECT(reading.batch->samples.count == 1 &&
               memcmp(&reading.batch->samples.items[0].value, &wanted, sizeof(wanted)) == 0);
        done(&reading);
    }
}

static void write_page(struct buf *out, enum prometheus_format format, const char *text)
{
    struct reading reading = read_with(text, &plain);

    EXPECT(reading.err == ERR_NONE);
    prometheus_write(out, format, reading.batch->infos.items, reading.batch->infos.count,
                     reading.batch->samples.items, reading.batch->samples.count, false);
    done(&reading);
}

static const char unsorted[] = "# TYPE b_total counter\n"
                               "# HELP b_total Bees \\\\ and\\nmore.\n"
                               "b_total{x=\"2\"} 2\n"
                               "h_sum 1\n"
                               "h_other 7\n"
                               "h_bucket{le=\"+Inf\"} 3\n"
                               "h_count 3\n"
                               "# TYPE h histogram\n"
                               "b_total{x=\"1\"} 1\n";

TEST(what_is_written_is_sorted_and_grouped_by_metric)
{
    struct buf out = {0};

    write_page(&out, PROMETHEUS_TEXT, unsorted);
    EXPECT_TEXT(buf_cstr(&out), "# HELP b_total Bees \\\\ and\\nmore.\n"
                                "# TYPE b_total counter\n"
                                "b_total{x=\"1\"} 1\n"
                                "b_total{x=\"2\"} 2\n"
                                "# TYPE h histogram\n"
                                "h_bucket{le=\"+Inf\"} 3\n"
                                "h_count 3\n"
                                "h_sum 1\n"
                                "# TYPE h_other untyped\n"
                                "h_other 7\n");
    buf_done(&out);
}

TEST(openmetrics_output_names_the_family_and_ends_with_eof)
{
    struct buf out = {0};

    write_page(&out, PROMETHEUS_OPENMETRICS, unsorted);
    const char *text = buf_cstr(&out);
    EXPECT(strstr(text, "# TYPE b counter\nb_total{x=\"1\"} 1\n") != NULL);
    EXPECT(strstr(text, "# TYPE h_other unknown\n") != NULL);
    EXPECT(strcmp(text + strlen(text) - 6, "# EOF\n") == 0);
    buf_done(&out);
}

TEST(what_is_written_reads_back_the_same)
{
    struct buf once = {0};
    struct buf twice = {0};

    write_page(&once, PROMETHEUS_TEXT, unsorted);
    write_page(&twice, PROMETHEUS_TEXT, buf_cstr(&once));
    EXPECT_TEXT(buf_cstr(&twice), buf_cstr(&once));
    buf_done(&once);
    buf_done(&twice);
}

TEST_MAIN
