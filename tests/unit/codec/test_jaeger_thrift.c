/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/jaeger_thrift.h"
#include "test.h"

/* A small writer of Thrift's binary protocol. */
static void put(struct buf *out, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        buf_byte(out, (uint8_t)(value >> (8 * i)));
}

static void put_field(struct buf *out, uint8_t type, uint16_t id)
{
    buf_byte(out, type);
    put(out, id, 2);
}

static void put_text(struct buf *out, uint16_t id, const char *text)
{
    put_field(out, 11, id);
    put(out, strlen(text), 4);
    buf_text(out, text);
}

static void put_long(struct buf *out, uint16_t id, uint64_t value)
{
    put_field(out, 10, id);
    put(out, value, 8);
}

static void put_list(struct buf *out, uint16_t id, size_t count)
{
    put_field(out, 15, id);
    buf_byte(out, 12);
    put(out, count, 4);
}

static void put_text_tag(struct buf *out, const char *key, const char *value)
{
    put_text(out, 1, key);
    put_field(out, 8, 2);
    put(out, 0, 4);
    put_text(out, 3, value);
    buf_byte(out, 0);
}

/* One span with a parent, a link, tags and a log; the process stands behind it. */
static void put_batch(struct buf *out)
{
    put_list(out, 2, 1);
    put_long(out, 1, 0x0102030405060708);
    put_long(out, 2, 0);
    put_long(out, 3, 42);
    put_long(out, 4, 0);
    put_text(out, 5, "op");
    put_list(out, 6, 2);
    for (uint64_t i = 0; i < 2; i++) { /* The parent, then another trace. */
        put_field(out, 8, 1);
        put(out, i, 4);
        put_long(out, 2, i == 0 ? 0x0102030405060708 : 99);
        put_long(out, 3, 0);
        put_long(out, 4, 7 + i);
        buf_byte(out, 0);
    }
    put_field(out, 8, 7);
    put(out, 3, 4);
    put_long(out, 8, 1700000000000000);
    put_long(out, 9, 1500);
    put_list(out, 10, 3);
    put_text_tag(out, "span.kind", "client");
    put_text_tag(out, "http.route", "/x");
    put_text(out, 1, "error");
    put_field(out, 8, 2);
    put(out, 2, 4);
    put_field(out, 2, 5);
    buf_byte(out, 1);
    buf_byte(out, 0);
    put_list(out, 11, 1);
    put_long(out, 1, 1700000000000500);
    put_list(out, 2, 2);
    put_text_tag(out, "level", "warn");
    put_text_tag(out, "event", "retry");
    buf_byte(out, 0);
    buf_byte(out, 0); /* The span's end. */
    put_field(out, 12, 1);
    put_text(out, 1, "shop");
    put_list(out, 2, 1);
    put_text_tag(out, "zone", "a");
    buf_byte(out, 0);
    put_field(out, 13, 9); /* A map that nobody knows: text to lists of bytes. */
    buf_byte(out, 11);
    buf_byte(out, 15);
    put(out, 1, 4);
    put(out, 1, 4);
    buf_text(out, "k");
    buf_byte(out, 3);
    put(out, 2, 4);
    put(out, 0, 2);
    buf_byte(out, 0);
}

TEST(a_batch_is_read_whole)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct buf bytes = {0};
    struct why why = WHY_INIT;

    put_batch(&bytes);
    ASSERT(jaeger_thrift_read(buf_view(&bytes), batch, &why) == ERR_NONE);
    ASSERT(batch->spans.count == 1);
    const struct span *span = &batch->spans.items[0];
    EXPECT(span->trace_id[8] == 1 && span->trace_id[15] == 8 && span->span_id[7] == 42);
    EXPECT(span->parent_span_id[7] == 7 && span->link_count == 1);
    EXPECT(span->links[0].trace_id[15] == 99);
    EXPECT(str_eq(span->name, STR("op")) && span->kind == SPAN_KIND_CLIENT && span->flags == 1);
    EXPECT(span->status == SPAN_STATUS_ERROR && span->end_ns - span->start_ns == 1500000);
    EXPECT(span->attributes.count == 1 && str_eq(span->attributes.items[0].key, STR("http.route")));
    EXPECT(span->event_count == 1 && str_eq(span->events[0].name, STR("retry")));
    EXPECT(span->events[0].attributes.count == 1);
    EXPECT(str_eq(span->resource->service_name, STR("shop")));
    EXPECT(attributes_get(&span->resource->attributes, STR("zone")) != NULL);
    EXPECT(str_eq(span->resource->attributes.items[0].key, STR("service.name")));
    buf_done(&bytes);
    batch_free(batch);
}

TEST(a_message_cut_at_any_byte_is_refused)
{
    struct buf bytes = {0};

    put_batch(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        struct batch *batch = batch_new("default", "test", 1 << 20);
        struct why why = WHY_INIT;
        EXPECT(jaeger_thrift_read((struct str){bytes.data, size}, batch, &why) == ERR_INVALID);
        EXPECT(why.text[0] != '\0' && why.hint[0] != '\0');
        batch_free(batch);
    }
    buf_done(&bytes);
}

TEST(nesting_and_counts_are_not_believed)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct buf bytes = {0};

    for (int i = 0; i < 1000; i++)
        put_field(&bytes, 12, 9); /* Structs in structs. */
    EXPECT(jaeger_thrift_read(buf_view(&bytes), batch, NULL) == ERR_INVALID);
    buf_clear(&bytes);
    put_list(&bytes, 2, 0x7fffffff);
    EXPECT(jaeger_thrift_read(buf_view(&bytes), batch, NULL) == ERR_INVALID);
    EXPECT(batch->spans.count == 0);
    buf_done(&bytes);
    batch_free(batch);
}

TEST_MAIN
