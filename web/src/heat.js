/* SPDX-License-Identifier: Apache-2.0 */

/* heat - how calls spread over durations and time, as cells. Pure.
 *
 * A heat is { times_ms, step_ms, bounds_ms, counts }: column i ends at times_ms[i] and spans
 * step_ms; counts[i][row] calls took (bounds_ms[row - 1], bounds_ms[row]], those of the last row
 * longer than every bound. Rows are equal ratios, so equal heights are equal factors. */
import { spellMoment } from './range.js';

const ROWS_LEAST = 12;

export function heatOf({ times_ms, step_ms, heat }) {
    return { times_ms, step_ms, bounds_ms: heat.bounds_ms, counts: heat.counts };
}

/* The rows worth drawing: those with calls, one empty on either side, and never so few that one
 * row fills the picture. null when there are no calls. */
export function rowsInUse({ bounds_ms, counts }) {
    let first = bounds_ms.length;
    let last = -1;
    for (const column of counts) {
        for (let row = 0; row < column.length; row += 1) {
            if (column[row] === 0) continue;
            if (row < first) first = row;
            if (row > last) last = row;
        }
    }
    if (last < 0) return null;
    const missing = Math.max(0, ROWS_LEAST - (last - first + 3));
    first = Math.max(0, first - 1 - Math.floor(missing / 2));
    last = Math.min(bounds_ms.length, Math.max(last + 1, first + ROWS_LEAST - 1));
    return { first, last };
}

export function mostCalls({ counts }) {
    return counts.reduce((most, column) => Math.max(most, ...column), 0);
}

/* How strong a cell is shown, 0 to 1. By the logarithm: the few slow calls among thousands of
 * fast ones are what the picture is for. */
export function shade(count, most) {
    if (count <= 0 || most <= 0) return 0;
    return 0.18 + (0.82 * Math.log1p(count)) / Math.log1p(most);
}

/* Duration at the lower and upper edge of a row, in ms; the lowest begins at 0, the highest has no
 * end. */
export function rowEdges({ bounds_ms }, row) {
    return {
        low_ms: row === 0 ? 0 : bounds_ms[row - 1],
        high_ms: row < bounds_ms.length ? bounds_ms[row] : Infinity,
    };
}

/* Ticks at 1, 10, 100 … ms: { ms, row } with row a fraction counted from the bottom of row 0. */
export function durationTicks({ bounds_ms }, { first, last }) {
    const ratio = Math.log(bounds_ms[1] / bounds_ms[0]);
    const place = (ms) => 1 + Math.log(ms / bounds_ms[0]) / ratio;
    const ticks = [];
    for (let power = -1; power <= 7; power += 1) {
        for (const digit of [1, 3]) {
            const ms = digit * 10 ** power;
            const row = place(ms);
            if (row >= first && row <= last + 1) ticks.push({ ms, row, minor: digit === 3 });
        }
    }
    return ticks.filter(({ minor }) => !minor).length >= 3
        ? ticks.filter(({ minor }) => !minor)
        : ticks;
}

/* A stretch of cells, in either direction, as what it stands for. */
export function selectionOf(heat, a, b) {
    const [left, right] = [Math.min(a.column, b.column), Math.max(a.column, b.column)];
    const [bottom, top] = [Math.min(a.row, b.row), Math.max(a.row, b.row)];
    let calls = 0;
    for (let column = left; column <= right; column += 1) {
        for (let row = bottom; row <= top; row += 1) calls += heat.counts[column][row];
    }
    return {
        from_ms: heat.times_ms[left] - heat.step_ms,
        to_ms: heat.times_ms[right],
        low_ms: rowEdges(heat, bottom).low_ms,
        high_ms: rowEdges(heat, top).high_ms,
        calls,
    };
}

/* "12.8ms" as the traces page and the API read durations; no more digits than it takes. */
function spellMs(ms) {
    return ms >= 1 ? `${Number(ms.toPrecision(4))}ms` : `${Math.round(ms * 1000)}us`;
}

/* Parameters of the traces page that show the calls of a selection. */
export function tracesParams({ service, operation }, selection) {
    return {
        service,
        operation,
        minDuration: selection.low_ms > 0 ? spellMs(selection.low_ms) : null,
        maxDuration: Number.isFinite(selection.high_ms) ? spellMs(selection.high_ms) : null,
        from: spellMoment(selection.from_ms),
        to: spellMoment(selection.to_ms),
    };
}
