/* SPDX-License-Identifier: Apache-2.0 */

/* service_map - who calls whom, as a drawing and as a table; in the address: service, the chosen
 * one. */
import { isAbort, queryInstant } from '../api.js';
import { serverNow } from '../clock.js';
import { h, setText } from '../dom.js';
import { formatCount, formatSeconds } from '../format.js';
import { formatRate, formatShare, MapView } from '../map_view.js';
import { difference, makeGraph, QUESTIONS } from '../service_graph.js';

const AGAIN_MS = 10000;

export class ServiceMapPage {
    #context;
    #map;
    #abort = null;
    #timer = null;
    #graph = { nodes: [], edges: [] };
    #parts;

    element;

    constructor(context) {
        this.#context = context;
        const { store } = context;
        this.#map = new MapView({
            on_choose: (name) => store.adjust({ service: name }),
            on_edge: (edge) => store.goPage('traces', this.#edgeQuestion(edge)),
        });
        this.#parts = {
            said: h('p', { class: 'traces-count', role: 'status' }, 'Asking …'),
            chosen: h('div', { class: 'map-chosen' }),
            table: h('div'),
            frame: h('section', { class: 'card map-card' }, this.#map.element),
        };
        this.element = h(
            'div',
            { class: 'page page-map' },
            h('h1', { class: 'offscreen' }, 'Service map'),
            h('div', { class: 'toolbar' }, this.#parts.said, this.#parts.chosen),
            this.#parts.frame,
            this.#parts.table,
        );
        void this.#load();
    }

    destroy() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#map.destroy();
    }

    update({ moved, params, before }) {
        if (moved) void this.#load();
        if (params.service !== before.service) this.#showChosen();
    }

    escape() {
        const { store } = this.#context;
        if (!store.params.service) return false;
        store.adjust({ service: null });
        return true;
    }

    async #load() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#abort = new AbortController();
        const { signal } = this.#abort;
        const view = this.#context.store.view();
        try {
            const answers = await this.#ask(view, signal);
            if (signal.aborted) return;
            this.#graph = makeGraph(answers, (view.to - view.from) / 1000);
            this.#show();
        } catch (error) {
            if (isAbort(error)) return;
            setText(this.#parts.said, `${error.message} ${error.hint ?? ''}`);
        }
        if (view.live) this.#wait();
    }

    #wait() {
        this.#timer = setTimeout(() => (document.hidden ? this.#wait() : this.#load()), AGAIN_MS);
    }

    /* Each question at both ends. */
    async #ask(view, signal) {
        const answers = {};
        const to = view.live ? undefined : view.to;
        const from = (view.live ? serverNow() : view.to) - (view.to - view.from);
        await Promise.all(
            Object.entries(QUESTIONS).map(async ([name, expr]) => {
                const [end, start] = await Promise.all([
                    queryInstant(expr, { time: to, signal }),
                    queryInstant(expr, { time: from, signal }),
                ]);
                answers[name] = difference(end.result, start.result);
            }),
        );
        return answers;
    }

    #show() {
        const { nodes, edges } = this.#graph;
        const { service } = this.#context.store.params;
        this.#parts.frame.hidden = nodes.length === 0;
        if (nodes.length === 0) {
            setText(this.#parts.said, '');
            this.#parts.chosen.replaceChildren();
            this.#parts.table.replaceChildren(
                h(
                    'div',
                    { class: 'card nothing' },
                    h('h2', {}, 'No service was called in this time.'),
                    h(
                        'p',
                        {},
                        'The map is drawn from spans. Point an OpenTelemetry SDK here, or choose a longer time.',
                    ),
                ),
            );
            return;
        }
        const failing = edges.filter(({ errors }) => errors > 0).length;
        const words = [
            `${nodes.length} ${nodes.length === 1 ? 'service' : 'services'}`,
            `${edges.length} ${edges.length === 1 ? 'connection' : 'connections'}`,
        ];
        if (failing > 0) words.push(`✕ ${failing} with errors`);
        setText(this.#parts.said, words.join(' · '));
        this.#map.show(this.#graph, service ?? null);
        this.#showChosen();
        this.#showTable();
    }

    #showChosen() {
        const { store } = this.#context;
        const { service } = store.params;
        const node = this.#graph.nodes.find(({ name }) => name === service);
        this.#map.choose(node ? service : null);
        if (!node) {
            this.#parts.chosen.replaceChildren();
            return;
        }
        this.#parts.chosen.replaceChildren(
            h('strong', {}, node.name),
            h('a', { class: 'button', href: store.href('traces', { service }) }, 'Its traces'),
            h(
                'a',
                {
                    class: 'button',
                    href: store.href('traces', { service, sort: 'slowest' }),
                },
                'The slowest',
            ),
            node.errors > 0
                ? h(
                      'a',
                      { class: 'button', href: store.href('traces', { service, status: 'error' }) },
                      'With errors',
                  )
                : '',
        );
    }

    /* The calls of an edge: of a database its caller's spans, else the called service below it. */
    #edgeQuestion({ from, to, kind }) {
        if (kind) return { service: from };
        const literal = (text) => JSON.stringify(text);
        return {
            q: `{ resource.service.name = ${literal(from)} } > { resource.service.name = ${literal(to)} }`,
        };
    }

    #showTable() {
        const { edges } = this.#graph;
        const { store } = this.#context;
        const sorted = [...edges].sort(
            (a, b) => b.rate - a.rate || (a.from < b.from ? -1 : 1) || (a.to < b.to ? -1 : 1),
        );
        const head = (text, number) =>
            h('th', { scope: 'col', class: number ? 'number' : 'text' }, text);
        this.#parts.table.replaceChildren(
            h(
                'section',
                { class: 'card', 'aria-labelledby': 'map-table-title' },
                h(
                    'header',
                    { class: 'panel-head' },
                    h('h2', { id: 'map-table-title' }, 'Connections'),
                ),
                h(
                    'div',
                    {
                        class: 'table-scroll',
                        tabindex: '0',
                        role: 'region',
                        'aria-label': 'Connections',
                    },
                    h(
                        'table',
                        { class: 'numbers map-table' },
                        h(
                            'thead',
                            {},
                            h(
                                'tr',
                                {},
                                head('From'),
                                head('To'),
                                head('Rate', true),
                                head('Calls', true),
                                head('Errors', true),
                                head('p95', true),
                                head('Traces'),
                            ),
                        ),
                        h(
                            'tbody',
                            {},
                            ...sorted.map((edge) =>
                                h(
                                    'tr',
                                    {},
                                    h('td', { class: 'text' }, edge.from),
                                    h(
                                        'td',
                                        { class: 'text' },
                                        edge.to,
                                        edge.kind ? h('small', {}, ` ${edge.kind}`) : '',
                                    ),
                                    h('td', { class: 'number' }, formatRate(edge.rate)),
                                    h('td', { class: 'number' }, formatCount(edge.calls)),
                                    h(
                                        'td',
                                        { class: edge.errors > 0 ? 'number has-errors' : 'number' },
                                        edge.errors > 0
                                            ? `✕ ${formatShare(edge.error_share)}`
                                            : '0 %',
                                    ),
                                    h(
                                        'td',
                                        { class: 'number' },
                                        edge.p95_s === null ? '–' : formatSeconds(edge.p95_s),
                                    ),
                                    h(
                                        'td',
                                        {},
                                        h(
                                            'a',
                                            {
                                                href: store.href(
                                                    'traces',
                                                    this.#edgeQuestion(edge),
                                                ),
                                            },
                                            'open',
                                        ),
                                    ),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        );
    }
}
