/* SPDX-License-Identifier: Apache-2.0 */
/* users - names of user ids, from /etc/passwd alone: asking the name service could mean a wait for
 * a directory server. One thread. */
#pragma once
#include "base/str.h"

#define USERS_MAX 4096

struct user;

struct users {
    char *path;
    struct user *items;
    size_t count;
    int64_t read_ns; /* When the file was last read. */
    char number[16]; /* Of a user without a name. */
};

void users_init(struct users *users, const char *root_path);
void users_done(struct users *users);

/* The name, or the number as text; good until the next call. */
struct str users_name(struct users *users, uint32_t uid);
