/* SPDX-License-Identifier: Apache-2.0 */
/* document_priv - the tree that the writers walk. */
#pragma once
#include "document/document.h"

enum block_kind {
    BLOCK_TEXT,
    BLOCK_MARK,
    BLOCK_VALUE,
    BLOCK_TABLE,
    BLOCK_CHART,
    BLOCK_DETAIL,
};

struct cell {
    struct str text; /* data is NULL for a number. */
    struct str link; /* Where it leads; data is NULL where it does not. */
    double number;
    struct cell *next;
};

struct row {
    enum status status;
    struct cell *cells;
    struct cell **last_cell;
    size_t cell_count;
    struct row *next;
};

struct table {
    struct document *document;
    struct column *columns;
    size_t column_count;
    size_t shown_count; /* The rest is for programs. */
    struct row *rows;
    struct row **last_row;
    struct row *row; /* Being filled. */
    size_t row_count;
};

struct line {
    struct str name;
    const double *x;
    const double *y;
    size_t count;
    struct line *next;
};

struct chart {
    struct document *document;
    enum chart_kind kind;
    enum unit unit;
    bool x_is_time;
    enum unit x_unit;
    struct line *lines; /* Bars: one line of one point each, x unused. */
    struct line **last_line;
    size_t line_count;
};

struct block {
    enum block_kind kind;
    enum status status;
    struct str key;
    struct str title;
    struct str text;
    double number;
    enum unit unit;
    bool is_number;
    struct table *table;
    struct chart *chart;
    struct block *next;
};

struct section {
    struct str key;
    struct str title;
    struct block *blocks;
    struct block **last_block;
    struct section *next;
};

struct document {
    struct arena *arena;
    struct str title;
    int64_t time_ms;
    struct section *sections;
    struct section **last_section;
    struct section *section; /* Being filled. */
    bool is_spent;
};

extern const char *const document_status_names[]; /* "good", …: for programs. */

struct writer {
    const struct document *document;
    const struct document_look *look;
    struct buf *out;
};

void document_write_console(const struct writer *writer);
void document_write_json(const struct writer *writer);
void document_write_markdown(const struct writer *writer);
void document_write_html(const struct writer *writer);
void document_write_csv(const struct writer *writer);

/* A chart as inline SVG, in colours that read in light, dark and print. */
void document_write_svg(struct buf *out, const struct chart *chart, struct str title);

/* As document_escape; long words may be broken where a path or a dotted name has its joints. */
void document_escape_breaking(struct buf *out, struct str text);

/* How a cell is shown to people. */
void document_cell(struct buf *out, const struct cell *cell, const struct column *column);

/* Columns that a terminal needs for this text: code points, wide ones not told apart. */
size_t document_text_width(struct str text);
