/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chart.h"
#include "cli/grid.h"
#include "cli/terminal.h"
#include "test.h"

static const struct terminal paper = {.fd = 1, .columns = 60, .rows = 20, .utf8 = true};
static const struct terminal ascii = {.fd = 1, .columns = 60, .rows = 20};

TEST(control_characters_from_outside_are_shown_and_not_obeyed)
{
    struct buf out CLEANUP(buf_done) = {0};

    terminal_text(&out, (struct str){"a\x1b[2Jb\nc\x7f\xc2\x9b"
                                     "d\xff",
                                     13});
    EXPECT_TEXT(buf_cstr(&out), "a?[2Jb c??d?");
}

TEST(text_is_fitted_by_cells_and_not_by_bytes)
{
    struct buf out CLEANUP(buf_done) = {0};

    terminal_fit(&paper, &out, STR("äöü"), 5, true);
    buf_byte(&out, '|');
    terminal_fit(&paper, &out, STR("äöü"), 5, false);
    buf_byte(&out, '|');
    terminal_fit(&paper, &out, STR("abcdef"), 4, false);
    buf_byte(&out, '|');
    terminal_fit(&ascii, &out, STR("abcdef"), 4, false);
    EXPECT_TEXT(buf_cstr(&out), "  äöü|äöü  |abc…|abc~");
}

TEST(paragraphs_are_wrapped_behind_their_indent)
{
    struct terminal narrow = {.columns = 20};
    struct buf out CLEANUP(buf_done) = {0};

    terminal_wrap(&narrow, &out, STR("one two three four five\n\nsix"), 4);
    EXPECT_TEXT(buf_cstr(&out), "one two three\n    four five\n\n    six");
}

TEST(a_grid_is_as_wide_as_its_cells)
{
    static const struct grid_column columns[] = {{.title = "Name"},
                                                 {.title = "Size", .right = true}};
    struct grid *grid = grid_new(columns, 2);
    struct buf out CLEANUP(buf_done) = {0};

    grid_cell(grid, STR("alpha"));
    grid_cellf(grid, "%d", 7);
    EXPECT(grid_rows(grid) == 1);
    grid_write(grid, &paper, &out);
    grid_free(grid);
    EXPECT_TEXT(buf_cstr(&out), "Name   Size\nalpha     7\n");
}

static void draw(const struct terminal *terminal, size_t count, struct buf *out)
{
    static const int64_t times[] = {0, 10000, 20000, 30000, 60000, 70000};
    static const double rising[] = {0, 1, 2, 3, 4, 5};
    static const double falling[] = {5, 4, NAN, 2, 1, 0};
    const struct chart_series series[] = {
        {STR("rising"), times, rising, 6},
        {STR("falling"), times, falling, 6},
    };
    const struct chart chart = {
        .series = series,
        .count = count,
        .to_ms = 70000,
        .step_ms = 10000,
        .rows = 8,
    };

    chart_write(&chart, terminal, out);
}

TEST(a_chart_has_axes_a_legend_and_no_line_wider_than_the_terminal)
{
    struct buf out CLEANUP(buf_done) = {0};
    size_t lines = 0;

    draw(&paper, 1, &out);
    for (struct str rest = buf_view(&out); rest.size > 0; lines++)
        EXPECT(terminal_width(str_split(&rest, '\n')) <= 60);
    EXPECT(lines == 8 + 2 + 2);
    EXPECT(strstr(buf_cstr(&out), "rising") != NULL);
    EXPECT(strstr(buf_cstr(&out), "┤") != NULL);
    EXPECT(strstr(buf_cstr(&out), "\x1b") == NULL);
}

TEST(without_colour_several_series_are_told_apart_by_marks)
{
    struct buf out CLEANUP(buf_done) = {0};

    draw(&paper, 2, &out);
    EXPECT(strstr(buf_cstr(&out), "** rising") != NULL);
    EXPECT(strstr(buf_cstr(&out), "++ falling") != NULL);
    EXPECT(strstr(buf_cstr(&out), "⠁") == NULL);
}

TEST(an_ascii_terminal_gets_ascii)
{
    struct buf out CLEANUP(buf_done) = {0};

    draw(&ascii, 2, &out);
    for (size_t i = 0; i < out.size; i++)
        EXPECT((unsigned char)out.data[i] < 0x80);
}

TEST(a_flat_or_empty_chart_is_drawn_too)
{
    static const int64_t times[] = {0};
    static const double values[] = {7};
    const struct chart_series flat = {STR("flat"), times, values, 1};
    struct buf out CLEANUP(buf_done) = {0};

    chart_write(&(struct chart){.series = &flat, .count = 1, .to_ms = 1000}, &paper, &out);
    EXPECT(out.size > 0);
    chart_write(&(struct chart){.series = &flat, .count = 0, .to_ms = 1000}, &paper, &out);
    EXPECT(out.size > 0);
}

TEST(a_sparkline_has_one_bar_a_value_at_the_right)
{
    const double values[] = {0, 0.5, 1, NAN};
    struct buf out CLEANUP(buf_done) = {0};

    terminal_sparkline(&paper, &out, values, 4, 6, 0, 1);
    EXPECT_TEXT(buf_cstr(&out), "  ▁▅█ ");
}

TEST_MAIN
