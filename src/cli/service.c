/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/service.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ARENAS_MAX = 2,
    TRIM_BYTES = 256 << 10,
    MMAP_BYTES = 128 << 10,
};

/* The protocol of sd_notify(3): one datagram to the socket that the environment names; a leading
 * '@' stands for the NUL of an abstract address. */
void service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = path == NULL ? 0 : strlen(path);

    if (size < 2 || size >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd CLEANUP(file_closep) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)); /* See the header. */
}

int64_t service_watchdog_ns(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    int64_t microseconds, wanted;

    if (text == NULL || !str_to_i64(str_of(text), &microseconds) || microseconds <= 0)
        return 0;
    if (pid != NULL && (!str_to_i64(str_of(pid), &wanted) || wanted != getpid()))
        return 0;
    return microseconds * CLOCK_NS_PER_US / 2;
}

void service_prepare(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* Fewer connections then; the server measures. */
    }
    /* Hints: an allocator that knows them not works as well. */
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
}
