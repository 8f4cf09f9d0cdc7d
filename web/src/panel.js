/* SPDX-License-Identifier: Apache-2.0 */

/* panel - one chart with its title, legend, table, and what to say when there is nothing to draw.
 *
 * Life: mounted ─► seen on screen ─► load() ─► live points ─► out of sight for a while ─► stop.
 * A panel that nobody sees asks nothing. A change of view reaches it by `refresh()`.
 *
 * A spec is data: { id, title, kind, unit, targets: [{ expr, name }], stacked, max, least, height,
 * derive(columns) -> columns, colours: { name: index }, limit, empty, quiet }.
 * `quiet` is the sentence shown instead of the chart while every value is zero. */
import { Chart, seriesColour, seriesDash } from './chart.js';
import { serverNow } from './clock.js';
import { copyText, h, icon, iconButton, setText, withCode } from './dom.js';
import { Feed } from './feed.js';
import { formatDateTime, formatMoment, formatValue } from './format.js';
import { cancelPaint, onNextPaint } from './frames.js';
import { Legend } from './legend.js';
import { chooseStep, pan, zoom } from './range.js';
import { currentValue, isAllZero, limitColumns } from './series.js';
import { FrameTable } from './table.js';
import { colours } from './theme.js';
import { parseList, toggleInList } from './url_state.js';

const SERIES_MAX = 12;
const UNSEEN_MS = 5000;

export class Panel {
    #spec;
    #context;
    #feed;
    #chart;
    #legend;
    #table;
    #on_screen = false;
    #seen = false;
    #stale = true;
    #unseen_timer = null;
    #cleanups = [];
    #shown = { columns: [], total: 0 };
    #quiet_open = false;
    #cursor_row = null;
    #parts;
    #paint = () => this.#draw();

    element;

    /* context: { store, live, crosshair }. */
    constructor(spec, context) {
        this.#spec = spec;
        this.#context = context;
        this.#parts = this.#build();
        this.#feed = new Feed({
            targets: spec.targets,
            live: context.live,
            on_change: () => onNextPaint(this.#paint),
        });
        this.#chart = new Chart(this.#parts.canvas, {
            ...spec,
            crosshair: context.crosshair,
            colour_of: (column) => spec.colours?.[column.name],
            on_zoom: (window) => context.store.fix(window),
            on_reset: () => context.store.release(),
            on_cursor: (row) => this.#showCursor(row),
        });
        this.#watch();
    }

    destroy() {
        clearTimeout(this.#unseen_timer);
        cancelPaint(this.#paint);
        this.#feed.stop();
        this.#chart.destroy();
        for (const cleanup of this.#cleanups) cleanup();
    }

    /* The view changed: load again, now if seen, else when it is. */
    refresh() {
        this.#stale = true;
        this.#table.reset();
        if (this.#seen) this.#load();
    }

    /* The parameters changed but not the view: the table may have been opened or closed. */
    showMode() {
        const as_table = parseList(this.#context.store.params.table).has(this.#spec.id);
        this.element.classList.toggle('as-table', as_table);
        const label = as_table ? 'Show as chart' : 'Show as table';
        const { toggle } = this.#parts;
        toggle.setAttribute('aria-label', label);
        toggle.setAttribute('aria-pressed', String(as_table));
        toggle.title = label;
        toggle.replaceChildren(icon(as_table ? 'chart' : 'table'));
        this.#parts.copy.hidden = !as_table;
        onNextPaint(this.#paint);
    }

    #build() {
        const { id, title, unit } = this.#spec;
        const heading = `${id}-title`;
        this.#table = new FrameTable({ title, unit });
        this.#legend = new Legend({ unit, on_toggle: (name) => this.#toggleSeries(name) });
        const parts = {
            canvas: h('div', {
                class: 'chart',
                tabindex: '0',
                role: 'group',
                'aria-roledescription': 'chart',
                'aria-labelledby': heading,
                onkeydown: (event) => this.#onKey(event),
                onfocus: () => this.#describe(),
            }),
            kind: h('span', { class: 'kind' }, this.#spec.kind ?? ''),
            message: h('div', { class: 'panel-message', role: 'status' }),
            spoken: h('p', { class: 'offscreen', 'aria-live': 'polite' }),
            toggle: iconButton('table', 'Show as table', () => this.#toggleTable()),
            copy: iconButton('copy', 'Copy as CSV', () => this.#copy(), { hidden: true }),
            quiet: this.#quietLine(),
        };
        this.element = h(
            'section',
            {
                class: this.#spec.quiet ? 'panel is-quiet' : 'panel',
                'aria-labelledby': heading,
                'data-panel': id,
            },
            h(
                'header',
                { class: 'panel-head' },
                parts.kind,
                h('h3', { id: heading }, title),
                h('span', { class: 'panel-tools' }, parts.copy, parts.toggle, this.#exploreLink()),
            ),
            parts.quiet,
            h(
                'div',
                { class: 'panel-body' },
                parts.canvas,
                h('div', { class: 'panel-table' }, this.#table.element),
                parts.message,
                parts.spoken,
            ),
            this.#legend.element,
        );
        return parts;
    }

    #quietLine() {
        const { quiet } = this.#spec;
        if (!quiet) return null;
        const attributes = { type: 'button', class: 'quiet-line', 'aria-expanded': 'false' };
        return h('button', { ...attributes, onclick: () => this.#openQuiet() }, quiet.topic);
    }

    #exploreLink() {
        if (this.#spec.no_explore) return null;
        const { title, targets } = this.#spec;
        const label = `Explore ${title}`;
        const link = h(
            'a',
            { class: 'icon-button', href: '#', title: label, 'aria-label': label },
            icon('explore'),
        );
        /* The address is made when it is needed, for the range moves on. */
        const aim = () => {
            const expr = this.#feed.expressions()[0] ?? targets[0].expr;
            link.href = this.#context.store.href('explore', { expr });
        };
        for (const moment of ['pointerdown', 'pointerenter', 'focus'])
            link.addEventListener(moment, aim);
        return link;
    }

    #watch() {
        const sight = new IntersectionObserver(
            ([entry]) => {
                this.#on_screen = entry.isIntersecting;
                this.#look();
            },
            { rootMargin: '150px' },
        );
        sight.observe(this.element);
        const look = () => this.#look();
        document.addEventListener('visibilitychange', look);
        const resized = new ResizeObserver(() => this.#resized());
        resized.observe(this.#parts.canvas);
        const repaint = () => {
            this.#chart.invalidate();
            onNextPaint(this.#paint);
        };
        window.addEventListener('sonde-theme', repaint);
        this.#cleanups.push(
            () => sight.disconnect(),
            () => document.removeEventListener('visibilitychange', look),
            () => resized.disconnect(),
            () => window.removeEventListener('sonde-theme', repaint),
            this.#context.live.listen(({ type }) => type === 'reconnected' && this.refresh()),
        );
        this.showMode();
    }

    /* Seen means: on the screen, in a tab that somebody has in front. */
    #look() {
        const visible = this.#on_screen && !document.hidden;
        if (visible === this.#seen) return;
        this.#seen = visible;
        clearTimeout(this.#unseen_timer);
        if (visible) {
            if (this.#stale) this.#load();
            return;
        }
        this.#unseen_timer = setTimeout(() => {
            this.#feed.stop();
            this.#stale = true;
        }, UNSEEN_MS);
    }

    #load() {
        this.#stale = false;
        const view = this.#context.store.view();
        void this.#feed.load(view, this.#stepFor(view));
    }

    #stepFor(view) {
        const width = this.#parts.canvas.clientWidth || this.element.clientWidth || 400;
        return chooseStep(view.to - view.from, width);
    }

    #resized() {
        if (this.#parts.canvas.clientWidth === 0) return;
        this.#chart.invalidate();
        const view = this.#context.store.view();
        if (!this.#stale && this.#stepFor(view) !== this.#feed.step_ms) this.refresh();
        else onNextPaint(this.#paint);
    }

    /* What the chart and the table show now: derived, limited, with the person's hidden ones. */
    #draw() {
        const { frame } = this.#feed;
        const derived = this.#spec.derive ? this.#spec.derive(frame.columns) : frame.columns;
        const hidden = parseList(this.#context.store.params.hide);
        const { shown, total } = limitColumns(derived, this.#spec.limit ?? SERIES_MAX);
        const columns = shown.map((column) => ({
            ...column,
            hidden: hidden.has(this.#hideWord(column.name)),
        }));
        this.#shown = { columns, total };
        this.#showState(columns);
        this.#drawChart(frame.times, columns);
        if (this.element.classList.contains('as-table')) {
            this.#table.draw({ times: frame.times, columns });
        }
        const entries = columns.map((column, index) => ({
            column,
            colour: column.limit
                ? colours().limit
                : seriesColour(index, this.#spec.colours?.[column.name]),
            dashed: Boolean(column.limit) || seriesDash(index).length > 0,
        }));
        this.#legend.draw(entries, total);
        this.#legend.showRow(this.#cursor_row);
    }

    #drawChart(times, columns) {
        let view = this.#context.store.view();
        const newest = times.at(-1);
        if (view.live && newest !== undefined) {
            /* The daemon's clock leads, so that a page on a machine with another clock fits too. */
            const to = Math.max(newest * 1000, this.#context.live.state === 'live' ? 0 : view.to);
            view = { ...view, from: to - view.range_ms, to };
        }
        this.#chart.draw({ times, columns, view, step_ms: this.#feed.step_ms });
    }

    #showState(columns) {
        const { loading, error } = this.#feed;
        const empty = columns.length === 0;
        const out_of_reach = this.#isOutage(error);
        this.element.classList.toggle('is-loading', loading);
        this.element.classList.toggle('is-empty', empty && !loading);
        this.element.setAttribute('aria-busy', String(loading));
        if (!loading && !out_of_reach) {
            this.#showQuiet(!error && isAllZero(columns), empty && !error);
        }
        if (out_of_reach) this.#showMessage(empty ? 'Waiting for the daemon…' : '');
        else if (error) this.#showError(error);
        else if (!empty) this.#showMessage('');
        else this.#showMessage(loading ? 'Loading…' : this.#emptySentence());
    }

    /* An outage is told once, by the badge above, and ends by itself when the stream is back. */
    #isOutage(error) {
        const { store, live } = this.#context;
        return error?.code === 'unreachable' && store.view().live && live.state !== 'live';
    }

    #emptySentence() {
        return (
            this.#spec.empty ??
            'No data in this range. Choose a longer one, or wait for the first points.'
        );
    }

    #showMessage(text) {
        const { message } = this.#parts;
        if (message.dataset.text === text) return;
        message.dataset.text = text;
        message.classList.remove('is-error');
        message.replaceChildren(...(text ? [h('p', {}, ...withCode(text))] : []));
    }

    #showError(error) {
        const { message } = this.#parts;
        const text = `${error.message}\n${error.hint ?? ''}`;
        if (message.dataset.text === text) return;
        message.dataset.text = text;
        message.classList.add('is-error');
        message.replaceChildren(
            h('p', {}, h('strong', {}, error.message)),
            error.hint ? h('p', {}, ...withCode(error.hint)) : '',
            h(
                'button',
                { type: 'button', class: 'button', onclick: () => this.refresh() },
                'Try again',
            ),
        );
    }

    /* While loading it stays as it was: a line that jumps up and down is not quiet. */
    #showQuiet(all_zero, empty) {
        if (!this.#spec.quiet) return;
        this.element.classList.toggle('is-quiet', (all_zero || empty) && !this.#quiet_open);
        const { quiet: line } = this.#parts;
        const text = empty ? `${this.#spec.quiet.topic}: not reported here` : this.#spec.quiet.none;
        if (line.dataset.text === text) return;
        line.dataset.text = text;
        line.replaceChildren(icon(empty ? 'info' : 'check'), h('span', {}, text));
        line.classList.toggle('is-unknown', empty);
    }

    #openQuiet() {
        this.#quiet_open = true;
        this.#parts.quiet.setAttribute('aria-expanded', 'true');
        onNextPaint(this.#paint);
        onNextPaint(() => this.#parts.canvas.focus());
    }

    /* In a list whose words are parted by commas, a name must not bring its own. */
    #hideWord(name) {
        return encodeURIComponent(`${this.#spec.id}.${name}`);
    }

    #toggleSeries(name) {
        const { store } = this.#context;
        store.adjust({ hide: toggleInList(store.params.hide, this.#hideWord(name)) });
    }

    #toggleTable() {
        const { store } = this.#context;
        store.adjust({ table: toggleInList(store.params.table, this.#spec.id) });
    }

    async #copy() {
        const { copy } = this.#parts;
        try {
            await copyText(this.#table.csv());
            this.#say('Copied as CSV.');
            copy.classList.add('is-done');
            setTimeout(() => copy.classList.remove('is-done'), 1200);
        } catch (error) {
            this.#say(error.message);
        }
    }

    #showCursor(at) {
        const row = at ?? null;
        this.#cursor_row = row;
        this.#legend.showRow(this.#cursor_row);
        /* While somebody points, the moment stands where else the kind does. */
        const time = row === null ? undefined : this.#feed.frame.times[row];
        const view = this.#context.store.view();
        const moment = time === undefined ? '' : formatMoment(time * 1000, view.to - view.from);
        this.#parts.kind.classList.toggle('is-moment', moment !== '');
        setText(this.#parts.kind, moment || (this.#spec.kind ?? ''));
    }

    #say(text) {
        setText(this.#parts.spoken, text);
    }

    /* A sentence for those who hear the chart instead of seeing it; made when it gains focus. */
    #describe() {
        const { columns } = this.#shown;
        const values = columns
            .slice(0, 6)
            .map(
                ({ name, values: series }) =>
                    `${name} ${formatValue(currentValue(series), this.#spec.unit)}`,
            );
        this.#say(`${values.join(', ')}. Arrows pan and zoom, with Shift they read single points.`);
    }

    #onKey(event) {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const { store } = this.#context;
        const view = store.view();
        const now = serverNow();
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const factor = { ArrowUp: 0.5, '+': 0.5, '=': 0.5, ArrowDown: 2, '-': 2 }[event.key];
        if (step && event.shiftKey) this.#movePoint(step);
        else if (step) this.#pan(view, step, now);
        else if (factor) store.fix(zoom(view, factor, now));
        else if (event.key === 'Home' && !view.live) store.release();
        else return;
        event.preventDefault();
    }

    #pan(view, step, now) {
        const { store } = this.#context;
        if (view.live && step > 0) return;
        const moved = pan(view, step * 0.25, now);
        /* Having come to the present again, go on with it. */
        if (step > 0 && now - moved.to < 1000 && moved.to - moved.from === view.range_ms)
            store.release();
        else store.fix(moved);
    }

    #movePoint(step) {
        const { times } = this.#feed.frame;
        if (times.length === 0) return;
        const { crosshair } = this.#context;
        const at =
            crosshair.time === null ? times.length - 1 : times.indexOf(crosshair.time) + step;
        const row = Math.min(times.length - 1, Math.max(0, at));
        crosshair.publish(times[row], null);
        const values = this.#shown.columns.map(
            ({ name, values: series }) => `${name} ${formatValue(series[row], this.#spec.unit)}`,
        );
        this.#say(`${formatDateTime(times[row] * 1000)}: ${values.join(', ')}`);
    }
}
