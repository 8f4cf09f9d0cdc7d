/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes end a walk, and every value told lies within them. What json_read takes, a walk takes.
 */
#include "base/must.h"
#include "codec/json_tree.h"
#include "codec/json_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool walks(struct str text)
{
    struct json_walk walk = json_walk_begin(text);
    struct str value;

    for (;;) {
        enum json_walk_kind kind = json_walk_next(&walk, &value);
        if (kind == JSON_WALK_END || kind == JSON_WALK_BROKEN)
            return kind == JSON_WALK_END;
        MUST(walk.depth <= JSON_WALK_DEPTH_MAX);
        if (value.data != NULL)
            MUST(value.data >= text.data && value.data + value.size <= text.data + text.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4 << 20);
    struct str text = {(const char *)data, size};
    struct buf out CLEANUP(buf_done) = {0};
    const struct node *root = NULL;
    struct str value;

    bool walked = walks(text);
    (void)json_walk_find(text, STR("/a/0/b"), &value);
    json_walk_unescape(text, &out);
    MUST(str_is_utf8(buf_view(&out)) || !str_is_utf8(text));
    bool deep = false;
    for (size_t i = 0, level = 0; i < size; i++) {
        level += data[i] == '[' || data[i] == '{';
        deep = deep || level > JSON_WALK_DEPTH_MAX;
    }
    if (!deep && size > 0 && json_read(text, "fuzz", 1 << 20, arena, &root, NULL) == ERR_NONE)
        MUST(walked);
    arena_free(arena);
    return 0;
}
