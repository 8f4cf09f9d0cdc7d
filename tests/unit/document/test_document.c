/* SPDX-License-Identifier: Apache-2.0 */
#include "document/document.h"
#include "test.h"

static struct document *sample(void)
{
    static const struct column columns[] = {
        {"operation", "Operation", UNIT_NONE, true},
        {"count", "Count", UNIT_COUNT, false},
        {"p95_ms", "P95", UNIT_MS, false},
    };
    static const double x[] = {0, 1000, 2000};
    static const double y[] = {1, NAN, 3};
    struct document *document = document_new("Performance <report>", 1 << 20);

    document_set_time(document, INT64_C(1763658245678));
    document_section(document, "overall", "Overall");
    document_number(document, "success_rate", "Success rate", 0.9234, UNIT_RATIO);
    document_number(document, "p95_ms", "P95", NAN, UNIT_MS);
    document_mark(document, STATUS_BAD, "Overall P95 latency (%.1fms) exceeds target", 325.4);
    document_section(document, "operations", "Operations");
    struct table *table = document_table(document, "operations", "By operation", columns, 3);
    table_add_row(table, STATUS_GOOD);
    table_text(table, "retrieval|x");
    table_number(table, 12345);
    table_number(table, 0.25);
    table_add_row(table, STATUS_BAD);
    table_text(table, "=cmd()\033[2J, \"q\"");
    table_number(table, 1);
    table_number(table, NAN);
    struct chart *chart = document_chart(document, "latency", "Latency", CHART_LINE, UNIT_MS);
    chart_set_time_axis(chart);
    chart_series(chart, "p50", x, y, 3);
    return document;
}

static const char *written(enum document_form form, struct buf *out)
{
    struct document *document CLEANUP(document_freep) = sample();

    EXPECT(document_write(document, form, NULL, out, NULL) == ERR_NONE);
    return buf_cstr(out);
}

TEST(json_carries_raw_numbers_and_null_for_unknown)
{
    struct buf out CLEANUP(buf_done) = {0};

    EXPECT_TEXT(written(FORM_JSON, &out),
                "{\"title\":\"Performance <report>\",\"generated\":\"2025-11-20T17:04:05.678Z\","
                "\"sections\":{\"overall\":{\"title\":\"Overall\",\"success_rate\":0.9234,"
                "\"p95_ms\":null,\"notes\":[{\"status\":\"bad\",\"text\":\"Overall P95 latency "
                "(325.4ms) exceeds target\"}]},\"operations\":{\"title\":\"Operations\","
                "\"operations\":[{\"operation\":\"retrieval|x\",\"count\":12345,\"p95_ms\":0.25,"
                "\"status\":\"good\"},{\"operation\":\"=cmd()\\u001b[2J, \\\"q\\\"\",\"count\":1,"
                "\"p95_ms\":null,\"status\":\"bad\"}],\"latency\":[{\"name\":\"p50\",\"time_ms\":"
                "[0,1000,2000],\"y\":[1,null,3]}]}}}\n");
}

TEST(csv_quotes_and_disarms_formulas)
{
    struct buf out CLEANUP(buf_done) = {0};

    EXPECT_TEXT(written(FORM_CSV, &out), "operation,count,p95_ms,status\n"
                                         "retrieval|x,12345,0.25,good\n"
                                         "\"'=cmd()\033[2J, \"\"q\"\"\",1,,bad\n");
}

TEST(markdown_tables_survive_pipes)
{
    struct buf out CLEANUP(buf_done) = {0};
    const char *text = written(FORM_MARKDOWN, &out);

    EXPECT(strstr(text, "# Performance \\<report>\n") != NULL);
    EXPECT(strstr(text, "- **Success rate:** 92.3%\n") != NULL);
    EXPECT(strstr(text, "- ❌ Overall P95 latency (325.4ms) exceeds target\n") != NULL);
    EXPECT(strstr(text, "| ✅ retrieval\\|x | 12,345 | 0.250ms |\n") != NULL);
}

TEST(html_is_one_page_that_escapes_and_needs_nothing_else)
{
    struct buf out CLEANUP(buf_done) = {0};
    const char *text = written(FORM_HTML, &out);

    EXPECT(strstr(text, "<title>Performance &lt;report&gt;</title>") != NULL);
    EXPECT(strstr(text, "<script") == NULL && strstr(text, "src=") == NULL);
    EXPECT(strstr(text, "href=") == NULL && strstr(text, "@import") == NULL);
    EXPECT(strstr(text, "<tr class=\"bad\">") != NULL);
    EXPECT(strstr(text, "<svg") != NULL && strstr(text, "aria-label=\"Latency\"") != NULL);
}

TEST(html_breaks_long_names_at_their_joints_and_shows_a_point_alone)
{
    static const struct column columns[] = {{"operation", "Operation", UNIT_NONE, true}};
    static const double x[] = {0, 1, 2, 3, 4};
    static const double y[] = {NAN, 7, NAN, 1, 2};
    struct document *document CLEANUP(document_freep) = document_new("x", 1 << 20);
    struct buf out CLEANUP(buf_done) = {0};

    struct table *table = document_table(document, "operations", "", columns, 1);
    table_add_row(table, STATUS_NONE);
    table_text(table, "GET /a/<b>/is.longer-than-that");
    table_add_row(table, STATUS_NONE);
    table_text(table, "GET /items/{item_id}");
    struct chart *chart = document_chart(document, "c", "C", CHART_LINE, UNIT_NONE);
    chart_series(chart, "s", x, y, 5);
    EXPECT(document_write(document, FORM_HTML, NULL, &out, NULL) == ERR_NONE);
    const char *text = buf_cstr(&out);
    EXPECT(strstr(text, ">GET /<wbr>a/<wbr>&lt;b&gt;/<wbr>is.<wbr>longer-<wbr>than-<wbr>that<") !=
           NULL);
    EXPECT(strstr(text, ">GET /items/{item_id}<") != NULL);
    static const char dot[] = "<path class=\"line dot\"";
    const char *first = strstr(text, dot);
    ASSERT(first != NULL);
    EXPECT(strstr(first + 1, dot) == NULL && strstr(strstr(first, " d="), "h0\"/>") != NULL);
}

TEST(the_console_shows_no_control_characters_and_colour_only_when_asked)
{
    struct document *document CLEANUP(document_freep) = sample();
    struct buf plain CLEANUP(buf_done) = {0};
    struct buf coloured CLEANUP(buf_done) = {0};
    const struct document_look look = {.colour = true, .width = 80};

    EXPECT(document_write(document, FORM_CONSOLE, NULL, &plain, NULL) == ERR_NONE);
    EXPECT(strchr(buf_cstr(&plain), '\033') == NULL);
    EXPECT(strstr(buf_cstr(&plain), "✗ Overall P95 latency (325.4ms)") != NULL);
    EXPECT(strstr(buf_cstr(&plain), "Success rate  92.3%") != NULL);
    EXPECT(document_write(document, FORM_CONSOLE, &look, &coloured, NULL) == ERR_NONE);
    EXPECT(strstr(buf_cstr(&coloured), "\033[31m✗") != NULL);
    EXPECT(strstr(buf_cstr(&coloured), "\033[2J") == NULL);
}

static const char *formatted(double value, enum unit unit)
{
    static struct buf out;

    buf_clear(&out);
    document_format(&out, value, unit);
    static char text[64];
    (void)snprintf(text, sizeof(text), "%.*s", (int)out.size, out.data); /* Fits. */
    buf_done(&out);
    return text;
}

TEST(numbers_read_as_people_say_them)
{
    EXPECT_TEXT(formatted(1234567, UNIT_COUNT), "1,234,567");
    EXPECT_TEXT(formatted(-999, UNIT_COUNT), "-999");
    EXPECT_TEXT(formatted(325.44, UNIT_MS), "325.4ms");
    EXPECT_TEXT(formatted(0.25, UNIT_MS), "0.250ms");
    EXPECT_TEXT(formatted(0.000057, UNIT_MS), "57ns");
    EXPECT_TEXT(formatted(1536, UNIT_BYTES), "1.5 KiB");
    EXPECT_TEXT(formatted(0.923, UNIT_RATIO), "92.3%");
    EXPECT_TEXT(formatted(8.5, UNIT_RPS), "8.5 RPS");
    EXPECT_TEXT(formatted(0.0125, UNIT_USD), "$0.0125");
    EXPECT_TEXT(formatted(0.0015, UNIT_SECONDS), "1.5 ms");
    EXPECT_TEXT(formatted(90 * 60, UNIT_SECONDS), "90.0 min");
    EXPECT_TEXT(formatted(NAN, UNIT_MS), "–");
}

TEST(details_are_for_programs_alone)
{
    static const struct column columns[] = {
        {"operation", "Operation", UNIT_NONE, true},
        {"p95_ms", "P95", UNIT_MS, false},
        {"min_ms", "Fastest", UNIT_MS, false},
    };
    struct document *document CLEANUP(document_freep) = document_new("x", 1 << 20);

    document_number(document, "count", "Operations", 2, UNIT_COUNT);
    document_detail(document, "successes", 7777);
    struct table *table = document_table(document, "operations", "", columns, 3);
    table_set_details(table, 2);
    table_add_row(table, STATUS_NONE);
    table_text(table, "retrieval");
    table_number(table, 3);
    table_number(table, 66);
    for (int form = 0; form < FORM_COUNT; form++) {
        struct buf out CLEANUP(buf_done) = {0};
        EXPECT(document_write(document, (enum document_form)form, NULL, &out, NULL) == ERR_NONE);
        const char *text = buf_cstr(&out);
        EXPECT(strstr(text, "retrieval") != NULL);
        bool is_for_programs = form == FORM_JSON || form == FORM_CSV;
        EXPECT((strstr(text, "66") != NULL) == is_for_programs);
        EXPECT((strstr(text, "min_ms") != NULL) == is_for_programs);
        EXPECT(strstr(text, "Fastest") == NULL);
        EXPECT((strstr(text, "\"successes\":7777") != NULL) == (form == FORM_JSON));
        EXPECT(form == FORM_JSON || strstr(text, "7777") == NULL);
    }
}

static size_t widest_line(const char *text)
{
    size_t widest = 0;

    while (*text != '\0') {
        size_t width = 0;
        for (; *text != '\n' && *text != '\0'; text++)
            width += ((unsigned char)*text & 0xC0) != 0x80;
        widest = width > widest ? width : widest;
        text += *text == '\n';
    }
    return widest;
}

TEST(a_table_is_as_wide_as_the_page_at_most_and_its_lines_end_in_no_space)
{
    static const struct column columns[] = {
        {"service", "Service", UNIT_NONE, true},
        {"operation", "Operation", UNIT_NONE, true},
        {"p95_ms", "P95", UNIT_MS, false},
        {"note", "Note", UNIT_NONE, true},
    };
    const struct document_look look = {.width = 60};
    struct document *document CLEANUP(document_freep) = document_new("x", 1 << 20);
    struct buf out CLEANUP(buf_done) = {0};

    struct table *table = document_table(document, "operations", "", columns, 4);
    for (int i = 0; i < 2; i++) {
        table_add_row(table, STATUS_BAD);
        table_text(table, "shop");
        table_text(table, i == 0 ? "GET /items/{id}" : "GET /a/template/that/is/wider/than/a/page");
        table_number(table, 3);
        table_text(table, "ä note");
    }
    EXPECT(document_write(document, FORM_CONSOLE, &look, &out, NULL) == ERR_NONE);
    EXPECT(widest_line(buf_cstr(&out)) == 60);
    EXPECT(strstr(out.data, "GET /a/template/that/is/") != NULL);
    EXPECT(strstr(out.data, "…") != NULL && strstr(out.data, " \n") == NULL);
}

TEST(a_spent_budget_is_an_error_at_writing)
{
    struct document *document CLEANUP(document_freep) = document_new("x", 200);
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    for (int i = 0; i < 100; i++)
        document_text(document, "line %d", i);
    EXPECT(document_write(document, FORM_JSON, NULL, &out, &why) == ERR_LIMIT);
    EXPECT(out.size == 0);
}

TEST(forms_are_found_by_name)
{
    enum document_form form;

    EXPECT(document_form_parse(STR("md"), &form) && form == FORM_MARKDOWN);
    EXPECT(document_form_parse(STR("html"), &form) && form == FORM_HTML);
    EXPECT(!document_form_parse(STR("docx"), &form));
    EXPECT_TEXT(document_form_type(FORM_CSV), "text/csv; charset=utf-8");
}

TEST_MAIN
