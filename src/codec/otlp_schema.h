/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_schema - which fields OpenTelemetry's messages have, so that JSON and protobuf can be turned
 * into one another by one walk. Static tables; any thread. */
#pragma once
#include "base/str.h"

enum otlp_message {
#define MESSAGE(name) OTLP_M_##name,
#define FIELD(...)
#define LIST(...)
#include "codec/otlp_schema.def"
#undef MESSAGE
#undef FIELD
#undef LIST
    OTLP_M_COUNT
};

enum otlp_type {
    OTLP_STRING,
    OTLP_BYTES, /* Base64 in JSON. */
    OTLP_ID,    /* Bytes, hexadecimal in JSON. */
    OTLP_BOOL,
    OTLP_INT,    /* Varints: 64 bits, */
    OTLP_UINT,   /* 64 bits without sign, */
    OTLP_SMALL,  /* 32 bits and enums: a number in JSON, where the others are text, */
    OTLP_ZIGZAG, /* and 32 bits signed by zigzag. */
    OTLP_FIXED64,
    OTLP_SFIXED64,
    OTLP_FIXED32,
    OTLP_DOUBLE,
    OTLP_MESSAGE,
};

struct otlp_field {
    struct str name; /* As JSON has it. */
    uint32_t number;
    enum otlp_type type;
    enum otlp_message message; /* Of OTLP_MESSAGE. */
    bool repeated;
};

/* The fields of a message, in order of their numbers. */
const struct otlp_field *otlp_fields(enum otlp_message message, size_t *ret_count);
/* NULL: unknown. */
const struct otlp_field *otlp_field_named(enum otlp_message message, struct str name);
