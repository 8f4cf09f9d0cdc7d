/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include "test.h"

/* RFC 4648, section 10. */
static const char *const published[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(the_published_examples_go_both_ways)
{
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        struct buf out CLEANUP(buf_done) = {0};
        base64_write(str_of(published[i][0]), &out);
        EXPECT(str_eq(buf_view(&out), str_of(published[i][1])));
        buf_clear(&out);
        EXPECT(base64_read(str_of(published[i][1]), &out));
        EXPECT(str_eq(buf_view(&out), str_of(published[i][0])));
    }
}

TEST(every_byte_comes_back)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct buf back CLEANUP(buf_done) = {0};
    char bytes[256];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    base64_write((struct str){bytes, sizeof(bytes)}, &text);
    EXPECT(base64_read(buf_view(&text), &back));
    EXPECT(str_eq(buf_view(&back), (struct str){bytes, sizeof(bytes)}));
}

TEST(what_is_none_is_refused)
{
    struct buf out CLEANUP(buf_done) = {0};

    EXPECT(!base64_read(STR("Zm9v!"), &out));
    EXPECT(!base64_read(STR("Zm9vY"), &out));
    EXPECT(!base64_read(STR("Zm\0v"), &out));
    EXPECT(base64_read(STR("Zg"), &out));
}

TEST_MAIN
