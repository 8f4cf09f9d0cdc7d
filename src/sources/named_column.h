/* SPDX-License-Identifier: Apache-2.0 */
/* named_column - columns that come as the machine names things: finds or makes one. One thread. */
#pragma once
#include "sources/table.h"

#define NAMED_COLUMNS_MAX 256

/* The column of that name; made with kind and help when it is new. False: there are too many. */
bool named_column(struct table *table, const char *name, const char *help, enum metric_kind kind,
                  size_t *ret_column);

/* Copies text as part of a metric's name: letters lowered, all that may not stand there as '_'.
 * Cuts what does not fit. */
void named_column_clean(char *out, size_t out_size, struct str text);
