/* SPDX-License-Identifier: Apache-2.0 */
/* The store shows the trace run by run, twice: first the spans are counted, then they are taken, so
 * that one array of the right size is enough. Names and resources are those of the run's block and
 * end with it: they are kept once for the whole trace. */
#include "serve/trace_skeleton.h"

#include "base/map.h"

struct skeleton {
    struct arena *arena;
    struct span *spans;
    size_t count;
    size_t room;
    struct map names;     /* struct str */
    struct map resources; /* struct resource, by service and host. */
};

static void skeleton_done(struct skeleton *skeleton)
{
    map_done(&skeleton->names);
    map_done(&skeleton->resources);
}

static enum err count_spans(void *self, const struct span_run *run, bool *is_enough,
                            struct why *why)
{
    struct skeleton *skeleton = self;

    (void)is_enough;
    (void)why;
    skeleton->room += run->wanted_count;
    return ERR_NONE;
}

/* STR_NONE: the arena is spent. */
static struct str keep_name(struct skeleton *skeleton, struct str name)
{
    struct str *known = map_get(&skeleton->names, name);

    if (known != NULL)
        return *known;
    known = ARENA_NEW(skeleton->arena, struct str);
    struct str kept = arena_str(skeleton->arena, name);
    if (known == NULL || kept.data == NULL)
        return STR_NONE;
    *known = kept;
    (void)map_put(&skeleton->names, kept, known); /* Was absent. */
    return kept;
}

static const struct resource *new_resource(struct skeleton *skeleton, struct str key,
                                           size_t service_size)
{
    struct resource *resource = ARENA_NEW(skeleton->arena, struct resource);
    struct attribute *host = ARENA_NEW(skeleton->arena, struct attribute);
    struct str kept = arena_str(skeleton->arena, key);

    if (resource == NULL || host == NULL || kept.data == NULL)
        return NULL;
    *host = (struct attribute){
        STR("host.id"),
        {.kind = VALUE_TEXT, .text = {kept.data + service_size + 1, kept.size - service_size - 1}}};
    *resource = (struct resource){
        .service_name = {kept.data, service_size},
        .attributes = {.items = host, .count = host->value.text.size > 0},
    };
    (void)map_put(&skeleton->resources, kept, resource); /* Was absent. */
    return resource;
}

/* NULL: the arena is spent. */
static const struct resource *keep_resource(struct skeleton *skeleton,
                                            const struct resource *resource)
{
    static const struct str keys[] = {{"host.id", 7}, {"host.name", 9}, {"k8s.node.name", 13}};
    struct buf key CLEANUP(buf_done) = {0};

    buf_str(&key, resource->service_name);
    buf_byte(&key, 0);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct value *value = attributes_get(&resource->attributes, keys[i]);
        if (value == NULL || value->kind != VALUE_TEXT || value->text.size == 0)
            continue;
        buf_str(&key, value->text);
        break;
    }
    const struct resource *known = map_get(&skeleton->resources, buf_view(&key));
    return known != NULL ? known
                         : new_resource(skeleton, buf_view(&key), resource->service_name.size);
}

static void take_span(struct skeleton *skeleton, const struct span_run *run, size_t at,
                      const uint8_t *trace_id, struct str name, const struct resource *resource)
{
    struct span *span = &skeleton->spans[skeleton->count++];

    *span = (struct span){
        .start_ns = run->start_ns[at],
        .end_ns = (int64_t)((uint64_t)run->start_ns[at] + (uint64_t)run->duration_ns[at]),
        .name = name,
        .kind = (enum span_kind)(run->kinds[at] & 7),
        .status = (enum span_status)(run->kinds[at] >> 3),
        .resource = resource,
    };
    memcpy(span->trace_id, trace_id, TRACE_ID_BYTES);
    memcpy(span->span_id, run->ids + at * SPAN_ID_BYTES, SPAN_ID_BYTES);
    memcpy(span->parent_span_id, run->parent_ids + at * SPAN_ID_BYTES, SPAN_ID_BYTES);
}

static enum err take_spans(void *self, const struct span_run *run, bool *is_enough, struct why *why)
{
    struct skeleton *skeleton = self;
    uint64_t last_name = UINT64_MAX, last_resource = UINT64_MAX;
    struct str name = STR_NONE;
    const struct resource *resource = NULL;

    for (size_t i = 0; i < run->count && skeleton->count < skeleton->room; i++) {
        if (!run->wanted[i])
            continue;
        if (run->name_of[i] != last_name)
            name = keep_name(skeleton, run->texts[run->name_of[i]]);
        if (run->resource_of[i] != last_resource)
            resource = keep_resource(skeleton, &run->resources[run->resource_of[i]]);
        last_name = run->name_of[i];
        last_resource = run->resource_of[i];
        if (name.data == NULL || resource == NULL)
            return arena_spent(skeleton->arena, "a large trace", why);
        take_span(skeleton, run, i, run->traces + run->trace_of[i] * TRACE_ID_BYTES, name,
                  resource);
    }
    *is_enough = skeleton->count == skeleton->room;
    return ERR_NONE;
}

enum err trace_skeleton_read(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                             struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct skeleton skeleton CLEANUP(skeleton_done) = {.arena = arena};
    struct span_walk walk = {.trace_id = trace_id, .self = &skeleton, .show = count_spans};

    TRY(view->ops->traces->walk(view, &walk, why));
    skeleton.spans = ARENA_ARRAY_RAW(arena, skeleton.room + 1, struct span);
    if (skeleton.spans == NULL)
        return arena_spent(arena, "a large trace", why);
    walk.show = take_spans;
    TRY(view->ops->traces->walk(view, &walk, why));
    *ret_spans = (struct span_list){skeleton.spans, skeleton.count};
    return ERR_NONE;
}
