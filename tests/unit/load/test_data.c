/* SPDX-License-Identifier: Apache-2.0 */
#include "load/data.h"

#include "base/file.h"
#include "test.h"

#include <unistd.h>

static struct plan *plan;

static struct data *reads(const char *ending, const char *text, struct why *why)
{
    struct data *data = NULL;
    char path[64];

    (void)snprintf(path, sizeof(path), "/tmp/sonde-data-%d%s", (int)getpid(), ending);
    *why = WHY_INIT;
    if (file_write(path, str_of(text), 0600, NULL) != ERR_NONE)
        return NULL;
    if (data_read(plan, path, &data, why) != ERR_NONE)
        data = NULL;
    (void)unlink(path);
    return data;
}

static bool cell_is(const struct data *data, size_t row, size_t column, const char *wanted)
{
    return str_eq(data->cells[row * data->columns_count + column], str_of(wanted));
}

TEST(csv_cells_may_be_quoted)
{
    struct why why;

    plan = plan_new(1 << 20);
    struct data *data = reads(".csv",
                              "\xef\xbb\xbf"
                              "a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n\r\n,last",
                              &why);
    ASSERT(data != NULL);
    EXPECT(data->rows_count == 2 && data->columns_count == 2);
    EXPECT(data_find(data, STR("b")) == 1 && data_find(data, STR("c")) == -1);
    EXPECT(cell_is(data, 0, 0, "1") && cell_is(data, 0, 1, "x, \"y\"\nz"));
    EXPECT(cell_is(data, 1, 0, "") && cell_is(data, 1, 1, "last"));
    plan = plan_free(plan);
}

TEST(json_lines_name_their_columns)
{
    struct why why;

    plan = plan_new(1 << 20);
    struct data *data =
        reads(".jsonl", "{\"a\": \"x\\ny\", \"b\": {\"c\": [1]}}\n\n{\"b\": 2, \"d\": 3}\n", &why);
    ASSERT(data != NULL);
    EXPECT(data->rows_count == 2 && data->columns_count == 2);
    EXPECT(cell_is(data, 0, 0, "x\ny") && cell_is(data, 0, 1, "{\"c\": [1]}"));
    EXPECT(cell_is(data, 1, 0, "") && cell_is(data, 1, 1, "2"));
    plan = plan_free(plan);
}

TEST(mistakes_are_told_with_their_line)
{
    static const struct {
        const char *ending, *text, *words;
    } cases[] = {{".csv", "a,b\n1,2\n3\n", ":3:"},         {".csv", "a,b\n\"x\n", ":2:"},
                 {".csv", "a,\n1,2\n", "no name"},         {".csv", "a,b\n", "no rows"},
                 {".csv", "a\n\"x\"y\n", "behind a"},      {".jsonl", "{\"a\":1}\n[1]\n", ":2:"},
                 {".jsonl", "{\"a\":1}\n{\"a\"\n", ":2:"}, {".txt", "x", ".csv"}};
    struct why why;

    plan = plan_new(1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EXPECT(reads(cases[i].ending, cases[i].text, &why) == NULL);
        EXPECT(strstr(why.text, cases[i].words) != NULL);
    }
    plan = plan_free(plan);
}

TEST(rows_in_turn_are_dealt_out_to_the_machines)
{
    enum { PARTS = 3, ROWS = 7 };
    unsigned taken[ROWS] = {0};
    struct why why;

    for (unsigned part = 0; part < PARTS; part++) {
        plan = plan_new(1 << 20);
        plan->part = part;
        plan->parts = PARTS;
        struct data *data = reads(".csv", "a\n1\n2\n3\n4\n5\n6\n7\n", &why);
        ASSERT(data != NULL);
        for (unsigned i = 0; i < plan_share(plan, ROWS); i++)
            taken[data_next(data, NULL)]++;
        plan = plan_free(plan);
    }
    for (size_t i = 0; i < ROWS; i++)
        EXPECT(taken[i] == 1);
}

TEST_MAIN
