/* SPDX-License-Identifier: Apache-2.0 */

/* series - answers of the query API as columns that a chart and a table can share.
 *
 * Pure. A frame is { times: [s, …], columns: [{ key, name, metric, values: [number|null, …] }] }:
 * one ascending list of times in seconds, and in every column one value for each of them.
 * null says "no sample here"; it is drawn as a gap and written as an empty cell. */

/* Two missing points are a gap; one may be a scrape that came a moment late. */
export const GAP_STEPS = 2.5;

export function emptyFrame() {
    return { times: [], columns: [] };
}

export function parseSample(text) {
    const value = Number(text);
    if (text === '+Inf') return Infinity;
    if (text === '-Inf') return -Infinity;
    return Number.isFinite(value) ? value : null;
}

/* "{{device}} read" filled from the labels; a function is asked; nothing given means all labels. */
export function nameSeries(metric, template) {
    if (typeof template === 'function') return template(metric);
    if (template) return template.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
    return spellMetric(metric);
}

/* A label set as PromQL writes it. */
export function spellMetric(metric) {
    const { __name__: name = '', ...labels } = metric;
    const pairs = Object.keys(labels)
        .sort()
        .map((label) => `${label}=${JSON.stringify(labels[label])}`);
    return pairs.length > 0 ? `${name}{${pairs.join(', ')}}` : name || 'value';
}

/* Columns renamed by the labels in which they differ: what all share says nothing here.
 * Returns the same columns when there is but one, or when nothing tells them apart. */
export function distinctNames(columns) {
    if (columns.length < 2) return columns;
    const labels = [...new Set(columns.flatMap(({ metric }) => Object.keys(metric)))].sort();
    const differing = labels.filter((label) =>
        columns.some(({ metric }) => metric[label] !== columns[0].metric[label]),
    );
    if (differing.length === 0) return columns;
    const plain = (label) => differing.length === 1 || label === '__name__';
    return columns.map((column) => {
        const words = differing
            .filter((label) => column.metric[label] !== undefined)
            .map((label) =>
                plain(label) ? column.metric[label] : `${label} ${column.metric[label]}`,
            );
        return { ...column, name: words.join(', ') || column.name };
    });
}

export function seriesKey(target_index, metric) {
    const pairs = Object.keys(metric)
        .sort()
        .map((label) => [label, metric[label]]);
    return `${target_index}:${JSON.stringify(pairs)}`;
}

/* Several range results (one per target) as one frame on the grid of `step_ms`. */
export function buildFrame(results, targets, step_ms) {
    const step_s = step_ms / 1000;
    const slots = new Set();
    for (const result of results) {
        for (const { values } of result)
            for (const [time] of values) slots.add(Math.round(time / step_s));
    }
    const times = withGapMarks([...slots].sort((a, b) => a - b)).map((slot) => slot * step_s);
    const index_of = new Map(times.map((time, index) => [Math.round(time / step_s), index]));
    const columns = [];
    results.forEach((result, target_index) => {
        for (const { metric, values } of result) {
            const column = newColumn(target_index, metric, targets[target_index], times.length);
            for (const [time, text] of values) {
                column.values[index_of.get(Math.round(time / step_s))] = parseSample(text);
            }
            columns.push(column);
        }
    });
    return { times, columns };
}

/* Where the grid has a hole, one empty row, so that a line does not bridge it. */
function withGapMarks(slots) {
    const marked = [];
    for (const slot of slots) {
        if (marked.length > 0 && slot - marked.at(-1) > GAP_STEPS) marked.push(marked.at(-1) + 1);
        marked.push(slot);
    }
    return marked;
}

function newColumn(target_index, metric, target, length) {
    return {
        key: seriesKey(target_index, metric),
        target_index,
        name: nameSeries(metric, target?.name),
        metric,
        values: new Array(length).fill(null),
    };
}

function pushRow(frame, time) {
    frame.times.push(time);
    for (const column of frame.columns) column.values.push(null);
}

/* A pushed vector of one target joins the frame at its slot. What is older than the newest
 * slot but one is left out: history is only rewritten by loading it. Returns whether it fit. */
export function appendVector(frame, vector, { time_ms, target_index, target, step_ms }) {
    const step_s = step_ms / 1000;
    const time = Math.floor(time_ms / step_ms) * step_s;
    const newest = frame.times.at(-1);
    if (newest !== undefined && time > newest + GAP_STEPS * step_s) pushRow(frame, newest + step_s);
    if (newest === undefined || time > newest) pushRow(frame, time);
    const row = frame.times.lastIndexOf(time);
    if (row < 0 || row < frame.times.length - 2) return false;
    const by_key = new Map(frame.columns.map((column) => [column.key, column]));
    for (const { metric, value } of vector) {
        let column = by_key.get(seriesKey(target_index, metric));
        if (!column) {
            column = newColumn(target_index, metric, target, frame.times.length);
            frame.columns.push(column);
        }
        column.values[row] = parseSample(value);
    }
    return true;
}

/* Forgets rows before from_ms (one is kept, so that the line enters from the edge), and columns
 * that have nothing left. */
export function trimFrame(frame, from_ms) {
    const first = frame.times.findIndex((time) => time * 1000 >= from_ms);
    const drop = first < 0 ? 0 : Math.max(0, first - 1);
    if (drop === 0) return;
    frame.times.splice(0, drop);
    for (const column of frame.columns) column.values.splice(0, drop);
    frame.columns = frame.columns.filter((column) => column.values.some((value) => value !== null));
}

export function lastValue(values) {
    for (let index = values.length - 1; index >= 0; index -= 1) {
        if (values[index] !== null && values[index] !== undefined) return values[index];
    }
    return null;
}

/* The value that the legend shows now: the newest, unless the series has fallen silent. */
export function currentValue(values, silent_rows = 3) {
    return lastValue(values.slice(-silent_rows));
}

function weight(column) {
    let sum = 0;
    for (const value of column.values) if (Number.isFinite(value)) sum += Math.abs(value);
    return sum;
}

/* The `limit` heaviest columns in their old order, and how many there were. */
export function limitColumns(columns, limit) {
    if (columns.length <= limit) return { shown: columns, total: columns.length };
    const heaviest = new Set([...columns].sort((a, b) => weight(b) - weight(a)).slice(0, limit));
    return { shown: columns.filter((column) => heaviest.has(column)), total: columns.length };
}

/* Running sums for a stacked chart; a row in which all are null stays null in all. */
export function stackColumns(columns) {
    const sums = [];
    return columns.map((column) =>
        column.values.map((value, row) => {
            if (value === null || !Number.isFinite(value)) {
                const silent = columns.every((other) => other.values[row] === null);
                return silent ? null : (sums[row] ?? 0);
            }
            sums[row] = (sums[row] ?? 0) + value;
            return sums[row];
        }),
    );
}

export function isAllZero(columns) {
    return columns.every((column) => column.values.every((value) => value === null || value === 0));
}

function csvCell(text) {
    const plain = String(text);
    /* A leading =, +, - or @ of a *name* would run as a formula in a spreadsheet. */
    const safe = /^[=+\-@\t]/.test(plain) ? `'${plain}` : plain;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/* The frame as CSV (RFC 4180): ISO times, raw numbers, empty cells where there is no sample. */
export function frameToCsv(frame) {
    const lines = [['time', ...frame.columns.map((column) => column.name)].map(csvCell).join(',')];
    frame.times.forEach((time, row) => {
        const values = frame.columns.map((column) => column.values[row] ?? '');
        lines.push([new Date(time * 1000).toISOString(), ...values].join(','));
    });
    return `${lines.join('\r\n')}\r\n`;
}

/* Rows of cells as CSV; numbers stay as they are. */
export function rowsToCsv(header, rows) {
    const cell = (value) => (typeof value === 'number' ? value : csvCell(value ?? ''));
    return `${[header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}
