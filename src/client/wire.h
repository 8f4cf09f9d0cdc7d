/* SPDX-License-Identifier: Apache-2.0 */
/* wire - writes protobuf into memory of a fixed size; what does not fit marks the whole as full.
 *
 * The house has another writer (codec/otlp) that grows its memory and ends the process when there
 * is none. This one lives in other people's programs, so it does neither. One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool full; /* Something was left out; size is what did fit. */
};

void wire_varint(struct wire *wire, uint32_t field, uint64_t value);
void wire_fixed64(struct wire *wire, uint32_t field, uint64_t value);
void wire_fixed32(struct wire *wire, uint32_t field, uint32_t value);
void wire_number(struct wire *wire, uint32_t field, double value);
void wire_bytes(struct wire *wire, uint32_t field, const void *data, size_t size);
void wire_text(struct wire *wire, uint32_t field, const char *text);
void wire_raw(struct wire *wire, const void *data, size_t size); /* Fields already written. */
void wire_raw_varint(struct wire *wire, uint64_t value);         /* An element of a packed field. */

/* A message within: what is written between begin and end. Its length takes three bytes whatever it
 * is, so a message is at most 2 MiB. */
size_t wire_begin(struct wire *wire, uint32_t field);
void wire_end(struct wire *wire, size_t begun);

/* KeyValue messages of OTLP as the given field. */
void wire_attribute_text(struct wire *wire, uint32_t field, const char *key, const char *value,
                         size_t value_size);
void wire_attribute_integer(struct wire *wire, uint32_t field, const char *key, int64_t value);
void wire_attribute_number(struct wire *wire, uint32_t field, const char *key, double value);
void wire_attribute_bool(struct wire *wire, uint32_t field, const char *key, bool value);
