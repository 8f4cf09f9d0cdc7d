/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every file of a corpus folder to the fuzz target, each whole and cut at a few places, so
 * that what fuzzing once found stays found. TAP: one test a file. */
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_SIZE_MAX = 16 << 20 };

struct replay {
    const char *folder;
    int count;
};

/* An exact copy on the heap, so that the address sanitizer sees a read past its end. */
static void feed(const char *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    if (copy == NULL)
        must_memory(size);
    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size); /* Always 0 by libFuzzer's contract. */
    free(copy);
}

static enum err replay_file(void *self, const char *name, struct why *why)
{
    struct replay *replay = self;
    struct buf content CLEANUP(buf_done) = {0};
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", replay->folder, name);
    TRY(file_read(path, FILE_SIZE_MAX, &content, why));
    feed(content.data, content.size);
    for (size_t part = 1; part < 16; part++)
        feed(content.data, content.size * part / 16);
    printf("ok %d - %s\n", ++replay->count, name);
    return ERR_NONE;
}

int main(int argc, char **argv)
{
    struct replay replay = {.folder = argc > 1 ? argv[1] : "."};
    struct why why = WHY_INIT;

    if (file_each(replay.folder, replay_file, &replay, &why) != ERR_NONE) {
        printf("not ok %d - %s\n", replay.count + 1, why.text);
        replay.count++;
    }
    printf("1..%d\n", replay.count);
    return 0;
}
