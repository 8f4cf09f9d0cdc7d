/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/slow_mount.h"

#include "test.h"

#include <unistd.h>

static bool answers(struct slow_mount *mount, struct statvfs *space)
{
    for (int i = 0; i < 1000; i++) {
        if (slow_mount_ask(mount, space))
            return true;
        usleep(10 * 1000);
    }
    return false;
}

TEST(an_answer_comes_without_waiting_for_it)
{
    struct slow_mount *mount = slow_mount_new("/");
    struct statvfs space;

    ASSERT(mount != NULL);
    ASSERT(answers(mount, &space));
    EXPECT(space.f_blocks > 0);
    slow_mount_free(mount);
}

TEST(what_is_not_there_never_answers_and_can_be_freed_at_any_moment)
{
    struct statvfs space;

    for (int i = 0; i < 50; i++) {
        struct slow_mount *mount = slow_mount_new("/nonexistent/mount");
        ASSERT(mount != NULL);
        EXPECT(!slow_mount_ask(mount, &space));
        slow_mount_free(mount);
    }
    EXPECT(slow_mount_free(NULL) == NULL);
}

TEST_MAIN
