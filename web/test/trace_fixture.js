/* SPDX-License-Identifier: Apache-2.0 */

/* trace_fixture - small traces for tests, in the daemon's columns. A span is
 * { id, parent (index), service, name, kind, status, start, duration }. */

export function traceOf(spans, marks = []) {
    const services = [...new Set(spans.map(({ service = 'a' }) => service))];
    const names = [...new Set(spans.map(({ name = 'x' }) => name))];
    const texts = [...new Set(marks.map(({ text = '' }) => text))];
    const id = new Uint8Array(spans.length * 8);
    spans.forEach(({ id: hex = '' }, row) => {
        const padded = hex.padStart(16, '0');
        for (let at = 0; at < 8; at += 1)
            id[row * 8 + at] = parseInt(padded.slice(2 * at, 2 * at + 2), 16);
    });
    return {
        trace_id: 'f'.repeat(32),
        start_ns: 0n,
        start_ms: 0,
        count: spans.length,
        marks_count: marks.length,
        services,
        names,
        texts,
        id,
        start: Float64Array.from(spans, ({ start = 0 }) => start),
        duration: Float64Array.from(spans, ({ duration = 0 }) => duration),
        parent: Int32Array.from(spans, ({ parent = -1 }) => parent),
        name: Uint32Array.from(spans, ({ name = 'x' }) => names.indexOf(name)),
        service: Uint32Array.from(spans, ({ service = 'a' }) => services.indexOf(service)),
        kind: Uint8Array.from(
            spans,
            ({ kind = 1, status = 0, same = 0 }) => kind | (status << 3) | (same << 5),
        ),
        mark_row: Int32Array.from(marks, ({ row }) => row),
        mark_time: Float64Array.from(marks, ({ time = 0 }) => time),
        mark_text: Uint32Array.from(marks, ({ text = '' }) => texts.indexOf(text)),
        mark_kind: Uint8Array.from(marks, ({ kind = 0 }) => kind),
    };
}
