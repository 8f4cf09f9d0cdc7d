/* SPDX-License-Identifier: Apache-2.0 */

/* services - how the services do: promises and journeys, every operation with the worst on top,
 * and how long calls take as a heatmap. Filter, sort and service are in the address. */
import { services } from '../api.js';
import { h, icon, setText, withCode } from '../dom.js';
import { formatDateTime } from '../format.js';
import { tracesParams } from '../heat.js';
import { HeatPanel } from '../heat_panel.js';
import { Poll } from '../poll.js';
import { ServiceTable } from '../service_table.js';
import { filterOperations, operationRows, SORTS, sortOperations } from '../services.js';
import { numberTiles, Tiles } from '../tiles.js';
import { formatHash } from '../url_state.js';
import { Verdict } from '../verdict.js';

const PERIOD_MS = 1000;
const TREND_STEPS = 40;
const ROWS_MAX = 100;

const EMPTY = [
    'No service has called in yet. Send OpenTelemetry traces to this address, or add two lines to a program:',
    '`profiler = sonde.PerformanceProfiler()`',
    '`with profiler.timer("retrieval"): …`',
];

export class ServicesPage {
    #context;
    #poll;
    #answer = null;
    #all = false;
    #verdict;
    #tiles = new Tiles();
    #table;
    #heat;
    #parts;

    element;

    constructor(context) {
        this.#context = context;
        this.#verdict = new Verdict({ href: (line) => this.#operationHref(line) });
        this.#table = new ServiceTable({
            on_sort: (key) => this.#sortBy(key),
            on_open: ({ service, operation }) =>
                context.store.goPage('operation', { service, operation }),
            href: (row) => this.#operationHref(row),
        });
        this.#heat = new HeatPanel(
            {
                id: 'services-heat',
                title: 'How long calls take',
                href: (selection) => this.#tracesHref(selection),
            },
            context,
        );
        this.#parts = this.#build();
        this.#poll = new Poll({
            period_ms: PERIOD_MS,
            ask: (signal) => this.#ask(signal),
            on_error: (error) => this.#showOutage(error),
        });
        this.#poll.now();
    }

    destroy() {
        this.#poll.destroy();
        this.#heat.destroy();
    }

    update({ moved, params, before }) {
        const { filter } = this.#parts;
        if (filter.value !== (params.q ?? '')) filter.value = params.q ?? '';
        this.#heat.showMode();
        if (moved || params.service !== before.service) this.#poll.now();
        this.#draw();
    }

    search() {
        this.#parts.filter.focus();
        this.#parts.filter.select();
    }

    escape() {
        if (this.#heat.escape()) return true;
        if (!this.#context.store.params.service) return false;
        this.#context.store.go({ service: null });
        return true;
    }

    #build() {
        const { store } = this.#context;
        const parts = {
            filter: h('input', {
                type: 'search',
                class: 'filter',
                placeholder: 'Filter by service or operation',
                'aria-label': 'Filter operations',
                autocomplete: 'off',
                spellcheck: 'false',
                oninput: () => store.adjust({ q: parts.filter.value }),
            }),
            worst: h(
                'button',
                { type: 'button', class: 'button', onclick: () => store.adjust({ sort: null }) },
                'Worst first',
            ),
            services: h('div', { class: 'chips', role: 'group', 'aria-label': 'Service' }),
            note: h('p', { class: 'table-note', role: 'status' }),
            more: h('button', {
                type: 'button',
                class: 'button',
                hidden: true,
                onclick: () => this.#showAll(),
            }),
            empty: h(
                'div',
                { class: 'card services-empty', hidden: true },
                ...EMPTY.map((line) => h('p', {}, ...withCode(line))),
            ),
            filled: h('div', { class: 'services-filled', hidden: true }),
            outage: h('div', { class: 'finding finding-unknown', role: 'alert', hidden: true }),
        };
        parts.filter.value = store.params.q ?? '';
        parts.filled.append(
            this.#verdict.element,
            this.#tiles.element,
            this.#heat.element,
            h('div', { class: 'toolbar' }, parts.filter, parts.worst, parts.services),
            h('div', { class: 'card table-scroll' }, this.#table.element),
            h('div', { class: 'table-foot' }, parts.note, parts.more),
        );
        this.element = h(
            'div',
            { class: 'page page-services' },
            h('h1', { class: 'offscreen' }, 'Services'),
            parts.outage,
            parts.empty,
            parts.filled,
        );
        return parts;
    }

    async #ask(signal) {
        const { store } = this.#context;
        const view = store.view();
        const service = store.params.service;
        const [answer] = await Promise.all([
            services({
                range_ms: view.to - view.from,
                end_ms: view.live ? undefined : view.to,
                trend: TREND_STEPS,
                signal,
            }),
            this.#heat.refresh({ service }, signal),
        ]);
        this.#answer = answer;
        this.#parts.outage.hidden = true;
        this.#draw();
        return view.live;
    }

    /* The old numbers stay, and are said to be old. */
    #showOutage({ message, hint }) {
        const { outage } = this.#parts;
        const still = this.#answer
            ? ` These numbers are of ${formatDateTime(this.#answer.to_ms)}.`
            : '';
        outage.replaceChildren(
            icon('info'),
            h(
                'div',
                {},
                h('h2', {}, message),
                h('p', { class: 'evidence' }, ...withCode(`${hint ?? ''}${still}`)),
            ),
        );
        outage.hidden = false;
    }

    #sortState() {
        const { sort = '' } = this.#context.store.params;
        return { key: sort.replace(/^-/, ''), descending: sort.startsWith('-') };
    }

    /* Numbers are first wanted large, words from A. Again the same head: the other way. */
    #sortBy(key) {
        const now = this.#sortState();
        const descending = now.key === key ? !now.descending : !SORTS[key].text;
        this.#context.store.adjust({ sort: `${descending ? '-' : ''}${key}` });
    }

    #draw() {
        if (!this.#answer) return;
        const { q, service } = this.#context.store.params;
        const { key, descending } = this.#sortState();
        const { empty, filled, worst } = this.#parts;
        const rows = operationRows(this.#answer);
        empty.hidden = rows.length > 0 || this.#answer.verdict.promised;
        filled.hidden = !empty.hidden;
        worst.setAttribute('aria-pressed', String(!SORTS[key]));
        const matching = sortOperations(
            filterOperations(rows, { text: q, service }),
            key,
            descending,
        );
        const shown = this.#all ? matching : matching.slice(0, ROWS_MAX);
        this.#table.showSort(key, descending);
        this.#table.draw(shown);
        this.#verdict.draw(this.#answer.verdict, { service });
        this.#drawServices(service);
        this.#drawTotals(service);
        this.#showCounts(shown.length, matching.length, rows.length);
    }

    #drawTotals(service) {
        const total = this.#answer.services.find((candidate) => candidate.service === service);
        this.#tiles.draw(numberTiles(service ? total : this.#answer.all));
        this.#heat.setTitle(
            service ? `How long calls of ${service} take` : 'How long calls take, all services',
        );
    }

    /* One button a service, for those who have few; the filter serves the others. */
    #drawServices(chosen) {
        const names = this.#answer.services.map(({ service }) => service);
        const said = JSON.stringify([names, chosen]);
        const host = this.#parts.services;
        if (host.dataset.said === said) return;
        host.dataset.said = said;
        const focused = document.activeElement?.dataset?.service;
        host.replaceChildren(
            ...(names.length < 2 && !chosen ? [] : names).map((name) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'button',
                        'data-service': name,
                        'aria-pressed': String(name === chosen),
                        onclick: () =>
                            this.#context.store.go({ service: name === chosen ? null : name }),
                    },
                    name,
                ),
            ),
        );
        if (focused) [...host.children].find(({ dataset }) => dataset.service === focused)?.focus();
    }

    #showCounts(shown, matching, total) {
        const { note, more } = this.#parts;
        const words =
            matching === total
                ? `${total} operation${total === 1 ? '' : 's'}`
                : `${matching} of ${total} operations match`;
        const cut = this.#answer.is_cut ? '; there are more than can be told' : '';
        this.#say(matching === 0 && total > 0 ? 'No operation matches this filter.' : words + cut);
        more.hidden = shown === matching;
        setText(more, `${shown} of ${matching} shown. Show all`);
        note.dataset.total = String(total);
    }

    #showAll() {
        this.#all = true;
        this.#draw();
    }

    #say(text) {
        setText(this.#parts.note, text);
    }

    #operationHref({ service, operation }) {
        return this.#context.store.href('operation', { service, operation });
    }

    #tracesHref(selection) {
        const { service } = this.#context.store.params;
        return formatHash({ page: 'traces', params: tracesParams({ service }, selection) });
    }
}
