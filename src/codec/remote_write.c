/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of prometheus.WriteRequest that are read:
 *
 *   WriteRequest  { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
 *   TimeSeries    { repeated Label labels = 1; repeated Sample samples = 2;
 *                   repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
 *   Label         { string name = 1; string value = 2; }
 *   Sample        { double value = 1; int64 timestamp = 2; }          milliseconds since 1970
 *   Exemplar      { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
 *   MetricMetadata{ enum type = 1; string metric_family_name = 2; string help = 4; string unit = 5;
 * }
 *
 * Senders write all labels, then all samples; so the labels are one run of bytes, which is the key
 * of the memo. A message that mixes them is legal too: then the labels' bytes are put together
 * first. */
#include "codec/remote_write.h"

#include "codec/protobuf.h"
#include "codec/snappy.h"

enum {
    METADATA_KINDS = 8,
    SERIES_LABELS = 1,
    SERIES_SAMPLES = 2,
    SERIES_EXEMPLARS = 3,
    SERIES_HISTOGRAMS = 4,
};

struct decoder {
    struct label_memo *memo;
    struct batch *out;
    struct remote_write_counts counts;
    struct buf mixed; /* Labels of a series that does not keep them together. */
    struct why *why;
};

static enum err broken(struct decoder *decoder, const char *what)
{
    return fail(decoder->why, ERR_INVALID, "series %llu of the WriteRequest: %s is broken",
                (unsigned long long)decoder->counts.series + 1, what);
}

static enum err read_label(struct decoder *decoder, struct str bytes, struct label *ret_label)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    *ret_label = (struct label){STR(""), STR("")};
    while (protobuf_next(&message, &field)) {
        if (field.wire != PROTOBUF_BYTES)
            continue;
        if (field.number == 1)
            ret_label->name = field.bytes;
        else if (field.number == 2)
            ret_label->value = field.bytes;
    }
    if (message.broken)
        return broken(decoder, "a label");
    if (!str_is_utf8(ret_label->value))
        return fail(decoder->why, ERR_INVALID, "the value of the label '%.*s' is not UTF-8",
                    STR_ARG(ret_label->name));
    return ERR_NONE;
}

static enum err read_labels(struct decoder *decoder, struct str raw,
                            const struct labels **ret_labels)
{
    struct protobuf message = protobuf_of(raw);
    struct label pairs[LABEL_COUNT_MAX];
    struct protobuf_field field;
    size_t count = 0;

    while (protobuf_next(&message, &field)) {
        if (count == LABEL_COUNT_MAX)
            return fail(decoder->why, ERR_LIMIT, "a series has more than %d labels",
                        LABEL_COUNT_MAX);
        TRY(read_label(decoder, field.bytes, &pairs[count++]));
    }
    if (message.broken)
        return broken(decoder, "its labels");
    bool named = false;
    for (size_t i = 0; i < count; i++)
        named = named || (str_eq(pairs[i].name, LABEL_NAME) && pairs[i].value.size > 0);
    if (!named)
        return fail(decoder->why, ERR_INVALID, "a series has no label __name__");
    return label_memo_put(decoder->memo, raw, pairs, count, ret_labels, decoder->why);
}

/* The bytes of all label fields: a view where they stand together, else put together. */
static enum err find_labels(struct decoder *decoder, struct str series, struct str *ret_raw)
{
    struct protobuf message = protobuf_of(series);
    struct protobuf_field field;
    struct str raw = {series.data, 0};
    bool mixed = false;

    buf_clear(&decoder->mixed);
    for (const uint8_t *start = message.at; protobuf_next(&message, &field); start = message.at) {
        if (field.number != SERIES_LABELS || field.wire != PROTOBUF_BYTES)
            continue;
        struct str bytes = {(const char *)start, (size_t)(message.at - start)};
        if (!mixed && bytes.data != raw.data + raw.size) {
            mixed = true;
            buf_str(&decoder->mixed, raw);
        }
        if (mixed)
            buf_str(&decoder->mixed, bytes);
        else
            raw.size += bytes.size;
    }
    if (message.broken)
        return broken(decoder, "it");
    *ret_raw = mixed ? buf_view(&decoder->mixed) : raw;
    return ERR_NONE;
}

/* What every sender writes for a sample that is not zero: the value, then the time of six bytes,
 * which it takes from 1971 to 2109. */
enum { SAMPLE_SIZE = 16, SAMPLE_VALUE_KEY = 0x09, SAMPLE_TIME_KEY = 0x10, SAMPLE_TIME_AT = 10 };

static bool is_usual_sample(struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.data;

    return bytes.size == SAMPLE_SIZE && at[0] == SAMPLE_VALUE_KEY && at[9] == SAMPLE_TIME_KEY &&
           (at[10] & at[11] & at[12] & at[13] & at[14] & 0x80) != 0 && at[15] < 0x80;
}

static enum err read_usual_sample(struct decoder *decoder, const uint8_t *at,
                                  const struct labels *labels)
{
    uint64_t bits = 0;
    int64_t time_ms = 0;

    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)at[1 + i] << (8 * i);
    for (int i = 0; i < SAMPLE_SIZE - SAMPLE_TIME_AT; i++)
        time_ms |= (int64_t)(at[SAMPLE_TIME_AT + i] & 0x7f) << (7 * i);
    decoder->counts.samples++;
    return batch_sample(decoder->out, labels, time_ms, protobuf_double(bits), decoder->why);
}

static enum err read_sample(struct decoder *decoder, struct str bytes, const struct labels *labels)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    double value = 0;
    int64_t time_ms = 0;

    if (is_usual_sample(bytes))
        return read_usual_sample(decoder, (const uint8_t *)bytes.data, labels);
    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_FIXED64)
            value = protobuf_double(field.value);
        else if (field.number == 2 && field.wire == PROTOBUF_VARINT)
            time_ms = (int64_t)field.value;
    }
    if (message.broken)
        return broken(decoder, "a sample");
    decoder->counts.samples++;
    return batch_sample(decoder->out, labels, time_ms, value, decoder->why);
}

/* Prometheus sends them in series of their own, behind those with the samples. */
static enum err read_exemplar(struct decoder *decoder, struct str bytes,
                              const struct labels *labels)
{
    struct protobuf message = protobuf_of(bytes);
    struct exemplar exemplar = {.labels = labels};
    struct exemplar_pairs pairs = {0};
    struct protobuf_field field;
    struct label pair;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES) {
            TRY(read_label(decoder, field.bytes, &pair));
            exemplar_add_pair(&pairs, pair.name, pair.value);
        } else if (field.number == 2 && field.wire == PROTOBUF_FIXED64) {
            exemplar.value = protobuf_double(field.value);
        } else if (field.number == 3 && field.wire == PROTOBUF_VARINT) {
            exemplar.time_ms = (int64_t)field.value;
        }
    }
    if (message.broken)
        return broken(decoder, "an exemplar");
    if (!exemplar_keep_pairs(&exemplar, &pairs, decoder->out->arena))
        return arena_spent(decoder->out->arena, "the WriteRequest", decoder->why);
    decoder->counts.exemplars++;
    return batch_exemplar(decoder->out, &exemplar, decoder->why);
}

/* What is no label; whether there were labels all the same. */
static enum err read_rows(struct decoder *decoder, struct str rows, const struct labels *labels,
                          bool *ret_labelled)
{
    struct protobuf message = protobuf_of(rows);
    struct protobuf_field field;

    *ret_labelled = false;
    while (protobuf_next(&message, &field)) {
        if (field.number == SERIES_SAMPLES && field.wire == PROTOBUF_BYTES)
            TRY(read_sample(decoder, field.bytes, labels));
        else if (field.number == SERIES_EXEMPLARS && field.wire == PROTOBUF_BYTES)
            TRY(read_exemplar(decoder, field.bytes, labels));
        *ret_labelled |= field.number == SERIES_LABELS;
        decoder->counts.histograms_ignored += field.number == SERIES_HISTOGRAMS;
    }
    return message.broken ? broken(decoder, "it") : ERR_NONE;
}

/* The series that came here last time, found by its first bytes. Not so where more labels come
 * behind: then what was read of it is taken back. */
static enum err read_followed(struct decoder *decoder, struct str series, bool *ret_read)
{
    struct remote_write_counts counts = decoder->counts;
    size_t samples = decoder->out->samples.count;
    size_t exemplars = decoder->out->exemplars.count;
    bool labelled;
    size_t size;

    *ret_read = false;
    const struct labels *labels = label_memo_follow(decoder->memo, series, &size);
    if (labels == NULL)
        return ERR_NONE;
    struct str rest = {series.data + size, series.size - size};
    TRY(read_rows(decoder, rest, labels, &labelled));
    if (labelled) {
        decoder->counts = counts;
        decoder->out->samples.count = samples;
        decoder->out->exemplars.count = exemplars;
    }
    *ret_read = !labelled;
    return ERR_NONE;
}

static enum err read_series(struct decoder *decoder, struct str series)
{
    struct str raw;
    bool done;

    TRY(read_followed(decoder, series, &done));
    if (!done) {
        TRY(find_labels(decoder, series, &raw));
        const struct labels *labels = label_memo_get(decoder->memo, raw);
        if (labels == NULL)
            TRY(read_labels(decoder, raw, &labels));
        TRY(read_rows(decoder, series, labels, &done));
    }
    decoder->counts.series++;
    return ERR_NONE;
}

static enum err read_metadata(struct decoder *decoder, struct str bytes)
{
    static const enum metric_kind kinds[METADATA_KINDS] = {
        METRIC_UNKNOWN,   METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM,
        METRIC_HISTOGRAM, METRIC_SUMMARY, METRIC_GAUGE, METRIC_GAUGE,
    };
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct metric_info info = {.name = STR(""), .help = STR(""), .unit = STR("")};

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_VARINT)
            info.kind = field.value < METADATA_KINDS ? kinds[field.value] : METRIC_UNKNOWN;
        else if (field.number == 2 && field.wire == PROTOBUF_BYTES)
            info.name = field.bytes;
        else if (field.number == 4 && field.wire == PROTOBUF_BYTES)
            info.help = field.bytes;
        else if (field.number == 5 && field.wire == PROTOBUF_BYTES)
            info.unit = field.bytes;
    }
    if (message.broken)
        return fail(decoder->why, ERR_INVALID, "a description in the WriteRequest is broken");
    return info.name.size == 0 ? ERR_NONE : batch_info(decoder->out, &info, decoder->why);
}

static enum err read_request(struct decoder *decoder, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            TRY(read_series(decoder, field.bytes));
        else if (field.number == 3 && field.wire == PROTOBUF_BYTES)
            TRY(read_metadata(decoder, field.bytes));
    }
    if (message.broken)
        return fail(decoder->why, ERR_INVALID, "this is no WriteRequest: broken after series %llu",
                    (unsigned long long)decoder->counts.series);
    return ERR_NONE;
}

enum err remote_write_decode(struct str message, struct label_memo *memo, struct batch *out,
                             struct remote_write_counts *ret_counts, struct why *why)
{
    struct decoder decoder = {.memo = memo, .out = out, .why = why};

    batch_hold(out, label_memo_begin(memo));
    enum err err = message.size == 0 ? ERR_NONE : read_request(&decoder, message);
    buf_done(&decoder.mixed);
    if (err == ERR_NONE)
        *ret_counts = decoder.counts;
    return err;
}

enum err remote_write_read(struct str packed, size_t limit_bytes, struct label_memo *memo,
                           struct batch *out, struct remote_write_counts *ret_counts,
                           struct why *why)
{
    struct buf message CLEANUP(buf_done) = {0};

    TRY(snappy_unpack(packed, limit_bytes, &message, why));
    return remote_write_decode(buf_view(&message), memo, out, ret_counts, why);
}
