/* SPDX-License-Identifier: Apache-2.0 */

/* trace_compare - two sets of traces side by side: which attributes and which spans tell them apart.
 *
 * In the address: a and b (TraceQL), and at, a moment: then a is what was before it and b what came
 * after, which is how a release or a change is looked at. The time is that of the page. */
import { isAbort, tracesCompare } from '../api.js';
import { serverNow } from '../clock.js';
import { h, setText } from '../dom.js';
import { formatDateTime, formatSeconds, significant } from '../format.js';
import { parseMoment } from '../range.js';
import { findingList } from '../trace_findings.js';
import { spellTags } from '../trace_search.js';

const ROWS_FIRST = 15;
const LIMIT = 500;
const SHARE_MIN = 0.005; /* Less of a difference is told as none. */

const EXAMPLES = [
    [
        'Slow with fast',
        '{ name = "GET /" && duration < 200ms }',
        '{ name = "GET /" && duration >= 200ms }',
    ],
    [
        'Failed with fine',
        '{ kind = server && status != error }',
        '{ kind = server && status = error }',
    ],
];

const nanoseconds = (ns) => (ns === null || ns === undefined ? '–' : formatSeconds(ns / 1e9));
const percent = (share) => `${significant(share * 100)} %`;
const signed = (ns) => `${ns > 0 ? '+' : ns < 0 ? '−' : ''}${formatSeconds(Math.abs(ns) / 1e9)}`;

/* "p < 0.001" reads better than many digits of a small number. */
function chance(p) {
    if (p === null || p === undefined) return '–';
    return p < 0.001 ? '< 0.001' : significant(p);
}

export class TraceComparePage {
    #context;
    #abort = null;
    #fields = {};
    #parts = {};

    element;

    constructor(context) {
        this.#context = context;
        this.#build();
        this.#fill();
        void this.#load();
    }

    destroy() {
        this.#abort?.abort();
    }

    update({ params, before }) {
        this.#fill();
        if (['a', 'b', 'at', 'range', 'from', 'to'].some((key) => params[key] !== before[key]))
            void this.#load();
    }

    search() {
        this.#fields.a.focus();
    }

    #build() {
        const { store } = this.#context;
        const box = (name, label) => {
            const field = h('textarea', {
                rows: '2',
                spellcheck: 'false',
                'aria-label': `${label}, as TraceQL`,
                onkeydown: (event) => {
                    if (event.key !== 'Enter' || event.shiftKey) return;
                    event.preventDefault();
                    this.#ask();
                },
            });
            this.#fields[name] = field;
            return h('label', { class: `field compare-${name}` }, h('span', {}, label), field);
        };
        this.#fields.at = h('input', {
            type: 'text',
            spellcheck: 'false',
            placeholder: 'no moment',
            onchange: () => this.#ask(),
        });
        this.#parts.problem = h('p', { class: 'error-note', role: 'alert' });
        this.#parts.body = h('div', { class: 'compare-body' });
        this.element = h(
            'div',
            { class: 'page page-compare' },
            h('h1', { class: 'offscreen' }, 'Compare traces'),
            h(
                'form',
                {
                    class: 'card trace-form',
                    'aria-label': 'Two sets of traces',
                    onsubmit: (event) => {
                        event.preventDefault();
                        this.#ask();
                    },
                },
                h(
                    'div',
                    { class: 'compare-fields' },
                    box('a', 'A: the usual ones'),
                    box('b', 'B: those to explain'),
                ),
                h(
                    'div',
                    { class: 'toolbar' },
                    h(
                        'label',
                        { class: 'field field-at' },
                        h('span', {}, 'A only before, B only after'),
                        this.#fields.at,
                    ),
                    h('button', { type: 'submit', class: 'button primary' }, 'Compare'),
                    h(
                        'button',
                        { type: 'button', class: 'button', onclick: () => this.#swap() },
                        'Swap',
                    ),
                    h('a', { class: 'button', href: store.href('traces') }, 'To the search'),
                ),
            ),
            this.#parts.problem,
            this.#parts.body,
        );
    }

    #fill() {
        const { params } = this.#context.store;
        for (const [name, field] of Object.entries(this.#fields))
            if (field !== document.activeElement) field.value = params[name] ?? '';
    }

    #ask() {
        const patch = {};
        for (const [name, field] of Object.entries(this.#fields))
            patch[name] = field.value.trim() || null;
        this.#context.store.go(patch);
    }

    #swap() {
        const { a, b } = this.#context.store.params;
        this.#context.store.go({ a: b ?? null, b: a ?? null });
    }

    /* The parameters of the question; a sentence when they are none. */
    #question() {
        const { store } = this.#context;
        const { a, b, at } = store.params;
        const { from, to } = store.view();
        const pairs = [
            ['a', a],
            ['b', b || a],
            ['limit', LIMIT],
        ];
        if (!at) {
            if (!b) return { problem: 'Say what B is, or the moment that divides A.' };
            return { pairs: [...pairs, ['start', from / 1000], ['end', to / 1000]] };
        }
        const moment = parseMoment(at, serverNow());
        if (moment === null) return { problem: `“${at}” is no moment such as 14:30 or -20m.` };
        if (moment <= from || moment >= to)
            return {
                problem: `${formatDateTime(moment)} lies outside of the time that is looked at.`,
            };
        return {
            pairs: [
                ...pairs,
                ['a_start', from / 1000],
                ['a_end', moment / 1000],
                ['b_start', moment / 1000],
                ['b_end', to / 1000],
            ],
        };
    }

    async #load() {
        this.#abort?.abort();
        this.#abort = new AbortController();
        const { signal } = this.#abort;
        if (!this.#context.store.params.a) {
            setText(this.#parts.problem, '');
            this.#parts.body.replaceChildren(this.#start());
            return;
        }
        const { pairs, problem } = this.#question();
        setText(this.#parts.problem, problem ?? '');
        if (problem) {
            this.#parts.body.replaceChildren();
            return;
        }
        this.element.setAttribute('aria-busy', 'true');
        try {
            const answer = await tracesCompare(pairs, { signal });
            if (signal.aborted) return;
            this.#show(answer);
        } catch (error) {
            if (isAbort(error)) return;
            setText(this.#parts.problem, `${error.message} ${error.hint ?? ''}`.trim());
            this.#parts.body.replaceChildren();
        }
        this.element.removeAttribute('aria-busy');
    }

    #start() {
        const { store } = this.#context;
        return h(
            'section',
            { class: 'card examples' },
            h('h2', {}, 'Two sets to start from'),
            h(
                'ul',
                {},
                ...EXAMPLES.map(([title, a, b]) =>
                    h(
                        'li',
                        {},
                        h(
                            'a',
                            { href: store.href('compare', { a, b }) },
                            h('span', {}, title),
                            h('code', {}, `${a}  ↔  ${b}`),
                        ),
                    ),
                ),
            ),
        );
    }

    #show(answer) {
        const { store } = this.#context;
        const parts = [this.#sets(answer)];
        if (answer.findings.length > 0)
            parts.push(findingList(answer.findings, { href: (q) => store.href('traces', { q }) }));
        parts.push(this.#spans(answer), this.#attributes(answer));
        this.#parts.body.replaceChildren(h('div', { class: 'compare-done' }, ...parts));
    }

    #sets({ a, b, duration }) {
        const column = (name, set) =>
            h(
                'div',
                { class: `card compare-set compare-${name.toLowerCase()}` },
                h(
                    'h2',
                    {},
                    h('span', { class: 'compare-badge' }, name),
                    `${set.traces.toLocaleString('en')} traces${set.is_cut ? ', the newest' : ''}`,
                ),
                h('code', {}, set.query),
                h(
                    'dl',
                    { class: 'facts' },
                    ...[
                        ['Median', nanoseconds(set.median_ns)],
                        ['p95', nanoseconds(set.p95_ns)],
                        ['With errors', set.errors > 0 ? `✕ ${set.errors}` : '0'],
                        ['Spans each', set.spans === undefined ? '–' : significant(set.spans)],
                    ].map(([term, text]) => h('div', {}, h('dt', {}, term), h('dd', {}, text))),
                ),
                set.trace_ids.length > 0
                    ? h(
                          'p',
                          { class: 'compare-examples' },
                          'Look at ',
                          ...set.trace_ids
                              .slice(0, 3)
                              .flatMap((id, at) => [
                                  at > 0 ? ', ' : '',
                                  h(
                                      'a',
                                      { href: this.#context.store.href('trace', { id }) },
                                      id.slice(0, 8),
                                  ),
                              ]),
                      )
                    : null,
            );
        return h(
            'div',
            {},
            h('div', { class: 'compare-sets' }, column('A', a), column('B', b)),
            h('p', { class: 'compare-sentence' }, differenceSentence(a, b, duration)),
        );
    }

    #spans({ spans }) {
        if (spans.length === 0) return h('p', { class: 'table-note' }, 'No span tells them apart.');
        const most = Math.max(...spans.map(({ difference_ns }) => Math.abs(difference_ns)), 1);
        const row = (span) => {
            const { service, name, a_ns, b_ns, difference_ns, a_calls, b_calls, share } = span;
            return h(
                'tr',
                {},
                h('td', { class: 'text' }, h('small', {}, service), ' ', name),
                h('td', { class: 'number' }, nanoseconds(a_ns)),
                h('td', { class: 'number' }, nanoseconds(b_ns)),
                h('td', {}, differenceBar(difference_ns / most, signed(difference_ns))),
                h(
                    'td',
                    { class: 'number' },
                    Math.abs(share ?? 0) < SHARE_MIN ? '–' : percent(share),
                ),
                h('td', { class: 'number' }, `${significant(a_calls)} → ${significant(b_calls)}`),
                h('td', { class: 'number' }, chance(span.p_adjusted)),
            );
        };
        return this.#table(
            'Spans: where the time differs',
            'Means per trace on the critical path.',
            ['Span', '#A', '#B', 'B less A', '#Of all', '#Calls', '#p'],
            spans,
            row,
        );
    }

    #attributes({ attributes, attributes_tested, attributes_left_out }) {
        if (attributes.length === 0)
            return h('p', { class: 'table-note' }, 'No attribute tells them apart.');
        const { store } = this.#context;
        const row = (one) => {
            const { key, value, service, a_share, b_share, difference, a_traces, b_traces } = one;
            return h(
                'tr',
                {},
                h(
                    'td',
                    { class: 'text' },
                    h('small', {}, service ? `${service} ` : ''),
                    h(
                        'a',
                        { href: store.href('traces', { tags: spellTags([{ key, value }]) }) },
                        h('code', {}, `${key} = ${value}`),
                    ),
                ),
                h('td', { class: 'number', title: `${a_traces} traces` }, percent(a_share)),
                h('td', { class: 'number', title: `${b_traces} traces` }, percent(b_share)),
                h(
                    'td',
                    {},
                    differenceBar(
                        difference,
                        `${difference > 0 ? '+' : '−'}${percent(Math.abs(difference))}`,
                    ),
                ),
                h('td', { class: 'number' }, chance(one.p_adjusted)),
            );
        };
        const left = attributes_left_out > 0 ? `, ${attributes_left_out} left out` : '';
        return this.#table(
            'Attributes: what they have that the others have not',
            `Share of traces with the value. ${attributes_tested ?? attributes.length} tested${left}; p by Fisher’s exact test, adjusted for their number.`,
            ['Attribute', '#A', '#B', 'B less A', '#p'],
            attributes,
            row,
        );
    }

    #table(title, note, columns, items, row) {
        const body = h('tbody', {}, ...items.slice(0, ROWS_FIRST).map(row));
        const more =
            items.length > ROWS_FIRST
                ? h(
                      'button',
                      {
                          type: 'button',
                          class: 'button',
                          onclick: () => {
                              body.replaceChildren(...items.map(row));
                              more.remove();
                          },
                      },
                      `${ROWS_FIRST} of ${items.length} shown. Show all`,
                  )
                : null;
        return h(
            'section',
            { class: 'card compare-table', 'aria-label': title },
            h('header', { class: 'panel-head' }, h('h2', {}, title)),
            h('p', { class: 'table-note' }, note),
            h(
                'div',
                { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': title },
                h(
                    'table',
                    { class: 'numbers' },
                    h(
                        'thead',
                        {},
                        h(
                            'tr',
                            {},
                            ...columns.map((name) =>
                                name.startsWith('#')
                                    ? h('th', { scope: 'col', class: 'number' }, name.slice(1))
                                    : h('th', { scope: 'col', class: 'text' }, name),
                            ),
                        ),
                    ),
                    body,
                ),
            ),
            more,
        );
    }
}

/* From the middle to the right when B has more, to the left when less; -1 … 1. */
function differenceBar(share, text) {
    const bar = h('span', {
        class: share >= 0 ? 'difference-bar is-more' : 'difference-bar is-less',
    });
    bar.style.width = `${Math.min(1, Math.abs(share)) * 50}%`;
    return h(
        'span',
        { class: 'difference' },
        h('span', {}, text),
        h('span', { class: 'difference-room' }, bar),
    );
}

function differenceSentence(a, b, { shift_ns, low_ns, high_ns, p }) {
    if (a.traces === 0 || b.traces === 0)
        return `There are no traces in ${a.traces === 0 ? 'A' : 'B'}: widen the time or the question.`;
    if (shift_ns === null || shift_ns === undefined)
        return 'Too few traces to say how they differ.';
    const way = shift_ns >= 0 ? 'longer' : 'shorter';
    const range =
        low_ns === null || low_ns === undefined
            ? ''
            : ` (95 %: ${signed(low_ns)} to ${signed(high_ns)})`;
    const sure =
        p === null || p === undefined
            ? ''
            : p < 0.05
              ? `, p ${chance(p)}`
              : `; it may be chance, p ${chance(p)}`;
    return `A trace of B typically takes ${formatSeconds(Math.abs(shift_ns) / 1e9)} ${way} than one of A${range}${sure}.`;
}
