/* SPDX-License-Identifier: Apache-2.0 */

/* explore - any question in PromQL: drawn over the range, and listed at its end. */
import { isAbort, queryInstant } from '../api.js';
import { serverNow } from '../clock.js';
import { copyText, h, iconButton, setText } from '../dom.js';
import { formatDateTime, formatValue } from '../format.js';
import { Panel } from '../panel.js';
import { guessUnit } from '../promql.js';
import { QueryBox } from '../query_box.js';
import { distinctNames, parseSample, rowsToCsv, spellMetric } from '../series.js';

const ROWS_MAX = 200;
const SERIES_MAX = 20;
const CHART_HEIGHT_PX = 340;
const LIST_PERIOD_MS = 5000;

/* Questions worth starting from. */
const EXAMPLES = [
    [
        'How busy is each core?',
        'sum by (cpu) (rate(node_cpu_seconds_total{mode!="idle"}[1m])) * 100',
    ],
    ['How much memory can still be given away?', 'node_memory_MemAvailable_bytes'],
    [
        'Who writes most to disk?',
        'topk(5, sum by (groupname) (rate(namedprocess_namegroup_write_bytes_total[1m])))',
    ],
    ['How often does the kernel switch between programs?', 'rate(node_context_switches_total[1m])'],
    [
        'Which filesystem is fullest?',
        'topk(3, 100 - 100 * node_filesystem_avail_bytes / node_filesystem_size_bytes)',
    ],
];

export class ExplorePage {
    #context;
    #box;
    #panel = null;
    #abort = null;
    #timer = null;
    #drawn = h('div');
    #listed = h('div');

    element;

    constructor(context) {
        this.#context = context;
        this.#box = new QueryBox({ on_run: (expr) => this.#run(expr) });
        this.element = h(
            'div',
            { class: 'page page-explore' },
            h('h1', { class: 'offscreen' }, 'Explore'),
            this.#box.element,
            this.#drawn,
            this.#listed,
        );
        this.#show(context.store.params.expr);
    }

    destroy() {
        this.#forget();
        this.#box.destroy();
    }

    update({ moved, params, before }) {
        if (params.expr !== before.expr) {
            this.#show(params.expr);
            return;
        }
        if (moved) {
            this.#panel?.refresh();
            void this.#list(params.expr);
        }
        this.#panel?.showMode();
    }

    search() {
        this.#box.focus();
    }

    #run(expr) {
        const { store } = this.#context;
        if (expr === store.params.expr) this.#show(expr);
        else store.go({ expr });
    }

    #forget() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#panel?.destroy();
        this.#panel = null;
    }

    #show(expr) {
        this.#forget();
        this.#box.value = expr ?? '';
        this.#box.showError(null);
        this.#listed.replaceChildren();
        if (!expr) {
            this.#drawn.replaceChildren(this.#examples());
            return;
        }
        this.#panel = new Panel(
            {
                id: 'explore',
                title: expr,
                unit: guessUnit(expr),
                targets: [{ expr }],
                derive: distinctNames,
                limit: SERIES_MAX,
                height: CHART_HEIGHT_PX,
                no_explore: true,
                empty: 'No series matches here. Check names and labels, or choose a longer range.',
            },
            this.#context,
        );
        this.#drawn.replaceChildren(this.#panel.element);
        void this.#list(expr);
    }

    #examples() {
        const { store } = this.#context;
        return h(
            'section',
            { class: 'card examples' },
            h('h2', {}, 'Questions to start from'),
            h(
                'ul',
                {},
                ...EXAMPLES.map(([question, expr]) =>
                    h(
                        'li',
                        {},
                        h(
                            'a',
                            { href: store.href('explore', { expr }) },
                            h('span', {}, question),
                            h('code', {}, expr),
                        ),
                    ),
                ),
            ),
        );
    }

    /* The values at the end of the range; also the question whose error has a position. */
    async #list(expr) {
        if (!expr) return;
        clearTimeout(this.#timer);
        this.#abort?.abort();
        const abort = new AbortController();
        this.#abort = abort;
        const view = this.#context.store.view();
        const time = view.live ? undefined : view.to;
        try {
            const answer = await queryInstant(expr, { time, signal: abort.signal });
            this.#box.showError(null);
            this.#listed.replaceChildren(this.#table(answer, time ?? serverNow(), guessUnit(expr)));
            if (view.live) this.#listAgain(expr);
        } catch (error) {
            if (isAbort(error)) return;
            this.#forget();
            this.#drawn.replaceChildren();
            this.#listed.replaceChildren();
            this.#box.showError(error, expr);
        }
    }

    /* Not while the person selects in it, and not while nobody looks. */
    #listAgain(expr) {
        this.#timer = setTimeout(() => {
            const busy = document.hidden || this.#listed.contains(getSelection()?.anchorNode);
            if (busy) this.#listAgain(expr);
            else void this.#list(expr);
        }, LIST_PERIOD_MS);
    }

    #table({ type, result }, time, unit) {
        const rows = answerRows(type, result);
        const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))].sort();
        const shown = rows.slice(0, ROWS_MAX);
        const done = h('span', { class: 'table-note', role: 'status' });
        const copy = iconButton('copy', 'Copy as CSV', async () => {
            const lines = rows.map(({ metric, value }) => [
                ...labels.map((label) => metric[label] ?? ''),
                value,
            ]);
            try {
                await copyText(rowsToCsv([...labels, 'value'], lines));
                setText(done, 'Copied.');
            } catch (error) {
                setText(done, error.message);
            }
        });
        return h(
            'section',
            { class: 'card', 'aria-labelledby': 'values-title' },
            h(
                'header',
                { class: 'panel-head' },
                h('h3', { id: 'values-title' }, `Values at ${formatDateTime(time)}`),
                h('span', { class: 'panel-tools' }, done, copy),
            ),
            h(
                'div',
                { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Values' },
                h(
                    'table',
                    { class: 'numbers values' },
                    h(
                        'thead',
                        {},
                        h(
                            'tr',
                            {},
                            ...labels.map((label) =>
                                h('th', { scope: 'col', class: 'text' }, label),
                            ),
                            h('th', { scope: 'col', class: 'number' }, 'value'),
                        ),
                    ),
                    h(
                        'tbody',
                        {},
                        ...shown.map(({ metric, value }) =>
                            h(
                                'tr',
                                { title: spellMetric(metric) },
                                ...labels.map((label) =>
                                    h('td', { class: 'text' }, metric[label] ?? ''),
                                ),
                                h(
                                    'td',
                                    { class: 'number' },
                                    typeof value === 'number'
                                        ? formatValue(value, unit)
                                        : (value ?? '–'),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
            h(
                'p',
                { class: 'table-note' },
                rows.length > ROWS_MAX ? `${ROWS_MAX} of ${rows.length} shown.` : '',
            ),
        );
    }
}

/* Every shape of answer as rows, largest first. */
function answerRows(type, result) {
    if (type === 'scalar') return [{ metric: {}, value: parseSample(result[1]) }];
    if (type === 'string') return [{ metric: {}, value: result[1] }];
    const rows = result.map(({ metric, value, values }) => ({
        metric,
        value: parseSample((value ?? values?.at(-1) ?? [0, 'NaN'])[1]),
    }));
    return rows.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
}
