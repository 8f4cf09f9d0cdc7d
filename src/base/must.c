/* SPDX-License-Identifier: Apache-2.0 */
/* The last words of the process. Nothing here allocates or takes a lock. */
#include "base/must.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void say(const char *text, int size)
{
    if (size > 0 && write(STDERR_FILENO, text, (size_t)size) < 0)
        return; /* Nobody is left to tell. */
}

void must_failed(const char *condition, const char *file, int line)
{
    char text[512];

    int size = snprintf(text, sizeof(text),
                        "sonde: internal error at %s:%d: '%s' does not hold. Please report this.\n",
                        file, line, condition);
    say(text, size < (int)sizeof(text) ? size : (int)sizeof(text) - 1);
    abort();
}

/* Where this thread goes to when memory runs out; NULL: nowhere, the process ends. */
static _Thread_local jmp_buf *refuge;

bool must_try(void (*work)(void *self), void *self)
{
    jmp_buf place;

    if (setjmp(place) != 0) {
        refuge = NULL;
        return false;
    }
    refuge = &place;
    work(self);
    refuge = NULL;
    return true;
}

void must_memory(uint64_t wanted_bytes)
{
    char text[128];

    if (refuge != NULL)
        longjmp(*refuge, 1);
    int size = snprintf(text, sizeof(text),
                        "sonde: out of memory (%" PRIu64 " bytes more were needed); exiting.\n",
                        wanted_bytes);
    say(text, size);
    _exit(71); /* EX_OSERR of sysexits.h */
}
