/* SPDX-License-Identifier: Apache-2.0 */
/* mounts - the mounted file systems that are worth telling, from the text of /proc/…/mounts.
 * One thread. */
#pragma once
#include "base/str.h"

#define MOUNTS_MAX 1024

struct mount {
    char *device;
    char *type;
    char *point;
    bool readonly;
    bool network; /* Behind a network or a user's program: may never answer. */
};

struct mounts {
    struct mount *items;
    size_t count;
};

/* Replaces what was there. At most MOUNTS_MAX; duplicates, kernel file systems and places that
 * nobody stores into are left out. */
void mounts_parse(struct mounts *mounts, struct str text);
void mounts_done(struct mounts *mounts);
