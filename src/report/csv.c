/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4180, a row per point: time (RFC 3339), time_ms, name, labels, value. One long table is what
 * spreadsheets pivot and what data frames read; series with different times need no holes. A text
 * that a spreadsheet would take for a formula gets a ' in front. */
#include "report/report.h"

#include "base/clock.h"
#include "model/label.h"

static bool needs_quotes(struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\n' ||
            text.data[i] == '\r')
            return true;
    }
    return false;
}

static bool is_formula(struct str text)
{
    return text.size > 0 && memchr("=+-@\t", text.data[0], 5) != NULL;
}

static void write_text(struct buf *out, struct str text)
{
    bool is_quoted = needs_quotes(text);

    if (is_quoted)
        buf_byte(out, '"');
    if (is_formula(text))
        buf_byte(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            buf_byte(out, '"');
        buf_byte(out, (uint8_t)text.data[i]);
    }
    if (is_quoted)
        buf_byte(out, '"');
}

/* a="b",c="d" without the name. */
static void write_labels(struct buf *out, const struct labels *labels)
{
    struct buf text = {0};
    struct label label;
    size_t at = 0;

    while (labels != NULL && labels_next(labels, &at, &label)) {
        if (str_eq(label.name, LABEL_NAME))
            continue;
        buf_printf(&text, "%s%.*s=\"", text.size > 0 ? "," : "", STR_ARG(label.name));
        for (size_t i = 0; i < label.value.size; i++) {
            char byte = label.value.data[i];
            if (byte == '"' || byte == '\\')
                buf_byte(&text, '\\');
            if (byte == '\n')
                buf_text(&text, "\\n");
            else
                buf_byte(&text, (uint8_t)byte);
        }
        buf_byte(&text, '"');
    }
    write_text(out, buf_view(&text));
    buf_done(&text);
}

static void write_series(struct buf *out, const struct report_series *series)
{
    struct buf middle = {0};
    char time[CLOCK_TEXT_SIZE];
    char value[STR_DOUBLE_SIZE];

    write_text(&middle, series->name);
    buf_byte(&middle, ',');
    write_labels(&middle, series->labels);
    for (size_t i = 0; i < series->count; i++) {
        buf_append(out, time, clock_text(time, series->times_ms[i]));
        buf_printf(out, ",%lld,", (long long)series->times_ms[i]);
        buf_str(out, buf_view(&middle));
        buf_byte(out, ',');
        buf_append(out, value, str_from_double(value, series->values[i]));
        buf_text(out, "\r\n");
    }
    buf_done(&middle);
}

static enum err csv_write(const struct report_data *data, struct arena *arena, struct buf *out,
                          struct why *why)
{
    buf_text(out, "time,time_ms,name,labels,value\r\n");
    for (size_t i = 0; i < data->count; i++)
        write_series(out, &data->series[i]);
    return ERR_NONE;
}

const struct report_kind report_csv = {
    .name = "csv",
    .summary = "A row per point, for spreadsheets and data frames.",
    .media_type = "text/csv; charset=utf-8",
    .suffix = ".csv",
    .write = csv_write,
};
