/* SPDX-License-Identifier: Apache-2.0 */

/* traces - search: fields or TraceQL, facets with counts, a dot for each trace, and the list.
 *
 * In the address: what trace_search.js tells, and sort ("newest", "slowest" or "errors"). A field
 * is asked when it is left or Enter is pressed, so half a word is never asked. */
import { isAbort, labelValues, tracesSummary } from '../api.js';
import { h, icon, setText } from '../dom.js';
import { formatCount, formatDateTime, formatMoment, formatSeconds } from '../format.js';
import { SPAN_MS_MIN, spellMoment } from '../range.js';
import { ScatterChart } from '../scatter_chart.js';
import { facetList } from '../trace_facets.js';
import { searchProblem, spellDurationNs, toParameters, toTraceql } from '../trace_search.js';

const LIMIT = 2000; /* Dots. */
const ROWS_FIRST = 60;
const ROWS_STEP = 200;
const AGAIN_MS = 10000;
const SORTS = { newest: 'Newest first', slowest: 'Slowest first', errors: 'Errors first' };
const FIELDS = ['service', 'operation', 'minDuration', 'maxDuration', 'status', 'tags', 'q'];
/* Of the metrics that the daemon makes of spans. */
const SPANS_METRIC = 'traces_span_metrics_calls_total';

/* What by, select and aggregates of a query made: "region = eu, count = 3". */
function foundText({ matched, values }) {
    const words = values
        .map(({ key, value }) =>
            /^(\w+\()?(duration|traceDuration)\)?$/.test(key)
                ? `${key} = ${formatSeconds(Number(value) / 1e9)}`
                : `${key} = ${value}`,
        )
        .join(', ');
    return h('span', { title: `${formatCount(matched)} spans` }, words);
}

export class TracesPage {
    #context;
    #scatter;
    #abort = null;
    #names_abort = new AbortController();
    #timer = null;
    #parts = {};
    #fields = {};
    #rows_shown = ROWS_FIRST;
    #unfolded = new Set();
    #answer = null;

    element;

    constructor(context) {
        this.#context = context;
        this.#scatter = new ScatterChart({
            on_open: ({ trace_id }) => context.store.goPage('trace', { id: trace_id }),
            on_select: (picked) => this.#narrow(picked),
        });
        this.#build();
        this.#fill();
        void this.#load();
        void this.#offerNames();
    }

    destroy() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#names_abort.abort();
        this.#scatter.destroy();
    }

    update({ params, before }) {
        this.#fill();
        if (params.service !== before.service) void this.#offerNames();
        const keys = [...FIELDS, 'sort', 'range', 'from', 'to'];
        if (keys.some((key) => params[key] !== before[key])) {
            this.#rows_shown = ROWS_FIRST;
            void this.#load();
        }
    }

    search() {
        const { q } = this.#context.store.params;
        const field = q ? this.#fields.q : this.#fields.service;
        if (q) this.#parts.traceql.open = true;
        field.focus();
        field.select();
    }

    /* ---- The form. ---- */

    #build() {
        this.#parts.lists = {
            service: h('datalist', { id: 'traces-services' }),
            operation: h('datalist', { id: 'traces-operations' }),
        };
        this.#parts.problem = h('p', { class: 'error-note', role: 'alert' });
        this.#parts.count = h('p', { class: 'traces-count', role: 'status' });
        this.#parts.facets = h('div', { class: 'facets' });
        this.#parts.list = h('div', { class: 'trace-list' });
        this.#parts.sort = h('div', { class: 'segments', role: 'group', 'aria-label': 'Order' });
        this.#parts.compare = h('a', { class: 'button' }, 'Why are the slow ones slow?');
        this.element = h(
            'div',
            { class: 'page page-traces' },
            h('h1', { class: 'offscreen' }, 'Traces'),
            this.#form(),
            this.#parts.problem,
            h(
                'div',
                { class: 'traces-split' },
                h(
                    'details',
                    { class: 'facets-side', open: window.innerWidth > 900 },
                    h('summary', {}, 'Narrow down'),
                    this.#parts.facets,
                ),
                h(
                    'div',
                    { class: 'traces-main' },
                    h(
                        'section',
                        { class: 'card scatter-card', 'aria-label': 'Traces by duration' },
                        h(
                            'header',
                            { class: 'panel-head' },
                            this.#parts.count,
                            this.#parts.compare,
                        ),
                        this.#scatter.element,
                    ),
                    h('div', { class: 'toolbar' }, this.#parts.sort),
                    this.#parts.list,
                ),
            ),
        );
    }

    #form() {
        const field = (name, label, attributes = {}) => {
            const input = h('input', {
                type: 'text',
                spellcheck: 'false',
                autocomplete: 'off',
                name,
                onchange: () => this.#ask(),
                ...attributes,
            });
            this.#fields[name] = input;
            return h('label', { class: `field field-${name}` }, h('span', {}, label), input);
        };
        const status = h(
            'button',
            { type: 'button', class: 'button', onclick: () => this.#toggleErrors() },
            'Errors only',
        );
        this.#parts.status = status;
        this.#parts.clear = h(
            'button',
            { type: 'button', class: 'button', onclick: () => this.#clear() },
            icon('close'),
            'Clear',
        );
        this.#fields.q = h('textarea', {
            rows: '2',
            spellcheck: 'false',
            'aria-label': 'TraceQL',
            placeholder:
                '{ resource.service.name = "api" && duration > 500ms } >> { status = error }',
            onchange: () => this.#ask(),
            onkeydown: (event) => {
                if (event.key !== 'Enter' || event.shiftKey) return;
                event.preventDefault();
                this.#ask();
            },
        });
        this.#parts.whole = h('code');
        this.#parts.traceql = h(
            'details',
            { class: 'traceql' },
            h('summary', {}, 'TraceQL'),
            this.#fields.q,
            h('p', { class: 'table-note' }, 'Asked: ', this.#parts.whole),
        );
        return h(
            'form',
            {
                class: 'card trace-form',
                role: 'search',
                'aria-label': 'Search traces',
                onsubmit: (event) => {
                    event.preventDefault();
                    this.#ask();
                },
            },
            h(
                'div',
                { class: 'trace-fields' },
                field('service', 'Service', { list: 'traces-services', placeholder: 'any' }),
                field('operation', 'Operation', { list: 'traces-operations', placeholder: 'any' }),
                field('tags', 'Attributes', { placeholder: 'http.route=/cart region=eu' }),
                field('minDuration', 'At least', { placeholder: '100ms' }),
                field('maxDuration', 'At most', { placeholder: '2s' }),
                h(
                    'div',
                    { class: 'trace-buttons' },
                    status,
                    h('button', { type: 'submit', class: 'button primary' }, 'Search'),
                    this.#parts.clear,
                ),
            ),
            this.#parts.traceql,
            ...Object.values(this.#parts.lists),
        );
    }

    /* The fields as the address has them; what someone types in is left alone. */
    #fill() {
        const { params } = this.#context.store;
        for (const [name, input] of Object.entries(this.#fields)) {
            const value = params[name] ?? '';
            if (input !== document.activeElement && input.value !== value) input.value = value;
        }
        this.#parts.status.setAttribute('aria-pressed', String(params.status === 'error'));
        this.#parts.clear.hidden = !FIELDS.some((name) => params[name]);
        if (params.q) this.#parts.traceql.open = true;
        setText(this.#parts.whole, toTraceql(params));
        setText(this.#parts.problem, searchProblem(params));
        const { sort = 'newest' } = params;
        this.#parts.sort.replaceChildren(
            ...Object.entries(SORTS).map(([name, label]) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'button',
                        'aria-pressed': String(name === sort),
                        onclick: () =>
                            this.#context.store.adjust({ sort: name === 'newest' ? null : name }),
                    },
                    label,
                ),
            ),
        );
    }

    #ask() {
        const patch = {};
        for (const [name, input] of Object.entries(this.#fields))
            patch[name] = input.value.trim() || null;
        this.#context.store.go(patch);
    }

    #toggleErrors() {
        const { store } = this.#context;
        store.go({ status: store.params.status === 'error' ? null : 'error' });
    }

    #clear() {
        for (const input of Object.values(this.#fields)) input.value = '';
        this.#context.store.go(Object.fromEntries(FIELDS.map((name) => [name, null])));
    }

    #narrow({ from, to, min, max }) {
        const more = Math.max(0, SPAN_MS_MIN - (to - from)) / 2;
        this.#context.store.go({
            from: spellMoment(from - more),
            to: spellMoment(to + more),
            minDuration: spellDurationNs(min),
            maxDuration: spellDurationNs(max),
        });
    }

    /* Words to complete; without them one can still type. */
    async #offerNames() {
        this.#names_abort.abort();
        this.#names_abort = new AbortController();
        const { signal } = this.#names_abort;
        const { service } = this.#context.store.params;
        const only = service ? `{service=${JSON.stringify(service)}}` : '';
        try {
            const services = await labelValues('service', { match: SPANS_METRIC, signal });
            this.#offer('service', services);
            const names = await labelValues('span_name', { match: SPANS_METRIC + only, signal });
            this.#offer('operation', names);
        } catch {
            /* Nothing to offer. */
        }
    }

    #offer(name, values) {
        this.#parts.lists[name].replaceChildren(
            ...values.slice(0, 500).map((value) => h('option', { value })),
        );
    }

    /* ---- The answer. ---- */

    async #load({ again = false } = {}) {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#abort = new AbortController();
        const { signal } = this.#abort;
        const { store } = this.#context;
        const view = store.view();
        if (searchProblem(store.params)) return;
        if (!again) this.element.setAttribute('aria-busy', 'true');
        try {
            const pairs = toParameters(store.params, view);
            const order = SORTS[store.params.sort] ? store.params.sort : 'newest';
            const answer = await tracesSummary(pairs, { order, limit: LIMIT, signal });
            if (signal.aborted) return;
            setText(this.#parts.problem, '');
            this.#show(answer, view);
        } catch (error) {
            if (isAbort(error)) return;
            this.#fail(error);
        }
        this.element.removeAttribute('aria-busy');
        if (store.view().live) this.#loadAgain();
    }

    /* Not while someone selects text, has the focus in what would be made anew, or looks elsewhere. */
    #loadAgain() {
        this.#timer = setTimeout(() => {
            const { list, facets } = this.#parts;
            const focused = document.activeElement;
            const busy =
                document.hidden ||
                list.contains(getSelection()?.anchorNode) ||
                list.contains(focused) ||
                facets.contains(focused);
            if (busy) this.#loadAgain();
            else void this.#load({ again: true });
        }, AGAIN_MS);
    }

    #fail(error) {
        setText(this.#parts.problem, `${error.message} ${error.hint ?? ''}`.trim());
        this.#parts.count.textContent = '';
        this.#parts.list.replaceChildren();
        this.#parts.facets.replaceChildren();
        this.#scatter.show([], this.#context.store.view());
    }

    #show(answer, view) {
        const { store } = this.#context;
        this.#answer = answer;
        const { list, traces, spans, is_cut } = answer;
        const errors = list.filter((trace) => trace.errors > 0).length;
        const parts = [`${traces.toLocaleString('en')} ${traces === 1 ? 'trace' : 'traces'}`];
        if (list.length < traces) parts.push(`${list.length.toLocaleString('en')} drawn`);
        parts.push(`${formatCount(spans)} ${spans === 1 ? 'span fits' : 'spans fit'}`);
        if (errors > 0) parts.push(`✕ ${errors.toLocaleString('en')} with errors`);
        if (is_cut) parts.push('there may be more: narrow the question or the time');
        setText(this.#parts.count, parts.join(' · '));
        this.#scatter.show(list, view);
        this.#parts.facets.replaceChildren(
            ...facetList(answer.facets, store.params, (patch) => store.go(patch), this.#unfolded),
            h(
                'p',
                { class: 'table-note' },
                `Counts are spans${answer.facets.attributes.length > 0 ? `; attributes of ${answer.facets.sampled} of them` : ''}.`,
            ),
        );
        this.#showCompare(list);
        this.#showList();
    }

    /* The slowest tenth against the faster half, of what is asked now. */
    #showCompare(list) {
        const { store } = this.#context;
        const link = this.#parts.compare;
        link.hidden = list.length < 8;
        if (link.hidden) return;
        const durations = list.map(({ duration_ns }) => duration_ns).sort((a, b) => a - b);
        const middle = durations[Math.floor(durations.length / 2)];
        const high = durations[Math.floor(durations.length * 0.9)];
        const { service, operation } = store.params;
        const common = { ...store.params };
        if (!service && !operation) {
            const first = list.find(({ duration_ns }) => duration_ns >= high);
            Object.assign(common, { service: first.service, operation: first.name });
        }
        const side = (patch) =>
            toTraceql({ ...common, minDuration: null, maxDuration: null, ...patch });
        link.href = store.href('compare', {
            a: side({ maxDuration: spellDurationNs(middle) }),
            b: side({ minDuration: spellDurationNs(high) }),
        });
    }

    #showList() {
        const { store } = this.#context;
        const { list } = this.#answer;
        if (list.length === 0) {
            this.#parts.list.replaceChildren(this.#nothing());
            return;
        }
        const shown = list.slice(0, this.#rows_shown);
        const most = Math.max(...list.map(({ duration_ns }) => duration_ns), 1);
        const more =
            shown.length < list.length
                ? h(
                      'button',
                      {
                          type: 'button',
                          class: 'button',
                          onclick: () => {
                              this.#rows_shown += ROWS_STEP;
                              this.#showList();
                          },
                      },
                      `${shown.length} of ${list.length} shown. Show more`,
                  )
                : null;
        const view = store.view();
        this.#parts.list.replaceChildren(
            h(
                'ol',
                { class: 'card' },
                ...shown.map((trace) => this.#item(trace, most, view.to - view.from)),
            ),
            ...(more ? [more] : []),
        );
    }

    #item({ trace_id, start_ms, duration_ns, service, name, spans, errors, sets }, most, span_ms) {
        const { store } = this.#context;
        const bar = h('span', { class: 'duration-bar' });
        bar.style.width = `${Math.max(0.5, (Math.max(0, duration_ns) / most) * 100)}%`;
        return h(
            'li',
            {},
            h(
                'a',
                {
                    href: store.href('trace', { id: trace_id }),
                    class: errors > 0 ? 'trace-item has-error' : 'trace-item',
                },
                h(
                    'span',
                    { class: 'trace-item-name' },
                    h('span', { class: 'trace-item-service' }, service),
                    h('span', {}, name || '(no name)'),
                ),
                h(
                    'span',
                    { class: 'trace-item-duration' },
                    bar,
                    h('strong', {}, formatSeconds(duration_ns / 1e9)),
                ),
                h(
                    'span',
                    { class: 'trace-item-counts' },
                    errors > 0
                        ? h('span', { class: 'has-errors' }, `✕ ${formatCount(errors)}`)
                        : null,
                    `${formatCount(spans)} ${spans === 1 ? 'span' : 'spans'}`,
                ),
                h('time', { title: formatDateTime(start_ms) }, formatMoment(start_ms, span_ms)),
                sets?.some(({ values }) => values.length > 0)
                    ? h('span', { class: 'trace-item-sets' }, ...sets.map(foundText))
                    : null,
            ),
        );
    }

    #nothing() {
        const { params } = this.#context.store;
        const asked = FIELDS.some((name) => params[name]);
        return h(
            'div',
            { class: 'card nothing' },
            h('h2', {}, asked ? 'No trace fits.' : 'No traces in this time.'),
            h(
                'p',
                {},
                asked
                    ? 'Widen the time, or leave out a condition.'
                    : 'Point an OpenTelemetry SDK here: OTEL_EXPORTER_OTLP_ENDPOINT=',
                asked ? null : h('code', {}, location.origin),
            ),
        );
    }
}
