/* SPDX-License-Identifier: Apache-2.0 */
#include "store/column_blob.h"
#include "test.h"

static bool round_trip(const struct str *blobs, size_t count, size_t *ret_size)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    CLEANUP(arena_freep) struct arena *arena = arena_new(8 << 20);
    struct str *back = ARENA_ARRAY(arena, count, struct str);
    struct buf out = {0};
    struct why why = WHY_INIT;
    bool good;

    blob_column_encode(encoder, blobs, count, COLUMN_FAST, &out);
    good = blob_column_decode(buf_view(&out), count, arena, back, &why) == ERR_NONE;
    for (size_t i = 0; i < count && good; i++)
        good = str_eq(blobs[i], back[i]);
    *ret_size = out.size;
    buf_done(&out);
    return good;
}

TEST(strings_come_back_empty_ones_too)
{
    const struct str blobs[] = {STR("one"), STR_NONE, STR("two\0with a nul"), STR(""), STR("x")};
    size_t size;

    EXPECT(round_trip(blobs, ARRAY_COUNT(blobs), &size));
    EXPECT(round_trip(blobs + 1, 1, &size));
}

TEST(what_repeats_is_compressed)
{
    static struct str blobs[1000];
    size_t size;

    for (size_t i = 0; i < ARRAY_COUNT(blobs); i++)
        blobs[i] =
            i % 3 == 0 ? STR("GET /api/v1/query") : STR("SELECT * FROM orders WHERE id = $1");
    EXPECT(round_trip(blobs, ARRAY_COUNT(blobs), &size));
    EXPECT(size < 500);
}

TEST(a_budget_too_small_is_said)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    CLEANUP(arena_freep) struct arena *arena = arena_new(4096);
    static char text[100000];
    struct str blob = {text, sizeof text};
    struct str back;
    struct buf out = {0};
    struct why why = WHY_INIT;

    blob_column_encode(encoder, &blob, 1, COLUMN_BEST, &out);
    EXPECT(blob_column_decode(buf_view(&out), 1, arena, &back, &why) == ERR_LIMIT);
    buf_done(&out);
}

TEST(damaged_columns_are_refused_or_harmless)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    const struct str blobs[] = {STR("a long enough text, a long enough text, a long enough text"),
                                STR("and another one, and another one, and another one")};
    struct buf out = {0};

    blob_column_encode(encoder, blobs, 2, COLUMN_FAST, &out);
    for (size_t i = 0; i < out.size * 8; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
        struct why why = WHY_INIT;
        struct str back[2];
        enum err err;

        out.data[i / 8] = (char)(out.data[i / 8] ^ (1 << i % 8));
        err = blob_column_decode(buf_view(&out), 2, arena, back, &why);
        EXPECT(err == ERR_NONE || err == ERR_CORRUPT || err == ERR_LIMIT);
        out.data[i / 8] = (char)(out.data[i / 8] ^ (1 << i % 8));
    }
    buf_done(&out);
}

TEST_MAIN
