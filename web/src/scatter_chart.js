/* SPDX-License-Identifier: Apache-2.0 */

/* scatter_chart - a dot for each trace: when it began, how long it took. Errors are crosses in a
 * ring, so their shape tells them as well as their colour. A click opens the trace, a drag selects
 * a rectangle of time and duration. The list beside it says the same in words. */
import { h, setText } from './dom.js';
import { formatClock, formatDay, formatMoment, formatSeconds } from './format.js';
import { cancelPaint, onNextPaint } from './frames.js';
import {
    durationScale,
    durationTicks,
    makeScale,
    nearestDot,
    selection,
    timeTicks,
} from './scatter.js';
import { fitCanvas, FONT_SMALL } from './span_colours.js';
import { colours } from './theme.js';

const HEIGHT_PX = 240;
/* "100 s" where formatSeconds says "1 min 40 s", which is too long for an axis. */
const tickText = (s) => (s >= 60 && s < 1e5 && s % 60 !== 0 ? `${s} s` : formatSeconds(s));

const EDGES = { left: 58, right: 14, top: 12, bottom: 26 };
const REACH_PX = 14;
const DRAG_PX = 5;
const DAY_MS = 86400e3;

export class ScatterChart {
    #canvas = h('canvas');
    #tip = h('p', { class: 'scatter-tip', hidden: true });
    #band = h('div', { class: 'drag-band', hidden: true });
    #options;
    #observer;
    #traces = [];
    #view = { from: 0, to: 1 };
    #dots = [];
    #scale = null;
    #at = -1;
    #drag = null;
    #width = 0;
    #picture = document.createElement('canvas');
    #paint = () => this.#drawTop();

    element;

    /* options: { on_open(trace), on_select({ from, to, min, max }) } */
    constructor(options) {
        this.#options = options;
        this.#canvas.setAttribute('role', 'img');
        this.element = h('div', { class: 'scatter' }, this.#canvas, this.#band, this.#tip);
        this.#observer = new ResizeObserver(() => {
            this.#width = this.element.clientWidth;
            this.#draw();
        });
        this.#observer.observe(this.element);
        this.redraw = () => this.#draw();
        window.addEventListener('sonde-theme', this.redraw);
        const on = (name, run) => this.#canvas.addEventListener(name, run);
        on('pointermove', (event) => this.#moved(event));
        on('pointerleave', () => this.#point(-1));
        on('pointerdown', (event) => this.#down(event));
        on('pointerup', (event) => this.#up(event));
        on('pointercancel', () => this.#endDrag());
    }

    destroy() {
        this.#observer.disconnect();
        cancelPaint(this.#paint);
        window.removeEventListener('sonde-theme', this.redraw);
    }

    /* traces: [{ start_ms, duration_ns, errors, service, name }]; view: { from, to } in ms. */
    show(traces, view) {
        this.#traces = traces;
        this.#view = view;
        this.#at = -1;
        this.#tip.hidden = true;
        const errors = traces.filter((trace) => trace.errors > 0).length;
        this.#canvas.setAttribute(
            'aria-label',
            `${traces.length} traces by start and duration, ${errors} with errors. The list below has them all.`,
        );
        this.#draw();
    }

    #draw() {
        if (this.#width === 0) return;
        const box = {
            left: EDGES.left,
            top: EDGES.top,
            width: Math.max(10, this.#width - EDGES.left - EDGES.right),
            height: HEIGHT_PX - EDGES.top - EDGES.bottom,
        };
        const durations = durationScale(this.#traces.map(({ duration_ns }) => duration_ns));
        this.#scale = makeScale(box, this.#view, durations);
        this.#dots = this.#traces.map(({ start_ms, duration_ns }) => ({
            x: this.#scale.x(start_ms),
            y: this.#scale.y(duration_ns),
        }));
        const context = fitCanvas(this.#picture, this.#width, HEIGHT_PX);
        this.#drawAxes(context, box, durations);
        this.#drawDots(context);
        this.#drawTop();
    }

    #drawAxes(context, box, durations) {
        const ink = colours();
        context.font = FONT_SMALL;
        context.textBaseline = 'middle';
        context.strokeStyle = ink.grid;
        context.lineWidth = 1;
        const lines = new Path2D();
        context.fillStyle = ink.muted;
        context.textAlign = 'right';
        for (const ns of durationTicks(durations, Math.floor(box.height / 26))) {
            const y = Math.round(this.#scale.y(ns)) + 0.5;
            lines.moveTo(box.left, y);
            lines.lineTo(box.left + box.width, y);
            context.fillText(tickText(ns / 1e9), box.left - 8, y);
        }
        context.textAlign = 'center';
        const ticks = timeTicks(this.#view.from, this.#view.to, box.width / 80);
        const step = ticks.length > 1 ? ticks[1] - ticks[0] : this.#view.to - this.#view.from;
        for (const ms of ticks) {
            const x = Math.round(this.#scale.x(ms)) + 0.5;
            lines.moveTo(x, box.top);
            lines.lineTo(x, box.top + box.height);
            const text =
                step >= DAY_MS ? formatDay(ms) : step < 60e3 ? formatMoment(ms) : formatClock(ms);
            context.fillText(text, x, HEIGHT_PX - EDGES.bottom / 2);
        }
        context.stroke(lines);
        context.textAlign = 'left';
    }

    #drawDots(context) {
        const ink = colours();
        context.globalAlpha = this.#dots.length > 2000 ? 0.35 : 0.6;
        context.fillStyle = ink.accent;
        this.#dots.forEach(({ x, y }, at) => {
            if (this.#traces[at].errors > 0) return;
            context.beginPath();
            context.arc(x, y, 3.5, 0, 2 * Math.PI);
            context.fill();
        });
        context.globalAlpha = 1;
        this.#dots.forEach((dot, at) => {
            if (this.#traces[at].errors > 0) drawError(context, dot, ink);
        });
    }

    #drawTop() {
        if (this.#width === 0) return;
        const context = fitCanvas(this.#canvas, this.#width, HEIGHT_PX);
        this.#canvas.style.height = `${HEIGHT_PX}px`;
        context.drawImage(this.#picture, 0, 0, this.#width, HEIGHT_PX);
        if (this.#at < 0) return;
        const { x, y } = this.#dots[this.#at];
        context.strokeStyle = colours().ink;
        context.lineWidth = 2;
        context.beginPath();
        context.arc(x, y, 7.5, 0, 2 * Math.PI);
        context.stroke();
    }

    #local(event) {
        const { left, top } = this.#canvas.getBoundingClientRect();
        return { x: event.clientX - left, y: event.clientY - top };
    }

    #point(at) {
        if (at === this.#at) return;
        this.#at = at;
        this.#canvas.style.cursor = at >= 0 ? 'pointer' : 'crosshair';
        this.#tip.hidden = at < 0;
        if (at >= 0) this.#tell(at);
        onNextPaint(this.#paint);
    }

    #tell(at) {
        const { service, name, duration_ns, errors, start_ms } = this.#traces[at];
        const error = errors > 0 ? ` · ✕ ${errors} with an error` : '';
        const when = formatMoment(start_ms, this.#view.to - this.#view.from);
        setText(
            this.#tip,
            `${formatSeconds(duration_ns / 1e9)} · ${service}: ${name} · ${when}${error}`,
        );
        const { x, y } = this.#dots[at];
        const is_right = x > this.#width / 2;
        this.#tip.style.left = is_right ? 'auto' : `${x + 12}px`;
        this.#tip.style.right = is_right ? `${this.#width - x + 12}px` : 'auto';
        this.#tip.style.top = `${Math.max(0, y - 34)}px`;
    }

    #down(event) {
        if (event.button !== 0 || event.pointerType !== 'mouse') {
            if (event.pointerType !== 'mouse') this.#point(this.#near(event));
            return;
        }
        this.#drag = { from: this.#local(event), moved: false };
        this.#canvas.setPointerCapture(event.pointerId);
    }

    #near(event) {
        const { x, y } = this.#local(event);
        return nearestDot(this.#dots, x, y, REACH_PX);
    }

    #moved(event) {
        if (!this.#drag) {
            this.#point(this.#near(event));
            return;
        }
        const to = this.#local(event);
        const { from } = this.#drag;
        if (Math.hypot(to.x - from.x, to.y - from.y) >= DRAG_PX) this.#drag.moved = true;
        if (!this.#drag.moved) return;
        this.#point(-1);
        const { style } = this.#band;
        this.#band.hidden = false;
        style.left = `${Math.min(from.x, to.x)}px`;
        style.top = `${Math.min(from.y, to.y)}px`;
        style.width = `${Math.abs(to.x - from.x)}px`;
        style.height = `${Math.abs(to.y - from.y)}px`;
    }

    #up(event) {
        const drag = this.#drag;
        this.#endDrag();
        if (drag?.moved) {
            const inside = ({ x, y }) => ({
                x: Math.min(this.#width - EDGES.right, Math.max(EDGES.left, x)),
                y: Math.min(HEIGHT_PX - EDGES.bottom, Math.max(EDGES.top, y)),
            });
            const [a, b] = [inside(drag.from), inside(this.#local(event))];
            if (Math.abs(a.x - b.x) >= DRAG_PX && Math.abs(a.y - b.y) >= DRAG_PX)
                this.#options.on_select(selection(this.#scale, a, b));
            return;
        }
        const at = this.#near(event);
        if (at >= 0) this.#options.on_open(this.#traces[at]);
    }

    #endDrag() {
        this.#drag = null;
        this.#band.hidden = true;
    }
}

/* A cross in a ring. */
function drawError(context, { x, y }, ink) {
    context.beginPath();
    context.arc(x, y, 5.2, 0, 2 * Math.PI);
    context.fillStyle = ink.surface;
    context.fill();
    context.strokeStyle = ink.critical;
    context.lineWidth = 1.6;
    context.stroke();
    context.beginPath();
    context.moveTo(x - 2.4, y - 2.4);
    context.lineTo(x + 2.4, y + 2.4);
    context.moveTo(x + 2.4, y - 2.4);
    context.lineTo(x - 2.4, y + 2.4);
    context.stroke();
}
