/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a connection, the accepting one in a thread of its own. */
#include "io/sealed.h"

#include "base/clock.h"
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 60, BIG_BYTES = 3 << 20 };

static int64_t soon(void)
{
    return clock_monotonic_ns() + PATIENCE_S * CLOCK_NS_PER_S;
}

static int listen_anywhere(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        printf("# no port\n");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct end {
    pthread_t thread;
    int listener;
    const char *secret; /* NULL: closes at once. */
    enum err err;
    uint64_t bytes; /* Of what came. */
    struct why why;
};

/* Answers each frame with one of the same bytes, kind one more, until the other side leaves. */
static void *echo(void *argument)
{
    struct end *end = argument;
    struct sealed *sealed = NULL;
    struct sealed_frame frame;
    int fd = accept(end->listener, NULL, NULL);

    if (end->secret == NULL) {
        (void)close(fd);
        return NULL;
    }
    end->err = sealed_accept(fd, str_of(end->secret), soon(), &sealed, &end->why);
    while (end->err == ERR_NONE) {
        end->err = sealed_receive(sealed, BIG_BYTES, soon(), &frame, &end->why);
        if (end->err != ERR_NONE)
            break;
        end->bytes += frame.bytes.size;
        end->err = sealed_send(sealed, (uint8_t)(frame.kind + 1), frame.bytes, soon(), &end->why);
    }
    (void)sealed_close(sealed);
    return NULL;
}

static uint16_t start(struct end *end)
{
    uint16_t port;

    end->why = WHY_INIT;
    end->listener = listen_anywhere(&port);
    if (pthread_create(&end->thread, NULL, echo, end) != 0)
        printf("# no thread\n");
    return port;
}

static void finish(struct end *end)
{
    pthread_join(end->thread, NULL);
    (void)close(end->listener);
}

TEST(frames_of_any_size_come_through_whole)
{
    static const size_t sizes[] = {0, 1, 5, 70000, BIG_BYTES};
    struct end end = {.secret = "a secret of some length"};
    uint16_t port = start(&end);
    struct sealed *sealed = NULL;
    struct sealed_frame frame;
    struct why why = WHY_INIT;
    char *bytes = malloc(BIG_BYTES);

    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    ASSERT(sealed_connect(STR("127.0.0.1"), port, str_of(end.secret), soon(), &sealed, &why) ==
           ERR_NONE);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct str sent = {bytes, sizes[i]};
        ASSERT(sealed_send(sealed, (uint8_t)i, sent, soon(), &why) == ERR_NONE);
        ASSERT(sealed_receive(sealed, BIG_BYTES, soon(), &frame, &why) == ERR_NONE);
        EXPECT(frame.kind == i + 1 && str_eq(frame.bytes, sent));
    }
    (void)sealed_close(sealed);
    finish(&end);
    EXPECT(end.err == ERR_CLOSED && end.bytes == 70006 + BIG_BYTES);
    free(bytes);
}

TEST(who_knows_another_secret_is_not_let_in)
{
    struct end end = {.secret = "the right secret, really"};
    uint16_t port = start(&end);
    struct sealed *sealed = NULL;
    struct why why = WHY_INIT;

    enum err err = sealed_connect(STR("127.0.0.1"), port, STR("the wrong secret, alas!!"), soon(),
                                  &sealed, &why);
    EXPECT(err == ERR_UNAUTHENTICATED && sealed == NULL);
    if (err != ERR_UNAUTHENTICATED)
        printf("# %s\n", why.text);
    finish(&end);
    EXPECT(end.err == ERR_UNAUTHENTICATED);
    if (end.err != ERR_UNAUTHENTICATED)
        printf("# %s\n", end.why.text);
}

TEST(a_frame_that_is_too_large_is_refused_before_it_is_read)
{
    struct end end = {.secret = ""};
    uint16_t port = start(&end);
    struct sealed *sealed = NULL;
    struct sealed_frame frame;
    struct why why = WHY_INIT;

    ASSERT(sealed_connect(STR("127.0.0.1"), port, STR(""), soon(), &sealed, &why) == ERR_NONE);
    ASSERT(sealed_send(sealed, 7, STR("twelve bytes"), soon(), &why) == ERR_NONE);
    EXPECT(sealed_receive(sealed, 11, soon(), &frame, &why) == ERR_TOO_LARGE);
    (void)sealed_close(sealed);
    finish(&end);
}

TEST(who_is_not_there_or_leaves_is_told)
{
    (void)signal(SIGPIPE, SIG_IGN);
    struct end end = {.secret = NULL};
    uint16_t port = start(&end);
    struct sealed *sealed = NULL;
    struct why why = WHY_INIT;

    EXPECT(sealed_connect(STR("127.0.0.1"), port, STR(""), soon(), &sealed, &why) == ERR_CLOSED);
    finish(&end);
    EXPECT(sealed_connect(STR("127.0.0.1"), port, STR(""), soon(), &sealed, &why) == ERR_UPSTREAM);
    EXPECT(sealed_connect(STR("127.0.0.1"), port, STR(""), 0, &sealed, &why) != ERR_NONE);
}

TEST_MAIN
