/* SPDX-License-Identifier: Apache-2.0 */
/* One array of all fields; `first` says where a message's begin. The rows stand message by message,
 * so the next message's first is this one's end. */
#include "codec/otlp_schema.h"

static const struct otlp_field fields[] = {
#define MESSAGE(name)
#define FIELD(owner, name_, number_, type_, message_) \
    {STR(name_), number_, OTLP_##type_, OTLP_M_##message_, false},
#define LIST(owner, name_, number_, type_, message_) \
    {STR(name_), number_, OTLP_##type_, OTLP_M_##message_, true},
#include "codec/otlp_schema.def"
#undef MESSAGE
#undef FIELD
#undef LIST
};

static const enum otlp_message owners[] = {
#define MESSAGE(name)
#define FIELD(owner, name_, number_, type_, message_) OTLP_M_##owner,
#define LIST(owner, name_, number_, type_, message_)  OTLP_M_##owner,
#include "codec/otlp_schema.def"
#undef MESSAGE
#undef FIELD
#undef LIST
};

const struct otlp_field *otlp_fields(enum otlp_message message, size_t *ret_count)
{
    size_t low = 0;
    size_t high = ARRAY_COUNT(owners);

    while (low < high) { /* Rows are sorted by message. */
        size_t middle = (low + high) / 2;
        if (owners[middle] < message)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < ARRAY_COUNT(owners) && owners[high] == message;)
        high++;
    *ret_count = high - low;
    return &fields[low];
}

const struct otlp_field *otlp_field_named(enum otlp_message message, struct str name)
{
    size_t count;
    const struct otlp_field *all = otlp_fields(message, &count);

    for (size_t i = 0; i < count; i++) {
        if (str_eq(all[i].name, name))
            return &all[i];
    }
    return NULL;
}
