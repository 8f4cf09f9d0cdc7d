/* SPDX-License-Identifier: Apache-2.0 */
/* udp_queues.c - bytes that wait in the queues of all UDP sockets.
 *
 *   sl  local_address rem_address   st tx_queue:rx_queue …       hexadecimal, the fifth word
 *
 * The kernel walks its whole table of sockets for it, so it is not asked every second. */
#include "base/file.h"
#include "sources/source.h"

#include <stdlib.h>

enum { FILES = 2, WORDS_BEFORE_QUEUES = 4 };

static const struct column columns[] = {
    {"node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.",
     METRIC_GAUGE, "queue", "tx"},
    {"node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.",
     METRIC_GAUGE, "queue", "rx"},
};
static const char *const keys[] = {"ip"};
static const char *const files[FILES] = {"proc/net/udp", "proc/net/udp6"};
static const char *const names[FILES] = {"v4", "v6"};

struct udp_queues {
    int fd[FILES];
};

static enum err udp_queues_open(struct source *source, struct why *why)
{
    struct udp_queues *queues = calloc(1, sizeof(*queues));

    if (queues == NULL)
        must_memory(sizeof(*queues));
    for (size_t i = 0; i < FILES; i++)
        queues->fd[i] = -1;
    source->state = queues;
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static void udp_queues_close(struct source *source)
{
    struct udp_queues *queues = source->state;

    for (size_t i = 0; queues != NULL && i < FILES; i++)
        file_closep(&queues->fd[i]);
    free(queues);
}

static enum err take_file(struct source *source, size_t index, struct why *why)
{
    struct udp_queues *queues = source->state;
    struct scan text;
    struct scan line;
    uint64_t sent = 0;
    uint64_t received = 0;

    TRY(source_read_kept(source, &queues->fd[index], files[index], &text, why));
    (void)scan_line(&text, &line); /* Names of the columns. */
    while (scan_line(&text, &line)) {
        uint64_t tx;
        uint64_t rx;
        if (!scan_words(&line, WORDS_BEFORE_QUEUES) || !scan_hex(&line, &tx) ||
            !scan_skip(&line, STR(":")) || !scan_hex(&line, &rx))
            continue;
        sent += tx;
        received += rx;
    }
    struct str name = str_of(names[index]);
    struct row *row = table_row(source->tables[0], &name);
    row_set(row, 0, (double)sent);
    row_set(row, 1, (double)received);
    return ERR_NONE;
}

static enum err udp_queues_collect(struct source *source, struct batch *out, struct why *why)
{
    TRY(take_file(source, 0, why));
    enum err err = take_file(source, 1, why);
    return err == ERR_UNSUPPORTED ? ERR_NONE : err; /* IPv6 may be switched off. */
}

const struct source_kind source_udp_queues = {
    .name = "udp_queues",
    .summary = "Bytes waiting in the queues of UDP sockets.",
    .period_ms = 5000,
    .open = udp_queues_open,
    .collect = udp_queues_collect,
    .close = udp_queues_close,
};
