/* SPDX-License-Identifier: Apache-2.0 */

/* span_detail - everything about one span: where its time went, what it carries, what it said, and
 * where it leads. What the columns know shows at once; the rest is asked when the span is opened. */
import { isAbort, spanDetail } from './api.js';
import { copyText, h, iconButton, setText } from './dom.js';
import { formatBytes, formatDateTime, formatSeconds } from './format.js';
import {
    hasRepeatedId,
    isError,
    KINDS,
    kindOf,
    nameOf,
    serviceOf,
    spanId,
} from './trace_columns.js';
import { eventQuery, spellDurationNs, spellTags } from './trace_search.js';

const VALUE_CHARS_MAX = 400; /* Longer ones are cut until someone wants the rest. */
const ROWS_MAX = 200; /* Attributes, events or logs of one list. */

const percent = (part, whole) => (whole > 0 ? `${((part / whole) * 100).toFixed(1)} %` : '–');

/* Lists and maps as JSON, the rest as it is. */
const valueText = (value) =>
    value !== null && typeof value === 'object' ? JSON.stringify(value, null, 1) : String(value);

export class SpanDetail {
    #context;
    #options;
    #abort = null;
    #shown = null;

    element = h('aside', { class: 'span-detail card', 'aria-label': 'Span', hidden: true });

    /* options: { on_close(), on_row(row), on_zoom(row) } */
    constructor(context, options) {
        this.#context = context;
        this.#options = options;
    }

    destroy() {
        this.#abort?.abort();
    }

    hide() {
        this.#abort?.abort();
        this.#shown = null;
        this.element.hidden = true;
        this.element.replaceChildren();
    }

    /* state: { trace, tree, path } */
    show(state, row) {
        const key = `${state.trace.trace_id} ${row} ${state.path ? 'path' : ''}`;
        if (this.#shown === key) return;
        this.#shown = key;
        this.#abort?.abort();
        this.#abort = new AbortController();
        const more = h('div', { class: 'span-more', 'aria-busy': 'true' });
        this.element.hidden = false;
        this.element.replaceChildren(
            this.#head(state, row),
            this.#facts(state, row),
            this.#steps(state, row),
            more,
        );
        this.element.scrollTop = 0;
        void this.#load(state, row, more, this.#abort.signal);
    }

    #head({ trace }, row) {
        return h(
            'header',
            { class: 'detail-head' },
            h(
                'div',
                {},
                h('p', { class: 'span-service' }, serviceOf(trace, row)),
                h('h2', {}, nameOf(trace, row) || '(no name)'),
            ),
            iconButton('close', 'Close the span (Esc)', this.#options.on_close),
        );
    }

    #facts({ trace, tree, path }, row) {
        const whole = tree.to - tree.from;
        const ns = trace.duration[row];
        const facts = [
            ['Duration', `${formatSeconds(ns / 1e9)} · ${percent(tree.duration[row], whole)}`],
            ['Own time', `${formatSeconds(tree.self[row] / 1e9)}`],
            ['Starts at', formatSeconds((tree.start[row] - tree.from) / 1e9)],
            ['Kind', KINDS[kindOf(trace, row)] || 'unspecified'],
            ['Status', isError(trace, row) ? '✕ error' : 'no error'],
        ];
        if (path) {
            const own = path.own[row];
            const words = `${formatSeconds(own / 1e9)} · ${percent(own, whole)}`;
            facts.push(['Critical', path.on[row] ? words : 'not on the path']);
        }
        return h(
            'div',
            {},
            h(
                'dl',
                { class: 'facts' },
                ...facts.map(([name, value]) =>
                    h('div', {}, h('dt', {}, name), h('dd', {}, value)),
                ),
            ),
            ...this.#flaws(trace, tree, row).map((text) => h('p', { class: 'span-flaw' }, text)),
        );
    }

    #flaws(trace, tree, row) {
        const words = [];
        const shift = tree.shift?.[row] ?? 0;
        if (shift !== 0) {
            const way = shift > 0 ? 'later' : 'earlier';
            const size = formatSeconds(Math.abs(shift) / 1e9);
            words.push(`⇆ Drawn ${size} ${way} than sent: the clock of its host differs.`);
        }
        if (trace.duration[row] < 0) words.push('It ends before it starts; drawn as a point.');
        if (trace.parent[row] === -2) words.push('Its parent has not arrived.');
        if (trace.parent[row] >= 0 && tree.parent[row] === -1)
            words.push('Its parents form a circle, which is cut here.');
        if (hasRepeatedId(trace, row)) words.push('An earlier span has the same id.');
        return words;
    }

    /* To the caller, the slowest call, and the questions that begin here. */
    #steps(state, row) {
        const { trace, tree } = state;
        const { store } = this.#context;
        const button = (text, run) =>
            h('button', { type: 'button', class: 'button', onclick: run }, text);
        const steps = [button('Zoom to it (z)', () => this.#options.on_zoom(row))];
        if (tree.parent[row] >= 0)
            steps.push(button('Caller', () => this.#options.on_row(tree.parent[row])));
        const slowest = slowestChild(tree, row);
        if (slowest >= 0) steps.push(button('Slowest call', () => this.#options.on_row(slowest)));
        const like = { service: serviceOf(trace, row), operation: nameOf(trace, row) };
        steps.push(
            h('a', { class: 'button', href: store.href('traces', like) }, 'Others like it'),
            h(
                'a',
                {
                    class: 'button',
                    href: store.href('traces', {
                        ...like,
                        minDuration: spellDurationNs(trace.duration[row] * 0.8),
                    }),
                },
                'As slow as this',
            ),
        );
        return h('div', { class: 'span-steps' }, ...steps);
    }

    async #load(state, row, place, signal) {
        const { trace } = state;
        try {
            const answer = await spanDetail(trace.trace_id, spanId(trace, row), { signal });
            if (signal.aborted) return;
            place.replaceChildren(...this.#more(state, row, answer));
        } catch (error) {
            if (isAbort(error)) return;
            place.replaceChildren(h('p', { class: 'error-note' }, error.message));
        }
        place.removeAttribute('aria-busy');
    }

    #more(state, row, { spans, logs }) {
        const { trace } = state;
        /* Where several spans have the id, the one that starts where this row does. */
        const ns = Number(trace.start_ns) + trace.start[row];
        const near = (span) => Math.abs(span.start_ns - ns);
        const span = [...spans].sort((a, b) => near(a) - near(b))[0];
        if (!span) return [h('p', { class: 'table-note' }, 'Its attributes are gone.')];
        const parts = [];
        if (span.status_message)
            parts.push(h('p', { class: 'span-message' }, shortened(span.status_message)));
        parts.push(this.#table('Attributes', span.attributes, byTag));
        if (span.events?.length) parts.push(this.#events(state, row, 'Events', span.events, byEvent));
        if (logs.length) parts.push(this.#events(state, row, 'Logs', logs.map(logAsEvent)));
        if (span.links?.length) parts.push(this.#links(span.links));
        parts.push(this.#table('Resource', span.resource, byTag));
        parts.push(this.#ids(state, row, span));
        return parts;
    }

    /* ask: the parameters of a search for a pair, or nothing. */
    #table(title, values, ask) {
        const pairs = Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
        if (pairs.length === 0)
            return h('p', { class: 'table-note' }, `No ${title.toLowerCase()}.`);
        return h(
            'section',
            { class: 'span-part' },
            h('h3', {}, title),
            h(
                'dl',
                { class: 'span-attributes' },
                ...pairs
                    .slice(0, ROWS_MAX)
                    .map(([key, value]) => this.#attribute(key, valueText(value), ask)),
            ),
            pairs.length > ROWS_MAX
                ? h('p', { class: 'table-note' }, `${ROWS_MAX} of ${pairs.length} shown.`)
                : null,
        );
    }

    #attribute(key, text, ask) {
        const { store } = this.#context;
        const find =
            ask && text.length < 200
                ? h(
                      'a',
                      {
                          class: 'attribute-find',
                          href: store.href('traces', ask({ key, value: text })),
                          title: 'Find traces with this value',
                          'aria-label': `Find traces with ${key} = ${text}`,
                      },
                      '⌕',
                  )
                : null;
        return h('div', {}, h('dt', {}, key), h('dd', {}, shortened(text), find));
    }

    #events({ trace, tree }, row, title, events, ask) {
        const base = Number(trace.start_ns) + tree.from;
        const shift = tree.shift?.[row] ?? 0;
        return h(
            'section',
            { class: 'span-part' },
            h('h3', {}, `${title} (${events.length})`),
            ...events
                .slice(0, ROWS_MAX)
                .map((event) =>
                    h(
                        'details',
                        { class: 'span-event', open: events.length < 4 },
                        h(
                            'summary',
                            {},
                            h(
                                'time',
                                { title: formatDateTime(event.time_ns / 1e6) },
                                formatSeconds((event.time_ns - base + shift) / 1e9),
                            ),
                            h('span', {}, shortened(event.name)),
                        ),
                        this.#table('Attributes', event.attributes, ask),
                    ),
                ),
        );
    }

    #links(links) {
        const { store } = this.#context;
        return h(
            'section',
            { class: 'span-part' },
            h('h3', {}, `Links to other spans (${links.length})`),
            h(
                'ul',
                {},
                ...links
                    .slice(0, ROWS_MAX)
                    .map(({ trace_id, span_id }) =>
                        h(
                            'li',
                            {},
                            h(
                                'a',
                                { href: store.href('trace', { id: trace_id, span: span_id }) },
                                `Trace ${trace_id.slice(0, 8)}… span ${span_id}`,
                            ),
                        ),
                    ),
            ),
        );
    }

    #ids({ trace }, row, span) {
        const id = spanId(trace, row);
        const said = h('span', { class: 'table-note', role: 'status' });
        const copy = iconButton('copy', 'Copy the span id', async () => {
            try {
                await copyText(id);
                setText(said, 'Copied.');
            } catch (error) {
                setText(said, error.message);
            }
        });
        const scope = span.scope ? ` · made by ${span.scope}` : '';
        return h('p', { class: 'span-ids' }, h('code', {}, id), copy, said, scope);
    }
}

function slowestChild(tree, row) {
    let slowest = -1;
    for (let child = tree.first_child[row]; child >= 0; child = tree.next_sibling[child]) {
        if (slowest < 0 || tree.duration[child] > tree.duration[slowest]) slowest = child;
    }
    return slowest;
}

const byTag = (pair) => ({ tags: spellTags([pair]) });
const byEvent = (pair) => ({ q: eventQuery(pair) });

function logAsEvent({ time_ns, severity_text, body, attributes }) {
    const words = body === null ? '' : valueText(body);
    return { time_ns, name: `${severity_text ? `${severity_text} ` : ''}${words}`, attributes };
}

/* The beginning, and a button for the rest. */
function shortened(text) {
    if (text.length <= VALUE_CHARS_MAX) return text;
    const rest = h(
        'button',
        {
            type: 'button',
            class: 'link',
            onclick: (event) => event.target.parentElement.replaceChildren(text),
        },
        `show all ${formatBytes(text.length)}`,
    );
    return h('span', {}, `${text.slice(0, VALUE_CHARS_MAX)}… `, rest);
}
