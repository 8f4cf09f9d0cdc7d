/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/kept.h"

#include "base/file.h"

#include <stdlib.h>

struct kept *kept_new(struct source *source)
{
    struct kept *kept = calloc(1, sizeof(*kept));

    if (kept == NULL)
        must_memory(sizeof(*kept));
    kept->fd = -1;
    source->state = kept;
    return kept;
}

void kept_close(struct source *source)
{
    struct kept *kept = source->state;

    if (kept != NULL)
        file_closep(&kept->fd);
    free(kept);
}

enum err kept_read(struct source *source, const char *name, struct scan *ret_text, struct why *why)
{
    struct kept *kept = source->state;

    return source_read_kept(source, &kept->fd, name, ret_text, why);
}
