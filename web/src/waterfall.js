/* SPDX-License-Identifier: Apache-2.0 */

/* waterfall - the rows of a trace under a ruler: scrolled, zoomed, opened and closed, walked through
 * by keyboard. A million rows are one canvas as large as the screen and a scroll bar.
 *
 * Browsers do not make elements of twenty million pixels, so beyond SCROLL_PX_MAX the bar is a map
 * of the whole at a smaller scale, and the wheel moves the rows themselves. `#top` is always in
 * pixels of rows.
 *
 * To those who listen it is a tree with one item, the selected one, which is told anew when it
 * changes. */
import { h } from './dom.js';
import { formatSeconds } from './format.js';
import { cancelPaint, onNextPaint } from './frames.js';
import { fitCanvas, FONT_SMALL } from './span_colours.js';
import { colours } from './theme.js';
import { isError, nameOf, serviceOf } from './trace_columns.js';
import { reveal, visibleRows } from './trace_tree.js';
import { layoutOf, Painter, toggleLeft } from './waterfall_paint.js';

const SCROLL_PX_MAX = 8e6;
const RULER_PX = 24;
const DRAG_PX = 5;
const ROOM_PX = 8; /* Below the last row. */
const NONE = -1;
const WINDOW_NS_MIN = 100; /* The closest zoom. */

export class Waterfall {
    #canvas = h('canvas', { class: 'waterfall-canvas', 'aria-hidden': 'true' });
    #ruler = h('canvas', { class: 'waterfall-ruler', 'aria-hidden': 'true' });
    #spacer = h('div', { class: 'waterfall-spacer', 'aria-hidden': 'true' });
    #item = h('div', { id: 'waterfall-item', class: 'offscreen', role: 'treeitem' });
    #band = h('div', { class: 'drag-band', hidden: true });
    #scroller;
    #observer;
    #options;
    #state = null;
    #visible = new Int32Array(0);
    #place_of = null;
    #top = 0;
    #scale = 1;
    #width = 0;
    #height = 0;
    #layout = layoutOf(1000);
    #drag = null;
    #paint = () => this.#draw();
    #painted = 0;

    element;

    /* options: { on_select(row), on_open(row), on_window(view), on_scroll() } */
    constructor(options) {
        this.#options = options;
        this.#scroller = h(
            'div',
            {
                class: 'waterfall-scroll',
                tabindex: '0',
                role: 'tree',
                'aria-label': 'Spans of the trace. Arrows move, Enter shows details.',
                'aria-activedescendant': 'waterfall-item',
            },
            this.#canvas,
            this.#spacer,
            this.#item,
        );
        this.element = h('div', { class: 'waterfall' }, this.#ruler, this.#scroller, this.#band);
        this.#listen();
        this.#observer = new ResizeObserver(() => this.#resized());
        this.#observer.observe(this.#scroller);
        this.redraw = this.redraw.bind(this);
        window.addEventListener('sonde-theme', this.redraw);
    }

    destroy() {
        this.#observer.disconnect();
        cancelPaint(this.#paint);
        window.removeEventListener('sonde-theme', this.redraw);
    }

    /* Frames drawn so far: what a measurement of smoothness counts. */
    get painted() {
        return this.#painted;
    }

    /* state: { trace, tree, path, stretches, marks, closed }; the rest begins anew. */
    show(state) {
        this.#state = {
            matches: null,
            lit: true,
            hover: NONE,
            selected: NONE,
            window: { from: state.tree.from, to: widened(state.tree) },
            ...state,
        };
        this.#top = 0;
        this.refold();
    }

    /* Some of the state is another; nothing of it changes which rows there are. */
    patch(part) {
        Object.assign(this.#state, part);
        this.redraw();
    }

    /* Which rows are closed has changed: the row at the top stays where it is, if it is there. */
    refold() {
        const { tree, closed } = this.#state;
        const anchor = this.#visible[Math.floor(this.#top / this.#layout.row)];
        this.#visible = visibleRows(tree, closed);
        this.#place_of = closed.size === 0 ? tree.place : null;
        this.#measure();
        if (anchor !== undefined && this.#place(anchor) >= 0 && this.#top > 0)
            this.#scrollTo(this.#place(anchor) * this.#layout.row);
        this.redraw();
    }

    redraw() {
        onNextPaint(this.#paint);
    }

    focus() {
        this.#scroller.focus({ preventScroll: true });
    }

    get selected() {
        return this.#state?.selected ?? NONE;
    }

    get window() {
        return this.#state.window;
    }

    /* Which part of all rows is seen: { from, to } of 0 … 1. */
    seen() {
        const total = Math.max(1, this.#visible.length * this.#layout.row);
        return { from: this.#top / total, to: Math.min(1, (this.#top + this.#height) / total) };
    }

    seek(share) {
        this.#scrollTo(share * this.#visible.length * this.#layout.row - this.#height / 2);
    }

    select(row, { show = true } = {}) {
        const { tree, closed } = this.#state;
        if (row !== NONE && reveal(tree, closed, row)) this.refold();
        this.#state.selected = row;
        this.#tell(row);
        if (row !== NONE && show) this.#bringIntoView(row);
        this.redraw();
    }

    setWindow({ from, to }) {
        const { tree } = this.#state;
        const most = widened(tree);
        const middle = (from + to) / 2;
        const half = Math.max(WINDOW_NS_MIN, to - from) / 2;
        this.#state.window = {
            from: Math.max(tree.from, middle - half),
            to: Math.min(most, middle + half),
        };
        this.#options.on_window(this.#state.window);
        this.redraw();
    }

    zoomTo(row) {
        const { tree } = this.#state;
        const [start, duration] = [tree.start[row], tree.duration[row]];
        this.setWindow({ from: start - duration * 0.05 - 1, to: start + duration * 1.05 + 1 });
    }

    zoomOut() {
        const { tree } = this.#state;
        this.setWindow({ from: tree.from, to: widened(tree) });
    }

    get isZoomed() {
        const { tree, window: view } = this.#state;
        return view.from > tree.from || view.to < widened(tree);
    }

    /* ---- Size and place. ---- */

    #resized() {
        this.#width = this.#scroller.clientWidth;
        this.#height = this.#scroller.clientHeight;
        const share = this.#top / this.#layout.row;
        this.#layout = layoutOf(this.#width);
        this.#measure();
        this.#scrollTo(share * this.#layout.row);
        /* At once: a canvas that was resized is empty until it is drawn. */
        this.#draw();
    }

    #measure() {
        const total = this.#visible.length * this.#layout.row;
        const shown = Math.min(total, SCROLL_PX_MAX);
        const room = shown - this.#height;
        this.#scale = room > 0 ? (total - this.#height) / room : 1;
        this.#spacer.style.height = `${Math.max(0, shown - this.#height)}px`;
        this.#scroller.style.maxHeight = `${total + ROOM_PX}px`;
    }

    #scrollTo(top) {
        const most = Math.max(0, this.#visible.length * this.#layout.row - this.#height);
        this.#top = Math.min(most, Math.max(0, top));
        this.#scroller.scrollTop = this.#top / this.#scale;
        this.redraw();
    }

    #place(row) {
        if (this.#place_of) return this.#place_of[row];
        return this.#visible.indexOf(row);
    }

    #bringIntoView(row) {
        const place = this.#place(row);
        const { row: height } = this.#layout;
        const [top, bottom] = [place * height, (place + 1) * height];
        if (top < this.#top) this.#scrollTo(top - height * 2);
        else if (bottom > this.#top + this.#height)
            this.#scrollTo(bottom - this.#height + height * 2);
    }

    /* ---- Drawing. ---- */

    #draw() {
        if (!this.#state || this.#width === 0) return;
        const { row: height } = this.#layout;
        const context = fitCanvas(this.#canvas, this.#width, this.#height);
        const painter = new Painter(context, this.#layout, {
            ...this.#state,
            focused: document.activeElement === this.#scroller,
        });
        const ticks = painter.ruler(this.#height);
        const first = Math.max(0, Math.floor(this.#top / height));
        const last = Math.min(this.#visible.length, Math.ceil((this.#top + this.#height) / height));
        for (let at = first; at < last; at += 1)
            painter.row(this.#visible[at], at * height - this.#top);
        this.#drawRuler(ticks);
        this.#painted += 1;
        this.#options.on_scroll();
    }

    #drawRuler(ticks) {
        const context = fitCanvas(this.#ruler, this.#width, RULER_PX);
        const ink = colours();
        context.font = FONT_SMALL;
        context.textBaseline = 'middle';
        context.fillStyle = ink.muted;
        let free = this.#layout.left;
        for (const { x, text } of ticks) {
            const width = context.measureText(text).width;
            const at = Math.min(
                Math.max(x - width / 2, this.#layout.left),
                this.#width - width - 4,
            );
            if (at < free) continue;
            context.fillText(text, at, RULER_PX / 2);
            free = at + width + 10;
        }
        if (this.#layout.narrow) return;
        context.fillText(
            `${this.#visible.length.toLocaleString('en')} of ${this.#state.trace.count.toLocaleString('en')} spans`,
            10,
            RULER_PX / 2,
        );
    }

    #tell(row) {
        if (row === NONE) {
            this.#item.textContent = '';
            return;
        }
        const { trace, tree, closed, path } = this.#state;
        const words = [
            `${nameOf(trace, row)} in ${serviceOf(trace, row)}`,
            formatSeconds(trace.duration[row] / 1e9),
            `starts at ${formatSeconds((tree.start[row] - tree.from) / 1e9)}`,
        ];
        if (isError(trace, row)) words.push('error');
        if (path?.on[row]) words.push('on the critical path');
        this.#item.textContent = words.join(', ');
        this.#item.setAttribute('aria-level', tree.depth[row] + 1);
        if (tree.first_child[row] === NONE) this.#item.removeAttribute('aria-expanded');
        else this.#item.setAttribute('aria-expanded', String(!closed.has(row)));
    }

    /* ---- Hands. ---- */

    #listen() {
        const on = (name, run, options) => this.#scroller.addEventListener(name, run, options);
        on('scroll', () => this.#scrolled());
        on('wheel', (event) => this.#wheeled(event), { passive: false });
        on('keydown', (event) => this.#pressed(event));
        on('focus', () => this.redraw());
        on('blur', () => this.redraw());
        on('pointerdown', (event) => this.#down(event));
        on('pointermove', (event) => this.#moved(event));
        on('pointerup', (event) => this.#up(event));
        on('pointercancel', () => this.#endDrag());
        on('pointerleave', () => this.#hover(NONE));
        on('dblclick', (event) => {
            const row = this.#rowAt(event);
            if (event.offsetX < this.#layout.names || row === NONE) return;
            if (this.isZoomed) this.zoomOut();
            else this.zoomTo(row);
        });
    }

    #scrolled() {
        const expected = this.#top / this.#scale;
        if (Math.abs(this.#scroller.scrollTop - expected) >= 1)
            this.#top = this.#scroller.scrollTop * this.#scale;
        this.redraw();
    }

    /* With Ctrl: zoom at the pointer. On a shrunken scroll bar: rows instead of the bar. */
    #wheeled(event) {
        if (!this.#state) return;
        if (event.ctrlKey) {
            event.preventDefault();
            this.#zoomAt(this.#timeAt(this.#localX(event)), event.deltaY > 0 ? 1.25 : 0.8);
        } else if (this.#scale > 1.001 && event.deltaY !== 0) {
            event.preventDefault();
            const unit = event.deltaMode === 1 ? this.#layout.row : 1;
            this.#scrollTo(this.#top + event.deltaY * unit);
        }
    }

    #zoomAt(ns, factor) {
        const { from, to } = this.#state.window;
        this.setWindow({ from: ns - (ns - from) * factor, to: ns + (to - ns) * factor });
    }

    #localX(event) {
        return event.clientX - this.#scroller.getBoundingClientRect().left;
    }

    #timeAt(x) {
        const { left, right } = this.#layout;
        const { from, to } = this.#state.window;
        return from + ((x - left) / (right - left)) * (to - from);
    }

    #rowAt(event) {
        const y = event.clientY - this.#scroller.getBoundingClientRect().top;
        const place = Math.floor((this.#top + y) / this.#layout.row);
        return this.#visible[place] ?? NONE;
    }

    #hover(row) {
        if (!this.#state || this.#state.hover === row) return;
        this.#state.hover = row;
        this.redraw();
    }

    #down(event) {
        if (event.button !== 0 || !this.#state) return;
        this.#drag = { x: this.#localX(event), row: this.#rowAt(event), moved: false };
    }

    #moved(event) {
        if (!this.#state) return;
        const x = this.#localX(event);
        if (!this.#drag) {
            if (event.pointerType === 'mouse') this.#hover(this.#rowAt(event));
            return;
        }
        if (event.pointerType !== 'mouse' || this.#drag.x < this.#layout.names) return;
        if (Math.abs(x - this.#drag.x) < DRAG_PX && !this.#drag.moved) return;
        if (!this.#drag.moved) this.#scroller.setPointerCapture(event.pointerId);
        this.#drag.moved = true;
        const { left, right } = this.#layout;
        const [a, b] = [this.#drag.x, x].map((at) => Math.min(right, Math.max(left, at)));
        this.#band.hidden = false;
        this.#band.style.left = `${Math.min(a, b)}px`;
        this.#band.style.width = `${Math.abs(a - b)}px`;
        this.#drag.to = b;
        this.#drag.from = a;
    }

    #up(event) {
        const drag = this.#drag;
        this.#endDrag();
        if (!drag) return;
        if (drag.moved) {
            const [from, to] = [drag.from, drag.to].sort((a, b) => a - b);
            if (to - from >= DRAG_PX)
                this.setWindow({ from: this.#timeAt(from), to: this.#timeAt(to) });
            return;
        }
        const row = this.#rowAt(event);
        if (row === NONE || row !== drag.row) return;
        const toggle = toggleLeft(this.#state.tree.depth[row]);
        if (drag.x < toggle + 16 && drag.x > toggle - 10 && this.#hasChildren(row)) {
            this.toggle(row);
            return;
        }
        this.#options.on_select(row);
    }

    #endDrag() {
        this.#drag = null;
        this.#band.hidden = true;
    }

    #hasChildren(row) {
        return this.#state.tree.first_child[row] !== NONE;
    }

    toggle(row) {
        const { closed } = this.#state;
        if (!closed.delete(row)) closed.add(row);
        this.refold();
        if (this.#state.selected === row) this.#tell(row);
    }

    /* ---- Keyboard. ---- */

    #pressed(event) {
        if (!this.#state || event.ctrlKey || event.altKey || event.metaKey) return;
        const page = Math.max(1, Math.floor(this.#height / this.#layout.row) - 1);
        const moves = {
            ArrowDown: () => this.#step(1),
            ArrowUp: () => this.#step(-1),
            PageDown: () => this.#step(page),
            PageUp: () => this.#step(-page),
            Home: () => this.#go(0),
            End: () => this.#go(this.#visible.length - 1),
            ArrowRight: () => this.#inwards(),
            ArrowLeft: () => this.#outwards(),
            Enter: () => this.selected !== NONE && this.#options.on_open(this.selected),
            z: () => this.selected !== NONE && this.zoomTo(this.selected),
            0: () => this.zoomOut(),
        };
        const move = moves[event.key];
        if (!move) return;
        event.preventDefault();
        move();
    }

    #step(by) {
        const place = this.selected === NONE ? NONE : this.#place(this.selected);
        if (place === NONE) this.#go(Math.floor(this.#top / this.#layout.row));
        else this.#go(place + by);
    }

    #go(place) {
        const last = this.#visible.length - 1;
        const row = this.#visible[Math.min(last, Math.max(0, place))];
        if (row !== undefined) this.#options.on_select(row);
    }

    #inwards() {
        const { tree, closed } = this.#state;
        const row = this.selected;
        if (row === NONE || !this.#hasChildren(row)) return;
        if (closed.has(row)) this.toggle(row);
        else this.#options.on_select(tree.first_child[row]);
    }

    #outwards() {
        const { tree, closed } = this.#state;
        const row = this.selected;
        if (row === NONE) return;
        if (this.#hasChildren(row) && !closed.has(row)) this.toggle(row);
        else if (tree.parent[row] !== NONE) this.#options.on_select(tree.parent[row]);
    }
}

/* A trace of no length still needs some width. */
function widened(tree) {
    return Math.max(tree.to, tree.from + 1000);
}
