/* SPDX-License-Identifier: Apache-2.0 */
/* json_tree - one JSON document as a tree of nodes (codec/node.h). Any thread.
 *
 * Numbers keep their value as text, integers exactly within 64 bits; true and false are unquoted
 * scalars. Nodes carry no lines; messages name the path instead. Syntax errors carry line and
 * column, and why->position. */
#pragma once
#include "codec/node.h"

/* name is for messages ("body") and is copied; text need not outlive the call. ERR_TOO_LARGE past
 * limit_bytes; ERR_INVALID: not JSON, or a key occurs twice; ERR_LIMIT: too deep or too many. */
CHECKED enum err json_read(struct str text, const char *name, size_t limit_bytes,
                           struct arena *arena, const struct node **ret_root, struct why *why);
