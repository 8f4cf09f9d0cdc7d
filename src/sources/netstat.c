/* SPDX-License-Identifier: Apache-2.0 */
/* netstat.c - what the network protocols count, from /proc/net/{netstat,snmp,snmp6}.
 *
 *   netstat, snmp:  Tcp: RtoAlgorithm RtoMin … ActiveOpens …      names
 *                   Tcp: 1 200 … 25 …                              their values, line below
 *   snmp6:          Icmp6InMsgs                     1              a line each
 *
 * Some 300 numbers of which 40 are told. Fields keep their place while the kernel runs, so each
 * place remembers the name that it had and the column that it goes to. */
#include "base/file.h"
#include "sources/source.h"

#include <stdlib.h>

enum { FILES = 3, PLACES_MAX = 1024, NAME_BYTES = 46, NO_COLUMN = -1 };

#define STATISTIC(protocol, field)                                                                 \
    {                                                                                              \
        "node_netstat_" protocol "_" field, "Statistic " protocol field ".", METRIC_UNKNOWN, NULL, \
            NULL                                                                                   \
    }

static const struct column columns[] = {
    STATISTIC("Icmp6", "InErrors"),
    STATISTIC("Icmp6", "InMsgs"),
    STATISTIC("Icmp6", "OutMsgs"),
    STATISTIC("Icmp", "InErrors"),
    STATISTIC("Icmp", "InMsgs"),
    STATISTIC("Icmp", "OutMsgs"),
    STATISTIC("Ip6", "InOctets"),
    STATISTIC("Ip6", "OutOctets"),
    STATISTIC("IpExt", "InOctets"),
    STATISTIC("IpExt", "OutOctets"),
    STATISTIC("Ip", "Forwarding"),
    STATISTIC("TcpExt", "ListenDrops"),
    STATISTIC("TcpExt", "ListenOverflows"),
    STATISTIC("TcpExt", "SyncookiesFailed"),
    STATISTIC("TcpExt", "SyncookiesRecv"),
    STATISTIC("TcpExt", "SyncookiesSent"),
    STATISTIC("TcpExt", "TCPSynRetrans"),
    STATISTIC("TcpExt", "TCPTimeouts"),
    STATISTIC("Tcp", "ActiveOpens"),
    STATISTIC("Tcp", "CurrEstab"),
    STATISTIC("Tcp", "InErrs"),
    STATISTIC("Tcp", "InSegs"),
    STATISTIC("Tcp", "OutRsts"),
    STATISTIC("Tcp", "OutSegs"),
    STATISTIC("Tcp", "PassiveOpens"),
    STATISTIC("Tcp", "RetransSegs"),
    STATISTIC("Udp6", "InDatagrams"),
    STATISTIC("Udp6", "InErrors"),
    STATISTIC("Udp6", "NoPorts"),
    STATISTIC("Udp6", "OutDatagrams"),
    STATISTIC("Udp6", "RcvbufErrors"),
    STATISTIC("Udp6", "SndbufErrors"),
    STATISTIC("UdpLite6", "InErrors"),
    STATISTIC("UdpLite", "InErrors"),
    STATISTIC("Udp", "InDatagrams"),
    STATISTIC("Udp", "InErrors"),
    STATISTIC("Udp", "NoPorts"),
    STATISTIC("Udp", "OutDatagrams"),
    STATISTIC("Udp", "RcvbufErrors"),
    STATISTIC("Udp", "SndbufErrors"),
};

static const char *const files[FILES] = {"proc/net/netstat", "proc/net/snmp", "proc/net/snmp6"};

struct place {
    char name[NAME_BYTES]; /* Protocol and field, "TcpInSegs",. */
    uint8_t size;
    int8_t column; /* Or NO_COLUMN. */
};

struct netstat {
    int fd[FILES];
    struct place place[PLACES_MAX];
};

static enum err netstat_open(struct source *source, struct why *why)
{
    struct netstat *netstat = calloc(1, sizeof(*netstat));

    if (netstat == NULL)
        must_memory(sizeof(*netstat));
    for (size_t i = 0; i < FILES; i++)
        netstat->fd[i] = -1;
    source->state = netstat;
    (void)source_table(source, columns, ARRAY_COUNT(columns), NULL, 0); /* tables[0] */
    return ERR_NONE;
}

static void netstat_close(struct source *source)
{
    struct netstat *netstat = source->state;

    for (size_t i = 0; netstat != NULL && i < FILES; i++)
        file_closep(&netstat->fd[i]);
    free(netstat);
}

/* A column's help is "Statistic TcpInSegs.": the name that is looked for stands in it. */
static int column_of(struct str protocol, struct str field)
{
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        struct str help = str_of(columns[i].help + strlen("Statistic "));
        if (help.size == protocol.size + field.size + 1 &&
            memcmp(help.data, protocol.data, protocol.size) == 0 &&
            memcmp(help.data + protocol.size, field.data, field.size) == 0)
            return (int)i;
    }
    return NO_COLUMN;
}

static int place_column(struct place *place, struct str protocol, struct str field)
{
    size_t size = protocol.size + field.size;

    if (size > NAME_BYTES)
        return NO_COLUMN;
    if (place->size != size || memcmp(place->name, protocol.data, protocol.size) != 0 ||
        memcmp(place->name + protocol.size, field.data, field.size) != 0) {
        memcpy(place->name, protocol.data, protocol.size);
        memcpy(place->name + protocol.size, field.data, field.size);
        place->size = (uint8_t)size;
        place->column = (int8_t)column_of(protocol, field);
    }
    return place->column;
}

/* A line of names and the line of values below it. */
static void take_pair(struct source *source, struct scan *names, struct scan *values, size_t *at)
{
    struct netstat *netstat = source->state;
    struct str protocol;
    struct str other;

    if (!scan_until(names, ':', &protocol) || !scan_until(values, ':', &other) ||
        !str_eq(protocol, other))
        return;
    for (; *at < PLACES_MAX; (*at)++) {
        struct str field = scan_word(names);
        struct str value = scan_word(values);
        double number;
        if (field.size == 0 || value.size == 0)
            return;
        int column = place_column(&netstat->place[*at], protocol, field);
        if (column != NO_COLUMN && str_to_double(value, &number))
            row_set(source_row(source->tables[0]), (size_t)column, number);
    }
}

static void take_line(struct source *source, struct scan *line, size_t *at)
{
    struct netstat *netstat = source->state;
    struct str name = scan_word(line);
    uint64_t value;

    if (*at >= PLACES_MAX)
        return;
    int column = place_column(&netstat->place[(*at)++], name, STR(""));
    if (column != NO_COLUMN && scan_u64(line, &value))
        row_set(source_row(source->tables[0]), (size_t)column, (double)value);
}

static enum err netstat_collect(struct source *source, struct batch *out, struct why *why)
{
    struct netstat *netstat = source->state;
    struct scan text;
    struct scan line;
    struct scan values;
    size_t at = 0;

    for (size_t i = 0; i < FILES; i++) {
        enum err err = source_read_kept(source, &netstat->fd[i], files[i], &text, why);
        if (err == ERR_UNSUPPORTED && i == FILES - 1)
            continue; /* IPv6 is switched off. */
        TRY(err);
        while (scan_line(&text, &line)) {
            if (i == FILES - 1)
                take_line(source, &line, &at);
            else if (scan_line(&text, &values))
                take_pair(source, &line, &values, &at);
        }
    }
    return ERR_NONE;
}

const struct source_kind source_netstat = {
    .name = "netstat",
    .summary = "Counters of IP, ICMP, TCP and UDP.",
    .open = netstat_open,
    .collect = netstat_collect,
    .close = netstat_close,
};
