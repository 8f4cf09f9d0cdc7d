/* SPDX-License-Identifier: Apache-2.0 */
/* sonde load import - writes a scenario file to standard output. */
#include "base/file.h"
#include "cli/load.h"
#include "load/import.h"

#include <string.h>
#include <unistd.h>

enum { SOURCE_BYTES_MAX = 256 << 20, ARENA_BYTES_MAX = 1 << 30 };

/* A file, or standard input for "-". */
static enum err read_source(const char *path, struct buf *out, struct why *why)
{
    if (strcmp(path, "-") == 0)
        return file_read("/dev/stdin", SOURCE_BYTES_MAX, out, why);
    return file_read(path, SOURCE_BYTES_MAX, out, why);
}

/* A curl command, in one argument as it is copied, or in many as a shell has taken it apart. */
static enum err import_curl(const struct invocation *invocation, struct arena *arena,
                            struct buf *out, struct why *why)
{
    size_t count = invocation->arguments_count - 2;
    const char *const *words = invocation->arguments + 2;
    struct buf source CLEANUP(buf_done) = {0};

    if (count > 1)
        return import_curl_words(words, count, out, why);
    if (strcmp(words[0], "-") == 0)
        TRY(file_read("/dev/stdin", SOURCE_BYTES_MAX, &source, why));
    else
        buf_text(&source, words[0]);
    return import_curl_text(buf_view(&source), arena, out, why);
}

static enum err import(const struct invocation *invocation, struct arena *arena, struct buf *out,
                       struct why *why)
{
    const char *form = invocation->arguments[1];
    const char *path = invocation->arguments[2];
    struct buf source CLEANUP(buf_done) = {0};

    if (strcmp(form, "curl") == 0)
        return import_curl(invocation, arena, out, why);
    if (strcmp(form, "har") == 0) {
        TRY(read_source(path, &source, why));
        return import_har(buf_view(&source), path, arena, out, why);
    }
    if (strcmp(form, "openapi") == 0) {
        TRY(read_source(path, &source, why));
        return import_openapi(buf_view(&source), path, arena, out, why);
    }
    return fail(why, ERR_INVALID, "'%s' is none of har, openapi and curl", form);
}

enum exit_code load_import(struct invocation *invocation)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (invocation->arguments_count < 3)
        return command_usage(invocation, "sonde load import needs a form and a source: har FILE, "
                                         "openapi FILE, or curl 'COMMAND'");
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES_MAX);
    if (import(invocation, arena, &out, &why) != ERR_NONE)
        return command_fail(invocation, &why);
    return command_print(invocation, &out, EXIT_GOOD);
}
