/* SPDX-License-Identifier: Apache-2.0 */
/* crc - CRC-32C (Castagnoli), the checksum of everything the store writes. Pure; any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The sum of `size` bytes; `crc` is 0 to begin with, or what an earlier call returned to go on. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
