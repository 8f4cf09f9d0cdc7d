/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a block (numbers are varints):
 *
 *     | version 1 | rows | count of columns | directory | columns |
 *     directory, for each column that is not empty, in order:
 *         | number | unpacked size | stored size, 0: as it is |
 *     numbers from PACKED_COLUMNS on are the columns of values, one a key, in the order of KEYS.
 *
 *     SIZES   a number a text             TEXTS   the texts one after the other
 *     KEYS    text, kind                  SHAPES  count, keys (numbers in KEYS)
 *     REST    attributes as told below, of rows with shape 0
 *
 * A value of a column: TEXT number of the text; BOOL 0 or 1; INTEGER zigzag; DOUBLE 8 bytes; others
 * as they are told by themselves:
 *     value       | kind | the same, and BYTES size, bytes; LIST count, values; MAP count, pairs |
 *     attributes  | count | dropped | for each: key's text, value |
 *
 * Shape 0 is "in REST", shape 1 is "none"; the others are 2 + their place in SHAPES. Keepers of the
 * bytes check a checksum first; all is bounded nevertheless. */
#include "store/packed.h"

#include <stdlib.h>
#include <zstd.h>

enum {
    VERSION = 1,
    ZSTD_LEVEL = 3,
    COMPRESS_BYTES_MIN = 48,
    SLOTS_FIRST = 1024,
    FREE = 0,
};

/* Finds a place by hash: numbers from 1, 0 is free. */
struct slots {
    uint32_t *numbers;
    size_t capacity; /* A power of two. */
    size_t count;
};

struct text_entry {
    struct str text;
    uint64_t hash;
};

struct key_column {
    uint32_t text;
    uint8_t kind;
    struct str last; /* Value of the row before, and its number: often the same again. */
    uint32_t last_text;
    struct buf values;
};

struct shape {
    uint32_t first; /* Of its keys in shape_keys. */
    uint32_t count;
    uint32_t following; /* The shape that came after it last time. */
    uint64_t hash;
};

struct packed_writer {
    struct buf columns[PACKED_COLUMNS];
    struct text_entry *texts; /* [0] is the empty one. */
    size_t texts_count, texts_capacity;
    size_t texts_bytes;
    struct slots text_slots;
    struct key_column *keys;
    size_t keys_count, keys_capacity; /* Beyond count are cleared ones, with their memory. */
    struct slots key_slots;
    struct shape *shapes;
    size_t shapes_count, shapes_capacity;
    struct slots shape_slots;
    uint32_t *shape_keys;
    size_t shape_keys_count, shape_keys_capacity;
    uint32_t shape_before;
    size_t values_bytes; /* About. */
    ZSTD_CCtx *zstd;
};

static void grow(void **items, size_t *capacity, size_t first, size_t size)
{
    size_t wanted = *capacity == 0 ? first : *capacity * 2;

    *items = reallocarray(*items, wanted, size);
    if (*items == NULL)
        must_memory(wanted * size);
    memset((char *)*items + *capacity * size, 0, (wanted - *capacity) * size);
    *capacity = wanted;
}

/* ---- Slots. ---- */

static void slots_clear(struct slots *slots)
{
    if (slots->count > 0)
        memset(slots->numbers, 0, slots->capacity * sizeof(*slots->numbers));
    slots->count = 0;
}

/* Doubles when half full; hash_of tells the hash of a number that is inside. */
static void slots_fit(struct slots *slots, const void *self,
                      uint64_t (*hash_of)(const void *self, uint32_t number))
{
    struct slots larger = {.capacity = slots->capacity == 0 ? SLOTS_FIRST : slots->capacity * 2};

    if (slots->count * 2 < slots->capacity)
        return;
    larger.numbers = calloc(larger.capacity, sizeof(*larger.numbers));
    if (larger.numbers == NULL)
        must_memory(larger.capacity * sizeof(*larger.numbers));
    for (size_t i = 0; i < slots->capacity; i++) {
        if (slots->numbers[i] == FREE)
            continue;
        size_t at = hash_of(self, slots->numbers[i]) & (larger.capacity - 1);
        while (larger.numbers[at] != FREE)
            at = (at + 1) & (larger.capacity - 1);
        larger.numbers[at] = slots->numbers[i];
    }
    larger.count = slots->count;
    free(slots->numbers);
    *slots = larger;
}

/* ---- The writer's life. ---- */

struct packed_writer *packed_writer_new(void)
{
    struct packed_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL)
        must_memory(sizeof(*writer));
    writer->zstd = ZSTD_createCCtx();
    if (writer->zstd == NULL)
        must_memory(0);
    packed_clear(writer);
    return writer;
}

struct packed_writer *packed_writer_free(struct packed_writer *writer)
{
    if (writer == NULL)
        return NULL;
    for (size_t i = 0; i < PACKED_COLUMNS; i++)
        buf_done(&writer->columns[i]);
    for (size_t i = 0; i < writer->keys_capacity; i++)
        buf_done(&writer->keys[i].values);
    free(writer->texts);
    free(writer->keys);
    free(writer->shapes);
    free(writer->shape_keys);
    free(writer->text_slots.numbers);
    free(writer->key_slots.numbers);
    free(writer->shape_slots.numbers);
    (void)ZSTD_freeCCtx(writer->zstd); /* Cannot fail. */
    free(writer);
    return NULL;
}

void packed_clear(struct packed_writer *writer)
{
    for (size_t i = 0; i < PACKED_COLUMNS; i++)
        buf_clear(&writer->columns[i]);
    for (size_t i = 0; i < writer->keys_count; i++) {
        buf_clear(&writer->keys[i].values);
        writer->keys[i].last = STR_NONE;
        writer->keys[i].last_text = 0;
    }
    slots_clear(&writer->text_slots);
    slots_clear(&writer->key_slots);
    slots_clear(&writer->shape_slots);
    writer->keys_count = writer->shapes_count = writer->shape_keys_count = 0;
    writer->texts_count = writer->texts_bytes = writer->values_bytes = 0;
    writer->shape_before = UINT32_MAX;
    if (writer->texts_capacity == 0)
        grow((void **)&writer->texts, &writer->texts_capacity, SLOTS_FIRST, sizeof(*writer->texts));
    writer->texts[writer->texts_count++] = (struct text_entry){.text = STR("")};
}

struct buf *packed_column(struct packed_writer *writer, unsigned column)
{
    MUST(column < PACKED_COLUMNS);
    return &writer->columns[column];
}

size_t packed_size(const struct packed_writer *writer)
{
    size_t size = writer->texts_bytes + writer->values_bytes;

    for (size_t i = 0; i < PACKED_COLUMNS; i++)
        size += writer->columns[i].size;
    return size;
}

/* ---- Texts. ---- */

static uint64_t text_hash(const void *self, uint32_t number)
{
    return ((const struct packed_writer *)self)->texts[number].hash;
}

uint32_t packed_text(struct packed_writer *writer, struct str text)
{
    struct slots *slots = &writer->text_slots;

    if (text.size == 0)
        return 0;
    slots_fit(slots, writer, text_hash);
    uint64_t hash = str_hash(text, 0);
    size_t at = hash & (slots->capacity - 1);
    for (; slots->numbers[at] != FREE; at = (at + 1) & (slots->capacity - 1)) {
        const struct text_entry *entry = &writer->texts[slots->numbers[at]];
        if (entry->hash == hash && str_eq(entry->text, text))
            return slots->numbers[at];
    }
    if (writer->texts_count == writer->texts_capacity)
        grow((void **)&writer->texts, &writer->texts_capacity, SLOTS_FIRST, sizeof(*writer->texts));
    slots->numbers[at] = (uint32_t)writer->texts_count;
    slots->count++;
    writer->texts[writer->texts_count] = (struct text_entry){text, hash};
    writer->texts_bytes += text.size + 2;
    return (uint32_t)writer->texts_count++;
}

/* ---- Values. ---- */

static void put_double(struct buf *out, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof(bits));
    buf_u64(out, bits);
}

void packed_put_value(struct packed_writer *writer, struct buf *out, const struct value *value)
{
    buf_byte(out, (uint8_t)value->kind);
    switch (value->kind) {
    case VALUE_TEXT:
        buf_varint(out, packed_text(writer, value->text));
        break;
    case VALUE_BOOL:
        buf_byte(out, value->boolean);
        break;
    case VALUE_INTEGER:
        buf_varint(out, zigzag(value->integer));
        break;
    case VALUE_DOUBLE:
        put_double(out, value->number);
        break;
    case VALUE_BYTES:
        buf_varint(out, value->text.size);
        buf_str(out, value->text);
        break;
    case VALUE_LIST:
        buf_varint(out, value->list.count);
        for (size_t i = 0; i < value->list.count; i++)
            packed_put_value(writer, out, &value->list.items[i]);
        break;
    case VALUE_MAP:
        buf_varint(out, value->map.count);
        for (size_t i = 0; i < value->map.count; i++) {
            buf_varint(out, packed_text(writer, value->map.items[i].key));
            packed_put_value(writer, out, &value->map.items[i].value);
        }
        break;
    case VALUE_EMPTY:
        break;
    }
}

void packed_put_attributes(struct packed_writer *writer, struct buf *out,
                           const struct attributes *attributes)
{
    buf_varint(out, attributes->count);
    buf_varint(out, attributes->dropped_count);
    for (size_t i = 0; i < attributes->count; i++) {
        buf_varint(out, packed_text(writer, attributes->items[i].key));
        packed_put_value(writer, out, &attributes->items[i].value);
    }
}

static void put_in_column(struct packed_writer *writer, struct key_column *key,
                          const struct value *value)
{
    size_t before = key->values.size;

    switch (value->kind) {
    case VALUE_TEXT:
        if (!str_eq(key->last, value->text)) {
            key->last = value->text;
            key->last_text = packed_text(writer, value->text);
        }
        buf_varint(&key->values, value->text.size == 0 ? 0 : key->last_text);
        break;
    case VALUE_BOOL:
        buf_byte(&key->values, value->boolean);
        break;
    case VALUE_INTEGER:
        buf_varint(&key->values, zigzag(value->integer));
        break;
    case VALUE_DOUBLE:
        put_double(&key->values, value->number);
        break;
    default:
        packed_put_value(writer, &key->values, value);
        break;
    }
    writer->values_bytes += key->values.size - before;
}

/* ---- Keys and shapes. ---- */

static uint64_t mix(uint64_t value)
{
    value ^= value >> 31;
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ value >> 29;
}

static uint64_t key_hash(const void *self, uint32_t number)
{
    const struct key_column *key = &((const struct packed_writer *)self)->keys[number - 1];

    return mix((uint64_t)key->text << 8 | key->kind);
}

/* False: there are too many. */
static bool find_key(struct packed_writer *writer, uint32_t text, enum value_kind kind,
                     uint32_t *ret_key)
{
    struct slots *slots = &writer->key_slots;

    slots_fit(slots, writer, key_hash);
    size_t at = mix((uint64_t)text << 8 | kind) & (slots->capacity - 1);
    for (; slots->numbers[at] != FREE; at = (at + 1) & (slots->capacity - 1)) {
        uint32_t number = slots->numbers[at] - 1;
        if (writer->keys[number].text == text && writer->keys[number].kind == kind) {
            *ret_key = number;
            return true;
        }
    }
    if (writer->keys_count == PACKED_KEYS_MAX)
        return false;
    if (writer->keys_count == writer->keys_capacity)
        grow((void **)&writer->keys, &writer->keys_capacity, 64, sizeof(*writer->keys));
    *ret_key = (uint32_t)writer->keys_count++;
    writer->keys[*ret_key].text = text;
    writer->keys[*ret_key].kind = (uint8_t)kind;
    slots->numbers[at] = *ret_key + 1;
    slots->count++;
    return true;
}

static bool shape_fits(const struct packed_writer *writer, uint32_t number,
                       const struct attributes *attributes)
{
    const struct shape *shape = &writer->shapes[number];

    if (shape->count != attributes->count)
        return false;
    for (size_t i = 0; i < attributes->count; i++) {
        const struct key_column *key = &writer->keys[writer->shape_keys[shape->first + i]];
        if (key->kind != attributes->items[i].value.kind ||
            !str_eq(writer->texts[key->text].text, attributes->items[i].key))
            return false;
    }
    return true;
}

static uint64_t shape_hash(const void *self, uint32_t number)
{
    return ((const struct packed_writer *)self)->shapes[number - 1].hash;
}

static uint32_t add_shape(struct packed_writer *writer, const uint32_t *keys, size_t count,
                          uint64_t hash, size_t slot)
{
    while (writer->shape_keys_count + count > writer->shape_keys_capacity)
        grow((void **)&writer->shape_keys, &writer->shape_keys_capacity, 1024,
             sizeof(*writer->shape_keys));
    if (writer->shapes_count == writer->shapes_capacity)
        grow((void **)&writer->shapes, &writer->shapes_capacity, 64, sizeof(*writer->shapes));
    uint32_t number = (uint32_t)writer->shapes_count++;
    writer->shapes[number] = (struct shape){
        .first = (uint32_t)writer->shape_keys_count,
        .count = (uint32_t)count,
        .following = UINT32_MAX,
        .hash = hash,
    };
    memcpy(writer->shape_keys + writer->shape_keys_count, keys, count * sizeof(*keys));
    writer->shape_keys_count += count;
    writer->shape_slots.numbers[slot] = number + 1;
    writer->shape_slots.count++;
    return number;
}

/* UINT32_MAX: the attributes go to the rest. */
static uint32_t find_shape(struct packed_writer *writer, const struct attributes *attributes)
{
    struct slots *slots = &writer->shape_slots;
    uint32_t keys[PACKED_ATTRIBUTES_MAX];
    uint64_t hash = attributes->count;

    if (attributes->count > PACKED_ATTRIBUTES_MAX)
        return UINT32_MAX;
    for (size_t i = 0; i < attributes->count; i++) {
        const struct attribute *item = &attributes->items[i];
        if (!find_key(writer, packed_text(writer, item->key), item->value.kind, &keys[i]))
            return UINT32_MAX;
        hash = mix(hash + keys[i] + 1);
    }
    slots_fit(slots, writer, shape_hash);
    size_t at = hash & (slots->capacity - 1);
    for (; slots->numbers[at] != FREE; at = (at + 1) & (slots->capacity - 1)) {
        const struct shape *shape = &writer->shapes[slots->numbers[at] - 1];
        if (shape->hash == hash && shape->count == attributes->count &&
            memcmp(writer->shape_keys + shape->first, keys, shape->count * sizeof(*keys)) == 0)
            return slots->numbers[at] - 1;
    }
    if (writer->shapes_count == PACKED_SHAPES_MAX)
        return UINT32_MAX;
    return add_shape(writer, keys, attributes->count, hash, at);
}

/* The shape that followed the row before's last time, if it fits: then nothing is looked up. */
static uint32_t expect_shape(struct packed_writer *writer, const struct attributes *attributes)
{
    uint32_t before = writer->shape_before;
    uint32_t number = before == UINT32_MAX ? UINT32_MAX : writer->shapes[before].following;

    if (number == UINT32_MAX || !shape_fits(writer, number, attributes))
        number = find_shape(writer, attributes);
    if (before != UINT32_MAX)
        writer->shapes[before].following = number;
    writer->shape_before = number;
    return number;
}

uint32_t packed_attributes(struct packed_writer *writer, const struct attributes *attributes)
{
    if (attributes->count == 0 && attributes->dropped_count == 0)
        return 1;
    uint32_t number =
        attributes->dropped_count == 0 ? expect_shape(writer, attributes) : UINT32_MAX;
    if (number == UINT32_MAX) {
        packed_put_attributes(writer, &writer->columns[PACKED_REST], attributes);
        return 0;
    }
    for (size_t i = 0; i < attributes->count; i++) {
        uint32_t key = writer->shape_keys[writer->shapes[number].first + i];
        put_in_column(writer, &writer->keys[key], &attributes->items[i].value);
    }
    return number + 2;
}

/* ---- Terms. ---- */

/* The column of a key, walked; seen has a place for every text. */
static void key_terms(const struct packed_writer *writer, const struct key_column *key, bool *seen,
                      struct terms *terms)
{
    struct varint_reader reader = varint_begin(buf_view(&key->values));
    struct str name = writer->texts[key->text].text;
    struct value value = {.kind = (enum value_kind)key->kind};
    char scratch[TERM_TEXT_SIZE];
    struct str text;
    uint64_t before = UINT64_MAX;

    while (varint_left(&reader) > 0) {
        uint64_t number = 0;
        struct str bytes = STR_NONE;
        if (value.kind == VALUE_DOUBLE)
            bytes = varint_bytes(&reader, sizeof(value.number));
        else
            number = varint_read(&reader);
        if (value.kind == VALUE_TEXT) {
            if (!seen[number])
                terms_add(terms, term_hash(name, writer->texts[number].text));
            seen[number] = true;
            continue;
        }
        if (bytes.data != NULL)
            memcpy(&number, bytes.data, sizeof(number));
        if (number == before)
            continue;
        before = number;
        if (value.kind == VALUE_BOOL)
            value.boolean = number != 0;
        else if (value.kind == VALUE_INTEGER)
            value.integer = unzigzag(number);
        else
            memcpy(&value.number, &number, sizeof(number));
        if (term_text(&value, scratch, &text))
            terms_add(terms, term_hash(name, text));
    }
}

void packed_terms(const struct packed_writer *writer, struct terms *terms)
{
    bool *seen = calloc(writer->texts_count, sizeof(*seen));

    if (seen == NULL)
        must_memory(writer->texts_count);
    for (size_t i = 0; i < writer->keys_count; i++) {
        const struct key_column *key = &writer->keys[i];
        if (key->kind < VALUE_TEXT || key->kind > VALUE_DOUBLE)
            continue;
        if (key->kind == VALUE_TEXT)
            memset(seen, 0, writer->texts_count * sizeof(*seen));
        key_terms(writer, key, seen, terms);
    }
    terms->incomplete |= writer->columns[PACKED_REST].size > 0;
    free(seen);
}

/* ---- Finishing. ---- */

static void write_own_columns(struct packed_writer *writer)
{
    for (size_t i = 1; i < writer->texts_count; i++) {
        buf_varint(&writer->columns[PACKED_SIZES], writer->texts[i].text.size);
        buf_str(&writer->columns[PACKED_TEXTS], writer->texts[i].text);
    }
    for (size_t i = 0; i < writer->keys_count; i++) {
        buf_varint(&writer->columns[PACKED_KEYS], writer->keys[i].text);
        buf_byte(&writer->columns[PACKED_KEYS], writer->keys[i].kind);
    }
    for (size_t i = 0; i < writer->shapes_count; i++) {
        const struct shape *shape = &writer->shapes[i];
        buf_varint(&writer->columns[PACKED_SHAPES], shape->count);
        for (size_t k = 0; k < shape->count; k++)
            buf_varint(&writer->columns[PACKED_SHAPES], writer->shape_keys[shape->first + k]);
    }
}

static void write_column(struct packed_writer *writer, size_t number, const struct buf *column,
                         bool compress, struct buf *head, struct buf *bodies)
{
    size_t stored = 0;

    if (column->size == 0)
        return;
    if (compress && column->size >= COMPRESS_BYTES_MIN) {
        size_t bound = ZSTD_compressBound(column->size);
        char *place = buf_reserve(bodies, bound);
        stored =
            ZSTD_compressCCtx(writer->zstd, place, bound, column->data, column->size, ZSTD_LEVEL);
        MUST(!ZSTD_isError(stored)); /* The bound was kept. */
        if (stored >= column->size)
            stored = 0;
        bodies->size += stored;
    }
    if (stored == 0)
        buf_append(bodies, column->data, column->size);
    buf_varint(head, number);
    buf_varint(head, column->size);
    buf_varint(head, stored);
}

void packed_finish(struct packed_writer *writer, uint32_t rows, bool compress, struct buf *out)
{
    struct buf head CLEANUP(buf_done) = {0};
    struct buf bodies CLEANUP(buf_done) = {0};
    size_t count = 0;

    write_own_columns(writer);
    for (size_t i = 0; i < PACKED_COLUMNS; i++) {
        write_column(writer, i, &writer->columns[i], compress, &head, &bodies);
        count += writer->columns[i].size > 0;
    }
    for (size_t i = 0; i < writer->keys_count; i++) {
        write_column(writer, PACKED_COLUMNS + i, &writer->keys[i].values, compress, &head, &bodies);
        count += writer->keys[i].values.size > 0;
    }
    buf_byte(out, VERSION);
    buf_varint(out, rows);
    buf_varint(out, count);
    buf_str(out, buf_view(&head));
    buf_str(out, buf_view(&bodies));
}
