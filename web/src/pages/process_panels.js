/* SPDX-License-Identifier: Apache-2.0 */

/* process_panels - history of process groups, under process-exporter's names. */

const EMPTY =
    'No history of process groups in this range. Is the source `process` running? See Self.';

const BY_GROUP = [
    {
        id: 'groups-cpu',
        title: 'CPU by group',
        unit: 'percent',
        least: 5,
        expr: 'sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total[$window])) * 100',
    },
    {
        id: 'groups-memory',
        title: 'Memory by group',
        unit: 'bytes',
        expr: 'sum by (groupname) (namedprocess_namegroup_memory_bytes{memtype="resident"})',
    },
    {
        id: 'groups-read',
        title: 'Read by group',
        unit: 'bytes_per_s',
        least: 4096,
        expr: 'sum by (groupname) (rate(namedprocess_namegroup_read_bytes_total[$window]))',
    },
    {
        id: 'groups-write',
        title: 'Written by group',
        unit: 'bytes_per_s',
        least: 4096,
        expr: 'sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total[$window]))',
    },
    {
        id: 'groups-threads',
        title: 'Threads by group',
        unit: 'count',
        expr: 'sum by (groupname) (namedprocess_namegroup_num_threads)',
    },
    {
        id: 'groups-files',
        title: 'Open files by group',
        unit: 'count',
        expr: 'sum by (groupname) (namedprocess_namegroup_open_filedesc)',
    },
];

export const GROUP_PANELS = BY_GROUP.map(({ expr, ...spec }) => ({
    ...spec,
    limit: 8,
    height: 190,
    empty: EMPTY,
    targets: [{ expr, name: '{{groupname}}' }],
}));

/* A label value inside a PromQL string. */
function quote(text) {
    return JSON.stringify(text);
}

export function detailPanels(group) {
    const of = `{groupname=${quote(group)}}`;
    const cpu = `rate(namedprocess_namegroup_cpu_seconds_total${of}[$window])`;
    const resident = `{groupname=${quote(group)},memtype="resident"}`;
    const panel = (id, title, unit, targets, more = {}) => ({
        id,
        title,
        unit,
        targets,
        empty: EMPTY,
        ...more,
    });
    return [
        panel(
            'detail-cpu',
            'CPU of the group',
            'percent',
            [
                {
                    expr: `sum by (mode) (${cpu}) * 100`,
                    name: '{{mode}}',
                },
            ],
            { stacked: true, least: 5, colours: { user: 0, system: 1 } },
        ),
        panel('detail-memory', 'Memory of the group', 'bytes', [
            { expr: `sum(namedprocess_namegroup_memory_bytes${resident})`, name: 'resident' },
        ]),
        panel(
            'detail-io',
            'I/O of the group',
            'bytes_per_s',
            [
                {
                    expr: `sum(rate(namedprocess_namegroup_read_bytes_total${of}[$window]))`,
                    name: 'read',
                },
                {
                    expr: `sum(rate(namedprocess_namegroup_write_bytes_total${of}[$window]))`,
                    name: 'written',
                },
            ],
            { least: 4096 },
        ),
    ];
}
