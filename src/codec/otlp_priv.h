/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_priv - what the readers and writers of the three signals share: values, attributes,
 * resources, scopes. */
#pragma once
#include "codec/otlp.h"
#include "codec/protobuf.h"

/* Attributes and list items are gathered on two stacks until their number is known, then copied to
 * the arena: one pass over the message, no growing array per list. */
struct quantile;

struct otlp_reader {
    struct arena *arena;
    struct why *why;
    struct attribute *attributes;
    size_t attributes_count;
    size_t attributes_capacity;
    struct value *values;
    size_t values_count;
    size_t values_capacity;
};

void otlp_reader_init(struct otlp_reader *reader, struct arena *arena, struct why *why);
void otlp_reader_done(struct otlp_reader *reader); /* For CLEANUP. */

/* "`what` is broken": the message as a whole is refused. */
enum err otlp_broken(struct otlp_reader *reader, const char *what);

/* A key=value pair of `bytes` onto the stack of attributes. */
CHECKED enum err otlp_push_attribute(struct otlp_reader *reader, struct str bytes, size_t depth);
/* What was pushed since `mark` (attributes_count then) becomes a list in the arena. */
CHECKED enum err otlp_pop_attributes(struct otlp_reader *reader, size_t mark,
                                     struct attributes *ret_attributes);
CHECKED enum err otlp_read_value(struct otlp_reader *reader, struct str bytes, size_t depth,
                                 struct value *ret_value);
CHECKED enum err otlp_read_resource(struct otlp_reader *reader, struct str bytes,
                                    struct resource *resource);
CHECKED enum err otlp_read_scope(struct otlp_reader *reader, struct str bytes, struct scope *scope);

/* True when bytes is an id of that size and not all zero; copies it. */
bool otlp_read_id(struct str bytes, size_t size, uint8_t *ret_id);

/* A time of the wire; what does not fit 63 bits is 0, "unknown". */
static inline int64_t otlp_time(uint64_t value)
{
    return value <= INT64_MAX ? (int64_t)value : 0;
}

/* ---- Writing. A message within a message needs its size first: room for it is left and filled in
 * when the content is there, as a varint of OTLP_SIZE_BYTES with leading zeros, which is legal.
 * ---- */

#define OTLP_SIZE_BYTES 4
#define OTLP_SIZE_MAX   ((size_t)1 << (7 * OTLP_SIZE_BYTES))

size_t otlp_open(struct buf *out, uint32_t number); /* Returns the place for otlp_close. */
void otlp_close(struct buf *out, size_t place);
void otlp_put_varint(struct buf *out, uint32_t number, uint64_t value);
void otlp_put_fixed64(struct buf *out, uint32_t number, uint64_t value);
void otlp_put_fixed32(struct buf *out, uint32_t number, uint32_t value);
void otlp_put_double(struct buf *out, uint32_t number, double value);
void otlp_put_bytes(struct buf *out, uint32_t number, struct str bytes);
/* As otlp_put_bytes; nothing when it is empty, as proto3 does. */
void otlp_put_text(struct buf *out, uint32_t number, struct str text);

void otlp_put_value(struct buf *out, uint32_t number, const struct value *value);
/* The pairs, and the count of dropped ones where there is one. */
void otlp_put_attributes(struct buf *out, uint32_t number, uint32_t dropped_number,
                         const struct attributes *attributes);
void otlp_put_resource(struct buf *out, const struct resource *resource);
void otlp_put_scope(struct buf *out, const struct scope *scope);
/* Into an open ExponentialHistogramDataPoint: counts, sum, buckets, extremes. */
void otlp_put_sketch(struct buf *out, const struct quantile *sketch);
