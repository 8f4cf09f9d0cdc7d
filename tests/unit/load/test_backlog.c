/* SPDX-License-Identifier: Apache-2.0 */
#include "load/backlog.h"

#include "test.h"

TEST(who_comes_first_is_served_first_while_the_ring_grows_and_turns)
{
    struct backlog backlog = {0};
    int64_t next_in = 0, next_out = 0;

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 300; i++)
            backlog_push(&backlog, next_in++);
        for (int i = 0; i < 200; i++)
            EXPECT(backlog_take(&backlog) == next_out++);
    }
    EXPECT(backlog.count == 5000);
    while (backlog.count > 0)
        EXPECT(backlog_take(&backlog) == next_out++);
    EXPECT(next_out == next_in);
    backlog_done(&backlog);
    EXPECT(backlog.times_ns == NULL && backlog.capacity == 0);
}

TEST_MAIN
