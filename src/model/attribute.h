/* SPDX-License-Identifier: Apache-2.0 */
/* attribute - a named value of any of OpenTelemetry's types. Plain data in a batch's arena. */
#pragma once
#include "base/str.h"

enum value_kind {
    VALUE_EMPTY,
    VALUE_TEXT,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_DOUBLE,
    VALUE_BYTES,
    VALUE_LIST,
    VALUE_MAP,
};

struct attribute;

struct value {
    enum value_kind kind;
    union {
        struct str text; /* TEXT and BYTES. */
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const struct value *items;
            size_t count;
        } list;
        struct {
            const struct attribute *items;
            size_t count;
        } map;
    };
};

struct attribute {
    struct str key;
    struct value value;
};

struct attributes {
    const struct attribute *items;
    size_t count;
    uint32_t dropped_count; /* What the sender or our limits cut off. */
};

/* The value of key, or NULL. */
static inline const struct value *attributes_get(const struct attributes *attributes,
                                                 struct str key)
{
    for (size_t i = 0; i < attributes->count; i++) {
        if (str_eq(attributes->items[i].key, key))
            return &attributes->items[i].value;
    }
    return NULL;
}
