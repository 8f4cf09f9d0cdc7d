/* SPDX-License-Identifier: Apache-2.0 */

/* heatmap - durations over time as cells on a canvas, with the gestures of the charts beside it:
 *
 *   drag, or Shift with the arrows   selects cells: what they hold, and the way to its traces
 *   arrows                           walk from cell to cell; what one holds is said
 *   Enter                            opens the traces of the selection
 *   Escape                           takes the selection away
 *
 * The canvas is drawn anew for each answer; the selection stays with its times and durations. */
import { h, icon, setText } from './dom.js';
import { formatClock, formatCount, formatMoment, formatSeconds } from './format.js';
import { cancelPaint, onNextPaint } from './frames.js';
import { durationTicks, mostCalls, rowEdges, rowsInUse, selectionOf, shade } from './heat.js';
import { colours } from './theme.js';

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const LEFT = 56;
const BOTTOM = 24;
const TOP = 8;
const RIGHT = 12;
const TICK_PX = 90;
const SHADES = 24;

function mix(low, high, share) {
    const parts = [low, high].map((colour) =>
        [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)),
    );
    const [red, green, blue] = parts[0].map((part, at) =>
        Math.round(part + (parts[1][at] - part) * share),
    );
    return `rgb(${red}, ${green}, ${blue})`;
}

function formatEdge(ms) {
    return formatSeconds(Number((ms / 1000).toPrecision(2)));
}

function formatEdges({ low_ms, high_ms }) {
    if (low_ms === 0) return `up to ${formatEdge(high_ms)}`;
    if (!Number.isFinite(high_ms)) return `over ${formatEdge(low_ms)}`;
    return `${formatEdge(low_ms)} to ${formatEdge(high_ms)}`;
}

const callsOf = (count) => `${formatCount(count)} call${count === 1 ? '' : 's'}`;

export class Heatmap {
    #options;
    #heat = null;
    #rows = null;
    #view = null;
    #canvas = h('canvas', { class: 'heat-canvas' });
    #over = h('canvas', { class: 'heat-canvas' });
    #host;
    #line = h('p', { class: 'heat-line', role: 'status' });
    #link = h('a', { class: 'button', hidden: true });
    #zoom = h('button', { type: 'button', class: 'button', hidden: true }, 'Zoom in');
    #area = h('div', { class: 'heat-foot' }, this.#line, this.#zoom, this.#link);
    #anchor = null; /* Cells, as { time_ms, row }. */
    #focus = null;
    #dragging = false;
    #hover = null;
    #resized;
    #paint = () => this.#draw();
    #theme = () => onNextPaint(this.#paint);

    element;

    /* options: { title, height, href(selection) -> address of its traces, on_zoom({ from, to }),
     * crosshair }. */
    constructor(options) {
        this.#options = options;
        this.#host = h(
            'div',
            {
                class: 'heat',
                tabindex: '0',
                role: 'application',
                'aria-label': `${options.title}. Arrows walk, Shift and arrows select, Enter opens the traces.`,
                onkeydown: (event) => this.#onKey(event),
            },
            this.#canvas,
            this.#over,
        );
        this.#host.style.height = `${options.height ?? 220}px`;
        this.#link.append(icon('explore'), 'Show traces');
        this.#zoom.addEventListener('click', () => this.#zoomIn());
        this.element = h('div', { class: 'heat-part' }, this.#host, this.#area);
        this.#hearPointer();
        this.#resized = new ResizeObserver(() => onNextPaint(this.#paint));
        this.#resized.observe(this.#host);
        window.addEventListener('sonde-theme', this.#theme);
    }

    destroy() {
        cancelPaint(this.#paint);
        this.#resized.disconnect();
        window.removeEventListener('sonde-theme', this.#theme);
    }

    /* view: { from, to } in ms, what the time axis spans. */
    draw(heat, view) {
        this.#heat = heat;
        this.#rows = rowsInUse(heat);
        this.#view = view;
        onNextPaint(this.#paint);
    }

    clear() {
        this.#anchor = null;
        this.#focus = null;
        this.#showSelection();
        this.#drawOver();
    }

    get hasSelection() {
        return this.#anchor !== null;
    }

    /* ---- Where things are. ---- */

    #box() {
        const { clientWidth: width, clientHeight: height } = this.#host;
        return { left: LEFT, top: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM };
    }

    #x(time_ms) {
        const box = this.#box();
        const { from, to } = this.#view;
        return box.left + ((time_ms - from) / (to - from)) * box.width;
    }

    /* The lower edge of a row, which may be a fraction. */
    #y(row) {
        const box = this.#box();
        const { first, last } = this.#rows;
        return box.top + box.height - ((row - first) / (last + 1 - first)) * box.height;
    }

    #cellAt(x, y) {
        const box = this.#box();
        const { first, last } = this.#rows;
        const time_ms =
            this.#view.from + ((x - box.left) / box.width) * (this.#view.to - this.#view.from);
        const row =
            first + Math.floor(((box.top + box.height - y) / box.height) * (last + 1 - first));
        return {
            time_ms: this.#heat.times_ms[this.#columnOf(time_ms)],
            row: Math.min(last, Math.max(first, row)),
        };
    }

    #columnOf(time_ms) {
        const { times_ms, step_ms } = this.#heat;
        const column = Math.ceil((time_ms - times_ms[0]) / step_ms);
        return Math.min(times_ms.length - 1, Math.max(0, column));
    }

    #place(cell) {
        return { column: this.#columnOf(cell.time_ms), row: cell.row };
    }

    /* ---- Drawing. ---- */

    #prepare(canvas) {
        const { clientWidth: width, clientHeight: height } = this.#host;
        const ratio = window.devicePixelRatio || 1;
        const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
        if (canvas.width !== wide || canvas.height !== high) {
            canvas.width = wide;
            canvas.height = high;
        }
        const pen = canvas.getContext('2d');
        pen.setTransform(ratio, 0, 0, ratio, 0, 0);
        pen.clearRect(0, 0, width, height);
        return pen;
    }

    #draw() {
        if (!this.#heat || this.#host.clientWidth === 0) return;
        const pen = this.#prepare(this.#canvas);
        pen.font = FONT;
        if (this.#rows) {
            this.#drawDurations(pen);
            this.#drawCells(pen);
        }
        this.#drawTimes(pen);
        this.#drawOver();
        this.#showSelection();
    }

    #drawCells(pen) {
        const theme = colours();
        const most = mostCalls(this.#heat);
        const { first, last } = this.#rows;
        const shades = Array.from({ length: SHADES + 1 }, (_, at) =>
            mix(theme.heat_low, theme.heat_high, at / SHADES),
        );
        this.#heat.counts.forEach((column, index) => {
            const end = this.#heat.times_ms[index];
            const left = Math.max(LEFT, Math.round(this.#x(end - this.#heat.step_ms)));
            const right = Math.min(LEFT + this.#box().width, Math.round(this.#x(end)));
            if (right <= left) return;
            for (let row = first; row <= last; row += 1) {
                if (!column[row]) continue;
                const top = Math.round(this.#y(row + 1));
                pen.fillStyle = shades[Math.round(shade(column[row], most) * SHADES)];
                const gap = right - left > 4 ? 1 : 0;
                pen.fillRect(left, top, right - left - gap, Math.round(this.#y(row)) - top - 1);
            }
        });
    }

    #drawDurations(pen) {
        const theme = colours();
        const box = this.#box();
        pen.textAlign = 'right';
        pen.textBaseline = 'middle';
        for (const { ms, row } of durationTicks(this.#heat, this.#rows)) {
            const y = Math.round(this.#y(row)) + 0.5;
            pen.strokeStyle = theme.grid;
            pen.beginPath();
            pen.moveTo(box.left, y);
            pen.lineTo(box.left + box.width, y);
            pen.stroke();
            pen.fillStyle = theme.muted;
            pen.fillText(formatSeconds(ms / 1000), box.left - 8, Math.max(box.top + 5, y));
        }
    }

    #drawTimes(pen) {
        const box = this.#box();
        const span = this.#view.to - this.#view.from;
        const wanted = span / Math.max(1, Math.floor(box.width / TICK_PX));
        const steps = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10800, 21600, 43200, 86400,
        ];
        const step_ms = (steps.find((step) => step * 1000 >= wanted) ?? 7 * 86400) * 1000;
        const shift = new Date(this.#view.to).getTimezoneOffset() * 60000;
        pen.textAlign = 'center';
        pen.textBaseline = 'alphabetic';
        pen.fillStyle = colours().muted;
        const first = Math.ceil((this.#view.from - shift) / step_ms) * step_ms + shift;
        for (let at = first; at <= this.#view.to; at += step_ms) {
            const text = step_ms < 60000 ? formatMoment(at) : formatClock(at);
            const half = pen.measureText(text).width / 2;
            const x = this.#x(at);
            if (x - half < LEFT - 20 || x + half > box.left + box.width + RIGHT) continue;
            pen.fillText(text, x, box.top + box.height + 17);
        }
    }

    #drawOver() {
        const pen = this.#prepare(this.#over);
        if (!this.#rows) return;
        if (this.#hover && !this.#dragging) this.#frame(pen, this.#hover, this.#hover, false);
        if (this.#anchor) this.#frame(pen, this.#anchor, this.#focus, true);
    }

    #frame(pen, a, b, filled) {
        const theme = colours();
        const [first, last] = [this.#place(a), this.#place(b)];
        const { times_ms, step_ms } = this.#heat;
        const left = Math.max(
            LEFT,
            this.#x(times_ms[Math.min(first.column, last.column)] - step_ms),
        );
        const right = Math.min(
            LEFT + this.#box().width,
            this.#x(times_ms[Math.max(first.column, last.column)]),
        );
        const top = this.#y(Math.max(first.row, last.row) + 1);
        const bottom = this.#y(Math.min(first.row, last.row));
        pen.strokeStyle = theme.ink;
        pen.lineWidth = filled ? 1.5 : 1;
        if (filled) {
            pen.globalAlpha = 0.08;
            pen.fillStyle = theme.ink;
            pen.fillRect(left, top, right - left, bottom - top);
            pen.globalAlpha = 1;
        }
        pen.strokeRect(left, top, right - left, bottom - top);
    }

    /* ---- What is pointed at and selected. ---- */

    #selection() {
        if (!this.#anchor || !this.#rows) return null;
        return selectionOf(this.#heat, this.#place(this.#anchor), this.#place(this.#focus));
    }

    #describe({ from_ms, to_ms, calls, ...edges }) {
        const span = this.#view.to - this.#view.from;
        const time = `${formatMoment(from_ms, span)} to ${formatMoment(to_ms, span)}`;
        return `${callsOf(calls)} of ${formatEdges(edges)}, ${time}`;
    }

    #showSelection() {
        const selection = this.#selection();
        const cell = this.#hover && this.#rows ? this.#place(this.#hover) : null;
        const shown = selection ?? (cell ? selectionOf(this.#heat, cell, cell) : null);
        setText(this.#line, shown ? this.#describe(shown) : this.#resting());
        this.#link.hidden = !selection || selection.calls === 0;
        this.#zoom.hidden = !selection;
        if (!this.#link.hidden) this.#link.href = this.#options.href(selection);
    }

    #resting() {
        if (!this.#rows) return 'No call with a known duration in this range.';
        const { low_ms } = rowEdges(this.#heat, this.#rows.first);
        const { high_ms } = rowEdges(this.#heat, this.#rows.last);
        const range = formatEdges({ low_ms, high_ms });
        return `The stronger the colour, the more calls; ${range}. Select cells to see their traces.`;
    }

    #zoomIn() {
        const selection = this.#selection();
        this.clear();
        if (selection) this.#options.on_zoom({ from: selection.from_ms, to: selection.to_ms });
    }

    #hearPointer() {
        const host = this.#host;
        const cell = (event) => {
            const box = host.getBoundingClientRect();
            return this.#cellAt(event.clientX - box.left, event.clientY - box.top);
        };
        host.addEventListener('pointerdown', (event) => {
            if (!this.#rows || event.button !== 0 || event.pointerType === 'touch') return;
            host.setPointerCapture(event.pointerId);
            this.#dragging = true;
            this.#anchor = cell(event);
            this.#focus = this.#anchor;
            this.#changed();
        });
        host.addEventListener('pointermove', (event) => {
            if (!this.#rows) return;
            this.#hover = cell(event);
            if (this.#dragging) this.#focus = this.#hover;
            this.#changed();
        });
        host.addEventListener('pointerup', () => (this.#dragging = false));
        host.addEventListener('pointercancel', () => (this.#dragging = false));
        host.addEventListener('pointerleave', () => {
            this.#hover = null;
            this.#changed();
        });
        /* A finger scrolls the page; a tap selects one cell. */
        host.addEventListener('click', (event) => {
            if (!this.#rows || event.pointerType !== 'touch') return;
            this.#anchor = cell(event);
            this.#focus = this.#anchor;
            this.#changed();
        });
    }

    #changed() {
        this.#drawOver();
        this.#showSelection();
    }

    #onKey(event) {
        if (event.ctrlKey || event.metaKey || event.altKey || !this.#rows) return;
        if (event.key === 'Enter' && !this.#link.hidden) this.#link.click();
        else if (event.key === 'Escape' && this.#anchor) this.clear();
        else if (!this.#walk(event)) return;
        event.preventDefault();
        event.stopPropagation();
    }

    #walk(event) {
        const moves = {
            ArrowLeft: [-1, 0],
            ArrowRight: [1, 0],
            ArrowUp: [0, 1],
            ArrowDown: [0, -1],
        };
        const move = moves[event.key];
        if (!move) return false;
        const { times_ms } = this.#heat;
        const at = this.#focus ? this.#place(this.#focus) : this.#busiest();
        const column = Math.min(times_ms.length - 1, Math.max(0, at.column + move[0]));
        const row = Math.min(this.#rows.last, Math.max(this.#rows.first, at.row + move[1]));
        this.#focus = { time_ms: times_ms[column], row };
        if (!event.shiftKey || !this.#anchor) this.#anchor = this.#focus;
        this.#changed();
        return true;
    }

    /* Where a walk begins: the fullest cell of the newest column that has any. */
    #busiest() {
        const { counts } = this.#heat;
        let column = counts.length - 1;
        while (column > 0 && Math.max(...counts[column]) === 0) column -= 1;
        return { column, row: counts[column].indexOf(Math.max(...counts[column])) };
    }
}
