/* SPDX-License-Identifier: Apache-2.0 */

/* chart - columns as lines on a canvas, by uPlot, with the gestures of this dashboard:
 *
 *   drag            zoom into what was dragged over     on_zoom({ from, to })
 *   double click    back out                            on_reset()
 *   move, touch     the crosshair, shared by all charts
 *
 * draw() is cheap for new points and rebuilds only when the set of series or the theme changed.
 * Stacked charts get running sums; `columns` always keeps the true values. */
import uPlot from './vendor/uPlot.esm.js';
import { formatClock, formatDay, formatMoment, formatValue, UNITS } from './format.js';
import { GAP_STEPS, stackColumns } from './series.js';
import { colours } from './theme.js';

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const AXIS_WIDTH_PX = 62;
/* Steps of the time axis, so that even a narrow chart of five minutes has more than one label. */
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
    ...[1, 2, 5, 10, 15, 20, 30],
    ...[1, 2, 5, 10, 15, 20, 30].map((count) => count * MINUTE),
    ...[1, 2, 3, 4, 6, 12].map((count) => count * HOUR),
    ...[1, 2, 5, 7, 14, 30, 90, 365].map((count) => count * DAY),
];
const DASHES = [[], [6, 4], [2, 3]];

/* Steps of an axis in bytes: 1, 2, 4 … 512 of each unit, so that ticks are round in KiB. */
const BINARY_STEPS = Array.from({ length: 61 }, (_, power) => 2 ** power);

export function seriesColour(index, named) {
    const palette = colours().series;
    return palette[(named ?? index) % palette.length];
}

/* Past eight series the colours come again, dashed. */
export function seriesDash(index) {
    return DASHES[Math.floor(index / 8) % DASHES.length];
}

function withAlpha(colour, alpha) {
    const hex = /^#([0-9a-f]{6})$/i.exec(colour);
    if (!hex) return colour;
    const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex[1].slice(at, at + 2), 16));
    return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/* A label of the time axis: midnight carries the date, and days in a row only that. */
function timeTick(tick, spacing_s) {
    const date = new Date(tick * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (midnight || spacing_s >= DAY) return formatDay(tick * 1000);
    return spacing_s < MINUTE ? formatMoment(tick * 1000) : formatClock(tick * 1000);
}

export class Chart {
    #host;
    #options;
    #plot = null;
    #shape = '';
    #columns = [];
    #step_ms = 1000;
    #height;
    #pointed = false;
    #stop_listening;

    /* options: { unit, stacked, min, max, colour_of(column, index), crosshair, on_zoom, on_reset,
     * on_cursor(row|null) } */
    constructor(host, options) {
        this.#host = host;
        this.#options = options;
        this.#height = options.height ?? 150;
        this.#stop_listening = options.crosshair.listen((time, source) => {
            if (source === this) return;
            this.#pointed = false;
            this.#pointAt(time);
        });
    }

    destroy() {
        this.#stop_listening();
        this.#plot?.destroy();
        this.#plot = null;
    }

    /* Forces new colours or a new size at the next draw. */
    invalidate() {
        this.#shape = '';
    }

    draw({ times, columns, view, step_ms }) {
        this.#columns = columns;
        this.#step_ms = step_ms;
        const width = this.#host.clientWidth;
        if (width === 0) return;
        const marks = columns.map(({ key, hidden }) => key + (hidden ? '-' : ''));
        const shape = [width, ...marks].join('|');
        if (shape !== this.#shape || !this.#plot) this.#rebuild(width, shape);
        this.#plot.setData([times, ...this.#drawnValues(columns)], false);
        this.#plot.setScale('x', { min: view.from / 1000, max: view.to / 1000 });
        if (!this.#pointed) this.#pointAt(this.#options.crosshair.time);
    }

    #drawnValues(columns) {
        if (!this.#options.stacked) return columns.map(({ values }) => values);
        const visible = columns.filter(({ hidden, limit }) => !hidden && !limit);
        const sums = new Map(
            stackColumns(visible).map((values, index) => [visible[index].key, values]),
        );
        return columns.map(({ key, values }) => sums.get(key) ?? values);
    }

    #rebuild(width, shape) {
        this.#plot?.destroy();
        this.#host.replaceChildren();
        this.#shape = shape;
        this.#plot = new uPlot(this.#plotOptions(width), [[]], this.#host);
        this.#hearPointer(this.#plot.over);
    }

    #plotOptions(width) {
        const theme = colours();
        return {
            width,
            height: this.#height,
            padding: [8, 22, 0, 0],
            legend: { show: false },
            select: { show: true, left: 0, top: 0, width: 0, height: 0 },
            cursor: {
                y: false,
                points: { size: 6, width: 1.5 },
                drag: { x: true, y: false, setScale: false, dist: 6 },
                bind: { dblclick: () => null },
            },
            scales: {
                x: { time: true, auto: false },
                y: { range: (_, low, high) => this.#yRange(low, high) },
            },
            axes: [this.#timeAxis(theme), this.#valueAxis(theme)],
            series: [{}, ...this.#columns.map((column, index) => this.#series(column, index))],
            bands: this.#bands(),
            hooks: {
                setSelect: [(plot) => this.#selected(plot)],
                setCursor: [(plot) => this.#moved(plot)],
            },
        };
    }

    #timeAxis(theme) {
        return {
            stroke: theme.muted,
            font: FONT,
            size: 24,
            gap: 6,
            space: 64,
            incrs: TIME_STEPS,
            grid: { show: false },
            ticks: { show: false },
            values: (_, ticks) => ticks.map((tick) => timeTick(tick, ticks[1] - ticks[0])),
        };
    }

    #valueAxis(theme) {
        const unit = this.#options.unit;
        const axis = {
            stroke: theme.muted,
            font: FONT,
            size: AXIS_WIDTH_PX,
            gap: 8,
            space: 34,
            grid: { stroke: theme.grid, width: 1 },
            ticks: { show: false },
            values: (_, ticks) => ticks.map((tick) => formatValue(tick, unit)),
        };
        if (UNITS[unit]?.base === 2) axis.incrs = BINARY_STEPS;
        return axis;
    }

    /* Zero is part of the picture unless values are negative; `max` is a promise kept when the
     * values come near it, `least` stops a flat line from being blown up into mountains. */
    #yRange(low, high) {
        const { min = 0, max, least = 0 } = this.#options;
        if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) {
            return [min, max ?? (least || 1)];
        }
        const bottom = Math.min(min, low);
        if (max !== undefined && high > max * 0.5) return [bottom, Math.max(max, high)];
        const top = Math.max(high + (high - bottom) * 0.12, least);
        return [bottom, top > bottom ? top : bottom + 1];
    }

    #series(column, index) {
        const colour = this.#colour(column, index);
        const stacked = this.#options.stacked && !column.limit;
        const alone = this.#columns.length === 1;
        return {
            label: column.name,
            show: !column.hidden,
            stroke: colour,
            /* Layers have no outline: that of an empty layer would be drawn along the one below. */
            width: stacked ? 0 : column.limit ? 1 : 1.5,
            dash: column.limit ? [4, 4] : seriesDash(index),
            fill: stacked ? withAlpha(colour, 0.7) : alone ? withAlpha(colour, 0.1) : undefined,
            points: {
                show: () => false,
                filter: (plot, series_index) => this.#lonelyRows(plot, series_index),
                size: 4,
            },
            gaps: (plot, _series, _from, _to, gaps) => this.#realGaps(plot, gaps),
        };
    }

    #colour(column, index) {
        if (column.limit) return colours().limit;
        return seriesColour(index, this.#options.colour_of?.(column, index));
    }

    /* A sample between two gaps has no line to be on; it is drawn as a dot. */
    #lonelyRows(plot, series_index) {
        const values = plot.data[series_index];
        const rows = [];
        for (let row = 0; row < values.length; row += 1) {
            if (values[row] != null && values[row - 1] == null && values[row + 1] == null)
                rows.push(row);
        }
        return rows.length > 0 ? rows : null;
    }

    /* One missing sample is lateness, not silence. */
    #realGaps(plot, gaps) {
        const { min, max } = plot.scales.x;
        const px_per_s = plot.bbox.width / (max - min);
        const shortest_px = GAP_STEPS * (this.#step_ms / 1000) * px_per_s;
        return gaps.filter(([from, to]) => to - from > shortest_px);
    }

    /* In a stack each area ends on the line below it. */
    #bands() {
        if (!this.#options.stacked) return [];
        const shown = this.#columns
            .map((column, index) => ({ column, index: index + 1 }))
            .filter(({ column }) => !column.hidden && !column.limit);
        return shown.slice(1).map(({ index }, below) => ({ series: [index, shown[below].index] }));
    }

    #selected(plot) {
        const { left, width } = plot.select;
        if (width < 6) return;
        const from = Math.round(plot.posToVal(left, 'x') * 1000);
        const to = Math.round(plot.posToVal(left + width, 'x') * 1000);
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        this.#options.on_zoom?.({ from, to });
    }

    /* uPlot also calls this when data moves under a resting cursor. Only the chart that is really
     * pointed at may speak for all, or they would talk the crosshair away among themselves. */
    #moved(plot) {
        if (!this.#pointed) return;
        const row = plot.cursor.left >= 0 ? plot.cursor.idx : null;
        this.#options.on_cursor?.(row);
        this.#options.crosshair.publish(plot.data[0][row] ?? null, this);
    }

    #left() {
        this.#pointed = false;
        this.#options.on_cursor?.(null);
        this.#options.crosshair.publish(null, this);
    }

    /* Moves this chart's line without telling the others. */
    #pointAt(time) {
        const plot = this.#plot;
        if (!plot || !plot.data[0]?.length) return;
        const { min, max } = plot.scales.x;
        /* Another chart may be one point ahead of this one. */
        const inside = time !== null && time >= min && time <= max + this.#step_ms / 1000;
        const left = inside ? plot.valToPos(Math.min(time, max), 'x') : -10;
        plot.setCursor({ left, top: inside ? 0 : -10 }, false);
        this.#options.on_cursor?.(inside ? plot.cursor.idx : null);
    }

    /* A finger that moves sideways points; upwards it scrolls the page as everywhere. */
    #hearPointer(over) {
        const touch = (event) => {
            const box = over.getBoundingClientRect();
            this.#pointed = true;
            this.#plot.setCursor({ left: event.touches[0].clientX - box.left, top: 0 });
        };
        over.addEventListener('touchstart', touch, { passive: true });
        over.addEventListener('touchmove', touch, { passive: true });
        over.addEventListener('mouseenter', () => (this.#pointed = true));
        over.addEventListener('mousemove', () => (this.#pointed = true));
        over.addEventListener('mouseleave', () => this.#left());
        over.addEventListener('dblclick', () => this.#options.on_reset?.());
    }
}
