/* SPDX-License-Identifier: Apache-2.0 */
/* W3C's trace context: version 00 is written, any later version is read as far as it is like 00.
 * Ids come from a generator per thread, seeded by the kernel, and again after a fork. */
#include "client/client_priv.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    /* 00-<32 hex>-<16 hex>-<2 hex> */
    TRACE_AT = 3,
    SPAN_AT = 36,
    FLAGS_AT = 53,
    TEXT_SIZE = 55,
};

static _Thread_local struct sonde_context current;
static _Thread_local uint64_t generator[2];
static _Thread_local uint32_t generator_generation;
static _Atomic uint32_t generation =
    1; /* Raised in each child, which must not repeat its parent. */

void client_reseed(void)
{
    (void)atomic_fetch_add(&generation, 1); /* The count is all. */
}

static void seed(void)
{
    if (getrandom(generator, sizeof(generator), GRND_NONBLOCK) != sizeof(generator)) {
        generator[0] = (uint64_t)client_now_ns() * UINT64_C(0x9e3779b97f4a7c15);
        generator[1] = (uint64_t)(uintptr_t)&generator ^ (uint64_t)time(NULL) << 20;
    }
    generator[0] |= 1; /* All zero would stay so. */
    generator_generation = atomic_load_explicit(&generation, memory_order_relaxed);
}

/* xorshift128+: not for secrets. */
static uint64_t draw(void)
{
    if (generator_generation != atomic_load_explicit(&generation, memory_order_relaxed))
        seed();
    uint64_t x = generator[0];
    const uint64_t y = generator[1];
    generator[0] = y;
    x ^= x << 23;
    generator[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
    return generator[1] + y;
}

static void fill(uint8_t *id, size_t size)
{
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = draw();
        word += word == 0; /* No id may be all zero. */
        memcpy(id + at, &word, sizeof(word));
    }
}

bool client_is_nowhere(const struct sonde_context *context)
{
    static const struct sonde_context nowhere;

    return memcmp(context->trace_id, nowhere.trace_id, sizeof(nowhere.trace_id)) == 0 ||
           memcmp(context->span_id, nowhere.span_id, sizeof(nowhere.span_id)) == 0;
}

/* The last eight bytes of a trace id are drawn evenly in every SDK, so that all of them decide
 * alike over one trace. */
static bool is_sampled(const struct sonde_context *context, double ratio)
{
    uint64_t word = 0;

    for (size_t i = 8; i < 16; i++)
        word = word << 8 | context->trace_id[i];
    return ratio >= 1 || (double)(word >> 1) < ratio * 0x1p63;
}

struct sonde_context client_context_begin(const struct sonde_context *parent, double sample_ratio)
{
    struct sonde_context own = *parent;

    fill(own.span_id, sizeof(own.span_id));
    if (client_is_nowhere(parent)) {
        fill(own.trace_id, sizeof(own.trace_id));
        own.flags = is_sampled(&own, sample_ratio);
    }
    return own;
}

struct sonde_context sonde_current(void)
{
    return current;
}

struct sonde_context sonde_use(const struct sonde_context *context)
{
    struct sonde_context before = current;

    current = context == NULL ? (struct sonde_context){.flags = 0} : *context;
    return before;
}

/* Lower case only, as W3C has it. */
bool client_read_hex(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < 2 * size; i++) {
        char c = text[i];
        uint8_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint8_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint8_t)(c - 'a' + 10);
        else
            return false;
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
    }
    return true;
}

bool sonde_context_read(const char *traceparent, struct sonde_context *ret_context)
{
    struct sonde_context context = {.flags = 0};
    uint8_t version = 0;

    if (ret_context == NULL)
        return false;
    *ret_context = context;
    if (traceparent == NULL)
        return false;
    size_t size = strnlen(traceparent, TEXT_SIZE + 1);
    if (size < TEXT_SIZE || !client_read_hex(traceparent, &version, 1) || version == 0xff ||
        traceparent[TRACE_AT - 1] != '-' || traceparent[SPAN_AT - 1] != '-' ||
        traceparent[FLAGS_AT - 1] != '-')
        return false;
    if (size > TEXT_SIZE && (version == 0 || traceparent[TEXT_SIZE] != '-'))
        return false;
    if (!client_read_hex(traceparent + TRACE_AT, context.trace_id, sizeof(context.trace_id)) ||
        !client_read_hex(traceparent + SPAN_AT, context.span_id, sizeof(context.span_id)) ||
        !client_read_hex(traceparent + FLAGS_AT, &context.flags, 1) || client_is_nowhere(&context))
        return false;
    *ret_context = context;
    return true;
}

void client_write_hex(char *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void sonde_context_write(const struct sonde_context *context, char ret_text[SONDE_TRACEPARENT_SIZE])
{
    static const char frame[] = "00--";

    if (ret_text == NULL)
        return;
    ret_text[0] = '\0';
    if (context == NULL || client_is_nowhere(context))
        return;
    memcpy(ret_text, frame, TRACE_AT);
    client_write_hex(ret_text + TRACE_AT, context->trace_id, sizeof(context->trace_id));
    ret_text[SPAN_AT - 1] = '-';
    client_write_hex(ret_text + SPAN_AT, context->span_id, sizeof(context->span_id));
    ret_text[FLAGS_AT - 1] = '-';
    client_write_hex(ret_text + FLAGS_AT, &context->flags, 1);
    ret_text[TEXT_SIZE] = '\0';
}
