/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/named_column.h"

bool named_column(struct table *table, const char *name, const char *help, enum metric_kind kind,
                  size_t *ret_column)
{
    size_t count = table_column_count(table);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(table_column_name(table, i), name) == 0) {
            *ret_column = i;
            return true;
        }
    }
    if (count >= NAMED_COLUMNS_MAX)
        return false;
    *ret_column = table_add_column(table, &(struct column){name, help, kind, NULL, NULL});
    return true;
}

void named_column_clean(char *out, size_t out_size, struct str text)
{
    size_t size = text.size < out_size - 1 ? text.size : out_size - 1;

    for (size_t i = 0; i < size; i++) {
        char c = text.data[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':';
        out[i] = fine ? c : '_';
    }
    out[size] = '\0';
}
