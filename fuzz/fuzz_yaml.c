/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: a tree whose every node can be asked, or an error with a sentence. */
#include "codec/yaml.h"
#include "node_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4 << 20);
    struct str text = {(const char *)data, size};
    const struct node *root = NULL;
    struct why why = WHY_INIT;

    if (yaml_read(text, "fuzz", arena, &root, &why) == ERR_NONE)
        node_walk(root);
    else
        MUST(why.text[0] != '\0');
    arena_free(arena);
    return 0;
}
