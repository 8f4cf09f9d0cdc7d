/* SPDX-License-Identifier: Apache-2.0 */
/* {"start_ms":…,"end_ms":…,"step_ms":…,"series":[{"name":…,"labels":{…},"points":[[ms,value],…]}]}
 * A value that is no number (NaN, an infinity) is null. */
#include "report/report.h"

#include "base/json.h"
#include "model/label.h"

static void write_labels(struct json *json, const struct labels *labels)
{
    struct label label;
    size_t at = 0;

    json_open(json, '{');
    while (labels != NULL && labels_next(labels, &at, &label)) {
        if (str_eq(label.name, LABEL_NAME))
            continue;
        json_key_str(json, label.name);
        json_add_str(json, label.value);
    }
    json_close(json, '}');
}

static void write_series(struct json *json, const struct report_series *series)
{
    json_open(json, '{');
    json_put_str(json, "name", series->name);
    json_key(json, "labels");
    write_labels(json, series->labels);
    json_key(json, "points");
    json_open(json, '[');
    for (size_t i = 0; i < series->count; i++) {
        json_open(json, '[');
        json_add_i64(json, series->times_ms[i]);
        json_add_double(json, series->values[i]);
        json_close(json, ']');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static enum err json_write(const struct report_data *data, struct arena *arena, struct buf *out,
                           struct why *why)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_i64(&json, "start_ms", data->start_ms);
    json_put_i64(&json, "end_ms", data->end_ms);
    json_put_i64(&json, "step_ms", data->step_ms);
    json_key(&json, "series");
    json_open(&json, '[');
    for (size_t i = 0; i < data->count; i++)
        write_series(&json, &data->series[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return ERR_NONE;
}

const struct report_kind report_json = {
    .name = "json",
    .summary = "One JSON object with all series and their points.",
    .media_type = "application/json",
    .suffix = ".json",
    .write = json_write,
};
