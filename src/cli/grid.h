/* SPDX-License-Identifier: Apache-2.0 */
/* grid - rows and columns of text for the terminal, as wide as what is in them and no wider than
 * the screen. One thread. */
#pragma once
#include "cli/terminal.h"

struct grid;

struct grid_column {
    const char *title;
    bool right;  /* Numbers stand at the right. */
    bool shrink; /* Is cut when the screen is too narrow; several share the loss. */
};

/* columns has static storage. */
struct grid *grid_new(const struct grid_column *columns, size_t count);
struct grid *grid_free(struct grid *grid); /* Always returns NULL. */

/* The next cell, row by row; copied. */
void grid_cell(struct grid *grid, struct str text);
void grid_cellf(struct grid *grid, const char *format, ...) PRINTF_LIKE(2, 3);
/* Style of the cell last added. */
void grid_style(struct grid *grid, int style);

size_t grid_rows(const struct grid *grid);
void grid_write(const struct grid *grid, const struct terminal *terminal, struct buf *out);
