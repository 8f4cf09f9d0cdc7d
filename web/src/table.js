/* SPDX-License-Identifier: Apache-2.0 */

/* table - the numbers behind a chart, as a real table: newest first, one column per series.
 *
 * New rows are put on top without touching the others, so a selection or a screen reader's place
 * in the table survives the live stream. */
import { h } from './dom.js';
import { formatDateTime, formatValue } from './format.js';
import { frameToCsv } from './series.js';

const ROWS_MAX = 300;

export class FrameTable {
    #body = h('tbody');
    #head = h('tr');
    #caption = h('caption', { class: 'offscreen' });
    #note = h('p', { class: 'table-note' });
    #frame = { times: [], columns: [] };
    #shape = '';
    #newest = -Infinity;
    #unit;

    element;

    constructor({ title, unit }) {
        this.#unit = unit;
        this.#caption.textContent = `${title}, newest first`;
        const table = h(
            'table',
            { class: 'numbers' },
            this.#caption,
            h('thead', {}, this.#head),
            this.#body,
        );
        this.element = h(
            'div',
            {},
            h(
                'div',
                {
                    class: 'table-scroll',
                    tabindex: '0',
                    role: 'region',
                    'aria-label': `${title}, table`,
                },
                table,
            ),
            this.#note,
        );
    }

    csv() {
        return frameToCsv(this.#frame);
    }

    draw(frame) {
        this.#frame = frame;
        const shape = frame.columns.map(({ key, name }) => key + name).join('|');
        const rewound = (frame.times.at(-1) ?? -Infinity) < this.#newest;
        if (shape !== this.#shape || rewound) this.#rebuild(shape);
        this.#addNewRows();
        const total = frame.times.length;
        this.#note.textContent =
            total > ROWS_MAX
                ? `The newest ${ROWS_MAX} of ${total} rows. The CSV has them all.`
                : '';
    }

    /* The next draw starts over; for another range or step. */
    reset() {
        this.#shape = '';
    }

    #rebuild(shape) {
        this.#shape = shape;
        this.#newest = -Infinity;
        this.#body.replaceChildren();
        this.#head.replaceChildren(
            h('th', { scope: 'col' }, 'Time'),
            ...this.#frame.columns.map(({ name }) =>
                h('th', { scope: 'col', class: 'number' }, name),
            ),
        );
    }

    /* The newest row may still gain values from another series of the same second: made anew. */
    #addNewRows() {
        const { times } = this.#frame;
        if (this.#body.firstChild && this.#newest !== -Infinity) {
            const row = times.lastIndexOf(this.#newest);
            if (row >= 0) this.#body.firstChild.replaceWith(this.#row(row));
        }
        const first = Math.max(0, times.length - ROWS_MAX);
        const fresh = [];
        for (let row = times.length - 1; row >= first && times[row] > this.#newest; row -= 1) {
            fresh.push(this.#row(row));
        }
        this.#body.prepend(...fresh);
        while (this.#body.childElementCount > ROWS_MAX) this.#body.lastChild.remove();
        this.#newest = times.at(-1) ?? -Infinity;
    }

    #row(row) {
        const time = formatDateTime(this.#frame.times[row] * 1000);
        const cells = this.#frame.columns.map(({ values }) =>
            h('td', { class: 'number' }, formatValue(values[row], this.#unit)),
        );
        return h('tr', {}, h('th', { scope: 'row' }, time), ...cells);
    }
}
