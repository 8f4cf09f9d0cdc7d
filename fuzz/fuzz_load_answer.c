/* SPDX-License-Identifier: Apache-2.0 */
/* What a server may answer a load: any bytes as a token stream, cut anywhere, and as cookies. Where
 * the bytes are cut makes no difference to what is counted. */
#include "base/must.h"
#include "load/cookies.h"
#include "load/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stream fed(struct str text, size_t cut)
{
    struct stream stream = {0};

    cut = cut > text.size ? text.size : cut;
    MUST(stream_feed(&stream, (struct str){text.data, cut}, 1, NULL));
    MUST(stream_feed(&stream, (struct str){text.data + cut, text.size - cut}, 1, NULL));
    stream_finish(&stream, 1, NULL);
    return stream;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {size == 0 ? "" : (const char *)data, size};
    struct cookies cookies = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct str rest = text;

    if (size > 1 << 16)
        return 0;
    struct stream whole = fed(text, size);
    struct stream cut = fed(text, size == 0 ? 0 : data[0]);
    MUST(whole.chunks == cut.chunks && stream_tokens(&whole) == stream_tokens(&cut));
    MUST(whole.ended == cut.ended && whole.failed == cut.failed);
    stream_done(&whole);
    stream_done(&cut);
    while (rest.data != NULL)
        cookies_take(&cookies, 0, STR("/a/b?c"), str_split(&rest, '\n'));
    MUST(cookies.count <= COOKIES_MAX);
    cookies_write(&cookies, 0, true, STR("/a/b"), &out);
    MUST(out.size <= (size_t)COOKIES_MAX * (COOKIE_BYTES_MAX + 4));
    cookies_done(&cookies);
    return 0;
}
