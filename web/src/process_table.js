/* SPDX-License-Identifier: Apache-2.0 */

/* process_table - processes as rows. Rows are kept by pid from one refresh to the next, so that
 * focus, selection and a finger on a row survive it.
 *
 * A value the daemon could not learn is a dash that says so, and sorts last in both directions. */
import { h, setText } from './dom.js';
import { DASH, formatSeconds, formatValue } from './format.js';

const UNKNOWN = 'Not permitted or not known. Run the daemon with more rights to see it.';
const PSS_UNKNOWN = 'Not measured: reading PSS is slow. Press “Measure PSS”.';

const io = (row) =>
    row.read_bytes_per_s === null && row.written_bytes_per_s === null
        ? null
        : (row.read_bytes_per_s ?? 0) + (row.written_bytes_per_s ?? 0);

const age = (row) => (row.start_time_s === null ? null : Date.now() / 1000 - row.start_time_s);

/* key: in the address and the API; value: what is sorted and shown; wide: not on a phone. */
export const COLUMNS = [
    { key: 'pid', label: 'PID', value: (row) => row.pid, write: String, wide: true },
    { key: 'name', label: 'Process', value: (row) => row.name, text: true },
    { key: 'user', label: 'User', value: (row) => row.user, text: true, wide: true },
    { key: 'state', label: 'State', value: (row) => row.state, text: true, wide: true },
    { key: 'cpu', label: 'CPU', value: (row) => row.cpu_percent, unit: 'percent' },
    { key: 'rss', label: 'Memory', value: (row) => row.rss_bytes, unit: 'bytes' },
    {
        key: 'pss',
        label: 'PSS',
        value: (row) => row.pss_bytes,
        unit: 'bytes',
        wide: true,
        optional: true,
    },
    {
        key: 'vms',
        label: 'Virtual',
        value: (row) => row.vms_bytes,
        unit: 'bytes',
        wide: true,
        full: true,
    },
    { key: 'threads', label: 'Threads', value: (row) => row.threads, unit: 'count', wide: true },
    { key: 'fds', label: 'Files', value: (row) => row.fds, unit: 'count', wide: true },
    { key: 'io', label: 'I/O', value: io, unit: 'bytes_per_s', wide: true },
    {
        key: 'switches',
        label: 'Switches',
        value: (row) => row.voluntary_ctxt_switches_per_s,
        unit: 'per_s',
        wide: true,
        full: true,
    },
    { key: 'age', label: 'Running', value: age, write: formatSeconds, wide: true },
];

const STATE_NAMES = {
    R: 'running',
    S: 'sleeping',
    D: 'waiting for I/O',
    Z: 'zombie',
    T: 'stopped',
    t: 'traced',
    I: 'idle',
};

export function sortRows(rows, key, descending) {
    const column = COLUMNS.find((candidate) => candidate.key === key) ?? COLUMNS[4];
    const sign = descending ? -1 : 1;
    return [...rows].sort((a, b) => {
        const [left, right] = [column.value(a), column.value(b)];
        if (left === null || left === undefined)
            return right === null || right === undefined ? 0 : 1;
        if (right === null || right === undefined) return -1;
        if (column.text) return sign * String(left).localeCompare(String(right));
        return sign * (left - right) || a.pid - b.pid;
    });
}

/* Every word must be somewhere: in the name, command line, user, group or pid. */
export function filterRows(rows, text) {
    const words = (text ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return rows;
    return rows.filter((row) => {
        const fields = [row.name, row.cmdline, row.user, row.group, row.pid];
        const hay = fields.join(' ').toLowerCase();
        return words.every((word) => hay.includes(word));
    });
}

export class ProcessTable {
    #columns;
    #on_sort;
    #on_open;
    #body = h('tbody');
    #heads = new Map();
    #rows = new Map();

    element;

    /* full: every column; on_sort(key) makes the heads buttons; on_open(row) the names. */
    constructor({ caption, full = false, on_sort = null, on_open = null }) {
        this.#columns = COLUMNS.filter((column) => full || !(column.full || column.optional));
        this.#on_sort = on_sort;
        this.#on_open = on_open;
        const head = h('tr', {}, ...this.#columns.map((column) => this.#head(column)));
        this.element = h(
            'table',
            { class: full ? 'processes is-full' : 'processes' },
            h('caption', { class: 'offscreen' }, caption),
            h('thead', {}, head),
            this.#body,
        );
    }

    #classes(column) {
        const width = column.wide ? ' wide-only' : '';
        return `${column.text ? 'text' : 'number'} col-${column.key}${width}`;
    }

    #head(column) {
        const content = this.#on_sort
            ? h(
                  'button',
                  { type: 'button', onclick: () => this.#on_sort(column.key) },
                  column.label,
              )
            : column.label;
        const cell = h('th', { scope: 'col', class: this.#classes(column) }, content);
        this.#heads.set(column.key, cell);
        return cell;
    }

    showSort(key, descending) {
        for (const [name, cell] of this.#heads) {
            if (name === key)
                cell.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
            else cell.removeAttribute('aria-sort');
        }
    }

    draw(processes, selected_pid = null) {
        const kept = new Map();
        const elements = processes.map((process) => {
            const row = this.#rows.get(process.pid) ?? this.#makeRow();
            kept.set(process.pid, row);
            this.#fillRow(row, process, selected_pid);
            return row.element;
        });
        this.#rows = kept;
        this.#place(elements);
    }

    /* Moves only what is not in its place: replacing all would take the focus away. */
    #place(elements) {
        let next = this.#body.firstChild;
        for (const element of elements) {
            if (element === next) next = next.nextSibling;
            else this.#body.insertBefore(element, next);
        }
        while (next) {
            const after = next.nextSibling;
            next.remove();
            next = after;
        }
    }

    #makeRow() {
        const row = { process: null, cells: new Map() };
        const cells = this.#columns.map((column) => {
            const name = column.key === 'name';
            const cell = h(name ? 'th' : 'td', {
                class: this.#classes(column),
                scope: name ? 'row' : null,
            });
            if (name) this.#fillNameCell(row, cell);
            row.cells.set(column.key, cell);
            return cell;
        });
        row.element = h('tr', {}, ...cells);
        return row;
    }

    #fillNameCell(row, cell) {
        row.name = h('span', { class: 'process-name' });
        row.command = h('span', { class: 'process-command' });
        const inside = [row.name, row.command];
        if (this.#on_open) {
            cell.append(
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'process-open',
                        onclick: () => this.#on_open(row.process),
                    },
                    ...inside,
                ),
            );
        } else {
            cell.append(...inside);
        }
    }

    #fillRow(row, process, selected_pid) {
        row.process = process;
        row.element.classList.toggle('is-selected', process.pid === selected_pid);
        for (const column of this.#columns) {
            if (column.key === 'name') continue;
            this.#fillCell(row.cells.get(column.key), column, column.value(process));
        }
        setText(row.name, process.name);
        setText(row.command, process.cmdline ?? '');
        row.command.title = process.cmdline ?? '';
    }

    #fillCell(cell, column, value) {
        if (value === null || value === undefined) {
            setText(cell, DASH);
            cell.title = column.key === 'pss' ? PSS_UNKNOWN : UNKNOWN;
            return;
        }
        if (column.key === 'state') cell.title = STATE_NAMES[value] ?? '';
        else cell.removeAttribute('title');
        setText(
            cell,
            column.text
                ? String(value)
                : (column.write ?? ((v) => formatValue(v, column.unit)))(value),
        );
    }
}
