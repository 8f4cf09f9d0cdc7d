/* SPDX-License-Identifier: Apache-2.0 */

/* self - what sonde itself costs, what it watches with, and what it keeps. */
import { isAbort, queryInstant, status } from '../api.js';
import { h, icon, setText } from '../dom.js';
import {
    DASH,
    formatBytes,
    formatCount,
    formatDateTime,
    formatSeconds,
    formatValue,
} from '../format.js';
import { Panel } from '../panel.js';
import { guessUnit } from '../promql.js';
import { parseSample, spellMetric } from '../series.js';

const PERIOD_MS = 5000;

const OWN = '{job="sonde"}';

const PANELS = [
    {
        id: 'self-cpu',
        title: 'CPU that sonde uses',
        unit: 'percent',
        least: 1,
        targets: [
            {
                expr: `sum(rate(process_cpu_seconds_total${OWN}[$window])) * 100`,
                name: 'of one core',
            },
        ],
    },
    {
        id: 'self-memory',
        title: 'Memory that sonde uses',
        unit: 'bytes',
        targets: [{ expr: `sum(process_resident_memory_bytes${OWN})`, name: 'resident' }],
    },
    {
        id: 'self-samples',
        title: 'Samples made durable',
        unit: 'per_s',
        least: 10,
        targets: [{ expr: 'sum(rate(sonde_store_samples_total[$window]))', name: 'samples' }],
    },
    {
        id: 'self-commit',
        title: 'Time a commit takes',
        unit: 'seconds',
        least: 0.001,
        targets: [
            {
                expr:
                    'sum(rate(sonde_store_commit_seconds_total[$window]))' +
                    ' / sum(rate(sonde_store_commits_total[$window]))',
                name: 'on average',
            },
        ],
    },
    {
        id: 'self-series',
        title: 'Series',
        unit: 'count',
        targets: [
            { expr: 'sum(sonde_store_series_active)', name: 'active' },
            { expr: 'sum(sonde_store_series)', name: 'known' },
        ],
    },
    {
        id: 'self-files',
        title: 'Open files of sonde',
        unit: 'count',
        least: 10,
        targets: [{ expr: `sum(process_open_fds${OWN})`, name: 'open' }],
    },
    {
        id: 'self-rejected',
        title: 'Samples turned away',
        unit: 'per_s',
        quiet: { topic: 'Samples turned away', none: 'No sample was turned away' },
        targets: [
            {
                expr: 'sum by (reason) (rate(sonde_store_rejected_samples_total[$window]))',
                name: '{{reason}}',
            },
        ],
    },
];

const STATES = {
    running: ['check', 'running'],
    unsupported: ['info', 'not possible here'],
    failed: ['alert', 'failed'],
};

export class SelfPage {
    #context;
    #panels;
    #abort = new AbortController();
    #timer = null;
    #facts = h('dl', { class: 'facts' });
    #sources = h('tbody');
    #metrics = h('tbody');
    #limits = h('dl', { class: 'facts' });
    #note = h('p', { class: 'table-note', role: 'status' });

    element;

    constructor(context) {
        this.#context = context;
        this.#panels = PANELS.map((spec) => new Panel(spec, context));
        this.element = h(
            'div',
            { class: 'page page-self' },
            h('h1', { class: 'offscreen' }, 'sonde itself'),
            h('section', { class: 'card' }, this.#facts, this.#note),
            h('div', { class: 'panels' }, ...this.#panels.map(({ element }) => element)),
            this.#tableSection(
                'Sources',
                ['Source', 'State', 'Every', 'One look takes', 'What it notices'],
                this.#sources,
            ),
            h(
                'section',
                { class: 'resource' },
                h('h2', {}, 'Limits'),
                h('div', { class: 'card' }, this.#limits),
            ),
            this.#tableSection('Its own numbers', ['Metric', 'Value'], this.#metrics),
        );
        void this.#refresh();
    }

    destroy() {
        this.#abort.abort();
        clearTimeout(this.#timer);
        for (const panel of this.#panels) panel.destroy();
    }

    update({ moved }) {
        for (const panel of this.#panels) {
            if (moved) panel.refresh();
            panel.showMode();
        }
    }

    #tableSection(title, heads, body) {
        return h(
            'section',
            { class: 'resource' },
            h('h2', {}, title),
            h(
                'div',
                { class: 'card table-scroll' },
                h(
                    'table',
                    { class: 'numbers plain' },
                    h('caption', { class: 'offscreen' }, title),
                    h(
                        'thead',
                        {},
                        h(
                            'tr',
                            {},
                            ...heads.map((head) => h('th', { scope: 'col', class: 'text' }, head)),
                        ),
                    ),
                    body,
                ),
            ),
        );
    }

    async #refresh() {
        const { signal } = this.#abort;
        try {
            if (!document.hidden) {
                this.#showStatus(await status({ signal }));
                this.#showMetrics(
                    (await queryInstant('{__name__=~"sonde_.+"}', { signal })).result,
                );
                setText(this.#note, '');
            }
        } catch (error) {
            if (isAbort(error)) return;
            setText(this.#note, `${error.message} ${error.hint ?? ''}`);
        }
        if (!signal.aborted) this.#timer = setTimeout(() => void this.#refresh(), PERIOD_MS);
    }

    #showStatus({
        version,
        uptime_s: uptime,
        tenant,
        profile,
        data_path: path,
        sources,
        collectors = [],
        targets = [],
        store,
        limits,
    }) {
        const per_sample =
            store.blocks > 0 ? `${(store.bytes / store.samples).toFixed(2)} B` : DASH;
        fillFacts(this.#facts, [
            ['Version', version],
            ['Running for', formatSeconds(uptime)],
            ['Profile', profile],
            ['Tenant', tenant],
            ['Data folder', path],
            ['Series', formatCount(store.series)],
            ['Samples kept', formatCount(store.samples)],
            ['On disk', formatBytes(store.bytes)],
            ['Per sample', per_sample],
            ['Oldest', store.oldest_ms ? formatDateTime(store.oldest_ms) : DASH],
            ['Blocks', formatCount(store.blocks)],
            ['Waiting to be sealed', formatCount(store.pending_rows)],
        ]);
        fillFacts(
            this.#limits,
            Object.entries(limits ?? {}).map(([name, value]) => [
                name.replaceAll('_', ' '),
                typeof value === 'number' ? formatCount(value) : String(value),
            ]),
        );
        this.#sources.replaceChildren(...[...targets, ...collectors, ...sources].map(sourceRow));
    }

    #showMetrics(result) {
        const rows = result
            .map(({ metric, value }) => ({
                name: spellMetric(metric),
                value: parseSample(value[1]),
            }))
            .sort((a, b) => a.name.localeCompare(b.name));
        if (this.#metrics.contains(document.activeElement)) return;
        const { store } = this.#context;
        this.#metrics.replaceChildren(
            ...rows.map(({ name, value }) =>
                h(
                    'tr',
                    {},
                    h(
                        'th',
                        { scope: 'row', class: 'text' },
                        h(
                            'a',
                            { href: store.href('explore', { expr: name }) },
                            h('code', {}, name),
                        ),
                    ),
                    h('td', { class: 'number' }, formatValue(value, guessUnit(name))),
                ),
            ),
        );
    }
}

function fillFacts(list, facts) {
    list.replaceChildren(
        ...facts.map(([name, value]) =>
            h('div', {}, h('dt', {}, name), h('dd', {}, value ?? DASH)),
        ),
    );
}

function sourceRow({ name, summary, state, error, period_ms: period, collect_s: collect }) {
    const [sign, word] = STATES[state] ?? ['info', state];
    const running = state === 'running';
    return h(
        'tr',
        {},
        h('th', { scope: 'row', class: 'text' }, name),
        h('td', { class: `text state-${state}` }, icon(sign), word),
        h('td', { class: 'text' }, running ? formatSeconds(period / 1000) : DASH),
        h('td', { class: 'text' }, running ? formatSeconds(collect) : DASH),
        h(
            'td',
            { class: 'text wrap' },
            summary,
            error ? h('p', { class: 'source-error' }, error) : null,
        ),
    );
}
