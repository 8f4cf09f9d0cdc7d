/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that travel with a request: traceparent is read in context.c, here are B3, tracestate and
 * baggage.
 *
 *     b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90
 *         trace id of 64 or 128 bits       span id          sampled (0, 1, d), parent: both
 * optional tracestate: vendor=value,other=value      handed on as it came baggage:
 * user=42,region=eu%20west;ttl=3   values percent-encoded, properties handed on
 *
 * Headers come from strangers and go out to others: a byte that could end a header makes the whole
 * count as absent, and what is too long loses whole members at its end. */
#include "client/client_priv.h"

#include <string.h>

enum {
    TRACE_DIGITS = 32,
    SPAN_DIGITS = 16,
};

/* ---- B3. ---- */

static size_t digits_of(const char *text)
{
    return strspn(text, "0123456789abcdef");
}

/* A trace id of 32 digits, or of 16 with zeros before it. */
static bool read_trace(const char *text, size_t digits, struct sonde_context *context)
{
    if (digits == TRACE_DIGITS)
        return client_read_hex(text, context->trace_id, sizeof(context->trace_id));
    return digits == SPAN_DIGITS && client_read_hex(text, context->trace_id + 8, 8);
}

/* The state of sampling: '0', '1' or 'd' (debug, which is more than sampled). */
static bool read_state(char state, uint8_t *ret_flags)
{
    *ret_flags = state != '0';
    return state == '0' || state == '1' || state == 'd';
}

bool sonde_context_read_b3(const char *b3, struct sonde_context *ret_context)
{
    struct sonde_context context = {.flags = 1};

    if (ret_context == NULL)
        return false;
    *ret_context = (struct sonde_context){.flags = 0};
    if (b3 == NULL)
        return false;
    size_t digits = digits_of(b3);
    if (!read_trace(b3, digits, &context) || b3[digits] != '-')
        return false;
    const char *at = b3 + digits + 1;
    if (digits_of(at) != SPAN_DIGITS || !client_read_hex(at, context.span_id, 8))
        return false;
    at += SPAN_DIGITS;
    if (*at == '-') {
        if (!read_state(at[1], &context.flags))
            return false;
        at += 2;
        if (*at == '-' && digits_of(at + 1) == SPAN_DIGITS)
            at += 1 + SPAN_DIGITS;
    }
    if (*at != '\0' || client_is_nowhere(&context))
        return false;
    *ret_context = context;
    return true;
}

void sonde_context_write_b3(const struct sonde_context *context, char ret_text[SONDE_B3_SIZE])
{
    if (ret_text == NULL)
        return;
    ret_text[0] = '\0';
    if (context == NULL || client_is_nowhere(context))
        return;
    client_write_hex(ret_text, context->trace_id, sizeof(context->trace_id));
    ret_text[TRACE_DIGITS] = '-';
    client_write_hex(ret_text + TRACE_DIGITS + 1, context->span_id, sizeof(context->span_id));
    ret_text[TRACE_DIGITS + 1 + SPAN_DIGITS] = '-';
    ret_text[TRACE_DIGITS + 2 + SPAN_DIGITS] = (context->flags & 1) != 0 ? '1' : '0';
    ret_text[TRACE_DIGITS + 3 + SPAN_DIGITS] = '\0';
}

static bool says(const char *header, const char *text)
{
    return header != NULL && strcmp(header, text) == 0;
}

static bool read_multi(sonde_header_get get, void *self, struct sonde_context *ret_context)
{
    struct sonde_context context = {.flags = 1};
    const char *trace = get(self, "x-b3-traceid");
    const char *sampled;

    if (trace == NULL || trace[digits_of(trace)] != '\0' ||
        !read_trace(trace, digits_of(trace), &context))
        return false;
    const char *span = get(self, "x-b3-spanid"); /* What get gave before may be gone. */
    if (span == NULL || digits_of(span) != SPAN_DIGITS || span[SPAN_DIGITS] != '\0' ||
        !client_read_hex(span, context.span_id, sizeof(context.span_id)) ||
        client_is_nowhere(&context))
        return false;
    sampled = get(self, "x-b3-sampled");
    context.flags = !says(sampled, "0") && !says(sampled, "false");
    if (says(get(self, "x-b3-flags"), "1"))
        context.flags = 1;
    *ret_context = context;
    return true;
}

/* ---- Lists of members with commas between. ---- */

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || (unsigned char)*text > '~')
            return false;
    }
    return true;
}

static size_t member_size(const char *at)
{
    return strcspn(at, ",");
}

/* As many whole members as fit. */
static void keep_members(char *place, size_t bytes_max, size_t members_max, const char *header)
{
    size_t size = 0;

    place[0] = '\0';
    if (header == NULL || !is_plain(header))
        return;
    for (size_t count = 0; count < members_max; count++) {
        size_t next = size + member_size(header + size);
        if (next > bytes_max)
            break;
        size = next;
        if (header[size] == '\0')
            break;
        size++; /* The comma, for now. */
    }
    while (size > 0 && header[size - 1] == ',') /* Cut here, or of empty members. */
        size--;
    memcpy(place, header, size);
    place[size] = '\0';
}

bool sonde_headers_read(struct sonde_headers *ret_headers, sonde_header_get get, void *self)
{
    enum { TRACESTATE_MEMBERS_MAX = 32 };

    if (ret_headers == NULL)
        return false;
    ret_headers->context = (struct sonde_context){.flags = 0};
    ret_headers->tracestate[0] = '\0';
    ret_headers->baggage[0] = '\0';
    if (get == NULL)
        return false;
    keep_members(ret_headers->baggage, SONDE_BAGGAGE_BYTES_MAX, SONDE_BAGGAGE_MEMBERS_MAX,
                 get(self, "baggage"));
    if (sonde_context_read(get(self, "traceparent"), &ret_headers->context)) {
        keep_members(ret_headers->tracestate, SONDE_TRACESTATE_BYTES_MAX, TRACESTATE_MEMBERS_MAX,
                     get(self, "tracestate"));
        return true;
    }
    return sonde_context_read_b3(get(self, "b3"), &ret_headers->context) ||
           read_multi(get, self, &ret_headers->context);
}

/* ---- Writing. ---- */

static void put_multi(const struct sonde_context *context, sonde_header_put put, void *self)
{
    char digits[TRACE_DIGITS + 1] = "";

    client_write_hex(digits, context->trace_id, sizeof(context->trace_id));
    put(self, "X-B3-TraceId", digits);
    client_write_hex(digits, context->span_id, sizeof(context->span_id));
    digits[SPAN_DIGITS] = '\0';
    put(self, "X-B3-SpanId", digits);
    put(self, "X-B3-Sampled", (context->flags & 1) != 0 ? "1" : "0");
}

void sonde_headers_write(const struct sonde_headers *headers, const struct sonde_context *context,
                         unsigned forms, sonde_header_put put, void *self)
{
    char text[SONDE_TRACEPARENT_SIZE];

    if (put == NULL)
        return;
    if (context == NULL && headers != NULL)
        context = &headers->context;
    if (headers != NULL && headers->baggage[0] != '\0')
        put(self, "baggage", headers->baggage);
    if (context == NULL || client_is_nowhere(context))
        return;
    if ((forms & SONDE_W3C) != 0) {
        sonde_context_write(context, text);
        put(self, "traceparent", text);
        if (headers != NULL && headers->tracestate[0] != '\0')
            put(self, "tracestate", headers->tracestate);
    }
    if ((forms & SONDE_B3) != 0) {
        sonde_context_write_b3(context, text);
        put(self, "b3", text);
    }
    if ((forms & SONDE_B3_MULTI) != 0)
        put_multi(context, put, self);
}

/* ---- Baggage. ---- */

static size_t skip_blanks(const char *at, size_t size)
{
    size_t blanks = strspn(at, " \t");

    return blanks < size ? blanks : size;
}

/* The member of that key, or NULL; *ret_size is its size up to the comma. */
static const char *find_member(const char *baggage, const char *key, size_t *ret_size)
{
    size_t key_size = strlen(key);

    for (const char *at = baggage; *at != '\0'; at += *at == ',') {
        size_t size = member_size(at);
        size_t blanks = skip_blanks(at, size);
        const char *name = at + blanks;
        size_t left = size - blanks;
        if (left > key_size && memcmp(name, key, key_size) == 0) {
            size_t behind = key_size + skip_blanks(name + key_size, left - key_size);
            if (behind < left && name[behind] == '=') {
                *ret_size = size;
                return at;
            }
        }
        at += size;
    }
    return NULL;
}

/* One byte of a percent-encoded text; *at is moved on. */
static char decoded(const char **at, const char *end)
{
    uint8_t byte;

    if (**at == '%' && end - *at >= 3) {
        char digits[3] = {(char)((*at)[1] | 0x20), (char)((*at)[2] | 0x20), '\0'};
        if (client_read_hex(digits, &byte, 1)) {
            *at += 3;
            return (char)byte;
        }
    }
    return *(*at)++;
}

bool sonde_baggage_get(const struct sonde_headers *headers, const char *key, char *ret_value,
                       size_t capacity)
{
    size_t size;

    if (ret_value == NULL || capacity == 0)
        return false;
    ret_value[0] = '\0';
    if (headers == NULL || key == NULL)
        return false;
    const char *member = find_member(headers->baggage, key, &size);
    if (member == NULL)
        return false;
    const char *end = member + size;
    const char *at = (const char *)memchr(member, '=', size) + 1;
    const char *properties = memchr(at, ';', (size_t)(end - at));
    end = properties != NULL ? properties : end;
    at += skip_blanks(at, (size_t)(end - at));
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t kept = 0;
    while (at < end && kept + 1 < capacity)
        ret_value[kept++] = decoded(&at, end);
    ret_value[at < end ? 0 : kept] = '\0';
    return at == end;
}

static bool is_token(const char *key)
{
    static const char others[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return key[0] != '\0' && key[strspn(key, others)] == '\0';
}

/* What stands for itself in a baggage's value. */
static bool is_safe(unsigned char c)
{
    return c > ' ' && c <= '~' && strchr("\",;\\%", c) == NULL;
}

static size_t encoded_size(const char *value)
{
    size_t size = 0;

    for (; *value != '\0'; value++)
        size += is_safe((unsigned char)*value) ? 1 : 3;
    return size;
}

static void write_encoded(char *place, const char *value)
{
    for (; *value != '\0'; value++) {
        uint8_t byte = (uint8_t)*value;
        if (is_safe(byte)) {
            *place++ = *value;
            continue;
        }
        *place++ = '%';
        client_write_hex(place, &byte, 1);
        place += 2;
    }
    *place = '\0';
}

static size_t count_members(const char *baggage)
{
    size_t count = baggage[0] != '\0';

    for (; *baggage != '\0'; baggage++)
        count += *baggage == ',';
    return count;
}

static void remove_member(char *baggage, const char *member, size_t size)
{
    char *place = baggage + (member - baggage);
    const char *rest = member + size;

    if (*rest == ',')
        rest++;
    else if (place > baggage)
        place--; /* The comma before the last one. */
    memmove(place, rest, strlen(rest) + 1);
}

bool sonde_baggage_set(struct sonde_headers *headers, const char *key, const char *value)
{
    size_t size = 0;

    if (headers == NULL || key == NULL || !is_token(key))
        return false;
    char *baggage = headers->baggage;
    const char *old = find_member(baggage, key, &size);
    size_t used = strlen(baggage) - (old == NULL ? 0 : size);
    size_t key_size = strlen(key);
    size_t value_size = value == NULL ? 0 : encoded_size(value);
    if (value != NULL && (used + key_size + value_size + 2 > SONDE_BAGGAGE_BYTES_MAX ||
                          (old == NULL && count_members(baggage) >= SONDE_BAGGAGE_MEMBERS_MAX)))
        return false;
    for (; old != NULL; old = find_member(baggage, key, &size)) /* A stranger may repeat it. */
        remove_member(baggage, old, size);
    if (value == NULL)
        return true;
    char *end = baggage + strlen(baggage);
    if (end > baggage)
        *end++ = ',';
    memcpy(end, key, key_size);
    end[key_size] = '=';
    write_encoded(end + key_size + 1, value);
    return true;
}
