/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/trace_call.h"
#include "test.h"

static const char *normalised(const char *text, void (*normalise)(struct str, struct buf *))
{
    static struct buf out;

    buf_clear(&out);
    normalise(str_of(text), &out);
    return buf_cstr(&out);
}

TEST(values_are_taken_out_of_statements)
{
    static const char *const cases[][2] = {
        {"SELECT * FROM a WHERE b = 'x'", "SELECT * FROM a WHERE b = ?"},
        {"SELECT * FROM a WHERE b = 'it''s' AND c=17", "SELECT * FROM a WHERE b = ? AND c=?"},
        {"  SELECT\n\t1.5e3 ,  t1.col2 ; ", "SELECT ? , t1.col2"},
        {"SELECT a FROM b WHERE c IN (1, 2, 3)", "SELECT a FROM b WHERE c IN (?)"},
        {"SELECT a FROM b WHERE c IN ($1,$2,$3)", "SELECT a FROM b WHERE c IN (?)"},
        {"INSERT INTO a VALUES (1, 'x'), (2, 'y')", "INSERT INTO a VALUES (?)"},
        {"SELECT %s, %(name)s, :id, a::text", "SELECT ?, a::text"},
        {"SELECT 1 -- why\n, 2 /* and */ , 3", "SELECT ? , ? , ?"},
        {"SELECT \"odd 1 name\" FROM a", "SELECT \"odd 1 name\" FROM a"},
        {"GET user:17:name", "GET user:?:name"},
        {"SELECT 'never ends", "SELECT ?"},
        {"SELECT '\\", "SELECT ?"},
        {"/* never ends", ""},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        EXPECT_TEXT(normalised(cases[i][0], trace_statement_normalise), cases[i][1]);
}

TEST(ids_are_taken_out_of_paths)
{
    static const char *const cases[][2] = {
        {"/items/17", "/items/?"},
        {"/items/17/parts?x=1#y", "/items/?/parts"},
        {"/u/5b8efff7-9803-8103-d269-b633813fc60c/a", "/u/?/a"},
        {"/v2/cafe/deadbeef1", "/v2/cafe/?"},
        {"/", "/"},
        {"GET /a", "GET /a"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        EXPECT_TEXT(normalised(cases[i][0], trace_path_normalise), cases[i][1]);
}

TEST(long_statements_are_cut)
{
    static char text[1 << 16];

    memset(text, 'a', sizeof(text) - 1);
    EXPECT(strlen(normalised(text, trace_statement_normalise)) == TRACE_STATEMENT_BYTES_MAX);
    EXPECT(strlen(normalised(text, trace_path_normalise)) == TRACE_STATEMENT_BYTES_MAX);
}

TEST_MAIN
