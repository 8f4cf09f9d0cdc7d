/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/waterfall.h"
#include "test.h"

#include "../analysis/trace_maker.h"

static const char *draw(int columns, bool utf8, bool fold, size_t rows_max, size_t *ret_left_out)
{
    static struct buf out;
    struct arena *arena CLEANUP(arena_freep) = arena_new(8 << 20);
    const struct terminal terminal = {.columns = columns, .rows = 24, .utf8 = utf8};
    struct trace_tree tree;
    struct trace_path path;

    buf_clear(&out);
    if (trace_tree_build(maker.spans, maker.count, arena, &tree, NULL) != ERR_NONE ||
        trace_path_find(&tree, 0, arena, &path, NULL) != ERR_NONE)
        return "";
    const struct waterfall waterfall = {&tree, &path, fold, rows_max};
    *ret_left_out = waterfall_write(&waterfall, &terminal, &out);
    return buf_cstr(&out);
}

TEST(solid_is_where_the_request_waits_for_the_span_itself)
{
    size_t left_out;

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 100);
    maker_add(2, 1, "shop", "load", 25, 75);
    maker_add(3, 1, "shop", "beside", 30, 50)->status = SPAN_STATUS_ERROR;
    EXPECT_TEXT(draw(60, false, true, 100, &left_out),
                "                            |0        |50 ms     \n"
                "GET /  shop                 ######---------######   100 ms\n"
                "|- load  shop                    ###########       50.0 ms\n"
                "`- ! beside  shop                 -----            20.0 ms\n");
    EXPECT(left_out == 0);
}

TEST(siblings_of_one_name_are_one_row_unless_all_are_asked_for)
{
    size_t left_out;

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 1000);
    for (uint32_t i = 0; i < 40; i++)
        maker_add(10 + i, 1, "shop", "item", 10 * i, 10 * i + 5);
    maker_add(60, 1, "shop", "item", 500, 900); /* Too large a part to be hidden. */
    const char *folded = draw(80, true, true, 100, &left_out);
    EXPECT(strstr(folded, "item ×40") != NULL && left_out == 0);
    EXPECT(strstr(folded, "└─ item  shop") != NULL);
    (void)draw(80, true, false, 100, &left_out);
    EXPECT(left_out == 0);
    (void)draw(80, true, false, 10, &left_out);
    EXPECT(left_out == 32);
}

/* In cells: one a code point. */
static size_t widest(const char *text)
{
    size_t widest = 0, width = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\n')
            width = 0;
        else if (((unsigned char)*text & 0xc0) != 0x80 && ++width > widest)
            widest = width;
    }
    return widest;
}

TEST(any_trace_is_drawn_within_the_width)
{
    for (uint32_t seed = 1; seed <= 60; seed++) {
        size_t left_out;
        maker_scramble(seed, seed);
        for (int columns = 40; columns <= 200; columns += 40)
            EXPECT(widest(draw(columns, true, seed % 2 == 0, 1000, &left_out)) <= (size_t)columns);
    }
    size_t left_out;
    maker_clear();
    for (uint32_t i = 0; i < 300; i++) /* Deeper than branches are drawn. */
        maker_add(i + 1, i, "shop", "a level with a rather long name", i, 1000 - i);
    EXPECT(widest(draw(80, true, true, 1000, &left_out)) <= 80);
}

TEST_MAIN
