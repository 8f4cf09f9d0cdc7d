/* SPDX-License-Identifier: Apache-2.0 */
#include "document/document.h"
#include "test.h"

#include <math.h>

static void written(const double *values_ms, const double *counts, size_t count, struct buf *out)
{
    struct document *document CLEANUP(document_freep) = document_new("x", 1 << 20);

    document_section(document, "s", "S");
    document_distribution(document, "d", "D", values_ms, counts, count);
    ASSERT(document_write(document, FORM_JSON, NULL, out, NULL) == ERR_NONE);
}

TEST(values_count_in_the_range_that_holds_them)
{
    static const double values_ms[] = {0.3, 1, 1.99, 2, 7, NAN, 700};
    static const double counts[] = {1, 2, 3, 4, 0, 9, 5};
    struct buf out CLEANUP(buf_done) = {0};

    written(values_ms, counts, ARRAY_COUNT(values_ms), &out);
    EXPECT_TEXT(buf_cstr(&out), "{\"title\":\"x\",\"sections\":{\"s\":{\"title\":\"S\",\"d\":["
                                "{\"name\":\"200 – 500 µs\",\"value\":1},"
                                "{\"name\":\"500 µs – 1 ms\",\"value\":0},"
                                "{\"name\":\"1 – 2 ms\",\"value\":5},"
                                "{\"name\":\"2 – 5 ms\",\"value\":4},"
                                "{\"name\":\"5 – 10 ms\",\"value\":0},"
                                "{\"name\":\"10 – 20 ms\",\"value\":0},"
                                "{\"name\":\"20 – 50 ms\",\"value\":0},"
                                "{\"name\":\"50 – 100 ms\",\"value\":0},"
                                "{\"name\":\"100 – 200 ms\",\"value\":0},"
                                "{\"name\":\"200 – 500 ms\",\"value\":0},"
                                "{\"name\":\"500 ms – 1 s\",\"value\":5}]}}}\n");
}

TEST(many_ranges_become_powers_of_ten)
{
    static const double values_ms[] = {0.0004, 3, 30000};
    static const double counts[] = {1, 1, 1};
    struct buf out CLEANUP(buf_done) = {0};

    written(values_ms, counts, ARRAY_COUNT(values_ms), &out);
    EXPECT(strstr(buf_cstr(&out), "{\"name\":\"100 ns – 1 µs\",\"value\":1}") != NULL);
    EXPECT(strstr(buf_cstr(&out), "{\"name\":\"1 – 10 ms\",\"value\":1}") != NULL);
    EXPECT(strstr(buf_cstr(&out), "{\"name\":\"10 – 100 s\",\"value\":1}]") != NULL);
}

TEST(bounds_are_told_to_three_digits)
{
    static const double bounds_ms[] = {0.14142135, 1.13137085, 1448.15468, 2000000};
    static const double counts[] = {1, 1, 1, 1, 1};
    struct document *document = document_new("x", 1 << 20);
    struct buf out CLEANUP(buf_done) = {0};

    document_ranges(document, "d", "D", bounds_ms, counts, ARRAY_COUNT(counts));
    EXPECT(document_write(document, FORM_JSON, NULL, &out, NULL) == ERR_NONE);
    const char *text = buf_cstr(&out);
    EXPECT(strstr(text, "\"0 – 141 µs\"") != NULL);
    EXPECT(strstr(text, "\"141 µs – 1.13 ms\"") != NULL);
    EXPECT(strstr(text, "\"1.13 ms – 1.45 s\"") != NULL);
    EXPECT(strstr(text, "\"1.45 – 2000 s\"") != NULL);
    EXPECT(strstr(text, "\"over 2000 s\"") != NULL);
    document_free(document);
}

TEST(nothing_and_the_extremes_are_survived)
{
    static const double values_ms[] = {0, -3, 1e300, INFINITY, 1e-300};
    static const double counts[] = {1, 1, 1, 1, NAN};
    static const double none[] = {0, 0, 0, 0, 0};
    struct buf out CLEANUP(buf_done) = {0};

    written(values_ms, counts, ARRAY_COUNT(values_ms), &out);
    EXPECT(strstr(buf_cstr(&out), "\"name\":\"0 – ") != NULL);
    buf_clear(&out);
    written(values_ms, none, ARRAY_COUNT(values_ms), &out);
    EXPECT(strstr(buf_cstr(&out), "\"d\"") == NULL);
}

TEST_MAIN
