/* SPDX-License-Identifier: Apache-2.0 */
/* The processor's own instruction where it has one (SSE 4.2 on x86-64, asked for at run time), and
 * otherwise a table of 16 entries a nibble at a time: small enough to be checked by eye, and only
 * met on old machines. */
#include "base/crc.h"

#include <string.h>

enum { POLYNOMIAL = 0x82f63b78 }; /* Castagnoli's, bits reversed. */

static uint32_t crc_nibble(uint32_t crc)
{
    for (int bit = 0; bit < 4; bit++)
        crc = crc >> 1 ^ ((crc & 1) != 0 ? (uint32_t)POLYNOMIAL : 0);
    return crc;
}

static uint32_t crc_table(uint32_t crc, const uint8_t *data, size_t size)
{
    uint32_t table[16];

    for (uint32_t i = 0; i < 16; i++)
        table[i] = crc_nibble(i);
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_instruction(uint32_t crc, const uint8_t *data,
                                                                  size_t size)
{
    uint64_t wide = crc;

    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--, data++)
        crc = __builtin_ia32_crc32qi(crc, *data);
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_instruction(~crc, data, size);
    return ~crc_table(~crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return ~crc_table(~crc, data, size);
}
#endif
