/* SPDX-License-Identifier: Apache-2.0 */
/* yaml - one YAML document as a tree of nodes (codec/node.h). Any thread.
 *
 * What configuration needs and no more: maps with text keys, lists, scalars. Refused, each with its
 * line and column and a sentence: anchors and aliases (they can blow up a small file), tags, a
 * second document, keys that are not text, keys given twice, too deep or too many values. */
#pragma once
#include "codec/node.h"

enum { YAML_SIZE_MAX = 4 << 20 };

/* name is for messages and is copied; text need not outlive the call. An empty document is a
 * NODE_NULL. ERR_INVALID, ERR_TOO_LARGE, ERR_LIMIT. */
CHECKED enum err yaml_read(struct str text, const char *name, struct arena *arena,
                           const struct node **ret_root, struct why *why);
