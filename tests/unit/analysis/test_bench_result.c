/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/bench_compare.h"
#include "analysis/bench_unit.h"
#include "test.h"

static struct bench_results parse(const char *text)
{
    struct bench_results results = {0};
    struct why why = WHY_INIT;

    if (bench_results_parse(str_of(text), "file", &results, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    return results;
}

static const char *refusal(const char *text)
{
    static struct why why;
    struct bench_results results = {0};

    why = WHY_INIT;
    if (bench_results_parse(str_of(text), "file", &results, &why) == ERR_NONE) {
        bench_results_done(&results);
        return "(read)";
    }
    return why.text;
}

TEST(json_of_ours_is_read_and_written)
{
    struct bench_results results CLEANUP(bench_results_done) =
        parse("{\"results\":[{\"name\":\"x\",\"commit\":\"c1\",\"metrics\":{\"wall\":{\"unit\":"
              "\"s\",\"better\":\"lower\",\"values\":[1,2,null]}}}]}");
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    ASSERT(results.count == 1 && results.results[0].metrics_count == 1);
    const struct bench_metric *metric = &results.results[0].metrics[0];
    EXPECT_TEXT(results.results[0].commit, "c1");
    EXPECT_TEXT(metric->unit, "s");
    ASSERT(metric->count == 3);
    EXPECT(metric->values[1] == 2 && isnan(metric->values[2]));
    bench_results_write(&results, &json);
    EXPECT_TEXT(buf_cstr(&out),
                "{\"results\":[{\"name\":\"x\",\"commit\":\"c1\",\"metrics\":{\"wall\":{\"unit\":"
                "\"s\",\"better\":\"lower\",\"values\":[1,2,null]}}}]}");
}

TEST(other_shapes_are_read_too)
{
    struct bench_results hyperfine CLEANUP(bench_results_done) =
        parse("{\"results\":[{\"command\":\"ls\",\"mean\":1,\"times\":[0.1,0.2]}]}");
    struct bench_results plain CLEANUP(bench_results_done) = parse("{\"lat\":[1,2],\"rps\":[5]}");
    struct bench_results wide CLEANUP(bench_results_done) =
        parse("commit,value;note\r\nabc,1.5;x\r\ndef,,y\r\n");
    struct bench_results tall CLEANUP(bench_results_done) =
        parse("metric,unit,value\nwall,s,1\nwall,s,2\n\"a,\"\"b\"\"\",,3\n");
    struct bench_results bare CLEANUP(bench_results_done) = parse("# seconds\n1\n2\n\n3\n");

    ASSERT(hyperfine.count == 1 && hyperfine.results[0].metrics[0].count == 2);
    EXPECT_TEXT(hyperfine.results[0].name, "ls");
    ASSERT(plain.count == 1 && plain.results[0].metrics_count == 2);
    EXPECT(plain.results[0].metrics[1].higher_is_better);
    ASSERT(wide.count == 1 && wide.results[0].metrics_count == 1);
    EXPECT(wide.results[0].metrics[0].count == 2 && isnan(wide.results[0].metrics[0].values[1]));
    ASSERT(wide.results[0].labels_count == 2);
    EXPECT_TEXT(wide.results[0].labels[1], "def");
    ASSERT(tall.count == 1 && tall.results[0].metrics_count == 2);
    EXPECT_TEXT(tall.results[0].metrics[1].name, "a,\"b\"");
    ASSERT(bare.count == 1 && bare.results[0].metrics[0].count == 3);
}

TEST(mistakes_are_told_with_their_place)
{
    EXPECT_TEXT(refusal(""), "file: empty");
    EXPECT_TEXT(refusal("a,b\nx,y\n"), "file: no column of numbers");
    EXPECT_TEXT(refusal("a,a\n1,2\n"), "file:1: the column 'a' occurs twice");
    EXPECT_TEXT(refusal("a\n1\n1,2\n"), "file:3: more fields than the header has");
    EXPECT_TEXT(refusal("metric,value\nx,soon\n"), "file:2: 'soon' is not a number");
    EXPECT(strstr(refusal("{\"a\":[1,\"x\"]}"), "file") != NULL);
    EXPECT(strstr(refusal("{\"results\":[{}]}"), "metrics") != NULL);
    EXPECT(strstr(refusal("{\"a\":{\"values\":[1],\"better\":\"maybe\"}}"), "higher") != NULL);
}

TEST(names_and_units_tell_direction_and_threshold)
{
    struct bench_metric metric = {.name = (char[]){"rss"}, .unit = (char[]){"B"}};

    EXPECT(bench_threshold(&metric) == 0.15);
    metric.name = (char[]){"user"};
    EXPECT(bench_threshold(&metric) == 0.20);
    metric.name = (char[]){"checkout"};
    metric.unit = (char[]){"ms"};
    EXPECT(bench_threshold(&metric) == 0.25);
    metric.name = (char[]){"error_rate"};
    EXPECT(bench_threshold(&metric) == 0.05);
    metric.name = (char[]){"success_rate"};
    EXPECT(bench_threshold(&metric) == 0.05);
    metric.name = (char[]){"throughput"};
    metric.unit = (char[]){"/s"};
    EXPECT(bench_threshold(&metric) == 0.20);
    metric.name = (char[]){"hit_rate"};
    metric.unit = (char[]){""};
    EXPECT(bench_threshold(&metric) == 0.10);
    EXPECT(bench_higher_is_better(STR("hit_rate"), STR("")));
    EXPECT(bench_higher_is_better(STR("parse"), STR("MB/s")));
    EXPECT(bench_higher_is_better(STR("Throughput"), STR("")));
    EXPECT(!bench_higher_is_better(STR("latency"), STR("ms")));
    EXPECT(!bench_higher_is_better(STR("errors"), STR("/s")));
    EXPECT(!bench_higher_is_better(STR("page_faults"), STR("per second")));
}

static const char *change_of(const char *before, const char *after)
{
    static char text[200];
    struct bench_results a CLEANUP(bench_results_done) = parse(before);
    struct bench_results b CLEANUP(bench_results_done) = parse(after);
    struct bench_judging judging = {0.05, 0.02, 0};
    struct bench_comparison comparison CLEANUP(bench_comparison_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};

    bench_compare(&a.results[0], &b.results[0], &judging, &comparison);
    if (comparison.count != 1)
        return "(not compared)";
    bench_row_write_change(&comparison.rows[0], &out);
    (void)snprintf(text, sizeof(text), "%s", buf_cstr(&out)); /* Fits. */
    return text;
}

/* In benchstat's words. */
TEST(units_of_a_kind_are_converted)
{
    const struct bench_judging judging = {0.05, 0.02, 0};
    struct bench_results before CLEANUP(bench_results_done) = {0};
    struct bench_results after CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison;
    struct buf out CLEANUP(buf_done) = {0};
    double factor;

    ASSERT(bench_unit_factor("ms", "s", &factor) && factor == 1e-3);
    EXPECT(bench_unit_factor("MiB", "B", &factor) && factor == 1 << 20);
    EXPECT(bench_unit_factor("", "s", &factor) && factor == 1);
    EXPECT(bench_unit_factor("widgets", "widgets", &factor) && factor == 1);
    EXPECT(!bench_unit_factor("ms", "B", &factor) && !bench_unit_factor("widgets", "s", &factor));
    ASSERT(bench_results_parse(STR("{\"metrics\": {\"load\": {\"unit\": \"ms\", \"values\": "
                                   "[100, 101, 99, 100, 102]}, \"size\": {\"unit\": \"B\", "
                                   "\"values\": [1, 1, 1, 1, 1]}, \"gone\": [1]}}"),
                               "before", &before, NULL) == ERR_NONE);
    ASSERT(bench_results_parse(STR("{\"metrics\": {\"load\": {\"unit\": \"s\", \"values\": "
                                   "[0.1, 0.101, 0.099, 0.1, 0.102]}, \"size\": {\"unit\": "
                                   "\"ms\", \"values\": [1, 1, 1, 1, 1]}}}"),
                               "after", &after, NULL) == ERR_NONE);
    bench_compare(before.results, after.results, &judging, &comparison);
    ASSERT(comparison.count == 1 && comparison.missing == 1 && comparison.strange == 1);
    EXPECT_NEAR(comparison.rows[0].before.median, 0.1, 1e-12);
    EXPECT(comparison.rows[0].verdict.kind == VERDICT_STABLE);
    bench_comparison_write_notes(&comparison, &out);
    EXPECT(strstr(buf_cstr(&out), "1 metric has another unit") != NULL);
    bench_comparison_done(&comparison);
}

TEST(results_of_one_session_are_compared_by_pairs)
{
    const struct bench_judging judging = {.alpha = VERDICT_ALPHA, .min_change = VERDICT_MIN_CHANGE};
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct bench_results read CLEANUP(bench_results_done) = {0};
    struct bench_comparison comparison;
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);

    for (int side = 0; side < 2; side++) {
        struct bench_result *result = bench_results_add(&results, STR("x"));
        struct bench_metric *metric = bench_result_metric(result, STR("wall"), STR("s"));
        for (int run = 0; run < 12; run++)
            ASSERT(bench_metric_add(metric, (1 + run % 5) * (side == 0 ? 1 : 1.1)));
    }
    results.results[0].metrics[0].values[3] = NAN;
    bench_results_join(&results, STR("now"));
    bench_results_write(&results, &json);
    ASSERT(bench_results_parse(buf_view(&out), "x", &read, NULL) == ERR_NONE);
    EXPECT_TEXT(read.results[1].session, "now");
    bench_compare(&read.results[0], &read.results[1], &judging, &comparison);
    buf_clear(&out);
    bench_row_write_change(&comparison.rows[0], &out);
    EXPECT_TEXT(buf_cstr(&out), "+10.00% (p=0.001 n=11 pairs)");
    bench_comparison_done(&comparison);
    bench_results_join(&read, STR(""));
    bench_compare(&read.results[0], &read.results[1], &judging, &comparison);
    EXPECT(comparison.rows[0].verdict.pairs == 0);
    bench_comparison_done(&comparison);
}

TEST(changes_are_told_the_way_people_know)
{
    EXPECT_TEXT(change_of("{\"a\":[100,101,99,100,102,98]}", "{\"a\":[80,81,79,80,82,78]}"),
                "-20.00% (p=0.002 n=6)");
    EXPECT_TEXT(change_of("{\"a\":[100,101,99]}", "{\"a\":[80,81,79]}"),
                "~ (need >= 4 samples, n=3)");
    EXPECT_TEXT(change_of("{\"a\":[1,2,3,4,5]}", "{\"a\":[1.5,2.5,3.5,2,4,3]}"),
                "~ (p=0.814 n=5+6)");
}

TEST_MAIN
