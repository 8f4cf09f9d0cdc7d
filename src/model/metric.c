/* SPDX-License-Identifier: Apache-2.0 */
#include "model/metric.h"

static const struct {
    struct str name;
    enum metric_kind kind;
} kinds[] = {
    {STR("untyped"), METRIC_UNKNOWN}, {STR("counter"), METRIC_COUNTER},
    {STR("gauge"), METRIC_GAUGE},     {STR("histogram"), METRIC_HISTOGRAM},
    {STR("summary"), METRIC_SUMMARY}, {STR("histogram"), METRIC_SKETCH},
    {STR("unknown"), METRIC_UNKNOWN},
};

const char *metric_kind_name(enum metric_kind kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name.data;
    }
    return "untyped";
}

enum metric_kind metric_kind_parse(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(kinds[i].name, name))
            return kinds[i].kind;
    }
    return METRIC_UNKNOWN;
}
