/* SPDX-License-Identifier: Apache-2.0 */
/* A lock and a condition around a circle of pointers. What passes here are batches of hundreds or
 * thousands of rows, some thousand times a second at most: the lock costs nothing that could be
 * measured, and a sleeping consumer costs nothing at all. */
#include "base/ring.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    void **items;
    size_t capacity;
    size_t first;
    size_t count;
    uint64_t refused;
    bool closed;
};

struct ring *ring_new(size_t capacity)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    pthread_condattr_t attributes;

    MUST(capacity > 0);
    if (ring == NULL)
        must_memory(sizeof(*ring));
    ring->items = calloc(capacity, sizeof(*ring->items));
    if (ring->items == NULL)
        must_memory(capacity * sizeof(*ring->items));
    ring->capacity = capacity;
    MUST(pthread_mutex_init(&ring->lock, NULL) == 0);
    MUST(pthread_condattr_init(&attributes) == 0);
    MUST(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&ring->filled, &attributes) == 0);
    MUST(pthread_condattr_destroy(&attributes) == 0);
    return ring;
}

struct ring *ring_free(struct ring *ring)
{
    if (ring != NULL) {
        MUST(pthread_cond_destroy(&ring->filled) == 0);
        MUST(pthread_mutex_destroy(&ring->lock) == 0);
        free(ring->items);
        free(ring);
    }
    return NULL;
}

static void lock(const struct ring *ring)
{
    MUST(pthread_mutex_lock((pthread_mutex_t *)&ring->lock) == 0);
}

static void unlock(const struct ring *ring)
{
    MUST(pthread_mutex_unlock((pthread_mutex_t *)&ring->lock) == 0);
}

bool ring_push(struct ring *ring, void *item)
{
    MUST(item != NULL);
    lock(ring);
    bool accepted = !ring->closed && ring->count < ring->capacity;
    if (accepted) {
        ring->items[(ring->first + ring->count) % ring->capacity] = item;
        ring->count++;
        MUST(pthread_cond_signal(&ring->filled) == 0);
    } else {
        ring->refused++;
    }
    unlock(ring);
    return accepted;
}

static void *pop_locked(struct ring *ring)
{
    if (ring->count == 0)
        return NULL;
    void *item = ring->items[ring->first];
    ring->first = (ring->first + 1) % ring->capacity;
    ring->count--;
    return item;
}

void *ring_pop(struct ring *ring)
{
    lock(ring);
    void *item = pop_locked(ring);
    unlock(ring);
    return item;
}

void *ring_pop_wait(struct ring *ring, int64_t timeout_ns)
{
    int64_t deadline_ns = timeout_ns < 0 ? 0 : clock_monotonic_ns() + timeout_ns;
    struct timespec deadline = {.tv_sec = deadline_ns / CLOCK_NS_PER_S,
                                .tv_nsec = deadline_ns % CLOCK_NS_PER_S};
    int result = 0;

    lock(ring);
    while (ring->count == 0 && !ring->closed && result == 0) {
        if (timeout_ns < 0)
            result = pthread_cond_wait(&ring->filled, &ring->lock);
        else
            result = pthread_cond_timedwait(&ring->filled, &ring->lock, &deadline);
    }
    void *item = pop_locked(ring);
    unlock(ring);
    return item;
}

void ring_close(struct ring *ring)
{
    lock(ring);
    ring->closed = true;
    MUST(pthread_cond_broadcast(&ring->filled) == 0);
    unlock(ring);
}

bool ring_is_closed(const struct ring *ring)
{
    lock(ring);
    bool closed = ring->closed;
    unlock(ring);
    return closed;
}

size_t ring_count(const struct ring *ring)
{
    lock(ring);
    size_t count = ring->count;
    unlock(ring);
    return count;
}

uint64_t ring_refused(const struct ring *ring)
{
    lock(ring);
    uint64_t refused = ring->refused;
    unlock(ring);
    return refused;
}
