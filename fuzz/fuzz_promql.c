/* SPDX-License-Identifier: Apache-2.0 */
/* Any text parses or is refused with a sentence; what parses prints as text that parses to the
 * same tree, which shows by printing the same again. */
#include "base/buf.h"
#include "query/promql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct promql_expression *first = NULL;
    struct promql_expression *second = NULL;
    struct why why = WHY_INIT;
    struct buf once = {0};
    struct buf twice = {0};

    if (promql_parse((struct str){(const char *)data, size}, &first, &why) != ERR_NONE) {
        MUST(why.text[0] != '\0' && why.position <= (int64_t)size);
        return 0;
    }
    promql_format(first, &once);
    enum err err = promql_parse(buf_view(&once), &second, &why);
    /* The canonical form is longer and may thereby leave the bounds, but nothing else. */
    MUST(err == ERR_NONE || err == ERR_LIMIT);
    if (err == ERR_NONE) {
        promql_format(second, &twice);
        MUST(str_eq(buf_view(&once), buf_view(&twice)));
        MUST(promql_type(first) == promql_type(second));
    }
    buf_done(&once);
    buf_done(&twice);
    first = promql_free(first);
    second = promql_free(second);
    return 0;
}
