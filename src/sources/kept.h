/* SPDX-License-Identifier: Apache-2.0 */
/* kept - the state of a source that reads one file again and again: its descriptor. The sampler
 * thread's. */
#pragma once
#include "sources/source.h"

struct kept {
    int fd;
};

/* For `open` and `close` of such sources: makes and frees source->state. */
struct kept *kept_new(struct source *source);
void kept_close(struct source *source);

/* Reads the file of source->state. */
CHECKED enum err kept_read(struct source *source, const char *name, struct scan *ret_text,
                           struct why *why);
