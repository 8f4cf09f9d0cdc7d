/* SPDX-License-Identifier: Apache-2.0 */
/* Whether somebody listens where things are to be exported to. Whether they are taken there is
 * known when the first ones were sent: /api/v1/status tells. */
#include "cli/doctor_list.h"
#include "cli/exporting.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT_MS = 1000,
    HOST_SIZE = 256,
};

/* HOST or HOST:PORT or [IPV6]:PORT of a URL that was checked. */
static bool split_address(struct str url, char host[HOST_SIZE], char port[8])
{
    ptrdiff_t at = str_find(url, ':');
    bool secure = url.data[at - 1] == 's';
    bool is_grpc = url.data[0] == 'g';
    struct str rest = {url.data + at + 3, url.size - (size_t)at - 3};
    struct str address = str_split(&rest, '/');
    size_t size = address.size;

    (void)snprintf(port, 8, "%s", is_grpc ? "4317" : secure ? "443" : "80"); /* Fits. */
    while (size > 0 && address.data[size - 1] >= '0' && address.data[size - 1] <= '9')
        size--;
    if (size > 0 && size < address.size && address.data[size - 1] == ':') {
        (void)snprintf(port, 8, "%.*s", (int)(address.size - size), address.data + size);
        address.size = size - 1;
    }
    if (address.size > 1 && address.data[0] == '[') {
        address.data++;
        address.size -= 2;
    }
    if (address.size == 0 || address.size >= HOST_SIZE)
        return false;
    memcpy(host, address.data, address.size);
    host[address.size] = '\0';
    return true;
}

static bool connects(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;
    socklen_t size = sizeof(error);
    bool answer = false;

    if (fd < 0)
        return false;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
        answer = true;
    } else if (errno == EINPROGRESS) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        answer = poll(&wait, 1, CONNECT_MS) == 1 &&
                 getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    (void)close(fd); /* Nothing was written. */
    return answer;
}

static bool is_reached(struct str url)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[HOST_SIZE];
    char port[8];
    bool answer = false;

    if (!split_address(url, host, port) || getaddrinfo(host, port, &hints, &found) != 0)
        return false;
    for (const struct addrinfo *one = found; one != NULL && !answer; one = one->ai_next)
        answer = connects(one);
    freeaddrinfo(found);
    return answer;
}

void doctor_export(const struct config *config, struct doctor_answer *answer)
{
    struct exporter_options options;
    struct why why = WHY_INIT;
    struct str silent = STR_NONE;
    size_t reached = 0;
    size_t count = 0;
    bool is_wanted;

    if (exporting_read(config, &options, &is_wanted, &why) != ERR_NONE) {
        doctor_say(answer, DOCTOR_MISSING, "%.250s", why.text);
        doctor_advise(answer, "%.300s", why.hint);
        return;
    }
    if (!is_wanted) {
        doctor_say(answer, DOCTOR_NOT_NEEDED, "nothing is exported (export.url is not set)");
        return;
    }
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        for (size_t k = 0; k < options.routes[i].urls_count; k++) {
            bool is_answering = is_reached(options.routes[i].urls[k]);
            count++;
            reached += is_answering;
            if (!is_answering)
                silent = options.routes[i].urls[k];
        }
    }
    if (reached == count) {
        doctor_say(answer, DOCTOR_OK, "all listen");
        return;
    }
    doctor_say(answer, reached == 0 ? DOCTOR_MISSING : DOCTOR_LIMITED, "nobody listens at %.*s",
               (int)(silent.size > 200 ? 200 : silent.size), silent.data);
    doctor_advise(answer, "what is to go there waits in the queue, up to export.queue_size");
}
