/* SPDX-License-Identifier: Apache-2.0 */
#include "model/label.h"
#include "report/report.h"
#include "test.h"

#include <math.h>

static const int64_t times_ms[] = {1800000000000, 1800000001500};
static const double values[] = {1.5, -2};

static const struct labels *make_labels(struct arena *arena, const char *name, const char *key,
                                        const char *value)
{
    struct label pairs[2];
    size_t count = 0;

    if (name != NULL)
        pairs[count++] = (struct label){LABEL_NAME, str_of(name)};
    if (key != NULL)
        pairs[count++] = (struct label){str_of(key), str_of(value)};
    if (labels_arrange(pairs, count, &count, NULL) != ERR_NONE)
        return NULL;
    return labels_build(arena_alloc(arena, labels_size(pairs, count)), pairs, count);
}

static const char *written(const char *form, const struct report_series *series, size_t count,
                           struct arena *arena)
{
    const struct report_data data = {.start_ms = times_ms[0],
                                     .end_ms = times_ms[1],
                                     .step_ms = 1500,
                                     .series = series,
                                     .count = count};
    struct buf out = {0};

    if (report_find(str_of(form))->write(&data, arena, &out, NULL) != ERR_NONE)
        return NULL;
    const char *text = arena_str(arena, buf_view(&out)).data;
    buf_done(&out);
    return text;
}

TEST(csv_has_a_row_per_point)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const struct report_series series = {
        .name = STR("load1"), .times_ms = times_ms, .values = values, .count = 2};

    EXPECT_TEXT(written("csv", &series, 1, arena),
                "time,time_ms,name,labels,value\r\n"
                "2027-01-15T08:00:00.000Z,1800000000000,load1,,1.5\r\n"
                "2027-01-15T08:00:01.500Z,1800000001500,load1,,-2\r\n");
}

TEST(csv_quotes_and_disarms_texts)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const struct report_series series = {.name = STR("=cmd(), \"x\""),
                                         .labels = make_labels(arena, "m", "path", "a\"b\nc"),
                                         .times_ms = times_ms,
                                         .values = values,
                                         .count = 1};

    EXPECT_TEXT(written("csv", &series, 1, arena),
                "time,time_ms,name,labels,value\r\n"
                "2027-01-15T08:00:00.000Z,1800000000000,\"'=cmd(), \"\"x\"\"\","
                "\"path=\"\"a\\\"\"b\\nc\"\"\",1.5\r\n");
}

TEST(json_has_points_and_null_for_no_number)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const double odd[] = {1.5, NAN};
    const struct report_series series = {.name = STR("m"),
                                         .labels = make_labels(arena, "m", "a", "b"),
                                         .times_ms = times_ms,
                                         .values = odd,
                                         .count = 2};

    EXPECT_TEXT(written("json", &series, 1, arena),
                "{\"start_ms\":1800000000000,\"end_ms\":1800000001500,\"step_ms\":1500,\"series\":["
                "{\"name\":\"m\",\"labels\":{\"a\":\"b\"},\"points\":[[1800000000000,1.5],"
                "[1800000001500,null]]}]}");
}

TEST(prometheus_text_names_what_an_expression_left_without_a_name)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const struct report_series series = {.name = STR("rate(a[5m])"),
                                         .labels = make_labels(arena, NULL, "a", "b"),
                                         .times_ms = times_ms,
                                         .values = values,
                                         .count = 1};

    EXPECT_TEXT(written("prometheus", &series, 1, arena),
                "# TYPE rate_a_5m__ untyped\n"
                "rate_a_5m__{a=\"b\"} 1.5 1800000000000\n");
}

TEST(nothing_is_still_a_document)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);

    EXPECT_TEXT(written("csv", NULL, 0, arena), "time,time_ms,name,labels,value\r\n");
    EXPECT_TEXT(written("prometheus", NULL, 0, arena), "");
    EXPECT(strstr(written("json", NULL, 0, arena), "\"series\":[]") != NULL);
}

TEST(every_form_can_be_found_by_its_name)
{
    for (size_t i = 0; i < reports_count; i++)
        EXPECT(report_find(str_of(reports[i]->name)) == reports[i]);
    EXPECT(report_find(STR("pdf")) == NULL);
}

TEST_MAIN
