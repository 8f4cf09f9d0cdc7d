/* SPDX-License-Identifier: Apache-2.0 */
/* Columns are unpacked when they are first wanted, so a search that looks at durations pays for
 * durations. Layout: at the top of packed.c. */
#include "store/packed.h"

#include <zstd.h>

enum {
    VERSION = 1,
    TEXTS_MAX = 1 << 24,
    ZEROS_MAX = 8192, /* Rows of a block: what a column that is left out says of them. */
};

enum err packed_corrupt(const char *what, struct why *why)
{
    return fail(why, ERR_CORRUPT, "a block of spans or events is damaged: %s", what);
}

static enum err spent(const struct packed *packed, struct why *why)
{
    return arena_spent(packed->arena, "reading spans or events", why);
}

static enum err parse_directory(struct packed *packed, struct varint_reader *reader, size_t count,
                                struct why *why)
{
    struct varint_reader body = *reader;
    uint64_t before = 0;
    uint64_t last = 0;

    for (size_t i = 0; i < count; i++) { /* Failures are seen below, reading the same again. */
        last = varint_read(&body);
        varint_skip(&body, 2);
    }
    if (last >= PACKED_COLUMNS + PACKED_KEYS_MAX)
        return packed_corrupt("its columns are out of order", why);
    size_t parts_count = (size_t)last + 1;
    packed->parts = ARENA_ARRAY(packed->arena, parts_count, struct packed_part);
    if (packed->parts == NULL)
        return spent(packed, why);
    packed->parts_count = parts_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = varint_read_most(reader, parts_count - 1);
        uint64_t size = varint_read_most(reader, PACKED_COLUMN_BYTES_MAX);
        uint64_t stored = varint_read_most(reader, PACKED_COLUMN_BYTES_MAX);
        if (i > 0 && number <= before)
            return packed_corrupt("its columns are out of order", why);
        packed->parts[number] = (struct packed_part){
            .bytes = varint_bytes(&body, stored == 0 ? size : stored),
            .size = size,
            .compressed = stored != 0,
            .ready = stored == 0,
        };
        before = number;
    }
    return reader->failed || body.failed ? packed_corrupt("it is cut short", why) : ERR_NONE;
}

enum err packed_parse(struct str bytes, struct arena *arena, struct packed *ret_packed,
                      struct why *why)
{
    struct varint_reader reader = varint_begin(bytes);
    struct packed packed = {.arena = arena};

    uint8_t version = varint_byte(&reader);
    packed.rows = (uint32_t)varint_read_most(&reader, UINT32_MAX);
    uint64_t count = varint_read_most(&reader, PACKED_COLUMNS + PACKED_KEYS_MAX);
    if (reader.failed || version != VERSION)
        return packed_corrupt("its head is none of this program's", why);
    if (packed.rows > bytes.size * 64) /* Every row has its own span id, or nearly. */
        return packed_corrupt("it has fewer bytes than rows", why);
    TRY(parse_directory(&packed, &reader, count, why));
    *ret_packed = packed;
    return ERR_NONE;
}

enum err packed_bytes(struct packed *packed, unsigned column, struct str *ret_bytes,
                      struct why *why)
{
    if (column >= packed->parts_count) {
        *ret_bytes = STR("");
        return ERR_NONE;
    }
    struct packed_part *part = &packed->parts[column];

    if (part->compressed && !part->ready) {
        char *data = ARENA_ARRAY_RAW(packed->arena, part->size, char);
        if (data == NULL)
            return spent(packed, why);
        size_t got = ZSTD_decompress(data, part->size, part->bytes.data, part->bytes.size);
        if (ZSTD_isError(got) || got != part->size)
            return packed_corrupt("a column cannot be unpacked", why);
        part->bytes = (struct str){data, part->size};
        part->ready = true;
    }
    *ret_bytes = part->size == 0 ? STR("") : part->bytes;
    return ERR_NONE;
}

enum err packed_numbers(struct packed *packed, unsigned column, const uint64_t **ret_numbers,
                        struct why *why)
{
    static const uint64_t zeros[ZEROS_MAX];
    struct str bytes;

    TRY(packed_bytes(packed, column, &bytes, why));
    if (bytes.size == 0 && packed->rows <= ZEROS_MAX) {
        *ret_numbers = zeros;
        return ERR_NONE;
    }
    uint64_t *numbers = bytes.size == 0 ? ARENA_ARRAY(packed->arena, packed->rows, uint64_t)
                                        : ARENA_ARRAY_RAW(packed->arena, packed->rows, uint64_t);
    if (numbers == NULL)
        return spent(packed, why);
    struct varint_reader reader = varint_begin(bytes);
    for (uint32_t i = 0; bytes.size > 0 && i < packed->rows; i++)
        numbers[i] = varint_read(&reader);
    if (reader.failed || varint_left(&reader) > 0)
        return packed_corrupt("a column has not one number a row", why);
    *ret_numbers = numbers;
    return ERR_NONE;
}

enum err packed_read_texts(struct packed *packed, struct why *why)
{
    struct str sizes;
    struct str bytes;
    size_t count = 1;

    if (packed->texts != NULL)
        return ERR_NONE;
    TRY(packed_bytes(packed, PACKED_SIZES, &sizes, why));
    TRY(packed_bytes(packed, PACKED_TEXTS, &bytes, why));
    for (size_t i = 0; i < sizes.size; i++)
        count += (uint8_t)sizes.data[i] < 0x80; /* The last byte of a varint. */
    if (count > TEXTS_MAX)
        return packed_corrupt("it has too many texts", why);
    struct str *texts = ARENA_ARRAY(packed->arena, count, struct str);
    if (texts == NULL)
        return spent(packed, why);
    struct varint_reader size_reader = varint_begin(sizes);
    struct varint_reader reader = varint_begin(bytes);
    texts[0] = STR("");
    for (size_t i = 1; i < count; i++)
        texts[i] = varint_bytes(&reader, varint_read(&size_reader));
    if (size_reader.failed || reader.failed)
        return packed_corrupt("its texts are cut short", why);
    packed->texts = texts;
    packed->texts_count = count;
    return ERR_NONE;
}

static enum err read_keys(struct packed *packed, struct why *why)
{
    struct str bytes;
    size_t count = 0;

    TRY(packed_bytes(packed, PACKED_KEYS, &bytes, why));
    struct varint_reader reader = varint_begin(bytes);
    packed->keys = ARENA_ARRAY_RAW(packed->arena, PACKED_KEYS_MAX, struct packed_key);
    if (packed->keys == NULL)
        return spent(packed, why);
    while (varint_left(&reader) > 0 && count < PACKED_KEYS_MAX) {
        uint64_t text = varint_read_most(&reader, packed->texts_count - 1);
        uint8_t kind = varint_byte(&reader);
        if (reader.failed || kind > VALUE_MAP)
            return packed_corrupt("a key of attributes is none", why);
        packed->keys[count++] = (struct packed_key){(uint32_t)text, kind};
    }
    packed->keys_count = count;
    return varint_left(&reader) > 0 ? packed_corrupt("it has too many keys", why) : ERR_NONE;
}

static enum err read_shape(struct packed *packed, struct varint_reader *reader,
                           struct packed_shape *shape, struct why *why)
{
    size_t count = varint_read_most(reader, PACKED_ATTRIBUTES_MAX);
    uint32_t *keys = ARENA_ARRAY(packed->arena, count, uint32_t);

    if (keys == NULL)
        return spent(packed, why);
    for (size_t i = 0; i < count; i++) {
        keys[i] = (uint32_t)varint_read(reader);
        if (reader->failed || keys[i] >= packed->keys_count)
            return packed_corrupt("a list of attribute keys is none", why);
    }
    *shape = (struct packed_shape){keys, count};
    return ERR_NONE;
}

enum err packed_read_shapes(struct packed *packed, struct why *why)
{
    struct str bytes;
    size_t count = 0;

    if (packed->shapes != NULL)
        return ERR_NONE;
    TRY(packed_read_texts(packed, why));
    TRY(read_keys(packed, why));
    TRY(packed_bytes(packed, PACKED_SHAPES, &bytes, why));
    struct varint_reader reader = varint_begin(bytes);
    struct packed_shape *shapes =
        ARENA_ARRAY_RAW(packed->arena, PACKED_SHAPES_MAX, struct packed_shape);
    if (shapes == NULL)
        return spent(packed, why);
    while (varint_left(&reader) > 0 && count < PACKED_SHAPES_MAX)
        TRY(read_shape(packed, &reader, &shapes[count++], why));
    if (varint_left(&reader) > 0)
        return packed_corrupt("it has too many lists of keys", why);
    packed->shapes = shapes;
    packed->shapes_count = count;
    return ERR_NONE;
}

enum err packed_text_at(const struct packed *packed, uint64_t number, struct str *ret_text,
                        struct why *why)
{
    if (number >= packed->texts_count)
        return packed_corrupt("a text is missing", why);
    *ret_text = packed->texts[number];
    return ERR_NONE;
}

/* ---- Values. ---- */

static enum err get_value(const struct packed *packed, struct varint_reader *reader, size_t depth,
                          struct value *ret_value, struct why *why);

static enum err get_list(const struct packed *packed, struct varint_reader *reader, size_t depth,
                         struct value *ret_value, struct why *why)
{
    size_t count = varint_read_most(reader, varint_left(reader));
    struct value *items = ARENA_ARRAY(packed->arena, count, struct value);

    if (items == NULL)
        return spent(packed, why);
    for (size_t i = 0; i < count; i++)
        TRY(get_value(packed, reader, depth + 1, &items[i], why));
    ret_value->list.items = items;
    ret_value->list.count = count;
    return ERR_NONE;
}

static enum err get_pairs(const struct packed *packed, struct varint_reader *reader, size_t count,
                          size_t depth, const struct attribute **ret_items, struct why *why)
{
    struct attribute *items = ARENA_ARRAY(packed->arena, count, struct attribute);

    if (items == NULL)
        return spent(packed, why);
    for (size_t i = 0; i < count; i++) {
        TRY(packed_text_at(packed, varint_read(reader), &items[i].key, why));
        TRY(get_value(packed, reader, depth + 1, &items[i].value, why));
    }
    *ret_items = items;
    return ERR_NONE;
}

static double get_double(struct varint_reader *reader)
{
    struct str bytes = varint_bytes(reader, sizeof(double));
    double number = 0;

    if (bytes.data != NULL)
        memcpy(&number, bytes.data, sizeof(number));
    return number;
}

/* What stands behind the kind. */
static enum err get_content(const struct packed *packed, struct varint_reader *reader, size_t depth,
                            struct value *value, struct why *why)
{
    switch (value->kind) {
    case VALUE_TEXT:
        return packed_text_at(packed, varint_read(reader), &value->text, why);
    case VALUE_BOOL:
        value->boolean = varint_byte(reader) != 0;
        break;
    case VALUE_INTEGER:
        value->integer = unzigzag(varint_read(reader));
        break;
    case VALUE_DOUBLE:
        value->number = get_double(reader);
        break;
    case VALUE_BYTES:
        value->text = varint_bytes(reader, varint_read(reader));
        break;
    case VALUE_LIST:
        return get_list(packed, reader, depth, value, why);
    case VALUE_MAP:
        value->map.count = varint_read_most(reader, varint_left(reader));
        return get_pairs(packed, reader, value->map.count, depth, &value->map.items, why);
    case VALUE_EMPTY:
        break;
    }
    return reader->failed ? packed_corrupt("a value is cut short", why) : ERR_NONE;
}

static enum err get_value(const struct packed *packed, struct varint_reader *reader, size_t depth,
                          struct value *ret_value, struct why *why)
{
    uint8_t kind = varint_byte(reader);

    if (reader->failed || kind > VALUE_MAP || depth > PACKED_DEPTH_MAX)
        return packed_corrupt("a value is none", why);
    *ret_value = (struct value){.kind = (enum value_kind)kind};
    return get_content(packed, reader, depth, ret_value, why);
}

enum err packed_get_value(const struct packed *packed, struct varint_reader *reader,
                          struct value *ret_value, struct why *why)
{
    return get_value(packed, reader, 0, ret_value, why);
}

enum err packed_get_attributes(const struct packed *packed, struct varint_reader *reader,
                               struct attributes *ret_attributes, struct why *why)
{
    ret_attributes->count = varint_read_most(reader, varint_left(reader));
    ret_attributes->dropped_count = (uint32_t)varint_read(reader);
    return get_pairs(packed, reader, ret_attributes->count, 0, &ret_attributes->items, why);
}

/* ---- Going through all rows. ---- */

enum err packed_cursor_init(struct packed_cursor *cursor, struct packed *packed, struct why *why)
{
    struct str bytes;

    TRY(packed_read_shapes(packed, why));
    cursor->packed = packed;
    cursor->values = ARENA_ARRAY(packed->arena, packed->keys_count, struct varint_reader);
    if (cursor->values == NULL)
        return spent(packed, why);
    for (size_t i = 0; i < packed->keys_count; i++) {
        TRY(packed_bytes(packed, PACKED_COLUMNS + (unsigned)i, &bytes, why));
        cursor->values[i] = varint_begin(bytes);
    }
    cursor->skipped = ARENA_ARRAY(packed->arena, packed->shapes_count, uint32_t);
    cursor->skipped_shapes = ARENA_ARRAY(packed->arena, packed->shapes_count, uint32_t);
    if (cursor->skipped == NULL || cursor->skipped_shapes == NULL)
        return spent(packed, why);
    cursor->skipped_shapes_count = 0;
    TRY(packed_bytes(packed, PACKED_REST, &bytes, why));
    cursor->rest = varint_begin(bytes);
    return ERR_NONE;
}

static bool is_plain(enum value_kind kind)
{
    return kind == VALUE_TEXT || kind == VALUE_BOOL || kind == VALUE_INTEGER ||
           kind == VALUE_DOUBLE;
}

static enum err next_value(struct packed_cursor *cursor, uint32_t key, struct value *value,
                           struct why *why)
{
    const struct packed *packed = cursor->packed;
    struct varint_reader *reader = &cursor->values[key];

    value->kind = (enum value_kind)packed->keys[key].kind;
    if (is_plain(value->kind))
        return get_content(packed, reader, 0, value, why);
    return get_value(packed, reader, 0, value, why);
}

/* Values of one kind, `count` of them. */
static enum err skip_values(struct packed_cursor *cursor, uint32_t key, uint32_t count,
                            struct why *why)
{
    struct varint_reader *reader = &cursor->values[key];
    enum value_kind kind = (enum value_kind)cursor->packed->keys[key].kind;
    struct value value;

    if (kind == VALUE_DOUBLE) {
        (void)varint_bytes(reader, (uint64_t)count * sizeof(double)); /* Fails with the reader. */
        return ERR_NONE;
    }
    if (is_plain(kind)) { /* A bool is a varint too. */
        varint_skip(reader, count);
        return ERR_NONE;
    }
    for (uint32_t i = 0; i < count; i++)
        TRY(get_value(cursor->packed, reader, 0, &value, why));
    return ERR_NONE;
}

/* The readers go where the next row's values are. */
static enum err catch_up(struct packed_cursor *cursor, struct why *why)
{
    for (size_t i = 0; i < cursor->skipped_shapes_count; i++) {
        uint32_t number = cursor->skipped_shapes[i];
        const struct packed_shape *shape = &cursor->packed->shapes[number];
        for (size_t k = 0; k < shape->count; k++)
            TRY(skip_values(cursor, shape->keys[k], cursor->skipped[number], why));
        cursor->skipped[number] = 0;
    }
    cursor->skipped_shapes_count = 0;
    return ERR_NONE;
}

static enum err take_shape(struct packed_cursor *cursor, const struct packed_shape *shape,
                           struct attributes *attributes, struct why *why)
{
    const struct packed *packed = cursor->packed;
    struct attribute *items = ARENA_ARRAY(packed->arena, shape->count, struct attribute);

    if (items == NULL)
        return spent(packed, why);
    attributes->items = items;
    attributes->count = shape->count;
    TRY(catch_up(cursor, why));
    for (size_t i = 0; i < shape->count; i++) {
        TRY(next_value(cursor, shape->keys[i], &items[i].value, why));
        items[i].key = packed->texts[packed->keys[shape->keys[i]].text];
    }
    return ERR_NONE;
}

enum err packed_cursor_next(struct packed_cursor *cursor, uint64_t shape_number,
                            struct attributes *ret_attributes, struct why *why)
{
    const struct packed *packed = cursor->packed;
    struct attributes skipped = {0};

    if (shape_number == 0)
        return packed_get_attributes(packed, &cursor->rest,
                                     ret_attributes == NULL ? &skipped : ret_attributes, why);
    if (shape_number == 1)
        return ERR_NONE;
    if (shape_number - 2 >= packed->shapes_count)
        return packed_corrupt("a list of keys is missing", why);
    uint32_t number = (uint32_t)shape_number - 2;
    if (ret_attributes != NULL)
        return take_shape(cursor, &packed->shapes[number], ret_attributes, why);
    if (cursor->skipped[number]++ == 0)
        cursor->skipped_shapes[cursor->skipped_shapes_count++] = number;
    return ERR_NONE;
}
