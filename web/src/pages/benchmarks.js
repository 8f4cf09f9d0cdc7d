/* SPDX-License-Identifier: Apache-2.0 */

/* benchmarks - did it get slower? What is worse than in a stretch of time that was kept, the
 * benchmarks that are kept, and one of them held against now, metric by metric.
 *
 * In the address: name (the benchmark that is open). */
import {
    benchmark,
    benchmarks,
    compareBenchmark,
    isAbort,
    regressions,
    removeBenchmark,
    services,
} from '../api.js';
import { BenchmarkForm } from '../benchmark_form.js';
import { BenchmarkTable } from '../benchmark_table.js';
import {
    chartOf,
    countsText,
    lookOf,
    marksOf,
    metricsText,
    stepText,
    stretchParams,
    waitText,
    sinceText,
} from '../benchmarks.js';
import { serverNow } from '../clock.js';
import { h, icon, redraw, setText, withCode } from '../dom.js';
import { formatSeconds, formatWindow } from '../format.js';
import { Poll } from '../poll.js';
import { RegressionsCard } from '../regressions_card.js';
import { VerdictHistory } from '../verdict_history.js';
import { verdictStrip } from '../verdict_strip.js';

const PERIOD_MS = 10000;
const RUNS_ASKED = 40;

export class BenchmarksPage {
    #context;
    #poll;
    #card;
    #form;
    #table;
    #history = new VerdictHistory();
    #parts;
    #list = null;
    #worse = null; /* The answer about regressions. */
    #arrived = false; /* At a benchmark that is not drawn yet. */
    #removing = null; /* The name that is about to be removed, if so it is wished. */
    #open = null; /* { kept, told, known }: the benchmark that is open. */

    element;

    constructor(context) {
        this.#context = context;
        this.#form = new BenchmarkForm({ on_made: ({ name }) => this.#made(name) });
        this.#card = new RegressionsCard({
            href: (name) => context.store.href('benchmarks', { name }),
            since: (name, metric) => this.#since(name, metric),
        });
        this.#table = new BenchmarkTable({
            href: (row) => this.#chartHref(row),
            since: ({ metric }) => this.#since(context.store.params.name, metric),
        });
        this.#parts = this.#build();
        this.#poll = new Poll({
            ask: (signal) => this.#ask(signal),
            period_ms: PERIOD_MS,
            on_error: (error) => this.#complain(error),
        });
        this.#poll.now();
    }

    destroy() {
        this.#poll.destroy();
    }

    update({ params, before }) {
        if (params.name === before.name) return;
        this.#arrived = Boolean(params.name);
        this.#open = null;
        this.#removing = null;
        this.#draw();
        if (before.name && !params.name) this.#rowOf(before.name)?.focus();
        this.#poll.now();
    }

    search() {
        this.#showForm(true);
    }

    escape() {
        const { form, detail } = this.#parts;
        if (!form.hidden && this.#list?.length > 0) return this.#showForm(false);
        if (detail.hidden) return false;
        if (this.#removing) this.#askToRemove(null);
        else this.#context.store.go({ name: null });
        return true;
    }

    #build() {
        const parts = {
            problem: h('p', { class: 'error-note', role: 'alert' }),
            list: h('div', { class: 'benchmark-list' }),
            title: h('h2', { tabindex: '-1' }),
            about: h('p', { class: 'table-note' }),
            actions: h('div', { class: 'load-actions' }),
            state: h('p', { class: 'benchmark-state', role: 'status' }),
            note: h('p', { class: 'table-note' }),
            form: this.#form.element,
            empty: this.#empty(),
        };
        parts.form.hidden = true;
        parts.empty.hidden = true;
        parts.add = h(
            'button',
            { type: 'button', class: 'button', onclick: () => this.#showForm(parts.form.hidden) },
            icon('plus'),
            'Keep a benchmark',
        );
        parts.detail = h(
            'section',
            { class: 'card benchmark-detail', 'aria-label': 'Benchmark', hidden: true },
            h('header', { class: 'panel-head' }, parts.title, parts.actions),
            parts.about,
            this.#history.element,
            parts.state,
            this.#table.element,
            parts.note,
        );
        this.element = h(
            'div',
            { class: 'page page-benchmarks' },
            h('h1', { class: 'offscreen' }, 'Benchmarks'),
            this.#card.element,
            parts.empty,
            h('div', { class: 'toolbar' }, parts.add),
            parts.form,
            parts.problem,
            h('div', { class: 'benchmark-split' }, parts.list, parts.detail),
        );
        return parts;
    }

    #showForm(shown) {
        const { form, add } = this.#parts;
        form.hidden = !shown;
        add.setAttribute('aria-expanded', String(shown));
        if (shown) this.#form.focus();
        return true;
    }

    #made(name) {
        this.#showForm(false);
        this.#context.store.goPage('benchmarks', { name });
        this.#poll.now();
    }

    /* ---- Asking. ---- */

    async #ask(signal) {
        const { name } = this.#context.store.params;
        await Promise.all([
            benchmarks({ runs: RUNS_ASKED, signal }).then((list) => this.#takeList(list)),
            regressions({ signal }).then((worse) => this.#takeWorse(worse)),
            name ? this.#askOne(name, signal) : null,
        ]);
        setText(this.#parts.problem, '');
        return true;
    }

    #takeList(list) {
        this.#list = list;
        if (list.length === 0) this.#parts.form.hidden = false;
        this.#draw();
    }

    #takeWorse(worse) {
        this.#worse = worse;
        this.#draw();
    }

    async #askOne(name, signal) {
        const [kept, told] = await Promise.all([
            benchmark(name, { signal }),
            compareBenchmark(name, { signal }).catch((error) => {
                if (isAbort(error) || error.status === 404) throw error;
                return { verdict: 'cannot tell', metrics: [], reason: error.message };
            }),
        ]);
        const known = this.#open?.kept.made_ms === kept.made_ms ? this.#open.known : null;
        this.#open = { kept, told, known: known ?? (await this.#askNames(kept, told, signal)) };
        this.#draw();
    }

    /* Of services, by which a metric's operation is told from its service. */
    async #askNames({ services: wanted, start_ms }, { end_ms }, signal) {
        if (!wanted || !end_ms) return [];
        const { services: told } = await services({ range_ms: end_ms - start_ms, end_ms, signal });
        return told.map(({ service }) => service);
    }

    #complain({ message, hint }) {
        this.#parts.problem.replaceChildren(...withCode(`${message} ${hint ?? ''}`));
    }

    #draw() {
        this.#card.draw(this.#list?.length === 0 ? null : this.#worse);
        this.#drawList();
        this.#drawDetail();
    }

    #runsOf(name) {
        return this.#list?.find((one) => one.name === name)?.runs ?? [];
    }

    #since(name, metric) {
        return sinceText(this.#runsOf(name), metric, serverNow());
    }

    /* ---- The list. ---- */

    #drawList() {
        const { list, add, empty } = this.#parts;
        if (!this.#list) return;
        empty.hidden = this.#list.length > 0;
        add.parentElement.hidden = !empty.hidden;
        const open = this.#context.store.params.name;
        const verdicts = new Map(
            (this.#worse?.verdicts ?? []).map((verdict) => [verdict.benchmark, verdict]),
        );
        redraw(list, JSON.stringify([this.#list, [...verdicts], open]), () =>
            this.#list.map((one) => this.#row(one, verdicts.get(one.name), one.name === open)),
        );
    }

    #rowOf(name) {
        return [...this.#parts.list.children].find(({ dataset }) => dataset.focus === name);
    }

    #empty() {
        return h(
            'div',
            { class: 'finding finding-unknown benchmark-empty' },
            icon('info'),
            h(
                'div',
                {},
                h('h2', {}, 'No benchmark is kept yet.'),
                h(
                    'p',
                    { class: 'evidence' },
                    ...withCode(
                        'Name a stretch of time in which all was well and press “Keep it”, or run `sonde bench create NAME`. What comes after it is held against it, number by number.',
                    ),
                ),
            ),
        );
    }

    #row({ name, start_ms, end_ms, every_ms, metrics_count, runs = [] }, verdict, open) {
        const { look, symbol } = lookOf(verdict?.verdict ?? runs[0]?.verdict);
        const words = verdict
            ? countsText(verdict.counts) || 'cannot tell yet'
            : countsText(runs[0]?.counts) || '…';
        return h(
            'a',
            {
                class: 'benchmark-row',
                href: this.#context.store.href('benchmarks', { name }),
                'aria-current': open ? 'true' : false,
                'data-focus': name,
                'data-look': look,
            },
            icon(symbol),
            h('span', { class: 'benchmark-name' }, name),
            runs.length > 0 ? verdictStrip(marksOf(runs)) : null,
            h('span', { class: 'benchmark-words' }, words),
            h('span', { class: 'benchmark-when' }, formatWindow(start_ms, end_ms)),
            h(
                'span',
                { class: 'benchmark-when' },
                `${metricsText(metrics_count)}, ${every_ms > 0 ? `compared every ${formatSeconds(every_ms / 1000)}` : 'no schedule'}`,
            ),
        );
    }

    /* ---- One benchmark. ---- */

    #drawDetail() {
        const { detail, title, about, state, note } = this.#parts;
        const { name } = this.#context.store.params;
        detail.hidden = !name || this.#open?.kept.name !== name;
        if (detail.hidden) return;
        const { kept, told } = this.#open;
        setText(title, kept.name);
        setText(about, this.#aboutText(kept, told));
        setText(state, this.#stateText(told));
        state.dataset.look = lookOf(told.verdict).look;
        this.#table.draw(told.metrics);
        setText(note, this.#noteText(told));
        this.#history.draw(this.#runsOf(name));
        this.#drawActions(name);
        this.#arrive();
    }

    /* The eye goes with the focus: on a phone the list is below what was opened from it. */
    #arrive() {
        if (this.#arrived) this.#parts.title.focus();
        this.#arrived = false;
    }

    #aboutText(kept, { start_ms, end_ms, wait_ms }) {
        const parts = [`Kept ${formatWindow(kept.start_ms, kept.end_ms)}, ${stepText(kept)}`];
        if (start_ms && wait_ms === undefined) parts.push(`now: ${formatWindow(start_ms, end_ms)}`);
        if (kept.description) parts.push(kept.description);
        return parts.join(' · ');
    }

    #stateText({ wait_ms, reason, counts, metrics }) {
        if (metrics.length > 0) return countsText(counts);
        const why = reason ? `: ${reason}` : '';
        if (wait_ms > 0)
            return `Cannot tell yet${why}. Ask again in ${waitText(wait_ms)}; this page does.`;
        return `Cannot tell${why}.`;
    }

    #noteText({ missing_count: missing = 0, other_unit_count: strange = 0 }) {
        const parts = [];
        if (missing === 1) parts.push('1 metric is on one side only and was not compared.');
        if (missing > 1)
            parts.push(`${missing} metrics are on one side only and were not compared.`);
        if (strange > 0) parts.push(`${strange} changed their unit and were not compared.`);
        return parts.join(' ');
    }

    #drawActions(name) {
        const asked = this.#removing === name;
        const button = (label, act, attributes = {}) =>
            h('button', { type: 'button', class: 'button', onclick: act, ...attributes }, label);
        redraw(this.#parts.actions, `${name} ${asked}`, () =>
            asked
                ? [
                      h('span', {}, 'Remove it, and its verdicts?'),
                      button('Yes, remove', () => void this.#remove(name), {
                          class: 'button danger',
                      }),
                      button('No', () => this.#askToRemove(null)),
                  ]
                : [button('Remove', () => this.#askToRemove(name))],
        );
    }

    /* The focus goes to the way back. */
    #askToRemove(name) {
        this.#removing = name;
        this.#draw();
        this.#parts.actions.querySelector('button:last-child').focus();
    }

    async #remove(name) {
        try {
            await removeBenchmark(name);
            this.#context.store.goPage('benchmarks');
            this.#poll.now();
        } catch (error) {
            this.#complain(error);
        }
    }

    /* From where the benchmark begins to now, so that the eye finds when it changed. */
    #chartHref(row) {
        const { kept, told, known } = this.#open;
        const chart = chartOf(row, kept, known);
        if (!chart) return null;
        const [page, params] = chart;
        return this.#context.store.href(page, {
            ...params,
            ...stretchParams(kept.start_ms, told.end_ms),
        });
    }
}
