/* SPDX-License-Identifier: Apache-2.0 */
/* Progress in one line, written over itself, for a terminal that only shows standard error. */
#include "cli/load.h"

#include "base/json.h"

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

size_t load_line_tell(const struct outcome *outcome, size_t from)
{
    struct buf line CLEANUP(buf_done) = {0};

    for (; from < outcome->points_count; from++) {
        const struct outcome_point *point = &outcome->points[from];
        struct json json = json_begin(&line);
        json_open(&json, '{');
        json_put_double(&json, "time_s", point->time_s);
        json_put_u64(&json, "requests", point->requests);
        json_put_u64(&json, "errors", point->failures);
        json_put_double(&json, "rate", (double)point->requests / point->length_s);
        json_put_double(&json, "p50_ms", point->p50_ms);
        json_put_double(&json, "p95_ms", point->p95_ms);
        json_put_double(&json, "p99_ms", point->p99_ms);
        json_put_double(&json, "level", point->level);
        json_close(&json, '}');
        buf_byte(&line, '\n');
    }
    if (line.size > 0 && write(STDERR_FILENO, line.data, line.size) < 0)
        return from; /* Nobody reads. */
    return from;
}
