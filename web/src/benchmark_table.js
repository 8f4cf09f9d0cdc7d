/* SPDX-License-Identifier: Apache-2.0 */

/* benchmark_table - a comparison, a row for each metric, worst first: before and after, the change as
 * picture and words, the verdict and why. On a phone a row is a card. */
import {
    changeText,
    chanceText,
    figure,
    intervalText,
    lookOf,
    reachText,
    reasonText,
    verdictText,
    worstFirst,
} from './benchmarks.js';
import { h, icon, redraw, setText } from './dom.js';
import { forestPicture } from './forest.js';

const ROWS_MAX = 60;

/* Stands above the lines of the pictures. */
const SCALE = () =>
    h(
        'span',
        { class: 'forest-scale', 'aria-hidden': 'true' },
        ...['← better', 'threshold', 'worse →'].map((word) => h('span', {}, word)),
    );

export class BenchmarkTable {
    #href;
    #since;
    #all = false;
    #metrics = [];
    #body = h('tbody');
    #more = h('button', { type: 'button', class: 'button', onclick: () => this.#showAll() });

    element;

    /* href(row) -> address of the metric's chart, or null; since(row) -> since when it is worse, in
     * words, or ''. */
    constructor({ href, since }) {
        this.#href = href;
        this.#since = since;
        const head = (name, ...more) => h('th', { scope: 'col' }, name, ...more);
        this.element = h(
            'div',
            { class: 'benchmark-metrics' },
            h(
                'table',
                { class: 'benchmark-table' },
                h('caption', { class: 'offscreen' }, 'Metrics, worst first'),
                h(
                    'thead',
                    {},
                    h(
                        'tr',
                        {},
                        head('Metric'),
                        head('Before → now'),
                        head('Change', SCALE()),
                        head('Verdict'),
                        head('p'),
                    ),
                ),
                this.#body,
            ),
            this.#more,
        );
    }

    draw(metrics) {
        this.#metrics = worstFirst(metrics);
        const shown = this.#all ? this.#metrics : this.#metrics.slice(0, ROWS_MAX);
        const said = JSON.stringify([shown, shown.map((row) => this.#since(row))]);
        redraw(this.#body, said, () => shown.map((row) => this.#row(row)));
        this.element.hidden = metrics.length === 0;
        this.#more.hidden = shown.length === this.#metrics.length;
        setText(this.#more, `${shown.length} of ${this.#metrics.length} shown. Show all`);
    }

    #showAll() {
        this.#all = true;
        this.draw(this.#metrics);
    }

    #row(row) {
        const { look, symbol } = lookOf(row.verdict);
        const href = this.#href(row);
        const side = ({ median, ...rest }) => [
            h('span', { class: 'figure' }, figure(median, row.unit)),
            h('small', {}, reachText({ median, ...rest })),
        ];
        return h(
            'tr',
            { 'data-look': look, 'data-severity': row.severity ?? false },
            h(
                'th',
                { scope: 'row' },
                href
                    ? h(
                          'a',
                          { href, 'data-focus': row.metric, title: 'See when' },
                          h('span', {}, row.metric),
                          icon('chart'),
                      )
                    : row.metric,
            ),
            h('td', { class: 'sides' }, ...side(row.before), ' → ', ...side(row.after)),
            h(
                'td',
                { class: 'change' },
                forestPicture(row),
                h(
                    'span',
                    { class: 'change-words' },
                    h('strong', {}, changeText(row)),
                    h('small', {}, intervalText(row)),
                ),
            ),
            h(
                'td',
                { class: 'why' },
                h('span', { class: 'verdict-word' }, icon(symbol), verdictText(row)),
                h('small', {}, [reasonText(row), this.#since(row)].filter(Boolean).join(', ')),
            ),
            h('td', { class: 'chance' }, chanceText(row)),
        );
    }
}
