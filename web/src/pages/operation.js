/* SPDX-License-Identifier: Apache-2.0 */

/* operation - one operation of a service: its figures and promises, calls, failures and durations
 * over time, and what its traces say: why calls fail, which were slow, what was noted with them,
 * and what a model call costs. */
import { searchSpans, services } from '../api.js';
import { h, icon, setText } from '../dom.js';
import {
    DASH,
    formatCount,
    formatDateTime,
    formatSeconds,
    formatValue,
    significant,
} from '../format.js';
import { tracesParams } from '../heat.js';
import { HeatPanel } from '../heat_panel.js';
import { Panel } from '../panel.js';
import { Poll } from '../poll.js';
import { errorKinds, metadataSeen, modelFigures } from '../services.js';
import { numberTiles, Tiles } from '../tiles.js';
import { formatHash } from '../url_state.js';
import { Verdict } from '../verdict.js';
import { operationPanels } from './operation_panels.js';

const PERIOD_MS = 1000;
const TRACES_PERIOD_MS = 5000;
const SPANS_ASKED = 400;
const SLOW_SHOWN = 12;

const NO_TRACES =
    'No trace of it was kept in this range. Spans sent by OpenTelemetry, or by libsonde’s spans, show here.';

/* From which duration on a call is among the slowest, such that there are a few dozen of them. */
function slowFrom(numbers) {
    if (!numbers) return null;
    const { count, p95_ms, p99_ms, p999_ms } = numbers;
    if (count >= 1000 * SLOW_SHOWN) return p999_ms;
    return count >= 100 * SLOW_SHOWN ? p99_ms : p95_ms;
}

export class OperationPage {
    #context;
    #poll;
    #traces_poll;
    #verdict;
    #tiles = new Tiles();
    #model_tiles = new Tiles();
    #heat;
    #panels = [];
    #panels_of = '';
    #slow_ms; /* undefined: not known yet. */
    #parts;

    element;

    constructor(context) {
        this.#context = context;
        this.#verdict = new Verdict({ href: () => context.store.href('operation', this.#names()) });
        this.#heat = new HeatPanel(
            {
                id: 'operation-heat',
                title: 'How long calls take, over time',
                href: (selection) => this.#tracesHref(selection),
            },
            context,
        );
        this.#parts = this.#build();
        this.#poll = this.#poller(PERIOD_MS, (signal) => this.#askNumbers(signal));
        this.#traces_poll = this.#poller(TRACES_PERIOD_MS, (signal) => this.#askTraces(signal));
        this.#showNames();
        this.#ask();
    }

    destroy() {
        this.#poll.destroy();
        this.#traces_poll.destroy();
        this.#heat.destroy();
        for (const panel of this.#panels) panel.destroy();
    }

    update({ moved, params, before }) {
        const other = params.service !== before.service || params.operation !== before.operation;
        if (other) this.#showNames();
        if (moved || other) this.#ask();
        this.#heat.showMode();
        for (const panel of this.#panels) {
            if (moved) panel.refresh();
            panel.showMode();
        }
    }

    escape() {
        return this.#heat.escape();
    }

    #poller(period_ms, ask) {
        return new Poll({
            period_ms,
            ask,
            on_error: (error) => setText(this.#parts.note, `${error.message} ${error.hint ?? ''}`),
        });
    }

    #ask() {
        this.#poll.now();
        this.#traces_poll.stop();
        this.#slow_ms = undefined;
    }

    #names() {
        const { service = '', operation = '' } = this.#context.store.params;
        return { service, operation };
    }

    #build() {
        const parts = {
            back: h('a', { class: 'back' }, icon('back'), 'Services'),
            name: h('h1', {}),
            service: h('a', {}),
            note: h('p', { class: 'table-note', role: 'status' }),
            panels: h('div', { class: 'panels' }),
            errors: h('ul', { class: 'bars' }),
            errors_note: h('p', { class: 'table-note' }),
            slow: h('tbody'),
            slow_note: h('p', { class: 'table-note' }),
            metadata: h('dl', { class: 'metadata' }),
            model_note: h('p', { class: 'table-note' }),
        };
        parts.model = this.#section('Model calls', this.#model_tiles.element, parts.model_note);
        parts.model.hidden = true;
        parts.metadata_card = this.#section('Noted with the calls', parts.metadata);
        this.element = h(
            'div',
            { class: 'page page-operation' },
            h('header', { class: 'operation-head' }, parts.back, parts.name, parts.service),
            parts.note,
            this.#verdict.element,
            this.#tiles.element,
            parts.panels,
            this.#heat.element,
            parts.model,
            h(
                'div',
                { class: 'operation-traces' },
                this.#section('Why calls failed', parts.errors, parts.errors_note),
                this.#section('Slowest traces', this.#slowTable(parts.slow), parts.slow_note),
            ),
            parts.metadata_card,
        );
        return parts;
    }

    #section(title, ...content) {
        return h('section', { class: 'card operation-card' }, h('h2', {}, title), ...content);
    }

    #slowTable(body) {
        const head = (name, look) => h('th', { scope: 'col', class: look }, name);
        return h(
            'div',
            { class: 'table-scroll' },
            h(
                'table',
                {},
                h('caption', { class: 'offscreen' }, 'Slowest traces, longest first'),
                h(
                    'thead',
                    {},
                    h(
                        'tr',
                        {},
                        head('Took', 'number'),
                        head('Began'),
                        head('Outcome'),
                        head('Trace', 'wide-only'),
                    ),
                ),
                body,
            ),
        );
    }

    #showNames() {
        const { service, operation } = this.#names();
        const { store } = this.#context;
        setText(this.#parts.name, operation || 'No operation is named in the address');
        setText(this.#parts.service, service);
        this.#parts.service.href = store.href('services', { service });
        this.#parts.back.href = store.href('services');
    }

    async #askNumbers(signal) {
        const view = this.#context.store.view();
        const names = this.#names();
        const [answer] = await Promise.all([
            services({
                range_ms: view.to - view.from,
                end_ms: view.live ? undefined : view.to,
                signal,
            }),
            this.#heat.refresh(names, signal),
        ]);
        const total = answer.services.find(({ service }) => service === names.service);
        const numbers = total?.operations.find(({ operation }) => operation === names.operation);
        this.#tiles.draw(numberTiles(numbers));
        const first = this.#slow_ms === undefined; /* The slowest can be asked for only now. */
        this.#slow_ms = slowFrom(numbers);
        if (first) this.#traces_poll.now();
        this.#showVerdict(answer.verdict, names, numbers);
        this.#showPanels(names, numbers);
        setText(this.#parts.note, numbers ? '' : 'It was not called in this range.');
        return view.live;
    }

    /* Here, what a journey promises of the operation is one promise among the others. */
    #showVerdict(verdict, names, numbers) {
        const lines = verdict.lines
            .filter(
                ({ service, operation, status }) =>
                    service === names.service && operation === names.operation && status !== 'kept',
            )
            .map((line) => ({ ...line, journey: undefined }));
        const broken_count = lines.filter(({ status }) => status === 'broken').length;
        this.#verdict.element.hidden = !numbers?.promise && lines.length === 0;
        this.#verdict.draw({ ...verdict, lines, broken_count }, names);
    }

    /* The charts are made once it is known who tells of the operation and what was promised. */
    #showPanels(names, numbers) {
        if (!numbers) return;
        const of = { ...names, told_by: numbers.told_by, targets: numbers.targets ?? {} };
        const said = JSON.stringify(of);
        if (said === this.#panels_of) return;
        this.#panels_of = said;
        for (const panel of this.#panels) panel.destroy();
        this.#panels = operationPanels(of).map((spec) => new Panel(spec, this.#context));
        this.#parts.panels.replaceChildren(...this.#panels.map(({ element }) => element));
    }

    /* ---- What its traces say. ---- */

    async #askTraces(signal) {
        const view = this.#context.store.view();
        const { service, operation } = this.#names();
        const question = {
            service,
            name: operation,
            start_ms: view.from,
            end_ms: view.to,
            limit: SPANS_ASKED,
            signal,
        };
        const slower = this.#slow_ms ? { min_duration: `${this.#slow_ms.toFixed(3)}ms` } : {};
        const [newest, slow, failed] = await Promise.all([
            searchSpans(question),
            searchSpans({ ...question, ...slower }),
            searchSpans({ ...question, status: 'error' }),
        ]);
        this.#showErrors(failed);
        this.#showSlow(slow);
        this.#showMetadata(newest);
        this.#showModel(newest);
        return view.live;
    }

    #showErrors(spans) {
        const kinds = errorKinds(spans);
        const most = kinds[0]?.count ?? 1;
        this.#parts.errors.replaceChildren(
            ...kinds.slice(0, 10).map(({ kind, count, said }) => {
                const bar = h('span', { class: 'bar-line', 'aria-hidden': 'true' });
                bar.style.width = `${(count / most) * 100}%`;
                return h(
                    'li',
                    {},
                    h('strong', {}, kind),
                    h('span', { class: 'bar-count' }, formatCount(count)),
                    h('span', { class: 'bar-said' }, said),
                    bar,
                );
            }),
        );
        setText(
            this.#parts.errors_note,
            spans.length === 0
                ? 'No kept trace of it failed in this range.'
                : `Of the newest ${spans.length} kept traces that failed.`,
        );
    }

    #showSlow(spans) {
        const slow = [...spans].sort((a, b) => b.duration_ns - a.duration_ns).slice(0, SLOW_SHOWN);
        this.#parts.slow.replaceChildren(...slow.map((span) => this.#slowRow(span)));
        setText(this.#parts.slow_note, slow.length === 0 ? NO_TRACES : '');
    }

    #slowRow({ trace_id, span_id, start_ns, duration_ns, status, status_message }) {
        const failed = status === 'error';
        const href = formatHash({ page: 'trace', params: { id: trace_id, span: span_id } });
        return h(
            'tr',
            {},
            h('td', { class: 'number' }, h('a', { href }, formatSeconds(duration_ns / 1e9))),
            h('td', {}, formatDateTime(start_ns / 1e6)),
            h(
                'td',
                { class: failed ? 'outcome is-failed' : 'outcome' },
                icon(failed ? 'alert' : 'check'),
                failed ? status_message || 'failed' : 'fine',
            ),
            h('td', { class: 'wide-only' }, h('code', {}, trace_id.slice(0, 12))),
        );
    }

    #showMetadata(spans) {
        const seen = metadataSeen(spans);
        this.#parts.metadata_card.hidden = seen.length === 0;
        this.#parts.metadata.replaceChildren(
            ...seen.map(({ key, values, distinct }) =>
                h(
                    'div',
                    {},
                    h('dt', {}, key),
                    h('dd', {}, ...this.#metadataValues(values, distinct, spans.length)),
                ),
            ),
        );
    }

    /* An id that is another each time is no value to compare by. */
    #metadataValues(values, distinct, total) {
        if (distinct > 20 && distinct > total / 4)
            return [`${formatCount(distinct)} different values`];
        const rest = distinct - values.length;
        return [
            ...values.map(({ value, count }) =>
                h(
                    'span',
                    { class: 'metadata-value' },
                    value,
                    h('small', {}, `${significant((count / total) * 100)} %`),
                ),
            ),
            rest > 0 ? h('span', { class: 'table-note' }, `and ${rest} more`) : null,
        ];
    }

    #showModel(spans) {
        const figures = modelFigures(spans);
        this.#parts.model.hidden = figures === null;
        if (!figures) return;
        const cost = (usd) => (usd === null ? DASH : `$${significant(usd)}`);
        this.#model_tiles.draw([
            ['Tokens in', formatValue(figures.input_tokens)],
            ['of them cached', formatValue(figures.cached_tokens)],
            ['Tokens out', formatValue(figures.output_tokens)],
            ['Tokens out per second', formatValue(figures.tokens_per_s, 'count')],
            ['First token, P50', formatValue(figures.first_token_p50_s, 'seconds')],
            ['First token, P95', formatValue(figures.first_token_p95_s, 'seconds')],
            ['Cost', cost(figures.cost_usd)],
            [
                'Cost per call',
                cost(figures.cost_usd === null ? null : figures.cost_usd / figures.calls),
            ],
        ]);
        setText(
            this.#parts.model_note,
            `${figures.models.join(', ') || 'Model not named'}: of the newest ${figures.calls} kept calls.`,
        );
    }

    #tracesHref(selection) {
        return formatHash({ page: 'traces', params: tracesParams(this.#names(), selection) });
    }
}
