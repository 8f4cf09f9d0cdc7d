/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds are chosen so that a quiet machine is silent, and each says why it stands where it
 * does. Where a number alone may be harmless (a busy SSD, a full page cache), the check asks for a
 * second sign of harm as well. All windows are minutes long: a spike is not a finding. */
#include "analysis/health_checks.h"
#include "base/must.h"

/* File systems that people fill: not images that are full by design, nor memory. */
#define REAL_FS \
    "fstype!~\"tmpfs|ramfs|squashfs|iso9660|erofs|overlay|devtmpfs|efivarfs|fuse.*|autofs\""
#define REAL_NET "device!~\"lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*\""

#define TOP_CPU "topk(3, sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total[2m])))"
#define TOP_MEMORY \
    "topk(3, sum by (groupname) (namedprocess_namegroup_memory_bytes{memtype=\"resident\"}))"
#define TOP_IO                                                                      \
    "topk(3, sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total[5m])" \
    " + rate(namedprocess_namegroup_write_bytes_total[5m])))"

const struct health_check health_checks[] = {
    /* ---- CPU. ---- */
    {
        /* Pressure alone is also caused by many short tasks on an idle machine, and a high
         * utilisation alone is what a CPU is bought for: both together mean that work waits. */
        .id = "cpu_saturated",
        .expr = "rate(node_pressure_cpu_waiting_seconds_total[2m]) and on (instance) "
                "(1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[2m]))) > 0.85",
        .info = HEALTH_NEVER,
        .warning = 0.4,
        .critical = 0.8,
        .unit = HEALTH_RATIO,
        .confidence = 0.95,
        .detail_expr = TOP_CPU,
        .detail_label = "groupname",
        .detail_unit = HEALTH_RATIO,
        .claim = "The CPUs are saturated: work waits for a free core {value} of the time.",
        .evidence = "Measured over 2 minutes by the kernel's pressure figures, with the cores more "
                    "than 85 % busy. Most CPU time goes to {detail} (of one core).",
        .next_step = "Look at these programs first; spread their work, give them fewer threads, or "
                     "add cores.",
    },
    {
        /* For kernels without pressure figures: twice as many runnable tasks as cores. */
        .id = "cpu_queue",
        .expr = "(node_load1 / on (instance) count by (instance) "
                "(node_cpu_seconds_total{mode=\"idle\"}) and on (instance) "
                "(1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[2m]))) > 0.85) "
                "unless on (instance) node_pressure_cpu_waiting_seconds_total",
        .info = HEALTH_NEVER,
        .warning = 2,
        .critical = 4,
        .unit = HEALTH_COUNT,
        .confidence = 0.8,
        .detail_expr = TOP_CPU,
        .detail_label = "groupname",
        .detail_unit = HEALTH_RATIO,
        .claim = "The CPUs are saturated: {value} tasks want each core.",
        .evidence = "The load of the last minute over the number of cores. Most CPU time goes to "
                    "{detail} (of one core).",
        .next_step = "Look at these programs first; spread their work, give them fewer threads, or "
                     "add cores.",
    },
    {
        /* A tenth stolen is felt as a slower machine; below that is the noise of a shared host. */
        .id = "cpu_steal",
        .expr = "avg by (instance) (rate(node_cpu_seconds_total{mode=\"steal\"}[5m]))",
        .info = HEALTH_NEVER,
        .warning = 0.1,
        .critical = 0.3,
        .unit = HEALTH_RATIO,
        .confidence = 0.9,
        .claim = "The host of this virtual machine takes {value} of its CPU time away.",
        .evidence = "Steal time, averaged over all cores and 5 minutes.",
        .next_step = "Ask the provider, move the machine, or take a size with dedicated cores: "
                     "nothing inside the machine can mend this.",
    },
    {
        .id = "cpu_throttled_hot",
        .expr = "sum by (instance) (increase(node_cpu_core_throttles_total[10m]))",
        .info = HEALTH_NEVER,
        .warning = 10,
        .critical = 10000,
        .unit = HEALTH_COUNT,
        .confidence = 0.9,
        .claim = "The processor is too hot and slows itself down.",
        .evidence = "{value} thermal throttling events in 10 minutes.",
        .next_step = "Check fans, dust and the temperature of the room; until then expect less "
                     "speed.",
    },
    {
        /* Tasks in uninterruptible sleep wait for a disk or a network file system. */
        .id = "tasks_blocked",
        .expr = "min_over_time(node_procs_blocked[3m])",
        .info = HEALTH_NEVER,
        .warning = 8,
        .critical = 50,
        .unit = HEALTH_COUNT,
        .confidence = 0.8,
        .claim = "{value} tasks have been stuck waiting for input or output for 3 minutes.",
        .evidence = "The lowest number of blocked tasks in 3 minutes.",
        .next_step = "Look for a slow disk or a network file system that does not answer "
                     "(ps -eo pid,stat,wchan,cmd | grep ' D').",
    },
    /* ---- Memory. ---- */
    {
        /* MemAvailable counts what can be had without swapping, so a full page cache is silent. */
        .id = "memory_short",
        .expr = "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        .info = HEALTH_NEVER,
        .warning = 0.05,
        .critical = 0.02,
        .below = true,
        .unit = HEALTH_RATIO,
        .confidence = 0.95,
        .detail_expr = TOP_MEMORY,
        .detail_label = "groupname",
        .detail_unit = HEALTH_BYTES,
        .claim = "Memory is short: only {value} can still be had.",
        .evidence = "Available over total memory. The largest users are {detail}.",
        .next_step = "Free memory or add some before the kernel ends a program: start with the "
                     "largest user.",
    },
    {
        /* Stalled means that everything waited: 5 % of lost time is felt by every request. */
        .id = "memory_pressure",
        .expr = "rate(node_pressure_memory_stalled_seconds_total[2m])",
        .info = HEALTH_NEVER,
        .warning = 0.05,
        .critical = 0.2,
        .unit = HEALTH_RATIO,
        .confidence = 0.95,
        .detail_expr = TOP_MEMORY,
        .detail_label = "groupname",
        .detail_unit = HEALTH_BYTES,
        .claim = "Everything stands still for {value} of the time, waiting for memory.",
        .evidence = "The kernel's memory pressure (full) over 2 minutes. The largest users are "
                    "{detail}.",
        .next_step = "Reduce what runs at the same time or add memory: the machine spends its time "
                     "reclaiming it.",
    },
    {
        /* Both directions at once: pages that come back after a nap are harmless. 250 pages are a
         * megabyte. */
        .id = "swapping",
        .expr = "(rate(node_vmstat_pswpin[5m]) > 25) + (rate(node_vmstat_pswpout[5m]) > 25)",
        .info = HEALTH_NEVER,
        .warning = 250,
        .critical = 5000,
        .unit = HEALTH_RATE,
        .confidence = 0.9,
        .detail_expr = TOP_MEMORY,
        .detail_label = "groupname",
        .detail_unit = HEALTH_BYTES,
        .claim = "The machine swaps all the time: {value} pages in and out.",
        .evidence = "Pages to and from swap over 5 minutes. The largest users of memory are "
                    "{detail}.",
        .next_step = "Give the largest user less memory to work with, or add memory.",
    },
    {
        .id = "out_of_memory_kill",
        .expr = "increase(node_vmstat_oom_kill[15m])",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 0.5,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .detail_expr = TOP_MEMORY,
        .detail_label = "groupname",
        .detail_unit = HEALTH_BYTES,
        .claim = "The kernel ended a program because memory ran out.",
        .evidence =
            "{value} out-of-memory kills in 15 minutes. The largest users now are {detail}.",
        .next_step = "See who it was with: journalctl -k | grep -i 'killed process'; then lower "
                     "its memory or raise its limit.",
    },
    /* ---- File systems. ---- */
    {
        /* A share alone misleads on large disks: 100 GB free is not full yet. */
        .id = "disk_full",
        .expr =
            "1 - (node_filesystem_avail_bytes{" REAL_FS "} / node_filesystem_size_bytes{" REAL_FS
            "}) and node_filesystem_avail_bytes{" REAL_FS
            "} < 1e11 and node_filesystem_size_bytes{" REAL_FS
            "} > 0 and node_filesystem_readonly{" REAL_FS "} == 0",
        .subject = "mountpoint",
        .info = HEALTH_NEVER,
        .warning = 0.9,
        .critical = 0.97,
        .calm = 0.98,
        .unit = HEALTH_RATIO,
        .confidence = 1,
        .claim = "The disk {mountpoint} is {value} full.",
        .evidence = "Space that programs may still use on {device} ({fstype}).",
        .next_step = "Find what is large with: du -xh --max-depth=2 {mountpoint} | sort -h | tail; "
                     "delete it or enlarge the disk.",
    },
    {
        /* The trend of the last hour, only when there is half an hour of it and the last quarter
         * goes the same way; less than a day ahead, so that a backup at night is no news. */
        .id = "disk_filling",
        .expr = "(node_filesystem_avail_bytes{" REAL_FS
                "} / -(deriv(node_filesystem_avail_bytes{" REAL_FS
                "}[1h]) < 0)) and (deriv(node_filesystem_avail_bytes{" REAL_FS
                "}[15m]) < 0) and (node_filesystem_avail_bytes{" REAL_FS
                "} offset 30m) and (node_filesystem_avail_bytes{" REAL_FS
                "} / node_filesystem_size_bytes{" REAL_FS "} < 0.5)",
        .subject = "mountpoint",
        .info = HEALTH_NEVER,
        .warning = 24 * 3600,
        .critical = 4 * 3600,
        .below = true,
        .unit = HEALTH_SECONDS,
        .confidence = 0.7,
        .claim = "The disk {mountpoint} will be full in about {value}.",
        .evidence = "At the rate of the last hour on {device} ({fstype}).",
        .next_step = "Find what grows with: du -xh --max-depth=2 {mountpoint} | sort -h | tail, "
                     "twice, a minute apart.",
    },
    {
        .id = "inodes_full",
        .expr = "1 - (node_filesystem_files_free{" REAL_FS "} / (node_filesystem_files{" REAL_FS
                "} > 0))",
        .subject = "mountpoint",
        .info = HEALTH_NEVER,
        .warning = 0.9,
        .critical = 0.97,
        .calm = 0.98,
        .unit = HEALTH_RATIO,
        .confidence = 1,
        .claim =
            "The disk {mountpoint} has used {value} of its inodes: it can hold few more files.",
        .evidence = "Files in use on {device} ({fstype}), whatever their size.",
        .next_step = "Find folders with very many files: du --inodes -x {mountpoint} | sort -n | "
                     "tail; delete what is old.",
    },
    {
        /* Only when it was writable within six hours: a disk mounted so on purpose is silent. */
        .id = "disk_read_only",
        .expr = "node_filesystem_readonly{" REAL_FS
                "} == 1 and min_over_time(node_filesystem_readonly{" REAL_FS "}[6h]) == 0",
        .subject = "mountpoint",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 1,
        .unit = HEALTH_NONE,
        .confidence = 0.95,
        .claim = "The disk {mountpoint} has become read-only.",
        .evidence = "{device} ({fstype}) was writable within the last six hours.",
        .next_step = "The kernel does this after an error: read dmesg, save the data, check the "
                     "disk, then remount.",
    },
    /* ---- Disks. ---- */
    {
        /* Spinning disks answer in some 10 ms; a tenth of a second means a queue or a defect.
         * Five operations a second, or an average says little. */
        .id = "disk_slow",
        .expr = "(rate(node_disk_read_time_seconds_total[5m]) + "
                "rate(node_disk_write_time_seconds_total[5m])) / "
                "((rate(node_disk_reads_completed_total[5m]) + "
                "rate(node_disk_writes_completed_total[5m])) > 5)",
        .subject = "device",
        .info = HEALTH_NEVER,
        .warning = 0.1,
        .critical = 0.5,
        .unit = HEALTH_SECONDS,
        .confidence = 0.85,
        .detail_expr = TOP_IO,
        .detail_label = "groupname",
        .detail_unit = HEALTH_BYTES,
        .claim = "The disk {device} is slow: an operation takes {value}.",
        .evidence = "Average wait of reads and writes over 5 minutes. Most bytes per second are "
                    "moved by {detail}.",
        .next_step = "Find out whether it is overloaded (then spread or cache the work) or failing "
                     "(smartctl -a /dev/{device}).",
    },
    {
        /* A busy device is only worth a word when somebody waits for it. */
        .id = "io_pressure",
        .expr = "rate(node_pressure_io_stalled_seconds_total[5m])",
        .info = HEALTH_NEVER,
        .warning = 0.15,
        .critical = 0.5,
        .unit = HEALTH_RATIO,
        .confidence = 0.9,
        .detail_expr = "topk(2, rate(node_disk_io_time_seconds_total[5m]))",
        .detail_label = "device",
        .detail_unit = HEALTH_RATIO,
        .claim = "Everything stands still for {value} of the time, waiting for disks.",
        .evidence = "The kernel's I/O pressure (full) over 5 minutes. The busiest disks are "
                    "{detail}.",
        .next_step = "See who reads and writes in the processes table, sorted by I/O; move that "
                     "work, cache it, or take a faster disk.",
    },
    {
        .id = "raid_degraded",
        .expr = "node_md_disks{state=\"failed\"} > 0",
        .subject = "device",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 1,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .claim = "The RAID {device} has lost {value} of its disks.",
        .evidence = "Failed members as the kernel counts them.",
        .next_step = "Replace the disk now: mdadm --detail /dev/{device} names it.",
    },
    /* ---- Network. ---- */
    {
        .id = "network_errors",
        .expr = "rate(node_network_receive_errs_total{" REAL_NET
                "}[5m]) + rate(node_network_transmit_errs_total{" REAL_NET "}[5m])",
        .subject = "device",
        .info = HEALTH_NEVER,
        .warning = 1,
        .critical = 100,
        .unit = HEALTH_RATE,
        .confidence = 0.9,
        .claim = "The network interface {device} counts errors: {value}.",
        .evidence = "Receive and transmit errors over 5 minutes.",
        .next_step = "Check cable, port and driver (ethtool -S {device} tells which errors).",
    },
    {
        /* Quiet links drop stray broadcasts all day: a number per second and a share together. */
        .id = "network_drops",
        .expr = "((rate(node_network_receive_drop_total{" REAL_NET
                "}[5m]) + rate(node_network_transmit_drop_total{" REAL_NET
                "}[5m])) > 10) / (rate(node_network_receive_packets_total{" REAL_NET
                "}[5m]) + rate(node_network_transmit_packets_total{" REAL_NET "}[5m]))",
        .subject = "device",
        .info = HEALTH_NEVER,
        .warning = 0.01,
        .critical = 0.1,
        .unit = HEALTH_RATIO,
        .confidence = 0.85,
        .claim = "The network interface {device} drops {value} of its packets.",
        .evidence = "Dropped over all packets in 5 minutes, more than 10 a second.",
        .next_step = "Raise the ring buffers (ethtool -G {device}) or spread interrupts over more "
                     "cores.",
    },
    {
        .id = "network_saturated",
        .expr = "(rate(node_network_receive_bytes_total{" REAL_NET
                "}[2m]) > rate(node_network_transmit_bytes_total{" REAL_NET
                "}[2m]) or rate(node_network_transmit_bytes_total{" REAL_NET
                "}[2m])) / (node_network_speed_bytes > 0)",
        .subject = "device",
        .info = HEALTH_NEVER,
        .warning = 0.8,
        .critical = 0.95,
        .unit = HEALTH_RATIO,
        .confidence = 0.9,
        .claim = "The network interface {device} is {value} full.",
        .evidence = "The busier direction over 2 minutes, against the link's speed.",
        .next_step = "See which program moves the bytes; compress, spread, or take a faster link.",
    },
    {
        /* One in a hundred is usual on the open internet; one in twenty is felt. */
        .id = "tcp_retransmits",
        .expr = "(rate(node_netstat_Tcp_RetransSegs[5m]) > 5) / rate(node_netstat_Tcp_OutSegs[5m])",
        .info = HEALTH_NEVER,
        .warning = 0.05,
        .critical = 0.2,
        .unit = HEALTH_RATIO,
        .confidence = 0.8,
        .claim = "{value} of what is sent over TCP has to be sent again.",
        .evidence = "Retransmitted over sent segments in 5 minutes.",
        .next_step = "Packets are lost on the way: look at interface errors here, then at the path "
                     "(mtr to a busy peer).",
    },
    {
        .id = "listen_drops",
        .expr = "rate(node_netstat_TcpExt_ListenDrops[5m])",
        .info = HEALTH_NEVER,
        .warning = 0.2,
        .critical = 10,
        .unit = HEALTH_RATE,
        .confidence = 0.9,
        .claim = "Connections are turned away because a program does not accept them: {value}.",
        .evidence = "Dropped at listening sockets over 5 minutes.",
        .next_step = "Find the full queue with: ss -lnt (Recv-Q against Send-Q); then raise its "
                     "backlog and net.core.somaxconn, or make the program faster.",
    },
    {
        .id = "conntrack_full",
        .expr = "node_nf_conntrack_entries / (node_nf_conntrack_entries_limit > 0)",
        .info = HEALTH_NEVER,
        .warning = 0.8,
        .critical = 0.95,
        .unit = HEALTH_RATIO,
        .confidence = 1,
        .claim =
            "The firewall's table of connections is {value} full; beyond, new ones are dropped.",
        .evidence = "Entries of nf_conntrack against their limit.",
        .next_step = "Raise net.netfilter.nf_conntrack_max, or find who opens so many connections.",
    },
    /* ---- Limits. ---- */
    {
        .id = "open_files_full",
        .expr = "node_filefd_allocated / node_filefd_maximum",
        .info = HEALTH_NEVER,
        .warning = 0.8,
        .critical = 0.95,
        .unit = HEALTH_RATIO,
        .confidence = 1,
        .claim = "The machine has used {value} of the files it may open.",
        .evidence = "File handles allocated against fs.file-max.",
        .next_step = "Find who holds them in the processes table, sorted by files; raise "
                     "fs.file-max if that is right.",
    },
    {
        .id = "process_files_full",
        .expr = "namedprocess_namegroup_worst_fd_ratio",
        .subject = "groupname",
        .info = HEALTH_NEVER,
        .warning = 0.85,
        .critical = 0.97,
        .unit = HEALTH_RATIO,
        .confidence = 0.95,
        .claim = "A {groupname} process has used {value} of the files it may open.",
        .evidence = "The worst process of the group, against its own limit.",
        .next_step = "Raise its limit (LimitNOFILE= of the unit, or ulimit -n), or look for files "
                     "and sockets that it never closes.",
    },
    {
        .id = "zombies",
        .expr = "sum by (groupname) "
                "(min_over_time(namedprocess_namegroup_states{state=\"Zombie\"}[5m]))",
        .subject = "groupname",
        .info = HEALTH_NEVER,
        .warning = 50,
        .critical = 5000,
        .unit = HEALTH_COUNT,
        .confidence = 0.9,
        .claim = "{value} ended {groupname} processes are never collected by their parent.",
        .evidence = "Zombies that were there for 5 minutes.",
        .next_step = "Restart the parent (ps -eo ppid,stat,cmd | grep ' Z'), and mend it: each "
                     "takes a process number.",
    },
    {
        /* Linux 5.18 and later always report 256; older ones block readers when this is low. */
        .id = "entropy_short",
        .expr = "min_over_time(node_entropy_available_bits[5m])",
        .info = HEALTH_NEVER,
        .warning = 64,
        .critical = HEALTH_NEVER,
        .below = true,
        .unit = HEALTH_COUNT,
        .confidence = 0.7,
        .claim = "The kernel has little randomness left: {value} bits.",
        .evidence = "Entropy of the last 5 minutes; programs that need keys may wait.",
        .next_step = "Install rng-tools or give the virtual machine a virtio-rng device.",
    },
    {
        /* Virtual machines often take their host's time and need no daemon, so this is only said.
         */
        .id = "clock_unsynchronised",
        .expr = "1 - max_over_time(node_timex_sync_status[10m])",
        .info = 1,
        .warning = HEALTH_NEVER,
        .critical = HEALTH_NEVER,
        .unit = HEALTH_NONE,
        .confidence = 0.8,
        .claim = "No service keeps this machine's clock right.",
        .evidence = "The kernel counts the clock as not synchronised (node_timex_sync_status).",
        .next_step = "Install chrony, or check: timedatectl status.",
    },
    {
        .id = "memory_defects",
        .expr = "increase(node_edac_uncorrectable_errors_total[1h])",
        .subject = "controller",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 0.5,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .claim = "A memory module is broken: {value} errors could not be corrected.",
        .evidence = "Errors of memory controller {controller} in an hour.",
        .next_step = "Replace the module; edac-util -v names its slot.",
    },
    /* ---- Services in their cgroups. ---- */
    {
        /* A quota that stops a service in a quarter of its periods is felt as slow answers. */
        .id = "service_throttled",
        .expr = "rate(container_cpu_cfs_throttled_periods_total[5m]) / "
                "(rate(container_cpu_cfs_periods_total[5m]) > 0.5)",
        .subject = "id",
        .info = HEALTH_NEVER,
        .warning = 0.25,
        .critical = 0.75,
        .unit = HEALTH_RATIO,
        .confidence = 0.9,
        .claim = "{id} is stopped by its CPU quota in {value} of its periods.",
        .evidence = "Throttled over all periods of its cgroup in 5 minutes.",
        .next_step = "Raise its quota (CPUQuota= of the unit, or the container's CPU limit), or "
                     "give it fewer threads.",
    },
    {
        .id = "service_out_of_memory",
        .expr = "increase(container_oom_events_total{id!=\"/\"}[15m])",
        .subject = "id",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 0.5,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .claim = "{id} ran into its memory limit and lost a process.",
        .evidence = "{value} out-of-memory kills in its cgroup in 15 minutes.",
        .next_step = "Raise its limit (MemoryMax= of the unit, or the container's), or look for a "
                     "leak in it.",
    },
    /* ---- Those who watch. ---- */
    {
        .id = "source_failing",
        .expr = "increase(sonde_source_failures_total[10m])",
        .subject = "source",
        .info = HEALTH_NEVER,
        .warning = 2.5,
        .critical = HEALTH_NEVER,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .claim = "The source {source} fails: what it watches is not seen.",
        .evidence = "{value} failures in 10 minutes.",
        .next_step = "The page Self and the log name its error.",
    },
    {
        .id = "collector_failing",
        .expr = "max_over_time(sonde_collector_success[10m]) == 0 and "
                "count_over_time(sonde_collector_success[10m]) > 2",
        .subject = "collector",
        .info = HEALTH_NEVER,
        .warning = 0,
        .critical = HEALTH_NEVER,
        .below = true,
        .unit = HEALTH_NONE,
        .confidence = 1,
        .claim = "The collector {collector} has not succeeded for 10 minutes.",
        .evidence = "All its runs failed, timed out or printed what is no metric.",
        .next_step = "Run its command by hand; the page Self and the log name its error.",
    },
    {
        .id = "store_full",
        .expr = "max_over_time(sonde_store_full[1m])",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 1,
        .unit = HEALTH_NONE,
        .confidence = 1,
        .claim = "sonde accepts nothing more: its disk is full.",
        .evidence = "The data folder's file system has less free space than store.free_min.",
        .next_step = "Make room or shorten retention; it goes on by itself as soon as there is "
                     "space.",
    },
    {
        .id = "target_down",
        .expr = "avg_over_time(up[2m])",
        .subject = "instance",
        .info = HEALTH_NEVER,
        .warning = 0.5,
        .critical = HEALTH_NEVER,
        .below = true,
        .unit = HEALTH_RATIO,
        .confidence = 0.95,
        .claim = "{instance} ({job}) does not answer.",
        .evidence = "Of the attempts of the last 2 minutes, {value} succeeded.",
        .next_step = "Check that it runs and that its address is right.",
    },
    {
        /* Rows are turned away for a reason that the sender was told. */
        .id = "rows_rejected",
        .expr = "rate(sonde_hub_rejected_rows_total[5m])",
        .info = HEALTH_NEVER,
        .warning = 0.05,
        .critical = HEALTH_NEVER,
        .unit = HEALTH_RATE,
        .confidence = 1,
        .claim = "Some of what is sent in is turned away: {value} rows.",
        .evidence = "Rows over a limit or too late, in 5 minutes.",
        .next_step = "The log and the sender's answer name the limit; see the page Self.",
    },
    {
        .id = "store_failing",
        .expr = "increase(sonde_hub_failed_batches_total[5m])",
        .info = HEALTH_NEVER,
        .warning = HEALTH_NEVER,
        .critical = 0.5,
        .unit = HEALTH_COUNT,
        .confidence = 1,
        .claim = "sonde cannot keep what it sees: {value} batches failed in 5 minutes.",
        .evidence = "Batches that could not be committed.",
        .next_step = "Look for a full or read-only disk under the data folder; the log names it.",
    },
};
const size_t health_checks_count = ARRAY_COUNT(health_checks);
