/* SPDX-License-Identifier: Apache-2.0 */

/* verdict_history - what the schedule found of one benchmark: a strip of marks, and behind it the same
 * as a table, newest first, which stays open from one verdict to the next. */
import { marksOf } from './benchmarks.js';
import { serverNow } from './clock.js';
import { h, redraw, setText } from './dom.js';
import { formatDateTime, formatSince } from './format.js';
import { verdictStrip } from './verdict_strip.js';

export class VerdictHistory {
    #strip = h('div');
    #summary = h('summary');
    #body = h('tbody');

    element = h(
        'div',
        { class: 'benchmark-history' },
        this.#strip,
        h(
            'details',
            {},
            this.#summary,
            h(
                'table',
                { class: 'benchmark-runs' },
                h('caption', { class: 'offscreen' }, 'Verdicts on schedule, newest first'),
                h(
                    'thead',
                    {},
                    h(
                        'tr',
                        {},
                        ...['When', 'Verdicts', 'Degraded'].map((name) =>
                            h('th', { scope: 'col' }, name),
                        ),
                    ),
                ),
                this.#body,
            ),
        ),
    );

    draw(runs) {
        this.element.hidden = runs.length === 0;
        if (this.element.hidden) return;
        const said = JSON.stringify(runs);
        const marks = marksOf(runs);
        redraw(this.#strip, said, () => [verdictStrip(marks)]);
        redraw(this.#body, said, () => [...marks].reverse().map((mark) => this.#row(mark)));
        const count = runs.length === 1 ? 'One verdict' : `${runs.length} verdicts`;
        const first = formatSince(runs[runs.length - 1].end_ms, serverNow());
        setText(this.#summary, `${count} on schedule, since ${first}`);
    }

    #row({ time_ms, look, text, degraded }) {
        return h(
            'tr',
            { 'data-look': look },
            h('th', { scope: 'row' }, formatDateTime(time_ms)),
            h('td', {}, text),
            h('td', {}, degraded.join(', ')),
        );
    }
}
