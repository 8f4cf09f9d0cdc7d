/* SPDX-License-Identifier: Apache-2.0 */
/* document - an answer as a person or a program wants to read it: titles, sentences, tables,
 * charts.
 *
 * Whoever has something to tell builds one document; the writers beside this file turn it into a
 * console page, JSON, Markdown, HTML or CSV (document_write). So every report of the house says the
 * same in every form.
 *
 * Everything is copied into the document's arena. Building cannot fail by itself: when the budget
 * is spent the document is marked, what was added last is missing, and document_write says
 * ERR_LIMIT. One thread at a time. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum status {
    STATUS_NONE,
    STATUS_GOOD,
    STATUS_INFO,
    STATUS_WARNING,
    STATUS_BAD,
};

enum unit {
    UNIT_NONE,    /* As it is. */
    UNIT_COUNT,   /* 12,345 */
    UNIT_MS,      /* Milliseconds: 325.4ms */
    UNIT_SECONDS, /* 1.5 s, 250 ms, 3 min */
    UNIT_BYTES,   /* 1.5 MiB */
    UNIT_RATIO,   /* 0 … 1, shown as 92.3% */
    UNIT_RPS,     /* 8.5 RPS */
    UNIT_USD,     /* $0.0125 */
};

struct document;
struct table;
struct chart;

struct document *document_new(const char *title, size_t budget_bytes);
struct document *document_free(struct document *document); /* Always returns NULL. */
void document_freep(struct document **document);           /* For CLEANUP. */

/* Under the title: "generated" and the like. time_ms since 1970; 0 leaves the line out. */
void document_set_time(struct document *document, int64_t time_ms);

/* What follows belongs to this section. key names it in JSON ("overall"). */
void document_section(struct document *document, const char *key, const char *title);

void document_text(struct document *document, const char *format, ...) PRINTF_LIKE(2, 3);
/* A sentence with a mark before it. */
void document_mark(struct document *document, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* One named number of the section; they are shown side by side. NAN: unknown, shown as a dash. */
void document_number(struct document *document, const char *key, const char *title, double value,
                     enum unit unit);
/* A number for programs alone: JSON has it, people are not shown it. At a section's end. */
void document_detail(struct document *document, const char *key, double value);
void document_value(struct document *document, const char *key, const char *title,
                    const char *text);

struct column {
    const char *key;   /* In JSON and CSV: "p95_ms". */
    const char *title; /* For people: "P95". */
    enum unit unit;
    bool is_text;
};

/* Columns' strings are copied. Rows: one table_text or table_number per column, in order. */
struct table *document_table(struct document *document, const char *key, const char *title,
                             const struct column *columns, size_t column_count);
/* Columns from this one on (from 0) are for programs alone: JSON and CSV have them. */
void table_set_details(struct table *table, size_t first);
void table_add_row(struct table *table, enum status status);
void table_text(struct table *table, const char *text);
/* A text that leads to url (http or https) in HTML and Markdown; the others have the text. */
void table_link(struct table *table, const char *text, const char *url);
void table_number(struct table *table, double value);

enum chart_kind {
    CHART_LINE,
    CHART_BAR,
};

struct chart *document_chart(struct document *document, const char *key, const char *title,
                             enum chart_kind kind, enum unit unit);
/* x are milliseconds since 1970 when x_is_time, else plain numbers. NAN in y is a gap. */
void chart_series(struct chart *chart, const char *name, const double *x, const double *y,
                  size_t count);
/* For CHART_BAR: one bar each. */
void chart_bar(struct chart *chart, const char *name, double value);
void chart_set_time_axis(struct chart *chart);
void chart_set_x_unit(struct chart *chart, enum unit unit); /* UNIT_NONE unless told. */

/* How often what took how long, as bars: counts[i] from bounds_ms[i - 1] (at first 0) to
 * bounds_ms[i], the last all above. Empty ranges at the ends are left out, and so is all when there
 * is no count. */
void document_ranges(struct document *document, const char *key, const char *title,
                     const double *bounds_ms, const double *counts, size_t count);
/* The same of single values, in no order, for which it finds ranges such as 1 to 2 ms. */
void document_distribution(struct document *document, const char *key, const char *title,
                           const double *values_ms, const double *counts, size_t count);

enum document_form {
    FORM_CONSOLE,
    FORM_JSON,
    FORM_MARKDOWN,
    FORM_HTML, /* One self-contained page: no script, no other file; readable in mail and print. */
    FORM_CSV,  /* The tables, each under a line with its key when there are several. */
    FORM_COUNT
};

struct document_look {
    bool colour;  /* Console only. */
    size_t width; /* Console only: tables fit into it where they can; 0: no terminal. */
};

/* "console", "json", "markdown" (or "md"), "html", "csv". */
bool document_form_parse(struct str name, enum document_form *ret_form);
const char *document_form_type(enum document_form form); /* Media type. */

/* Appends the document to out. look may be NULL. */
CHECKED enum err document_write(const struct document *document, enum document_form form,
                                const struct document_look *look, struct buf *out, struct why *why);

/* Text within HTML and XML, also within quotes; control characters, which both forbid, are left
 * out. */
void document_escape(struct buf *out, struct str text);
const char *document_mark_of(enum status status); /* "✓", "✗", …; " " for STATUS_NONE. */

/* "325.4ms", "92.3%", "1.5 MiB": as the writers show a number. "–" for NAN. */
void document_format(struct buf *out, double value, enum unit unit);
