/* SPDX-License-Identifier: Apache-2.0 */
#include "store/trace_copy.h"

#include "codec/otlp.h"

static enum err copy_text(struct arena *arena, struct str *text, struct why *why)
{
    struct str copy = arena_str(arena, *text);

    if (copy.data == NULL)
        return arena_spent(arena, "the answer", why);
    *text = copy;
    return ERR_NONE;
}

static enum err copy_pairs(struct arena *arena, const struct attribute **items, size_t count,
                           struct why *why);

static enum err copy_value(struct arena *arena, struct value *value, struct why *why)
{
    if (value->kind == VALUE_TEXT || value->kind == VALUE_BYTES)
        return copy_text(arena, &value->text, why);
    if (value->kind == VALUE_MAP)
        return copy_pairs(arena, &value->map.items, value->map.count, why);
    if (value->kind != VALUE_LIST)
        return ERR_NONE;
    struct value *items = ARENA_ARRAY(arena, value->list.count, struct value);
    if (items == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < value->list.count; i++) {
        items[i] = value->list.items[i];
        TRY(copy_value(arena, &items[i], why));
    }
    value->list.items = items;
    return ERR_NONE;
}

static enum err copy_pairs(struct arena *arena, const struct attribute **items, size_t count,
                           struct why *why)
{
    struct attribute *copies = ARENA_ARRAY(arena, count, struct attribute);

    if (copies == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < count; i++) {
        copies[i] = (*items)[i];
        TRY(copy_text(arena, &copies[i].key, why));
        TRY(copy_value(arena, &copies[i].value, why));
    }
    *items = copies;
    return ERR_NONE;
}

static enum err copy_attributes(struct arena *arena, struct attributes *attributes, struct why *why)
{
    return copy_pairs(arena, &attributes->items, attributes->count, why);
}

static enum err copy_resource(struct arena *arena, const struct resource **resource,
                              struct why *why)
{
    struct resource *copy = ARENA_NEW(arena, struct resource);

    if (copy == NULL)
        return arena_spent(arena, "the answer", why);
    *copy = **resource;
    TRY(copy_text(arena, &copy->service_name, why));
    TRY(copy_text(arena, &copy->schema_url, why));
    TRY(copy_attributes(arena, &copy->attributes, why));
    *resource = copy;
    return ERR_NONE;
}

static enum err copy_scope(struct arena *arena, const struct scope **scope, struct why *why)
{
    if (*scope == NULL)
        return ERR_NONE;
    struct scope *copy = ARENA_NEW(arena, struct scope);
    if (copy == NULL)
        return arena_spent(arena, "the answer", why);
    *copy = **scope;
    TRY(copy_text(arena, &copy->name, why));
    TRY(copy_text(arena, &copy->version, why));
    TRY(copy_text(arena, &copy->schema_url, why));
    TRY(copy_attributes(arena, &copy->attributes, why));
    *scope = copy;
    return ERR_NONE;
}

static enum err copy_owners(struct arena *arena, struct trace_owners *owners,
                            const struct resource **resource, const struct scope **scope,
                            struct why *why)
{
    if (owners->resource == NULL || *resource != owners->resource_from) {
        owners->resource_from = *resource;
        TRY(copy_resource(arena, resource, why));
        owners->resource = *resource;
    }
    if (*scope != owners->scope_from) {
        owners->scope_from = *scope;
        TRY(copy_scope(arena, scope, why));
        owners->scope = *scope;
    }
    *resource = owners->resource;
    *scope = owners->scope;
    return ERR_NONE;
}

static enum err copy_events(struct arena *arena, struct span *span, struct why *why)
{
    struct span_event *events = ARENA_ARRAY(arena, span->event_count, struct span_event);
    struct span_link *links = ARENA_ARRAY(arena, span->link_count, struct span_link);

    if (events == NULL || links == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < span->event_count; i++) {
        events[i] = span->events[i];
        TRY(copy_text(arena, &events[i].name, why));
        TRY(copy_attributes(arena, &events[i].attributes, why));
    }
    for (size_t i = 0; i < span->link_count; i++) {
        links[i] = span->links[i];
        TRY(copy_text(arena, &links[i].trace_state, why));
        TRY(copy_attributes(arena, &links[i].attributes, why));
    }
    span->events = events;
    span->links = links;
    return ERR_NONE;
}

enum err trace_copy_span(struct arena *arena, struct trace_owners *owners, struct span *span,
                         struct why *why)
{
    TRY(copy_text(arena, &span->name, why));
    TRY(copy_text(arena, &span->status_message, why));
    TRY(copy_text(arena, &span->trace_state, why));
    TRY(copy_attributes(arena, &span->attributes, why));
    TRY(copy_events(arena, span, why));
    TRY(copy_owners(arena, owners, &span->resource, &span->scope, why));
    return otlp_llm_read(span, arena, &span->llm, why); /* Its texts are the attributes'. */
}

enum err trace_copy_event(struct arena *arena, struct trace_owners *owners, struct event *event,
                          struct why *why)
{
    TRY(copy_text(arena, &event->severity_text, why));
    TRY(copy_text(arena, &event->name, why));
    TRY(copy_value(arena, &event->body, why));
    TRY(copy_attributes(arena, &event->attributes, why));
    return copy_owners(arena, owners, &event->resource, &event->scope, why);
}
