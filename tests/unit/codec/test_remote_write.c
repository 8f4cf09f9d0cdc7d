/* SPDX-License-Identifier: Apache-2.0 */
/* Also of the two formats below it: snappy and protobuf. */
#include "codec/remote_write.h"

#include "codec/protobuf.h"
#include "codec/snappy.h"
#include "test.h"

/* A message with a size in front, as field `number`. */
static void put_bytes(struct buf *out, uint32_t number, struct str bytes)
{
    buf_varint(out, (uint64_t)number << 3 | PROTOBUF_BYTES);
    buf_varint(out, bytes.size);
    buf_str(out, bytes);
}

static void put_label(struct buf *series, const char *name, const char *value)
{
    struct buf label CLEANUP(buf_done) = {0};

    put_bytes(&label, 1, str_of(name));
    put_bytes(&label, 2, str_of(value));
    put_bytes(series, 1, buf_view(&label));
}

static void put_sample(struct buf *series, double value, int64_t time_ms)
{
    struct buf sample CLEANUP(buf_done) = {0};
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    buf_varint(&sample, 1 << 3 | PROTOBUF_FIXED64);
    buf_u64(&sample, bits);
    buf_varint(&sample, 2 << 3 | PROTOBUF_VARINT);
    buf_varint(&sample, (uint64_t)time_ms);
    put_bytes(series, 2, buf_view(&sample));
}

static void put_series(struct buf *request, const char *name, double value, int64_t time_ms)
{
    struct buf series CLEANUP(buf_done) = {0};

    put_label(&series, "__name__", name);
    put_label(&series, "job", "test");
    put_sample(&series, value, time_ms);
    put_bytes(request, 1, buf_view(&series));
}

/* Snappy without any compression: one literal. */
static void pack(struct buf *out, struct str message)
{
    buf_varint(out, message.size);
    buf_byte(out, 62 << 2);
    buf_byte(out, (uint8_t)(message.size - 1));
    buf_byte(out, (uint8_t)((message.size - 1) >> 8));
    buf_byte(out, (uint8_t)((message.size - 1) >> 16));
    buf_str(out, message);
}

struct reading {
    struct label_memo *memo;
    struct batch *batch;
    struct remote_write_counts counts;
    struct why why;
};

static struct reading reading_new(void)
{
    return (struct reading){
        .memo = label_memo_new(1 << 20),
        .batch = batch_new("default", "test", 1 << 20),
        .why = WHY_INIT,
    };
}

static void done(struct reading *reading)
{
    batch_free(reading->batch);
    label_memo_free(reading->memo);
}

TEST(a_write_request_becomes_samples)
{
    struct reading reading = reading_new();
    struct buf request CLEANUP(buf_done) = {0};
    struct buf packed CLEANUP(buf_done) = {0};

    put_series(&request, "a", 1.5, 1000);
    put_series(&request, "b", -2, 2000);
    pack(&packed, buf_view(&request));
    ASSERT(remote_write_read(buf_view(&packed), 1 << 20, reading.memo, reading.batch,
                             &reading.counts, &reading.why) == ERR_NONE);
    EXPECT(reading.counts.series == 2 && reading.counts.samples == 2);
    ASSERT(reading.batch->samples.count == 2);
    EXPECT(reading.batch->samples.items[0].value == 1.5);
    EXPECT(reading.batch->samples.items[1].time_ms == 2000);
    EXPECT(str_eq(labels_get(reading.batch->samples.items[1].labels, LABEL_NAME), STR("b")));
    EXPECT(str_eq(labels_get(reading.batch->samples.items[1].labels, STR("job")), STR("test")));
    done(&reading);
}

static void put_exemplar(struct buf *series, const char *trace, double value, int64_t time_ms)
{
    struct buf exemplar CLEANUP(buf_done) = {0};
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    put_label(&exemplar, "trace_id", trace);
    put_label(&exemplar, "empty", "");
    buf_varint(&exemplar, 2 << 3 | PROTOBUF_FIXED64);
    buf_u64(&exemplar, bits);
    buf_varint(&exemplar, 3 << 3 | PROTOBUF_VARINT);
    buf_varint(&exemplar, (uint64_t)time_ms);
    put_bytes(series, 3, buf_view(&exemplar));
}

TEST(exemplars_are_kept_also_where_they_stand_alone)
{
    struct reading reading = reading_new();
    struct buf request CLEANUP(buf_done) = {0};
    struct buf series CLEANUP(buf_done) = {0};

    put_label(&series, "__name__", "x");
    put_exemplar(&series, "abc", 0.5, 1700000000123);
    put_bytes(&request, 1, buf_view(&series));
    for (int round = 1; round <= 2; round++) { /* The second follows the first. */
        batch_clear(reading.batch);
        ASSERT(remote_write_decode(buf_view(&request), reading.memo, reading.batch, &reading.counts,
                                   &reading.why) == ERR_NONE);
        EXPECT(reading.batch->samples.count == 0 && reading.counts.exemplars == 1);
        ASSERT(reading.batch->exemplars.count == 1);
        const struct exemplar *exemplar = &reading.batch->exemplars.items[0];
        EXPECT(str_eq(labels_get(exemplar->labels, LABEL_NAME), STR("x")));
        EXPECT(exemplar->value == 0.5 && exemplar->time_ms == 1700000000123);
        ASSERT(exemplar->pairs_count == 1);
        EXPECT(str_eq(exemplar->pairs[0].value, STR("abc")));
    }
    done(&reading);
}

TEST(labels_may_stand_between_samples)
{
    struct reading reading = reading_new();
    struct buf series CLEANUP(buf_done) = {0};
    struct buf request CLEANUP(buf_done) = {0};

    put_label(&series, "__name__", "x");
    put_sample(&series, 1, 1);
    put_label(&series, "late", "yes");
    put_sample(&series, 2, 2);
    put_bytes(&request, 1, buf_view(&series));
    put_bytes(&request, 1, buf_view(&series));
    ASSERT(remote_write_decode(buf_view(&request), reading.memo, reading.batch, &reading.counts,
                               &reading.why) == ERR_NONE);
    ASSERT(reading.batch->samples.count == 4);
    EXPECT(str_eq(labels_get(reading.batch->samples.items[0].labels, STR("late")), STR("yes")));
    EXPECT(reading.batch->samples.items[0].labels == reading.batch->samples.items[3].labels);
    done(&reading);
}

/* The message that series makes, read as one that follows on what was read before. */
static void read_one(struct reading *reading, const struct buf *series)
{
    struct buf request CLEANUP(buf_done) = {0};

    put_bytes(&request, 1, buf_view(series));
    batch_clear(reading->batch);
    ASSERT(remote_write_decode(buf_view(&request), reading->memo, reading->batch, &reading->counts,
                               &reading->why) == ERR_NONE);
}

TEST(a_series_that_begins_like_the_one_before_is_still_its_own)
{
    struct reading reading = reading_new();
    struct buf series CLEANUP(buf_done) = {0};

    put_label(&series, "__name__", "x");
    put_sample(&series, 1, 1700000000123);
    read_one(&reading, &series);
    read_one(&reading, &series);
    ASSERT(reading.batch->samples.count == 1);
    EXPECT(reading.batch->samples.items[0].labels->count == 1);
    EXPECT(reading.batch->samples.items[0].time_ms == 1700000000123);

    put_label(&series, "late", "yes");
    put_sample(&series, 2, -5);
    read_one(&reading, &series);
    ASSERT(reading.batch->samples.count == 2);
    EXPECT(reading.counts.samples == 2 && reading.counts.series == 1);
    for (int i = 0; i < 2; i++)
        EXPECT(str_eq(labels_get(reading.batch->samples.items[i].labels, STR("late")), STR("yes")));
    EXPECT(reading.batch->samples.items[1].time_ms == -5);
    done(&reading);
}

TEST(times_and_values_of_every_size_come_back)
{
    static const int64_t times[] = {0,
                                    1,
                                    INT64_C(1) << 34,
                                    INT64_C(1) << 35,
                                    1700000000123,
                                    (INT64_C(1) << 42) - 1,
                                    INT64_C(1) << 42,
                                    INT64_MAX,
                                    INT64_MIN};
    struct reading reading = reading_new();
    struct buf series CLEANUP(buf_done) = {0};

    put_label(&series, "__name__", "x");
    for (size_t i = 0; i < ARRAY_COUNT(times); i++)
        put_sample(&series, (double)i - 1.25, times[i]);
    read_one(&reading, &series);
    ASSERT(reading.batch->samples.count == ARRAY_COUNT(times));
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        EXPECT(reading.batch->samples.items[i].time_ms == times[i]);
        EXPECT(reading.batch->samples.items[i].value == (double)i - 1.25);
    }
    done(&reading);
}

TEST(a_series_without_a_name_is_refused)
{
    struct reading reading = reading_new();
    struct buf series CLEANUP(buf_done) = {0};
    struct buf request CLEANUP(buf_done) = {0};

    put_label(&series, "job", "x");
    put_sample(&series, 1, 1);
    put_bytes(&request, 1, buf_view(&series));
    EXPECT(remote_write_decode(buf_view(&request), reading.memo, reading.batch, &reading.counts,
                               &reading.why) == ERR_INVALID);
    EXPECT(strstr(reading.why.text, "__name__") != NULL);
    done(&reading);
}

TEST(a_request_cut_anywhere_is_an_error_or_shorter_but_never_read_past_its_end)
{
    struct buf request CLEANUP(buf_done) = {0};

    put_series(&request, "a", 1.5, 1000);
    put_series(&request, "b", 2.5, 1000);
    for (size_t size = 0; size < request.size; size++) {
        struct reading reading = reading_new();
        char *exact = malloc(size == 0 ? 1 : size);
        memcpy(exact, request.data, size);
        enum err err = remote_write_decode((struct str){exact, size}, reading.memo, reading.batch,
                                           &reading.counts, &reading.why);
        EXPECT(err == ERR_NONE || err == ERR_INVALID);
        EXPECT(err != ERR_NONE || reading.batch->samples.count < 2);
        free(exact);
        done(&reading);
    }
}

TEST(descriptions_are_read)
{
    struct reading reading = reading_new();
    struct buf info CLEANUP(buf_done) = {0};
    struct buf request CLEANUP(buf_done) = {0};

    buf_varint(&info, 1 << 3 | PROTOBUF_VARINT);
    buf_varint(&info, 1);
    put_bytes(&info, 2, STR("x_total"));
    put_bytes(&info, 4, STR("Help."));
    put_bytes(&request, 3, buf_view(&info));
    ASSERT(remote_write_decode(buf_view(&request), reading.memo, reading.batch, &reading.counts,
                               &reading.why) == ERR_NONE);
    ASSERT(reading.batch->infos.count == 1);
    EXPECT(reading.batch->infos.items[0].kind == METRIC_COUNTER);
    EXPECT(str_eq(reading.batch->infos.items[0].help, STR("Help.")));
    done(&reading);
}

TEST(snappy_repeats_what_was_unpacked)
{
    /* "abcd" literal, then 10 bytes from 4 before (overlapping), then 5 by a two-byte offset. */
    static const char packed[] = "\x13\x0c"
                                 "abcd"
                                 "\x19\x04"
                                 "\x12\x0e\x00";
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    ASSERT(snappy_unpack((struct str){packed, sizeof(packed) - 1}, 100, &out, &why) == ERR_NONE);
    EXPECT_TEXT(buf_cstr(&out), "abcdabcdabcdababcda");
}

TEST(broken_snappy_is_an_error_and_large_one_is_not_unpacked)
{
    static const struct {
        struct str packed;
        enum err err;
    } cases[] = {
        {STR(""), ERR_INVALID},
        {STR("\xff\xff\xff\xff\xff\xff"), ERR_INVALID},
        {STR("\x05\x10"
             "abc"),
         ERR_INVALID}, /* A literal longer than the input. */
        {STR("\x02\x08"
             "abc"),
         ERR_INVALID}, /* More than announced. */
        {STR("\x08\x00"
             "a\x01\x05"),
         ERR_INVALID}, /* A copy from before the start. */
        {STR("\x08\x00"
             "a\x01\x00"),
         ERR_INVALID}, /* From nowhere. */
        {STR("\x09\x00"
             "a"),
         ERR_INVALID}, /* Too short. */
        {STR("\xff\xff\xff\x7f\x00"), ERR_TOO_LARGE},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_done) = {0};
        struct why why = WHY_INIT;
        EXPECT(snappy_unpack(cases[i].packed, 1000, &out, &why) == cases[i].err);
        EXPECT(why.text[0] != '\0');
    }
}

TEST(protobuf_refuses_what_does_not_fit)
{
    static const struct str broken[] = {
        STR("\x0a\x05"
            "abc"),
        STR("\x09"
            "1234567"),
        STR("\x0d"
            "123"),
        STR("\x08\xff"),
        STR("\x0b"),
        STR("\x00\x00"),
        STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    };

    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct protobuf message = protobuf_of(broken[i]);
        struct protobuf_field field;
        while (protobuf_next(&message, &field))
            continue;
        EXPECT(message.broken);
    }
}

TEST(protobuf_reads_the_largest_numbers)
{
    struct protobuf message = protobuf_of(STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    struct protobuf_field field;

    ASSERT(protobuf_next(&message, &field));
    EXPECT(field.number == 1 && field.value == UINT64_MAX);
    EXPECT(!protobuf_next(&message, &field) && !message.broken);
}

TEST_MAIN
