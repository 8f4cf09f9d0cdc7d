/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    findRow,
    findRows,
    isError,
    marksByRow,
    readColumns,
    spanId,
} from '../src/trace_columns.js';
import { traceOf } from './trace_fixture.js';

/* The bytes that the daemon would send. */
function bytesOf(head, columns) {
    const aligned = (size) => (size + 7) & ~7;
    let at = 0;
    const directory = columns.map(({ name, type, array, count }) => {
        const place = { name, type, at, count: count ?? array.length };
        at += aligned(array.byteLength);
        return place;
    });
    const text = new TextEncoder().encode(JSON.stringify({ ...head, columns: directory }));
    const size = aligned(text.length);
    const bytes = new Uint8Array(8 + size + at).fill(32, 8, 8 + size);
    bytes.set(new TextEncoder().encode('SPN1'));
    new DataView(bytes.buffer).setUint32(4, size, true);
    bytes.set(text, 8);
    columns.forEach(({ array }, index) => {
        const from = 8 + size + directory[index].at;
        bytes.set(new Uint8Array(array.buffer), from);
    });
    return bytes.buffer;
}

test('columns are read where they lie', () => {
    const trace = readColumns(
        bytesOf(
            {
                trace_id: 'ab',
                start_ns: '1700000000123456789',
                spans: 2,
                marks: 0,
                services: ['ü'],
                names: ['a', 'b'],
                texts: [],
            },
            [
                { name: 'id', type: 'id', array: new Uint8Array(16).fill(171), count: 2 },
                { name: 'start', type: 'f64', array: new Float64Array([0, 5]) },
                { name: 'parent', type: 'i32', array: new Int32Array([-1, 0]) },
                { name: 'kind', type: 'u8', array: new Uint8Array([2, 2 | (2 << 3)]) },
            ],
        ),
    );
    assert.equal(trace.start_ns, 1700000000123456789n);
    assert.equal(trace.start_ms, 1700000000123.456);
    assert.deepEqual([...trace.start], [0, 5]);
    assert.equal(spanId(trace, 1), 'abababababababab');
    assert.equal(isError(trace, 1), true);
    assert.equal(isError(trace, 0), false);
});

test('something else is refused', () => {
    assert.throws(() => readColumns(new TextEncoder().encode('{"error":1}  ').buffer), SyntaxError);
});

test('rows are found by the ids of their spans', () => {
    const trace = traceOf([{ id: 'aa01' }, { id: 'aa02' }, { id: 'bb03' }]);
    assert.equal(findRow(trace, '000000000000aa02'), 1);
    assert.equal(findRow(trace, '000000000000AA02'), 1);
    assert.equal(findRow(trace, '000000000000aa09'), -1);
    assert.equal(findRow(trace, 'no id'), -1);
    assert.deepEqual(
        findRows(trace, ['000000000000bb03', '000000000000aa01', '000000000000ffff']),
        [0, 2],
    );
});

test('marks are sorted to their rows; those of no row are left out', () => {
    const trace = traceOf([{}, {}, {}], [{ row: 2 }, { row: 0 }, { row: -1 }, { row: 2 }]);
    const { first, order } = marksByRow(trace);
    assert.deepEqual([...first], [0, 1, 1, 3]);
    assert.deepEqual([...order], [1, 0, 3]);
});
