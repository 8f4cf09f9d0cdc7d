/* SPDX-License-Identifier: Apache-2.0 */
/* packed - rows of spans or events as columns of varints, with a dictionary of texts.
 *
 * What a span carries besides its numbers is text from a small stock, in the same order again and
 * again. So each text is kept once, the list of an item's attribute keys (its shape) once, and the
 * values of one key stand together in a column of their own.
 *
 * A writer fills columns row by row and is used again after packed_clear. It borrows all texts
 * until packed_finish. Pure; one thread at a time. Layout of the bytes: at the top of packed.c. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "model/span.h"
#include "store/terms.h"
#include "store/varint.h"

enum {
    PACKED_COLUMNS = 40,      /* Numbers below are free for the kinds of rows. */
    PACKED_SIZES = 33,        /* Sizes of texts, */
    PACKED_TEXTS = 34,        /* and the texts. */
    PACKED_KEYS = 35,         /* Text, kind of value: what the value columns hold. */
    PACKED_SHAPES = 36,       /* Lists of keys. */
    PACKED_REST = 37,         /* Attributes of rows that have no shape. */
    PACKED_KEYS_MAX = 2048,   /* More different keys in one block go to the rest. */
    PACKED_SHAPES_MAX = 4096, /* The same for lists of them. */
    PACKED_ATTRIBUTES_MAX = 1024,
    PACKED_DEPTH_MAX = 40,
};

/* A block is finished when it has grown to this, before compression. */
#define PACKED_BYTES_MAX ((size_t)8 << 20)
/* And none is larger, whatever a single row brought. */
#define PACKED_COLUMN_BYTES_MAX ((size_t)256 << 20)

struct packed_writer;

struct packed_writer *packed_writer_new(void);
struct packed_writer *packed_writer_free(struct packed_writer *writer); /* Always returns NULL. */
void packed_clear(struct packed_writer *writer);

struct buf *packed_column(struct packed_writer *writer, unsigned column);
size_t packed_size(const struct packed_writer *writer); /* About what is in it so far. */

/* The number of a text in the dictionary; 0 is the empty one. */
uint32_t packed_text(struct packed_writer *writer, struct str text);
/* The attributes of the next row; returns the number of their shape. */
uint32_t packed_attributes(struct packed_writer *writer, const struct attributes *attributes);
/* The same by themselves into some column: for resources, events, links. */
void packed_put_attributes(struct packed_writer *writer, struct buf *out,
                           const struct attributes *attributes);
void packed_put_value(struct packed_writer *writer, struct buf *out, const struct value *value);

/* Adds the key=value pairs of all rows so far, each about once. */
void packed_terms(const struct packed_writer *writer, struct terms *terms);

/* Appends all columns. With compress, each that becomes smaller is a zstd frame. */
void packed_finish(struct packed_writer *writer, uint32_t rows, bool compress, struct buf *out);

/* ---- Reading. Everything returned lives in the arena, or in the bytes that were parsed. ---- */

struct packed {
    struct arena *arena;
    uint32_t rows;
    struct packed_part {
        struct str bytes; /* As stored. */
        size_t size;      /* Unpacked. */
        bool compressed;
        bool ready; /* bytes are unpacked. */
    } * parts;
    size_t parts_count;
    struct str *texts; /* NULL until packed_read_texts. */
    size_t texts_count;
    struct packed_key {
        uint32_t text;
        uint8_t kind; /* enum value_kind */
    } * keys;
    size_t keys_count;
    struct packed_shape {
        const uint32_t *keys;
        size_t count;
    } * shapes;
    size_t shapes_count;
};

/* ERR_CORRUPT; ERR_LIMIT: the arena is spent. */
CHECKED enum err packed_parse(struct str bytes, struct arena *arena, struct packed *ret_packed,
                              struct why *why);
/* The bytes of a column; none when it is not there. */
CHECKED enum err packed_bytes(struct packed *packed, unsigned column, struct str *ret_bytes,
                              struct why *why);
/* One number a row; zeros when the column is not there. */
CHECKED enum err packed_numbers(struct packed *packed, unsigned column,
                                const uint64_t **ret_numbers, struct why *why);
/* The dictionary; then the numbers of texts mean something. */
CHECKED enum err packed_read_texts(struct packed *packed, struct why *why);
/* Keys and shapes, after the texts. */
CHECKED enum err packed_read_shapes(struct packed *packed, struct why *why);

CHECKED enum err packed_text_at(const struct packed *packed, uint64_t number, struct str *ret_text,
                                struct why *why);
CHECKED enum err packed_get_attributes(const struct packed *packed, struct varint_reader *reader,
                                       struct attributes *ret_attributes, struct why *why);
CHECKED enum err packed_get_value(const struct packed *packed, struct varint_reader *reader,
                                  struct value *ret_value, struct why *why);

/* Goes through the attributes of all rows in order. Rows that are stepped over are only counted, by
 * shape; their values are skipped at once when a row is taken. */
struct packed_cursor {
    struct packed *packed;
    struct varint_reader *values; /* One a key. */
    struct varint_reader rest;
    uint32_t *skipped;        /* Rows of each shape stepped over since, */
    uint32_t *skipped_shapes; /* and which shapes have some. */
    size_t skipped_shapes_count;
};
CHECKED enum err packed_cursor_init(struct packed_cursor *cursor, struct packed *packed,
                                    struct why *why);
/* The attributes of the next row, of that shape; ret_attributes NULL: steps over them. */
CHECKED enum err packed_cursor_next(struct packed_cursor *cursor, uint64_t shape,
                                    struct attributes *ret_attributes, struct why *why);

enum err packed_corrupt(const char *what, struct why *why);
