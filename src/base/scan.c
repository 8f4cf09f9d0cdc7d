/* SPDX-License-Identifier: Apache-2.0 */
/* Answers are gathered as masks as wide as the numbers, which is what lets the compiler take four
 * at a time. */
#include "base/scan.h"

#include <string.h>

SCAN_CLONES
bool scan_holds_bits(const double *values, size_t count, uint64_t bits)
{
    uint64_t found = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t own;
        memcpy(&own, &values[i], sizeof(own));
        found |= own == bits ? UINT64_MAX : 0;
    }
    return found != 0;
}

SCAN_CLONES
bool scan_falls(const double *values, size_t count)
{
    uint64_t found = 0;

    for (size_t i = 1; i < count; i++)
        found |= values[i] < values[i - 1] ? UINT64_MAX : 0;
    return found != 0;
}
