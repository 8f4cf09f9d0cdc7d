/* SPDX-License-Identifier: Apache-2.0 */
/* netdev.c - bytes, packets and errors of each network device.
 *
 * Asked over rtnetlink, one request for all devices: it is cheaper than /proc/net/dev and knows
 * packets that nobody wanted (nohandler). Some columns are sums, as in /proc/net/dev. */
#include "base/file.h"
#include "sources/source.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 64 * 1024, MESSAGES_MAX = 1024, ANSWER_WAIT_MS = 500 };

#define RECEIVE(what)                                                                        \
    {                                                                                        \
        "node_network_receive_" what "_total", "Network device statistic receive_" what ".", \
            METRIC_COUNTER, NULL, NULL                                                       \
    }
#define TRANSMIT(what)                                                                         \
    {                                                                                          \
        "node_network_transmit_" what "_total", "Network device statistic transmit_" what ".", \
            METRIC_COUNTER, NULL, NULL                                                         \
    }

static const struct column columns[] = {
    RECEIVE("bytes"),       RECEIVE("compressed"), RECEIVE("drop"),      RECEIVE("errs"),
    RECEIVE("fifo"),        RECEIVE("frame"),      RECEIVE("multicast"), RECEIVE("nohandler"),
    RECEIVE("packets"),     TRANSMIT("bytes"),     TRANSMIT("carrier"),  TRANSMIT("colls"),
    TRANSMIT("compressed"), TRANSMIT("drop"),      TRANSMIT("errs"),     TRANSMIT("fifo"),
    TRANSMIT("packets"),
};
static const char *const keys[] = {"device"};

struct netdev {
    int fd;
    uint32_t sequence;
    _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
};

static enum err netdev_open(struct source *source, struct why *why)
{
    struct netdev *netdev = calloc(1, sizeof(*netdev));

    if (netdev == NULL)
        must_memory(sizeof(*netdev));
    source->state = netdev;
    netdev->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netdev->fd < 0)
        return fail(why, ERR_UNSUPPORTED, "the kernel offers no rtnetlink socket (errno %d)",
                    errno);
    struct timeval wait = {.tv_usec = ANSWER_WAIT_MS * 1000};
    if (setsockopt(netdev->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
        return fail_errno(why, errno, "cannot bound the wait for rtnetlink");
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static void netdev_close(struct source *source)
{
    struct netdev *netdev = source->state;

    if (netdev != NULL)
        file_closep(&netdev->fd);
    free(netdev);
}

static void set_values(struct row *row, const struct rtnl_link_stats64 *stats)
{
    const uint64_t values[] = {
        stats->rx_bytes,
        stats->rx_compressed,
        stats->rx_dropped + stats->rx_missed_errors,
        stats->rx_errors,
        stats->rx_fifo_errors,
        stats->rx_frame_errors + stats->rx_length_errors + stats->rx_over_errors +
            stats->rx_crc_errors,
        stats->multicast,
        stats->rx_nohandler,
        stats->rx_packets,
        stats->tx_bytes,
        stats->tx_carrier_errors + stats->tx_aborted_errors + stats->tx_heartbeat_errors +
            stats->tx_window_errors,
        stats->collisions,
        stats->tx_compressed,
        stats->tx_dropped,
        stats->tx_errors,
        stats->tx_fifo_errors,
        stats->tx_packets,
    };

    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        row_set(row, i, (double)values[i]);
}

static void take_link(struct source *source, struct nlmsghdr *header)
{
    struct ifinfomsg *link = NLMSG_DATA(header);
    int size = (int)IFLA_PAYLOAD(header);
    struct rtnl_link_stats64 stats = {0};
    struct str name = STR_NONE;
    bool counted = false;

    for (struct rtattr *part = IFLA_RTA(link); RTA_OK(part, size); part = RTA_NEXT(part, size)) {
        size_t part_size = RTA_PAYLOAD(part);
        if (part->rta_type == IFLA_IFNAME) {
            name = (struct str){RTA_DATA(part), strnlen(RTA_DATA(part), part_size)};
        } else if (part->rta_type == IFLA_STATS64) {
            /* Older and newer kernels have fewer or more counters behind the same beginning. */
            memcpy(&stats, RTA_DATA(part), part_size < sizeof(stats) ? part_size : sizeof(stats));
            counted = true;
        }
    }
    if (counted && name.size > 0 && !str_eq(name, STR("lo")))
        set_values(table_row(source->tables[0], &name), &stats);
}

static enum err ask(struct netdev *netdev, struct why *why)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = RTM_GETLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++netdev->sequence},
        .link = {.ifi_family = AF_UNSPEC},
    };

    if (send(netdev->fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
        return fail_errno(why, errno, "cannot ask rtnetlink for the network devices");
    return ERR_NONE;
}

/* Whether a message starts here and ends before `end`. */
static bool is_whole(const struct nlmsghdr *header, const char *end)
{
    ptrdiff_t left = end - (const char *)header;

    return left >= (ptrdiff_t)sizeof(*header) && header->nlmsg_len >= sizeof(*header) &&
           (ptrdiff_t)header->nlmsg_len <= left;
}

static enum err netdev_collect(struct source *source, struct batch *out, struct why *why)
{
    struct netdev *netdev = source->state;

    TRY(ask(netdev, why));
    for (int i = 0; i < MESSAGES_MAX; i++) {
        ssize_t size = recv(netdev->fd, netdev->answer, sizeof(netdev->answer), 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return fail_errno(why, errno, "cannot read the network devices from rtnetlink");
        const char *end = netdev->answer + size;
        for (struct nlmsghdr *header = (struct nlmsghdr *)netdev->answer; is_whole(header, end);
             header = (struct nlmsghdr *)((char *)header + NLMSG_ALIGN(header->nlmsg_len))) {
            if (header->nlmsg_seq != netdev->sequence)
                continue; /* The rest of an answer that was given up. */
            if (header->nlmsg_type == NLMSG_DONE)
                return ERR_NONE;
            if (header->nlmsg_type == NLMSG_ERROR)
                return fail(why, ERR_IO, "rtnetlink refused to list the network devices");
            if (header->nlmsg_type == RTM_NEWLINK)
                take_link(source, header);
        }
    }
    return fail(why, ERR_LIMIT, "rtnetlink did not end its list of network devices");
}

const struct source_kind source_netdev = {
    .name = "netdev",
    .summary = "Bytes, packets and errors of each network device.",
    .open = netdev_open,
    .collect = netdev_collect,
    .close = netdev_close,
};
