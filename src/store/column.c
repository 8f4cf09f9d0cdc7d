/* SPDX-License-Identifier: Apache-2.0 */
/* A column, all integers LEB128 varints unless said otherwise:
 *
 *     | form, 1 byte | patches if form says so | … by form … |
 *     form:  bits 0-1 form   2 has patches   3-7 decimal exponent, 0 … 18
 *
 *     0 CONSTANT   | mantissa, zigzag |
 *                  Every row is mantissa / 10^exponent.
 *     1 DECIMAL    | run head | stats | run body |
 *                  Rows are mantissas of one exponent (column_decimal.c), as a run of integers
 *                  (column_run.c). The run head's flag: a mantissa has 51 bits or more.
 *     2 BITS       | run head | stats | run body |
 *                  True floats: the doubles' own bits, made to count upwards with the value
 *                  (negative ones mirrored), as a run. Trailing zero bits fall out as the divisor.
 *     3 PLANES     | stats | zstd frame |
 *                  All first bytes of the doubles, all second bytes, …, compressed; with exponent
 *                  1 the doubles are first XORed with the one before. Exponent 2 is RAW: the
 *                  doubles themselves, little-endian, no zstd.
 *
 * Patches are rows that do not fit the form: NaN of any kind, absent rows, and in decimal forms
 * also infinities, -0.0 and the odd true float. They are taken out before the run and put back:
 *
 *     | runs count | each: rows since the run before, length - 1, kind byte (+ 8 bytes for OTHER) |
 *
 * The run then has count - patched rows; there are none for PLANES. When every row is patched, the
 * form is CONSTANT without a mantissa.
 *
 * Stats are there from COLUMN_STATS_ROWS rows on; shorter columns are quickly read instead.
 * CONSTANT needs none. First comes a byte of flags:
 *
 *     bit 0 RAW        min max first last sum increase, as 8-byte doubles, then as below from *
 *     bit 1 MONOTONE   the numbers never fall: | last row | sum |
 *     else             | -min row | max row | last row, zigzag | sum |
 *     * bit 2 COUNTER  | resets | and, unless RAW, | increase | follow; else they are not known
 *     * bit 3 NAN      | absent | NaN | follow; numbers are what is left
 *
 * Rows here are the run's, (mantissa - first) / divisor; sum is that of all rows less half of
 * rows * last, zigzag, for then it is small. */
#include "store/column.h"

#include "store/column_decimal.h"
#include "store/column_encoder.h"
#include "store/column_run.h"
#include "store/column_stats.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

#define EXPONENT_SHIFT 3
#define FORM_PATCHED   4
#define PLANES_PLAIN   0
#define PLANES_XOR     1
#define PLANES_RAW     2
/* Patches beyond one in so many rows: another form will do better. */
#define REFUSED_EVERY 16
#define REFUSED_LEAST 2

enum form {
    FORM_CONSTANT,
    FORM_DECIMAL,
    FORM_BITS,
    FORM_PLANES,
};

static inline uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Bits that count upwards with the value, and back; its own inverse. */
static inline int64_t bits_order(int64_t bits)
{
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

/* ---- writing ---- */

static void form_write(enum form form, bool patched, unsigned exponent, struct buf *out)
{
    buf_byte(out,
             (uint8_t)((unsigned)form | (patched ? FORM_PATCHED : 0) | exponent << EXPONENT_SHIFT));
}

static bool all_same(const double *values, size_t count)
{
    uint64_t differences = 0;
    uint64_t first = bits_of(values[0]);

    /* In steps, so that what varies is left early. */
    for (size_t i = 0; i < count && differences == 0;) {
        size_t end = count - i < 64 ? count : i + 64;

        for (; i < end; i++)
            differences |= bits_of(values[i]) ^ first;
    }
    return differences == 0;
}

/* All rows alike, and a decimal: the smallest of columns. */
static bool encode_constant(double value, size_t count, struct buf *out,
                            struct column_stats *ret_stats)
{
    int64_t mantissa;
    unsigned exponent = 0;

    while (!decimal_from(value, exponent, &mantissa))
        if (++exponent > DECIMAL_EXPONENT_MAX)
            return false;
    form_write(FORM_CONSTANT, false, exponent, out);
    buf_varint(out, zigzag(mantissa));
    stats_of_constant(value, count, ret_stats);
    return true;
}

static size_t nan_count(const double *values, size_t count)
{
    size_t nan = 0;

    for (size_t i = 0; i < count; i++)
        nan += values[i] != values[i];
    return nan;
}

/* Values without NaN; returns them, or values itself where there is none. */
static const double *numbers_of(struct column_encoder *encoder, const double *values, size_t count,
                                size_t *ret_count)
{
    size_t nan = nan_count(values, count);
    size_t numbers = 0;

    *ret_count = count - nan;
    if (nan == 0)
        return values;
    for (size_t i = 0; i < count; i++)
        if (values[i] == values[i])
            encoder->numbers[numbers++] = values[i];
    return encoder->numbers;
}

/* Patches are the NaN of values and, of the numbers between them, the refused ones. */
static void patches_collect(struct column_encoder *encoder, const double *values, size_t count,
                            size_t refused_count)
{
    size_t number = 0;
    size_t refused = 0;

    patch_list_clear(&encoder->patches);
    for (size_t i = 0; i < count; i++) {
        if (values[i] != values[i]) {
            patch_list_add(&encoder->patches, (uint32_t)i, bits_of(values[i]));
            continue;
        }
        if (refused < refused_count && encoder->refused[refused] == number) {
            patch_list_add(&encoder->patches, (uint32_t)i, bits_of(values[i]));
            refused++;
        }
        number++;
    }
}

static size_t refused_drop(int64_t *mantissas, size_t count, const uint32_t *refused,
                           size_t refused_count)
{
    size_t kept = 0;
    size_t next = 0;

    if (refused_count == 0)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (next < refused_count && refused[next] == i)
            next++;
        else
            mantissas[kept++] = mantissas[i];
    }
    return kept;
}

static bool any_wide(const int64_t *mantissas, size_t count)
{
    bool wide = false;

    for (size_t i = 0; i < count; i++)
        wide |= decimal_is_wide(mantissas[i]);
    return wide;
}

/* What encode_run is told about the values behind the mantissas. */
struct run_source {
    const double *values;
    size_t count;
    size_t refused; /* Patches that are numbers. */
    unsigned exponent;
    enum form form;
    enum column_effort effort;
};

static void encode_stats(struct column_encoder *encoder, const struct run_source *source,
                         const struct run_plan *plan, bool wide, struct buf *out,
                         struct column_stats *stats)
{
    struct stats_scale scale = {plan->rows, plan->count, plan->first, plan->divisor,
                                source->exponent};
    size_t absent = 0;

    for (size_t i = 0; i < encoder->patches.count; i++)
        if (encoder->patches.patches[i].bits == COLUMN_ABSENT_BITS)
            absent += encoder->patches.patches[i].length;
    if (source->form == FORM_DECIMAL && !wide && source->refused == 0 &&
        stats_write_rows(&scale, absent, encoder->patches.rows - absent, out, stats))
        return;
    stats_of_values(source->values, source->count, stats);
    stats_write_raw(stats, out);
}

static void encode_run(struct column_encoder *encoder, const struct run_source *source,
                       size_t rows_count, struct buf *out, struct column_stats *ret_stats)
{
    struct run_plan plan;
    bool wide = source->form == FORM_DECIMAL && any_wide(encoder->mantissas, rows_count);
    bool patched = encoder->patches.count > 0;

    run_plan_make(&encoder->scratch, encoder->mantissas, rows_count, source->effort == COLUMN_BEST,
                  &plan);
    form_write(source->form, patched, source->exponent, out);
    run_head_write(&plan, wide, out);
    if (source->count >= COLUMN_STATS_ROWS)
        encode_stats(encoder, source, &plan, wide, out, ret_stats);
    else
        stats_of_values(source->values, source->count, ret_stats);
    if (patched)
        patch_list_write(&encoder->patches, out);
    run_body_write(&plan, out);
}

static void planes_make(const double *values, size_t count, bool by_xor, uint8_t *planes)
{
    uint64_t before = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t bits = bits_of(values[i]);
        uint64_t word = by_xor ? bits ^ before : bits;

        for (size_t plane = 0; plane < 8; plane++)
            planes[plane * count + i] = (uint8_t)(word >> (8 * plane));
        before = bits;
    }
}

/* The last resort, which takes anything. */
static void encode_planes(struct column_encoder *encoder, const double *values, size_t count,
                          enum column_effort effort, struct buf *out,
                          struct column_stats *ret_stats)
{
    struct buf *best = &encoder->trial;
    size_t start = out->size;
    size_t plain_size, xor_size;
    unsigned method;

    stats_of_values(values, count, ret_stats);
    form_write(FORM_PLANES, false, PLANES_RAW, out);
    if (count >= COLUMN_STATS_ROWS)
        stats_write_raw(ret_stats, out);
    buf_clear(best);
    planes_make(values, count, false, encoder->planes);
    plain_size = encoder_zstd(encoder, encoder->planes, count * 8, effort, best);
    planes_make(values, count, true, encoder->planes);
    xor_size = encoder_zstd(encoder, encoder->planes, count * 8, effort, best);
    method = plain_size <= xor_size ? PLANES_PLAIN : PLANES_XOR;
    if (plain_size >= count * 8 && xor_size >= count * 8) {
        for (size_t i = 0; i < count; i++)
            buf_u64(out, bits_of(values[i]));
        return;
    }
    out->data[start] = (char)((unsigned)FORM_PLANES | method << EXPONENT_SHIFT);
    if (method == PLANES_PLAIN)
        buf_append(out, best->data, plain_size);
    else
        buf_append(out, best->data + plain_size, xor_size);
}

/* A run of ordered bits, or planes if those are smaller. */
static void encode_floats(struct column_encoder *encoder, const double *values, size_t count,
                          enum column_effort effort, struct buf *out,
                          struct column_stats *ret_stats)
{
    struct run_source source = {values, count, 0, 0, FORM_BITS, effort};
    size_t start = out->size;
    size_t numbers_count, run_size;
    const double *numbers = numbers_of(encoder, values, count, &numbers_count);
    struct buf planes = {0};

    if (numbers_count == 0) {
        encode_planes(encoder, values, count, effort, out, ret_stats);
        return;
    }
    for (size_t i = 0; i < numbers_count; i++)
        encoder->mantissas[i] = bits_order((int64_t)bits_of(numbers[i]));
    patches_collect(encoder, values, count, 0);
    encode_run(encoder, &source, numbers_count, out, ret_stats);
    run_size = out->size - start;
    if (effort != COLUMN_BEST && run_size < count * 6)
        return;
    encode_planes(encoder, values, count, effort, &planes, ret_stats);
    if (planes.size < run_size) {
        out->size = start;
        buf_append(out, planes.data, planes.size);
    }
    buf_done(&planes);
}

static bool encode_decimals(struct column_encoder *encoder, const double *values, size_t count,
                            enum column_effort effort, struct buf *out,
                            struct column_stats *ret_stats)
{
    struct run_source source = {values, count, 0, 0, FORM_DECIMAL, effort};
    size_t numbers_count;
    const double *numbers = numbers_of(encoder, values, count, &numbers_count);
    size_t refused_max = numbers_count / REFUSED_EVERY + REFUSED_LEAST;

    if (numbers_count == 0)
        return false;
    if (refused_max > numbers_count - 1)
        refused_max = numbers_count - 1;
    if (!decimals_from(numbers, numbers_count, encoder->mantissas, &source.exponent,
                       encoder->refused, refused_max, &source.refused))
        return false;
    patches_collect(encoder, values, numbers_count == count && source.refused == 0 ? 0 : count,
                    source.refused);
    numbers_count =
        refused_drop(encoder->mantissas, numbers_count, encoder->refused, source.refused);
    encode_run(encoder, &source, numbers_count, out, ret_stats);
    return true;
}

void column_encode(struct column_encoder *encoder, const double *values, size_t count,
                   enum column_effort effort, struct buf *out, struct column_stats *ret_stats)
{
    struct column_stats unwanted;
    struct column_stats *stats = ret_stats == NULL ? &unwanted : ret_stats;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    if (all_same(values, count) && encode_constant(values[0], count, out, stats))
        return;
    encoder_reserve(encoder, count);
    if (!encode_decimals(encoder, values, count, effort, out, stats))
        encode_floats(encoder, values, count, effort, out, stats);
}

/* ---- reading ---- */

struct column_head {
    enum form form;
    bool patched;
    unsigned exponent;
    int64_t constant;
    struct run_head run; /* DECIMAL and BITS. */
};

/* Takes form and run head off the front of *rest. */
static enum err head_read(struct str *rest, size_t count, struct column_head *ret_head,
                          struct why *why)
{
    unsigned byte;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    if (rest->size == 0)
        return fail(why, ERR_CORRUPT, "column: no bytes for %zu rows", count);
    byte = (uint8_t)rest->data[0];
    rest->data++;
    rest->size--;
    *ret_head = (struct column_head){
        .form = byte & 3,
        .patched = (byte & FORM_PATCHED) != 0,
        .exponent = byte >> EXPONENT_SHIFT,
    };
    if (ret_head->exponent > (ret_head->form == FORM_PLANES ? PLANES_RAW : DECIMAL_EXPONENT_MAX))
        return fail(why, ERR_CORRUPT, "column: unknown form 0x%02x", byte);
    if (ret_head->form == FORM_DECIMAL || ret_head->form == FORM_BITS)
        return run_head_read(rest, count, &ret_head->run, why);
    if (ret_head->patched)
        return fail(why, ERR_CORRUPT, "column: form 0x%02x cannot have patches", byte);
    if (ret_head->form == FORM_CONSTANT) {
        uint64_t mantissa;

        if (!buf_take_varint(rest, &mantissa))
            return fail(why, ERR_CORRUPT, "column: its constant is cut off");
        ret_head->constant = unzigzag(mantissa);
    }
    return ERR_NONE;
}

static enum err head_stats_read(const struct column_head *head, struct str *rest, size_t count,
                                struct column_stats *ret_stats, struct why *why)
{
    struct stats_scale scale = {NULL, 0, head->run.first, head->run.divisor, head->exponent};

    return stats_read(rest, count, head->form == FORM_DECIMAL ? &scale : NULL, ret_stats, why);
}

/* Ordered bits, less first and divisor, become doubles; words and values are the same memory. */
static void bits_to(double *values, size_t count, int64_t first, uint64_t divisor)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t word;

        memcpy(&word, &values[i], sizeof word);
        word = (uint64_t)bits_order((int64_t)(word * divisor + (uint64_t)first));
        memcpy(&values[i], &word, sizeof word);
    }
}

static enum err decode_run(struct column_head *head, struct str rest, size_t count, size_t first,
                           size_t n, double *values, struct why *why)
{
    struct patches patches = PATCHES_NONE;
    size_t run_first = first;
    size_t run_count = n;
    size_t patched_rows;

    if (head->patched) {
        TRY(patches_read(&rest, count, &patches, why));
        run_first = first - patches_before(&patches, first);
        run_count = first + n - patches_before(&patches, first + n) - run_first;
    }
    head->run.count = count - patches.rows;
    patched_rows = n - run_count;
    if (run_count > 0) {
        double *rows = values + patched_rows;

        TRY(run_body_read(&head->run, rest, run_first, run_count, (int64_t *)(void *)rows, why));
        if (head->form == FORM_DECIMAL)
            decimals_to(rows, run_count, head->run.first, head->run.divisor, head->exponent,
                        head->run.flag);
        else
            bits_to(rows, run_count, head->run.first, head->run.divisor);
    }
    if (patched_rows > 0)
        patches_apply(&patches, first, n, values);
    return ERR_NONE;
}

static enum err decode_raw(struct str rest, size_t count, size_t first, size_t n, double *values,
                           struct why *why)
{
    if (rest.size != count * 8)
        return fail(why, ERR_CORRUPT, "column: %zu raw bytes for %zu rows", rest.size, count);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = bits_load((const uint8_t *)rest.data + (first + i) * 8);

        memcpy(&values[i], &bits, sizeof bits);
    }
    return ERR_NONE;
}

static void planes_to(const uint8_t *planes, size_t count, bool by_xor, size_t first, size_t n,
                      double *values)
{
    uint64_t before = 0;

    for (size_t i = by_xor ? 0 : first; i < first + n; i++) {
        uint64_t word = 0;

        for (size_t plane = 0; plane < 8; plane++)
            word |= (uint64_t)planes[plane * count + i] << (8 * plane);
        before = by_xor ? before ^ word : word;
        if (i >= first)
            memcpy(&values[i - first], &before, sizeof before);
    }
}

static enum err decode_planes(const struct column_head *head, struct str rest, size_t count,
                              size_t first, size_t n, double *values, struct why *why)
{
    uint8_t *planes;
    size_t size;

    if (head->exponent == PLANES_RAW)
        return decode_raw(rest, count, first, n, values, why);
    planes = malloc(count * 8);
    if (planes == NULL)
        must_memory(count * 8);
    size = ZSTD_decompress(planes, count * 8, rest.data, rest.size);
    if (ZSTD_isError(size) || size != count * 8) {
        free(planes);
        return fail(why, ERR_CORRUPT, "column: zstd: %s",
                    ZSTD_isError(size) ? ZSTD_getErrorName(size) : "too few bytes");
    }
    planes_to(planes, count, head->exponent == PLANES_XOR, first, n, values);
    free(planes);
    return ERR_NONE;
}

enum err column_decode_range(struct str bytes, size_t count, size_t first, size_t n, double *values,
                             struct why *why)
{
    struct column_head head;
    struct column_stats unwanted;

    MUST(n >= 1 && first < count && n <= count - first);
    TRY(head_read(&bytes, count, &head, why));
    if (head.form == FORM_CONSTANT) {
        double value = decimal_to(head.constant, head.exponent);

        for (size_t i = 0; i < n; i++)
            values[i] = value;
        return ERR_NONE;
    }
    if (count >= COLUMN_STATS_ROWS)
        TRY(head_stats_read(&head, &bytes, count, &unwanted, why));
    if (head.form == FORM_PLANES)
        return decode_planes(&head, bytes, count, first, n, values, why);
    return decode_run(&head, bytes, count, first, n, values, why);
}

enum err column_decode(struct str bytes, size_t count, double *values, struct why *why)
{
    return column_decode_range(bytes, count, 0, count, values, why);
}

enum err column_stats_read(struct str bytes, size_t count, struct column_stats *ret_stats,
                           struct why *why)
{
    struct column_head head;
    struct str rest = bytes;
    double values[COLUMN_STATS_ROWS];

    TRY(head_read(&rest, count, &head, why));
    if (head.form == FORM_CONSTANT) {
        stats_of_constant(decimal_to(head.constant, head.exponent), count, ret_stats);
        return ERR_NONE;
    }
    if (count >= COLUMN_STATS_ROWS)
        return head_stats_read(&head, &rest, count, ret_stats, why);
    TRY(column_decode(bytes, count, values, why));
    stats_of_values(values, count, ret_stats);
    return ERR_NONE;
}
