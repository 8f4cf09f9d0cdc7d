/* SPDX-License-Identifier: Apache-2.0 */
/* Owner and thread share the object. The owner only says that it has gone; the thread, which may
 * hang in the kernel then, frees it when it sees that. */
#include "sources/slow_mount.h"

#include "base/clock.h"
#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_NS (10 * CLOCK_NS_PER_S)

enum { STACK_BYTES = 64 * 1024 };

struct slow_mount {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    char *point;
    bool wanted;    /* The thread shall ask. */
    bool abandoned; /* The owner has gone. */
    bool known;
    struct statvfs space;
    int64_t answered_ns;
};

static void destroy(struct slow_mount *mount)
{
    (void)pthread_cond_destroy(&mount->wake);  /* Nobody waits. */
    (void)pthread_mutex_destroy(&mount->lock); /* Nobody holds it. */
    free(mount->point);
    free(mount);
}

static void *ask_for_ever(void *self)
{
    struct slow_mount *mount = self;
    struct statvfs space = {0};

    MUST(pthread_mutex_lock(&mount->lock) == 0);
    while (!mount->abandoned) {
        if (!mount->wanted) {
            MUST(pthread_cond_wait(&mount->wake, &mount->lock) == 0);
            continue;
        }
        mount->wanted = false;
        MUST(pthread_mutex_unlock(&mount->lock) == 0);
        bool known = statvfs(mount->point, &space) == 0;
        MUST(pthread_mutex_lock(&mount->lock) == 0);
        mount->known = known;
        mount->space = space;
        mount->answered_ns = clock_monotonic_ns();
    }
    MUST(pthread_mutex_unlock(&mount->lock) == 0);
    destroy(mount);
    return NULL;
}

static bool start(struct slow_mount *mount)
{
    pthread_attr_t attributes;
    pthread_t thread;

    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    MUST(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    int error = pthread_create(&thread, &attributes, ask_for_ever, mount);
    MUST(pthread_attr_destroy(&attributes) == 0);
    return error == 0;
}

struct slow_mount *slow_mount_new(const char *point)
{
    struct slow_mount *mount = calloc(1, sizeof(*mount));

    if (mount == NULL)
        must_memory(sizeof(*mount));
    mount->point = strdup(point);
    if (mount->point == NULL)
        must_memory(strlen(point) + 1);
    MUST(pthread_mutex_init(&mount->lock, NULL) == 0);
    MUST(pthread_cond_init(&mount->wake, NULL) == 0);
    mount->wanted = true;
    if (start(mount))
        return mount;
    destroy(mount);
    return NULL;
}

struct slow_mount *slow_mount_free(struct slow_mount *mount)
{
    if (mount == NULL)
        return NULL;
    MUST(pthread_mutex_lock(&mount->lock) == 0);
    mount->abandoned = true;
    MUST(pthread_cond_signal(&mount->wake) == 0);
    MUST(pthread_mutex_unlock(&mount->lock) == 0);
    return NULL;
}

bool slow_mount_ask(struct slow_mount *mount, struct statvfs *ret_space)
{
    MUST(pthread_mutex_lock(&mount->lock) == 0);
    bool answered = mount->known && clock_monotonic_ns() - mount->answered_ns < FRESH_NS;
    if (answered)
        *ret_space = mount->space;
    mount->wanted = true;
    MUST(pthread_cond_signal(&mount->wake) == 0);
    MUST(pthread_mutex_unlock(&mount->lock) == 0);
    return answered;
}
