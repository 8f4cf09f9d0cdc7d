/* SPDX-License-Identifier: Apache-2.0 */
/* Jaeger mends a trace before it shows it, in this order: server spans that share their client's id
 * (Zipkin's way) get one of their own; spans that do not lie within their parent are marked, its
 * clocks being left alone unless asked otherwise; numbers that are addresses become addresses; tags
 * about the SDK move to the process; tags are sorted; references to no trace go; and the parent
 * comes first among the references. */
#include "base/map.h"
#include "codec/jaeger_priv.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t jaeger_parent(const struct jaeger_span *span)
{
    uint64_t follows = 0;

    for (size_t i = 0; i < span->references_count; i++) {
        const struct jaeger_reference *reference = &span->references[i];
        if (memcmp(reference->trace_id, span->span->trace_id, TRACE_ID_BYTES) != 0)
            continue;
        if (reference->is_child_of)
            return reference->span_id;
        if (follows == 0)
            follows = reference->span_id;
    }
    return follows;
}

static enum err warn(struct jaeger_trace *trace, struct jaeger_span *span, const char *text,
                     struct why *why)
{
    if (span->warnings == NULL)
        span->warnings = ARENA_ARRAY(trace->arena, JAEGER_WARNINGS_MAX, struct str);
    if (text == NULL || span->warnings == NULL)
        return arena_spent(trace->arena, "the warnings of a trace", why);
    if (span->warnings_count < JAEGER_WARNINGS_MAX)
        span->warnings[span->warnings_count++] = str_of(text);
    return ERR_NONE;
}

/* ---- Finding spans by id: the first of each. ---- */

struct ids {
    struct map map; /* Bytes of id to struct jaeger_span. */
};

static void ids_done(struct ids *ids)
{
    map_done(&ids->map);
}

static struct str id_key(const uint64_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

static struct jaeger_span *find(const struct ids *ids, uint64_t id)
{
    return map_get(&ids->map, id_key(&id));
}

/* ---- Zipkin's shared ids. ---- */

static bool has_kind(const struct jaeger_span *span, enum span_kind kind)
{
    for (size_t i = 0; i < span->tags.count; i++) {
        const struct jaeger_tag *tag = &span->tags.items[i];
        if (str_eq(tag->key, STR("span.kind")))
            return tag->type == JAEGER_STRING && str_eq(tag->text, jaeger_kind(kind));
    }
    return false;
}

static void replace_parent(struct jaeger_span *span, uint64_t parent)
{
    uint64_t old = jaeger_parent(span);

    for (size_t i = 0; i < span->references_count; i++) {
        struct jaeger_reference *reference = &span->references[i];
        if (reference->span_id == old &&
            memcmp(reference->trace_id, span->span->trace_id, TRACE_ID_BYTES) == 0) {
            reference->span_id = parent;
            return;
        }
    }
    /* There is room for one more: a span without a parent has no more references than links. */
    span->references[span->references_count++] =
        (struct jaeger_reference){span->span->trace_id, parent, true};
}

/* Which ids a client span has, and which id the server that shares it got instead. */
struct sharing {
    struct map clients; /* Id to its client span. */
    struct map renamed; /* Old id to its server span. */
    struct map used;    /* Every id. */
};

static void sharing_done(struct sharing *sharing)
{
    map_done(&sharing->clients);
    map_done(&sharing->renamed);
    map_done(&sharing->used);
}

static uint64_t free_id(const struct sharing *sharing, uint64_t after)
{
    do {
        after++;
    } while (map_get(&sharing->used, id_key(&after)) != NULL);
    return after;
}

/* Keys of the maps are ids where the spans themselves have them, so these stay as they are. */
static enum err separate_shared(struct jaeger_trace *trace, struct why *why)
{
    struct sharing sharing CLEANUP(sharing_done) = {0};
    uint64_t *ids = ARENA_ARRAY(trace->arena, trace->spans_count, uint64_t);
    uint64_t last = 0;

    if (ids == NULL)
        return arena_spent(trace->arena, "a trace for Jaeger", why);
    for (size_t i = 0; i < trace->spans_count; i++) {
        struct jaeger_span *span = &trace->spans[i];
        ids[i] = span->id;
        (void)map_put(&sharing.used, id_key(&ids[i]), span);
        if (has_kind(span, SPAN_KIND_CLIENT))
            (void)map_put(&sharing.clients, id_key(&ids[i]), span);
    }
    if (sharing.used.count == trace->spans_count)
        return ERR_NONE; /* Nobody shares anything. */
    for (size_t i = 0; i < trace->spans_count; i++) {
        struct jaeger_span *span = &trace->spans[i];
        if (!has_kind(span, SPAN_KIND_SERVER) || map_get(&sharing.clients, id_key(&ids[i])) == NULL)
            continue;
        last = free_id(&sharing, last);
        replace_parent(span, ids[i]);
        span->id = last;
        (void)map_put(&sharing.renamed, id_key(&ids[i]), span);
    }
    for (size_t i = 0; i < trace->spans_count; i++) {
        uint64_t parent = jaeger_parent(&trace->spans[i]);
        const struct jaeger_span *server = map_get(&sharing.renamed, id_key(&parent));
        if (server != NULL && server->id != trace->spans[i].id)
            replace_parent(&trace->spans[i], server->id);
    }
    return ERR_NONE;
}

/* ---- Clocks: which spans do not fit into their parent. ---- */

struct skew_node {
    struct skew_node *first_child;
    struct skew_node *next_sibling;
    const struct jaeger_span *parent; /* NULL: a root. */
    struct str host;
    struct jaeger_span *span; /* NULL: its id came before. */
    int64_t skew_ns;
    struct str skew_host;
};

static enum err host_of(struct jaeger_trace *trace, const struct jaeger_span *span,
                        struct str *ret_host, struct why *why)
{
    const struct value *ip = attributes_get(&span->span->resource->attributes, STR("ip"));
    char *text;

    *ret_host = STR("");
    if (ip != NULL && ip->kind == VALUE_TEXT)
        *ret_host = ip->text;
    if (ip == NULL || ip->kind != VALUE_INTEGER)
        return ERR_NONE;
    text = arena_printf(trace->arena, "%lld", (long long)ip->integer);
    if (text == NULL)
        return arena_spent(trace->arena, "a trace for Jaeger", why);
    *ret_host = str_of(text);
    return ERR_NONE;
}

static int64_t duration_of(const struct span *span)
{
    return (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns);
}

/* How far the child would have to move to lie within its parent: in its middle, if it can. */
static int64_t skew_of(const struct span *child, const struct span *parent)
{
    int64_t child_ns = duration_of(child);
    int64_t parent_ns = duration_of(parent);

    if (child_ns > parent_ns)
        return child->start_ns < parent->start_ns ? parent->start_ns - child->start_ns : 0;
    if (child->start_ns >= parent->start_ns && child->end_ns <= parent->end_ns)
        return 0;
    return (int64_t)((uint64_t)parent->start_ns + ((uint64_t)parent_ns - (uint64_t)child_ns) / 2 -
                     (uint64_t)child->start_ns);
}

static enum err judge_skew(struct jaeger_trace *trace, struct skew_node *node,
                           const struct skew_node *above, struct why *why)
{
    char text[JAEGER_DURATION_SIZE];

    node->skew_host = above == NULL ? node->host : above->skew_host;
    node->skew_ns = above == NULL ? 0 : above->skew_ns;
    if (above != NULL && (node->host.size == 0 || !str_eq(node->host, node->skew_host))) {
        node->skew_host = node->host;
        node->skew_ns = skew_of(node->span->span, above->span->span);
    }
    if (node->skew_ns == 0)
        return ERR_NONE;
    struct str skew = jaeger_duration(node->skew_ns, text);
    return warn(trace, node->span,
                arena_printf(trace->arena,
                             "clock skew adjustment disabled; not applying calculated delta of "
                             "%.*s",
                             STR_ARG(skew)),
                why);
}

/* From the root down. Who is in a circle of parents has no root and is not looked at. */
static enum err judge_tree(struct jaeger_trace *trace, struct skew_node *root,
                           struct skew_node **stack, struct why *why)
{
    size_t depth = 0;

    TRY(judge_skew(trace, root, NULL, why));
    stack[depth++] = root;
    while (depth > 0) {
        struct skew_node *above = stack[--depth];
        for (struct skew_node *child = above->first_child; child != NULL;
             child = child->next_sibling) {
            TRY(judge_skew(trace, child, above, why));
            stack[depth++] = child;
        }
    }
    return ERR_NONE;
}

/* The first span of each id becomes a node, found by its id. */
static enum err make_nodes(struct jaeger_trace *trace, struct skew_node *nodes, struct ids *ids,
                           struct why *why)
{
    for (size_t i = 0; i < trace->spans_count; i++) {
        struct jaeger_span *span = &trace->spans[i];
        if (find(ids, span->id) != NULL) {
            TRY(warn(trace, span, "duplicate span IDs; skipping clock skew adjustment", why));
            continue;
        }
        nodes[i].span = span;
        TRY(host_of(trace, span, &nodes[i].host, why));
        (void)map_put(&ids->map, id_key(&span->id), span);
    }
    return ERR_NONE;
}

static enum err tie_nodes(struct jaeger_trace *trace, struct skew_node *nodes,
                          const struct ids *ids, struct why *why)
{
    for (size_t i = 0; i < trace->spans_count; i++) {
        if (nodes[i].span == NULL)
            continue;
        uint64_t parent_id = jaeger_parent(nodes[i].span);
        const struct jaeger_span *parent = parent_id == 0 ? NULL : find(ids, parent_id);
        nodes[i].parent = parent;
        if (parent != NULL) {
            struct skew_node *above = &nodes[parent - trace->spans];
            nodes[i].next_sibling = above->first_child;
            above->first_child = &nodes[i];
        } else if (parent_id != 0) {
            TRY(warn(trace, nodes[i].span,
                     arena_printf(trace->arena,
                                  "invalid parent span IDs=%016llx; skipping clock skew adjustment",
                                  (unsigned long long)parent_id),
                     why));
        }
    }
    return ERR_NONE;
}

static enum err mark_skew(struct jaeger_trace *trace, struct why *why)
{
    struct ids ids CLEANUP(ids_done) = {0};
    struct skew_node *nodes = ARENA_ARRAY(trace->arena, trace->spans_count, struct skew_node);
    struct skew_node **stack = ARENA_ARRAY(trace->arena, trace->spans_count, struct skew_node *);

    if (nodes == NULL || stack == NULL)
        return arena_spent(trace->arena, "a trace for Jaeger", why);
    TRY(make_nodes(trace, nodes, &ids, why));
    TRY(tie_nodes(trace, nodes, &ids, why));
    for (size_t i = 0; i < trace->spans_count; i++) {
        if (nodes[i].span != NULL && nodes[i].parent == NULL)
            TRY(judge_tree(trace, &nodes[i], stack, why));
    }
    return ERR_NONE;
}

/* ---- Tags. ---- */

enum err jaeger_unpack_addresses(struct jaeger_tags *tags, struct arena *arena, struct why *why)
{
    for (size_t i = 0; i < tags->count; i++) {
        struct jaeger_tag *tag = &tags->items[i];
        bool is_integer = tag->type == JAEGER_INT64;
        if (!str_eq(tag->key, STR("ip")) && !str_eq(tag->key, STR("peer.ipv4")))
            continue;
        if (!is_integer &&
            !(tag->type == JAEGER_FLOAT64 && tag->number >= 0 && tag->number <= UINT32_MAX))
            continue;
        uint32_t ip = is_integer ? (uint32_t)tag->integer : (uint32_t)tag->number;
        const char *text =
            arena_printf(arena, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
        if (text == NULL)
            return arena_spent(arena, "a trace for Jaeger", why);
        tag->type = JAEGER_STRING;
        tag->text = str_of(text);
    }
    return ERR_NONE;
}

static bool is_of_sdk(struct str key)
{
    static const struct str keys[] = {STR("telemetry.sdk.language"), STR("telemetry.sdk.name"),
                                      STR("telemetry.sdk.version"), STR("telemetry.distro.name"),
                                      STR("telemetry.distro.version")};

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (str_eq(keys[i], key))
            return true;
    }
    return false;
}

static enum err move_sdk_tags(struct jaeger_trace *trace, struct jaeger_span *span, struct why *why)
{
    size_t kept = 0;

    for (size_t i = 0; i < span->tags.count; i++) {
        const struct jaeger_tag tag = span->tags.items[i];
        if (!is_of_sdk(tag.key)) {
            span->tags.items[kept++] = tag;
            continue;
        }
        if (span->moved.items == NULL)
            span->moved.items = ARENA_ARRAY(trace->arena, span->tags.count, struct jaeger_tag);
        if (span->moved.items == NULL)
            return arena_spent(trace->arena, "a trace for Jaeger", why);
        span->moved.items[span->moved.count++] = tag;
    }
    span->tags.count = kept;
    return ERR_NONE;
}

/* "event" comes first, the others by name. */
static void sort_fields(struct jaeger_tags *fields)
{
    struct jaeger_tags rest = *fields;

    for (size_t i = 0; i < fields->count; i++) {
        struct jaeger_tag tag = fields->items[i];
        if (tag.type == JAEGER_STRING && str_eq(tag.key, STR("event"))) {
            fields->items[i] = fields->items[0];
            fields->items[0] = tag;
            rest = (struct jaeger_tags){fields->items + 1, fields->count - 1};
            break;
        }
    }
    jaeger_tags_sort(&rest);
}

static enum err mend_tags(struct jaeger_trace *trace, struct jaeger_span *span, struct why *why)
{
    TRY(jaeger_unpack_addresses(&span->tags, trace->arena, why));
    TRY(move_sdk_tags(trace, span, why));
    jaeger_tags_sort(&span->tags);
    for (size_t i = 0; i < span->span->event_count; i++)
        sort_fields(&span->logs[i].fields);
    return ERR_NONE;
}

/* ---- References. ---- */

static enum err mend_references(struct jaeger_trace *trace, struct jaeger_span *span,
                                struct why *why)
{
    static const uint8_t none[TRACE_ID_BYTES];
    size_t kept = 0;

    for (size_t i = 0; i < span->references_count; i++) {
        const struct jaeger_reference reference = span->references[i];
        if (memcmp(reference.trace_id, none, TRACE_ID_BYTES) != 0) {
            span->references[kept++] = reference;
            continue;
        }
        TRY(warn(trace, span,
                 arena_printf(trace->arena,
                              "Invalid span reference removed {TraceID:%016x SpanID:%016llx "
                              "RefType:%s}",
                              0, (unsigned long long)reference.span_id,
                              reference.is_child_of ? "CHILD_OF" : "FOLLOWS_FROM"),
                 why));
    }
    span->references_count = kept;
    return ERR_NONE;
}

static void put_parent_first(struct jaeger_span *span)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < span->references_count; i++) {
        const struct jaeger_reference *reference = &span->references[i];
        if (memcmp(reference->trace_id, span->span->trace_id, TRACE_ID_BYTES) != 0)
            continue;
        if (reference->is_child_of || found == SIZE_MAX)
            found = i;
        if (reference->is_child_of)
            break;
    }
    if (found == SIZE_MAX || found == 0)
        return;
    struct jaeger_reference parent = span->references[found];
    span->references[found] = span->references[0];
    span->references[0] = parent;
}

enum err jaeger_adjust(struct jaeger_trace *trace, struct why *why)
{
    TRY(separate_shared(trace, why));
    TRY(mark_skew(trace, why));
    for (size_t i = 0; i < trace->spans_count; i++) {
        TRY(mend_tags(trace, &trace->spans[i], why));
        TRY(mend_references(trace, &trace->spans[i], why));
        put_parent_first(&trace->spans[i]);
    }
    return ERR_NONE;
}
