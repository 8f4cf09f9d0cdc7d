/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of hardware that this machine may not have, on folders made as the kernel makes them. */
#include "base/file.h"
#include "codec/prometheus_write.h"
#include "sources/source.h"

#include "test.h"

#include <ftw.h>
#include <limits.h>
#include <unistd.h>

struct machine {
    char folder[64];
    char proc[128];
    char sys[128];
};

static struct machine machine_new(void)
{
    struct machine machine = {.folder = "/tmp/sonde-devices-XXXXXX"};

    if (mkdtemp(machine.folder) == NULL)
        abort();
    (void)snprintf(machine.proc, sizeof(machine.proc), "%s/proc", machine.folder);
    (void)snprintf(machine.sys, sizeof(machine.sys), "%s/sys", machine.folder);
    return machine;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    return remove(path);
}

static void machine_done(const struct machine *machine)
{
    (void)nftw(machine->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* A test's leftovers. */
}

static void put(const struct machine *machine, const char *name, const char *text)
{
    char path[PATH_MAX];
    struct why why = WHY_INIT;

    (void)snprintf(path, sizeof(path), "%s/%s", machine->folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    EXPECT(file_make_folder(path, &why) == ERR_NONE);
    *slash = '/';
    EXPECT(file_write(path, str_of(text), 0644, &why) == ERR_NONE);
}

static void link_to(const struct machine *machine, const char *target, const char *name)
{
    char path[PATH_MAX];
    char full[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", machine->folder, name);
    (void)snprintf(full, sizeof(full), "%s/%s", machine->folder, target);
    EXPECT(symlink(full, path) == 0);
}

/* What a source tells of the machine, as text without comments. */
static const char *tell(const struct machine *machine, const char *name)
{
    static char told[65536];
    struct source_options options = {
        .paths = {machine->proc, machine->sys, machine->folder},
        .cgroups_max = 10,
    };
    struct buf scratch CLEANUP(buf_done) = {0};
    struct buf text CLEANUP(buf_done) = {0};
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct label_pool *pool = label_pool_new(1 << 20);
    struct table_target target = {.pool = pool, .batch = batch, .time_ms = 1};
    struct source source;
    struct why why = WHY_INIT;

    batch_hold(batch, pool);
    EXPECT(source_open(&source, source_kind_find(name), &options, &scratch, &why) == ERR_NONE);
    EXPECT(source_collect(&source, 1, batch, &why) == ERR_NONE);
    for (size_t i = 0; i < source.table_count; i++)
        EXPECT(table_write(source.tables[i], &target, &why) == ERR_NONE);
    for (size_t i = 0; i < batch->samples.count; i++)
        prometheus_write_sample(&text, PROMETHEUS_TEXT, batch->samples.items[i].labels,
                                batch->samples.items[i].value, -1);
    (void)snprintf(told, sizeof(told), "%s", buf_cstr(&text));
    source_close(&source);
    label_pool_unref(pool);
    batch_free(batch);
    return told;
}

static void expect_lines(const char *told, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool there = strstr(told, lines[i]) != NULL;
        EXPECT(there);
        if (!there)
            printf("# not told: %s\n# told:\n%s", lines[i], told);
    }
}

#define EXPECT_LINES(told, ...)                            \
    do {                                                   \
        static const char *const lines_[] = {__VA_ARGS__}; \
        expect_lines(told, lines_, ARRAY_COUNT(lines_));   \
    } while (0)

TEST(arrays_tell_their_disks_and_what_is_done_to_them)
{
    struct machine machine = machine_new();

    put(&machine, "proc/mdstat",
        "Personalities : [raid1] [raid6] [raid0]\n"
        "md3 : active raid6 sda1[8] sdh1[7] sdg1[6](F) sdf1[5] sde1[11] sdd1[9](S)\n"
        "      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/7] [UUUUUU_U]\n"
        "      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min\n"
        "\n"
        "md0 : active raid0 sdb1[0] sdc1[1]\n"
        "      1024 blocks super 1.2 512k chunks\n"
        "\n"
        "md9 : inactive sdx1[0](S)\n"
        "      500 blocks\n"
        "unused devices: <none>\n");
    EXPECT_LINES(tell(&machine, "mdadm"), "node_md_disks{device=\"md3\",state=\"active\"} 7\n",
                 "node_md_disks{device=\"md3\",state=\"failed\"} 1\n",
                 "node_md_disks{device=\"md3\",state=\"spare\"} 1\n",
                 "node_md_disks_required{device=\"md3\"} 8\n",
                 "node_md_blocks{device=\"md3\"} 5853468288\n",
                 "node_md_blocks_synced{device=\"md3\"} 16775552\n",
                 "node_md_state{device=\"md3\",state=\"recovering\"} 1\n",
                 "node_md_state{device=\"md3\",state=\"active\"} 0\n",
                 "node_md_disks_required{device=\"md0\"} 2\n",
                 "node_md_blocks_synced{device=\"md0\"} 1024\n",
                 "node_md_state{device=\"md9\",state=\"inactive\"} 1\n");
    machine_done(&machine);
}

TEST(sensors_are_named_by_their_chip_and_scaled)
{
    struct machine machine = machine_new();

    put(&machine, "sys/devices/platform/coretemp.0/x", "");
    put(&machine, "sys/class/hwmon/hwmon0/name", "coretemp\n");
    link_to(&machine, "sys/devices/platform/coretemp.0", "sys/class/hwmon/hwmon0/device");
    put(&machine, "sys/class/hwmon/hwmon0/temp1_input", "45500\n");
    put(&machine, "sys/class/hwmon/hwmon0/temp1_crit", "100000\n");
    put(&machine, "sys/class/hwmon/hwmon0/temp1_crit_alarm", "0\n");
    put(&machine, "sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
    put(&machine, "sys/class/hwmon/hwmon0/fan2_input", "1200\n");
    put(&machine, "sys/class/hwmon/hwmon0/in0_input", "12100\n");
    put(&machine, "sys/class/hwmon/hwmon0/power1_input", "2500000\n");
    put(&machine, "sys/class/hwmon/hwmon1/name", "nct6775\n");
    put(&machine, "sys/class/hwmon/hwmon1/temp1_input", "-5000\n");
    EXPECT_LINES(
        tell(&machine, "hwmon"),
        "node_hwmon_temp_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"} 45.5\n",
        "node_hwmon_temp_crit_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"} 100\n",
        "node_hwmon_temp_crit_alarm{chip=\"platform_coretemp_0\",sensor=\"temp1\"} 0\n",
        "node_hwmon_fan_rpm{chip=\"platform_coretemp_0\",sensor=\"fan2\"} 1200\n",
        "node_hwmon_in_volts{chip=\"platform_coretemp_0\",sensor=\"in0\"} 12.1\n",
        "node_hwmon_power_watt{chip=\"platform_coretemp_0\",sensor=\"power1\"} 2.5\n",
        "label=\"Package id 0\",sensor=\"temp1\"} 1\n",
        "node_hwmon_chip_names{chip=\"platform_coretemp_0\",chip_name=\"coretemp\"} 1\n",
        "node_hwmon_temp_celsius{chip=\"nct6775\",sensor=\"temp1\"} -5\n");
    machine_done(&machine);
}

TEST(memory_errors_are_told_by_controller_and_row)
{
    struct machine machine = machine_new();

    put(&machine, "sys/devices/system/edac/mc/mc0/ce_count", "1\n");
    put(&machine, "sys/devices/system/edac/mc/mc0/ue_count", "5\n");
    put(&machine, "sys/devices/system/edac/mc/mc0/ce_noinfo_count", "2\n");
    put(&machine, "sys/devices/system/edac/mc/mc0/ue_noinfo_count", "6\n");
    put(&machine, "sys/devices/system/edac/mc/mc0/csrow0/ce_count", "3\n");
    put(&machine, "sys/devices/system/edac/mc/mc0/csrow0/ue_count", "4\n");
    EXPECT_LINES(
        tell(&machine, "edac"), "node_edac_correctable_errors_total{controller=\"0\"} 1\n",
        "node_edac_uncorrectable_errors_total{controller=\"0\"} 5\n",
        "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"0\"} 3\n",
        "node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"unknown\"} 6\n");
    machine_done(&machine);
}

TEST(energy_temperature_batteries_and_bonds_are_told)
{
    struct machine machine = machine_new();

    put(&machine, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
    put(&machine, "sys/class/powercap/intel-rapl:0/energy_uj", "240422366267\n");
    put(&machine, "sys/class/powercap/intel-rapl:0:0/name", "core\n");
    put(&machine, "sys/class/powercap/intel-rapl:0:0/energy_uj", "118821284256\n");
    EXPECT_LINES(
        tell(&machine, "rapl"),
        "node_rapl_package_joules_total{index=\"0\",path=", "intel-rapl:0\"} 240422.366267\n",
        "node_rapl_core_joules_total{index=\"0\",path=", "intel-rapl:0:0\"} 118821.284256\n");

    put(&machine, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put(&machine, "sys/class/thermal/thermal_zone0/temp", "12376\n");
    put(&machine, "sys/class/thermal/cooling_device0/type", "Processor\n");
    put(&machine, "sys/class/thermal/cooling_device0/cur_state", "0\n");
    put(&machine, "sys/class/thermal/cooling_device0/max_state", "3\n");
    EXPECT_LINES(tell(&machine, "thermal_zone"),
                 "node_thermal_zone_temp{type=\"cpu-thermal\",zone=\"0\"} 12.376\n",
                 "node_cooling_device_max_state{name=\"0\",type=\"Processor\"} 3\n");

    put(&machine, "sys/class/power_supply/BAT0/capacity", "81\n");
    put(&machine, "sys/class/power_supply/BAT0/voltage_now", "12229000\n");
    put(&machine, "sys/class/power_supply/BAT0/status", "Discharging\n");
    put(&machine, "sys/class/power_supply/BAT0/type", "Battery\n");
    EXPECT_LINES(tell(&machine, "powersupplyclass"),
                 "node_power_supply_capacity{power_supply=\"BAT0\"} 81\n",
                 "node_power_supply_voltage_volt{power_supply=\"BAT0\"} 12.229\n",
                 "node_power_supply_info{power_supply=\"BAT0\",status=\"Discharging\",type="
                 "\"Battery\"} 1\n");

    put(&machine, "sys/class/net/bonding_masters", "bond0 dmz\n");
    put(&machine, "sys/class/net/bond0/bonding/slaves", "eth1 eth2\n");
    put(&machine, "sys/class/net/bond0/lower_eth1/bonding_slave/mii_status", "up\n");
    put(&machine, "sys/class/net/bond0/slave_eth2/bonding_slave/mii_status", "down\n");
    put(&machine, "sys/class/net/dmz/bonding/slaves", "\n");
    EXPECT_LINES(tell(&machine, "bonding"), "node_bonding_slaves{master=\"bond0\"} 2\n",
                 "node_bonding_active{master=\"bond0\"} 1\n",
                 "node_bonding_slaves{master=\"dmz\"} 0\n");
    machine_done(&machine);
}

TEST(cpu_frequencies_throttles_and_waits_are_told)
{
    struct machine machine = machine_new();

    put(&machine, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1699981\n");
    put(&machine, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3700000\n");
    EXPECT_LINES(tell(&machine, "cpufreq"),
                 "node_cpu_scaling_frequency_hertz{cpu=\"0\"} 1699981000\n",
                 "node_cpu_frequency_max_hertz{cpu=\"0\"} 3700000000\n");

    for (int i = 0; i < 2; i++) { /* Two threads of one core count once. */
        char name[128];
        (void)snprintf(name, sizeof(name), "sys/devices/system/cpu/cpu%d/topology/core_id", i);
        put(&machine, name, "0\n");
        (void)snprintf(name, sizeof(name),
                       "sys/devices/system/cpu/cpu%d/topology/physical_package_id", i);
        put(&machine, name, "1\n");
        (void)snprintf(name, sizeof(name),
                       "sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", i);
        put(&machine, name, "5\n");
    }
    EXPECT_LINES(tell(&machine, "throttle"),
                 "node_cpu_core_throttles_total{core=\"0\",package=\"1\"} 5\n");

    put(&machine, "proc/schedstat",
        "version 15\ntimestamp 15819019232\n"
        "cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163425 "
        "343796328169361 4767485306\n"
        "domain0 00000000,00000003 212499247 210112015\n");
    EXPECT_LINES(tell(&machine, "schedstat"),
                 "node_schedstat_running_seconds_total{cpu=\"0\"} 2045936.778163425\n",
                 "node_schedstat_timeslices_total{cpu=\"0\"} 4767485306\n");
    machine_done(&machine);
}

TEST(disks_are_described_by_udev)
{
    struct machine machine = machine_new();

    put(&machine, "proc/diskstats",
        "   8       0 sda 1 2 4 5000 5 6 8 7000 9 10000 11000 12 13 14 15000 16 17000\n"
        "   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11\n");
    put(&machine, "run/udev/data/b8:0",
        "S:disk/by-id/x\nE:ID_MODEL=QEMU_DISK\nE:ID_SERIAL_SHORT=123\nE:ID_FS_TYPE=ext4\n"
        "E:ID_FS_USAGE=filesystem\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\n");
    EXPECT_LINES(tell(&machine, "diskstats"), "node_disk_read_bytes_total{device=\"sda\"} 2048\n",
                 "node_disk_read_time_seconds_total{device=\"sda\"} 5\n",
                 "node_disk_written_bytes_total{device=\"sda\"} 4096\n",
                 "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 17\n");
    EXPECT(strstr(tell(&machine, "diskstats"), "sda1") == NULL);
    EXPECT_LINES(tell(&machine, "disk_info"),
                 "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"QEMU_DISK\","
                 "serial=\"123\"} 1\n",
                 "node_disk_filesystem_info{device=\"sda\",type=\"ext4\",usage=\"filesystem\"} 1\n",
                 "node_disk_ata_write_cache{device=\"sda\"} 1\n");
    machine_done(&machine);
}

TEST(cgroups_of_the_second_version_are_walked)
{
    struct machine machine = machine_new();

    put(&machine, "sys/fs/cgroup/cgroup.controllers", "cpu memory io pids\n");
    put(&machine, "sys/fs/cgroup/cpu.stat", "usage_usec 9000000\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/cpu.stat",
        "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 4\n"
        "nr_throttled 3\nthrottled_usec 1000000\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/memory.current", "1000\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/memory.stat",
        "anon 300\nfile 600\ninactive_file 400\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/memory.max", "max\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/io.stat",
        "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=5 rios=1 "
        "wios=1\n");
    put(&machine, "sys/fs/cgroup/system.slice/ssh.service/memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n");
    const char *told = tell(&machine, "cgroup");
    EXPECT_LINES(
        told, "container_cpu_usage_seconds_total{id=\"/\"} 9\n",
        "container_cpu_usage_seconds_total{id=\"/system.slice/ssh.service\"} 2.5\n",
        "container_cpu_cfs_throttled_periods_total{id=\"/system.slice/ssh.service\"} 3\n",
        "container_memory_working_set_bytes{id=\"/system.slice/ssh.service\"} 600\n",
        "container_memory_rss{id=\"/system.slice/ssh.service\"} 300\n",
        "container_fs_reads_bytes_total{id=\"/system.slice/ssh.service\"} 15\n",
        "container_fs_writes_total{id=\"/system.slice/ssh.service\"} 3\n",
        "container_pressure_memory_stalled_seconds_total{id=\"/system.slice/ssh.service\"} 1\n");
    EXPECT(strstr(told, "spec_memory_limit") == NULL);
    machine_done(&machine);
}

TEST_MAIN
