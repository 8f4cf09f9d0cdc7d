/* SPDX-License-Identifier: Apache-2.0 */

/* map_view - the service map as a drawing that can be moved and zoomed: boxes that are buttons,
 * arrows between them with rate, errors and p95.
 *
 * The thickness of an arrow is how often it is gone; what has errors is dashed and says so. A box
 * that is chosen lights its own arrows and dims the others. Drag moves, Ctrl and the wheel or the
 * buttons zoom; the arrow keys on a box go to its neighbours. */
import { h, iconButton, svg } from './dom.js';
import { formatSeconds, significant } from './format.js';
import { layoutMap } from './map_layout.js';

const BOX = { width: 168, height: 58 };
const COLUMN_PX = 290;
const ROW_PX = 96;
const ZOOM_MIN = 0.2;
const ZOOM_MAX = 2.5;
const ZOOM_READABLE = 0.62; /* A map begins no smaller; what does not fit then lies to the right. */
const DRAG_PX = 4;
const NAME_CHARS_MAX = 18;

const KINDS = {
    service: '',
    database: 'database',
    messaging: 'queue',
    messaging_system: 'queue',
    silent: 'tells nothing itself',
};

const shortened = (text, most = NAME_CHARS_MAX) =>
    text.length > most ? `${text.slice(0, most - 1)}…` : text;

export const formatRate = (per_s) => {
    if (per_s === 0) return '0/s';
    if (per_s >= 1) return `${significant(per_s)}/s`;
    return per_s * 60 >= 1 ? `${significant(per_s * 60)}/min` : `${significant(per_s * 3600)}/h`;
};
export const formatShare = (share) =>
    share === 0 ? '0 %' : share < 0.001 ? '< 0.1 %' : `${significant(share * 100)} %`;

export class MapView {
    #options;
    #drawing = svg('g');
    #frame;
    #zoom = 1;
    #shift = { x: 0, y: 0 };
    #size = { width: 1, height: 1 };
    #nodes = new Map();
    #graph = null;
    #chosen = null;
    #drag = null;
    #shape = '';
    #observer;

    element;

    /* options: { on_choose(name or null), on_edge(edge) } */
    constructor(options) {
        this.#options = options;
        this.#frame = svg(
            'svg',
            {
                class: 'map-frame',
                role: 'group',
                'aria-label': 'Service map; the table below says the same',
            },
            svg(
                'defs',
                {},
                svg(
                    'marker',
                    {
                        id: 'map-arrow',
                        viewBox: '0 0 8 8',
                        refX: '7.5',
                        refY: '4',
                        markerWidth: '9',
                        markerHeight: '9',
                        markerUnits: 'userSpaceOnUse',
                        orient: 'auto-start-reverse',
                    },
                    svg('path', { d: 'M0 0L8 4L0 8z', class: 'map-arrow' }),
                ),
            ),
            this.#drawing,
        );
        this.element = h(
            'div',
            { class: 'map' },
            this.#frame,
            h(
                'div',
                { class: 'map-zoom' },
                iconButton('plus', 'Zoom in', () => this.#zoomBy(1.25)),
                iconButton('minus', 'Zoom out', () => this.#zoomBy(0.8)),
                iconButton('fit', 'Show all', () => this.fit()),
            ),
        );
        this.#listen();
        this.#observer = new ResizeObserver(() => this.#drag === null && this.fit(ZOOM_READABLE));
        this.#observer.observe(this.element);
    }

    destroy() {
        this.#observer.disconnect();
    }

    /* A map of the same services and calls keeps its place and zoom. */
    show(graph, chosen) {
        this.#graph = graph;
        const names = graph.nodes.map(({ name }) => name);
        const shape = JSON.stringify([
            [...names].sort(),
            graph.edges.map(({ from, to, kind }) => `${from}\u0000${to}\u0000${kind}`).sort(),
        ]);
        const layout = layoutMap(names, graph.edges, {
            column: COLUMN_PX,
            row: ROW_PX,
            margin: 48,
        });
        this.#size = layout;
        this.#draw(layout);
        if (shape !== this.#shape) this.fit(ZOOM_READABLE);
        this.#shape = shape;
        this.choose(chosen);
    }

    choose(name) {
        this.#chosen = name;
        const near = new Set([name]);
        for (const line of this.#drawing.querySelectorAll('.map-edge')) {
            const { from, to } = line.dataset;
            const lit = name && (from === name || to === name);
            line.classList.toggle('is-lit', Boolean(lit));
            line.classList.toggle('is-dim', Boolean(name) && !lit);
            if (lit) near.add(from).add(to);
        }
        for (const [own, element] of this.#nodes) {
            element.classList.toggle('is-chosen', own === name);
            element.classList.toggle('is-dim', Boolean(name) && !near.has(own));
            element.setAttribute('aria-pressed', String(own === name));
        }
    }

    /* All of it, but no smaller than least. */
    fit(least = ZOOM_MIN) {
        const { clientWidth: width, clientHeight: height } = this.element;
        if (width === 0) return;
        const zoom = Math.min(width / this.#size.width, height / this.#size.height, 1.15);
        this.#zoom = Math.max(least, zoom);
        this.#shift = {
            x: (width - this.#size.width * this.#zoom) / 2,
            y: (height - this.#size.height * this.#zoom) / 2,
        };
        /* Too much for the frame: then from the left, where the callers are. */
        if (this.#size.width * this.#zoom > width) this.#shift.x = 8 - 40 * this.#zoom;
        this.#place();
    }

    #place() {
        const { x, y } = this.#shift;
        this.#drawing.setAttribute('transform', `translate(${x} ${y}) scale(${this.#zoom})`);
    }

    #zoomBy(factor, at = { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 }) {
        const zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, this.#zoom * factor));
        const change = zoom / this.#zoom;
        this.#shift = {
            x: at.x - (at.x - this.#shift.x) * change,
            y: at.y - (at.y - this.#shift.y) * change,
        };
        this.#zoom = zoom;
        this.#place();
    }

    #draw(layout) {
        const focused = document.activeElement?.dataset?.service;
        this.#nodes.clear();
        const most = Math.max(...this.#graph.edges.map(({ rate }) => rate), 1e-9);
        const edges = layout.edges.map((edge, at) => this.#edge(this.#graph.edges[at], edge, most));
        const nodes = this.#graph.nodes.map((node) =>
            this.#node(node, layout.nodes.get(node.name)),
        );
        this.#drawing.replaceChildren(...edges, ...nodes);
        if (focused !== undefined) this.#nodes.get(focused)?.focus({ preventScroll: true });
    }

    #edge(edge, { points }, most) {
        const { from, to, rate, error_share, p95_s, errors } = edge;
        const width = 1.2 + 3.2 * Math.sqrt(rate / most);
        const path = from === to ? loopPath(points[0]) : curve(points);
        const middle = labelPlace(points, from === to);
        const words = [formatRate(rate), p95_s === null ? '' : `p95 ${formatSeconds(p95_s)}`];
        const label = svg(
            'text',
            { class: 'map-label', x: middle.x, y: middle.y },
            ...words
                .filter(Boolean)
                .map((text, at) => svg('tspan', { x: middle.x, dy: at === 0 ? '0' : '13' }, text)),
        );
        if (errors > 0)
            label.append(
                svg(
                    'tspan',
                    { class: 'map-error', x: middle.x, dy: '13' },
                    `✕ ${formatShare(error_share)}`,
                ),
            );
        const group = svg(
            'g',
            {
                class: errors > 0 ? 'map-edge has-errors' : 'map-edge',
                'data-from': from,
                'data-to': to,
                onclick: () => this.#options.on_edge(edge),
            },
            svg(
                'title',
                {},
                `${from} calls ${to}: ${words.join(', ')}, errors ${formatShare(error_share)}`,
            ),
            svg('path', { class: 'map-hit', d: path }),
            svg('path', { class: 'map-line', d: path, 'marker-end': 'url(#map-arrow)' }),
            label,
        );
        group.querySelector('.map-line').style.strokeWidth = `${width}px`;
        return group;
    }

    #node(node, { x, y }) {
        const { name, kind, rate, error_share, errors, p95_s, calls } = node;
        const [left, top] = [x - BOX.width / 2, y - BOX.height / 2];
        const figures = calls > 0 ? [formatRate(rate)] : ['calls others'];
        if (p95_s !== null) figures.push(`p95 ${formatSeconds(p95_s)}`);
        const what = KINDS[kind] ?? kind;
        const box = svg(
            'g',
            {
                class: `map-node kind-${kind === 'service' ? 'service' : 'other'}${errors > 0 ? ' has-errors' : ''}`,
                tabindex: '0',
                role: 'button',
                'data-service': name,
                'aria-label': `${name}${what ? `, ${what}` : ''}: ${figures.join(', ')}, errors ${formatShare(error_share)}`,
                transform: `translate(${left} ${top})`,
                onclick: () => this.#options.on_choose(this.#chosen === name ? null : name),
                onkeydown: (event) => this.#nodeKey(event, name),
            },
            svg('title', {}, name),
            svg('rect', { width: BOX.width, height: BOX.height, rx: kind === 'service' ? 8 : 20 }),
            svg('text', { class: 'map-name', x: 12, y: 20 }, shortened(name)),
            svg('text', { class: 'map-figures', x: 12, y: 37 }, figures.join(' · ')),
            svg(
                'text',
                { class: errors > 0 ? 'map-error' : 'map-figures', x: 12, y: 51 },
                errors > 0 ? `✕ ${formatShare(error_share)} errors` : what || 'no errors',
            ),
        );
        this.#nodes.set(name, box);
        return box;
    }

    /* Enter chooses; arrows go to the called, the callers, the neighbours in the column. */
    #nodeKey(event, name) {
        if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            this.#options.on_choose(this.#chosen === name ? null : name);
            return;
        }
        const directions = {
            ArrowRight: [1, 0],
            ArrowLeft: [-1, 0],
            ArrowDown: [0, 1],
            ArrowUp: [0, -1],
        };
        const way = directions[event.key];
        if (!way) return;
        event.preventDefault();
        this.#nodes.get(this.#nearest(name, way))?.focus();
    }

    #nearest(name, [dx, dy]) {
        const own = this.#size.nodes.get(name);
        let nearest = name;
        let least = Infinity;
        for (const [other, place] of this.#size.nodes) {
            const [x, y] = [place.x - own.x, place.y - own.y];
            const along = x * dx + y * dy;
            const aside = Math.abs(x * dy) + Math.abs(y * dx);
            if (other === name || along <= 0 || (dy !== 0 && x !== 0)) continue;
            const distance = along + aside * 2;
            if (distance < least) [nearest, least] = [other, distance];
        }
        return nearest;
    }

    #listen() {
        const on = (name, run, options) => this.#frame.addEventListener(name, run, options);
        on(
            'wheel',
            (event) => {
                if (!event.ctrlKey) return;
                event.preventDefault();
                const { left, top } = this.element.getBoundingClientRect();
                const at = { x: event.clientX - left, y: event.clientY - top };
                this.#zoomBy(event.deltaY > 0 ? 0.88 : 1.14, at);
            },
            { passive: false },
        );
        on('pointerdown', (event) => {
            if (event.button === 0)
                this.#drag = { x: event.clientX, y: event.clientY, shift: { ...this.#shift } };
        });
        on('pointermove', (event) => {
            if (!this.#drag) return;
            const [dx, dy] = [event.clientX - this.#drag.x, event.clientY - this.#drag.y];
            if (!this.#drag.moved && Math.hypot(dx, dy) < DRAG_PX) return;
            if (!this.#drag.moved) this.#frame.setPointerCapture(event.pointerId);
            this.#drag.moved = true;
            this.#shift = { x: this.#drag.shift.x + dx, y: this.#drag.shift.y + dy };
            this.#place();
        });
        on('pointerup', () => (this.#drag = null));
        on('pointercancel', () => (this.#drag = null));
    }
}

/* From the right edge of a box to the left edge of the next, through the waypoints. An edge that
 * leads backwards leaves and arrives at the lower edges. */
function curve(points) {
    const first = points[0];
    const last = points.at(-1);
    if (last.x <= first.x) return backwards(first, last);
    const way = [
        { x: first.x + BOX.width / 2, y: first.y },
        ...points.slice(1, -1),
        { x: last.x - BOX.width / 2 - 2, y: last.y },
    ];
    let path = `M${way[0].x} ${way[0].y}`;
    for (let at = 1; at < way.length; at += 1) {
        const [a, b] = [way[at - 1], way[at]];
        const bend = (b.x - a.x) / 2;
        path += `C${a.x + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x} ${b.y}`;
    }
    return path;
}

function backwards(first, last) {
    const low = Math.max(first.y, last.y) + BOX.height / 2 + 34;
    const [a, b] = [first.y, last.y].map((y) => y + BOX.height / 2);
    return `M${first.x} ${a}C${first.x} ${low} ${last.x} ${low} ${last.x} ${b + 2}`;
}

function loopPath({ x, y }) {
    const top = y - BOX.height / 2;
    return `M${x - 18} ${top}C${x - 34} ${top - 40} ${x + 34} ${top - 40} ${x + 18} ${top - 1}`;
}

function labelPlace(points, is_loop) {
    const first = points[0];
    const last = points.at(-1);
    if (is_loop) return { x: first.x, y: first.y - BOX.height / 2 - 34 };
    if (last.x <= first.x)
        return { x: (first.x + last.x) / 2, y: Math.max(first.y, last.y) + BOX.height / 2 + 28 };
    /* Nearer to the called, on the curve at 0.62: arrows of one caller lie close together where they
     * begin. */
    const before = points.at(-2);
    const from = points.length === 2 ? before.x + BOX.width / 2 : before.x;
    const to = last.x - BOX.width / 2;
    return {
        x: from + (to - from) * (before.y === last.y ? 0.5 : 0.59),
        y: before.y + (last.y - before.y) * 0.68 - 10,
    };
}
