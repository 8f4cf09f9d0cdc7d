/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP says which answers mean "again": over HTTP 429, 502, 503 and 504, over gRPC seven codes, and
 * RESOURCE_EXHAUSTED only when it comes with RetryInfo. A wrong token or path is the sender's
 * mistake: sending on is useless until somebody mends it, but nothing is wrong with the data, so it
 * is kept. */
#include "export/answer.h"

#include "base/clock.h"
#include "codec/otlp_answer.h"
#include "codec/protobuf.h"

#include <time.h>

enum {
    TEXT_SHOWN = 200,
    DETAILS_BYTES_MAX = 4096,
    GRPC_HEAD = 5, /* Flag and length before a message. */
    CODE_ABORTED = 10,
    CODE_OUT_OF_RANGE = 11,
    CODE_DATA_LOSS = 15,
};

static const int64_t WAIT_NS_MAX =
    3600 * CLOCK_NS_PER_S; /* A receiver may not silence us longer. */

static struct str header_of(const struct http_reply *reply, struct str name)
{
    for (size_t i = 0; i < reply->headers_count; i++) {
        if (str_eq_nocase(reply->headers[i].name, name))
            return reply->headers[i].value;
    }
    return STR_NONE;
}

static void say(struct answer_meaning *meaning, enum verdict verdict, const char *what, int code,
                struct str text)
{
    if (text.size > TEXT_SHOWN)
        text.size = TEXT_SHOWN;
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ' || (unsigned char)text.data[i] > '~') {
            text.size = i; /* Protobuf, or nothing for a log. */
            break;
        }
    }
    meaning->verdict = verdict;
    (void)fail(&meaning->why, ERR_UPSTREAM, "%s %d%s%.*s", what, code, text.size > 0 ? ": " : "",
               STR_ARG(text)); /* Told by whoever logs. */
}

static int64_t bounded(double seconds)
{
    double most = (double)WAIT_NS_MAX / 1e9;

    if (!(seconds > 0))
        return 0;
    return seconds > most ? WAIT_NS_MAX : (int64_t)(seconds * 1e9);
}

/* Seconds, or a date: "Fri, 20 Nov 2026 21:00:00 GMT". */
static int64_t read_retry_after(struct str text, int64_t now_ms)
{
    struct tm date = {0};
    char line[64];
    uint64_t seconds;

    if (str_to_u64(str_trim(text), &seconds))
        return bounded((double)seconds);
    if (text.size == 0 || text.size >= sizeof(line))
        return 0;
    memcpy(line, text.data, text.size);
    line[text.size] = '\0';
    if (strptime(line, "%a, %d %b %Y %H:%M:%S GMT", &date) == NULL)
        return 0;
    return bounded((double)timegm(&date) - (double)now_ms / 1000);
}

/* ---- What arrived only in part. ---- */

static void read_partial(struct str bytes, struct answer_meaning *meaning)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    struct str text = STR("");

    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_VARINT)
            meaning->rejected_items = field.value;
        else if (field.number == 2 && field.wire == PROTOBUF_BYTES)
            text = field.bytes;
    }
    if (meaning->rejected_items > 0 || text.size > 0) {
        if (text.size > TEXT_SHOWN)
            text.size = TEXT_SHOWN;
        (void)fail(&meaning->why, ERR_UPSTREAM, "%llu were rejected: %.*s",
                   (unsigned long long)meaning->rejected_items, STR_ARG(text)); /* As in say(). */
    }
}

/* An Export…ServiceResponse; all three signals have the same fields. */
static void read_response(struct str bytes, struct answer_meaning *meaning)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    meaning->verdict = VERDICT_ARRIVED;
    while (protobuf_next(&message, &field)) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES)
            read_partial(field.bytes, meaning);
    }
}

/* ---- HTTP. ---- */

static struct str status_message(struct str body)
{
    struct protobuf message = protobuf_of(body);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (field.number == 2 && field.wire == PROTOBUF_BYTES)
            return field.bytes;
    }
    return body;
}

static void read_http(const struct http_reply *reply, int64_t now_ms,
                      struct answer_meaning *meaning)
{
    enum verdict verdict = VERDICT_REFUSED;
    int status = reply->status;

    if (status >= 200 && status < 300) {
        struct str type = header_of(reply, STR("content-type"));
        if (str_starts(type, STR("application/x-protobuf")))
            read_response(reply->body, meaning);
        return;
    }
    if (status == 429 || (status >= 502 && status <= 504))
        verdict = VERDICT_LATER;
    else if (status == 413)
        verdict = VERDICT_TOO_LARGE;
    else if (status < 400 || status == 401 || (status >= 403 && status <= 407))
        verdict = VERDICT_MISTAKEN;
    say(meaning, verdict, "HTTP", status, status_message(reply->body));
    if (verdict == VERDICT_LATER)
        meaning->wait_ns = read_retry_after(header_of(reply, STR("retry-after")), now_ms);
}

/* ---- gRPC. ---- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Stops at what is no digit, so padding or none is the same. */
static size_t read_base64(struct str text, char *out, size_t size)
{
    uint32_t bits = 0;
    unsigned bits_count = 0;
    size_t written = 0;

    for (size_t i = 0; i < text.size && written < size; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            break;
        bits = bits << 6 | (uint32_t)digit;
        bits_count += 6;
        if (bits_count >= 8) {
            bits_count -= 8;
            out[written++] = (char)(bits >> bits_count & 0xff);
        }
    }
    return written;
}

static int64_t read_duration(struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;
    double seconds = 0;

    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_VARINT && field.number == 1)
            seconds += (double)(int64_t)field.value;
        else if (field.wire == PROTOBUF_VARINT && field.number == 2)
            seconds += (double)(int64_t)field.value / 1e9;
    }
    return bounded(seconds);
}

/* Any { type_url 1, value 2 } of RetryInfo { retry_delay 1 }. */
static bool read_retry_info(struct str any, int64_t *ret_wait_ns)
{
    struct protobuf message = protobuf_of(any);
    struct protobuf_field field;
    struct str type = STR("");
    struct str value = STR("");

    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_BYTES && field.number == 1)
            type = field.bytes;
        else if (field.wire == PROTOBUF_BYTES && field.number == 2)
            value = field.bytes;
    }
    if (!str_ends(type, STR("google.rpc.RetryInfo")))
        return false;
    message = protobuf_of(value);
    while (protobuf_next(&message, &field)) {
        if (field.wire == PROTOBUF_BYTES && field.number == 1)
            *ret_wait_ns = read_duration(field.bytes);
    }
    return true;
}

static bool find_retry_info(const struct http_reply *reply, int64_t *ret_wait_ns)
{
    char details[DETAILS_BYTES_MAX];
    struct str text = header_of(reply, STR("grpc-status-details-bin"));
    struct protobuf status =
        protobuf_of((struct str){details, read_base64(text, details, sizeof(details))});
    struct protobuf_field field;

    while (protobuf_next(&status, &field)) {
        if (field.number == 3 && field.wire == PROTOBUF_BYTES &&
            read_retry_info(field.bytes, ret_wait_ns))
            return true;
    }
    return false;
}

static enum verdict verdict_of_code(uint64_t code, bool has_retry_info)
{
    switch (code) {
    case OTLP_CODE_CANCELLED:
    case OTLP_CODE_DEADLINE_EXCEEDED:
    case CODE_ABORTED:
    case CODE_OUT_OF_RANGE:
    case OTLP_CODE_UNAVAILABLE:
    case CODE_DATA_LOSS:
        return VERDICT_LATER;
    case OTLP_CODE_RESOURCE_EXHAUSTED:
        return has_retry_info ? VERDICT_LATER : VERDICT_TOO_LARGE;
    case OTLP_CODE_UNAUTHENTICATED:
    case OTLP_CODE_PERMISSION_DENIED:
    case OTLP_CODE_NOT_FOUND:
    case OTLP_CODE_UNIMPLEMENTED:
        return VERDICT_MISTAKEN;
    default:
        return VERDICT_REFUSED;
    }
}

static void read_grpc(const struct http_reply *reply, int64_t now_ms,
                      struct answer_meaning *meaning)
{
    struct str text = header_of(reply, STR("grpc-status"));
    int64_t wait_ns = 0;
    uint64_t code;

    if (reply->status != 200) {
        read_http(reply, now_ms, meaning);
        return;
    }
    if (!str_to_u64(str_trim(text), &code)) {
        say(meaning, VERDICT_MISTAKEN, "an answer that is not gRPC's, HTTP", reply->status,
            STR(""));
        return;
    }
    if (code == OTLP_CODE_OK) {
        struct str body = reply->body;
        if (body.size >= GRPC_HEAD && body.data[0] == 0)
            read_response((struct str){body.data + GRPC_HEAD, body.size - GRPC_HEAD}, meaning);
        return;
    }
    bool has_retry_info = find_retry_info(reply, &wait_ns);
    say(meaning, verdict_of_code(code, has_retry_info), "gRPC status", (int)(code > 99 ? 99 : code),
        header_of(reply, STR("grpc-message")));
    meaning->wait_ns = meaning->verdict == VERDICT_LATER ? wait_ns : 0;
}

void answer_read(const struct http_reply *reply, bool is_grpc, int64_t now_ms,
                 struct answer_meaning *ret_meaning)
{
    *ret_meaning = (struct answer_meaning){.verdict = VERDICT_ARRIVED, .why = WHY_INIT};
    if (reply->err != ERR_NONE) {
        ret_meaning->verdict = VERDICT_LATER;
        ret_meaning->why = *reply->why;
    } else if (is_grpc) {
        read_grpc(reply, now_ms, ret_meaning);
    } else {
        read_http(reply, now_ms, ret_meaning);
    }
}
