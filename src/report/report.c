/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#define ROW(name) extern const struct report_kind report_##name;
#include "report/reports.def"
#undef ROW

const struct report_kind *const reports[] = {
#define ROW(name) &report_##name,
#include "report/reports.def"
#undef ROW
};
const size_t reports_count = ARRAY_COUNT(reports);

const struct report_kind *report_find(struct str name)
{
    for (size_t i = 0; i < reports_count; i++) {
        if (str_eq(name, str_of(reports[i]->name)))
            return reports[i];
    }
    return NULL;
}

size_t report_points_count(const struct report_data *data)
{
    size_t count = 0;

    for (size_t i = 0; i < data->count; i++)
        count += data->series[i].count;
    return count;
}
