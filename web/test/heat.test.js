/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    durationTicks,
    mostCalls,
    rowEdges,
    rowsInUse,
    selectionOf,
    shade,
    tracesParams,
} from '../src/heat.js';

const BOUNDS = Array.from({ length: 56 }, (_, row) => 0.1 * 2 ** (row / 2));

function heatWith(cells) {
    const counts = Array.from({ length: 4 }, () => new Array(BOUNDS.length + 1).fill(0));
    for (const [column, row, count] of cells) counts[column][row] = count;
    return { times_ms: [10e3, 20e3, 30e3, 40e3], step_ms: 10e3, bounds_ms: BOUNDS, counts };
}

test('rows in use hold every call, with room around them', () => {
    assert.equal(rowsInUse(heatWith([])), null);
    const narrow = rowsInUse(heatWith([[1, 20, 5]]));
    assert.ok(narrow.first < 20 && narrow.last > 20 && narrow.last - narrow.first >= 11);
    const wide = rowsInUse(
        heatWith([
            [0, 3, 1],
            [2, 40, 1],
        ]),
    );
    assert.deepEqual(wide, { first: 2, last: 41 });
    const over = rowsInUse(heatWith([[0, BOUNDS.length, 1]]));
    assert.equal(over.last, BOUNDS.length);
});

test('one call is seen beside ten thousand, and none is not shown', () => {
    assert.equal(shade(0, 10000), 0);
    assert.ok(shade(1, 10000) > 0.15);
    assert.equal(shade(10000, 10000), 1);
    assert.equal(
        mostCalls(
            heatWith([
                [0, 3, 7],
                [2, 4, 9],
            ]),
        ),
        9,
    );
});

test('ticks are round durations at their rows', () => {
    const ticks = durationTicks(heatWith([]), { first: 0, last: 56 });
    const ten = ticks.find(({ ms }) => ms === 10);
    const { low_ms, high_ms } = rowEdges({ bounds_ms: BOUNDS }, Math.floor(ten.row));
    assert.ok(low_ms <= 10 && high_ms >= 10);
    assert.ok(durationTicks(heatWith([]), { first: 14, last: 25 }).length >= 3);
});

test('a selection means the same in either direction', () => {
    const heat = heatWith([
        [1, 10, 3],
        [2, 12, 4],
        [3, 10, 100],
    ]);
    const wanted = {
        from_ms: 10e3,
        to_ms: 30e3,
        low_ms: BOUNDS[9],
        high_ms: BOUNDS[12],
        calls: 7,
    };
    assert.deepEqual(selectionOf(heat, { column: 1, row: 10 }, { column: 2, row: 12 }), wanted);
    assert.deepEqual(selectionOf(heat, { column: 2, row: 10 }, { column: 1, row: 12 }), wanted);
});

test('a selection becomes the address of its traces', () => {
    const heat = heatWith([]);
    const of = { service: 'shop', operation: 'GET /cart' };
    const middle = selectionOf(heat, { column: 0, row: 20 }, { column: 1, row: 20 });
    assert.deepEqual(tracesParams(of, middle), {
        ...of,
        minDuration: '72.41ms',
        maxDuration: '102.4ms',
        from: '1970-01-01T00:00:00Z',
        to: '1970-01-01T00:00:20Z',
    });
    const low = tracesParams(of, selectionOf(heat, { column: 0, row: 0 }, { column: 0, row: 0 }));
    assert.equal(low.minDuration, null);
    assert.equal(low.maxDuration, '100us');
    const top = { column: 0, row: BOUNDS.length };
    assert.equal(tracesParams(of, selectionOf(heat, top, top)).maxDuration, null);
});
