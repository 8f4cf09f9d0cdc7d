/* SPDX-License-Identifier: Apache-2.0 */

/* trace_columns - a trace as the daemon sends it to be drawn: typed arrays over the bytes that came,
 * nothing copied. The layout is told in the daemon's serve/trace_columns.h.
 *
 * Pure. Rows are in order of start; times are nanoseconds since `start_ns`. */

const MAGIC = 0x314e5053; /* "SPN1" */
const NO_ROW = -1;

export const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer'];
export const SERVER = 2;
export const CLIENT = 3;
export const PRODUCER = 4;
export const CONSUMER = 5;
export const STATUS_ERROR = 2;

export const MARK_EXCEPTION = 1;
export const MARK_LOG = 64;
/* Severities of OpenTelemetry: 13 is WARN, 17 ERROR. */
const SEVERITY_ERROR = 17;

const TYPES = {
    f64: (buffer, at, count) => new Float64Array(buffer, at, count),
    i32: (buffer, at, count) => new Int32Array(buffer, at, count),
    u32: (buffer, at, count) => new Uint32Array(buffer, at, count),
    u8: (buffer, at, count) => new Uint8Array(buffer, at, count),
    id: (buffer, at, count) => new Uint8Array(buffer, at, count * 8),
};

/* Throws a RangeError or SyntaxError when it is something else. */
export function readColumns(buffer) {
    const view = new DataView(buffer);
    if (view.getUint32(0, true) !== MAGIC) throw new SyntaxError('This is no trace in columns.');
    const size = view.getUint32(4, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
    const column = {};
    for (const { name, type, at, count } of head.columns) {
        column[name] = TYPES[type](buffer, 8 + size + at, count);
    }
    return {
        trace_id: head.trace_id,
        start_ns: BigInt(head.start_ns),
        start_ms: Number(BigInt(head.start_ns) / 1000n) / 1e3,
        count: head.spans,
        marks_count: head.marks,
        marks_are_cut: head.marks_are_cut,
        repeated: head.repeated,
        services: head.services,
        names: head.names,
        texts: head.texts,
        ...column,
    };
}

export const kindOf = (trace, row) => trace.kind[row] & 7;
export const statusOf = (trace, row) => (trace.kind[row] >> 3) & 3;
export const isError = (trace, row) => statusOf(trace, row) === STATUS_ERROR;
/* Another span before it has the same id. */
export const hasRepeatedId = (trace, row) => (trace.kind[row] & 0x20) !== 0;
export const nameOf = (trace, row) => trace.names[trace.name[row]];
export const serviceOf = (trace, row) => trace.services[trace.service[row]];

export function markIsError(trace, mark) {
    const kind = trace.mark_kind[mark];
    return kind === MARK_EXCEPTION || (kind >= MARK_LOG && kind - MARK_LOG >= SEVERITY_ERROR);
}

export function spanId(trace, row) {
    let text = '';
    for (let at = row * 8; at < row * 8 + 8; at += 1)
        text += trace.id[at].toString(16).padStart(2, '0');
    return text;
}

/* The first row whose span has the id, or -1. */
export function findRow(trace, id) {
    if (!/^[0-9a-f]{16}$/i.test(id ?? '')) return NO_ROW;
    const bytes = Array.from({ length: 8 }, (_, at) => parseInt(id.slice(2 * at, 2 * at + 2), 16));
    for (let row = 0; row < trace.count; row += 1) {
        let at = 0;
        while (at < 8 && trace.id[row * 8 + at] === bytes[at]) at += 1;
        if (at === 8) return row;
    }
    return NO_ROW;
}

/* The rows with one of the ids, in one walk; ids that are not there are left out. */
export function findRows(trace, ids) {
    const wanted = new Set(ids.map((id) => id.toLowerCase()));
    const firsts = new Set([...wanted].map((id) => parseInt(id.slice(0, 2), 16)));
    const rows = [];
    for (let row = 0; row < trace.count && wanted.size > 0; row += 1) {
        if (firsts.has(trace.id[row * 8]) && wanted.delete(spanId(trace, row))) rows.push(row);
    }
    return rows;
}

/* The marks of each row: `first[row]` to `first[row + 1]` in `order`; by time. */
export function marksByRow(trace) {
    const first = new Uint32Array(trace.count + 1);
    let placed = 0;
    for (let mark = 0; mark < trace.marks_count; mark += 1) {
        if (trace.mark_row[mark] >= 0) {
            first[trace.mark_row[mark] + 1] += 1;
            placed += 1;
        }
    }
    for (let row = 0; row < trace.count; row += 1) first[row + 1] += first[row];
    const next = first.slice(0, trace.count);
    const order = new Uint32Array(placed);
    for (let mark = 0; mark < trace.marks_count; mark += 1) {
        const row = trace.mark_row[mark];
        if (row >= 0) order[next[row]++] = mark;
    }
    return { first, order };
}
