/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "test.h"

#include <errno.h>

TEST(every_code_has_a_name_a_text_and_a_status)
{
    for (int err = 0; err < ERR_COUNT; err++) {
        int status = err_http_status((enum err)err);
        EXPECT(strlen(err_code((enum err)err)) > 0 && strlen(err_text((enum err)err)) > 0);
        EXPECT(status >= 200 && status < 600);
    }
    EXPECT_TEXT(err_code(ERR_NOT_FOUND), "not_found");
    EXPECT_TEXT(err_code((enum err)999), "internal");
}

TEST(a_reason_tells_what_where_and_what_next)
{
    struct why why = WHY_INIT;

    EXPECT(fail_at(&why, ERR_INVALID, 7, "bad %s", "thing") == ERR_INVALID);
    hint(&why, "write %d", 1);
    why_prefix(&why, "file %s", "x");
    EXPECT_TEXT(why.text, "file x: bad thing");
    EXPECT_TEXT(why.hint, "write 1");
    EXPECT(why.position == 7);
}

TEST(system_errors_get_the_code_a_caller_can_use)
{
    struct why why = WHY_INIT;

    EXPECT(fail_errno(&why, ENOSPC, "cannot write") == ERR_FULL);
    EXPECT_TEXT(why.text, "cannot write: No space left on device");
    EXPECT(fail_errno(&why, EACCES, "x") == ERR_DENIED);
    EXPECT(fail_errno(NULL, EIO, "x") == ERR_IO);
}

TEST(long_reasons_are_cut_and_not_spilled)
{
    struct why why = WHY_INIT;
    char longer[2000];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    EXPECT(fail(&why, ERR_IO, "%s", longer) == ERR_IO);
    why_prefix(&why, "prefix");
    EXPECT(strlen(why.text) == WHY_TEXT_SIZE - 1);
    EXPECT(strncmp(why.text, "prefix: xxx", 11) == 0);
}

TEST_MAIN
