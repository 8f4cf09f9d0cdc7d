/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/finding.h"

#include <stdlib.h>

static const char *const severity_names[] = {"info", "warning", "critical"};

const char *severity_name(enum severity severity)
{
    MUST((size_t)severity < ARRAY_COUNT(severity_names));
    return severity_names[severity];
}

void finding_add(struct finding_list *list, const struct finding *finding)
{
    if (list->count == FINDINGS_MAX)
        list->dropped_count++;
    else
        list->items[list->count++] = *finding;
}

static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left;
    const struct finding *b = right;

    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence ? -1 : 1;
    return str_compare(a->id, b->id);
}

void finding_sort(struct finding_list *list)
{
    qsort(list->items, list->count, sizeof(list->items[0]), compare_findings);
}

const char *finding_status(const struct finding_list *list)
{
    enum severity worst = SEVERITY_INFO;

    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].severity > worst)
            worst = list->items[i].severity;
    }
    return worst == SEVERITY_INFO ? "ok" : severity_name(worst);
}
