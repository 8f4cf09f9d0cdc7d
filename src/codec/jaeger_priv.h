/* SPDX-License-Identifier: Apache-2.0 */
/* jaeger_priv - a trace on its way into Jaeger's JSON: what jaeger_tags makes, jaeger_adjust mends
 * and jaeger_json writes. Everything lives in the arena of the call. */
#pragma once
#include "codec/jaeger_json.h"

enum jaeger_type { /* In the order in which Jaeger sorts. */
                   JAEGER_STRING,
                   JAEGER_BOOL,
                   JAEGER_INT64,
                   JAEGER_FLOAT64,
                   JAEGER_BINARY,
};

struct jaeger_tag {
    struct str key;
    enum jaeger_type type;
    union {
        struct str text; /* STRING and BINARY. */
        bool boolean;
        int64_t integer;
        double number;
    };
};

struct jaeger_tags {
    struct jaeger_tag *items;
    size_t count;
};

struct jaeger_reference {
    const uint8_t *trace_id;
    uint64_t span_id;
    bool is_child_of; /* Else FOLLOWS_FROM. */
};

struct jaeger_log {
    int64_t time_ns;
    struct jaeger_tags fields;
};

struct jaeger_process {
    const struct resource *resource; /* Of the first span that has it. */
    struct jaeger_tags tags;
    bool has_moved; /* Tags of spans among them. */
};

struct jaeger_span {
    const struct span *span;
    uint64_t id;
    struct jaeger_reference *references;
    size_t references_count;
    struct jaeger_tags tags;
    struct jaeger_tags moved; /* Tags that belong to the process. */
    struct jaeger_log *logs;
    size_t process; /* Index. */
    struct str *warnings;
    size_t warnings_count;
};

#define JAEGER_WARNINGS_MAX 16 /* Of one span. */

struct jaeger_trace {
    struct arena *arena;
    struct jaeger_span *spans;
    size_t spans_count;
    struct jaeger_process *processes;
    size_t processes_count;
};

/* jaeger_tags.c */
CHECKED enum err jaeger_tags_read(const struct attributes *attributes, struct arena *arena,
                                  struct jaeger_tags *ret_tags, struct why *why);
CHECKED enum err jaeger_span_read(const struct span *span, struct arena *arena,
                                  struct jaeger_span *ret_span, struct why *why);
void jaeger_tags_sort(struct jaeger_tags *tags);
int jaeger_tags_compare(const struct jaeger_tags *a, const struct jaeger_tags *b);
/* The value as text, as searches compare it. */
CHECKED enum err jaeger_tag_text(const struct jaeger_tag *tag, struct arena *arena,
                                 struct str *ret_text, struct why *why);

void jaeger_base64(struct buf *out, struct str bytes);

/* jaeger_adjust.c: what Jaeger's query service does to a trace before it answers. */
CHECKED enum err jaeger_adjust(struct jaeger_trace *trace, struct why *why);

/* Addresses that came as numbers, in "ip" and "peer.ipv4", become text. */
CHECKED enum err jaeger_unpack_addresses(struct jaeger_tags *tags, struct arena *arena,
                                         struct why *why);

/* The span that this one belongs under: 0 is none. */
uint64_t jaeger_parent(const struct jaeger_span *span);

static inline uint64_t jaeger_span_id(const uint8_t id[SPAN_ID_BYTES])
{
    uint64_t value = 0;

    for (size_t i = 0; i < SPAN_ID_BYTES; i++)
        value = value << 8 | id[i];
    return value;
}
