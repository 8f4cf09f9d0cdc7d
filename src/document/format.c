/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them. */
#include "document/document_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void count_text(struct buf *out, double value)
{
    char digits[32];

    if (fabs(value) >= 1e15) {
        buf_printf(out, "%.3g", value);
        return;
    }
    int size = snprintf(digits, sizeof(digits), "%.0f", fabs(value));
    if (value <= -0.5)
        buf_byte(out, '-');
    for (int i = 0; i < size; i++) {
        buf_byte(out, (uint8_t)digits[i]);
        int left = size - 1 - i;
        if (left > 0 && left % 3 == 0)
            buf_byte(out, ',');
    }
}

static void bytes_text(struct buf *out, double value)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t name = 0;

    while (fabs(value) >= 1024 && name + 1 < ARRAY_COUNT(names)) {
        value /= 1024;
        name++;
    }
    buf_printf(out, name == 0 ? "%.0f %s" : "%.1f %s", value, names[name]);
}

static void seconds_text(struct buf *out, double value)
{
    double magnitude = fabs(value);

    if (magnitude == 0)
        buf_text(out, "0 s");
    else if (magnitude < 1e-6)
        buf_printf(out, "%.0f ns", value * 1e9);
    else if (magnitude < 1e-3)
        buf_printf(out, "%.1f µs", value * 1e6);
    else if (magnitude < 1)
        buf_printf(out, "%.1f ms", value * 1e3);
    else if (magnitude < 120)
        buf_printf(out, "%.2f s", value);
    else if (magnitude < 7200)
        buf_printf(out, "%.1f min", value / 60);
    else if (magnitude < 172800)
        buf_printf(out, "%.1f h", value / 3600);
    else
        buf_printf(out, "%.1f d", value / 86400);
}

/* Milliseconds as everybody writes them, and smaller words where they would say nothing. */
static void ms_text(struct buf *out, double value)
{
    double magnitude = fabs(value);

    if (magnitude >= 1 || magnitude == 0)
        buf_printf(out, "%.1fms", value);
    else if (magnitude >= 0.01)
        buf_printf(out, "%.3fms", value);
    else if (magnitude >= 0.001)
        buf_printf(out, "%.1fµs", value * 1e3);
    else
        buf_printf(out, "%.0fns", value * 1e6);
}

void document_format(struct buf *out, double value, enum unit unit)
{
    if (!isfinite(value)) {
        buf_text(out, isnan(value) ? "–" : value > 0 ? "∞" : "-∞");
        return;
    }
    switch (unit) {
    case UNIT_COUNT:
        count_text(out, value);
        break;
    case UNIT_MS:
        ms_text(out, value);
        break;
    case UNIT_SECONDS:
        seconds_text(out, value);
        break;
    case UNIT_BYTES:
        bytes_text(out, value);
        break;
    case UNIT_RATIO:
        buf_printf(out, "%.1f%%", value * 100);
        break;
    case UNIT_RPS:
        if (fabs(value) >= 1000)
            count_text(out, value);
        else
            buf_printf(out, "%.1f", value);
        buf_text(out, " RPS");
        break;
    case UNIT_USD:
        buf_printf(out, fabs(value) >= 1 ? "$%.2f" : "$%.4f", value);
        break;
    case UNIT_NONE:
        buf_printf(out, value == floor(value) && fabs(value) < 1e15 ? "%.0f" : "%.6g", value);
        break;
    }
}

void document_cell(struct buf *out, const struct cell *cell, const struct column *column)
{
    if (cell->text.data != NULL)
        buf_str(out, cell->text);
    else
        document_format(out, cell->number, column->unit);
}

size_t document_text_width(struct str text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.size; i++)
        width += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return width;
}
