/* SPDX-License-Identifier: Apache-2.0 */

/* host_panels - what Home shows of a machine, as data, ordered by the USE method: for every
 * resource its utilisation, its saturation (work that has to wait) and its errors.
 *
 * One row more is one chart more. Expressions use node_exporter's names, so the same questions
 * can be asked of any Prometheus. "$window" becomes the rate window that suits the step. */
import { isAllZero } from '../series.js';

const U = 'Utilisation';
const S = 'Saturation';
const E = 'Errors';

const PSI_ABSENT =
    'This kernel does not report pressure. It needs Linux 4.20 with PSI; start it with `psi=1`.';

const REAL_DEVICE = 'device!~"loop.*|ram.*|zram.*|sr.*|fd.*"';
const REAL_NETWORK =
    'device!~"' +
    'lo|veth.*|br-.*|docker.*|virbr.*|cali.*|flannel.*|ifb.*|dummy.*|tunl.*|sit.*|ip6tnl.*"';
const REAL_FILESYSTEM =
    'fstype!~"' +
    'tmpfs|devtmpfs|ramfs|squashfs|iso9660|proc|sysfs|cgroup.*|fuse.*|nsfs|autofs|tracefs"';

const rate = (metric, matchers) => `rate(${metric}${matchers ? `{${matchers}}` : ''}[$window])`;

const percent = (expr) => `${expr} * 100`;

/* Time spent per request served; nothing at all where none was. */
const perRequest = (time, requests) =>
    `${rate(time, REAL_DEVICE)} / (${rate(requests, REAL_DEVICE)} > 0)`;

/* Several gauges at once, by the end of their names. */
const gauges = (prefix, ends) => `{__name__=~"${prefix}(${ends.join('|')})"}`;

/* The columns of several metrics by name, for panels that compute from more than one. */
function byName(columns) {
    return new Map(columns.map((column) => [column.metric.__name__, column]));
}

function computed(name, rows, value_of, extra = {}) {
    const values = Array.from({ length: rows }, (_, row) => {
        const value = value_of(row);
        return Number.isFinite(value) ? Math.max(0, value) : null;
    });
    return { key: name, name, metric: {}, values, ...extra };
}

const MEMORY_GAUGES = ['MemTotal', 'MemFree', 'Cached', 'Buffers', 'SReclaimable', 'Shmem'].map(
    (name) => `${name}_bytes`,
);

/* Where memory is: what programs hold, what the kernel caches and gives back on demand, and how
 * much there is in all. */
function deriveMemory(columns) {
    const named = byName(columns);
    const total = named.get('node_memory_MemTotal_bytes');
    if (!total) return [];
    const at = (name, row) => named.get(`node_memory_${name}_bytes`)?.values[row] ?? 0;
    const cache = (row) =>
        at('Cached', row) + at('Buffers', row) + at('SReclaimable', row) - at('Shmem', row);
    const used = (row) => total.values[row] - at('MemFree', row) - cache(row);
    const rows = total.values.length;
    const known = (compute) => (row) => (total.values[row] === null ? NaN : compute(row));
    return [
        computed('programs', rows, known(used)),
        computed('cache', rows, known(cache)),
        computed('in all', rows, (row) => total.values[row] ?? NaN, { limit: true }),
    ];
}

function deriveSwap(columns) {
    const named = byName(columns);
    const total = named.get('node_memory_SwapTotal_bytes');
    const free = named.get('node_memory_SwapFree_bytes');
    if (!total || !free) return [];
    const used = (row) => total.values[row] - (free.values[row] ?? NaN);
    return [computed('in use', total.values.length, used)];
}

/* Names in the order of the stack, from the ground up, with their colour. */
const CPU_COLOURS = { user: 0, system: 1, nice: 2, iowait: 3, softirq: 4, irq: 5, steal: 6 };
const LOAD_NAMES = {
    node_procs_running: 'running',
    node_load1: '1 min',
    node_load5: '5 min',
    node_load15: '15 min',
};
const LOAD_COLOURS = { running: 1, '1 min': 0, '5 min': 2, '15 min': 6 };

/* In the given order, without what never happened: seven modes of which four are zero tell less
 * than three. When all is zero, all is shown. */
function ordered(columns, names) {
    const place = ({ name }) => (names.includes(name) ? names.indexOf(name) : names.length);
    const happened = columns.filter((column) => !isAllZero([column]));
    return [...(happened.length > 0 ? happened : columns)].sort((a, b) => place(a) - place(b));
}

const TCP_NAMES = {
    node_netstat_Tcp_CurrEstab: 'established',
    node_sockstat_TCP_tw: 'time-wait',
    node_sockstat_TCP_orphan: 'orphaned',
};

export const HOST_SECTIONS = [
    {
        title: 'CPU',
        panels: [
            {
                id: 'cpu',
                kind: U,
                title: 'CPU in use',
                unit: 'percent',
                stacked: true,
                max: 100,
                least: 10,
                colours: CPU_COLOURS,
                derive: (columns) => ordered(columns, Object.keys(CPU_COLOURS)),
                targets: [
                    {
                        expr: percent(
                            `avg by (mode) (${rate('node_cpu_seconds_total', 'mode!="idle"')})`,
                        ),
                        name: '{{mode}}',
                    },
                ],
            },
            {
                id: 'cpu-pressure',
                kind: S,
                title: 'Programs waiting for a CPU',
                unit: 'percent',
                max: 100,
                least: 10,
                empty: PSI_ABSENT,
                targets: [
                    {
                        expr: percent(rate('node_pressure_cpu_waiting_seconds_total')),
                        name: 'some waiting',
                    },
                ],
            },
            {
                id: 'load',
                kind: S,
                title: 'Run queue and load',
                unit: 'count',
                least: 2,
                colours: LOAD_COLOURS,
                derive: (columns) => ordered(columns, Object.keys(LOAD_COLOURS)),
                targets: [
                    {
                        expr: gauges('node_', ['load1', 'load5', 'load15', 'procs_running']),
                        name: ({ __name__: name }) => LOAD_NAMES[name],
                    },
                ],
            },
            {
                id: 'cpu-errors',
                kind: E,
                title: 'CPU throttled by heat',
                unit: 'per_s',
                quiet: { topic: 'Throttling', none: 'No core was throttled' },
                targets: [
                    {
                        expr: `sum(${rate('node_cpu_core_throttles_total')})`,
                        name: 'throttles',
                    },
                ],
            },
        ],
    },
    {
        title: 'Memory',
        panels: [
            {
                id: 'memory',
                kind: U,
                title: 'Memory in use',
                unit: 'bytes',
                stacked: true,
                colours: { programs: 0, cache: 2 },
                derive: deriveMemory,
                targets: [
                    {
                        expr: gauges('node_memory_', MEMORY_GAUGES),
                        name: '{{__name__}}',
                    },
                ],
            },
            {
                id: 'memory-pressure',
                kind: S,
                title: 'Programs waiting for memory',
                unit: 'percent',
                max: 100,
                least: 5,
                empty: PSI_ABSENT,
                targets: [
                    {
                        expr: percent(rate('node_pressure_memory_waiting_seconds_total')),
                        name: 'some waiting',
                    },
                    {
                        expr: percent(rate('node_pressure_memory_stalled_seconds_total')),
                        name: 'all stalled',
                    },
                ],
            },
            {
                id: 'paging',
                kind: S,
                title: 'Pages fetched from disk and swap',
                unit: 'per_s',
                least: 10,
                targets: [
                    { expr: rate('node_vmstat_pgmajfault'), name: 'major faults' },
                    { expr: rate('node_vmstat_pswpin'), name: 'swapped in' },
                    { expr: rate('node_vmstat_pswpout'), name: 'swapped out' },
                ],
            },
            {
                id: 'swap',
                kind: U,
                title: 'Swap in use',
                unit: 'bytes',
                derive: deriveSwap,
                quiet: { topic: 'Swap', none: 'No swap is in use' },
                targets: [
                    {
                        expr: gauges('node_memory_Swap', ['Total_bytes', 'Free_bytes']),
                        name: '{{__name__}}',
                    },
                ],
            },
            {
                id: 'memory-errors',
                kind: E,
                title: 'Killed for lack of memory',
                unit: 'count',
                quiet: {
                    topic: 'Out-of-memory kills',
                    none: 'Nothing was killed for lack of memory',
                },
                targets: [
                    { expr: 'increase(node_vmstat_oom_kill[$window])', name: 'processes killed' },
                ],
            },
        ],
    },
    {
        title: 'Disk',
        panels: [
            {
                id: 'disk',
                kind: U,
                title: 'Disks busy',
                unit: 'percent',
                max: 100,
                least: 10,
                targets: [
                    {
                        expr: percent(rate('node_disk_io_time_seconds_total', REAL_DEVICE)),
                        name: '{{device}}',
                    },
                ],
            },
            {
                id: 'disk-throughput',
                kind: U,
                title: 'Read and written',
                unit: 'bytes_per_s',
                least: 4096,
                targets: [
                    {
                        expr: rate('node_disk_read_bytes_total', REAL_DEVICE),
                        name: '{{device}} read',
                    },
                    {
                        expr: rate('node_disk_written_bytes_total', REAL_DEVICE),
                        name: '{{device}} written',
                    },
                ],
            },
            {
                id: 'disk-await',
                kind: S,
                title: 'Time a request takes',
                unit: 'seconds',
                least: 0.001,
                targets: [
                    {
                        expr: perRequest(
                            'node_disk_read_time_seconds_total',
                            'node_disk_reads_completed_total',
                        ),
                        name: '{{device}} read',
                    },
                    {
                        expr: perRequest(
                            'node_disk_write_time_seconds_total',
                            'node_disk_writes_completed_total',
                        ),
                        name: '{{device}} write',
                    },
                ],
                empty: 'No disk served a request in this range.',
            },
            {
                id: 'disk-queue',
                kind: S,
                title: 'Requests waiting or in service',
                unit: 'count',
                least: 1,
                targets: [
                    {
                        expr: rate('node_disk_io_time_weighted_seconds_total', REAL_DEVICE),
                        name: '{{device}}',
                    },
                ],
            },
            {
                id: 'io-pressure',
                kind: S,
                title: 'Programs waiting for I/O',
                unit: 'percent',
                max: 100,
                least: 5,
                empty: PSI_ABSENT,
                targets: [
                    {
                        expr: percent(rate('node_pressure_io_waiting_seconds_total')),
                        name: 'some waiting',
                    },
                    {
                        expr: percent(rate('node_pressure_io_stalled_seconds_total')),
                        name: 'all stalled',
                    },
                ],
            },
            {
                id: 'disk-requests',
                kind: U,
                title: 'Requests served',
                unit: 'per_s',
                least: 10,
                targets: [
                    {
                        expr: rate('node_disk_reads_completed_total', REAL_DEVICE),
                        name: '{{device}} reads',
                    },
                    {
                        expr: rate('node_disk_writes_completed_total', REAL_DEVICE),
                        name: '{{device}} writes',
                    },
                ],
            },
        ],
    },
    {
        title: 'Network',
        panels: [
            {
                id: 'network',
                kind: U,
                title: 'Received and sent',
                unit: 'bytes_per_s',
                least: 1024,
                targets: [
                    {
                        expr: rate('node_network_receive_bytes_total', REAL_NETWORK),
                        name: '{{device}} in',
                    },
                    {
                        expr: rate('node_network_transmit_bytes_total', REAL_NETWORK),
                        name: '{{device}} out',
                    },
                ],
                empty: 'No network device beside the loopback was seen in this range.',
            },
            {
                id: 'network-saturation',
                kind: S,
                title: 'Sent again, dropped, refused',
                unit: 'per_s',
                least: 1,
                targets: [
                    { expr: rate('node_netstat_Tcp_RetransSegs'), name: 'TCP sent again' },
                    {
                        expr: rate('node_netstat_TcpExt_ListenDrops'),
                        name: 'refused: queue full',
                    },
                    {
                        expr: `sum(${rate('node_network_receive_drop_total', REAL_NETWORK)})`,
                        name: 'dropped on receipt',
                    },
                ],
            },
            {
                id: 'connections',
                kind: U,
                title: 'TCP connections',
                unit: 'count',
                least: 10,
                targets: [
                    {
                        expr: gauges('node_', [
                            'netstat_Tcp_CurrEstab',
                            'sockstat_TCP_tw',
                            'sockstat_TCP_orphan',
                        ]),
                        name: ({ __name__: name }) => TCP_NAMES[name],
                    },
                ],
            },
            {
                id: 'network-errors',
                kind: E,
                title: 'Network errors',
                unit: 'per_s',
                quiet: { topic: 'Network errors', none: 'No network errors' },
                targets: [
                    {
                        expr: rate('node_network_receive_errs_total', REAL_NETWORK),
                        name: '{{device}} in',
                    },
                    {
                        expr: rate('node_network_transmit_errs_total', REAL_NETWORK),
                        name: '{{device}} out',
                    },
                ],
            },
        ],
    },
    {
        title: 'Filesystems',
        panels: [
            {
                id: 'filesystem',
                kind: U,
                title: 'Space used',
                unit: 'percent',
                max: 100,
                targets: [
                    {
                        expr:
                            `100 - 100 * node_filesystem_avail_bytes{${REAL_FILESYSTEM}}` +
                            ` / node_filesystem_size_bytes{${REAL_FILESYSTEM}}`,
                        name: '{{mountpoint}}',
                    },
                ],
            },
            {
                id: 'inodes',
                kind: U,
                title: 'File entries used',
                unit: 'percent',
                max: 100,
                targets: [
                    {
                        expr:
                            `100 - 100 * node_filesystem_files_free{${REAL_FILESYSTEM}}` +
                            ` / (node_filesystem_files{${REAL_FILESYSTEM}} > 0)`,
                        name: '{{mountpoint}}',
                    },
                ],
                empty: 'These filesystems do not count their entries.',
            },
            {
                id: 'files',
                kind: U,
                title: 'Open files',
                unit: 'count',
                least: 100,
                targets: [{ expr: 'node_filefd_allocated', name: 'open' }],
            },
            {
                id: 'filesystem-errors',
                kind: E,
                title: 'Filesystems that do not answer',
                unit: 'count',
                quiet: { topic: 'Filesystem errors', none: 'Every filesystem answers' },
                targets: [
                    {
                        expr: `node_filesystem_device_error{${REAL_FILESYSTEM}}`,
                        name: '{{mountpoint}}',
                    },
                ],
            },
        ],
    },
];

/* What the strip above the charts tells once: names and sizes that do not move. */
export const HOST_FACTS_EXPR =
    '{__name__=~"node_uname_info|node_os_info|node_boot_time_seconds|node_memory_MemTotal_bytes"}';
export const CORES_EXPR = 'count(node_cpu_seconds_total{mode="idle"})';
