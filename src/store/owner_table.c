/* SPDX-License-Identifier: Apache-2.0 */
/*     resource  | schema_url, text | attributes |
 *     scope     | name, text | version, text | schema_url, text | attributes |
 *
 * as store/packed writes texts and attributes. */
#include "store/owner_table.h"

#include <stdlib.h>

void owner_table_done(struct owner_table *table)
{
    free(table->entries);
    buf_done(&table->bytes);
}

void owner_table_clear(struct owner_table *table)
{
    table->count = 0;
    buf_clear(&table->bytes);
    memset(table->memo, 0, sizeof(table->memo));
}

/* The bytes from `start` on are the newest; they go again when they were there before. */
static uint32_t settle(struct owner_table *table, size_t start)
{
    struct str bytes = {table->bytes.data + start, table->bytes.size - start};
    uint64_t hash = str_hash(bytes, 0);

    for (size_t i = 0; i < table->count; i++) {
        const struct owner_entry *entry = &table->entries[i];
        if (entry->hash == hash &&
            str_eq((struct str){table->bytes.data + entry->start, entry->size}, bytes)) {
            table->bytes.size = start;
            return (uint32_t)i;
        }
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        table->entries = reallocarray(table->entries, table->capacity, sizeof(*table->entries));
        if (table->entries == NULL)
            must_memory(table->capacity * sizeof(*table->entries));
    }
    table->entries[table->count] = (struct owner_entry){hash, start, bytes.size};
    return (uint32_t)table->count++;
}

static size_t memo_place(const void *owner)
{
    return ((uintptr_t)owner >> 4 ^ (uintptr_t)owner >> 12) & (OWNER_MEMO - 1);
}

uint32_t owner_of_resource(struct owner_table *table, struct packed_writer *writer,
                           const struct resource *resource)
{
    size_t place = memo_place(resource);
    size_t start = table->bytes.size;

    if (table->memo[place].owner == resource)
        return table->memo[place].number;
    buf_varint(&table->bytes, packed_text(writer, resource->schema_url));
    packed_put_attributes(writer, &table->bytes, &resource->attributes);
    table->memo[place].owner = resource;
    table->memo[place].number = settle(table, start);
    return table->memo[place].number;
}

uint32_t owner_of_scope(struct owner_table *table, struct packed_writer *writer,
                        const struct scope *scope)
{
    size_t place = memo_place(scope);
    size_t start = table->bytes.size;

    if (scope == NULL)
        return 0;
    if (table->memo[place].owner == scope)
        return table->memo[place].number;
    buf_varint(&table->bytes, packed_text(writer, scope->name));
    buf_varint(&table->bytes, packed_text(writer, scope->version));
    buf_varint(&table->bytes, packed_text(writer, scope->schema_url));
    packed_put_attributes(writer, &table->bytes, &scope->attributes);
    table->memo[place].owner = scope;
    table->memo[place].number = settle(table, start) + 1;
    return table->memo[place].number;
}

/* ---- Reading. ---- */

static enum err next_text(const struct packed *packed, struct varint_reader *reader,
                          struct str *ret_text, struct why *why)
{
    return packed_text_at(packed, varint_read(reader), ret_text, why);
}

static enum err read_resource(const struct packed *packed, struct varint_reader *reader,
                              struct resource *resource, struct why *why)
{
    TRY(next_text(packed, reader, &resource->schema_url, why));
    TRY(packed_get_attributes(packed, reader, &resource->attributes, why));
    const struct value *name = attributes_get(&resource->attributes, STR("service.name"));
    resource->service_name = STR("unknown_service");
    if (name != NULL && name->kind == VALUE_TEXT && name->text.size > 0)
        resource->service_name = name->text;
    return ERR_NONE;
}

static enum err read_scope(const struct packed *packed, struct varint_reader *reader,
                           struct scope *scope, struct why *why)
{
    TRY(next_text(packed, reader, &scope->name, why));
    TRY(next_text(packed, reader, &scope->version, why));
    TRY(next_text(packed, reader, &scope->schema_url, why));
    return packed_get_attributes(packed, reader, &scope->attributes, why);
}

/* Each takes three bytes at least, which bounds how many there can be. */
enum err owner_read_resources(struct packed *packed, unsigned column,
                              const struct resource **ret_items, size_t *ret_count, struct why *why)
{
    struct str bytes;
    size_t count = 0;

    TRY(packed_bytes(packed, column, &bytes, why));
    struct resource *items = ARENA_ARRAY(packed->arena, bytes.size / 3 + 1, struct resource);
    if (items == NULL)
        return arena_spent(packed->arena, "reading spans or events", why);
    struct varint_reader reader = varint_begin(bytes);
    while (varint_left(&reader) > 0) {
        if (count == bytes.size / 3)
            return packed_corrupt("its resources are none", why);
        TRY(read_resource(packed, &reader, &items[count++], why));
    }
    *ret_items = items;
    *ret_count = count;
    return ERR_NONE;
}

enum err owner_read_scopes(struct packed *packed, unsigned column, const struct scope **ret_items,
                           size_t *ret_count, struct why *why)
{
    struct str bytes;
    size_t count = 0;

    TRY(packed_bytes(packed, column, &bytes, why));
    struct scope *items = ARENA_ARRAY(packed->arena, bytes.size / 5 + 1, struct scope);
    if (items == NULL)
        return arena_spent(packed->arena, "reading spans or events", why);
    struct varint_reader reader = varint_begin(bytes);
    while (varint_left(&reader) > 0) {
        if (count == bytes.size / 5)
            return packed_corrupt("its scopes are none", why);
        TRY(read_scope(packed, &reader, &items[count++], why));
    }
    *ret_items = items;
    *ret_count = count;
    return ERR_NONE;
}
