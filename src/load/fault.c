/* SPDX-License-Identifier: Apache-2.0 */
/* One table from fault.def. */
#include "load/fault.h"

#include <errno.h>

static const struct {
    const char *name;
    const char *text;
} rows[FAULT_COUNT] = {
#define ROW(identifier, name, text) {name, text},
#include "load/fault.def"
#undef ROW
};

const char *fault_name(enum fault fault)
{
    MUST(fault < FAULT_COUNT);
    return rows[fault].name;
}

const char *fault_text(enum fault fault)
{
    MUST(fault < FAULT_COUNT);
    return rows[fault].text;
}

bool fault_find(struct str name, enum fault *ret_fault)
{
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        if (str_eq(name, str_of(rows[i].name))) {
            *ret_fault = (enum fault)i;
            return true;
        }
    }
    return false;
}

enum fault fault_of_errno(int errno_value)
{
    switch (errno_value) {
    case ECONNREFUSED:
        return FAULT_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        return FAULT_UNREACHABLE;
    case ETIMEDOUT:
        return FAULT_CONNECT_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return FAULT_RESET;
    case EADDRNOTAVAIL:
    case EAGAIN: /* connect() of a bound range that is used up. */
        return FAULT_NO_PORTS;
    case EMFILE:
    case ENFILE:
        return FAULT_NO_FILES;
    default:
        return FAULT_OTHER;
    }
}
