/* SPDX-License-Identifier: Apache-2.0 */
/* Progress in one line, written over itself, for a terminal that only shows standard error. */
#include "cli/load.h"

#include <stdio.h>
#include <unistd.h>

void load_line_show(const struct outcome *outcome)
{
    const struct outcome_point *point = &outcome->points[outcome->points_count - 1];
    char line[240];

    int size = snprintf(
        line, sizeof(line),
        "\r%5.0f s  %8.0f req/s  p50 %.2f ms  p99 %.2f ms  errors %llu  queue %lld\033[K",
        point->time_s, (double)point->requests / point->length_s, point->p50_ms, point->p99_ms,
        (unsigned long long)outcome->total.failures, (long long)point->backlog);
    if (size > 0 && write(STDERR_FILENO, line, (size_t)size) < 0)
        return; /* Nobody looks. */
}

void load_line_clear(void)
{
    if (write(STDERR_FILENO, "\r\033[K", 4) < 0)
        return; /* Nobody looks. */
}
