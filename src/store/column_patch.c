/* SPDX-License-Identifier: Apache-2.0 */
/* A patch run is | rows since the run before | length - 1 | kind | and 8 bytes more for OTHER. The
 * kinds are the bits that are met in practice, so that a stale marker costs three bytes. */
#include "store/column_patch.h"

#include "store/column.h"
#include "store/column_bits.h"

#include <stdlib.h>

/* On disk: append only. */
static const uint64_t kinds[] = {
    COLUMN_ABSENT_BITS,           UINT64_C(0x7ff0000000000002), /* Prometheus' stale marker … */
    UINT64_C(0x7ff8000000000001),                               /* … and its NaN. */
    UINT64_C(0x7ff8000000000000),                               /* C's NaN … */
    UINT64_C(0xfff8000000000000),                               /* … as x86 makes it from 0/0. */
    UINT64_C(0x7ff0000000000000),                               /* Infinities. */
    UINT64_C(0xfff0000000000000), UINT64_C(0x8000000000000000), /* -0.0 */
};
#define KIND_OTHER 255

void patch_list_clear(struct patch_list *list)
{
    list->count = 0;
    list->rows = 0;
}

void patch_list_done(struct patch_list *list)
{
    free(list->patches);
    *list = (struct patch_list){0};
}

void patch_list_add(struct patch_list *list, uint32_t row, uint64_t bits)
{
    struct patch *last = list->count == 0 ? NULL : &list->patches[list->count - 1];

    list->rows++;
    if (last != NULL && last->bits == bits && last->row + last->length == row) {
        last->length++;
        return;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct patch *patches = realloc(list->patches, capacity * sizeof list->patches[0]);

        if (patches == NULL)
            must_memory(capacity * sizeof list->patches[0]);
        list->patches = patches;
        list->capacity = capacity;
    }
    list->patches[list->count++] = (struct patch){.bits = bits, .row = row, .length = 1};
}

static uint8_t kind_of(uint64_t bits)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (kinds[i] == bits)
            return (uint8_t)i;
    return KIND_OTHER;
}

void patch_list_write(const struct patch_list *list, struct buf *out)
{
    uint32_t row = 0;

    buf_varint(out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct patch *patch = &list->patches[i];
        uint8_t kind = kind_of(patch->bits);

        MUST(patch->row >= row);
        buf_varint(out, patch->row - row);
        buf_varint(out, patch->length - 1);
        buf_byte(out, kind);
        if (kind == KIND_OTHER)
            buf_u64(out, patch->bits);
        row = patch->row + patch->length;
    }
}

/* Takes one run off the front of *rest; patch->row is as yet the distance from the run before. */
static bool patch_read(struct str *rest, struct patch *patch)
{
    uint64_t distance, more;
    uint8_t kind;

    if (!buf_take_varint(rest, &distance) || !buf_take_varint(rest, &more) || rest->size == 0)
        return false;
    if (distance > COLUMN_ROWS_MAX || more >= COLUMN_ROWS_MAX)
        return false;
    kind = (uint8_t)rest->data[0];
    rest->data++;
    rest->size--;
    if (kind < ARRAY_COUNT(kinds)) {
        patch->bits = kinds[kind];
    } else {
        if (kind != KIND_OTHER || rest->size < 8)
            return false;
        patch->bits = bits_load((const uint8_t *)rest->data);
        rest->data += 8;
        rest->size -= 8;
    }
    patch->row = (uint32_t)distance;
    patch->length = (uint32_t)more + 1;
    return true;
}

enum err patches_read(struct str *rest, size_t count, struct patches *ret_patches, struct why *why)
{
    struct patches patches = PATCHES_NONE;
    const char *start;
    uint64_t runs;
    size_t row = 0;

    if (!buf_take_varint(rest, &runs) || runs > count)
        return fail(why, ERR_CORRUPT, "column: the number of its patches is cut off or too large");
    start = rest->data;
    for (uint64_t i = 0; i < runs; i++) {
        struct patch patch;

        if (!patch_read(rest, &patch))
            return fail(why, ERR_CORRUPT, "column: patch %llu is cut off or unknown",
                        (unsigned long long)i);
        row += (size_t)patch.row + patch.length;
        patches.rows += patch.length;
        if (row > count)
            return fail(why, ERR_CORRUPT, "column: patch %llu lies behind row %zu",
                        (unsigned long long)i, count);
    }
    if (patches.rows >= count)
        return fail(why, ERR_CORRUPT, "column: all of its %zu rows are patches", count);
    patches.runs = (size_t)runs;
    patches.bytes = (struct str){start, (size_t)(rest->data - start)};
    *ret_patches = patches;
    return ERR_NONE;
}

size_t patches_before(const struct patches *patches, size_t row)
{
    struct str rest = patches->bytes;
    size_t next = 0;
    size_t before = 0;

    for (size_t i = 0; i < patches->runs; i++) {
        struct patch patch;

        MUST(patch_read(&rest, &patch));
        next += patch.row;
        if (next >= row)
            break;
        before += row - next < patch.length ? row - next : patch.length;
        next += patch.length;
    }
    return before;
}

static void fill(double *values, size_t count, uint64_t bits)
{
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], &bits, sizeof bits);
}

void patches_apply(const struct patches *patches, size_t first_row, size_t count, double *values)
{
    struct str rest = patches->bytes;
    size_t end_row = first_row + count;
    size_t source = patches_before(patches, end_row) - patches_before(patches, first_row);
    size_t row = 0;    /* Of the column, walked so far. */
    size_t target = 0; /* In values, done so far. */

    for (size_t i = 0; i < patches->runs && target < count; i++) {
        struct patch patch;
        size_t first, last;

        MUST(patch_read(&rest, &patch));
        first = row + patch.row;
        last = first + patch.length;
        row = last;
        if (last <= first_row)
            continue;
        first = first < first_row ? first_row : first > end_row ? end_row : first;
        last = last > end_row ? end_row : last;
        /* Plain rows before the patch, then the patch. */
        memmove(values + target, values + source, (first - first_row - target) * sizeof values[0]);
        source += first - first_row - target;
        target = first - first_row;
        fill(values + target, last - first, patch.bits);
        target = last - first_row;
    }
    memmove(values + target, values + source, (count - target) * sizeof values[0]);
}
