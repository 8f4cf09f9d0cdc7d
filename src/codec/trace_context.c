/* SPDX-License-Identifier: Apache-2.0 */
/*     traceparent   version - trace id - parent id - flags      00-0af7…-b7ad…-01
 *     tracestate    key=value, key=value                        the newest writer first
 *     baggage       key=value;property, key=value               values percent-encoded
 *     b3            trace id - span id - sampled - parent id    sampled: 0, 1, d (debug); or alone
 *
 * Digits of W3C's ids are lower case; B3's may be of either case, and its trace ids 16 or 32 long.
 */
#include "codec/trace_context.h"

#include "base/arena.h"

enum { STATE_KEY_MAX = 256, STATE_VALUE_MAX = 256 };

static int digit_of(char c, bool any_case)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return any_case && c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* `size` bytes from twice as many digits. */
static bool read_hex(const char *text, size_t size, bool any_case, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text[2 * i], any_case);
        int low = digit_of(text[2 * i + 1], any_case);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *write_hex(char *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    return text;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* ---- traceparent. ---- */

enum err traceparent_read(struct str text, struct trace_context *ret_context, struct why *why)
{
    struct trace_context context = {.is_decided = true};
    uint8_t version;

    text = str_trim(text);
    if (text.size < TRACEPARENT_SIZE || text.data[2] != '-' || text.data[35] != '-' ||
        text.data[52] != '-' || !read_hex(text.data, 1, false, &version) ||
        !read_hex(text.data + 3, TRACE_ID_BYTES, false, context.trace_id) ||
        !read_hex(text.data + 36, SPAN_ID_BYTES, false, context.span_id) ||
        !read_hex(text.data + 53, 1, false, &context.flags))
        return fail(why, ERR_INVALID, "the traceparent is none");
    if (version == 0xff || (version == 0 && text.size != TRACEPARENT_SIZE) ||
        (text.size > TRACEPARENT_SIZE && text.data[TRACEPARENT_SIZE] != '-'))
        return fail(why, ERR_INVALID, "the traceparent is of a version that cannot be");
    if (is_zero(context.trace_id, TRACE_ID_BYTES) || is_zero(context.span_id, SPAN_ID_BYTES))
        return fail(why, ERR_INVALID, "the traceparent has an id of zeros");
    *ret_context = context;
    return ERR_NONE;
}

void traceparent_write(const struct trace_context *context, char text[TRACEPARENT_SIZE + 1])
{
    char *at = text;

    memcpy(at, "00-", 3);
    at = write_hex(at + 3, context->trace_id, TRACE_ID_BYTES);
    *at++ = '-';
    at = write_hex(at, context->span_id, SPAN_ID_BYTES);
    *at++ = '-';
    at = write_hex(at, &context->flags, 1);
    *at = '\0';
}

/* ---- tracestate. ---- */

static bool is_state_key(struct str key)
{
    if (key.size == 0 || key.size > STATE_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.size; i++) {
        char c = key.data[i];
        bool starts = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!starts && (i == 0 || (c != '_' && c != '-' && c != '*' && c != '/' && c != '@')))
            return false;
    }
    return true;
}

static bool is_state_value(struct str value)
{
    if (value.size == 0 || value.size > STATE_VALUE_MAX)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
            return false;
    }
    return value.data[value.size - 1] != ' ';
}

static bool has_key(const struct trace_pair_text *pairs, size_t count, struct str key)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(pairs[i].key, key))
            return true;
    }
    return false;
}

enum err tracestate_read(struct str text, struct trace_pair_text pairs[TRACE_STATE_PAIRS_MAX],
                         size_t *ret_count, struct why *why)
{
    size_t count = 0;

    while (text.data != NULL) {
        struct str value = str_trim(str_split(&text, ','));
        if (value.size == 0)
            continue; /* Empty members are allowed. */
        struct str key = str_split(&value, '=');
        if (value.data == NULL || !is_state_key(key) || !is_state_value(value))
            return fail(why, ERR_INVALID, "a member of the tracestate is none");
        if (count == TRACE_STATE_PAIRS_MAX || has_key(pairs, count, key))
            return fail(why, ERR_INVALID, "the tracestate has a key twice, or too many");
        pairs[count++] = (struct trace_pair_text){key, value};
    }
    *ret_count = count;
    return ERR_NONE;
}

void tracestate_update(struct str text, struct str key, struct str value, struct buf *out)
{
    struct trace_pair_text pairs[TRACE_STATE_PAIRS_MAX];
    size_t start = out->size;
    size_t count = 0;

    if (tracestate_read(text, pairs, &count, NULL) != ERR_NONE)
        count = 0;
    buf_str(out, key);
    buf_byte(out, '=');
    buf_str(out, value);
    for (size_t i = 0; i < count && i < TRACE_STATE_PAIRS_MAX - 1; i++) {
        size_t size = pairs[i].key.size + pairs[i].value.size + 2;
        if (str_eq(pairs[i].key, key) || out->size - start + size > TRACE_STATE_SIZE_MAX)
            continue;
        buf_byte(out, ',');
        buf_str(out, pairs[i].key);
        buf_byte(out, '=');
        buf_str(out, pairs[i].value);
    }
}

/* ---- baggage. ---- */

static enum err percent_decode(struct str text, struct arena *arena, struct str *ret_text,
                               struct why *why)
{
    char *data = arena_alloc(arena, text.size + 1);
    size_t size = 0;

    if (data == NULL)
        return arena_spent(arena, "the baggage", why);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte;
        if (text.data[i] == '%' && text.size - i > 2 &&
            read_hex(text.data + i + 1, 1, true, &byte)) {
            data[size++] = (char)byte;
            i += 2;
        } else {
            data[size++] = text.data[i];
        }
    }
    *ret_text = (struct str){data, size};
    return ERR_NONE;
}

enum err baggage_read(struct str text, struct arena *arena,
                      struct trace_pair_text pairs[BAGGAGE_PAIRS_MAX], size_t *ret_count,
                      struct why *why)
{
    size_t count = 0;

    if (text.size > BAGGAGE_SIZE_MAX)
        return fail(why, ERR_LIMIT, "the baggage is longer than %d bytes", BAGGAGE_SIZE_MAX);
    while (text.data != NULL && count < BAGGAGE_PAIRS_MAX) {
        struct str member = str_split(&text, ',');
        struct str value = str_split(&member, ';'); /* Properties are not for us. */
        struct str key = str_trim(str_split(&value, '='));
        if (value.data == NULL || key.size == 0)
            continue;
        TRY(percent_decode(str_trim(value), arena, &pairs[count].value, why));
        pairs[count++].key = key;
    }
    *ret_count = count;
    return ERR_NONE;
}

static bool is_baggage_byte(char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\' && c != '%';
}

void baggage_add(struct str key, struct str value, struct buf *out)
{
    if (out->size > 0)
        buf_byte(out, ',');
    buf_str(out, key);
    buf_byte(out, '=');
    for (size_t i = 0; i < value.size; i++) {
        if (is_baggage_byte(value.data[i]))
            buf_byte(out, (uint8_t)value.data[i]);
        else
            buf_printf(out, "%%%02X", (uint8_t)value.data[i]);
    }
}

/* ---- B3. ---- */

static bool read_b3_ids(struct str trace_id, struct str span_id, struct trace_context *context)
{
    if (trace_id.size == (size_t)2 * SPAN_ID_BYTES) { /* Short: zeros in front. */
        if (!read_hex(trace_id.data, SPAN_ID_BYTES, true, context->trace_id + SPAN_ID_BYTES))
            return false;
    } else if (trace_id.size != (size_t)2 * TRACE_ID_BYTES ||
               !read_hex(trace_id.data, TRACE_ID_BYTES, true, context->trace_id)) {
        return false;
    }
    return span_id.size == (size_t)2 * SPAN_ID_BYTES &&
           read_hex(span_id.data, SPAN_ID_BYTES, true, context->span_id) &&
           !is_zero(context->trace_id, TRACE_ID_BYTES) && !is_zero(context->span_id, SPAN_ID_BYTES);
}

static bool read_b3_sampled(struct str text, struct trace_context *context)
{
    bool yes = str_eq(text, STR("1")) || str_eq(text, STR("true"));
    bool debug = str_eq(text, STR("d"));

    if (!yes && !debug && !str_eq(text, STR("0")) && !str_eq(text, STR("false")))
        return false;
    context->is_decided = true;
    context->is_debug = debug;
    context->flags = yes || debug ? TRACE_FLAG_SAMPLED : 0;
    return true;
}

enum err b3_read(struct str text, struct trace_context *ret_context, struct why *why)
{
    struct trace_context context = {0};
    struct str rest = str_trim(text);

    if (rest.size == 1 && read_b3_sampled(rest, &context)) {
        *ret_context = context;
        return ERR_NONE;
    }
    struct str trace_id = str_split(&rest, '-');
    struct str span_id = rest.data == NULL ? STR_NONE : str_split(&rest, '-');
    struct str sampled = rest.data == NULL ? STR_NONE : str_split(&rest, '-');
    if (!read_b3_ids(trace_id, span_id, &context) ||
        (sampled.data != NULL && !read_b3_sampled(sampled, &context)))
        return fail(why, ERR_INVALID, "the header b3 is none");
    *ret_context = context;
    return ERR_NONE;
}

enum err b3_read_headers(struct str trace_id, struct str span_id, struct str sampled,
                         struct str flags, struct trace_context *ret_context, struct why *why)
{
    struct trace_context context = {0};

    if (trace_id.data != NULL && !read_b3_ids(str_trim(trace_id), str_trim(span_id), &context))
        return fail(why, ERR_INVALID, "X-B3-TraceId or X-B3-SpanId is none");
    if (sampled.data != NULL && !read_b3_sampled(str_trim(sampled), &context))
        return fail(why, ERR_INVALID, "X-B3-Sampled is neither 0 nor 1");
    if (str_eq(str_trim(flags), STR("1"))) {
        context.is_debug = context.is_decided = true;
        context.flags = TRACE_FLAG_SAMPLED;
    }
    if (trace_id.data == NULL && !context.is_decided)
        return fail(why, ERR_INVALID, "there are no headers of B3");
    *ret_context = context;
    return ERR_NONE;
}

void b3_write(const struct trace_context *context, char text[B3_SIZE + 1])
{
    char *at = write_hex(text, context->trace_id, TRACE_ID_BYTES);

    *at++ = '-';
    at = write_hex(at, context->span_id, SPAN_ID_BYTES);
    if (context->is_decided) {
        *at++ = '-';
        if (context->is_debug)
            *at++ = 'd';
        else
            *at++ = (context->flags & TRACE_FLAG_SAMPLED) != 0 ? '1' : '0';
    }
    *at = '\0';
}
