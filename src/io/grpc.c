/* SPDX-License-Identifier: Apache-2.0 */
/* On the wire a message is | 1 byte: is it compressed | 4 bytes big-endian: its size | message |.
 * The answer's status comes behind it, in trailers; an error has no message, so its status stands
 * in the only header there is. */
#include "io/grpc.h"

#include "base/clock.h"
#include "io/exchange.h"
#include "io/http_coding.h"

#include <stdio.h>

enum { FRAME_HEAD_BYTES = 5, SENTENCE_BYTES_MAX = 1024, TIMEOUT_DIGITS_MAX = 8 };

bool grpc_is_call(const struct exchange *exchange)
{
    struct str type = exchange_header(exchange, STR("content-type"));

    return exchange_version(exchange) == HTTP_2 && str_starts(type, STR("application/grpc")) &&
           (type.size == 16 || type.data[16] == '+' || type.data[16] == ';');
}

int64_t grpc_timeout_ns(struct str text)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {
        {'H', 3600 * CLOCK_NS_PER_S}, {'M', 60 * CLOCK_NS_PER_S}, {'S', CLOCK_NS_PER_S},
        {'m', CLOCK_NS_PER_MS},       {'u', CLOCK_NS_PER_US},     {'n', 1},
    };
    int64_t number;

    if (text.size < 2 || text.size > TIMEOUT_DIGITS_MAX + 1 ||
        !str_to_i64((struct str){text.data, text.size - 1}, &number) || number < 0)
        return INT64_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (units[i].unit == text.data[text.size - 1])
            return number > INT64_MAX / units[i].ns ? INT64_MAX : number * units[i].ns;
    }
    return INT64_MAX;
}

static enum err check_deadline(const struct exchange *exchange, struct why *why)
{
    int64_t timeout_ns = grpc_timeout_ns(exchange_header(exchange, STR("grpc-timeout")));

    if (timeout_ns == INT64_MAX ||
        clock_monotonic_ns() - exchange_started_ns(exchange) < timeout_ns)
        return ERR_NONE;
    return fail(why, ERR_TIMEOUT, "the caller's deadline of %lld ms has passed",
                (long long)(timeout_ns / CLOCK_NS_PER_MS));
}

static enum err decompress(const struct exchange *exchange, struct str message, size_t bytes_max,
                           struct buf *ret_message, struct why *why)
{
    struct str coding = exchange_header(exchange, STR("grpc-encoding"));

    if (coding.size == 0 || str_eq_nocase(coding, STR("identity")))
        return fail(why, ERR_INVALID, "the message is compressed, but grpc-encoding is missing");
    if (!http_coding_is_known(coding)) {
        (void)fail(why, ERR_UNSUPPORTED, "grpc-encoding %.*s is not known", STR_ARG(coding));
        hint(why, "use gzip, deflate, zstd or identity");
        return ERR_UNSUPPORTED;
    }
    return http_decode_body(coding, message, bytes_max, ret_message, why);
}

enum err grpc_read_message(struct exchange *exchange, size_t bytes_max, struct buf *ret_message,
                           struct why *why)
{
    struct str body = exchange_body(exchange);
    const uint8_t *head = (const uint8_t *)body.data;

    TRY(check_deadline(exchange, why));
    if (body.size < FRAME_HEAD_BYTES)
        return fail(why, ERR_INVALID, "the call has no message");
    uint64_t size = (uint64_t)head[1] << 24 | (uint64_t)head[2] << 16 | (uint64_t)head[3] << 8 |
                    (uint64_t)head[4];
    if (size > bytes_max)
        return fail(why, ERR_TOO_LARGE, "the message has %llu bytes, more than %zu",
                    (unsigned long long)size, bytes_max);
    if (size != body.size - FRAME_HEAD_BYTES)
        return fail(why, ERR_INVALID,
                    "the frame announces %llu bytes and %zu came: one message is expected",
                    (unsigned long long)size, body.size - FRAME_HEAD_BYTES);
    struct str message = {body.data + FRAME_HEAD_BYTES, size};
    if (head[0] > 1)
        return fail(why, ERR_INVALID, "the frame's flag is %u, not 0 or 1", head[0]);
    if (head[0] == 1)
        return decompress(exchange, message, bytes_max, ret_message, why);
    exchange_take_body(exchange, ret_message);
    buf_consume(ret_message, FRAME_HEAD_BYTES);
    return ERR_NONE;
}

/* ---- Answering. ---- */

/* Printable ASCII stays; the rest, and '%', is percent-encoded. */
static struct str encode_sentence(struct arena *arena, struct str sentence)
{
    static const char digits[] = "0123456789ABCDEF";
    struct buf text CLEANUP(buf_done) = {0};

    if (sentence.size > SENTENCE_BYTES_MAX)
        sentence.size = SENTENCE_BYTES_MAX;
    for (size_t i = 0; i < sentence.size; i++) {
        uint8_t c = (uint8_t)sentence.data[i];
        if (c >= 0x20 && c < 0x7f && c != '%') {
            buf_byte(&text, c);
            continue;
        }
        buf_byte(&text, '%');
        buf_byte(&text, (uint8_t)digits[c >> 4]);
        buf_byte(&text, (uint8_t)digits[c & 15]);
    }
    struct str kept = arena_str(arena, buf_view(&text));
    return kept.data == NULL ? STR("") : kept;
}

static struct str encode_details(struct arena *arena, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = 0;
        for (size_t b = 0; b < 3; b++)
            bits = bits << 8 | (b < count ? (uint8_t)bytes.data[i + b] : 0);
        for (size_t d = 0; d <= count; d++) /* Without padding, as gRPC likes it. */
            buf_byte(&text, (uint8_t)digits[bits >> (18 - 6 * d) & 63]);
    }
    struct str kept = arena_str(arena, buf_view(&text));
    return kept.data == NULL ? STR("") : kept;
}

static struct buf frame(struct buf *message)
{
    struct buf framed = {0};
    size_t size = message == NULL ? 0 : message->size;

    buf_byte(&framed, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_byte(&framed, (uint8_t)(size >> shift));
    if (message != NULL) {
        buf_str(&framed, buf_view(message));
        buf_done(message);
    }
    return framed;
}

void grpc_respond(struct exchange *exchange, const struct grpc_answer *answer)
{
    struct arena *arena = exchange_arena(exchange);
    struct http_header fields[3];
    struct buf body = {0};
    size_t count = 0;
    char *number = arena_printf(arena, "%d", (int)answer->status);
    bool is_ok = answer->status == GRPC_OK;

    fields[count++] =
        (struct http_header){STR("grpc-status"), number == NULL ? STR("13") : str_of(number)};
    if (!is_ok)
        fields[count++] =
            (struct http_header){STR("grpc-message"), encode_sentence(arena, answer->sentence)};
    if (answer->details.size > 0)
        fields[count++] = (struct http_header){STR("grpc-status-details-bin"),
                                               encode_details(arena, answer->details)};
    if (is_ok)
        body = frame(answer->message);
    exchange_respond(exchange, &(struct http_response){
                                   .status = 200,
                                   .content_type = STR("application/grpc"),
                                   .body = is_ok ? &body : NULL,
                                   .headers = is_ok ? NULL : fields,
                                   .headers_count = is_ok ? 0 : count,
                                   .trailers = is_ok ? fields : NULL,
                                   .trailers_count = is_ok ? count : 0,
                                   .as_is = true,
                               });
}
