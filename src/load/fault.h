/* SPDX-License-Identifier: Apache-2.0 */
/* fault - the named ways in which a request can fail (fault.def). Any thread. */
#pragma once
#include "base/str.h"

#include <stdbool.h>

enum fault {
#define ROW(identifier, name, text) FAULT_##identifier,
#include "load/fault.def"
#undef ROW
    FAULT_COUNT
};

const char *fault_name(enum fault fault); /* "short_body" */
const char *fault_text(enum fault fault); /* "the connection was closed within the answer" */
bool fault_find(struct str name, enum fault *ret_fault);

/* Which fault an errno of connect, read or write is. */
enum fault fault_of_errno(int errno_value);
