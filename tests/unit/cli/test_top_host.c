/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_host.h"
#include "test.h"

struct pair {
    const char *name;
    const char *value;
};

static struct str get(const void *self, struct str name)
{
    const struct pair *pair = self;

    return str_eq(name, str_of(pair->name)) ? str_of(pair->value) : STR_NONE;
}

static void feed(struct top_host *host, const char *metric, const char *label, const char *value,
                 double number)
{
    const struct pair pair = {label, value};

    top_host_feed(host, str_of(metric), get, &pair, number);
}

static void feed_cpu(struct top_host *host, double user, double idle)
{
    feed(host, "node_cpu_seconds_total", "mode", "user", user);
    feed(host, "node_cpu_seconds_total", "mode", "idle", idle);
    feed(host, "node_cpu_seconds_total", "mode", "iowait", 0);
}

TEST(rates_need_two_rounds)
{
    struct top_host *host = top_host_new();

    feed_cpu(host, 10, 90);
    top_host_finish(host, 1000);
    EXPECT(isnan(top_host_figure(host, TOP_CPU)));
    feed_cpu(host, 10.5, 90.5);
    top_host_finish(host, 2000);
    EXPECT_NEAR(top_host_figure(host, TOP_CPU), 0.5, 1e-9);
    EXPECT_NEAR(top_host_figure(host, TOP_CPU_USER), 0.5, 1e-9);
    EXPECT(top_host_cpus(host) == 1);
    top_host_free(host);
}

TEST(a_counter_that_falls_has_no_rate)
{
    struct top_host *host = top_host_new();

    feed(host, "node_disk_read_bytes_total", "device", "sda", 1000);
    top_host_finish(host, 1000);
    feed(host, "node_disk_read_bytes_total", "device", "sda", 10);
    top_host_finish(host, 2000);
    EXPECT(isnan(top_host_figure(host, TOP_DISK_READ)));
    top_host_free(host);
}

TEST(traffic_is_counted_once_and_the_busiest_disk_speaks)
{
    struct top_host *host = top_host_new();

    for (int round = 0; round < 2; round++) {
        feed(host, "node_network_receive_bytes_total", "device", "lo", round * 1e9);
        feed(host, "node_network_receive_bytes_total", "device", "eth0", round * 100);
        feed(host, "node_disk_io_time_seconds_total", "device", "sda", round * 0.25);
        feed(host, "node_disk_io_time_seconds_total", "device", "sdb", round * 0.75);
        feed(host, "node_disk_io_time_seconds_total", "device", "dm-0", round * 1.0);
        top_host_finish(host, 1000 + round * 1000);
    }
    EXPECT_NEAR(top_host_figure(host, TOP_NET_IN), 100, 1e-9);
    EXPECT_NEAR(top_host_figure(host, TOP_DISK_BUSY), 0.75, 1e-9);
    top_host_free(host);
}

TEST(the_past_is_remembered_up_to_its_bound)
{
    struct top_host *host = top_host_new();
    double values[TOP_HISTORY];

    for (int round = 0; round < TOP_HISTORY + 10; round++) {
        feed(host, "node_load1", "", "", round);
        top_host_finish(host, round * 1000);
    }
    ASSERT(top_host_history(host, TOP_LOAD1, values) == TOP_HISTORY);
    EXPECT_NEAR(values[0], 10, 0);
    EXPECT_NEAR(values[TOP_HISTORY - 1], TOP_HISTORY + 9, 0);
    top_host_free(host);
}

TEST_MAIN
