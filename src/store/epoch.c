/* SPDX-License-Identifier: Apache-2.0 */
/* A counter of epochs, and the ring of those who read, in the order in which they came. The first
 * of the ring is the oldest, so whether something may be freed is one comparison. */
#include "store/epoch.h"

#include <stdlib.h>

static void lock(struct epoch *epoch)
{
    int code = pthread_mutex_lock(&epoch->lock);

    MUST(code == 0);
}

static void unlock(struct epoch *epoch)
{
    int code = pthread_mutex_unlock(&epoch->lock);

    MUST(code == 0);
}

void epoch_init(struct epoch *epoch)
{
    *epoch = (struct epoch){.now = 1};
    int code = pthread_mutex_init(&epoch->lock, NULL);
    MUST(code == 0);
    epoch->readers.next = epoch->readers.previous = &epoch->readers;
}

void epoch_done(struct epoch *epoch)
{
    MUST(epoch->readers.next == &epoch->readers);
    epoch_reclaim(epoch);
    free(epoch->retired);
    (void)pthread_mutex_destroy(&epoch->lock); /* Fails only while it is locked. */
}

void epoch_enter(struct epoch *epoch, struct epoch_reader *reader)
{
    lock(epoch);
    reader->entered = epoch->now;
    reader->next = &epoch->readers;
    reader->previous = epoch->readers.previous;
    reader->previous->next = reader;
    epoch->readers.previous = reader;
    unlock(epoch);
}

void epoch_leave(struct epoch *epoch, struct epoch_reader *reader)
{
    lock(epoch);
    reader->previous->next = reader->next;
    reader->next->previous = reader->previous;
    unlock(epoch);
}

uint64_t epoch_advance(struct epoch *epoch)
{
    lock(epoch);
    uint64_t before = epoch->now++;
    unlock(epoch);
    return before;
}

uint64_t epoch_oldest(struct epoch *epoch)
{
    lock(epoch);
    uint64_t oldest =
        epoch->readers.next == &epoch->readers ? UINT64_MAX : epoch->readers.next->entered;
    unlock(epoch);
    return oldest;
}

void epoch_retire(struct epoch *epoch, void *memory, void (*release)(void *memory))
{
    if (epoch->retired_count == epoch->retired_capacity) {
        size_t capacity = epoch->retired_capacity == 0 ? 64 : epoch->retired_capacity * 2;
        epoch->retired = reallocarray(epoch->retired, capacity, sizeof(*epoch->retired));
        if (epoch->retired == NULL)
            must_memory(capacity * sizeof(*epoch->retired));
        epoch->retired_capacity = capacity;
    }
    epoch->retired[epoch->retired_count++] =
        (struct epoch_retired){memory, release, epoch_advance(epoch)};
}

void epoch_reclaim(struct epoch *epoch)
{
    uint64_t oldest = epoch_oldest(epoch);
    size_t kept = 0;

    for (size_t i = 0; i < epoch->retired_count; i++) {
        struct epoch_retired retired = epoch->retired[i];
        if (retired.at < oldest)
            retired.release(retired.memory);
        else
            epoch->retired[kept++] = retired;
    }
    epoch->retired_count = kept;
}
