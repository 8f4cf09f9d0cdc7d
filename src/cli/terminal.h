/* SPDX-License-Identifier: Apache-2.0 */
/* terminal - what the place we write to can show, and text made fit for it.
 *
 * Output is put together in a buf and written once. Colour is used on a terminal only, unless asked
 * for, and never where NO_COLOR is set. Text from outside (labels, process names) may hold control
 * characters: it goes through terminal_text, which makes them visible instead of obeyed. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum terminal_color {
    TERMINAL_COLOR_AUTO,
    TERMINAL_COLOR_ALWAYS,
    TERMINAL_COLOR_NEVER,
};

struct terminal {
    int fd;
    bool tty;
    bool color;
    bool utf8; /* May show Braille and box drawing. */
    int columns;
    int rows;
};

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GOOD,
    STYLE_WARNING,
    STYLE_BAD,
    STYLE_TITLE,
    STYLE_REVERSE,
    STYLE_SERIES, /* And the STYLE_SERIES_COUNT - 1 after it. */
};

#define STYLE_SERIES_COUNT 8

void terminal_init(struct terminal *terminal, int fd, enum terminal_color color);
/* Asks for the size again; 80 x 24 where nobody knows. COLUMNS and LINES are heeded when the output
 * is no terminal. */
void terminal_measure(struct terminal *terminal);

/* Switches to the style; nothing without colour. */
void terminal_style(const struct terminal *terminal, struct buf *out, int style);
void terminal_styled(const struct terminal *terminal, struct buf *out, int style,
                     const char *format, ...) PRINTF_LIKE(4, 5);

/* Cells that the text takes: one a code point, control characters as they are made visible. */
size_t terminal_width(struct str text);
/* Appends the text with control characters made visible and broken UTF-8 replaced. */
void terminal_text(struct buf *out, struct str text);
/* As terminal_text, in exactly `cells` cells: cut with an ellipsis, or padded at the right (or,
 * with align_right, at the left). */
void terminal_fit(const struct terminal *terminal, struct buf *out, struct str text, size_t cells,
                  bool align_right);

/* Breaks text at spaces into lines of at most terminal->columns, each behind `indent` spaces; an
 * empty line in the text stays one. The first line is indented by the caller. */
void terminal_wrap(const struct terminal *terminal, struct buf *out, struct str text,
                   size_t indent);

/* Writes it all. ERR_CLOSED: the reader has gone (a closed pipe). */
CHECKED enum err terminal_write(const struct terminal *terminal, struct str text, struct why *why);

/* Eight heights of a bar for each value; minimum 0 unless a value is below; "" where NaN. */
void terminal_sparkline(const struct terminal *terminal, struct buf *out, const double *values,
                        size_t count, size_t cells, double low, double high);
