/* SPDX-License-Identifier: Apache-2.0 */

/* load - loads put on a URL from this machine: start one, watch it, read its report, hold it against
 * an earlier one.
 *
 * In the address: id (the load that is open), against (what it is compared with). */
import { compareLoads, isAbort, loadRun, loadRuns, removeLoad, startLoad, stopLoad } from '../api.js';
import { Chart } from '../chart.js';
import { h, icon, setText, textField } from '../dom.js';
import { formatCount, formatDateTime, formatValue } from '../format.js';
import { curvesOf, figuresOf, figuresSoFar, requestOf, stateOf } from '../load_runs.js';
import { targetElements } from '../load_target.js';
import { Poll } from '../poll.js';
import { Tiles } from '../tiles.js';

const RUNNING_MS = 1000;
const QUIET_MS = 10000;
const TESTS = ['', 'smoke', 'load', 'stress', 'spike', 'volume', 'endurance', 'scalability'];
const CURVES = [
    ['p50', 'P50'],
    ['p95', 'P95'],
    ['p99', 'P99'],
];

export class LoadPage {
    #context;
    #parts = {};
    #fields = {};
    #tiles = new Tiles();
    #charts = {};
    #poll;
    #runs = [];
    #shown = null; /* The answer about the open run. */
    #compared = '';
    #resize = new ResizeObserver(() => this.#drawCharts());

    element;

    constructor(context) {
        this.#context = context;
        this.#build();
        this.#poll = new Poll({
            ask: (signal) => this.#ask(signal),
            period_ms: RUNNING_MS,
            on_error: (error) => this.#complain(error),
        });
        this.#poll.now();
    }

    destroy() {
        this.#poll.destroy();
        this.#resize.disconnect();
        for (const chart of Object.values(this.#charts)) chart.destroy();
    }

    update({ params, before }) {
        if (params.id === before.id && params.against === before.against) return;
        this.#shown = null;
        this.#compared = '';
        this.#poll.now();
    }

    search() {
        this.#fields.url.focus();
    }

    /* ---- The form. ---- */

    #build() {
        const parts = this.#parts;
        parts.problem = h('p', { class: 'error-note', role: 'alert' });
        parts.list = h('div', { class: 'load-list' });
        parts.title = h('h2', { tabindex: '-1' });
        parts.about = h('p', { class: 'table-note' });
        parts.state = h('p', { class: 'load-state', role: 'status' });
        parts.actions = h('div', { class: 'load-actions' });
        parts.notes = h('div', { class: 'load-notes' });
        parts.rate = h('div', { class: 'chart' });
        parts.latency = h('div', { class: 'chart' });
        parts.compare = h('div', { class: 'load-compare' });
        parts.target = h('div', { class: 'load-target' });
        parts.detail = h(
            'section',
            { class: 'card load-detail', 'aria-label': 'Load', hidden: true },
            h('header', { class: 'panel-head' }, parts.title, parts.actions),
            parts.about,
            parts.state,
            this.#tiles.element,
            parts.notes,
            h('h3', {}, 'Requests per second'),
            parts.rate,
            h('h3', {}, 'Latency: P50, P95, P99'),
            parts.latency,
            parts.target,
            parts.compare,
        );
        const chart = (host, unit) =>
            new Chart(host, { unit, height: 150, crosshair: this.#context.crosshair });
        this.#charts = {
            rate: chart(parts.rate, 'per_s'),
            latency: chart(parts.latency, 'seconds'),
        };
        this.#resize.observe(parts.rate);
        this.element = h(
            'div',
            { class: 'page page-load' },
            h('h1', { class: 'offscreen' }, 'Load'),
            this.#form(),
            parts.problem,
            h('div', { class: 'load-split' }, parts.list, parts.detail),
        );
    }

    #form() {
        const field = (...what) => textField(this.#fields, ...what);

        this.#fields.test = h(
            'select',
            { name: 'test' },
            ...TESTS.map((test) => h('option', { value: test }, test || 'plain run')),
        );
        return h(
            'form',
            {
                class: 'card load-form',
                'aria-label': 'Start a load',
                onsubmit: (event) => {
                    event.preventDefault();
                    void this.#start();
                },
            },
            field('url', 'URL', { placeholder: 'http://127.0.0.1:8080/', required: true }),
            field('connections', 'Connections', { inputmode: 'numeric', placeholder: '16' }),
            field('rate', 'Rate (/s)', { inputmode: 'decimal', placeholder: 'as it can' }),
            field('duration', 'Duration', { placeholder: '10s' }),
            h('label', { class: 'field' }, h('span', {}, 'Test'), this.#fields.test),
            field('criteria', 'Must hold', { placeholder: 'p95 < 300ms, error_rate < 1%' }),
            h('button', { type: 'submit', class: 'button primary' }, icon('play'), 'Start'),
        );
    }

    async #start() {
        const values = Object.fromEntries(
            Object.entries(this.#fields).map(([name, input]) => [name, input.value]),
        );
        try {
            const run = await startLoad(requestOf(values));
            setText(this.#parts.problem, '');
            this.#context.store.goPage('load', { id: run.id });
            this.#poll.now();
        } catch (error) {
            this.#complain(error);
        }
    }

    #complain(error) {
        if (isAbort(error)) return;
        setText(this.#parts.problem, `${error.message}${error.hint ? ` ${error.hint}` : ''}`);
    }

    /* ---- Asking. ---- */

    async #ask(signal) {
        const { id, against } = this.#context.store.params;
        this.#runs = await loadRuns({ signal });
        this.#drawList(id);
        const running = this.#runs.some(({ state }) => state === 'running');
        const done = this.#shown && this.#shown.run.id === id && this.#shown.run.state !== 'running';
        if (id && !done) {
            this.#shown = await loadRun(id, { signal });
            setText(this.#parts.problem, '');
        }
        this.#drawDetail(id);
        await this.#compare(id, against, signal);
        if (!running) await this.#rest(signal);
        return true;
    }

    /* Where nothing runs there is less to see. */
    #rest(signal) {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, QUIET_MS - RUNNING_MS);
            signal.addEventListener('abort', () => {
                clearTimeout(timer);
                resolve();
            });
        });
    }

    /* ---- The list. ---- */

    #drawList(open) {
        const { list } = this.#parts;
        if (this.#runs.length === 0) {
            list.replaceChildren(
                h(
                    'p',
                    { class: 'empty' },
                    'No load was kept yet. Start one above, or send the report of another: ',
                    h('code', {}, 'sonde load --keep URL'),
                    '.',
                ),
            );
            return;
        }
        list.replaceChildren(...this.#runs.map((run) => this.#row(run, run.id === open)));
    }

    #row(run, open) {
        const [look, symbol, word] = stateOf(run);
        const numbers =
            run.state === 'done'
                ? `${formatValue(run.rate, 'per_s')}, P95 ${formatValue(run.p95_ms / 1000, 'seconds')}`
                : '';
        return h(
            'a',
            {
                class: 'load-row',
                href: `#/load?id=${encodeURIComponent(run.id)}`,
                'aria-current': open ? 'true' : false,
            },
            h('span', { class: 'load-mark', 'data-look': look, title: word }, icon(symbol)),
            h('span', { class: 'load-name' }, run.title),
            h('span', { class: 'load-numbers' }, `${word}${numbers ? ` · ${numbers}` : ''}`),
            h('span', { class: 'load-when' }, formatDateTime(run.started_ms)),
        );
    }

    /* ---- One load. ---- */

    #drawDetail(id) {
        const { detail, title, about, state, notes } = this.#parts;
        const shown = this.#shown;
        detail.hidden = !id || !shown;
        if (detail.hidden) return;
        const { run, host } = shown;
        const report = run.report;
        const [look, , word] = stateOf({ ...run, verdict: report?.verdict });
        setText(title, report?.title ?? run.title ?? '');
        setText(state, run.error ?? word);
        state.dataset.look = look;
        setText(about, this.#aboutText(run, host));
        this.#tiles.draw(report ? figuresOf(report) : figuresSoFar(run.progress ?? []));
        notes.replaceChildren(...this.#criteria(report), ...this.#notes(report));
        this.#drawTarget(run);
        this.#drawActions(run);
        this.#drawCharts();
    }

    #aboutText(run, host) {
        const parts = [formatDateTime(run.started_ms)];
        if (run.elapsed_s) parts.push(`for ${formatValue(run.elapsed_s, 'seconds')} so far`);
        if (run.report) {
            const { duration_s, connections, model, target_rate } = run.report;
            parts.push(`${formatValue(duration_s, 'seconds')}`);
            parts.push(
                model === 'open'
                    ? `${formatCount(target_rate)} requests a second on schedule`
                    : `${formatCount(connections)} users`,
            );
        }
        const cpu = host?.cpu_percent;
        if (cpu?.average !== null && cpu?.average !== undefined)
            parts.push(
                `this machine's CPU ${formatValue(cpu.average, 'percent')}, at most ${formatValue(cpu.maximum, 'percent')}`,
            );
        return parts.join(' · ');
    }

    #criteria(report) {
        const criteria = report?.criteria ?? [];
        return criteria.map(({ criterion, holds, measured }) =>
            h(
                'p',
                { class: 'load-criterion', 'data-look': holds ? 'ok' : 'warning' },
                icon(holds ? 'check' : 'alert'),
                `${criterion}: ${measured}, ${holds ? 'kept' : 'broken'}`,
            ),
        );
    }

    #notes(report) {
        return (report?.notes ?? []).map(({ text }) => h('p', { class: 'table-note' }, text));
    }

    /* Once for each report, so that what is being read stays. */
    #drawTarget({ id, report }) {
        const { target } = this.#parts;
        const said = report ? id : '';
        if (said === target.dataset.said) return;
        target.dataset.said = said;
        target.replaceChildren(...targetElements(report, this.#context.store));
    }

    #drawActions(run) {
        const button = (label, symbol, act) =>
            h('button', { type: 'button', class: 'button', onclick: act }, icon(symbol), label);
        const act = (call, after) => async () => {
            try {
                await call(run.id);
                after?.();
                this.#poll.now();
            } catch (error) {
                this.#complain(error);
            }
        };
        const { store } = this.#context;
        const buttons =
            run.state === 'running'
                ? [button('Stop', 'stop', act(stopLoad))]
                : [button('Forget', 'close', act(removeLoad, () => store.goPage('load')))];
        const earlier = this.#runs.filter(
            ({ id, state, started_ms }) =>
                id !== run.id && state === 'done' && started_ms < run.started_ms,
        );
        if (run.state === 'done' && earlier.length > 0) {
            const select = h(
                'select',
                {
                    'aria-label': 'Compare with',
                    onchange: () => store.goPage('load', { id: run.id, against: select.value }),
                },
                h('option', { value: '' }, 'Compare with …'),
                ...earlier.map((other) =>
                    h(
                        'option',
                        { value: other.id, selected: other.id === store.params.against },
                        `${other.title}, ${formatDateTime(other.started_ms)}`,
                    ),
                ),
            );
            buttons.unshift(select);
        }
        const said = `${run.id} ${run.state} ${store.params.against ?? ''} ${earlier.length}`;
        if (said === this.#parts.actions.dataset.said) return;
        this.#parts.actions.dataset.said = said;
        this.#parts.actions.replaceChildren(...buttons);
    }

    #drawCharts() {
        const run = this.#shown?.run;
        const points = run?.report?.timeline ?? run?.progress ?? [];
        if (!run || points.length === 0 || this.#parts.detail.hidden) return;
        const curves = curvesOf(points, run.started_ms);
        const view = {
            from: run.started_ms,
            to: Math.max(run.started_ms + 1000, curves.times[curves.times.length - 1] * 1000),
        };
        const step_ms = (view.to - view.from) / points.length;
        const column = (key, name, values) => ({ key, name, metric: {}, values });
        this.#charts.rate.draw({
            times: curves.times,
            columns: [column('rate', 'Requests per second', curves.rate)],
            view,
            step_ms,
        });
        this.#charts.latency.draw({
            times: curves.times,
            columns: CURVES.map(([key, name]) => column(key, name, curves[key])),
            view,
            step_ms,
        });
    }

    /* ---- Comparing. ---- */

    async #compare(id, against, signal) {
        const { compare } = this.#parts;
        const wanted = id && against ? `${id} ${against}` : '';
        if (wanted === this.#compared) return;
        this.#compared = wanted;
        compare.replaceChildren();
        if (!wanted) return;
        try {
            const told = await compareLoads(id, against, { signal });
            compare.append(
                h('h3', {}, `Against the earlier load: ${told.verdict}`),
                this.#comparison(told.metrics),
            );
        } catch (error) {
            this.#compared = '';
            this.#complain(error);
        }
    }

    #comparison(metrics) {
        const value = ({ median }, unit) =>
            unit === 'ms'
                ? formatValue(median === null ? null : median / 1000, 'seconds')
                : formatValue(median, unit === '/s' ? 'per_s' : unit === '%' ? 'percent' : 'count');
        return h(
            'table',
            { class: 'load-table' },
            h(
                'thead',
                {},
                h(
                    'tr',
                    {},
                    ...['Metric', 'Before', 'Now', 'Change', 'Verdict'].map((name) =>
                        h('th', { scope: 'col' }, name),
                    ),
                ),
            ),
            h(
                'tbody',
                {},
                ...metrics.map((row) =>
                    h(
                        'tr',
                        { 'data-verdict': row.verdict },
                        h('th', { scope: 'row' }, row.metric),
                        h('td', {}, value(row.before, row.unit)),
                        h('td', {}, value(row.after, row.unit)),
                        h('td', {}, row.text),
                        h('td', {}, row.verdict === 'degraded' ? `degraded (${row.severity})` : row.verdict),
                    ),
                ),
            ),
        );
    }
}
