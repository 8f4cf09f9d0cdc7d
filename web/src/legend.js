/* SPDX-License-Identifier: Apache-2.0 */

/* legend - names and values under a chart. A press hides or shows a series. While a crosshair is
 * on the page the values are those of its moment, else the newest. */
import { h, setText } from './dom.js';
import { formatValue } from './format.js';
import { currentValue } from './series.js';

export class Legend {
    #unit;
    #on_toggle;
    #entries = [];
    #shape = '';

    element = h('ul', { class: 'legend' });

    constructor({ unit, on_toggle }) {
        this.#unit = unit;
        this.#on_toggle = on_toggle;
    }

    /* entries: [{ column, colour, dashed }]; `total` may be more than are shown. */
    draw(entries, total) {
        const shape = `${total}|${entries
            .map(({ column, colour }) => `${column.key}${colour}${column.hidden ? '-' : ''}`)
            .join('|')}`;
        if (shape === this.#shape) {
            entries.forEach(({ column }, index) => (this.#entries[index].column = column));
            return;
        }
        this.#shape = shape;
        this.#entries = entries.map((entry) => this.#entry(entry));
        const items = this.#entries.map(({ item }) => item);
        if (total > entries.length) {
            items.push(h('li', { class: 'legend-more' }, `${entries.length} of ${total} shown`));
        }
        this.element.replaceChildren(...items);
    }

    #entry({ column, colour, dashed }) {
        const swatch = h('span', {
            class: dashed ? 'swatch dashed' : 'swatch',
            'aria-hidden': 'true',
        });
        swatch.style.setProperty('--swatch', colour);
        const value = h('span', { class: 'legend-value' });
        const button = h(
            'button',
            {
                type: 'button',
                class: 'legend-entry',
                'aria-pressed': column.hidden ? 'false' : 'true',
                title: column.hidden ? `Show ${column.name}` : `Hide ${column.name}`,
                onclick: () => this.#on_toggle(column.name),
            },
            swatch,
            h('span', { class: 'legend-name' }, column.name),
            value,
        );
        return { column, value, item: h('li', {}, button) };
    }

    /* row: index into the values, or null for the newest. */
    showRow(row) {
        for (const { column, value } of this.#entries) {
            const number = row === null ? currentValue(column.values) : column.values[row];
            setText(value, formatValue(number, this.#unit));
        }
    }
}
