/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"
#include "test.h"

#include <pthread.h>

enum { PRODUCERS = 4, ITEMS = 20000 };

struct producer {
    pthread_t thread;
    struct ring *ring;
    int items[ITEMS];
};

static void *produce(void *argument)
{
    struct producer *producer = argument;

    for (int i = 0; i < ITEMS; i++) {
        producer->items[i] = i;
        while (!ring_push(producer->ring, &producer->items[i]))
            sched_yield();
    }
    return NULL;
}

TEST(nothing_is_lost_or_doubled_between_threads)
{
    static struct producer producers[PRODUCERS];
    struct ring *ring = ring_new(64);
    int64_t sum = 0;
    int count = 0;

    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].ring = ring;
        ASSERT(pthread_create(&producers[i].thread, NULL, produce, &producers[i]) == 0);
    }
    while (count < PRODUCERS * ITEMS) {
        int *item = ring_pop_wait(ring, 1000000000);
        if (item == NULL)
            continue;
        sum += *item;
        count++;
    }
    for (int i = 0; i < PRODUCERS; i++)
        EXPECT(pthread_join(producers[i].thread, NULL) == 0);
    EXPECT(ring_pop(ring) == NULL);
    EXPECT(sum == (int64_t)PRODUCERS * ITEMS * (ITEMS - 1) / 2);
    ring_free(ring);
}

TEST(a_full_ring_refuses_and_counts)
{
    struct ring *ring = ring_new(2);
    int item;

    EXPECT(ring_push(ring, &item) && ring_push(ring, &item));
    EXPECT(!ring_push(ring, &item));
    EXPECT(ring_refused(ring) == 1 && ring_count(ring) == 2);
    EXPECT(ring_pop(ring) != NULL && ring_push(ring, &item));
    EXPECT(ring_pop(ring) != NULL && ring_pop(ring) != NULL);
    ring_free(ring);
}

TEST(a_closed_ring_gives_what_it_holds_and_takes_no_more)
{
    struct ring *ring = ring_new(2);
    int item;

    EXPECT(ring_push(ring, &item));
    ring_close(ring);
    EXPECT(!ring_push(ring, &item) && ring_is_closed(ring));
    EXPECT(ring_pop_wait(ring, -1) == &item);
    EXPECT(ring_pop_wait(ring, -1) == NULL);
    ring_free(ring);
}

TEST_MAIN
