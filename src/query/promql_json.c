/* SPDX-License-Identifier: Apache-2.0 */
#include "query/promql_json.h"

#include "base/json.h"
#include "model/label.h"

enum { TIME_SIZE = 32, POINT_SIZE = TIME_SIZE + STR_DOUBLE_SIZE + 6 };

/* Seconds, with three digits behind the point where there are milliseconds. */
static size_t format_time(char text[TIME_SIZE], int64_t time_ms)
{
    uint64_t ms = time_ms < 0 ? -(uint64_t)time_ms : (uint64_t)time_ms;
    char reversed[TIME_SIZE];
    size_t count = 0;
    size_t size = 0;

    for (uint64_t rest = ms / 1000; rest > 0 || count == 0; rest /= 10)
        reversed[count++] = (char)('0' + rest % 10);
    if (time_ms < 0)
        text[size++] = '-';
    while (count > 0)
        text[size++] = reversed[--count];
    if (ms % 1000 == 0)
        return size;
    text[size++] = '.';
    text[size++] = (char)('0' + ms / 100 % 10);
    text[size++] = (char)('0' + ms / 10 % 10);
    text[size++] = (char)('0' + ms % 10);
    return size;
}

/* [1435781451.781,"1.5"] */
static void write_point(struct buf *buf, int64_t time_ms, double value)
{
    char *text = buf_reserve(buf, POINT_SIZE);
    size_t size = 0;

    text[size++] = '[';
    size += format_time(text + size, time_ms);
    text[size++] = ',';
    text[size++] = '"';
    size += str_from_double(text + size, value);
    text[size++] = '"';
    text[size++] = ']';
    buf->size += size;
}

static void write_labels(struct buf *buf, const struct labels *labels)
{
    struct label label;
    bool comma = false;

    buf_byte(buf, '{');
    for (size_t at = 0; labels_next(labels, &at, &label);) {
        if (comma)
            buf_byte(buf, ',');
        comma = true;
        json_str(buf, label.name);
        buf_byte(buf, ':');
        json_str(buf, label.value);
    }
    buf_byte(buf, '}');
}

static void write_series(struct buf *buf, const struct promql_series *series, bool vector)
{
    buf_text(buf, "{\"metric\":");
    write_labels(buf, series->labels);
    if (vector) {
        buf_text(buf, ",\"value\":");
        write_point(buf, series->times_ms[0], series->values[0]);
    } else {
        buf_text(buf, ",\"values\":[");
        for (size_t i = 0; i < series->count; i++) {
            if (i > 0)
                buf_byte(buf, ',');
            write_point(buf, series->times_ms[i], series->values[i]);
        }
        buf_byte(buf, ']');
    }
    buf_byte(buf, '}');
}

static void write_all_series(struct buf *buf, const struct promql_result *result)
{
    buf_byte(buf, '[');
    for (size_t i = 0; i < result->series_count; i++) {
        if (i > 0)
            buf_byte(buf, ',');
        write_series(buf, &result->series[i], result->type == PROMQL_VECTOR);
    }
    buf_byte(buf, ']');
}

static const char *type_name(enum promql_type type)
{
    switch (type) {
    case PROMQL_SCALAR:
        return "scalar";
    case PROMQL_VECTOR:
        return "vector";
    case PROMQL_MATRIX:
        return "matrix";
    case PROMQL_STRING:
        return "string";
    case PROMQL_NONE:
        break;
    }
    return "none";
}

void promql_json_data(const struct promql_result *result, struct buf *buf)
{
    buf_printf(buf, "{\"resultType\":\"%s\",\"result\":", type_name(result->type));
    if (result->type == PROMQL_SCALAR) {
        write_point(buf, result->time_ms, result->scalar);
    } else if (result->type == PROMQL_STRING) {
        buf_byte(buf, '[');
        buf->size += format_time(buf_reserve(buf, TIME_SIZE), result->time_ms);
        buf_byte(buf, ',');
        json_str(buf, result->string);
        buf_byte(buf, ']');
    } else {
        write_all_series(buf, result);
    }
    buf_byte(buf, '}');
}

static void write_notes(struct buf *buf, const struct promql_result *result, bool warnings)
{
    bool comma = false;

    for (size_t i = 0; i < result->notes_count; i++) {
        if (result->notes[i].warning != warnings)
            continue;
        buf_text(buf, comma ? "," : warnings ? ",\"warnings\":[" : ",\"infos\":[");
        comma = true;
        json_str(buf, str_of(result->notes[i].text));
    }
    if (comma)
        buf_byte(buf, ']');
}

void promql_json_result(const struct promql_result *result, struct buf *buf)
{
    buf_text(buf, "{\"status\":\"success\",\"data\":");
    promql_json_data(result, buf);
    write_notes(buf, result, true);
    write_notes(buf, result, false);
    buf_byte(buf, '}');
}

/* The words that Prometheus has for them. */
static const char *error_type(enum err err)
{
    switch (err) {
    case ERR_INVALID:
        return "bad_data";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELLED:
        return "canceled";
    case ERR_LIMIT:
    case ERR_TOO_LARGE:
        return "execution";
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_BUSY:
    case ERR_FULL:
    case ERR_CLOSED:
        return "unavailable";
    default:
        return "internal";
    }
}

void promql_json_error(const struct why *why, struct buf *buf)
{
    buf_printf(buf, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", error_type(why->err));
    json_str(buf, str_of(why->text));
    buf_printf(buf, ",\"code\":\"%s\"", err_code(why->err));
    if (why->hint[0] != '\0') {
        buf_text(buf, ",\"hint\":");
        json_str(buf, str_of(why->hint));
    }
    if (why->position >= 0)
        buf_printf(buf, ",\"position\":%d", why->position);
    buf_byte(buf, '}');
}
