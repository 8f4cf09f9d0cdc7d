/* SPDX-License-Identifier: Apache-2.0 */

/* processes - who uses the machine: a table to sort and filter, the same by groups of one name
 * with their history, and one process in detail. Sort, filter, view and detail are in the
 * address; `Pause` holds the table still while it is read. */
import { isAbort, processes } from '../api.js';
import { h, icon, iconButton, setText } from '../dom.js';
import { formatDateTime, formatValue } from '../format.js';
import { Panel } from '../panel.js';
import { COLUMNS, filterRows, ProcessTable, sortRows } from '../process_table.js';
import { GroupTable } from '../group_table.js';
import { detailPanels, GROUP_PANELS } from './process_panels.js';

const PERIOD_MS = 2000;
const ROWS_MAX = 200;
const ASKED_MAX = 5000;

export class ProcessesPage {
    #context;
    #rows = [];
    #time_ms = null;
    #paused = false;
    #with_pss = false;
    #all = false;
    #abort = new AbortController();
    #timer = null;
    #group_panels = [];
    #detail_panels = [];
    #detail_of = null;
    #table;
    #groups;
    #parts;

    element;

    constructor(context) {
        this.#context = context;
        this.#table = new ProcessTable({
            caption: 'Processes',
            full: true,
            on_sort: (key) => this.#sortBy(key),
            on_open: ({ pid }) => this.#openDetail(pid),
        });
        this.#groups = new GroupTable({ on_open: (group) => this.#showGroup(group) });
        this.#parts = this.#build();
        this.#showView();
        void this.#refresh();
    }

    destroy() {
        this.#abort.abort();
        clearTimeout(this.#timer);
        for (const panel of [...this.#group_panels, ...this.#detail_panels]) panel.destroy();
    }

    update({ moved, params, before }) {
        if (params.view !== before.view) this.#showView();
        for (const panel of [...this.#group_panels, ...this.#detail_panels]) {
            if (moved) panel.refresh();
            panel.showMode();
        }
        if (this.#parts.filter.value !== (params.q ?? ''))
            this.#parts.filter.value = params.q ?? '';
        this.#draw();
    }

    search() {
        this.#parts.filter.focus();
        this.#parts.filter.select();
    }

    escape() {
        const { store } = this.#context;
        if (!store.params.pid) return false;
        store.go({ pid: null });
        return true;
    }

    #build() {
        const { store } = this.#context;
        const parts = {
            filter: h('input', {
                type: 'search',
                class: 'filter',
                placeholder: 'Filter by name, user or PID',
                'aria-label': 'Filter processes',
                autocomplete: 'off',
                spellcheck: 'false',
                oninput: () => store.adjust({ q: parts.filter.value }),
            }),
            list: this.#viewButton('list', 'Processes'),
            groups: this.#viewButton('groups', 'Groups'),
            pause: h('button', {
                type: 'button',
                class: 'button',
                onclick: () => this.togglePause(),
            }),
            pss: h(
                'button',
                {
                    type: 'button',
                    class: 'button wide-only',
                    'aria-pressed': 'false',
                    onclick: () => this.#togglePss(),
                },
                'Measure PSS',
            ),
            kernel: h(
                'button',
                { type: 'button', class: 'button wide-only', onclick: () => this.#toggleKernel() },
                'Kernel threads',
            ),
            note: h('p', { class: 'table-note', role: 'status' }),
            more: h('button', {
                type: 'button',
                class: 'button',
                hidden: true,
                onclick: () => this.#showAll(),
            }),
            list_view: h('div'),
            group_view: h('div'),
            detail: h('aside', {
                class: 'card detail',
                hidden: true,
                'aria-label': 'Process in detail',
            }),
        };
        parts.filter.value = store.params.q ?? '';
        parts.list_view.append(
            parts.detail,
            h('div', { class: 'card table-scroll' }, this.#table.element),
            h('div', { class: 'table-foot' }, parts.note, parts.more),
        );
        this.element = h(
            'div',
            { class: 'page page-processes' },
            h('h1', { class: 'offscreen' }, 'Processes'),
            h(
                'div',
                { class: 'toolbar' },
                parts.filter,
                h(
                    'div',
                    { class: 'segments', role: 'group', 'aria-label': 'View' },
                    parts.list,
                    parts.groups,
                ),
                parts.pause,
                parts.kernel,
                parts.pss,
            ),
            parts.list_view,
            parts.group_view,
        );
        this.#labelPause(parts.pause);
        return parts;
    }

    #viewButton(view, label) {
        const value = view === 'list' ? null : view;
        return h(
            'button',
            {
                type: 'button',
                class: 'button',
                onclick: () => this.#context.store.go({ view: value, pid: null }),
            },
            label,
        );
    }

    #showView() {
        const grouped = this.#context.store.params.view === 'groups';
        const { list, groups, list_view, group_view } = this.#parts;
        list.setAttribute('aria-pressed', String(!grouped));
        groups.setAttribute('aria-pressed', String(grouped));
        list_view.hidden = grouped;
        group_view.hidden = !grouped;
        if (grouped && this.#group_panels.length === 0) this.#buildGroups(group_view);
    }

    #buildGroups(host) {
        this.#group_panels = GROUP_PANELS.map((spec) => new Panel(spec, this.#context));
        host.append(
            h('div', { class: 'panels' }, ...this.#group_panels.map(({ element }) => element)),
            h('div', { class: 'card table-scroll' }, this.#groups.element),
        );
    }

    async #refresh() {
        const { signal } = this.#abort;
        clearTimeout(this.#timer);
        try {
            if (!document.hidden && !this.#paused) {
                const kernel = this.#context.store.params.kernel === '1';
                const pss = this.#with_pss;
                const data = await processes({ pss, kernel, limit: ASKED_MAX, signal });
                this.#rows = data.processes;
                this.#time_ms = data.time_ms;
                this.#draw();
            }
        } catch (error) {
            if (isAbort(error)) return;
            setText(this.#parts.note, `${error.message} ${error.hint ?? ''}`);
        }
        clearTimeout(this.#timer);
        if (!signal.aborted) this.#timer = setTimeout(() => void this.#refresh(), PERIOD_MS);
    }

    #sortState() {
        const { sort = '-cpu' } = this.#context.store.params;
        return { key: sort.replace(/^-/, ''), descending: sort.startsWith('-') };
    }

    /* Numbers are first wanted large, words from A. Again the same head: the other way. */
    #sortBy(key) {
        const now = this.#sortState();
        const column = COLUMNS.find((candidate) => candidate.key === key);
        const descending = now.key === key ? !now.descending : !column.text;
        this.#context.store.adjust({ sort: `${descending ? '-' : ''}${key}` });
    }

    #draw() {
        const { q, pid, kernel } = this.#context.store.params;
        const { key, descending } = this.#sortState();
        const matching = filterRows(this.#rows, q);
        const sorted = sortRows(matching, key, descending);
        const shown = this.#all ? sorted : sorted.slice(0, ROWS_MAX);
        this.#parts.kernel.setAttribute('aria-pressed', String(kernel === '1'));
        this.#table.showSort(key, descending);
        this.#table.draw(shown, Number(pid));
        this.#groups.draw(matching);
        this.#showCounts(shown.length, matching.length);
        this.#drawDetail(pid === undefined ? null : Number(pid));
    }

    #showCounts(shown, matching) {
        if (this.#time_ms === null) return;
        const total = this.#rows.length;
        const words =
            matching === total ? `${total} processes` : `${matching} of ${total} processes match`;
        const still = this.#paused ? `, held since ${formatDateTime(this.#time_ms)}` : '';
        const { note, more } = this.#parts;
        setText(
            note,
            matching === 0 && total > 0 ? 'No process matches this filter.' : `${words}${still}`,
        );
        more.hidden = shown === matching;
        setText(more, `${shown} of ${matching} shown. Show all`);
    }

    #showAll() {
        this.#all = true;
        this.#draw();
    }

    togglePause() {
        this.#paused = !this.#paused;
        this.#labelPause(this.#parts.pause);
        if (!this.#paused) void this.#refresh();
        else this.#draw();
    }

    #labelPause(button) {
        button.replaceChildren(
            icon(this.#paused ? 'play' : 'pause'),
            this.#paused ? 'Resume' : 'Pause',
        );
        button.setAttribute('aria-pressed', String(this.#paused));
    }

    #toggleKernel() {
        const { store } = this.#context;
        store.adjust({ kernel: store.params.kernel === '1' ? null : '1' });
        void this.#refresh();
    }

    #togglePss() {
        this.#with_pss = !this.#with_pss;
        this.#parts.pss.setAttribute('aria-pressed', String(this.#with_pss));
        void this.#refresh();
    }

    #showGroup(group) {
        this.#context.store.go({ view: null, q: group });
    }

    #openDetail(pid) {
        const open = Number(this.#context.store.params.pid) === pid;
        this.#context.store.go({ pid: open ? null : pid });
    }

    #drawDetail(pid) {
        const { detail } = this.#parts;
        const row = this.#rows.find((candidate) => candidate.pid === pid);
        detail.hidden = pid === null || this.#time_ms === null;
        if (detail.hidden) {
            this.#forgetDetail();
            return;
        }
        if (!row) {
            this.#forgetDetail();
            detail.replaceChildren(
                this.#detailHead(`Process ${pid}`),
                h('p', {}, 'It is not running any more. Its group keeps its history under Groups.'),
            );
            return;
        }
        if (this.#detail_of !== pid) this.#buildDetail(row);
        this.#fillFacts(row);
    }

    #forgetDetail() {
        for (const panel of this.#detail_panels) panel.destroy();
        this.#detail_panels = [];
        this.#detail_of = null;
    }

    #detailHead(title) {
        const close = iconButton('close', 'Close detail (Esc)', () =>
            this.#context.store.go({ pid: null }),
        );
        return h('header', { class: 'detail-head' }, h('h2', {}, title), close);
    }

    #buildDetail(row) {
        this.#forgetDetail();
        this.#detail_of = row.pid;
        this.#detail_panels = row.group
            ? detailPanels(row.group).map((spec) => new Panel(spec, this.#context))
            : [];
        this.#parts.facts = h('dl', { class: 'facts' });
        this.#parts.detail.replaceChildren(
            this.#detailHead(`${row.name} · ${row.pid}`),
            h('p', { class: 'command' }, row.cmdline ?? 'The command line is not readable.'),
            this.#parts.facts,
            row.group
                ? h(
                      'p',
                      { class: 'table-note' },
                      `History of all processes in the group ${row.group}`,
                  )
                : '',
            h('div', { class: 'panels' }, ...this.#detail_panels.map(({ element }) => element)),
        );
        this.#parts.detail.scrollIntoView({ block: 'nearest' });
    }

    #fillFacts(row) {
        const facts = [
            ['User', row.user],
            ['Parent', row.ppid],
            ['CPU', formatValue(row.cpu_percent, 'percent')],
            ['Memory', formatValue(row.rss_bytes, 'bytes')],
            ['Virtual', formatValue(row.vms_bytes, 'bytes')],
            ['PSS', formatValue(row.pss_bytes, 'bytes')],
            ['Threads', formatValue(row.threads)],
            ['Open files', formatValue(row.fds)],
            ['Reads', formatValue(row.read_bytes_per_s, 'bytes_per_s')],
            ['Writes', formatValue(row.written_bytes_per_s, 'bytes_per_s')],
            ['Gave way', formatValue(row.voluntary_ctxt_switches_per_s, 'per_s')],
            ['Was preempted', formatValue(row.nonvoluntary_ctxt_switches_per_s, 'per_s')],
            ['Started', row.start_time_s ? formatDateTime(row.start_time_s * 1000) : null],
        ];
        this.#parts.facts.replaceChildren(
            ...facts.map(([name, value]) =>
                h('div', {}, h('dt', {}, name), h('dd', {}, String(value ?? '–'))),
            ),
        );
    }
}
