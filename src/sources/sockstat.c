/* SPDX-License-Identifier: Apache-2.0 */
/* sockstat.c - sockets in use by protocol and state.
 *
 *   sockets: used 30
 *   TCP: inuse 11 orphan 0 tw 0 alloc 11 mem 14        mem is in pages, told in bytes too
 *
 * Each (protocol, state) is a metric of its own; the columns come as the kernel names them. */
#include "base/file.h"
#include "sources/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILES = 2, COLUMNS_MAX = 128, WORD_BYTES = 32 };

static const char *const files[FILES] = {"proc/net/sockstat", "proc/net/sockstat6"};

struct sockstat {
    int fd[FILES];
    double page_bytes;
};

static enum err sockstat_open(struct source *source, struct why *why)
{
    struct sockstat *sockstat = calloc(1, sizeof(*sockstat));

    if (sockstat == NULL)
        must_memory(sizeof(*sockstat));
    for (size_t i = 0; i < FILES; i++)
        sockstat->fd[i] = -1;
    sockstat->page_bytes = (double)sysconf(_SC_PAGESIZE);
    source->state = sockstat;
    (void)source_table(source, NULL, 0, NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static void sockstat_close(struct source *source)
{
    struct sockstat *sockstat = source->state;

    for (size_t i = 0; sockstat != NULL && i < FILES; i++)
        file_closep(&sockstat->fd[i]);
    free(sockstat);
}

/* The column at this place or, where that has another name, anywhere; else a new one. */
static void set(struct table *table, size_t *place, struct str protocol, const char *state,
                double value)
{
    char name[2 * WORD_BYTES + 16];
    char help[2 * WORD_BYTES + 64];
    size_t count = table_column_count(table);
    size_t column = *place;

    (void)snprintf(name, sizeof(name), "node_sockstat_%.*s_%s", STR_ARG(protocol), state);
    if (column >= count || strcmp(table_column_name(table, column), name) != 0) {
        for (column = 0; column < count; column++) {
            if (strcmp(table_column_name(table, column), name) == 0)
                break;
        }
    }
    if (column == COLUMNS_MAX)
        return;
    if (column == count) {
        if (str_eq(protocol, STR("sockets")))
            (void)snprintf(help, sizeof(help), "Number of IPv4 sockets in use.");
        else
            (void)snprintf(help, sizeof(help), "Number of %.*s sockets in state %s.",
                           STR_ARG(protocol), state);
        (void)table_add_column(table, &(struct column){name, help, METRIC_GAUGE, NULL, NULL});
    }
    row_set(source_row(table), column, value);
    *place = column + 1;
}

static void take_line(struct source *source, struct scan *line, size_t *place)
{
    const struct sockstat *sockstat = source->state;
    struct str protocol;
    uint64_t value;

    if (!scan_until(line, ':', &protocol) || protocol.size >= WORD_BYTES)
        return;
    for (;;) {
        char state[WORD_BYTES];
        struct str word = scan_word(line);
        if (word.size == 0 || word.size >= sizeof(state) || !scan_u64(line, &value))
            return;
        (void)snprintf(state, sizeof(state), "%.*s", STR_ARG(word));
        set(source->tables[0], place, protocol, state, (double)value);
        if (strcmp(state, "mem") == 0)
            set(source->tables[0], place, protocol, "mem_bytes",
                (double)value * sockstat->page_bytes);
    }
}

static enum err sockstat_collect(struct source *source, struct batch *out, struct why *why)
{
    struct sockstat *sockstat = source->state;
    struct scan text;
    struct scan line;
    size_t place = 0;

    for (size_t i = 0; i < FILES; i++) {
        enum err err = source_read_kept(source, &sockstat->fd[i], files[i], &text, why);
        if (err == ERR_UNSUPPORTED && i > 0)
            continue; /* IPv6 is switched off. */
        TRY(err);
        while (scan_line(&text, &line))
            take_line(source, &line, &place);
    }
    return ERR_NONE;
}

const struct source_kind source_sockstat = {
    .name = "sockstat",
    .summary = "Sockets in use by protocol.",
    .open = sockstat_open,
    .collect = sockstat_collect,
    .close = sockstat_close,
};
