/* SPDX-License-Identifier: Apache-2.0 */
/* Any headers: what was read is written, and reads the same again. The first line is traceparent,
 * the next b3, X-B3-TraceId, X-B3-SpanId, X-B3-Sampled, tracestate and baggage. */
#include "base/must.h"
#include "sonde/sonde.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* strndup would look for the end of a text that has none. */
static char *copy_of(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    MUST(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS_COUNT = 7 };

static const char *const names[HEADERS_COUNT] = {
    "traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "tracestate", "baggage"};

struct request {
    char *values[HEADERS_COUNT];
};

static const char *get(void *self, const char *name)
{
    const struct request *request = self;

    for (size_t i = 0; i < HEADERS_COUNT; i++) {
        if (strcasecmp(names[i], name) == 0)
            return request->values[i];
    }
    return NULL;
}

static void put(void *self, const char *name, const char *value)
{
    struct request *request = self;

    MUST(strpbrk(value, "\r\n") == NULL);
    for (size_t i = 0; i < HEADERS_COUNT; i++) {
        if (strcasecmp(names[i], name) == 0)
            request->values[i] = strdup(value);
    }
}

static void free_all(struct request *request)
{
    for (size_t i = 0; i < HEADERS_COUNT; i++)
        free(request->values[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sonde_headers first;
    static struct sonde_headers second;
    struct request in = {0};
    struct request out = {0};
    char value[64];

    for (size_t i = 0; i < HEADERS_COUNT && size > 0; i++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end == NULL ? size : (size_t)(end - data);
        in.values[i] = copy_of(data, length);
        length += end != NULL;
        data += length;
        size -= length;
    }
    bool found = sonde_headers_read(&first, get, &in);
    sonde_headers_write(&first, NULL, SONDE_W3C | SONDE_B3 | SONDE_B3_MULTI, put, &out);
    MUST(sonde_headers_read(&second, get, &out) == found);
    MUST(memcmp(&first.context, &second.context, sizeof(first.context)) == 0);
    MUST(strcmp(first.tracestate, second.tracestate) == 0);
    MUST(strcmp(first.baggage, second.baggage) == 0);
    (void)sonde_baggage_get(&first, "user", value, sizeof(value)); /* It may not be there. */
    if (sonde_baggage_set(&first, "user", "a, b")) {
        MUST(sonde_baggage_get(&first, "user", value, sizeof(value)));
        MUST(strcmp(value, "a, b") == 0);
        MUST(strlen(first.baggage) <= SONDE_BAGGAGE_BYTES_MAX);
    }
    free_all(&in);
    free_all(&out);
    return 0;
}
