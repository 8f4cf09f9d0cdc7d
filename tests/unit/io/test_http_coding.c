/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "io/http_coding.h"

#include <zlib.h>
#include <zstd.h>

static void fill(struct buf *buf, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_byte(buf, (uint8_t)("sonde"[i % 5] + (i * i >> 9) % 3));
}

static void deflate_with(int window, struct str plain, struct buf *out)
{
    z_stream stream = {0};

    EXPECT(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)plain.data;
    stream.avail_in = (uInt)plain.size;
    size_t room = deflateBound(&stream, plain.size);
    stream.next_out = (Bytef *)buf_reserve(out, room);
    stream.avail_out = (uInt)room;
    EXPECT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out->size += room - stream.avail_out;
    deflateEnd(&stream);
}

static void zstd_with(struct str plain, struct buf *out)
{
    size_t room = ZSTD_compressBound(plain.size);
    size_t size = ZSTD_compress(buf_reserve(out, room), room, plain.data, plain.size, 3);

    EXPECT(!ZSTD_isError(size));
    out->size += size;
}

static void encode(const char *coding, struct str plain, struct buf *out)
{
    if (strcmp(coding, "zstd") == 0)
        zstd_with(plain, out);
    else
        deflate_with(strcmp(coding, "gzip") == 0  ? 31
                     : strcmp(coding, "raw") == 0 ? -15
                                                  : 15,
                     plain, out);
}

static struct str name_of(const char *coding)
{
    return strcmp(coding, "raw") == 0 ? STR("deflate") : str_of(coding);
}

static const char *const codings[] = {"gzip", "deflate", "raw", "zstd"};

TEST(bodies_come_back_as_they_were)
{
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 300000};

    for (size_t c = 0; c < ARRAY_COUNT(codings); c++) {
        for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
            struct buf plain = {0}, packed = {0}, out = {0};
            struct why why = WHY_INIT;
            fill(&plain, sizes[s]);
            encode(codings[c], buf_view(&plain), &packed);
            /* Exactly the size of the plain body is allowed. */
            EXPECT(http_decode_body(name_of(codings[c]), buf_view(&packed), sizes[s], &out, &why) ==
                   ERR_NONE);
            EXPECT(str_eq(buf_view(&out), buf_view(&plain)));
            buf_done(&plain);
            buf_done(&packed);
            buf_done(&out);
        }
    }
}

TEST(the_bound_is_on_what_comes_out)
{
    struct buf plain = {0};

    for (int i = 0; i < 1000000; i++)
        buf_byte(&plain, 'a');
    for (size_t c = 0; c < ARRAY_COUNT(codings); c++) {
        struct buf packed = {0}, out = {0};
        struct why why = WHY_INIT;
        encode(codings[c], buf_view(&plain), &packed);
        EXPECT(packed.size < 2000);
        EXPECT(http_decode_body(name_of(codings[c]), buf_view(&packed), 999999, &out, &why) ==
               ERR_TOO_LARGE);
        EXPECT_TEXT(why.text, "the body is more than 999999 bytes after decompression");
        buf_done(&packed);
    }
    buf_done(&plain);
}

TEST(cut_or_broken_bodies_are_refused_at_every_length)
{
    struct buf plain = {0};

    fill(&plain, 2000);
    for (size_t c = 0; c < ARRAY_COUNT(codings); c++) {
        struct buf packed = {0}, out = {0};
        struct why why = WHY_INIT;
        encode(codings[c], buf_view(&plain), &packed);
        for (size_t size = 0; size < packed.size; size++)
            EXPECT(http_decode_body(name_of(codings[c]), (struct str){packed.data, size}, 1 << 20,
                                    &out, &why) == ERR_INVALID);
        buf_text(&packed, "behind");
        EXPECT(http_decode_body(name_of(codings[c]), buf_view(&packed), 1 << 20, &out, &why) ==
               ERR_INVALID);
        buf_done(&packed);
    }
    buf_done(&plain);
}

TEST(several_gzip_members_are_one_body)
{
    struct buf packed = {0}, out = {0};
    struct why why = WHY_INIT;

    deflate_with(31, STR("one "), &packed);
    deflate_with(31, STR("two"), &packed);
    EXPECT(http_decode_body(STR("gzip"), buf_view(&packed), 100, &out, &why) == ERR_NONE);
    EXPECT(str_eq(buf_view(&out), STR("one two")));
    buf_done(&packed);
    buf_done(&out);
}

TEST(unknown_codings_are_named)
{
    struct buf out = {0};
    struct why why = WHY_INIT;

    EXPECT(http_decode_body(STR("br"), STR("x"), 100, &out, &why) == ERR_UNSUPPORTED);
    EXPECT_TEXT(why.text, "the Content-Encoding 'br' is not understood here");
    EXPECT(http_coding_is_known(STR("X-GZIP")));
    EXPECT(http_coding_is_known(STR_NONE));
    EXPECT(!http_coding_is_known(STR("snappy")));
    EXPECT(http_decode_body(STR("identity"), STR("abc"), 2, &out, &why) == ERR_TOO_LARGE);
    EXPECT(http_decode_body(STR(""), STR("abc"), 3, &out, &why) == ERR_NONE);
    EXPECT(str_eq(buf_view(&out), STR("abc")));
    buf_done(&out);
}

TEST(a_compressor_is_used_again_and_again)
{
    struct http_gzip *gzip = http_gzip_new();

    for (int i = 0; i < 50; i++) {
        struct buf plain = {0}, packed = {0}, out = {0};
        struct why why = WHY_INIT;
        fill(&plain, (size_t)i * 777);
        http_gzip_compress(gzip, buf_view(&plain), &packed);
        EXPECT(http_decode_body(STR("gzip"), buf_view(&packed), 1 << 20, &out, &why) == ERR_NONE);
        EXPECT(str_eq(buf_view(&out), buf_view(&plain)));
        buf_done(&plain);
        buf_done(&packed);
        buf_done(&out);
    }
    EXPECT(http_gzip_free(gzip) == NULL);
}

TEST_MAIN
