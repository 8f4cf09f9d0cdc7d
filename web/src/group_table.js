/* SPDX-License-Identifier: Apache-2.0 */

/* group_table - the running processes summed by group. A sum over members of which one is
 * unknown is unknown too: half a truth would look like a small number. */
import { h } from './dom.js';
import { DASH, formatValue } from './format.js';

export function sumGroups(processes) {
    const groups = new Map();
    for (const row of processes) {
        const name = row.group ?? row.name;
        const sum = groups.get(name) ?? { name, count: 0, cpu: 0, rss: 0, threads: 0, io: 0 };
        sum.count += 1;
        sum.cpu = add(sum.cpu, row.cpu_percent);
        sum.rss = add(sum.rss, row.rss_bytes);
        sum.threads = add(sum.threads, row.threads);
        sum.io = add(add(sum.io, row.read_bytes_per_s), row.written_bytes_per_s);
        groups.set(name, sum);
    }
    return [...groups.values()].sort(
        (a, b) => (b.cpu ?? -1) - (a.cpu ?? -1) || (b.rss ?? -1) - (a.rss ?? -1),
    );
}

function add(sum, value) {
    return sum === null || value === null || value === undefined ? null : sum + value;
}

const HEADS = ['Group', 'Processes', 'CPU', 'Memory', 'Threads', 'I/O'];

export class GroupTable {
    #body = h('tbody');
    #on_open;

    element;

    constructor({ on_open }) {
        this.#on_open = on_open;
        this.element = h(
            'table',
            { class: 'processes' },
            h('caption', { class: 'offscreen' }, 'Groups of processes, most CPU first'),
            h(
                'thead',
                {},
                h(
                    'tr',
                    {},
                    ...HEADS.map((name, index) =>
                        h('th', { scope: 'col', class: index === 0 ? 'text' : 'number' }, name),
                    ),
                ),
            ),
            this.#body,
        );
    }

    draw(processes) {
        if (this.element.contains(document.activeElement))
            return; /* Not under the person's finger. */
        this.#body.replaceChildren(...sumGroups(processes).map((group) => this.#row(group)));
    }

    #row({ name, count, cpu, rss, threads, io }) {
        const cell = (value, unit) =>
            h(
                'td',
                {
                    class: 'number',
                    title: value === null ? 'At least one member is not known.' : null,
                },
                value === null ? DASH : formatValue(value, unit),
            );
        const open = h(
            'button',
            { type: 'button', class: 'process-open', onclick: () => this.#on_open(name) },
            h('span', { class: 'process-name' }, name),
        );
        return h(
            'tr',
            {},
            h('th', { scope: 'row', class: 'text' }, open),
            cell(count, 'count'),
            cell(cpu, 'percent'),
            cell(rss, 'bytes'),
            cell(threads, 'count'),
            cell(io, 'bytes_per_s'),
        );
    }
}
