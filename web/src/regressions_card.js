/* SPDX-License-Identifier: Apache-2.0 */

/* regressions_card - what is worse now than in any benchmark: what, by how much, since when; or that
 * nothing is. */
import { changeText, figure, worstFirst } from './benchmarks.js';
import { h, icon, redraw } from './dom.js';

const LINES_MAX = 8;

export class RegressionsCard {
    #href;
    #since;

    element = h('div', { class: 'benchmark-worse', role: 'status' });

    /* href(name) -> address of a benchmark; since(name, metric) -> since when, in words, or ''. */
    constructor({ href, since }) {
        this.#href = href;
        this.#since = since;
    }

    /* answer: of /performance/regressions, or null: not known, or nothing to be said. */
    draw(answer) {
        const rows = worstFirst(answer?.regressions ?? []).map((row) => ({
            ...row,
            since: this.#since(row.benchmark, row.metric),
        }));
        redraw(this.element, JSON.stringify([answer?.verdicts, rows]), () => {
            if (!answer) return [];
            return [rows.length > 0 ? this.#worse(rows) : this.#calm(answer.verdicts)];
        });
    }

    #calm(verdicts) {
        const open = verdicts.filter(({ verdict }) => verdict === 'cannot tell').length;
        const told = open < verdicts.length;
        return h(
            'div',
            { class: `finding finding-${told ? 'ok' : 'unknown'}` },
            icon(told ? 'check' : 'info'),
            h(
                'div',
                {},
                h(
                    'h2',
                    {},
                    told
                        ? 'Nothing is worse than in any benchmark.'
                        : 'Whether anything is worse cannot be told yet.',
                ),
                told && open > 0
                    ? h(
                          'p',
                          { class: 'evidence' },
                          `${open} of ${verdicts.length} cannot be told yet.`,
                      )
                    : null,
            ),
        );
    }

    #worse(rows) {
        const more = rows.length - LINES_MAX;
        return h(
            'div',
            { class: `finding finding-${rows[0].severity}` },
            icon('alert'),
            h(
                'div',
                {},
                h(
                    'h2',
                    {},
                    rows.length === 1
                        ? '1 metric is worse than in its benchmark.'
                        : `${rows.length} metrics are worse than in their benchmarks.`,
                ),
                h(
                    'ul',
                    { class: 'sentences' },
                    ...rows.slice(0, LINES_MAX).map((row) => this.#line(row)),
                    more > 0 ? h('li', {}, `and ${more} more.`) : null,
                ),
            ),
        );
    }

    #line(row) {
        const { benchmark: name, metric, unit, before, after, severity, since } = row;
        const sides = `${figure(before.median, unit)} → ${figure(after.median, unit)}`;
        return h(
            'li',
            {},
            h(
                'a',
                { href: this.#href(name), 'data-focus': `${name} ${metric}` },
                h('strong', {}, metric),
                ` ${changeText(row)} (${sides})`,
            ),
            ` against “${name}”, ${[since, severity].filter(Boolean).join(', ')}`,
        );
    }
}
