/* SPDX-License-Identifier: Apache-2.0 */
#include "load/backlog.h"

#include "base/must.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 1024 };

static void backlog_grow(struct backlog *backlog)
{
    uint32_t capacity = backlog->capacity == 0 ? CAPACITY_FIRST : backlog->capacity * 2;
    int64_t *times_ns = malloc(capacity * sizeof(*times_ns));

    if (times_ns == NULL)
        must_memory(capacity * sizeof(*times_ns));
    for (uint32_t i = 0; i < backlog->count; i++)
        times_ns[i] = backlog->times_ns[(backlog->first + i) & (backlog->capacity - 1)];
    free(backlog->times_ns);
    backlog->times_ns = times_ns;
    backlog->capacity = capacity;
    backlog->first = 0;
}

void backlog_push(struct backlog *backlog, int64_t intended_ns)
{
    if (backlog->count == backlog->capacity)
        backlog_grow(backlog);
    backlog->times_ns[(backlog->first + backlog->count++) & (backlog->capacity - 1)] = intended_ns;
}

int64_t backlog_take(struct backlog *backlog)
{
    int64_t intended_ns = backlog->times_ns[backlog->first];

    backlog->first = (backlog->first + 1) & (backlog->capacity - 1);
    backlog->count--;
    return intended_ns;
}

void backlog_done(struct backlog *backlog)
{
    free(backlog->times_ns);
    *backlog = (struct backlog){0};
}
