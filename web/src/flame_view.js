/* SPDX-License-Identifier: Apache-2.0 */

/* flame_view - the folded trace (flame.js) as boxes, callers above: a click makes a box as wide as
 * the page, Enter shows its longest span. Arrows walk through the boxes. */
import { h, setText } from './dom.js';
import { formatSeconds } from './format.js';
import { cancelPaint, onNextPaint } from './frames.js';
import { drawText, fitCanvas, FONT, plain, serviceColour, serviceStripes } from './span_colours.js';
import { colours } from './theme.js';

const ROW_PX = 22;
const WIDTH_PX_MIN = 1; /* Narrower boxes are not drawn. */
const DEPTH_MAX = 1000; /* A canvas has an end. */
const NONE = -1;

export class FlameView {
    #canvas = h('canvas', { 'aria-hidden': 'true' });
    #told = h('p', { class: 'flame-told', role: 'status' });
    #host;
    #options;
    #observer;
    #boxes = null;
    #trace = null;
    #focus = NONE; /* The box that is as wide as the page. */
    #at = NONE; /* The box pointed at. */
    #children = [];
    #paint = () => this.#draw();
    #width = 0;

    element;

    /* options: { on_row(row) } */
    constructor(options) {
        this.#options = options;
        this.#host = h(
            'div',
            {
                class: 'flame-scroll',
                tabindex: '0',
                role: 'application',
                'aria-label':
                    'Flame view. Arrows walk through the boxes, Enter zooms, Space shows the longest span, Backspace zooms out.',
            },
            this.#canvas,
        );
        this.element = h('div', { class: 'flame' }, this.#told, this.#host);
        this.#observer = new ResizeObserver(() => {
            this.#width = this.#host.clientWidth;
            onNextPaint(this.#paint);
        });
        this.#observer.observe(this.#host);
        this.redraw = () => onNextPaint(this.#paint);
        window.addEventListener('sonde-theme', this.redraw);
        const on = (name, run) => this.#host.addEventListener(name, run);
        on('pointermove', (event) => this.#point(this.#boxAt(event)));
        on('pointerleave', () => this.#point(NONE));
        on('click', (event) => this.#zoom(this.#boxAt(event)));
        on('dblclick', (event) => this.#open(this.#boxAt(event)));
        on('keydown', (event) => this.#pressed(event));
    }

    destroy() {
        this.#observer.disconnect();
        cancelPaint(this.#paint);
        window.removeEventListener('sonde-theme', this.redraw);
    }

    show(trace, boxes) {
        this.#trace = trace;
        this.#boxes = boxes;
        this.#focus = NONE;
        this.#at = boxes.count > 0 ? 0 : NONE;
        this.#children = Array.from({ length: boxes.count }, () => []);
        for (let box = 0; box < boxes.count; box += 1)
            if (boxes.parent[box] !== NONE) this.#children[boxes.parent[box]].push(box);
        for (const list of this.#children) list.sort((a, b) => boxes.left[a] - boxes.left[b]);
        const depth = Math.min(DEPTH_MAX, boxes.depth_max);
        this.#canvas.style.height = `${(depth + 1) * ROW_PX}px`;
        this.#tell();
        onNextPaint(this.#paint);
    }

    /* What lies between these is as wide as the page. */
    #view() {
        const { left, total, width } = this.#boxes;
        if (this.#focus === NONE) return { from: 0, size: Math.max(1, width) };
        return { from: left[this.#focus], size: Math.max(1, total[this.#focus]) };
    }

    #place(box) {
        const { from, size } = this.#view();
        const { left, total, depth } = this.#boxes;
        const x = ((left[box] - from) / size) * this.#width;
        const width = (total[box] / size) * this.#width;
        const start = Math.max(0, x);
        return {
            x: start,
            width: Math.min(this.#width, x + width) - start,
            y: depth[box] * ROW_PX,
        };
    }

    #draw() {
        if (!this.#boxes || this.#width === 0) return;
        const height = (Math.min(DEPTH_MAX, this.#boxes.depth_max) + 1) * ROW_PX;
        const context = fitCanvas(this.#canvas, this.#width, height);
        context.font = FONT;
        context.textBaseline = 'middle';
        for (let box = 0; box < this.#boxes.count; box += 1) {
            if (this.#boxes.depth[box] > DEPTH_MAX) continue;
            const place = this.#place(box);
            if (place.width >= WIDTH_PX_MIN) this.#drawBox(context, box, place);
        }
    }

    #drawBox(context, box, { x, y, width }) {
        const ink = colours();
        const { service, name, errors, calls } = this.#boxes;
        context.fillStyle = serviceColour(service[box]);
        context.globalAlpha = 0.26;
        context.fillRect(x, y, width - 1, ROW_PX - 1);
        context.globalAlpha = 1;
        context.fillRect(x, y, Math.min(4, width - 1), ROW_PX - 1);
        for (let stripe = 1; stripe <= serviceStripes(service[box]); stripe += 1)
            context.fillRect(x + 4 + stripe * 3, y, 1, ROW_PX - 1);
        if (errors[box] > 0) {
            context.fillStyle = ink.critical;
            context.fillRect(x, y + ROW_PX - 4, width - 1, 3);
        }
        if (box === this.#at) {
            context.strokeStyle = ink.ink;
            context.lineWidth = 2;
            context.strokeRect(x + 1, y + 1, Math.max(1, width - 3), ROW_PX - 3);
        }
        if (width < 26) return;
        context.fillStyle = ink.ink;
        const times = calls[box] > 1 ? ` × ${calls[box].toLocaleString('en')}` : '';
        const text = `${plain(this.#trace.names[name[box]])}${times}`;
        const left = x + 10 + serviceStripes(service[box]) * 3;
        drawText(context, text, left, y + ROW_PX / 2, x + width - left - 4);
    }

    #boxAt(event) {
        if (!this.#boxes) return NONE;
        const rect = this.#canvas.getBoundingClientRect();
        const [x, depth] = [
            event.clientX - rect.left,
            Math.floor((event.clientY - rect.top) / ROW_PX),
        ];
        for (let box = 0; box < this.#boxes.count; box += 1) {
            if (this.#boxes.depth[box] !== depth) continue;
            const place = this.#place(box);
            if (x >= place.x && x < place.x + place.width) return box;
        }
        return NONE;
    }

    #point(box) {
        if (box === this.#at) return;
        this.#at = box;
        this.#host.style.cursor = box === NONE ? '' : 'pointer';
        this.#tell();
        onNextPaint(this.#paint);
    }

    #tell() {
        if (this.#at === NONE || !this.#boxes) {
            setText(this.#told, 'Width is time spent. Point at a box; a click zooms.');
            return;
        }
        const { service, name, calls, errors, self, total } = this.#boxes;
        const box = this.#at;
        const words = [
            `${this.#trace.services[service[box]]} · ${this.#trace.names[name[box]]}`,
            `${calls[box].toLocaleString('en')} ${calls[box] === 1 ? 'call' : 'calls'}`,
            `${formatSeconds(total[box] / 1e9)} in all`,
            `${formatSeconds(self[box] / 1e9)} of its own`,
        ];
        if (errors[box] > 0) words.push(`${errors[box].toLocaleString('en')} with an error`);
        setText(this.#told, words.join(' · '));
    }

    #zoom(box) {
        this.#focus = box === this.#focus ? NONE : box;
        onNextPaint(this.#paint);
    }

    #open(box) {
        if (box !== NONE) this.#options.on_row(this.#boxes.row[box]);
    }

    #pressed(event) {
        if (!this.#boxes || this.#boxes.count === 0) return;
        const at = Math.max(0, this.#at);
        const above = this.#boxes.parent[at];
        const beside = above === NONE ? this.#tops() : this.#children[above];
        const index = beside.indexOf(at);
        const moves = {
            ArrowDown: () => this.#point(this.#children[at][0] ?? at),
            ArrowUp: () => this.#point(above === NONE ? at : above),
            ArrowLeft: () => this.#point(beside[index - 1] ?? at),
            ArrowRight: () => this.#point(beside[index + 1] ?? at),
            Enter: () => this.#zoom(at),
            ' ': () => this.#open(at),
            Backspace: () => this.#zoom(this.#focus),
        };
        if (!moves[event.key]) return;
        event.preventDefault();
        moves[event.key]();
    }

    #tops() {
        const { parent, count, left } = this.#boxes;
        const tops = [];
        for (let box = 0; box < count; box += 1) if (parent[box] === NONE) tops.push(box);
        return tops.sort((a, b) => left[a] - left[b]);
    }
}
