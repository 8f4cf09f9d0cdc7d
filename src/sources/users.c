/* SPDX-License-Identifier: Apache-2.0 */
/* The file is read when an unknown id comes, but at most once a minute. */
#include "sources/users.h"

#include "base/clock.h"
#include "base/file.h"
#include "sources/scan.h"

#include <stdio.h>
#include <stdlib.h>

#define READ_AGAIN_NS (60 * CLOCK_NS_PER_S)

struct user {
    uint32_t uid;
    char name[33];
};

void users_init(struct users *users, const char *root_path)
{
    *users = (struct users){0};
    if (asprintf(&users->path, "%s/etc/passwd", root_path) < 0)
        must_memory(strlen(root_path));
}

void users_done(struct users *users)
{
    free(users->path);
    free(users->items);
    *users = (struct users){0};
}

/* name:password:uid:… */
static bool take_line(struct scan *line, struct user *ret_user)
{
    struct str name;
    struct str password;
    uint64_t uid;

    if (!scan_until(line, ':', &name) || !scan_until(line, ':', &password) ||
        !scan_u64(line, &uid) || name.size >= sizeof(ret_user->name))
        return false;
    *ret_user = (struct user){.uid = (uint32_t)uid};
    memcpy(ret_user->name, name.data, name.size);
    return true;
}

static void read_again(struct users *users)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct scan line;

    users->count = 0;
    users->read_ns = clock_monotonic_ns();
    if (file_read(users->path, 1u << 20, &text, NULL) != ERR_NONE)
        return; /* Numbers will do. */
    if (users->items == NULL)
        users->items = calloc(USERS_MAX, sizeof(*users->items));
    if (users->items == NULL)
        must_memory(USERS_MAX * sizeof(*users->items));
    struct scan lines = scan_of(buf_view(&text));
    while (users->count < USERS_MAX && scan_line(&lines, &line))
        users->count += take_line(&line, &users->items[users->count]);
}

static const struct user *find(const struct users *users, uint32_t uid)
{
    for (size_t i = 0; i < users->count; i++) {
        if (users->items[i].uid == uid)
            return &users->items[i];
    }
    return NULL;
}

struct str users_name(struct users *users, uint32_t uid)
{
    const struct user *user = find(users, uid);

    if (user == NULL &&
        (users->read_ns == 0 || clock_monotonic_ns() - users->read_ns >= READ_AGAIN_NS)) {
        read_again(users);
        user = find(users, uid);
    }
    if (user != NULL)
        return str_of(user->name);
    (void)snprintf(users->number, sizeof(users->number), "%u", uid);
    return str_of(users->number);
}
