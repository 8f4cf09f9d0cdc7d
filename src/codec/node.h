/* SPDX-License-Identifier: Apache-2.0 */
/* node - what a YAML or JSON document says, as a small tree that knows where each thing stood.
 *
 * codec/yaml and codec/json_tree build it; configuration, rules, SLA files and scenarios read it.
 * Every reader here answers a wrong value with the file, line, column and key path:
 *     sonde.yaml:12:9: retention.raw: 'soon' is not a duration such as 15s, 2h or 30d
 * (JSON knows no lines, so there the path alone tells the place.)
 *
 * All of it lives in the arena it was read into and is read-only: any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* The bounds of a document. Bytes are the caller's to bound. */
enum {
    NODE_DEPTH_MAX = 64,
    NODE_COUNT_MAX = 4000000,
};

enum node_kind {
    NODE_NULL, /* Nothing, "~" or null. */
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP,
};

struct node {
    enum node_kind kind;
    bool quoted;          /* A scalar in quotes is text, whatever it looks like. */
    uint32_t line;        /* From 1; 0 where unknown. */
    uint32_t column;      /* From 1. */
    uint32_t index;       /* Place among its siblings. */
    uint32_t count;       /* Children. */
    struct str key;       /* In a map; else STR_NONE. */
    struct str text;      /* Of a scalar. */
    const char *document; /* Name for messages. */
    const struct node *parent;
    const struct node *first; /* Children, in the document's order, by `next`. */
    struct node *last;        /* For those who build. */
    const struct node *next;
    const struct node *const *sorted; /* Of a map: children by key. */
};

#define NODE_EACH(parent, child) \
    for (const struct node *child = (parent)->first; child != NULL; child = child->next)

/* The child of that key, or NULL: also when node is NULL or no map, and when the value is null. */
const struct node *node_get(const struct node *node, const char *key);
const struct node *node_get_str(const struct node *node, struct str key);

/* As node_get, but ERR_INVALID when it is missing. */
CHECKED enum err node_need(const struct node *node, const char *key, const struct node **ret_child,
                           struct why *why);

/* The value. node is not NULL. */
CHECKED enum err node_text(const struct node *node, struct str *ret_text, struct why *why);
CHECKED enum err node_bool(const struct node *node, bool *ret_value, struct why *why);
CHECKED enum err node_i64(const struct node *node, int64_t *ret_value, struct why *why);
CHECKED enum err node_double(const struct node *node, double *ret_value, struct why *why);
CHECKED enum err node_duration_ms(const struct node *node, int64_t *ret_ms, struct why *why);
CHECKED enum err node_size(const struct node *node, int64_t *ret_bytes, struct why *why);
CHECKED enum err node_ratio(const struct node *node, double *ret_ratio, struct why *why);
CHECKED enum err node_list(const struct node *node, struct why *why); /* Is it a list? */
CHECKED enum err node_map(const struct node *node, struct why *why);  /* Is it a map? */

/* Every key of the map must be among keys; else ERR_INVALID with the nearest one. */
CHECKED enum err node_only(const struct node *map, const char *const *keys, size_t count,
                           struct why *why);

/* ERR_INVALID with the place in front; what callers use for their own complaints. */
enum err node_fail(const struct node *node, struct why *why, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* "sonde.yaml:12:9: collectors[1].every", without the path at the root. */
void node_write_place(const struct node *node, struct buf *out);
void node_write_path(const struct node *node, struct buf *out);

/* ---- For those who build trees. ---- */

/* A child appended to parent (NULL: a root). Counts against NODE_COUNT_MAX and the arena's budget;
 * *ret_node is zeroed but for document, parent, index. */
struct node_builder {
    struct arena *arena;
    const char *document;
    uint32_t count;
};
CHECKED enum err node_add(struct node_builder *builder, struct node *parent, struct node **ret_node,
                          struct why *why);
/* Once, when all children of a map are there: makes them findable, refuses a key that occurs
 * twice. */
CHECKED enum err node_finish_map(struct node_builder *builder, struct node *map, struct why *why);
