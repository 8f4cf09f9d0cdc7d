/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a recording, an API's description, a curl command: an error with a sentence, or a
 * text that YAML reads. */
#include "base/must.h"
#include "codec/yaml.h"
#include "load/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void holds(enum err err, const struct why *why, const struct buf *out)
{
    struct arena *arena = arena_new(64 << 20);
    const struct node *root;
    struct why yaml = WHY_INIT;

    if (err != ERR_NONE)
        MUST(why->text[0] != '\0');
    else if (out->size < 1 << 20)
        MUST(yaml_read(buf_view(out), "out", arena, &root, &yaml) == ERR_NONE);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {size == 0 ? "" : (const char *)data, size};

    for (int form = 0; form < 3; form++) {
        struct arena *arena = arena_new(64 << 20);
        struct buf out CLEANUP(buf_done) = {0};
        struct why why = WHY_INIT;
        enum err err = form == 0   ? import_har(text, "fuzz", arena, &out, &why)
                       : form == 1 ? import_openapi(text, "fuzz", arena, &out, &why)
                                   : import_curl_text(text, arena, &out, &why);
        holds(err, &why, &out);
        arena_free(arena);
    }
    return 0;
}
