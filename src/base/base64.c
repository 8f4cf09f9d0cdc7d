/* SPDX-License-Identifier: Apache-2.0 */
/* Three bytes are four digits of six bits; what is missing at the end is '='. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct str bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)(uint8_t)bytes.data[i] << 16;
        if (left > 1)
            bits |= (uint32_t)(uint8_t)bytes.data[i + 1] << 8;
        if (left > 2)
            bits |= (uint8_t)bytes.data[i + 2];
        buf_byte(out, (uint8_t)digits[bits >> 18]);
        buf_byte(out, (uint8_t)digits[bits >> 12 & 63]);
        buf_byte(out, left > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=');
        buf_byte(out, left > 2 ? (uint8_t)digits[bits & 63] : '=');
    }
}

static int digit_of(char c)
{
    const char *found = c == '\0' ? NULL : strchr(digits, c);

    return found == NULL ? -1 : (int)(found - digits);
}

bool base64_read(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0; /* Of bits that wait. */

    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    if (text.size % 4 == 1)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_byte(out, (uint8_t)(bits >> count));
        }
    }
    return true;
}
