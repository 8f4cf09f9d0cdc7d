/* SPDX-License-Identifier: Apache-2.0 */
/* epoch - when memory that readers may still look at can be freed.
 *
 * The writer replaces a thing by publishing another and retires the old one; readers announce
 * themselves while they look. What was retired is freed once every reader that might hold it has
 * left. The lock is held for a few instructions at the start and the end of a read, never while
 * anyone reads or writes.
 *
 * epoch_enter, epoch_leave: any thread. Everything else: the writer. */
#pragma once
#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct epoch_reader {
    struct epoch_reader *next;
    struct epoch_reader *previous;
    uint64_t entered;
};

struct epoch_retired {
    void *memory;
    void (*release)(void *memory);
    uint64_t at;
};

struct epoch {
    pthread_mutex_t lock;
    uint64_t now;
    struct epoch_reader readers; /* Ring, oldest first behind the head. */
    struct epoch_retired *retired;
    size_t retired_count;
    size_t retired_capacity;
};

void epoch_init(struct epoch *epoch);
void epoch_done(struct epoch *epoch); /* No readers are left; frees what is retired. */

void epoch_enter(struct epoch *epoch, struct epoch_reader *reader);
void epoch_leave(struct epoch *epoch, struct epoch_reader *reader);

/* Everything published before is seen by readers whose `entered` is above the returned number. */
uint64_t epoch_advance(struct epoch *epoch);
/* The lowest `entered` of all readers, or UINT64_MAX. */
uint64_t epoch_oldest(struct epoch *epoch);

/* memory is no longer published; release(memory) is called when nobody can hold it. */
void epoch_retire(struct epoch *epoch, void *memory, void (*release)(void *memory));
void epoch_reclaim(struct epoch *epoch);
