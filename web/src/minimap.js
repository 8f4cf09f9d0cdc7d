/* SPDX-License-Identifier: Apache-2.0 */

/* minimap - the whole trace in a strip: each span a line at its height, errors beneath, and frames
 * that tell which part is seen below. A drag chooses a stretch of time, a click goes there.
 *
 * A million lines are more than a strip has pixels: then every so manieth is drawn, and the long
 * ones, once, into a picture that is kept. */
import { h } from './dom.js';
import { cancelPaint, onNextPaint } from './frames.js';
import { fitCanvas, serviceColour } from './span_colours.js';
import { colours } from './theme.js';
import { isError } from './trace_columns.js';

const HEIGHT_PX = 56;
const ERRORS_PX = 6;
const LINES_MAX = 20000;
const DRAG_PX = 4;

export class Minimap {
    #canvas = h('canvas', { 'aria-hidden': 'true' });
    #picture = document.createElement('canvas');
    #picture_of = '';
    #options;
    #state = null;
    #width = 0;
    #drag = null;
    #observer;
    #paint = () => this.#draw();

    element;

    /* options: { on_window(view), on_seek(share of rows), on_reset() } */
    constructor(options) {
        this.#options = options;
        this.element = h(
            'div',
            { class: 'minimap', title: 'Drag to zoom in on a stretch of time' },
            this.#canvas,
        );
        this.#observer = new ResizeObserver(() => {
            this.#width = this.element.clientWidth;
            this.#draw();
        });
        this.#observer.observe(this.element);
        this.repaint = this.repaint.bind(this);
        window.addEventListener('sonde-theme', this.repaint);
        const on = (name, run) => this.element.addEventListener(name, run);
        on('pointerdown', (event) => this.#down(event));
        on('pointermove', (event) => this.#moved(event));
        on('pointerup', (event) => this.#up(event));
        on('dblclick', () => this.#options.on_reset());
    }

    destroy() {
        this.#observer.disconnect();
        cancelPaint(this.#paint);
        window.removeEventListener('sonde-theme', this.repaint);
    }

    /* { trace, tree }; window: { from, to } in ns; seen: { from, to } of 0 … 1. */
    show(state) {
        this.#state = { ...state, window: null, seen: null };
        this.repaint();
    }

    repaint() {
        this.#picture_of = '';
        onNextPaint(this.#paint);
    }

    frame(view, seen) {
        if (!this.#state) return;
        this.#state.window = view;
        this.#state.seen = seen;
        onNextPaint(this.#paint);
    }

    #x(ns) {
        const { from, to } = this.#state.tree;
        return ((ns - from) / Math.max(1, to - from)) * this.#width;
    }

    #draw() {
        if (!this.#state || this.#width === 0) return;
        const context = fitCanvas(this.#canvas, this.#width, HEIGHT_PX);
        this.#keepPicture();
        context.drawImage(this.#picture, 0, 0, this.#width, HEIGHT_PX);
        this.#drawFrames(context);
    }

    #keepPicture() {
        const key = `${this.#width} ${window.devicePixelRatio}`;
        if (this.#picture_of === key) return;
        this.#picture_of = key;
        const context = fitCanvas(this.#picture, this.#width, HEIGHT_PX);
        const { trace, tree } = this.#state;
        const stride = Math.max(1, Math.floor(trace.count / LINES_MAX));
        const long = (tree.to - tree.from) / 50;
        const room = HEIGHT_PX - ERRORS_PX - 2;
        const thick = Math.min(3, Math.max(0.6, room / Math.max(1, trace.count)));
        context.globalAlpha = trace.count > 2000 ? 0.7 : 1;
        for (let at = 0; at < trace.count; at += 1) {
            const row = tree.order[at];
            if (at % stride !== 0 && tree.duration[row] < long) continue;
            context.fillStyle = serviceColour(trace.service[row]);
            const width = Math.max(1, this.#x(tree.from + tree.duration[row]));
            context.fillRect(this.#x(tree.start[row]), 1 + (at / trace.count) * room, width, thick);
        }
        context.globalAlpha = 1;
        this.#drawErrors(context);
    }

    #drawErrors(context) {
        const { trace, tree } = this.#state;
        const taken = new Uint8Array(Math.ceil(this.#width / 2) + 1);
        context.fillStyle = colours().critical;
        for (let row = 0; row < trace.count; row += 1) {
            if (!isError(trace, row)) continue;
            const x = Math.floor(Math.max(0, this.#x(tree.start[row])) / 2);
            if (taken[x]) continue;
            taken[x] = 1;
            context.fillRect(2 * x, HEIGHT_PX - ERRORS_PX, 2, ERRORS_PX);
        }
    }

    #drawFrames(context) {
        const { window: view, seen } = this.#state;
        const ink = colours();
        if (view) {
            const [from, to] = [this.#x(view.from), this.#x(view.to)];
            context.fillStyle = ink.veil;
            context.fillRect(0, 0, from, HEIGHT_PX);
            context.fillRect(to, 0, this.#width - to, HEIGHT_PX);
        }
        if (seen && seen.to - seen.from < 1) {
            const room = HEIGHT_PX - ERRORS_PX - 2;
            context.strokeStyle = ink.accent;
            context.lineWidth = 1.5;
            const height = Math.max(4, (seen.to - seen.from) * room);
            context.strokeRect(1, 1 + seen.from * (room - 4), this.#width - 2, height);
        }
        if (this.#drag?.moved) {
            context.fillStyle = ink.accent;
            context.globalAlpha = 0.25;
            const [a, b] = [this.#drag.from, this.#drag.to].sort((p, q) => p - q);
            context.fillRect(a, 0, b - a, HEIGHT_PX);
            context.globalAlpha = 1;
        }
    }

    #localX(event) {
        return event.clientX - this.element.getBoundingClientRect().left;
    }

    #down(event) {
        if (event.button !== 0 || !this.#state) return;
        const x = this.#localX(event);
        this.#drag = { from: x, to: x, moved: false };
        this.element.setPointerCapture(event.pointerId);
    }

    #moved(event) {
        if (!this.#drag) return;
        this.#drag.to = Math.min(this.#width, Math.max(0, this.#localX(event)));
        this.#drag.moved ||= Math.abs(this.#drag.to - this.#drag.from) >= DRAG_PX;
        onNextPaint(this.#paint);
    }

    #up(event) {
        const drag = this.#drag;
        this.#drag = null;
        if (!drag) return;
        if (!drag.moved) {
            const y = event.clientY - this.element.getBoundingClientRect().top;
            this.#options.on_seek(Math.min(1, Math.max(0, y / (HEIGHT_PX - ERRORS_PX))));
            return;
        }
        const { from, to } = this.#state.tree;
        const time = (x) => from + (x / this.#width) * (to - from);
        const [a, b] = [drag.from, drag.to].sort((p, q) => p - q);
        this.#options.on_window({ from: time(a), to: time(b) });
    }
}
