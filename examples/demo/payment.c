/* SPDX-License-Identifier: Apache-2.0 */
/* The payment service, in C with libsonde: POST /charge, one request at a time. It has more to do
 * than it can: CALLS_FOR_ONE - 1 of CALLS_FOR_ONE calls are turned away with 503, after some work.
 *
 *     cc payment.c -I include libsonde.a -lm -lpthread -o payment
 *     SONDE_ENDPOINT=http://127.0.0.1:7070 ./payment PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sonde/sonde.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS_FOR_ONE = 11,
    REQUEST_BYTES = 16384,
    WORK_MS = 15,
};

/* The value of a header, copied; NULL when it is not there. `self` is the text of the head. */
static const char *header(void *self, const char *name)
{
    static char value[1024];
    size_t size = strlen(name);

    for (const char *line = strstr(self, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, size) != 0 || line[size] != ':')
            continue;
        const char *from = line + size + 1 + strspn(line + size + 1, " ");
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(from, "\r\n"), from);
        return value;
    }
    return NULL;
}

/* Reads until the head and as much of a body as it tells have come. */
static int read_request(int connection, char *text)
{
    size_t used = 0;

    while (used < REQUEST_BYTES - 1) {
        ssize_t size = read(connection, text + used, REQUEST_BYTES - 1 - used);
        if (size <= 0)
            return -1;
        used += (size_t)size;
        text[used] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        const char *length = header(text, "content-length");
        if (end != NULL && text + used >= end + 4 + (length == NULL ? 0 : atoi(length)))
            return 0;
    }
    return -1;
}

static void work(struct sonde *sonde, const struct sonde_context *parent)
{
    const struct timespec while_it_works = {.tv_nsec = WORK_MS * 1000000L};
    struct sonde_span span;

    sonde_span_begin(&span, sonde, "check the card", SONDE_INTERNAL, parent);
    (void)nanosleep(&while_it_works, NULL);
    (void)sonde_span_end(&span); /* Its duration is in the trace. */
}

static int charge(struct sonde *sonde, char *head)
{
    static unsigned calls;
    struct sonde_headers headers;
    struct sonde_span span;

    (void)sonde_headers_read(&headers, header, head); /* Without them a trace begins here. */
    sonde_span_begin(&span, sonde, "POST /charge", SONDE_SERVER, &headers.context);
    work(sonde, &span.context);
    int status = ++calls % CALLS_FOR_ONE == 0 ? 200 : 503;
    sonde_span_note_integer(&span, "http.response.status_code", status);
    if (status != 200)
        sonde_span_fail(&span, "no free worker: the queue of charges is full");
    (void)sonde_span_end(&span); /* As above. */
    return status;
}

static void serve(struct sonde *sonde, int connection)
{
    static char text[REQUEST_BYTES];
    char answer[128];

    if (read_request(connection, text) != 0)
        return;
    int status = charge(sonde, text);
    int size = snprintf(answer, sizeof(answer),
                        "HTTP/1.1 %d %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
                        status, status == 200 ? "OK" : "Service Unavailable");
    if (write(connection, answer, (size_t)size) != size)
        perror("payment: write");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    struct sonde_options options;

    sonde_options_init(&options);
    options.service_name = "payment";
    struct sonde *sonde = sonde_open(&options);
    if (sonde == NULL || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 64) != 0) {
        perror("payment");
        return 1;
    }
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        serve(sonde, connection);
        (void)close(connection); /* Nothing is left to be written. */
    }
}
