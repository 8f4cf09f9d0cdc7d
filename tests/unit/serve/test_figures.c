/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/figures.h"
#include "test.h"

TEST(every_expression_is_one_once_its_window_is_filled_in)
{
    for (size_t i = 0; i < figures_count; i++) {
        CLEANUP(promql_freep) struct promql_expression *expression = NULL;
        struct why why = WHY_INIT;
        struct buf text = {0};
        for (const char *at = figures[i].expr; *at != '\0'; at++) {
            if (at[0] == '$' && at[1] == 'w') {
                buf_text(&text, "60s");
                at++;
            } else {
                buf_byte(&text, (uint8_t)*at);
            }
        }
        enum err err = promql_parse(buf_view(&text), &expression, &why);
        if (err != ERR_NONE)
            printf("# %s: %s\n", figures[i].name, why.text);
        EXPECT(err == ERR_NONE);
        EXPECT(err != ERR_NONE || promql_type(expression) == PROMQL_VECTOR);
        buf_done(&text);
    }
}

TEST(figures_are_chosen_by_name)
{
    struct figure_choice choice;

    ASSERT(figures_choose(STR("load1, cpu_percent"), &choice, NULL) == ERR_NONE);
    ASSERT(choice.count == 2);
    EXPECT_TEXT(figures[choice.items[0]].name, "load1");
    EXPECT_TEXT(figures[choice.items[1]].name, "cpu_percent");
    ASSERT(figures_choose(STR_NONE, &choice, NULL) == ERR_NONE);
    EXPECT(choice.count == figures_count);
}

TEST(a_figure_that_there_is_not_is_named)
{
    struct figure_choice choice;
    struct why why = WHY_INIT;

    EXPECT(figures_choose(STR("load1,cpu_colour"), &choice, &why) == ERR_INVALID);
    EXPECT(strstr(why.text, "cpu_colour") != NULL);
}

TEST_MAIN
