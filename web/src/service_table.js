/* SPDX-License-Identifier: Apache-2.0 */

/* service_table - operations as rows, worst first. Rows are kept from one answer to the next, so
 * that focus and a finger on a row survive it; while one has them, the order holds still. */
import { h, icon, setText } from './dom.js';
import { DASH, formatSeconds, formatValue, significant } from './format.js';
import { Sparkline } from './sparkline.js';

const UNKNOWN = 'Only the number of calls is known, not how long they took.';

const inSeconds = (ms) => formatSeconds(ms / 1000);
const asShare = (rate) => (rate === 0 ? '0 %' : `${significant(rate * 100)} %`);
const asRate = (rate) => formatValue(rate, 'per_s');

const COLUMNS = [
    { key: 'operation', label: 'Operation', text: true },
    { key: 'rate', label: 'Rate', of: (row) => row.throughput_rps, write: asRate },
    { key: 'errors', label: 'Errors', of: (row) => row.failure_rate, write: asShare },
    { key: 'p50', label: 'P50', of: (row) => row.p50_ms, write: inSeconds, wide: true },
    { key: 'p95', label: 'P95', of: (row) => row.p95_ms, write: inSeconds },
    { key: 'p99', label: 'P99', of: (row) => row.p99_ms, write: inSeconds, wide: true },
    { key: 'calls', label: 'Calls over time', spark: (trend) => trend.calls, wide: true },
    { key: 'slow', label: 'P95 over time', spark: (trend) => trend.p95_ms, wide: true },
];

export class ServiceTable {
    #options;
    #body = h('tbody');
    #heads = new Map();
    #rows = new Map();

    element;

    /* options: { on_sort(key), href(row) -> address of its page, on_open(row) }. */
    constructor(options) {
        this.#options = options;
        this.element = h(
            'table',
            { class: 'processes operations' },
            h('caption', { class: 'offscreen' }, 'Operations of services'),
            h('thead', {}, h('tr', {}, ...COLUMNS.map((column) => this.#head(column)))),
            this.#body,
        );
    }

    showSort(key, descending) {
        for (const [name, cell] of this.#heads) {
            if (name === key)
                cell.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
            else cell.removeAttribute('aria-sort');
        }
    }

    draw(operations) {
        const kept = new Map();
        const elements = operations.map((operation) => {
            const key = `${operation.service}\n${operation.operation}`;
            const row = this.#rows.get(key) ?? this.#makeRow(operation);
            kept.set(key, row);
            this.#fillRow(row, operation);
            return row.element;
        });
        const held = this.#body.contains(document.activeElement);
        const same =
            kept.size === this.#rows.size && [...kept.keys()].every((key) => this.#rows.has(key));
        this.#rows = kept;
        if (!held || !same) this.#place(elements);
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

    #classes({ key, text, spark, wide }) {
        const kind = text || spark ? 'text' : 'number';
        return `${kind} col-${key}${wide ? ' wide-only' : ''}`;
    }

    #head(column) {
        const content = column.spark
            ? column.label
            : h(
                  'button',
                  { type: 'button', onclick: () => this.#options.on_sort(column.key) },
                  column.label,
              );
        const cell = h('th', { scope: 'col', class: this.#classes(column) }, content);
        this.#heads.set(column.key, cell);
        return cell;
    }

    #makeRow({ service, operation }) {
        const row = { cells: new Map(), sparks: new Map(), promise: '' };
        row.link = h(
            'a',
            { class: 'operation-open', href: '#' },
            h('span', { class: 'operation-name' }, operation),
            h('span', { class: 'operation-service' }, service),
        );
        row.link.addEventListener('click', (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            this.#options.on_open({ service, operation });
        });
        row.mark = h('span', { class: 'promise' });
        const cells = COLUMNS.map((column) => {
            const attributes = { class: this.#classes(column) };
            if (column.text) return h('th', { ...attributes, scope: 'row' }, row.link, row.mark);
            const cell = h('td', attributes);
            if (column.spark) {
                const spark = new Sparkline();
                row.sparks.set(column.key, spark);
                cell.append(spark.element);
            }
            row.cells.set(column.key, cell);
            return cell;
        });
        row.element = h('tr', {}, ...cells);
        return row;
    }

    #fillRow(row, operation) {
        row.link.href = this.#options.href(operation);
        this.#fillPromise(row, operation.promise ?? '');
        for (const column of COLUMNS) {
            if (column.spark && operation.trend)
                row.sparks.get(column.key).draw(column.spark(operation.trend));
            else if (column.of) this.#fillCell(row.cells.get(column.key), column, operation);
        }
        row.cells.get('errors').classList.toggle('has-errors', operation.failures > 0);
    }

    #fillCell(cell, column, operation) {
        const value = column.of(operation);
        const unknown = value === null || value === undefined;
        setText(cell, unknown ? DASH : column.write(value));
        if (unknown) cell.title = UNKNOWN;
        else cell.removeAttribute('title');
    }

    #fillPromise(row, promise) {
        if (row.promise === promise) return;
        row.promise = promise;
        row.mark.dataset.promise = promise;
        row.mark.replaceChildren(
            ...(promise === ''
                ? []
                : [icon(promise === 'broken' ? 'alert' : 'check'), `SLA ${promise}`]),
        );
    }
}
