/* SPDX-License-Identifier: Apache-2.0 */
/* One page that needs nothing else: style inside, charts as SVG, tables that scroll sideways on a
 * phone, dark and light by the reader's own wish, black on white in print. */
#include "base/clock.h"
#include "document/document_priv.h"

static const char style_sheet[] =
    ":root{color-scheme:light dark;--ink:#1d2433;--soft:#5b6577;--line:#dfe3ea;--page:#fff;"
    "--card:#f7f8fa;--good:#0a7d4f;--info:#0b65a8;--warning:#9a6200;--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b5;--line:#2c3442;"
    "--page:#12161d;--card:#1a2029;--good:#4cc38a;--info:#63b3f0;--warning:#e5b454;--bad:#ff8a80}}"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem;"
    "overflow-wrap:anywhere;background:var(--page);color:var(--ink);font:16px/1.5 "
    "system-ui,-apple-system,'Segoe UI',"
    "Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}"
    "a{color:var(--info)}td a{white-space:nowrap}h1{font-size:1.6rem;margin:0 0 "
    ".25rem}h2{font-size:1.15rem;margin:2rem 0 "
    ".75rem;"
    "padding-bottom:.35rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.25rem 0 "
    ".5rem}p{margin:.5rem 0}.time{color:var(--soft)}"
    ".values{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.75rem;"
    "margin:.75rem 0}.values div{background:var(--card);border:1px solid var(--line);"
    "border-radius:8px;padding:.6rem .75rem}.values dt{color:var(--soft);font-size:.85rem}"
    ".values dd{margin:0;font-size:1.2rem;overflow-wrap:anywhere}"
    ".mark{border-left:3px solid var(--line);padding:.25rem .75rem;margin:.4rem 0}"
    ".mark.good{border-color:var(--good)}.mark.info{border-color:var(--info)}"
    ".mark.warning{border-color:var(--warning)}.mark.bad{border-color:var(--bad)}"
    "b{margin-right:.4rem}.good b{color:var(--good)}.info b{color:var(--info)}"
    ".warning b{color:var(--warning)}.bad b{color:var(--bad)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}"
    "th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}th{color:var(--soft);font-weight:600}th.t,td.t{text-align:left;"
    "white-space:normal;overflow-wrap:anywhere;min-width:7rem}"
    ".wide th:first-child,.wide td:first-child{position:sticky;left:0;background:var(--page)}"
    "td:first-child{border-left:3px solid transparent}tr.good td:first-child{border-left-color:"
    "var(--good)}tr.warning td:first-child{border-left-color:var(--warning)}"
    "tr.bad td:first-child{border-left-color:var(--bad)}"
    ".bars th,.bars td{border:0;padding:.15rem .4rem;font-weight:400}.bars th{width:1%;"
    "max-width:22rem;overflow-wrap:break-word}.bars td:last-child{width:1%;text-align:left}"
    ".bars svg{display:block;height:1.1em;margin:0;min-width:4rem}"
    "svg{width:100%;height:auto;margin:.5rem 0 "
    "0}.chart{display:block;max-width:48rem}.grid{stroke:var(--line);stroke-width:1}"
    ".tick{fill:var(--soft);font-size:12px;paint-order:stroke;stroke:var(--page);stroke-width:3px}"
    ".line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}"
    ".dot{stroke-width:5}.legend{color:var(--soft);font-size:.85rem;margin:0}.legend "
    "span{margin-right:1rem}"
    ".legend svg{display:inline-block;width:.9rem;height:.3rem;margin:0 .35rem 0 0;"
    "vertical-align:middle}"
    "@media(max-width:40rem){body{padding:1.25rem 1rem}.tick{font-size:20px}.line{stroke-width:3}"
    ".dot{stroke-width:8}"
    ".bars th{white-space:normal;width:38%;max-width:9rem}.bars td:nth-child(2){width:auto}.wide "
    "td:first-child,.wide th:first-child{"
    "max-width:10rem}.wide td.t{min-width:9rem}}"
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--page:#fff;"
    "--card:#fff;--good:#0a7d4f;--info:#0b65a8;--warning:#9a6200;--bad:#b3261e}body{"
    "max-width:none;padding:0;font-size:12px}.wide{overflow:visible}table{font-size:.72rem}"
    ".wide th.t,.wide td.t{min-width:4rem}"
    "th,td{padding:.3rem .4rem}h2,h3{break-after:avoid}svg,tr,.values div{break-inside:avoid}}";

static const char *const status_classes[] = {
    [STATUS_NONE] = "",           [STATUS_GOOD] = "good", [STATUS_INFO] = "info",
    [STATUS_WARNING] = "warning", [STATUS_BAD] = "bad",
};

void document_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            buf_text(out, "&amp;");
            break;
        case '<':
            buf_text(out, "&lt;");
            break;
        case '>':
            buf_text(out, "&gt;");
            break;
        case '"':
            buf_text(out, "&quot;");
            break;
        case '\'':
            buf_text(out, "&#39;");
            break;
        default:
            if ((uint8_t)text.data[i] >= ' ' || strchr("\t\n\r", text.data[i]) != NULL)
                buf_byte(out, (uint8_t)text.data[i]);
        }
    }
}

void document_escape_breaking(struct buf *out, struct str text)
{
    enum { WORD_CHARS_MAX = 16 };
    size_t at = 0;

    while (at < text.size) {
        size_t end = at;
        while (end < text.size && text.data[end] != ' ')
            end++;
        bool is_long = end - at > WORD_CHARS_MAX;
        for (; at < end; at++) {
            document_escape(out, (struct str){text.data + at, 1});
            if (is_long && at + 1 < end && strchr("/._:-", text.data[at]) != NULL)
                buf_text(out, "<wbr>");
        }
        for (; at < text.size && text.data[at] == ' '; at++)
            buf_byte(out, ' ');
    }
}

static void write_head_cells(struct buf *out, const struct table *table)
{
    buf_text(out, "<table><thead><tr>");
    for (size_t i = 0; i < table->shown_count; i++) {
        buf_printf(out, "<th scope=\"col\"%s>", table->columns[i].is_text ? " class=\"t\"" : "");
        document_escape(out, str_of(table->columns[i].title));
        buf_text(out, "</th>");
    }
    buf_text(out, "</tr></thead><tbody>");
}

/* What the line is for those who do not see its colour. */
static void write_row_mark(struct buf *out, enum status status)
{
    if (status != STATUS_NONE)
        buf_printf(out, "<b title=\"%s\">%s</b>", status_classes[status], document_mark_of(status));
}

/* A wide one scrolls sideways, with the keys too. */
static void write_table(struct buf *out, const struct table *table, struct str title)
{
    buf_text(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    document_escape(out, title);
    buf_text(out, "\">");
    write_head_cells(out, table);
    for (const struct row *row = table->rows; row != NULL; row = row->next) {
        size_t i = 0;
        if (row->status == STATUS_NONE)
            buf_text(out, "<tr>");
        else
            buf_printf(out, "<tr class=\"%s\">", status_classes[row->status]);
        for (const struct cell *cell = row->cells; i < table->shown_count && cell != NULL;
             cell = cell->next, i++) {
            struct buf text CLEANUP(buf_done) = {0};
            document_cell(&text, cell, &table->columns[i]);
            buf_text(out, table->columns[i].is_text ? "<td class=\"t\">" : "<td>");
            if (i == 0)
                write_row_mark(out, row->status);
            if (cell->link.data != NULL) {
                buf_text(out, "<a href=\"");
                document_escape(out, cell->link);
                buf_text(out, "\">");
            }
            document_escape_breaking(out, buf_view(&text));
            buf_text(out, cell->link.data != NULL ? "</a></td>" : "</td>");
        }
        buf_text(out, "</tr>");
    }
    buf_text(out, "</tbody></table></div>\n");
}

/* Neighbouring values share one grid. */
static const struct block *write_values(struct buf *out, const struct block *block)
{
    buf_text(out, "<dl class=\"values\">");
    for (;; block = block->next) {
        buf_text(out, "<div><dt>");
        document_escape(out, block->title);
        buf_text(out, "</dt><dd>");
        if (block->is_number)
            document_format(out, block->number, block->unit);
        else
            document_escape(out, block->text);
        buf_text(out, "</dd></div>");
        if (block->next == NULL || block->next->kind != BLOCK_VALUE)
            break;
    }
    buf_text(out, "</dl>\n");
    return block;
}

/* Returns the last block that it wrote. */
static const struct block *write_block(struct buf *out, const struct section *section,
                                       const struct block *block)
{
    if (block->kind == BLOCK_VALUE)
        return write_values(out, block);
    if (block->kind == BLOCK_DETAIL)
        return block;
    if (block->title.size > 0) {
        buf_text(out, "<h3>");
        document_escape(out, block->title);
        buf_text(out, "</h3>");
    }
    if (block->kind == BLOCK_TABLE) {
        write_table(out, block->table, block->title.size > 0 ? block->title : section->title);
    } else if (block->kind == BLOCK_CHART) {
        document_write_svg(out, block->chart, block->title);
    } else {
        if (block->kind == BLOCK_MARK)
            buf_printf(out, "<p class=\"mark %s\"><b>%s</b>", status_classes[block->status],
                       document_mark_of(block->status));
        else
            buf_text(out, "<p>");
        document_escape(out, block->text);
        buf_text(out, "</p>\n");
    }
    return block;
}

static void write_head(const struct writer *writer)
{
    char time[CLOCK_TEXT_SIZE];

    buf_text(writer->out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                          "<title>");
    document_escape(writer->out, writer->document->title);
    buf_printf(writer->out, "</title><style>%s</style></head><body>\n<h1>", style_sheet);
    document_escape(writer->out, writer->document->title);
    buf_text(writer->out, "</h1>\n");
    if (writer->document->time_ms != 0) {
        (void)clock_text(time, writer->document->time_ms); /* The size is not needed. */
        buf_printf(writer->out, "<p class=\"time\"><time datetime=\"%s\">%.10s %.8s UTC</time></p>",
                   time, time, time + 11);
    }
}

void document_write_html(const struct writer *writer)
{
    write_head(writer);
    for (const struct section *section = writer->document->sections; section != NULL;
         section = section->next) {
        buf_text(writer->out, "<section>");
        if (section->title.size > 0) {
            buf_text(writer->out, "<h2>");
            document_escape(writer->out, section->title);
            buf_text(writer->out, "</h2>\n");
        }
        for (const struct block *block = section->blocks; block != NULL; block = block->next)
            block = write_block(writer->out, section, block);
        buf_text(writer->out, "</section>\n");
    }
    buf_text(writer->out, "</body></html>\n");
}
