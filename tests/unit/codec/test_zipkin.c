/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zipkin.h"
#include "test.h"

static struct batch *batch_of(const char *text, enum err expected)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct why why = WHY_INIT;

    batch->time_ms = 1700000000000;
    EXPECT(zipkin_read(str_of(text), batch, &why) == expected);
    EXPECT(expected == ERR_NONE || why.text[0] != '\0');
    return batch;
}

static struct str text_of(const struct span *span, const char *key)
{
    const struct value *value = attributes_get(&span->attributes, str_of(key));

    return value == NULL || value->kind != VALUE_TEXT ? STR_NONE : value->text;
}

TEST(the_example_of_the_specification_is_read)
{
    struct batch *batch = batch_of(
        "[{\"traceId\":\"5982fe77008310cc80f1da5e10147517\",\"parentId\":\"90394f6bcffb5d13\","
        "\"id\":\"bd7a977555f6b982\",\"kind\":\"SERVER\",\"name\":\"get\","
        "\"timestamp\":1458702548467000,\"duration\":386000,\"shared\":true,"
        "\"localEndpoint\":{\"serviceName\":\"query\",\"ipv4\":\"192.168.1.2\",\"port\":9411},"
        "\"remoteEndpoint\":{\"serviceName\":\"web\",\"ipv6\":\"2001:db8::c001\"},"
        "\"annotations\":[{\"timestamp\":1458702548467100,\"value\":\"sr\"}],"
        "\"tags\":{\"http.path\":\"/api\"}}]",
        ERR_NONE);

    ASSERT(batch->spans.count == 1 && batch->rejected_count == 0);
    const struct span *span = &batch->spans.items[0];
    EXPECT(span->trace_id[0] == 0x59 && span->span_id[0] == 0xbd &&
           span->parent_span_id[7] == 0x13);
    EXPECT(span->kind == SPAN_KIND_SERVER && str_eq(span->name, STR("get")));
    EXPECT(span->start_ns == INT64_C(1458702548467000000));
    EXPECT(span->end_ns - span->start_ns == 386000000);
    EXPECT(str_eq(span->resource->service_name, STR("query")));
    EXPECT(attributes_get(&span->resource->attributes, STR("net.host.port"))->integer == 9411);
    EXPECT(str_eq(text_of(span, "peer.service"), STR("web")));
    EXPECT(str_eq(text_of(span, "net.peer.ip"), STR("2001:db8::c001")));
    EXPECT(str_eq(text_of(span, "http.path"), STR("/api")));
    EXPECT(span->event_count == 1 && str_eq(span->events[0].name, STR("sr")));
    batch_free(batch);
}

TEST(tags_that_stand_for_fields_become_fields)
{
    struct batch *batch =
        batch_of("[{\"traceId\":\"1\",\"id\":\"1\",\"tags\":{\"error\":\"boom\"}},"
                 "{\"traceId\":\"1\",\"id\":\"2\",\"tags\":{\"error\":\"false\"}},"
                 "{\"traceId\":\"1\",\"id\":\"3\",\"tags\":{\"otel.status_code\":\"OK\","
                 "\"otel.library.name\":\"lib\",\"otel.library.version\":\"2\"}},"
                 "{\"traceId\":\"1\",\"id\":\"4\",\"tags\":{\"otel.status_code\":\"ERROR\","
                 "\"error\":\"true\",\"otel.status_description\":\"why\"}}]",
                 ERR_NONE);

    ASSERT(batch->spans.count == 4);
    const struct span *spans = batch->spans.items;
    EXPECT(spans[0].status == SPAN_STATUS_ERROR && str_eq(spans[0].status_message, STR("boom")));
    EXPECT(spans[1].status == SPAN_STATUS_UNSET && spans[1].attributes.count == 0);
    EXPECT(spans[2].status == SPAN_STATUS_OK && str_eq(spans[2].scope->name, STR("lib")));
    EXPECT(spans[3].status == SPAN_STATUS_ERROR && str_eq(spans[3].status_message, STR("why")));
    EXPECT(spans[0].trace_id[15] == 1 && spans[0].kind == SPAN_KIND_INTERNAL);
    EXPECT(spans[0].start_ns == INT64_C(1700000000000000000) &&
           spans[0].end_ns == spans[0].start_ns);
    EXPECT(spans[0].resource == spans[3].resource);
    EXPECT(str_eq(spans[0].resource->service_name, STR("unknown_service")));
    batch_free(batch);
}

TEST(a_span_that_cannot_be_kept_costs_only_itself)
{
    struct batch *batch =
        batch_of("[{\"traceId\":\"1\"},{\"id\":\"1\"},{\"traceId\":\"xy\",\"id\":"
                 "\"1\"},{\"traceId\":\"0\",\"id\":\"1\"},7,{\"traceId\":\"1\","
                 "\"id\":\"1\",\"timestamp\":-1},{\"traceId\":\"1\",\"id\":\"9\"}]",
                 ERR_NONE);

    EXPECT(batch->spans.count == 1 && batch->rejected_count == 6);
    EXPECT(batch->rejected_why.text[0] != '\0');
    batch_free(batch);
}

TEST(what_is_no_list_of_spans_is_refused)
{
    static const char *const bad[] = {"", "{}", "[", "7",
                                      "[{\"traceId\":\"1\",\"traceId\":\"2\"}]"};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        batch_free(batch_of(bad[i], ERR_INVALID));
    batch_free(batch_of("[]", ERR_NONE));
}

TEST_MAIN
