/* SPDX-License-Identifier: Apache-2.0 */

/* waterfall_paint - draws the rows of a waterfall that can be seen, and nothing else: a frame costs
 * what fits the screen, however long the trace.
 *
 *     ▾ ■ front  POST /checkout            |   ▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬▬  132 ms
 *         ■ stock  SELECT stock            |        ▬▬▬▬▬◆▬▬▬  12 ms
 *
 * On a narrow screen the name stands above its bar. The critical path is the line below a bar;
 * errors wear a sign, moved clocks another, events and logs theirs. */
import { formatSeconds } from './format.js';
import {
    drawText,
    FONT,
    FONT_SMALL,
    plain,
    serviceColour,
    serviceStripes,
} from './span_colours.js';
import { colours } from './theme.js';
import {
    hasRepeatedId,
    isError,
    MARK_LOG,
    markIsError,
    nameOf,
    serviceOf,
} from './trace_columns.js';

export const INDENT_PX = 12;
const INDENTS_MAX = 16;
const NARROW_PX = 620;
const BAR_PX = 12;
const MARKS_MAX = 40; /* Of one row; more would be one smear. */

/* Where things stand at this width. */
export function layoutOf(width) {
    const narrow = width < NARROW_PX;
    const names = narrow ? 0 : Math.round(Math.min(460, Math.max(240, width * 0.36)));
    return {
        narrow,
        row: narrow ? 38 : 24,
        names,
        left: narrow ? 10 : names + 8,
        right: width - (narrow ? 10 : 14),
    };
}

export const indentOf = (depth) => Math.min(depth, INDENTS_MAX) * INDENT_PX;

/* Where the sign that opens and closes a row stands. */
export const toggleLeft = (depth) => 8 + indentOf(depth);

/* Round steps of ns for a ruler of about `most` marks. */
export function rulerStep(span_ns, most) {
    const rough = Math.max(1, span_ns / Math.max(1, most));
    const power = 10 ** Math.floor(Math.log10(rough));
    for (const step of [1, 2, 5, 10]) if (step * power >= rough) return step * power;
    return 10 * power;
}

export class Painter {
    #context;
    #layout;
    #state;
    #ink;

    /* state: { trace, tree, path (or null), stretches, marks, matches, closed, window, selected,
     * hover, lit, focused } */
    constructor(context, layout, state) {
        this.#context = context;
        this.#layout = layout;
        this.#state = state;
        this.#ink = colours();
    }

    x(ns) {
        const { window: view } = this.#state;
        const { left, right } = this.#layout;
        return left + ((ns - view.from) / (view.to - view.from)) * (right - left);
    }

    ruler(height) {
        const { left, right } = this.#layout;
        const { window: view, tree } = this.#state;
        const context = this.#context;
        const step = rulerStep(view.to - view.from, (right - left) / 90);
        context.strokeStyle = this.#ink.grid;
        context.lineWidth = 1;
        context.beginPath();
        const first = Math.ceil((view.from - tree.from) / step) * step + tree.from;
        const ticks = [];
        for (let at = first; at <= view.to; at += step) {
            const x = Math.round(this.x(at)) + 0.5;
            context.moveTo(x, 0);
            context.lineTo(x, height);
            ticks.push({ x, text: formatSeconds((at - tree.from) / 1e9) });
        }
        context.stroke();
        return ticks;
    }

    row(row, y) {
        const { selected, hover, matches, focused } = this.#state;
        const context = this.#context;
        const { row: height, right } = this.#layout;
        if (row === selected || row === hover) {
            context.fillStyle = row === selected ? this.#ink.accent_soft : this.#ink.hover;
            context.fillRect(0, y, right + 14, height);
        }
        if (row === selected) {
            context.fillStyle = this.#ink.accent;
            context.fillRect(0, y, focused ? 4 : 2, height);
        }
        if (matches?.[row]) {
            context.fillStyle = this.#ink.warning;
            context.fillRect(4, y + 4, 3, height - 8);
        }
        context.globalAlpha = matches && !matches[row] ? 0.5 : 1;
        this.#name(row, y);
        this.#bar(row, y);
        context.globalAlpha = 1;
    }

    #name(row, y) {
        const { trace, tree, closed } = this.#state;
        const { narrow, names, right, row: height } = this.#layout;
        const context = this.#context;
        const middle = narrow ? y + 12 : y + height / 2;
        let x = toggleLeft(tree.depth[row]);
        const end = narrow ? right : names - 6;
        if (tree.first_child[row] >= 0) this.#toggle(x, middle, closed.has(row));
        x += 14;
        this.#chip(x, middle, trace.service[row]);
        x += 15;
        context.font = FONT;
        context.textBaseline = 'middle';
        context.fillStyle = this.#ink.muted;
        const service = plain(serviceOf(trace, row));
        const service_width = Math.min(context.measureText(service).width, (end - x) * 0.4);
        drawText(context, service, x, middle + 0.5, service_width + 1);
        x += service_width + 7;
        context.fillStyle = isError(trace, row) ? this.#ink.critical : this.#ink.ink;
        drawText(context, plain(nameOf(trace, row)), x, middle + 0.5, end - x);
    }

    #toggle(x, middle, is_closed) {
        const context = this.#context;
        context.fillStyle = this.#ink.muted;
        context.beginPath();
        if (is_closed) {
            context.moveTo(x + 2, middle - 4.5);
            context.lineTo(x + 8, middle);
            context.lineTo(x + 2, middle + 4.5);
        } else {
            context.moveTo(x, middle - 3);
            context.lineTo(x + 9, middle - 3);
            context.lineTo(x + 4.5, middle + 3.5);
        }
        context.fill();
    }

    #chip(x, middle, service) {
        const context = this.#context;
        context.fillStyle = serviceColour(service);
        context.fillRect(x, middle - 4.5, 9, 9);
        this.#stripes(x, middle - 4.5, 9, 9, service);
    }

    #stripes(x, y, width, height, service) {
        const count = serviceStripes(service);
        if (count === 0 || width < 4) return;
        const context = this.#context;
        context.fillStyle = this.#ink.surface;
        for (let at = 1; at <= count; at += 1)
            context.fillRect(x, y + (height * at) / (count + 1) - 0.75, width, 1.5);
    }

    #bar(row, y) {
        const { trace, tree, path, lit } = this.#state;
        const { left, right, narrow, row: height } = this.#layout;
        const context = this.#context;
        const from = this.x(tree.start[row]);
        const to = this.x(tree.start[row] + tree.duration[row]);
        const top = narrow ? y + 22 : y + (height - BAR_PX) / 2;
        if (to < left - 1 || from > right + 1) {
            this.#elsewhere(from > right, top);
            return;
        }
        const x = Math.max(from, left);
        const width = Math.max(1.5, Math.min(to, right) - x);
        const before = context.globalAlpha;
        if (lit && path && !path.on[row]) context.globalAlpha = before * 0.4;
        context.fillStyle = serviceColour(trace.service[row]);
        context.fillRect(x, top, width, BAR_PX);
        this.#stripes(x, top, width, BAR_PX, trace.service[row]);
        context.globalAlpha = before;
        if (lit && path?.on[row]) this.#critical(row, top + BAR_PX);
        if (isError(trace, row)) this.#outline(x, top, width);
        this.#marks(row, top);
        this.#label(row, x, x + width, top);
    }

    /* The bar lies outside of the part that is zoomed into. */
    #elsewhere(is_right, top) {
        const context = this.#context;
        const { left, right } = this.#layout;
        context.fillStyle = this.#ink.faint;
        context.font = FONT_SMALL;
        context.fillText(is_right ? '›' : '‹', is_right ? right - 4 : left, top + BAR_PX / 2);
    }

    #critical(row, y) {
        const { stretches } = this.#state;
        const { left, right } = this.#layout;
        const context = this.#context;
        context.fillStyle = this.#ink.ink;
        for (let at = stretches.first[row]; at < stretches.first[row + 1]; at += 1) {
            const from = Math.max(left, this.x(stretches.starts[at]));
            const to = Math.min(right, this.x(stretches.ends[at]));
            if (to >= from) context.fillRect(from, y - 1, Math.max(1.5, to - from), 3);
        }
    }

    #outline(x, top, width) {
        const context = this.#context;
        context.strokeStyle = this.#ink.critical;
        context.lineWidth = 1.5;
        context.strokeRect(x - 0.5, top - 0.5, width + 1, BAR_PX + 1);
    }

    #marks(row, top) {
        const { trace, tree, marks } = this.#state;
        const { left, right } = this.#layout;
        const end = Math.min(marks.first[row + 1], marks.first[row] + MARKS_MAX);
        const shift = tree.shift ? tree.shift[row] : 0;
        for (let at = marks.first[row]; at < end; at += 1) {
            const mark = marks.order[at];
            const x = this.x(trace.mark_time[mark] + shift);
            if (x < left - 4 || x > right + 4) continue;
            this.#mark(mark, x, top + BAR_PX / 2);
        }
    }

    /* Diamond: event; circle: log; either red with a dark rim: exception, error. */
    #mark(mark, x, y) {
        const { trace } = this.#state;
        const context = this.#context;
        context.fillStyle = markIsError(trace, mark) ? this.#ink.critical : this.#ink.surface;
        context.strokeStyle = markIsError(trace, mark) ? this.#ink.surface : this.#ink.ink;
        context.lineWidth = 1.2;
        context.beginPath();
        if (trace.mark_kind[mark] >= MARK_LOG) {
            context.arc(x, y, 3.4, 0, 2 * Math.PI);
        } else {
            context.moveTo(x, y - 4.6);
            context.lineTo(x + 4.6, y);
            context.lineTo(x, y + 4.6);
            context.lineTo(x - 4.6, y);
            context.closePath();
        }
        context.fill();
        context.stroke();
    }

    #label(row, from, to, top) {
        const { trace, tree } = this.#state;
        const { left, right } = this.#layout;
        const context = this.#context;
        const signs = [];
        if (isError(trace, row)) signs.push('error');
        if (tree.shift?.[row]) signs.push('⇆ clock');
        if (trace.duration[row] < 0) signs.push('ends before it starts');
        if (trace.parent[row] === -2) signs.push('parent missing');
        if (hasRepeatedId(trace, row)) signs.push('id repeated');
        const duration = formatSeconds(trace.duration[row] / 1e9);
        const text = [duration, ...signs].join(' · ');
        context.font = FONT_SMALL;
        context.textBaseline = 'middle';
        const width = context.measureText(text).width;
        const y = top + BAR_PX / 2 + 0.5;
        const quiet = signs.length > 0 ? this.#ink.warning : this.#ink.muted;
        context.fillStyle = isError(trace, row) ? this.#ink.critical : quiet;
        if (to + 6 + width <= right) context.fillText(text, to + 6, y);
        else if (from - 6 - width >= left) context.fillText(text, from - 6 - width, y);
        else {
            const x = Math.min(to, right) - width - 6; // In the bar, where it ends.
            context.fillStyle = this.#ink.surface;
            context.globalAlpha *= 0.86;
            context.fillRect(x - 4, top, width + 8, BAR_PX);
            context.globalAlpha /= 0.86;
            context.fillStyle = isError(trace, row) ? this.#ink.critical : this.#ink.ink;
            context.fillText(text, x, y);
        }
    }
}
