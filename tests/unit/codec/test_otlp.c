/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "codec/otlp.h"
#include "codec/otlp_answer.h"
#include "codec/otlp_json.h"
#include "codec/otlp_metrics.h"
#include "codec/otlp_metrics_write.h"
#include "codec/otlp_names.h"
#include "sketch/quantile.h"
#include "test.h"

/* A batch of what the JSON says. */
static struct batch *read_json(enum otlp_message message, const char *text, enum err *ret_err,
                               struct why *why)
{
    struct batch *batch = batch_new("default", "test", 16 << 20);

    batch->time_ms = 1700000000000;
    *ret_err = otlp_json_read(str_of(text), message, &batch->payload, why);
    if (*ret_err == ERR_NONE)
        *ret_err = message == OTLP_M_TRACES
                       ? otlp_read_traces(buf_view(&batch->payload), batch, why)
                       : otlp_read_logs(buf_view(&batch->payload), batch, why);
    return batch;
}

static struct batch *traces(const char *text)
{
    struct why why = WHY_INIT;
    enum err err;
    struct batch *batch = read_json(OTLP_M_TRACES, text, &err, &why);

    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    EXPECT(err == ERR_NONE);
    return batch;
}

static const char everything[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"shop\"}}],\"droppedAttributesCount\":1},\"schemaUrl\":\"s1\","
    "\"scopeSpans\":"
    "[{\"scope\":{\"name\":\"lib\",\"version\":\"1\"},\"schemaUrl\":\"s2\",\"spans\":[{\"traceId\":"
    "\"0123456789abcdef0123456789ABCDEF\",\"spanId\":\"0123456789abcdef\",\"parentSpanId\":"
    "\"fedcba9876543210\",\"traceState\":\"a=b\",\"flags\":257,\"name\":\"\\u00e9\\ud83d\\ude00\","
    "\"kind\":3,\"startTimeUnixNano\":1700000000000000001,\"endTimeUnixNano\":"
    "\"1700000000000000005\",\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"-7\"}},"
    "{\"key\":\"d\",\"value\":{\"doubleValue\":0.5}},{\"key\":\"b\",\"value\":{\"boolValue\":true}}"
    ","
    "{\"key\":\"y\",\"value\":{\"bytesValue\":\"AAEC\"}},{\"key\":\"l\",\"value\":{\"arrayValue\":"
    "{\"values\":[{\"intValue\":3},{}]}}},{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":"
    "[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}}]}}}],\"droppedAttributesCount\":2,"
    "\"events\":[{\"timeUnixNano\":\"1700000000000000002\",\"name\":\"e\",\"attributes\":[{\"key\":"
    "\"x\",\"value\":{\"stringValue\":\"\"}}]}],\"droppedEventsCount\":3,\"links\":[{\"traceId\":"
    "\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\",\"flags\":1}],"
    "\"droppedLinksCount\":4,\"status\":{\"message\":\"no\",\"code\":2}}]}]}]}";

TEST(every_field_of_a_span_is_read)
{
    struct batch *batch = traces(everything);

    ASSERT(batch->spans.count == 1);
    const struct span *span = &batch->spans.items[0];
    EXPECT(span->trace_id[15] == 0xef && span->span_id[0] == 0x01);
    EXPECT(span->parent_span_id[0] == 0xfe);
    EXPECT(span->start_ns == 1700000000000000001 && span->end_ns - span->start_ns == 4);
    EXPECT(str_eq(span->name, STR("\xc3\xa9\xf0\x9f\x98\x80")));
    EXPECT(span->kind == SPAN_KIND_CLIENT && span->status == SPAN_STATUS_ERROR);
    EXPECT(span->flags == 257 && str_eq(span->trace_state, STR("a=b")));
    EXPECT(span->attributes.count == 6 && span->attributes.dropped_count == 2);
    EXPECT(attributes_get(&span->attributes, STR("n"))->integer == -7);
    EXPECT(attributes_get(&span->attributes, STR("y"))->text.size == 3);
    EXPECT(attributes_get(&span->attributes, STR("l"))->list.count == 2);
    EXPECT(attributes_get(&span->attributes, STR("m"))->map.count == 1);
    EXPECT(span->event_count == 1 && span->dropped_event_count == 3);
    EXPECT(span->link_count == 1 && span->links[0].flags == 1 && span->dropped_link_count == 4);
    EXPECT(str_eq(span->resource->service_name, STR("shop")));
    EXPECT(str_eq(span->resource->schema_url, STR("s1")));
    EXPECT(str_eq(span->scope->schema_url, STR("s2")));
    batch_free(batch);
}

TEST(out_and_in_again_nothing_is_lost)
{
    struct batch *batch = traces(everything);
    struct batch *again = batch_new("default", "test", 16 << 20);
    struct buf first = {0};
    struct buf second = {0};
    struct buf json = {0};
    struct buf json_again = {0};

    otlp_write_traces(batch->spans.items, batch->spans.count, &first);
    EXPECT(otlp_read_traces(buf_view(&first), again, NULL) == ERR_NONE);
    otlp_write_traces(again->spans.items, again->spans.count, &second);
    EXPECT(str_eq(buf_view(&first), buf_view(&second)));
    /* What came in and what goes out say the same as JSON. */
    EXPECT(otlp_json_write(buf_view(&batch->payload), OTLP_M_TRACES, &json, NULL) == ERR_NONE);
    EXPECT(otlp_json_write(buf_view(&second), OTLP_M_TRACES, &json_again, NULL) == ERR_NONE);
    EXPECT(str_eq(buf_view(&json), buf_view(&json_again)));
    buf_done(&first);
    buf_done(&second);
    buf_done(&json);
    buf_done(&json_again);
    batch_free(batch);
    batch_free(again);
}

TEST(spans_without_ids_or_times_are_left_out_and_counted)
{
    struct batch *batch =
        traces("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["
               "{\"traceId\":\"00\",\"spanId\":\"0123456789abcdef\",\"startTimeUnixNano\":\"1\"},"
               "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"startTimeUnixNano\":\"1\"},"
               "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\"},"
               "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\","
               "\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"1\"}]}]}]}");

    EXPECT(batch->spans.count == 1 && batch->rejected_count == 3);
    EXPECT(strstr(batch->rejected_why.text, "neither start nor end") != NULL);
    EXPECT(batch->spans.items[0].end_ns < batch->spans.items[0].start_ns); /* Kept as it is. */
    batch_free(batch);
}

TEST(an_empty_request_is_fine_and_a_broken_one_is_told_where)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct why why = WHY_INIT;
    enum err err;

    EXPECT(otlp_read_traces(STR(""), batch, &why) == ERR_NONE);
    EXPECT(otlp_read_traces(STR("\x0a\x7f"), batch, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "broken") != NULL);
    batch_free(batch);
    batch = read_json(OTLP_M_TRACES, "{\"resourceSpans\":[}", &err, &why);
    EXPECT(err == ERR_INVALID && why.position == 18);
    batch_free(batch);
    batch = read_json(OTLP_M_TRACES, "{} x", &err, &why);
    EXPECT(err == ERR_INVALID);
    batch_free(batch);
}

TEST(unknown_fields_and_null_are_ignored)
{
    struct batch *batch = traces("{\"future\":{\"a\":[1,true,null,\"x\"]},\"resourceSpans\":null}");

    EXPECT(batch->spans.count == 0);
    batch_free(batch);
}

TEST(nesting_is_bounded)
{
    struct buf text = {0};
    struct why why = WHY_INIT;
    enum err err;

    buf_text(&text, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":");
    for (int i = 0; i < 100; i++)
        buf_text(&text, "{\"arrayValue\":{\"values\":[");
    struct batch *batch = read_json(OTLP_M_TRACES, buf_cstr(&text), &err, &why);
    EXPECT(err == ERR_LIMIT);
    batch_free(batch);
    buf_done(&text);
    /* The same in protobuf: lists in lists. */
    struct buf message = {0};
    for (int i = 0; i < 40; i++) {
        struct buf outer = {0};
        buf_byte(&outer, 1 << 3 | 2);
        buf_varint(&outer, message.size);
        buf_str(&outer, buf_view(&message));
        buf_clear(&message);
        buf_byte(&message, 5 << 3 | 2);
        buf_varint(&message, outer.size);
        buf_str(&message, buf_view(&outer));
        buf_done(&outer);
    }
    struct buf request = {0};
    uint32_t numbers[] = {2, 1, 1, 1}; /* Value of a pair of a resource of the first block. */
    for (size_t i = 0; i < 4; i++) {
        buf_clear(&request);
        buf_byte(&request, (uint8_t)(numbers[i] << 3 | 2));
        buf_varint(&request, message.size);
        buf_str(&request, buf_view(&message));
        buf_clear(&message);
        buf_str(&message, buf_view(&request));
    }
    batch = batch_new("default", "test", 1 << 20);
    EXPECT(otlp_read_traces(buf_view(&request), batch, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "nested deeper") != NULL);
    batch_free(batch);
    buf_done(&message);
    buf_done(&request);
}

TEST(genai_attributes_are_typed_under_old_names_and_new)
{
    struct batch *batch =
        traces("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
               "\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\","
               "\"startTimeUnixNano\":\"5\",\"attributes\":["
               "{\"key\":\"gen_ai.system\",\"value\":{\"stringValue\":\"openai\"}},"
               "{\"key\":\"gen_ai.request.model\",\"value\":{\"stringValue\":\"m\"}},"
               "{\"key\":\"gen_ai.usage.prompt_tokens\",\"value\":{\"intValue\":\"12\"}},"
               "{\"key\":\"gen_ai.usage.output_tokens\",\"value\":{\"intValue\":3}},"
               "{\"key\":\"gen_ai.response.finish_reasons\",\"value\":{\"arrayValue\":{\"values\":"
               "[{\"stringValue\":\"stop\"}]}}}]}]}]}]}");
    ASSERT(batch->spans.count == 1 && batch->spans.items[0].llm != NULL);
    const struct llm_call *llm = batch->spans.items[0].llm;

    EXPECT(str_eq(llm->provider, STR("openai")) && str_eq(llm->request_model, STR("m")));
    EXPECT(llm->input_tokens == 12 && llm->output_tokens == 3);
    EXPECT(llm->cache_read_tokens == LLM_MISSING && llm->cost_nano_usd == LLM_MISSING);
    EXPECT(llm->network_ns == LLM_MISSING && llm->time_to_first_chunk_ns == LLM_MISSING);
    EXPECT(llm->retry_count == 0 && !llm->streamed && !llm->circuit_open);
    EXPECT(str_eq(llm->finish_reason, STR("stop")));
    batch_free(batch);
}

TEST(logs_take_the_observed_time_where_they_have_none)
{
    struct why why = WHY_INIT;
    enum err err;
    struct batch *batch =
        read_json(OTLP_M_LOGS,
                  "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"observedTimeUnixNano\":"
                  "\"77\",\"severityNumber\":17,\"body\":{\"stringValue\":\"oh\"},\"eventName\":"
                  "\"n\"},{}]}]}]}",
                  &err, &why);

    EXPECT(err == ERR_NONE && batch->events.count == 2);
    EXPECT(batch->events.items[0].time_ns == 77 && batch->events.items[0].severity == 17);
    EXPECT(str_eq(batch->events.items[0].body.text, STR("oh")));
    EXPECT(batch->events.items[1].time_ns == 1700000000000000000);
    batch_free(batch);
}

static int severity_of(const char *name)
{
    struct why why = WHY_INIT;
    enum err err;
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"77\","
                   "\"severityNumber\":\"%s\"}]}]}]}",
                   name); /* Fits. */
    struct batch *batch = read_json(OTLP_M_LOGS, text, &err, &why);
    int severity = err == ERR_NONE ? batch->events.items[0].severity : -1;
    batch_free(batch);
    return severity;
}

TEST(enums_may_be_written_by_name)
{
    struct batch *batch = traces(
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"0123456789abcdef0123456789ABCDEF\",\"spanId\":\"0123456789abcdef\",\"kind\":"
        "\"SPAN_KIND_CONSUMER\",\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":\"6\",\"status\":"
        "{\"code\":\"STATUS_CODE_ERROR\"}}]}]}]}");

    ASSERT(batch->spans.count == 1);
    EXPECT(batch->spans.items[0].kind == SPAN_KIND_CONSUMER);
    EXPECT(batch->spans.items[0].status == SPAN_STATUS_ERROR);
    batch_free(batch);
    EXPECT(severity_of("SEVERITY_NUMBER_TRACE") == 1);
    EXPECT(severity_of("SEVERITY_NUMBER_INFO2") == 10);
    EXPECT(severity_of("SEVERITY_NUMBER_FATAL4") == 24);
    EXPECT(severity_of("SEVERITY_NUMBER_LOUD") == -1);
    EXPECT(severity_of("SEVERITY_NUMBER_") == -1);
    EXPECT(severity_of("SPAN_KIND_7") == -1);
}

/* ---- Names and metrics. ---- */

static void expect_name(const char *name, const char *unit, enum otlp_name_kind kind,
                        const char *expected)
{
    struct buf out = {0};

    otlp_metric_name(str_of(name), str_of(unit), kind, &out);
    if (!str_eq(buf_view(&out), str_of(expected)))
        printf("# %s, not %s\n", buf_cstr(&out), expected);
    EXPECT(str_eq(buf_view(&out), str_of(expected)));
    buf_done(&out);
}

TEST(names_are_those_that_prometheus_gives)
{
    expect_name("http.server.duration", "ms", OTLP_NAME_OTHER, "http_server_duration_milliseconds");
    expect_name("system.filesystem.usage", "By", OTLP_NAME_GAUGE, "system_filesystem_usage_bytes");
    expect_name("system.network.io", "By", OTLP_NAME_COUNTER, "system_network_io_bytes_total");
    expect_name("requests.total", "1", OTLP_NAME_COUNTER, "requests_total");
    expect_name("cpu.utilization", "1", OTLP_NAME_GAUGE, "cpu_utilization_ratio");
    expect_name("queue", "{items}", OTLP_NAME_OTHER, "queue");
    expect_name("speed", "m/s", OTLP_NAME_GAUGE, "speed_meters_per_second");
    expect_name("memory_bytes", "By", OTLP_NAME_GAUGE, "memory_bytes");
    expect_name("2xx", "", OTLP_NAME_OTHER, "_2xx");
}

static struct batch *metrics(struct otlp_metrics *memory, const char *text)
{
    struct batch *batch = batch_new("default", "test", 16 << 20);
    struct why why = WHY_INIT;
    enum err err = otlp_json_read(str_of(text), OTLP_M_METRICS, &batch->payload, &why);

    if (err == ERR_NONE)
        err = otlp_read_metrics(memory, buf_view(&batch->payload), batch, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    EXPECT(err == ERR_NONE);
    return batch;
}

static double value_of(const struct batch *batch, const char *series)
{
    struct buf text = {0};
    double value = NAN;

    for (size_t i = 0; i < batch->samples.count; i++) {
        buf_clear(&text);
        labels_write(&text, batch->samples.items[i].labels);
        if (str_eq(buf_view(&text), str_of(series)))
            value = batch->samples.items[i].value;
    }
    if (isnan(value))
        printf("# no %s\n", series);
    buf_done(&text);
    return value;
}

TEST(deltas_are_added_up_and_resources_become_labels)
{
    static const char text[] =
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"shop\"}},{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":"
        "\"i\"}},{\"key\":\"region\",\"value\":{\"stringValue\":\"eu\"}}]},\"scopeMetrics\":"
        "[{\"metrics\":[{\"name\":\"hits\",\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":"
        "true,\"dataPoints\":[{\"timeUnixNano\":\"1700000000000000000\",\"asInt\":\"5\","
        "\"attributes\":[{\"key\":\"http.code\",\"value\":{\"intValue\":200}}]}]}},"
        "{\"name\":\"took\",\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":1,"
        "\"dataPoints\":[{\"timeUnixNano\":\"1700000000000000000\",\"count\":3,\"sum\":1.5,"
        "\"bucketCounts\":[\"1\",2,0],\"explicitBounds\":[0.5,1]}]}}]}]}]}";
    struct otlp_metrics *memory = otlp_metrics_new(1 << 20);
    struct batch *batch = metrics(memory, text);
    static const char hits[] = "hits_total{http_code=\"200\",instance=\"i\",job=\"shop\"}";
    static const char took[] = "took_seconds_bucket{instance=\"i\",job=\"shop\",le=\"1\"}";

    EXPECT(value_of(batch, hits) == 5);
    EXPECT(value_of(batch, took) == 3);
    EXPECT(value_of(batch, "target_info{instance=\"i\",job=\"shop\",region=\"eu\"}") == 1);
    batch_free(batch);
    batch = metrics(memory, text);
    EXPECT(value_of(batch, hits) == 10);
    EXPECT(value_of(batch, took) == 6);
    EXPECT(value_of(batch, "took_seconds_sum{instance=\"i\",job=\"shop\"}") == 3);
    batch_free(batch);
    otlp_metrics_free(memory);
}

static const char exemplars_text[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"hits\",\"sum\":{"
    "\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[{\"timeUnixNano\":"
    "\"1700000000000000000\",\"asInt\":\"5\",\"exemplars\":[{\"asInt\":\"2\",\"traceId\":"
    "\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eee19b7ec3c1b174\","
    "\"filteredAttributes\":[{\"key\":\"user.id\",\"value\":{\"intValue\":7}},{\"key\":"
    "\"trace_id\",\"value\":{\"stringValue\":\"mine\"}}]}]}]}},{\"name\":\"took\","
    "\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{"
    "\"timeUnixNano\":\"1700000000000000000\",\"count\":3,\"sum\":4.5,\"bucketCounts\":"
    "[1,1,1],\"explicitBounds\":[0.5,1],\"exemplars\":[{\"asDouble\":3,\"timeUnixNano\":"
    "\"1699999999000000000\"},{\"asDouble\":0.5},{\"asDouble\":0.7}]}]}},{\"name\":\"size\","
    "\"exponentialHistogram\":{\"aggregationTemporality\":1,\"dataPoints\":[{\"timeUnixNano\":"
    "\"1700000000000000000\",\"count\":1,\"sum\":1.5,\"scale\":0,\"positive\":{\"offset\":0,"
    "\"bucketCounts\":[1]},\"exemplars\":[{\"asDouble\":1.5}]}]}}]}]}]}";

/* "series value time pairs…" of each. */
static void expect_exemplars(const struct batch *batch)
{
    static const char *const expected[] = {
        "hits_total 2 1700000000000 span_id=eee19b7ec3c1b174 "
        "trace_id=5b8efff798038103d269b633813fc60c user_id=7",
        "took_seconds_bucket{le=\"0.5\"} 0.5 1700000000000",
        "took_seconds_bucket{le=\"1\"} 0.7 1700000000000",
        "took_seconds_bucket{le=\"+Inf\"} 3 1699999999000",
        "size 1.5 1700000000000",
    };
    struct buf text = {0};

    ASSERT(batch->exemplars.count == ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        const struct exemplar *exemplar = &batch->exemplars.items[i];
        buf_clear(&text);
        labels_write(&text, exemplar->labels);
        buf_printf(&text, " %g %lld", exemplar->value, (long long)exemplar->time_ms);
        for (size_t k = 0; k < exemplar->pairs_count; k++)
            buf_printf(&text, " %.*s=%.*s", STR_ARG(exemplar->pairs[k].name),
                       STR_ARG(exemplar->pairs[k].value));
        if (!str_eq(buf_view(&text), str_of(expected[i])))
            printf("# %s\n", buf_cstr(&text));
        EXPECT(str_eq(buf_view(&text), str_of(expected[i])));
    }
    buf_done(&text);
}

TEST(exemplars_go_with_their_series_in_and_out_again)
{
    struct otlp_metrics *memory = otlp_metrics_new(1 << 20);
    struct otlp_metrics_writer *writer = otlp_metrics_writer_new(1 << 20);
    struct batch *batch = metrics(memory, exemplars_text);
    struct batch *again = batch_new("default", "test", 16 << 20);

    expect_exemplars(batch);
    otlp_metrics_writer_note(writer, batch);
    otlp_write_samples(writer, batch, 0, batch->samples.count, &again->payload);
    EXPECT(otlp_write_sketches(writer, batch, &again->payload) == 1);
    EXPECT(otlp_read_metrics(memory, buf_view(&again->payload), again, NULL) == ERR_NONE);
    expect_exemplars(again);
    batch_free(again);
    batch_free(batch);
    otlp_metrics_writer_free(writer);
    otlp_metrics_free(memory);
}

TEST(exemplars_of_a_point_are_bounded_and_a_broken_one_breaks_the_message)
{
    struct otlp_metrics *memory = otlp_metrics_new(1 << 20);
    struct buf text CLEANUP(buf_done) = {0};

    buf_text(&text, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\","
                    "\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"1700000000000000000\","
                    "\"asInt\":\"5\",\"exemplars\":[{}");
    for (int i = 0; i < 1000; i++)
        buf_text(&text, ",{\"asDouble\":1.25}");
    buf_text(&text, "]}]}}]}]}]}");
    struct batch *batch = metrics(memory, buf_cstr(&text));
    EXPECT(batch->exemplars.count == 64);
    for (size_t i = 0; i + 9 <= batch->payload.size; i++) {
        if (memcmp(batch->payload.data + i, "\x19\0\0\0\0\0\0\xf4\x3f", 9) == 0)
            batch->payload.data[i] = 0x1f; /* No wire type. */
    }
    struct batch *broken = batch_new("default", "test", 16 << 20);
    EXPECT(otlp_read_metrics(memory, buf_view(&batch->payload), broken, NULL) == ERR_INVALID);
    batch_free(broken);
    batch_free(batch);
    otlp_metrics_free(memory);
}

static double sketch_count(const struct batch *batch)
{
    struct quantile *sketch = NULL;
    double count = -1;

    if (batch->sketches.count == 1 &&
        quantile_read(batch->sketches.items[0].sketch, &sketch, NULL) == ERR_NONE)
        count = (double)quantile_count(sketch);
    quantile_free(sketch);
    return count;
}

TEST(cumulative_exponential_histograms_tell_what_is_new)
{
    static const char format[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"x\","
        "\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{\"timeUnixNano\":"
        "\"1700000000000000000\",\"count\":%d,\"sum\":%d,\"scale\":%d,\"zeroCount\":%d,"
        "\"positive\":{\"offset\":0,\"bucketCounts\":[%d,%d]}}]}}]}]}]}";
    static const int rounds[][6] = {
        {6, 9, 1, 1, 2, 3},  /* Five and a zero. */
        {9, 15, 1, 1, 4, 4}, /* Three more. */
        {9, 15, 0, 1, 8, 0}, /* The same, coarser. */
        {2, 2, 0, 0, 2, 0},  /* Begun anew. */
    };
    static const double expected[] = {6, 3, 0, 2};
    struct otlp_metrics *memory = otlp_metrics_new(1 << 20);
    char text[512];

    for (size_t i = 0; i < 4; i++) {
        const int *r = rounds[i];
        (void)snprintf(text, sizeof(text), format, r[0], r[1], r[2], r[3], r[4], r[5]);
        struct batch *batch = metrics(memory, text);
        EXPECT(sketch_count(batch) == expected[i]);
        batch_free(batch);
    }
    otlp_metrics_free(memory);
}

/* The sketch after it went out and came in again; NULL: it did not come. */
static struct quantile *out_and_in(const struct quantile *sketch)
{
    struct label pairs[] = {{LABEL_NAME, STR("took_seconds")}, {STR("job"), STR("shop")}};
    struct otlp_metrics_writer *writer = otlp_metrics_writer_new(1 << 20);
    struct otlp_metrics *memory = otlp_metrics_new(1 << 20);
    struct label_pool *pool = label_pool_new(1 << 20);
    struct batch *out = batch_new("default", "test", 16 << 20);
    struct batch *in = batch_new("default", "test", 64 << 20);
    struct quantile *found = NULL;
    struct why why = WHY_INIT;
    const struct labels *labels;
    struct buf bytes = {0};

    quantile_write(sketch, &bytes);
    EXPECT(label_pool_get(pool, pairs, 2, &labels, &why) == ERR_NONE);
    EXPECT(batch_sketch(out, labels, 1700000000000, buf_view(&bytes), &why) == ERR_NONE);
    EXPECT(otlp_write_sketches(writer, out, &in->payload) == 1);
    in->time_ms = 1700000000000;
    if (otlp_read_metrics(memory, buf_view(&in->payload), in, &why) != ERR_NONE)
        printf("# %s\n", why.text);
    else if (in->sketches.count == 1)
        (void)quantile_read(in->sketches.items[0].sketch, &found, &why); /* NULL is told. */
    buf_done(&bytes);
    batch_free(in);
    batch_free(out);
    label_pool_unref(pool);
    otlp_metrics_free(memory);
    otlp_metrics_writer_free(writer);
    return found;
}

TEST(sketches_go_out_as_exponential_histograms_and_come_back_the_same)
{
    static const double values[] = {0.0012, 0.0013, 0.5, 0.51, 3, 3.01, 1e4, 0, 0, -2.5, -2.6};
    struct quantile *sketch = quantile_new(0, 0);

    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        quantile_add_many(sketch, values[i], 1 + i * 7);
    struct quantile *back = out_and_in(sketch);
    ASSERT(back != NULL);
    EXPECT(quantile_count(back) == quantile_count(sketch));
    EXPECT(quantile_sum(back) == quantile_sum(sketch));
    EXPECT(quantile_min(back) == quantile_min(sketch));
    EXPECT(quantile_max(back) == quantile_max(sketch));
    for (double q = 0; q <= 1; q += 0.001)
        EXPECT(quantile_at(back, q) == quantile_at(sketch, q));
    quantile_free(back);
    quantile_clear(sketch); /* Nothing came since. */
    back = out_and_in(sketch);
    ASSERT(back != NULL);
    EXPECT(quantile_count(back) == 0);
    quantile_free(back);
    quantile_free(sketch);
}

TEST(a_sketch_of_many_magnitudes_goes_out_more_coarsely)
{
    struct quantile *sketch = quantile_new(0, QUANTILE_BUCKETS_MAX);

    for (double value = 1e-20; value < 1e20; value *= 1e3)
        quantile_add_many(sketch, value, 3);
    struct quantile *back = out_and_in(sketch);
    ASSERT(back != NULL);
    EXPECT(quantile_count(back) == quantile_count(sketch));
    EXPECT(quantile_at(back, 0.9) / quantile_at(sketch, 0.9) < 1.03);
    EXPECT(quantile_at(back, 0.9) / quantile_at(sketch, 0.9) > 0.97);
    quantile_free(back);
    quantile_free(sketch);
}

/* ---- Answers. ---- */

TEST(full_success_says_nothing_and_errors_are_a_status)
{
    struct buf out = {0};
    struct why why = WHY_INIT;

    otlp_write_answer(OTLP_TRACES, false, 0, STR(""), &out);
    EXPECT(out.size == 0);
    otlp_write_answer(OTLP_TRACES, true, 2, STR("why"), &out);
    EXPECT(str_eq(buf_view(&out), STR("{\"partialSuccess\":{\"rejectedSpans\":\"2\","
                                      "\"errorMessage\":\"why\"}}")));
    buf_clear(&out);
    (void)fail(&why, ERR_BUSY, "later");
    otlp_write_status(otlp_code_of(ERR_BUSY), true, &why, 1, &out);
    EXPECT(str_eq(buf_view(&out), STR("{\"code\":14,\"message\":\"later\"}")));
    buf_clear(&out);
    otlp_write_status(otlp_code_of(ERR_BUSY), false, &why, 1, &out);
    EXPECT(str_find_str(buf_view(&out), STR("google.rpc.RetryInfo")) > 0);
    EXPECT(otlp_code_of(ERR_TOO_LARGE) == OTLP_CODE_RESOURCE_EXHAUSTED);
    buf_done(&out);
}

TEST_MAIN
