/* SPDX-License-Identifier: Apache-2.0 */
/* HyperLogLog with 4,096 registers. The first 12 bits of a hash pick one; it keeps the longest run
 * of zeros, plus one, that the other 52 bits ever began with. A register that says r has been met
 * by about 2^r things.
 *
 * The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017):
 * from the counts of how many registers say what, with two series that correct the empty and the
 * saturated ones. It is unbiased from zero on and needs neither tables nor a switch of formulas.
 *
 * Few things: a sorted list of codes instead of registers, each the register and its value.
 *
 *     | version, 1 byte (1) | kind, 1 byte |
 *     0 LIST        | count, varint | codes as steps from the one before, varints |
 *     1 REGISTERS   | 6 bits each, lowest first: 3,072 bytes |
 *
 * code = register << 6 | value. */
#include "sketch/cardinality.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define INDEX_BITS     12
#define REGISTERS      (1u << INDEX_BITS)
#define VALUE_BITS     6
#define VALUE_MAX      (64 - INDEX_BITS + 1)
#define LIST_MAX       512
#define VERSION        1
#define KIND_LIST      0
#define KIND_REGISTERS 1
#define PACKED_SIZE    (REGISTERS * VALUE_BITS / 8)

struct cardinality {
    uint8_t *registers; /* NULL while the list does. */
    uint32_t list_count;
    uint32_t list[LIST_MAX]; /* Codes, rising; one for each register. */
};

struct cardinality *cardinality_new(void)
{
    struct cardinality *sketch = calloc(1, sizeof *sketch);

    if (sketch == NULL)
        must_memory(sizeof *sketch);
    return sketch;
}

struct cardinality *cardinality_free(struct cardinality *sketch)
{
    if (sketch == NULL)
        return NULL;
    free(sketch->registers);
    free(sketch);
    return NULL;
}

void cardinality_freep(struct cardinality **sketch)
{
    *sketch = cardinality_free(*sketch);
}

void cardinality_clear(struct cardinality *sketch)
{
    free(sketch->registers);
    sketch->registers = NULL;
    sketch->list_count = 0;
}

static void register_raise(uint8_t *registers, uint32_t index, uint8_t value)
{
    if (registers[index] < value)
        registers[index] = value;
}

static void to_registers(struct cardinality *sketch)
{
    sketch->registers = calloc(REGISTERS, 1);
    if (sketch->registers == NULL)
        must_memory(REGISTERS);
    for (uint32_t i = 0; i < sketch->list_count; i++)
        register_raise(sketch->registers, sketch->list[i] >> VALUE_BITS,
                       sketch->list[i] & ((1u << VALUE_BITS) - 1));
    sketch->list_count = 0;
}

/* The first place whose register is not below `index`. */
static uint32_t list_place(const struct cardinality *sketch, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = sketch->list_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (sketch->list[middle] >> VALUE_BITS < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void raise_to(struct cardinality *sketch, uint32_t index, uint8_t value)
{
    uint32_t code = index << VALUE_BITS | value;
    uint32_t at;

    if (sketch->registers != NULL) {
        register_raise(sketch->registers, index, value);
        return;
    }
    at = list_place(sketch, index);
    if (at < sketch->list_count && sketch->list[at] >> VALUE_BITS == index) {
        if (sketch->list[at] < code)
            sketch->list[at] = code;
        return;
    }
    if (sketch->list_count == LIST_MAX) {
        to_registers(sketch);
        register_raise(sketch->registers, index, value);
        return;
    }
    memmove(&sketch->list[at + 1], &sketch->list[at],
            (sketch->list_count - at) * sizeof sketch->list[0]);
    sketch->list[at] = code;
    sketch->list_count++;
}

void cardinality_add(struct cardinality *sketch, uint64_t hash)
{
    uint64_t rest = hash << INDEX_BITS;
    unsigned zeros = rest == 0 ? VALUE_MAX - 1 : (unsigned)__builtin_clzll(rest);

    raise_to(sketch, (uint32_t)(hash >> (64 - INDEX_BITS)), (uint8_t)(zeros + 1));
}

void cardinality_merge(struct cardinality *sketch, const struct cardinality *from)
{
    if (from->registers == NULL) {
        for (uint32_t i = 0; i < from->list_count; i++)
            raise_to(sketch, from->list[i] >> VALUE_BITS, from->list[i] & ((1u << VALUE_BITS) - 1));
        return;
    }
    if (sketch->registers == NULL)
        to_registers(sketch);
    for (uint32_t i = 0; i < REGISTERS; i++)
        register_raise(sketch->registers, i, from->registers[i]);
}

/* Of the share of empty registers: x + x^2 + 2 x^4 + 4 x^8 + … */
static double series_empty(double x)
{
    double sum = x;
    double weight = 1;
    double before;

    if (x == 1)
        return INFINITY;
    do {
        before = sum;
        x *= x;
        sum += x * weight;
        weight += weight;
    } while (sum != before);
    return sum;
}

/* Of the share of registers that are not saturated. */
static double series_full(double x)
{
    double sum = 1 - x;
    double weight = 1;
    double before;

    if (x == 0 || x == 1)
        return 0;
    do {
        before = sum;
        x = sqrt(x);
        weight /= 2;
        sum -= (1 - x) * (1 - x) * weight;
    } while (sum != before);
    return sum / 3;
}

double cardinality_estimate(const struct cardinality *sketch)
{
    uint32_t says[VALUE_MAX + 1] = {0};
    double sum;

    if (sketch->registers == NULL) {
        says[0] = REGISTERS - sketch->list_count;
        for (uint32_t i = 0; i < sketch->list_count; i++)
            says[sketch->list[i] & ((1u << VALUE_BITS) - 1)]++;
    } else {
        for (uint32_t i = 0; i < REGISTERS; i++)
            says[sketch->registers[i]]++;
    }
    if (says[0] == REGISTERS)
        return 0;
    sum = REGISTERS * series_full(1 - (double)says[VALUE_MAX] / REGISTERS);
    for (unsigned value = VALUE_MAX - 1; value >= 1; value--)
        sum = 0.5 * (sum + says[value]);
    sum += REGISTERS * series_empty((double)says[0] / REGISTERS);
    return REGISTERS / (2 * M_LN2) * REGISTERS / sum;
}

/* ---- bytes ---- */

static void registers_pack(const uint8_t *registers, uint8_t *packed)
{
    for (uint32_t i = 0; i < REGISTERS; i += 4, packed += 3) {
        uint32_t word = registers[i] | (uint32_t)registers[i + 1] << 6 |
                        (uint32_t)registers[i + 2] << 12 | (uint32_t)registers[i + 3] << 18;

        packed[0] = (uint8_t)word;
        packed[1] = (uint8_t)(word >> 8);
        packed[2] = (uint8_t)(word >> 16);
    }
}

void cardinality_write(const struct cardinality *sketch, struct buf *out)
{
    uint32_t before = 0;

    buf_byte(out, VERSION);
    if (sketch->registers != NULL) {
        buf_byte(out, KIND_REGISTERS);
        registers_pack(sketch->registers, (uint8_t *)buf_reserve(out, PACKED_SIZE));
        out->size += PACKED_SIZE;
        return;
    }
    buf_byte(out, KIND_LIST);
    buf_varint(out, sketch->list_count);
    for (uint32_t i = 0; i < sketch->list_count; i++) {
        buf_varint(out, sketch->list[i] - before);
        before = sketch->list[i];
    }
}

static enum err registers_read(struct str bytes, struct cardinality *sketch, struct why *why)
{
    if (bytes.size != PACKED_SIZE)
        return fail(why, ERR_CORRUPT, "cardinality sketch: %zu bytes of registers, not %u",
                    bytes.size, PACKED_SIZE);
    to_registers(sketch);
    for (uint32_t i = 0; i < REGISTERS; i++) {
        const uint8_t *triple = (const uint8_t *)bytes.data + i / 4 * 3;
        uint32_t word = triple[0] | (uint32_t)triple[1] << 8 | (uint32_t)triple[2] << 16;

        sketch->registers[i] = word >> (VALUE_BITS * (i % 4)) & ((1u << VALUE_BITS) - 1);
        if (sketch->registers[i] > VALUE_MAX)
            return fail(why, ERR_CORRUPT, "cardinality sketch: register %u is %u", i,
                        sketch->registers[i]);
    }
    return ERR_NONE;
}

static bool varint_read(struct str *rest, uint32_t *ret_value)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4 && i < rest->size; i++) {
        uint8_t byte = (uint8_t)rest->data[i];

        value |= (uint32_t)(byte & 127) << (7 * i);
        if (byte < 128) {
            rest->data += i + 1;
            rest->size -= i + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static enum err list_read(struct str bytes, struct cardinality *sketch, struct why *why)
{
    uint32_t count;
    uint32_t code = 0;

    if (!varint_read(&bytes, &count) || count > LIST_MAX)
        return fail(why, ERR_CORRUPT, "cardinality sketch: its list is cut off or too long");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t step;
        uint32_t index = code >> VALUE_BITS;

        if (!varint_read(&bytes, &step))
            return fail(why, ERR_CORRUPT, "cardinality sketch: code %u is cut off", i);
        code += step;
        if (code >= REGISTERS << VALUE_BITS || (code & ((1u << VALUE_BITS) - 1)) > VALUE_MAX ||
            (code & ((1u << VALUE_BITS) - 1)) == 0 || (i > 0 && code >> VALUE_BITS == index))
            return fail(why, ERR_CORRUPT, "cardinality sketch: code %u is impossible", i);
        sketch->list[i] = code;
    }
    sketch->list_count = count;
    return bytes.size == 0
               ? ERR_NONE
               : fail(why, ERR_CORRUPT, "cardinality sketch: %zu bytes too many", bytes.size);
}

enum err cardinality_read(struct str bytes, struct cardinality **ret_sketch, struct why *why)
{
    CLEANUP(cardinality_freep) struct cardinality *sketch = cardinality_new();
    struct str rest;

    if (bytes.size < 2)
        return fail(why, ERR_CORRUPT, "cardinality sketch: %zu bytes are too few", bytes.size);
    if (bytes.data[0] != VERSION)
        return fail(why, ERR_UNSUPPORTED, "cardinality sketch of version %u; this program knows %d",
                    (uint8_t)bytes.data[0], VERSION);
    rest = (struct str){bytes.data + 2, bytes.size - 2};
    if (bytes.data[1] == KIND_LIST)
        TRY(list_read(rest, sketch, why));
    else if (bytes.data[1] == KIND_REGISTERS)
        TRY(registers_read(rest, sketch, why));
    else
        return fail(why, ERR_CORRUPT, "cardinality sketch: kind %u", (uint8_t)bytes.data[1]);

    *ret_sketch = TAKE(sketch);
    return ERR_NONE;
}
