/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_names - OpenTelemetry's names as Prometheus writes them, as Prometheus' own OTLP receiver
 * does it: words joined by underscores, the unit in full, _total behind counters. Pure. */
#pragma once
#include "base/buf.h"
#include "base/str.h"
#include "model/attribute.h"

enum otlp_name_kind {
    OTLP_NAME_GAUGE,
    OTLP_NAME_COUNTER, /* A monotonic sum. */
    OTLP_NAME_OTHER,
};

/* Appends the metric's name: "http.server.duration", "ms" is http_server_duration_milliseconds. */
void otlp_metric_name(struct str name, struct str unit, enum otlp_name_kind kind, struct buf *out);

/* Appends the label's name: "service.name" is service_name, "1st" is key_1st. */
void otlp_label_name(struct str key, struct buf *out);

/* Appends the label's value: lists and maps as JSON. */
void otlp_label_value(const struct value *value, struct buf *out);

/* Appends the unit in Prometheus' words: "By" is bytes, "1" is nothing. */
void otlp_unit_name(struct str unit, struct buf *out);
