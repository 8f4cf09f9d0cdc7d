/* SPDX-License-Identifier: Apache-2.0 */
#include "load/tally.h"
#include "test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static bool all_zero(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

TEST(a_cleared_one_is_as_new)
{
    struct tally *tally = calloc(1, sizeof(*tally));
    struct tally_links *links = calloc(1, sizeof(*links));

    tally_answer(tally, 1000, 900, 800, 200);
    tally_fault(tally, FAULT_TIMEOUT);
    tally->bytes_in = 7;
    tally_clear(tally);
    EXPECT(all_zero(tally, sizeof(*tally)));
    links->connects = 3;
    links->backlog_max = links->connections_open = 4;
    histogram_add(&links->dns, 1);
    histogram_add(&links->connect, 22);
    histogram_add(&links->tls, 333);
    histogram_add(&links->lateness, 4444);
    histogram_add(&links->queued, 55555);
    tally_links_clear(links);
    EXPECT(all_zero(links, sizeof(*links)));
    free(tally);
    free(links);
}

static size_t pages_resident(void *memory, size_t size)
{
    static unsigned char pages[1024];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t count = 0;

    EXPECT(mincore(memory, size, pages) == 0);
    for (size_t i = 0; i < size / page; i++)
        count += pages[i] & 1;
    return count;
}

/* A tally is a hundred kilobytes, of which a run's durations fill a few: the rest is to stay with
 * the kernel. */
TEST(what_never_held_anything_is_never_touched)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (sizeof(struct tally) + page - 1) / page * page;
    struct tally *from = calloc(1, sizeof(*from));
    struct tally *into =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(into != MAP_FAILED);
    tally_answer(from, 100000, 90000, 80000, 200);
    tally_merge(into, from);
    EXPECT(into->requests == 1 && into->latency.count == 1);
    size_t merged = pages_resident(into, size); /* Reading, too, would bring pages in. */
    tally_clear(into);
    printf("# %zu of %zu pages\n", merged, size / page);
    EXPECT(merged <= 10);
    EXPECT(into->requests == 0 && into->latency.count == 0);
    (void)munmap(into, size);
    free(from);
}

TEST_MAIN
