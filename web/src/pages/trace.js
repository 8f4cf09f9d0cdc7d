/* SPDX-License-Identifier: Apache-2.0 */

/* trace - one trace: what was found in it, its waterfall or flame, and any span in full.
 *
 * In the address: id, span (the open one), view ("flame"), find (text of the search), path ("0": the
 * critical path is not lit). */
import { isAbort, traceColumns, traceExplain } from '../api.js';
import { criticalPath, rootOf } from '../critical_path.js';
import { copyText, h, icon, iconButton, setText } from '../dom.js';
import { FlameView } from '../flame_view.js';
import { foldFlame } from '../flame.js';
import { formatCount, formatDateTime, formatSeconds } from '../format.js';
import { Minimap } from '../minimap.js';
import { serviceColour, serviceStripes } from '../span_colours.js';
import { SpanDetail } from '../span_detail.js';
import {
    findRow,
    findRows,
    isError,
    marksByRow,
    nameOf,
    readColumns,
    serviceOf,
    spanId,
} from '../trace_columns.js';
import { findingList } from '../trace_findings.js';
import { buildTree, byService, matchRows } from '../trace_tree.js';
import { Waterfall } from '../waterfall.js';

const SERVICES_MAX = 16;
const AT_ONCE_MAX = 20000; /* Spans whose critical path is found before they are drawn. */
/* More are not explained: the daemon would need more memory for it than it gives a question. */
const EXPLAINED_MAX = 300000;
const NONE = -1;

export class TracePage {
    #context;
    #abort = new AbortController();
    #state = null;
    #explained = null;
    #only = null; /* Rows that a finding speaks of: marked as matches are. */
    #match_at = NONE;
    #parts;
    #waterfall;
    #minimap;
    #flame = null;
    #detail;

    element;

    constructor(context) {
        this.#context = context;
        this.#waterfall = new Waterfall({
            on_select: (row) => this.#select(row),
            on_open: (row) => this.#open(row),
            on_window: () => this.#showFrames(),
            on_scroll: () => this.#showFrames(),
        });
        this.#minimap = new Minimap({
            on_window: (view) => this.#waterfall.setWindow(view),
            on_seek: (share) => this.#waterfall.seek(share),
            on_reset: () => this.#waterfall.zoomOut(),
        });
        this.#detail = new SpanDetail(context, {
            on_close: () => this.#context.store.go({ span: null }),
            on_row: (row) => this.#go(row),
            on_zoom: (row) => this.#waterfall.zoomTo(row),
        });
        this.#build();
        void this.#load();
    }

    destroy() {
        this.#abort.abort();
        this.#waterfall.destroy();
        this.#minimap.destroy();
        this.#flame?.destroy();
        this.#detail.destroy();
    }

    update({ params, before }) {
        if (params.id !== before.id) {
            this.#abort.abort();
            this.#abort = new AbortController();
            this.#state = null;
            void this.#load();
            return;
        }
        if (!this.#state) return;
        if (params.view !== before.view) this.#showView();
        if (params.path !== before.path) this.#showPath();
        if (params.find !== before.find) this.#find();
        if (params.span !== before.span) this.#showSpan();
    }

    search() {
        this.#parts.find.focus();
        this.#parts.find.select();
    }

    escape() {
        const { store } = this.#context;
        if (document.activeElement === this.#parts.find) {
            this.#waterfall.focus();
            return true;
        }
        if (store.params.span) {
            store.go({ span: null });
            this.#waterfall.focus();
            return true;
        }
        if (this.#only || store.params.find) {
            this.#only = null;
            this.#parts.find.value = '';
            if (store.params.find) store.adjust({ find: null });
            else this.#find();
            return true;
        }
        if (this.#state && this.#waterfall.isZoomed) {
            this.#waterfall.zoomOut();
            return true;
        }
        return false;
    }

    /* ---- The page. ---- */

    #build() {
        const { store } = this.#context;
        const find = h('input', {
            type: 'search',
            class: 'filter',
            placeholder: 'Find a span by name, service, or “error”',
            'aria-label': 'Find in this trace',
            spellcheck: 'false',
            oninput: () => store.adjust({ find: find.value }),
            onkeydown: (event) => this.#findKey(event),
        });
        find.value = store.params.find ?? '';
        const found = h('span', { class: 'table-note', role: 'status' });
        this.#parts = {
            find,
            found,
            head: h('header', { class: 'trace-head' }),
            notes: h('div', { class: 'trace-notes' }),
            findings: h('section', { class: 'trace-explained', 'aria-label': 'Findings' }),
            services: h('ul', { class: 'trace-services', 'aria-label': 'Services of the trace' }),
            body: h('div', { class: 'trace-body' }),
            message: h('p', { class: 'health-wait card', role: 'status' }, 'Reading the trace …'),
            waterfall: this.#toggle('Waterfall', () => store.go({ view: null })),
            flame: this.#toggle('Flame', () => store.go({ view: 'flame' })),
            path: this.#toggle('Critical path', () =>
                store.adjust({ path: store.params.path === '0' ? null : '0' }),
            ),
            out: h(
                'button',
                {
                    type: 'button',
                    class: 'button',
                    hidden: true,
                    onclick: () => this.#waterfall.zoomOut(),
                },
                icon('zoom_out'),
                'Whole trace',
            ),
        };
        const { parts } = { parts: this.#parts };
        this.element = h(
            'div',
            { class: 'page page-trace' },
            parts.head,
            parts.findings,
            parts.notes,
            h(
                'div',
                { class: 'toolbar trace-tools' },
                h(
                    'div',
                    { class: 'segments', role: 'group', 'aria-label': 'View' },
                    parts.waterfall,
                    parts.flame,
                ),
                parts.path,
                find,
                iconButton('up', 'Previous match (Shift Enter)', () => this.#step(-1)),
                iconButton('down', 'Next match (Enter)', () => this.#step(1)),
                found,
                parts.out,
            ),
            parts.services,
            parts.message,
            parts.body,
        );
    }

    #toggle(text, onclick) {
        return h('button', { type: 'button', class: 'button', onclick }, text);
    }

    async #load() {
        const { id } = this.#context.store.params;
        const { signal } = this.#abort;
        this.#say('Reading the trace …');
        this.#parts.findings.replaceChildren();
        if (!id) {
            this.#say('Which trace? Open one from the list of traces.');
            return;
        }
        try {
            const trace = readColumns(await traceColumns(id, { signal }));
            if (signal.aborted) return;
            this.#show(trace);
            await this.#findPath(signal);
            if (!signal.aborted) await this.#explain(id, signal);
        } catch (error) {
            if (isAbort(error)) return;
            this.#say(`${error.message} ${error.hint ?? ''}`);
        }
    }

    #say(words) {
        this.#parts.message.hidden = !words;
        setText(this.#parts.message, words);
        if (words) {
            this.#parts.body.replaceChildren();
            this.#parts.head.replaceChildren();
            this.#parts.notes.replaceChildren();
            this.#parts.services.replaceChildren();
        }
    }

    #show(trace) {
        this.#state = {
            trace,
            tree: buildTree(trace),
            path: null,
            stretches: null,
            marks: marksByRow(trace),
            closed: new Set(),
        };
        this.#say('');
        this.#flame?.destroy();
        this.#flame = null;
        this.#showHead();
        this.#showNotes();
        this.#showServices();
        this.#waterfall.show(this.#state);
        this.#minimap.show(this.#state);
        this.#showView();
        this.#showPath();
        this.#find();
        this.#showSpan();
    }

    /* Of a large trace after it was drawn: that is what one waits for. */
    async #findPath(signal) {
        const { trace, tree } = this.#state;
        if (trace.count > AT_ONCE_MAX) await twoFrames();
        if (signal.aborted) return;
        const path = criticalPath(tree);
        Object.assign(this.#state, { path, stretches: stretchesByRow(path, trace.count) });
        this.#waterfall.patch({ path, stretches: this.#state.stretches });
        this.#showSpan();
    }

    #showHead() {
        const { trace, tree } = this.#state;
        const { store } = this.#context;
        const root = rootOf(tree);
        const errors = countErrors(trace);
        const title =
            root === NONE
                ? 'Logs without spans'
                : `${serviceOf(trace, root)}: ${nameOf(trace, root)}`;
        const said = h('span', { class: 'table-note', role: 'status' });
        const copy = iconButton('copy', 'Copy the trace id', async () => {
            try {
                await copyText(trace.trace_id);
                setText(said, 'Copied.');
            } catch (error) {
                setText(said, error.message);
            }
        });
        const facts = [
            ['', formatSeconds((tree.to - tree.from) / 1e9)],
            ['', `${trace.count.toLocaleString('en')} ${trace.count === 1 ? 'span' : 'spans'}`],
            [
                '',
                `${trace.services.length} ${trace.services.length === 1 ? 'service' : 'services'}`,
            ],
            errors > 0
                ? ['has-errors', `✕ ${errors.toLocaleString('en')} with an error`]
                : ['', 'no errors'],
            ['', formatDateTime(trace.start_ms)],
        ];
        this.#parts.head.replaceChildren(
            h(
                'a',
                {
                    class: 'icon-button',
                    href: store.href('traces'),
                    title: 'All traces',
                    'aria-label': 'All traces',
                },
                icon('back'),
            ),
            h(
                'div',
                { class: 'trace-title' },
                h('h1', {}, title),
                h(
                    'p',
                    { class: 'trace-facts' },
                    ...facts.map(([name, text]) => h('span', { class: name || null }, text)),
                    h('span', { class: 'trace-id' }, h('code', {}, trace.trace_id), copy, said),
                ),
            ),
        );
    }

    /* What is not as it should be, in words. */
    #showNotes() {
        const { trace, tree } = this.#state;
        const { flaws } = tree;
        const words = [];
        const count = (number, one, many) =>
            number > 0 &&
            words.push(number === 1 ? one : many.replace('#', number.toLocaleString('en')));
        count(
            flaws.orphans,
            'One span stands at the top because its parent has not arrived.',
            '# spans stand at the top because their parents have not arrived.',
        );
        count(
            flaws.cycles,
            'Parents formed a circle; it is cut at its first span.',
            'Parents formed # circles; each is cut at its first span.',
        );
        count(
            flaws.skewed,
            'One call is drawn where its caller’s clock has it (⇆): its host’s clock differs.',
            '# calls are drawn where their callers’ clocks have them (⇆): clocks differ.',
        );
        count(flaws.negative, 'One span ends before it starts.', '# spans end before they start.');
        count(flaws.repeated_ids, 'One span has the id of another.', '# spans have ids of others.');
        count(
            trace.repeated,
            'One span was sent twice; it is shown once.',
            '# spans were sent twice; they are shown once.',
        );
        if (trace.marks_are_cut)
            words.push(
                'It has more events and logs than are drawn; a span’s details have all of its own.',
            );
        this.#parts.notes.replaceChildren(
            ...words.map((text) => h('p', { class: 'trace-note' }, icon('info'), text)),
        );
    }

    #showServices() {
        const { trace, tree } = this.#state;
        const sums = byService(trace, tree);
        const whole = sums.reduce((sum, { self }) => sum + self, 0) || 1;
        const shown = sums.slice(0, SERVICES_MAX);
        this.#parts.services.replaceChildren(
            ...shown.map(({ service, number, calls, errors, self }) => {
                const chip = h('span', {
                    class: 'service-chip',
                    'data-stripes': serviceStripes(number),
                });
                chip.style.background = serviceColour(number);
                const words = `${formatCount(calls)} spans, ${formatSeconds(self / 1e9)} of their own`;
                return h(
                    'li',
                    {},
                    h(
                        'button',
                        {
                            type: 'button',
                            title: `${words}. Find them.`,
                            onclick: () => this.#context.store.adjust({ find: service }),
                        },
                        chip,
                        service,
                        h('small', {}, `${((self / whole) * 100).toFixed(0)} %`),
                        errors > 0 ? h('small', { class: 'has-errors' }, `✕ ${errors}`) : null,
                    ),
                );
            }),
            sums.length > shown.length
                ? h('li', { class: 'table-note' }, `and ${sums.length - shown.length} more`)
                : '',
        );
    }

    #showView() {
        const { view } = this.#context.store.params;
        const flame = view === 'flame';
        this.#parts.waterfall.setAttribute('aria-pressed', String(!flame));
        this.#parts.flame.setAttribute('aria-pressed', String(flame));
        if (flame && !this.#flame) {
            this.#flame = new FlameView({ on_row: (row) => this.#go(row) });
            this.#flame.show(this.#state.trace, foldFlame(this.#state.trace, this.#state.tree));
        }
        this.#parts.body.replaceChildren(
            h(
                'div',
                { class: 'trace-main card' },
                ...(flame
                    ? [this.#flame.element]
                    : [this.#minimap.element, this.#waterfall.element]),
            ),
            this.#detail.element,
        );
    }

    #showPath() {
        const lit = this.#context.store.params.path !== '0';
        this.#parts.path.setAttribute('aria-pressed', String(lit));
        this.#waterfall.patch({ lit });
    }

    #showFrames() {
        if (!this.#state) return;
        this.#minimap.frame(this.#waterfall.window, this.#waterfall.seen());
        this.#parts.out.hidden = !this.#waterfall.isZoomed;
    }

    /* ---- Finding spans. ---- */

    #matches() {
        if (this.#only) {
            const matches = new Uint8Array(this.#state.trace.count);
            for (const row of this.#only) matches[row] = 1;
            return matches;
        }
        return matchRows(this.#state.trace, this.#context.store.params.find ?? '');
    }

    #find() {
        const { find: text = '' } = this.#context.store.params;
        if (text) this.#only = null;
        if (this.#parts.find.value !== text) this.#parts.find.value = text;
        const matches = this.#matches();
        this.#match_at = NONE;
        this.#waterfall.patch({ matches });
        const count = matches ? matches.reduce((sum, one) => sum + one, 0) : 0;
        setText(this.#parts.found, matches ? `${count.toLocaleString('en')} found` : '');
    }

    #findKey(event) {
        if (event.key === 'Enter') {
            event.preventDefault();
            this.#step(event.shiftKey ? -1 : 1);
        } else if (event.key === 'ArrowDown') {
            event.preventDefault();
            this.#waterfall.focus();
        }
    }

    /* To the next match below the selected row, round the end. */
    #step(by) {
        if (!this.#state) return;
        const { tree } = this.#state;
        const matches = this.#matches();
        if (!matches) return;
        const count = tree.order.length;
        const selected = this.#waterfall.selected;
        let at = selected === NONE ? (by > 0 ? -1 : count) : tree.place[selected];
        for (let tries = 0; tries < count; tries += 1) {
            at = (at + by + count) % count;
            if (!matches[tree.order[at]]) continue;
            this.#waterfall.select(tree.order[at]);
            if (this.#context.store.params.span) this.#open(tree.order[at]);
            return;
        }
    }

    /* ---- One span. ---- */

    /* A click and the arrows select; the detail follows when it is open or on a wide screen. */
    #select(row) {
        this.#waterfall.select(row);
        this.#open(row);
    }

    #open(row) {
        const { store } = this.#context;
        const span = spanId(this.#state.trace, row);
        this.#wanted = row;
        if (store.params.span === span) this.#showSpan();
        else if (store.params.span) store.adjust({ span });
        else store.go({ span });
    }

    #wanted = NONE;

    /* From elsewhere than the waterfall: there, then open. */
    #go(row) {
        const { store } = this.#context;
        this.#wanted = row;
        const span = spanId(this.#state.trace, row);
        if (store.params.view) store.go({ view: null, span });
        else this.#select(row);
    }

    #showSpan() {
        const { span } = this.#context.store.params;
        const { trace } = this.#state;
        if (!span) {
            this.#detail.hide();
            this.element.classList.remove('has-detail');
            return;
        }
        /* Several spans may have the id: the one that was meant, else the first. */
        const meant = this.#wanted !== NONE && spanId(trace, this.#wanted) === span;
        const row = meant ? this.#wanted : findRow(trace, span);
        this.#wanted = NONE;
        if (row === NONE) {
            this.#detail.hide();
            return;
        }
        this.element.classList.add('has-detail');
        this.#waterfall.select(row);
        this.#detail.show(this.#state, row);
    }

    /* ---- What the daemon found. ---- */

    async #explain(id, signal) {
        this.#explained = null;
        const { count } = this.#state.trace;
        if (count === 0) return;
        if (count > EXPLAINED_MAX) {
            const words = `Traces of more than ${EXPLAINED_MAX.toLocaleString('en')} spans are drawn, not explained.`;
            this.#parts.notes.append(h('p', { class: 'trace-note' }, icon('info'), words));
            return;
        }
        try {
            const explained = await traceExplain(id, { signal });
            if (signal.aborted) return;
            this.#explained = explained;
            this.#applyExplained();
        } catch (error) {
            if (isAbort(error)) return;
            this.#parts.findings.replaceChildren();
        }
    }

    /* Both must be there: the findings speak of rows. */
    #applyExplained() {
        if (!this.#explained || !this.#state) return;
        const { findings } = this.#explained;
        const { store } = this.#context;
        this.#parts.findings.replaceChildren(
            ...(findings.length > 0
                ? [
                      findingList(findings, {
                          on_spans: (finding) => this.#showFound(finding),
                          href: (q) => store.href('traces', { q }),
                      }),
                  ]
                : []),
        );
    }

    #showFound({ span_ids }) {
        const { store } = this.#context;
        const rows = findRows(this.#state.trace, span_ids);
        if (rows.length === 0) return;
        if (store.params.find || store.params.view) store.go({ find: null, view: null });
        this.#only = rows;
        this.#find();
        const first = rows.reduce((best, row) =>
            this.#state.tree.place[row] < this.#state.tree.place[best] ? row : best,
        );
        this.#select(first);
        this.#waterfall.focus();
        this.#parts.body.scrollIntoView({ block: 'nearest' });
    }
}

function countErrors(trace) {
    let count = 0;
    for (let row = 0; row < trace.count; row += 1) if (isError(trace, row)) count += 1;
    return count;
}

/* The stretches of the path by row: `first[row]` to `first[row + 1]` in starts and ends. */
function stretchesByRow(path, count) {
    const first = new Uint32Array(count + 1);
    for (const row of path.rows) first[row + 1] += 1;
    for (let row = 0; row < count; row += 1) first[row + 1] += first[row];
    const next = first.slice(0, count);
    const starts = new Float64Array(path.rows.length);
    const ends = new Float64Array(path.rows.length);
    path.rows.forEach((row, at) => {
        const place = next[row]++;
        starts[place] = path.starts[at];
        ends[place] = path.ends[at];
    });
    return { first, starts, ends };
}

const twoFrames = () =>
    new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
